# ruff: noqa: ASYNC240 - small files of the test itself, read and written between awaits
"""The helper as a process: real socket, real MUNGE, real signals; Slurm's commands as the far end."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from flexlond._pb import helper_pb2, helper_pb2_grpc
from flexlond.auth import munge
from flexlond.auth.credentials import METADATA_KEY, digest
from flexlond.model.action import Outcome, Verb
from flexlond.model.licence import Stretch
from flexlond.slurm.helper_client import HelperClient, HelperUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = int(time.time())
HOUR = 3600
APPLY = "/flexlon.helper.v1.Helper/Apply"


@pytest.fixture
def configured(fake: Any, tmp_path: Path, munge_socket: str) -> Path:
    """A configuration whose daemon user is whoever runs the tests."""
    fake.at(NOW)
    path = tmp_path / "flexlon.toml"
    path.write_text(
        f'[helper]\nsocket = "{tmp_path}/h.sock"\nstate_dir = "{tmp_path}/own"\n'
        f'daemon_user = "{getpass.getuser()}"\nmax_batch = 3\n'
        '[licence]\ntotal_kw = 1000\npartitions = { main = "flexible" }\n'
        f'[slurm]\nbin_dir = "{fake.bin_dir}"\nmunge_socket = "{munge_socket}"\n'
    )
    (tmp_path / "own").mkdir()
    return path


@contextmanager
def process(path: Path, command: str = "serve") -> Iterator[subprocess.Popen[str]]:
    """A helper that has said READY=1, as systemd would hear it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        address = path.parent / "notify"
        address.unlink(missing_ok=True)
        heard.bind(str(address))
        heard.settimeout(60)
        environment = os.environ | {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "20000000"}
        argv = [sys.executable, "-m", "slurm_plugin.main", command, "--config", str(path)]
        started = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            assert heard.recv(4096).startswith(b"READY=1")
            assert heard.recv(4096) == b"WATCHDOG=1"
            yield started
        finally:
            if started.poll() is None:
                started.terminate()
            started.communicate(timeout=30)


def client(path: Path, munge_socket: str) -> HelperClient:
    return HelperClient(str(path.parent / "h.sock"), munge_socket=munge_socket)


async def test_from_client_to_slurm_and_back(
    configured: Path, fake: Any, helper: Any, munge_socket: str
) -> None:
    fake.put(7, submit=NOW - 60, begin=NOW - 60)
    fake.put(8, submit=NOW - 60, begin=NOW - 60, comment="")
    asked = client(configured, munge_socket)
    with process(configured):
        mode = (configured.parent / "h.sock").stat().st_mode
        assert stat.S_IMODE(mode) == 0o660
        results = await asked.apply(
            [
                helper.action(7, Verb.HOLD_UNTIL, NOW + HOUR),
                helper.action(8, Verb.HOLD_UNTIL, NOW + HOUR),
                helper.action(9, Verb.RELEASE),
            ]
        )
        status = await asked.status()
    assert [r.outcome for r in results] == [Outcome.APPLIED, Outcome.REFUSED, Outcome.NOT_FOUND]
    assert (results[0].observed_begin, results[0].observed_state) == (NOW + HOUR, "PD")
    assert results[1].code == "no-consent"
    assert (status.slurm_version, status.opt_outs) == ("24.11.5", ())
    assert status.actions_left == pytest.approx(6000, abs=10)
    await asked.close()


async def test_each_start_of_the_helper_says_that_it_is_another(
    configured: Path, munge_socket: str
) -> None:
    asked, seen = client(configured, munge_socket), []
    for _ in range(2):
        with process(configured):
            seen += [(await asked.status()).instance for _ in range(2)]
    await asked.close()
    assert seen[0] == seen[1] != ""
    assert seen[2] == seen[3] != seen[0]


