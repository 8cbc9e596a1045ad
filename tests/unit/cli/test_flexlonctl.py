"""flexlonctl against a served fake agent: tables, JSON, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from flexlond.agents.ports import DrainView
from flexlond.cli.flexlonctl import app
from flexlond.cli.plain import MOMENTS
from flexlond.daemon.shell import Shell
from flexlond.model.settings import AdminSettings, Settings
from tests.unit.shellkit import NOON, fake_agent, job_view, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typer.testing import Result

    from flexlond.agents.fake_view import FakeAgent

HOSTILE = "flex: max-delay=60 [red]\x1b[31m\x07\u202e\n12 root"


@pytest.fixture
def agent() -> FakeAgent:
    uid = os.getuid()
    return fake_agent(
        job_view(12, uid, comment=HOSTILE, reason="[bold]cheaper[/bold]"),
        job_view(
            13, uid, flexible=False, held_by_us=False, touched=False, consent="no flex directive"
        ),
    )


@pytest.fixture
def ctl(
    agent: FakeAgent, tmp_path: Path, munge_socket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    settings = Settings(admin=AdminSettings(operators=(str(os.getuid()),), operator_group=""))
    monkeypatch.setenv("TZ", "UTC")
    with served(agent, tmp_path, munge_socket, Shell(settings, tmp_path / "flexlon.toml")) as path:
        environment = {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
        yield lambda *words: CliRunner().invoke(app, list(words), env=environment)


def test_status_says_what_matters(ctl: Callable[..., Result]) -> None:
    result = ctl("status")
    assert result.exit_code == 0, result.output
    for part in (
        "mode act",
        "24.11.5, read by squeue (the default)",
        "2 seen, 1 flexible, 1 held",
        "held 1 job",
        "are not delayed at submission",
        "PriorityFlags lacks ACCRUE_ALWAYS",
    ):
        assert part in result.output


def test_status_as_json_has_every_field(ctl: Callable[..., Result]) -> None:
    data = json.loads(ctl("status", "--json").output)
    assert data["last_cycle_at"] == "2026-11-23T12:00:00Z"
    assert data["signals"][0]["from"] == "2026-11-23T12:00:00Z"
    assert data["config_error"] == ""
    assert data["heartbeat_fresh"] is False
    assert data["jobs_held"] == 1


def test_jobs_lists_flexible_ones_or_all(ctl: Callable[..., Result]) -> None:
    flexible, every = ctl("jobs").output, ctl("jobs", "--all").output
    assert "1 jobs" in flexible
    assert "2 jobs" in every
    assert "no flex directive" in every
    assert "£0.15" in flexible
    assert "12:30:00" in flexible or "2026-11-23 12:30:00" in flexible


def test_jobs_as_json_are_all_jobs_with_unknown_as_null(ctl: Callable[..., Result]) -> None:
    jobs = json.loads(ctl("jobs", "--json").output)["jobs"]
    assert [job["job_id"] for job in jobs] == [12, 13]
    assert jobs[0]["planned_start"] == "2026-11-23T12:30:00Z"
    assert jobs[0]["co2_asap_kg"] is None
    assert jobs[0]["comment"] == HOSTILE
    assert "uid" not in jobs[0]


@pytest.mark.parametrize("words", [("jobs",), ("jobs", "--all"), ("explain", "12")])
def test_what_users_write_cannot_steer_the_terminal(
    ctl: Callable[..., Result], words: tuple[str, ...]
) -> None:
    output = ctl(*words).output
    assert "[bold]cheaper[/bold]" in output  # no markup
    assert not any(not char.isprintable() and char != "\n" for char in output)


def test_explain_shows_the_comment_escaped(ctl: Callable[..., Result]) -> None:
    output = ctl("explain", "12").output
    assert r"[red]\x1b[31m\x07\u202e\x0a12 root" in output
    assert "hold-until" in output


def test_explain_of_an_unknown_job_is_refused(ctl: Callable[..., Result]) -> None:
    result = ctl("explain", "99")
    assert result.exit_code == 1
    assert "FlexLon does not know job 99" in result.stderr


def test_plan_has_curves_and_slots(ctl: Callable[..., Result]) -> None:
    output = ctl("plan").output
    assert "£0.10 instead of £0.25" in output
    assert "█▁" in output  # price: high, then low
    assert "30 to 90" in output
    assert "within 0.4 % of the best possible plan" in output
    assert len(json.loads(ctl("plan", "--slots", "1", "--json").output)["slots"]) == 1
    assert json.loads(ctl("plan", "--json").output)["slots"][1]["carbon_g_kwh"] is None


def test_signals_say_their_quality(ctl: Callable[..., Result]) -> None:
    output = ctl("signals").output
    assert "partial" in output
    assert "1 slot unknown" in output


def test_check_exits_by_its_answer(ctl: Callable[..., Result]) -> None:
    good, bad = (
        ctl("check", "flex: max-delay=90", "--time-limit", "30"),
        ctl("check", "flex: deadine=1"),
    )
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "01:30:00" in good.output
    assert "unknown key 'deadine'" in bad.output
    late = ctl("check", "flex: deadline=now+1hours", "--time-limit", "2:00:00", "--json")
    assert late.exit_code == 1
    assert json.loads(late.output)["accepted"] is False


def test_check_refuses_a_time_limit_that_is_none(ctl: Callable[..., Result]) -> None:
    result = ctl("check", "flex:", "--time-limit", "soon")
    assert result.exit_code == 2
    assert "--time-limit" in result.stderr


def test_check_without_the_daemon_reads_the_file_and_says_so(tmp_path: Path) -> None:
    config = tmp_path / "flexlon.toml"
    config.write_text("[directive.classes.standard]\nmax_delay = '45'\n")
    words = ["--socket", str(tmp_path / "none"), "check", "flex:", "--config", str(config)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert "00:45:00" in result.stdout
    assert f"read here by {config}" in result.stderr


def test_check_with_neither_names_both(tmp_path: Path) -> None:
    words = [
        "--socket",
        str(tmp_path / "none"),
        "check",
        "flex:",
        "--config",
        str(tmp_path / "no.toml"),
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "does not answer" in result.stderr
    assert "cannot be read" in result.stderr


def test_steering_says_what_is_in_force(ctl: Callable[..., Result], agent: FakeAgent) -> None:
    assert "paused" in ctl("pause").output
    assert json.loads(ctl("resume", "--json").output) == {"detail": "mode act"}
    assert ctl("reload").exit_code == 0
    assert agent.calls == ["pause", "resume", "reload"]


def test_release_by_id_and_all(ctl: Callable[..., Result]) -> None:
    assert ctl("release").exit_code == 2
    assert ctl("release", "12", "--all").exit_code == 2
    done, again = ctl("release", "12"), ctl("release", "12")
    assert (done.exit_code, again.exit_code) == (0, 1)
    assert "is not held" in again.output
    assert ctl("release", "--all").exit_code == 0


def test_drain_is_not_done_while_something_is_left(
    ctl: Callable[..., Result], agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def partly() -> DrainView:
        return DrainView(1, 2, "call again")

    assert ctl("drain").exit_code == 0
    monkeypatch.setattr(agent, "drain", partly)
    result = ctl("drain")
    assert result.exit_code == 1
    assert "1 restored, 2 left: call again" in result.output


def test_no_daemon_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--socket", str(tmp_path / "none"), "status"])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "start it (systemctl start flexlond)" in result.stderr


def test_no_munge_is_said(ctl: Callable[..., Result], tmp_path: Path) -> None:
    result = ctl("--munge-socket", str(tmp_path / "none"), "status")
    assert result.exit_code == 2
    assert "munge could not encode" in result.stderr


# Everything is imported (by a call as root) before the other user takes over, who may not read our files.
AS_ANOTHER = """
import contextlib, io, os, sys
import flexlond.cli.flexlonctl as ctl
with contextlib.redirect_stdout(io.StringIO()):
    ctl.app(["jobs"], standalone_mode=False)
    ctl.app(["jobs", "--json"], standalone_mode=False)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
