"""flexlonctl window against a served fake agent: what people see, what programs get, what is refused."""

from __future__ import annotations

import json
import math
import os
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from flexlond.agents.window_ports import (
    AddedView,
    SlowView,
    StopView,
    WindowSlotView,
    WindowView,
    refused,
)
from flexlond.cli.flexlonctl import app
from flexlond.daemon.shell import Shell
from flexlond.model.settings import AdminSettings, Settings
from tests.unit.shellkit import NOON, fake_agent, job_view, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    from flexlond.agents.fake_view import FakeAgent

HALF_HOUR = 1800
RUNS = WindowView(
    window_id=3,
    start=NOON,
    end=NOON + 3 * HALF_HOUR,
    slot_seconds=HALF_HOUR,
    state="active",
    cap_kw=800.0,
    down_kw=math.nan,
    ramp_slots=1,
    created=NOON - 3600,
    created_by="[bold]ops[/bold]",
    cancelled=0,
    rebound_kw=900.0,
    rebound_end=NOON + 24 * HALF_HOUR,
    shortfall_kw=40.0,
    short_slots=1,
    detail="falls short by up to 40 kW in 1 slot: what runs already draws 840 kW",
    slots=(
        WindowSlotView(NOON, 900.0, 880.0, 860.5, 0.0, True, "modelled", 0.25),
        WindowSlotView(NOON + HALF_HOUR, 800.0, 840.0, math.nan, 40.0, ramp_in=False),
        WindowSlotView(NOON + 2 * HALF_HOUR, 800.0, 700.0, math.nan, 0.0, ramp_in=False),
    ),
    stops=(
        StopView(
            41, "requeue-until", NOON - 60, NOON + 5400, 30.0, 0.25, "refused", "[red]x[/red]"
        ),
        StopView(42, "suspend", NOON, NOON + 5400, 8.0, 0.0, "planned", ""),
    ),
    slows=(
        SlowView(50, 3, 8, NOON + 5400, 12.0, "slowed"),
        SlowView(51, 2, 0, NOON + 5400, 4.0, "planned"),
    ),
)


@pytest.fixture
def agent() -> FakeAgent:
    made = fake_agent(job_view(12, os.getuid()))
    made.kept = [replace(RUNS, window_id=number) for number in (1, 2)] + [RUNS]
    return made


@pytest.fixture
def ctl(
    agent: FakeAgent, tmp_path: Path, munge_socket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    settings = Settings(admin=AdminSettings(operators=(str(os.getuid()),), operator_group=""))
    monkeypatch.setenv("TZ", "Europe/London")
    time.tzset()
    with served(agent, tmp_path, munge_socket, Shell(settings, tmp_path / "flexlon.toml")) as path:
        environment = {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
        yield lambda *words: CliRunner().invoke(app, ["window", *words], env=environment)
    monkeypatch.undo()
    time.tzset()


def test_a_dry_run_says_what_it_costs_and_which_jobs_move(
    ctl: Callable[..., Result], agent: FakeAgent
) -> None:
    words = ("--from", "2027-07-01T17:00", "--to", "19:00", "--cap", "800kW", "--dry-run")
    result = ctl("add", *words)
    assert result.exit_code == 0, result.output
    assert (
        "a window from 2027-07-01 17:00:00 to 2027-07-01 19:00:00, cap 800.00 kW" in result.output
    )
    assert "nothing was changed" in result.output
    assert "it costs £0.3100: electricity £0.2500, carbon £0.0500, delay £0.0100" in result.output
    assert "1 jobs move" in result.output
    (asked,) = agent.calls
    summer = 1_814_457_600  # 2027-07-01T16:00:00Z, 17:00 in London
    assert f"start={summer}, end={summer + 7200}, cap_kw=800.0, down_kw=nan" in asked
    assert asked.endswith("dry_run=True")


def test_what_comes_back_may_be_allowed(ctl: Callable[..., Result], agent: FakeAgent) -> None:
    words = ("add", "--from", "now+1hour", "--to", "now+3hours", "--cap", "800kW")
    assert [ctl(*words, *more).exit_code for more in ((), ("--allow-rebound",))] == [0, 0]
    without, with_it = agent.calls
    assert "allow_rebound=False" in without
    assert "allow_rebound=True" in with_it


def test_a_reduction_is_asked_for_with_down(ctl: Callable[..., Result], agent: FakeAgent) -> None:
    result = ctl("add", "--from", "now+1hour", "--to", "now+3hours", "--down", "0.3MW", "--json")
    data = json.loads(result.output)
    assert data["added"] is True
    assert (data["window"]["window_id"], data["window"]["down_kw"]) == (4, 300.0)
    assert data["window"]["cap_kw"] is None
    assert data["window"]["start"].endswith("Z")
    assert data["moves"][0]["before"] == "2026-11-23T12:30:00Z"
    assert "down_kw=300.0" in agent.calls[0]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--from", "soon", "--to", "19:00", "--cap", "8kW"), "write it as 17:00"),
        (("--from", "now+2hours", "--to", "now+1hour", "--cap", "8kW"), "give a later end"),
        (("--from", "17:00", "--to", "19:00", "--cap", "800"), "with its unit"),
        (("--from", "17:00", "--to", "19:00"), "--cap 800kW or --down 300kW"),
        (("--from", "17:00", "--to", "19:00", "--cap", "8kW", "--down", "8kW"), "one of the two"),
    ],
)
def test_a_command_line_that_means_nothing_is_told_what_to_write(
    ctl: Callable[..., Result], agent: FakeAgent, words: tuple[str, ...], why: str
) -> None:
    result = ctl("add", *words)
    assert result.exit_code == 2
    assert why in result.output
    assert agent.calls == []