async def test_reservations_are_remembered_over_a_kill(
    configured: Path, fake: Any, munge_socket: str
) -> None:
    one, two = Stretch(NOW + HOUR, NOW + 2 * HOUR, 700), Stretch(NOW + 2 * HOUR, NOW + 3 * HOUR, 9)
    far = Stretch(NOW + 90 * HOUR, NOW + 91 * HOUR, 5)
    asked = client(configured, munge_socket)
    with process(configured) as first:
        reply = await asked.reserve([one, two, far], "test")
        assert [(r.stretch, r.outcome) for r in reply.results] == [
            (one, Outcome.APPLIED),
            (two, Outcome.APPLIED),
            (far, Outcome.REFUSED),
        ]
        assert (reply.in_force, reply.total, reply.results[2].code) == ((one, two), 1000, "too-far")
        first.kill()
        first.wait(10)
    with process(configured):
        with pytest.raises(HelperUnavailable, match=r"helper\.max_batch"):
            await asked.reserve([far] * 4, "test")
        reply = await asked.reserve([two], "test")
        assert [(r.stretch, r.code) for r in reply.results] == [
            (two, "already-so"),
            (one, "deleted"),
        ]
    assert list(fake.read()["reservations"]) == [two.name]
    await asked.close()


async def test_the_client_comes_back_when_the_helper_does(
    configured: Path, fake: Any, helper: Any, munge_socket: str
) -> None:
    fake.put(7, submit=NOW - 60, begin=NOW - 60)
    asked = client(configured, munge_socket)
    with pytest.raises(HelperUnavailable, match="systemctl status flexlon-helper"):
        await asked.status()
    with process(configured) as first:
        await asked.apply([helper.action(7, Verb.HOLD_UNTIL, NOW + HOUR)])
        first.kill()
        first.wait(10)
        with pytest.raises(HelperUnavailable):
            await asked.status()
    fake.change(7, begin=NOW)  # its owner takes it back while the helper is dead
    with process(configured):
        results = await asked.apply([helper.action(7, Verb.HOLD_UNTIL, NOW + HOUR)])
        assert results[0].code == "opted-out"
        status = await asked.status()
        assert [(out.job_id, out.submit) for out in status.opt_outs] == [(7, NOW - 60)]
    await asked.close()


async def raw_apply(path: Path, credential: str, request: Any) -> Any:
    async with grpc.aio.insecure_channel(f"unix:{path.parent}/h.sock") as channel:
        metadata = ((METADATA_KEY, credential),) if credential else ()
        try:
            return await helper_pb2_grpc.HelperStub(channel).Apply(request, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return error


async def test_who_may_not_call(
    configured: Path, fake: Any, helper: Any, munge_socket: str
) -> None:
    request = helper_pb2.ApplyRequest(
        actions=[helper_pb2.Action(action_id="a", job_id=7, verb=helper_pb2.VERB_RELEASE)]
    )
    good = munge.encode(digest(APPLY, request.SerializeToString()), socket=munge_socket).decode()
    with process(configured):
        nobody = await raw_apply(configured, "", request)
        first = await raw_apply(configured, good, request)
        replayed = await raw_apply(configured, good, request)
        other = munge.encode(digest(APPLY, b""), socket=munge_socket).decode()
        changed = await raw_apply(configured, other, request)
    assert nobody.code() is grpc.StatusCode.UNAUTHENTICATED
    assert [r.outcome for r in first.results] == [helper_pb2.OUTCOME_NOT_FOUND]
    assert replayed.code() is grpc.StatusCode.UNAUTHENTICATED
    assert changed.code() is grpc.StatusCode.UNAUTHENTICATED
    assert fake.changes() == []


async def test_another_user_is_refused(
    configured: Path, fake: Any, helper: Any, munge_socket: str
) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to run the helper for a daemon user that is not the caller")
    configured.write_text(
        configured.read_text().replace('daemon_user = "root"', 'daemon_user = "nobody"')
    )
    asked = client(configured, munge_socket)
    with process(configured):
        await asked.status()  # root may look
        with pytest.raises(HelperUnavailable, match=r"helper\.daemon_user") as caught:
            await asked.apply([helper.action(7, Verb.RELEASE)])
    assert not caught.value.maybe_applied
    await asked.close()


async def test_a_batch_too_large_and_an_action_without_a_verb(
    configured: Path, fake: Any, helper: Any, munge_socket: str
) -> None:
    asked = client(configured, munge_socket)
    request = helper_pb2.ApplyRequest(actions=[helper_pb2.Action(action_id="x", job_id=7)])
    good = munge.encode(digest(APPLY, request.SerializeToString()), socket=munge_socket).decode()
    with process(configured):
        with pytest.raises(HelperUnavailable, match=r"helper\.max_batch"):
            await asked.apply([helper.action(n, Verb.RELEASE) for n in range(1, 5)])
        reply = await raw_apply(configured, good, request)
    assert (reply.results[0].code, reply.results[0].action_id) == ("bad-request", "x")
    await asked.close()


async def test_a_checkpoint_wait_does_not_hold_the_reply_up(
    configured: Path, fake: Any, helper: Any, munge_socket: str
) -> None:
    comment = "flex: max-delay=8:00:00 preempt=requeue checkpoint=USR1@1"
    fake.put(7, state="R", submit=NOW - 60, begin=NOW - 60, start=NOW - 60, comment=comment)
    asked = client(configured, munge_socket)
    with process(configured):
        results = await asked.apply([helper.action(7, Verb.REQUEUE_UNTIL, NOW + HOUR)])
        assert results[0].code == "checkpointing"
        for _ in range(1200):  # two minutes: on a busy machine each fake command takes its time
            if fake.job(7)["restarts"] == 1 and fake.job(7)["begin"] == NOW + HOUR:
                break
            await asyncio.sleep(0.1)
    assert (fake.job(7)["restarts"], fake.job(7)["begin"]) == (1, NOW + HOUR)
    await asked.close()


async def test_a_second_helper_is_refused(configured: Path, fake: Any, munge_socket: str) -> None:
    argv = [sys.executable, "-m", "slurm_plugin.main", "serve", "--config", str(configured)]
    with process(configured) as first:
        second = await asyncio.to_thread(
            subprocess.run, argv, capture_output=True, text=True, timeout=60, check=False
        )
        assert second.returncode == 2
        assert "another flexlon-helper runs" in second.stderr
        assert first.poll() is None


async def test_a_reload_takes_the_new_file_and_keeps_the_last_good_one(
    configured: Path, fake: Any, helper: Any, munge_socket: str
) -> None:
    asked = client(configured, munge_socket)
    text = configured.read_text()

    async def reloaded_to(limit: int) -> bool:
        running.send_signal(signal.SIGHUP)
        for _ in range(1200):
            if (await asked.status()).actions_left == limit:
                return True
            await asyncio.sleep(0.05)
        return False

    with process(configured) as running:
        configured.write_text(text.replace("max_batch", "max_actions_per_minute = 5\nmax_batch"))
        assert await reloaded_to(5)
        configured.write_text("[helper]\nnonsense = 1\n")
        running.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.3)
        assert (await asked.status()).actions_left == 5
    await asked.close()


