"""What the loop asks of the helper so that Slurm itself keeps windows, on the simulated Slurm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.window_ports import WindowOrder
from flexlond.model.action import Verb
from flexlond.model.job import JobState
from flexlond.model.licence import Stretch
from flexlond.model.settings import LicenceSettings, Settings
from tests.unit.agents.conftest import SLOT, START, Bench, replace_struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = 2 * 120 * 1.2 / 1000  # kW of two idle nodes
ALL = LicenceSettings(
    total_kw=1000, partitions={"main": "all"}, consent="all may wait: J. Doe, 2026-11-28"
)


@pytest.fixture
def bench(tmp_path: Path, settings: Settings) -> Iterator[Bench]:
    made = Bench(tmp_path / "store.db", replace_struct(settings, licence=ALL), [100.0])
    yield made
    made.store.close()


def at(slot: float) -> int:
    return START + int(slot * SLOT)


async def order(bench: Bench, first: int, last: int, cap: float) -> Any:
    found = await bench.agent.add_window(
        WindowOrder(at(first), at(last), cap, math.nan, "alice"), dry_run=False
    )
    await bench.cycle()
    return found


def let_off(bench: Bench) -> set[int]:
    return {one.job_id for one in bench.slurm.effects if one.verb is Verb.LET_OFF}


async def test_a_window_is_reserved_once_and_taken_away_on_cancel(bench: Bench) -> None:
    await bench.cycle()
    assert bench.slurm.reserved == [()]  # what an earlier life may have left
    await bench.cycle()
    assert bench.slurm.reserved == [()]
    said = await order(bench, 2, 5, 300.5)
    assert "Slurm itself keeps it" in said.detail
    left = math.floor(300.5 - BASE)
    want = (Stretch(at(2), at(5), 1000 - left),)
    assert bench.slurm.reserved[1:] == [want]
    bench.slurm.now = at(3) + 60
    await bench.cycle()
    assert bench.slurm.reserved[-1] == want  # it keeps its name while it runs
    await bench.agent.cancel_window(1)
    await bench.cycle()
    assert bench.slurm.reserved[-1] == ()
    told = len(bench.slurm.reserved)
    await bench.cycle()
    assert len(bench.slurm.reserved) == told


async def test_a_new_daemon_takes_up_a_window_that_runs(bench: Bench) -> None:
    await bench.cycle()
    await order(bench, 2, 5, 300.5)
    want = bench.slurm.reserved[-1]
    bench.restart()
    bench.slurm.now = at(3) + 60
    await bench.cycle()
    assert bench.slurm.reserved[-1] == want


async def test_overlapping_windows_become_one_sequence(bench: Bench) -> None:
    await bench.cycle()
    await order(bench, 2, 6, 300.0)
    await order(bench, 4, 8, 100.0)
    assert [(one.start, one.end) for one in bench.slurm.reserved[-1]] == [
        (at(2), at(4)),
        (at(4), at(8)),
    ]


async def test_nobody_is_held_past_a_latest_start(bench: Bench) -> None:
    submit = bench.slurm.submit
    keeps = submit("flex: max-delay=1:00:00 power=10kW", licenses="kw:12,matlab:1")
    killed = submit(deadline=at(5), licenses="kw:7")  # Slurm would end it
    patient = submit("flex: max-delay=20:00:00 power=10kW", licenses="kw:12")
    plain = submit(licenses="kw:5")
    early = submit("flex: deadline=now+70minutes", minutes=30, licenses="kw:1")
    bench.slurm.cpus = 0
    await bench.cycle()
    assert let_off(bench) == set()
    await order(bench, 3, 5, 50.0)
    assert let_off(bench) == {keeps, killed}, {keeps, killed, patient, plain, early}
    assert bench.slurm.jobs[keeps].licenses == "matlab:1"
    assert bench.slurm.jobs[plain].licenses == "kw:5"
    assert bench.slurm.reserved[-1][0].start == at(3)


async def test_where_letting_off_fails_nothing_is_reserved(bench: Bench) -> None:
    job = bench.slurm.submit("flex: max-delay=1:00:00", licenses="kw:12")
    bench.slurm.cpus = 0
    await bench.cycle()
    asked = len(bench.slurm.reserved)
    bench.slurm.answers_lost = True
    await order(bench, 2, 5, 50.0)
    assert len(bench.slurm.reserved) == asked
    bench.slurm.answers_lost = False
    await bench.cycle()
    assert bench.slurm.jobs[job].licenses == ""
    assert len(bench.slurm.reserved) == asked + 1


async def test_a_flexible_partition_binds_only_who_consents(tmp_path: Path, settings: Any) -> None:
    licence = replace_struct(ALL, partitions={"main": "flexible"}, consent="")
    made = Bench(tmp_path / "store.db", replace_struct(settings, licence=licence), [100.0])
    plain = made.slurm.submit(licenses="kw:5")
    willing = made.slurm.submit("flex: max-delay=20:00:00", licenses="kw:5")
    made.slurm.cpus = 0
    await made.cycle()
    await order(made, 2, 5, 50.0)
    assert let_off(made) == {plain}
    made.slurm.edit(willing, begin=made.slurm.now)
    made.slurm.edit(willing, comment="no longer")
    await made.cycle()
    assert let_off(made) == {plain, willing}
    made.store.close()


async def test_what_draws_without_a_licence_leaves_less_for_the_others(bench: Bench) -> None:
    bench.slurm.submit("flex: off power=10kW", minutes=600)
    bench.slurm.advance(60)
    assert [job.state for job in bench.slurm.jobs.values()] == [JobState.RUNNING]
    await bench.cycle()
    assert bench.agent.modelled is not None
    kw = bench.agent.modelled.kw - BASE
    assert kw > 0
    await order(bench, 2, 5, 300.5)
    assert bench.slurm.reserved[-1][0].kw == 1000 - math.floor(300.5 - BASE - kw)


async def test_usage_above_what_is_left_is_said(bench: Bench) -> None:
    bench.slurm.submit(minutes=600, licenses="kw:400")
    bench.slurm.advance(60)
    await bench.cycle()
    await order(bench, 2, 5, 100.0)
    bench.slurm.now = at(2) + 60
    sentence = await bench.cycle()
    assert "running jobs use 400 of the 99 kw licences left in the window" in sentence
    assert any("until enough of them have ended" in one for one in bench.agent.status().warnings)


async def test_a_total_that_differs_and_a_silent_helper_are_said(bench: Bench) -> None:
    bench.slurm.licences = 800
    await bench.cycle()
    await order(bench, 2, 5, 100.0)
    assert any(
        "Slurm has 800 kw licences and licence.total_kw says 1000" in one
        for one in bench.agent.status().warnings
    )
    bench.slurm.helper_down = True
    sentence = await bench.cycle()
    assert "Slurm keeps what was reserved before" in sentence


async def test_drain_takes_reservations_away_and_pause_leaves_them(bench: Bench) -> None:
    await bench.cycle()
    await order(bench, 2, 5, 100.0)
    await bench.agent.pause()
    asked = len(bench.slurm.reserved)
    await bench.cycle()
    assert len(bench.slurm.reserved) == asked
    bench.slurm.helper_down = True
    assert (await bench.agent.drain()).left > 0
    bench.slurm.helper_down = False
    view = await bench.agent.drain()
    assert (view.left, bench.slurm.reserved[-1]) == (0, ())


async def test_off_asks_for_nothing(tmp_path: Path, settings: Settings) -> None:
    made = Bench(tmp_path / "store.db", settings, [100.0])
    await made.cycle()
    await order(made, 2, 5, 100.0)
    assert made.slurm.reserved == []
    made.store.close()