def test_what_the_daemon_refuses_ends_with_exit_code_1(
    ctl: Callable[..., Result], agent: FakeAgent
) -> None:
    agent.answer = refused("no slot of the window lies in the future: give a later --to")
    result = ctl("add", "--from", "17:00", "--to", "19:00", "--cap", "800kW")
    assert result.exit_code == 1
    assert "give a later --to" in result.output


def test_a_window_is_shown_slot_by_slot(ctl: Callable[..., Result]) -> None:
    output = ctl("show", "3").output
    for part in (
        "window 3 from 2026-11-23 12:00:00 to 2026-11-23 13:30:00, cap 800.00 kW: active",
        "it falls short by up to 40 kW in 1 slot: what runs already draws 840 kW",
        "ramp-in",
        "860.50",
        "the modelled estimate of what runs",
        "[bold]ops[/bold]",
        "job 41: [red]x[/red]",
        "2 running jobs stopped",
        "2 arrays slowed",
    ):
        assert part in output
    assert re.search(r"41 +requeue +2026-11-23 11:59:00 +2026-11-23 13:30:00 +30.00", output)
    assert re.search(r"50 +3 +8 +2026-11-23 13:30:00 +12.00 +slowed", output)
    assert re.search(r"51 +2 +none +2026-11-23 13:30:00 +4.00 +planned", output)
    data = json.loads(ctl("show", "3", "--json").output)
    slow = data["slows"][0]
    assert (slow["width"], slow["own"], slow["until"]) == (3, 8, "2026-11-23T13:30:00Z")
    assert data["slots"][1]["observed_kw"] is None
    assert data["slots"][1]["start"] == "2026-11-23T12:30:00Z"
    assert (data["cancelled"], data["shortfall_kw"]) == (None, 40.0)
    stop = data["stops"][1]
    assert (stop["job_id"], stop["verb"], stop["state"]) == (42, "suspend", "planned")
    assert (stop["at"], stop["until"]) == ("2026-11-23T12:00:00Z", "2026-11-23T13:30:00Z")


def test_a_dry_run_says_which_running_jobs_it_would_stop_and_which_arrays_slow(
    ctl: Callable[..., Result], agent: FakeAgent
) -> None:
    agent.answer = AddedView(RUNS, False, 0.25, 0.0, 0.0, (), "nothing", RUNS.stops, 0.25)
    result = ctl("add", "--from", "17:00", "--to", "19:00", "--cap", "800kW", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "2 running jobs stopped" in result.output
    assert "2 arrays slowed" in result.output
    assert "they cost £0.2500 more: work lost, restart, delay" in result.output


def test_windows_are_listed_and_cancelled(ctl: Callable[..., Result], agent: FakeAgent) -> None:
    listed = ctl("list").output
    assert "3 windows" in listed
    assert "40.00" in listed
    assert len(json.loads(ctl("list", "--json").output)["windows"]) == 3
    cancelled = ctl("cancel", "3")
    assert "cancelled; the next plan gives back what it held" in cancelled.output
    assert agent.calls == ["cancel-window 3"]
    missing = ctl("show", "9")
    assert missing.exit_code == 1
    assert "there is no window 9" in missing.output