ctl.main()
"""


def run_as_another(path: Path, munge_socket: str, *words: str) -> Any:
    environment = os.environ | {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
    argv = [sys.executable, "-c", AS_ANOTHER, *words]
    return subprocess.run(
        argv, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_real_other_user_sees_nothing_and_may_nothing(
    agent: FakeAgent, munge_socket: str
) -> None:
    settings = Settings(admin=AdminSettings(operators=(), operator_group=""))
    with (
        tempfile.TemporaryDirectory() as name,  # pytest's own folders are closed to others
        served(agent, Path(name), munge_socket, Shell(settings, Path(name) / "c")) as path,
    ):
        Path(name).chmod(0o755)
        jobs = run_as_another(path, munge_socket, "jobs", "--json")
        explain = run_as_another(path, munge_socket, "explain", "12")
        drain = run_as_another(path, munge_socket, "drain")
    assert jobs.stderr == ""
    assert json.loads(jobs.stdout) == {"jobs": []}
    assert (explain.returncode, drain.returncode) == (3, 3)
    assert "not yours" in explain.stderr
    assert "uid 65534 may not drain" in drain.stderr
    assert agent.calls == []


def test_help_is_fast_because_grpc_is_not_imported() -> None:
    code = (
        "import sys, flexlond.cli.flexlonctl, flexlond.cli.flexlond;"
        "print([m for m in ('grpc', 'numpy', 'google.protobuf', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_moment_of_the_proto_is_told_as_one() -> None:
    from flexlond._pb import admin_pb2 as pb  # noqa: PLC0415 -- only here

    messages = pb.DESCRIPTOR.message_types_by_name.values()
    integers = {f.name for m in messages for f in m.fields if f.cpp_type == f.CPPTYPE_INT64}
    assert integers - MOMENTS == {"time_limit_seconds"}  # a length, and only ever asked
    assert NOON % 3600 == 0
