"""flexlonctl envelope against a real loop on a simulated Slurm: what people see, what programs get."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from flexlond.cli.flexlonctl import app
from flexlond.daemon.shell import Shell
from flexlond.model.settings import Feed, Settings
from tests.unit.agents.conftest import Bench, replace_struct
from tests.unit.agents.test_envelopes import learned
from tests.unit.shellkit import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

WINDOW = ("--from", "2026-11-18T11:30", "--to", "12:30")  # the simulated Slurm begins at 11:00


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    base = Settings()
    settings = replace_struct(
        base,
        signals=replace_struct(base.signals, price=(Feed(source="csv", path="/nowhere"),)),
        envelope=replace_struct(
            base.envelope, windows=2, window_slots=2, depths=(0.2,), exact_seconds=0.2
        ),
    )
    made = Bench(tmp_path / "store.db", settings, [100.0, 100.0, 100.0, 80.0, 120.0, 60.0])
    yield made
    made.store.close()


@pytest.fixture
def ctl(
    bench: Bench, tmp_path: Path, munge_socket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    monkeypatch.setenv("TZ", "Europe/London")
    time.tzset()
    shell = Shell(bench.settings, tmp_path / "flexlon.toml")
    with served(bench.agent, tmp_path, munge_socket, shell) as path:
        environment = {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
        yield lambda *words: CliRunner().invoke(app, ["envelope", *words], env=environment)
    monkeypatch.undo()
    time.tzset()


def busy(bench: Bench) -> None:
    for number in range(8):
        bench.slurm.submit("flex: max-delay=8:00:00 power=10kW", minutes=60 + 30 * (number % 4))
    learned(bench, 60)
    asyncio.run(bench.cycle())


def test_the_picture_and_the_steps_of_one_window(ctl: Callable[..., Result], bench: Bench) -> None:
    busy(bench)
    result = ctl(*WINDOW)
    assert result.exit_code == 0, result.output
    for part in (
        "envelope of the plan of 2026-11-18 11:00:00",
        "can be given (down)",
        "2026-11-18 11:30:00",
        "down kW",
        "90 % of the cases",
        "at most 110 % of the plan's peak",
        "running jobs are not counted",
    ):
        assert part in result.output


def test_programs_get_every_figure(ctl: Callable[..., Result], bench: Bench) -> None:
    busy(bench)
    data = json.loads(ctl(*WINDOW, "--json").output)
    down, up = data["curves"]
    assert (down["direction"], up["direction"]) == ("down", "up")
    assert down["start"] == "2026-11-18T11:30:00Z"
    steps = [step for step in down["steps"] if not step["why_not"]]
    assert steps
    for step in steps:
        assert 0 < step["offered_kw"] == pytest.approx(0.9 * step["certain_kw"])
        assert step["certain_kw"] <= step["kw"]
        assert step["order_by"] <= down["start"]
    assert [step["price_gbp"] for step in steps] == sorted(step["price_gbp"] for step in steps)
    assert [slot["start"][11:16] for slot in data["slots"]] == ["11:30", "12:00"]
    assert data["slots"][0]["cap_kw"] is None


def test_without_a_window_all_of_interest(ctl: Callable[..., Result], bench: Bench) -> None:
    busy(bench)
    data = json.loads(ctl("--json").output)
    assert len(data["curves"]) == 4
    assert len(data["slots"]) == 4


def test_a_step_that_is_not_offered_is_listed_with_its_reason(
    ctl: Callable[..., Result], bench: Bench
) -> None:
    bench.slurm.submit(minutes=120)
    asyncio.run(bench.cycle())
    output = ctl(*WINDOW).output
    assert "nothing is offered in these windows" in output
    assert "not offered: down 2026-11-18 11:30:00" in output
    assert "no flexible job can change the power there" in output


def test_a_refusal_says_what_to_do(ctl: Callable[..., Result], bench: Bench) -> None:
    early = ctl()
    assert early.exit_code == 1
    assert "there is no plan yet" in early.output
    busy(bench)
    late = ctl("--from", "2026-12-24T11:30", "--to", "2026-12-24T12:30")
    assert late.exit_code == 1
    assert "the plan reaches to" in late.output
    half = ctl("--from", "now+1hour")
    assert half.exit_code == 2
    assert "give both, or neither" in half.output
