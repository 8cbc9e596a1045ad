"""The admin service over a real Unix socket, with real credentials of a private munged."""

from __future__ import annotations

import math
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from flexlond._pb import admin_pb2 as pb
from flexlond._pb import admin_pb2_grpc
from flexlond.agents.envelope_ports import (
    EnvelopeCurveView,
    EnvelopeSlotView,
    EnvelopeStepView,
    EnvelopeView,
    NoEnvelope,
)
from flexlond.agents.ports import DrainView
from flexlond.agents.window_ports import refused as no_window
from flexlond.auth.credentials import ClientCredentials
from flexlond.daemon import admin_guard as guard_module
from flexlond.daemon.admin_server import AdminServer, AdminSocketError, answers
from flexlond.daemon.shell import Shell
from flexlond.model.settings import AdminSettings, Settings
from tests.unit.shellkit import NOON, fake_agent, job_view, served

if TYPE_CHECKING:
    from pathlib import Path

MINE, OTHERS = 4242, 4343
STRICT = Settings(admin=AdminSettings(operators=(), operator_group=""))


@pytest.fixture
def caller(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Who calls, as far as the handlers know; the credential itself is checked all the same."""

    def become(uid: int) -> None:
        monkeypatch.setattr(guard_module, "caller_uid", lambda: uid)

    return become


async def call(path: Path, munge_socket: str, method: str, request: Any) -> Any:
    credentials = ClientCredentials(socket=munge_socket)
    async with grpc.aio.insecure_channel(f"unix:{path}", interceptors=[credentials]) as channel:
        return await getattr(admin_pb2_grpc.AdminStub(channel), method)(request, timeout=10)


async def refused(path: Path, munge_socket: str, method: str, request: Any) -> tuple[Any, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(path, munge_socket, method, request)
    return raised.value.code(), raised.value.details() or ""


async def test_the_status_carries_the_loops_words_and_the_shells(
    tmp_path: Path, munge_socket: str
) -> None:
    shell = Shell(Settings(), tmp_path / "flexlon.toml", config_error="line 3")
    shell.warn("x", "slow")
    with served(fake_agent(job_view(1, MINE)), tmp_path, munge_socket, shell) as path:
        reply = await call(path, munge_socket, "Status", pb.Empty())
    assert (reply.last_cycle, reply.jobs_held, reply.slurm_version) == ("held 1 job", 1, "24.11.5")
    assert reply.config_error == "line 3"
    assert list(reply.warnings) == ["PriorityFlags lacks ACCRUE_ALWAYS", "slow"]
    assert (reply.signals[0].quality, getattr(reply.signals[0], "from")) == ("partial", NOON)
    assert not reply.heartbeat_fresh


async def test_a_failed_cycle_is_said_instead_of_the_last_good_one(
    tmp_path: Path, munge_socket: str
) -> None:
    shell = Shell(Settings(), tmp_path / "c", failure="the cycle failed (X)", failed_at=NOON + 30)
    with served(fake_agent(), tmp_path, munge_socket, shell) as path:
        reply = await call(path, munge_socket, "Status", pb.Empty())
    assert (reply.last_cycle, reply.last_cycle_at) == ("the cycle failed (X)", NOON + 30)


async def test_a_user_sees_the_users_own_jobs_an_operator_all(
    tmp_path: Path, munge_socket: str, caller: Any
) -> None:
    agent = fake_agent(job_view(1, MINE), job_view(2, OTHERS))
    with served(agent, tmp_path, munge_socket, Shell(STRICT, tmp_path / "c")) as path:
        caller(MINE)
        mine = await call(path, munge_socket, "Jobs", pb.JobsRequest())
        code, why = await refused(path, munge_socket, "Jobs", pb.JobsRequest(user=f"user{OTHERS}"))
        caller(0)
        everyones = await call(path, munge_socket, "Jobs", pb.JobsRequest())
        theirs = await call(path, munge_socket, "Jobs", pb.JobsRequest(user=f"user{OTHERS}"))
    assert [job.job_id for job in mine.jobs] == [1]
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "your own jobs only" in why
    assert [job.job_id for job in everyones.jobs] == [1, 2]
    assert [job.job_id for job in theirs.jobs] == [2]


async def test_every_field_of_a_job_arrives(tmp_path: Path, munge_socket: str, caller: Any) -> None:
    view = job_view(7, MINE, comment="a\x1b[31m\nred")
    with served(fake_agent(view), tmp_path, munge_socket) as path:
        caller(MINE)
        (job,) = (await call(path, munge_socket, "Jobs", pb.JobsRequest())).jobs
    for field in pb.JobLine.DESCRIPTOR.fields:
        sent, arrived = getattr(view, field.name), getattr(job, field.name)
        assert str(arrived) == str(sent), field.name  # as text, so that NaN equals NaN


async def test_a_job_of_another_is_not_explained(
    tmp_path: Path, munge_socket: str, caller: Any
) -> None:
    agent = fake_agent(job_view(1, MINE), job_view(2, OTHERS))
    with served(agent, tmp_path, munge_socket, Shell(STRICT, tmp_path / "c")) as path:
        caller(MINE)
        own = await call(path, munge_socket, "Explain", pb.ExplainRequest(job_id=1))
        other, why = await refused(path, munge_socket, "Explain", pb.ExplainRequest(job_id=2))
        unknown, same = await refused(path, munge_socket, "Explain", pb.ExplainRequest(job_id=3))
        caller(0)
        missing, _ = await refused(path, munge_socket, "Explain", pb.ExplainRequest(job_id=3))
    assert own.history[0].verb == "hold-until"
    assert other is unknown is grpc.StatusCode.PERMISSION_DENIED
    assert why.replace("2", "3") == same  # whether another's job exists is not told
    assert missing is grpc.StatusCode.NOT_FOUND


async def test_release_is_for_ones_own_jobs_and_all_for_operators(
    tmp_path: Path, munge_socket: str, caller: Any
) -> None:
    agent = fake_agent(job_view(1, MINE), job_view(2, OTHERS))
    with served(agent, tmp_path, munge_socket, Shell(STRICT, tmp_path / "c")) as path:
        caller(MINE)
        both, _ = await refused(path, munge_socket, "Release", pb.ReleaseRequest(job_ids=[1, 2]))
        all_, why = await refused(path, munge_socket, "Release", pb.ReleaseRequest(all=True))
        neither, _ = await refused(path, munge_socket, "Release", pb.ReleaseRequest())
        asked_before = list(agent.calls)
        mine = await call(path, munge_socket, "Release", pb.ReleaseRequest(job_ids=[1]))
        caller(0)
        rest = await call(path, munge_socket, "Release", pb.ReleaseRequest(all=True))
    assert both is all_ is grpc.StatusCode.PERMISSION_DENIED
    assert "only operators may" in why
    assert neither is grpc.StatusCode.INVALID_ARGUMENT
    assert asked_before == []
    assert [(line.job_id, line.released) for line in mine.jobs] == [(1, True)]
    assert [(line.job_id, line.released) for line in rest.jobs] == [(2, True)]
    assert agent.calls == [
        f"release [1] uid={MINE} operator=False",
        "release None uid=0 operator=True",
    ]


@pytest.mark.parametrize("method", ["Pause", "Resume", "Reload", "Drain"])
async def test_only_an_operator_steers(
    method: str, tmp_path: Path, munge_socket: str, caller: Any
) -> None:
    agent = fake_agent(job_view(1, MINE))
    with served(agent, tmp_path, munge_socket, Shell(STRICT, tmp_path / "c")) as path:
        caller(MINE)
        code, why = await refused(path, munge_socket, method, pb.Empty())
        asked_before = list(agent.calls)
        caller(0)
        reply = await call(path, munge_socket, method, pb.Empty())
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert f"uid {MINE} may not" in why
    assert asked_before == []
    assert reply.detail
    assert agent.calls == [method.lower()]


CAPPED = pb.AddWindowRequest(start=NOON, end=NOON + 3600, cap_kw=800.0)
WINDOW_CALLS = [
    ("AddWindow", CAPPED),
    ("ListWindows", pb.Empty()),
    ("ShowWindow", pb.WindowRequest(window_id=1)),
    ("CancelWindow", pb.WindowRequest(window_id=1)),
]


@pytest.mark.parametrize(("method", "request_"), WINDOW_CALLS, ids=lambda v: str(v)[:12])
async def test_windows_are_for_operators_alone(
    method: str, request_: Any, tmp_path: Path, munge_socket: str, caller: Any
) -> None:
    agent = fake_agent()
    with served(agent, tmp_path, munge_socket, Shell(STRICT, tmp_path / "c")) as path:
        caller(MINE)
        code, why = await refused(path, munge_socket, method, request_)
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "only operators may" in why
    assert agent.calls == []


async def test_a_window_is_added_listed_shown_and_cancelled(
    tmp_path: Path, munge_socket: str, caller: Any
) -> None:
    agent = fake_agent(job_view(7, MINE))
    with served(agent, tmp_path, munge_socket) as path:
        caller(0)
        dry = pb.AddWindowRequest(start=NOON, end=NOON + 3600, down_kw=300.0, dry_run=True)
        tried = await call(path, munge_socket, "AddWindow", dry)
        added = await call(path, munge_socket, "AddWindow", CAPPED)
        listed = await call(path, munge_socket, "ListWindows", pb.Empty())
        number = pb.WindowRequest(window_id=1)
        shown = await call(path, munge_socket, "ShowWindow", number)
        cancelled = await call(path, munge_socket, "CancelWindow", number)
        missing = pb.WindowRequest(window_id=9)
        nowhere = [
            await refused(path, munge_socket, method, missing)
            for method in ("ShowWindow", "CancelWindow")
        ]
    assert (tried.added, tried.window.window_id, tried.window.down_kw) == (False, 0, 300.0)
    assert math.isnan(tried.window.cap_kw)
    assert (added.added, added.window.created_by, added.window.cap_kw) == (True, "root", 800.0)
    assert (added.cost_gbp, added.carbon_gbp, added.delay_gbp) == (0.25, 0.05, 0.01)
    assert [(move.job_id, move.after) for move in added.moves] == [(7, NOON + 3600)]
    assert [(one.window_id, len(one.slots)) for one in listed.windows] == [(1, 0)]
    assert [slot.cap_kw for slot in shown.slots] == [800.0]
    assert cancelled.state == "cancelled"
    for code, why in nowhere:
        assert code is grpc.StatusCode.NOT_FOUND
        assert "flexlonctl window list" in why


async def test_a_window_that_is_refused_says_what_to_do(
    tmp_path: Path, munge_socket: str, caller: Any
) -> None:
    agent = fake_agent()
    agent.answer = no_window("the plan reaches to 12:00: give an earlier --to")
    with served(agent, tmp_path, munge_socket) as path:
        caller(0)
        code, why = await refused(path, munge_socket, "AddWindow", CAPPED)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert why == "the plan reaches to 12:00: give an earlier --to"


@pytest.mark.parametrize("method", ["AddWindow", "CancelWindow"])
async def test_a_full_store_refuses_a_window_and_says_that_nothing_changed(
    method: str,
    tmp_path: Path,
    munge_socket: str,
    caller: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = fake_agent()

    async def full(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(agent, "add_window", full)
    monkeypatch.setattr(agent, "cancel_window", full)
    request = dict(WINDOW_CALLS)[method]
    with served(agent, tmp_path, munge_socket) as path:
        caller(0)
        code, why = await refused(path, munge_socket, method, request)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "nothing was changed" in why
    assert "disk is full" in why


async def test_the_real_uid_of_the_credential_counts(tmp_path: Path, munge_socket: str) -> None:
    uid = os.getuid()
    settings = Settings(admin=AdminSettings(operators=(str(uid),), operator_group=""))
    shell = Shell(settings, tmp_path / "c")
    with served(
        fake_agent(job_view(1, uid), job_view(2, uid + 1)), tmp_path, munge_socket, shell
    ) as path:
        reply = await call(path, munge_socket, "Jobs", pb.JobsRequest())
    assert len(reply.jobs) == 2


async def test_without_a_credential_nothing_but_health_and_reflection(
    tmp_path: Path, munge_socket: str
) -> None:
    with served(fake_agent(), tmp_path, munge_socket) as path:
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await admin_pb2_grpc.AdminStub(channel).Status(pb.Empty(), timeout=10)
            health = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service="flexlon.admin.v1.Admin"), timeout=10
            )
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            listing = stub.ServerReflectionInfo(
                iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10
            )
            names = [s.name async for r in listing for s in r.list_services_response.service]
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING  # no cycle yet
    assert "flexlon.admin.v1.Admin" in names


async def test_check_says_what_was_read_and_why_not(tmp_path: Path, munge_socket: str) -> None:
    with served(fake_agent(), tmp_path, munge_socket) as path:
        good = await call(
            path, munge_socket, "Check", pb.CheckRequest(comment="flex: max-delay=90 max-price=80")
        )
        served_by = "flex: latency=00:10:00 work=2.5e6 unit=Inference"
        bounded = await call(path, munge_socket, "Check", pb.CheckRequest(comment=served_by))
        bad = await call(
            path, munge_socket, "Check", pb.CheckRequest(comment="flex: deadine=08:00")
        )
        plain = await call(path, munge_socket, "Check", pb.CheckRequest(comment="my run"))
        long = await call(path, munge_socket, "Check", pb.CheckRequest(comment="é" * 513))
    values = {pair.key: pair.value for pair in good.values}
    assert good.accepted
    assert (values["max-delay"], values["max-price"]) == ("01:30:00", "80 GBP/MWh")
    values = {pair.key: pair.value for pair in bounded.values}
    assert values == {
        "latency": "00:10:00",
        "preempt": "none",
        "work": "2.5e+06",
        "unit": "inference",
    }
    assert not long.accepted
    assert "1026 bytes" in long.message
    assert not bad.accepted
    assert "deadine" in bad.message
    assert plain.accepted
    assert "not flexible" in plain.message


async def test_plan_before_the_first_cycle_says_so(tmp_path: Path, munge_socket: str) -> None:
    agent = fake_agent()
    with served(agent, tmp_path, munge_socket) as path:
        first = await call(path, munge_socket, "Plan", pb.PlanRequest(slots=1))
        agent.last_plan = None
        code, why = await refused(path, munge_socket, "Plan", pb.PlanRequest())
    assert len(first.slots) == 1
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "no plan yet" in why


async def test_a_fault_inside_is_told_and_the_service_lives(
    tmp_path: Path, munge_socket: str, caller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = fake_agent()

    async def broken() -> DrainView:
        raise ZeroDivisionError("in the loop")

    monkeypatch.setattr(agent, "drain", broken)
    with served(agent, tmp_path, munge_socket) as path:
        caller(0)
        code, why = await refused(path, munge_socket, "Drain", pb.Empty())
        after = await call(path, munge_socket, "Status", pb.Empty())
    assert code is grpc.StatusCode.INTERNAL
    assert "ZeroDivisionError: in the loop" in why
    assert after.version == "0.1.0"


async def test_a_drain_that_could_not_look_is_not_taken_for_done(
    tmp_path: Path, munge_socket: str, caller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = fake_agent()

    async def blind() -> DrainView:
        return DrainView(0, -1, "the queue could not be read")

    monkeypatch.setattr(agent, "drain", blind)
    with served(agent, tmp_path, munge_socket) as path:
        caller(0)
        code, why = await refused(path, munge_socket, "Drain", pb.Empty())
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "not drained: the queue could not be read" in why


def test_the_socket_is_open_to_all_and_goes_away(tmp_path: Path, munge_socket: str) -> None:
    with served(fake_agent(), tmp_path, munge_socket) as path:
        mode = stat.S_IMODE(path.stat().st_mode)
        answered = answers(path)
    assert mode == 0o666
    assert answered
    assert not path.exists()
    assert not answers(path)


async def test_a_socket_in_use_is_not_taken_over(tmp_path: Path, munge_socket: str) -> None:
    with served(fake_agent(), tmp_path, munge_socket) as path:
        second = AdminServer(admin_pb2_grpc.AdminServicer(), path, munge_socket=munge_socket)
        with pytest.raises(AdminSocketError, match="a flexlond answers there already"):
            await second.start()
        await second._server.stop(None)
        assert (await call(path, munge_socket, "Status", pb.Empty())).version == "0.1.0"


async def test_a_folder_that_is_missing_is_named(tmp_path: Path, munge_socket: str) -> None:
    path = tmp_path / "no" / "admin.sock"
    server = AdminServer(admin_pb2_grpc.AdminServicer(), path, munge_socket=munge_socket)
    with pytest.raises(AdminSocketError, match="its directory must exist"):
        await server.start()
    await server._server.stop(None)


async def test_the_envelope_is_for_everyone_and_every_figure_arrives(
    tmp_path: Path, munge_socket: str, caller: Any
) -> None:
    step = EnvelopeStepView(
        *(30.0, 24.0, 21.6, 1.25, 0.5, 115.7, 0.01, NOON, 7200, 12.0, NOON + 7200),
        *(80.0, NOON + 9000, 3, "x\udce9", 2),
    )
    curve = EnvelopeCurveView(NOON + 1800, NOON + 5400, "down", 60.0, 5, 0.02, 0.75, (step,))
    slot = EnvelopeSlotView(NOON + 1800, 60.0, 21.6, 0.0, math.nan)
    agent = fake_agent()
    agent.flexibility = EnvelopeView(
        NOON, 1800, 0.9, 0.1, 1.1, 0.03, 2.5, (curve,), (slot,), ("a note",)
    )
    with served(agent, tmp_path, munge_socket, Shell(STRICT, tmp_path / "c")) as path:
        caller(MINE)
        request = pb.EnvelopeRequest(start=NOON + 1800, end=NOON + 5400)
        reply = await call(path, munge_socket, "Envelope", request)
        await call(path, munge_socket, "Envelope", pb.EnvelopeRequest())
        agent.flexibility = NoEnvelope("the plan reaches to noon: give an earlier --to")
        code, why = await refused(path, munge_socket, "Envelope", request)
    assert agent.calls[:2] == [f"envelope {(NOON + 1800, NOON + 5400)}", "envelope None"]
    (arrived,) = reply.curves[0].steps
    for field in pb.EnvelopeStep.DESCRIPTOR.fields:
        if field.name != "why_not":
            assert getattr(arrived, field.name) == getattr(step, field.name), field.name
    assert arrived.why_not == "x?"
    assert (reply.curves[0].improvable_gbp, reply.slots[0].down_kw) == (0.75, 21.6)
    assert math.isnan(reply.slots[0].cap_kw)
    assert list(reply.notes) == ["a note"]
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "earlier --to" in why