async def test_it_stops_in_order_and_logs_json(configured: Path, fake: Any) -> None:
    with process(configured) as running:
        running.terminate()
        _, logged = running.communicate(timeout=30)
    assert running.returncode == 0
    assert [json.loads(line)["event"] for line in logged.splitlines()] == ["ready", "stopped"]


def test_resume_due_needs_no_helper(configured: Path, fake: Any, tmp_path: Path) -> None:
    fake.put(7, state="S", submit=NOW - 60, start=NOW - 60)
    (tmp_path / "own/resume").mkdir()
    entry = {"job_id": 7, "submit": NOW - 60, "restarts": 0, "due": NOW - 1, "armed_at": NOW - 30}
    (tmp_path / "own/resume/7.json").write_text(json.dumps(entry))
    argv = [sys.executable, "-m", "slurm_plugin.main", "resume-due", "--config", str(configured)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, fake.job(7)["state"]) == (0, "R")
    assert "resumed 1" in json.loads(done.stderr)["event"]
    assert list((tmp_path / "own/resume").iterdir()) == []


def test_status_is_readable_and_says_when_nobody_answers(configured: Path, fake: Any) -> None:
    argv = [sys.executable, "-m", "slurm_plugin.main", "status", "--config", str(configured)]
    with process(configured):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Slurm 24.11.5" in done.stdout
    dead = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert dead.returncode == 1
    assert "systemctl status flexlon-helper" in dead.stderr


def test_it_does_not_start_on_a_wrong_configuration(configured: Path, fake: Any) -> None:
    argv = [sys.executable, "-m", "slurm_plugin.main", "serve", "--config", str(configured)]
    text = configured.read_text()
    for wrong, said in (
        (text.replace("state_dir", "state_dri"), "state_dri"),
        (text.replace("/own", "/nowhere"), "StateDirectory"),
        (text.replace("h.sock", "nowhere/h.sock"), "RuntimeDirectory"),
    ):
        configured.write_text(wrong)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
