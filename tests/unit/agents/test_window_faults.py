"""Windows while the clock, slurmctld, the store or the helper fails: fewer holds, never more; nobody late."""

from __future__ import annotations

import math
import sqlite3
from typing import TYPE_CHECKING

import pytest

from flexlond.agents.window_ports import WindowOrder
from tests.unit.agents.conftest import SLOT, START, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.model.settings import Settings

FLEX = "flex: max-delay=8:00:00 power=10kW"
FIRST, LAST = 2, 5
BEGIN, END = START + FIRST * SLOT, START + LAST * SLOT


@pytest.fixture
async def bench(tmp_path: Path, settings: Settings) -> Iterator[Bench]:
    """One price all day, and a window from one hour on under which no job of 10 kW fits."""
    made = Bench(tmp_path / "store.db", settings, [100.0])
    await made.cycle()
    order = WindowOrder(BEGIN, END, 5.0, float("nan"), "alice")
    assert (await made.agent.add_window(order, dry_run=False)).added
    await made.cycle()
    yield made
    made.store.close()


async def above_the_cap(bench: Bench) -> int:
    """A minute into the window, with a plain job of 13 kW that nobody may stop: it ends with the first slot."""
    while bench.slurm.now < BEGIN:
        await bench.cycle()
        bench.slurm.advance(60)
    plain = bench.slurm.submit(cpus=1, minutes=25, gpus=(("", 32),))
    bench.slurm.advance(10)
    await bench.cycle()
    bench.slurm.advance(50)
    return plain


def over(bench: Bench) -> list[bool]:
    """Of each slot of the window, whether its record says that more than the cap was drawn."""
    view = bench.agent.show_window(1)
    assert view is not None
    return [slot.observed_kw > slot.cap_kw and slot.shortfall_kw > 0 for slot in view.slots]


def late(bench: Bench) -> list[int]:
    started = bench.slurm.started.items()
    return [job for job, at in started if at > bench.slurm.jobs[job].submit + 8 * 3600]


async def run_on(bench: Bench, seconds: int) -> None:
    for _ in range(seconds // 60):
        await bench.cycle()
        bench.slurm.advance(60)


@pytest.mark.parametrize("step", [600, -600])
async def test_a_clock_step_of_ten_minutes_in_the_window_loses_nobody_and_makes_nobody_late(
    bench: Bench, step: int
) -> None:
    plain = await above_the_cap(bench)
    bench.slurm.advance(900 - 60)
    jobs = [bench.slurm.submit(FLEX, cpus=1, minutes=30) for _ in range(3)]
    await bench.cycle()
    held = {job: bench.begin(job) for job in jobs}
    assert all(begin >= END for begin in held.values())
    bench.slurm.now += step
    sentence = await bench.cycle()
    assert "window 1" in sentence
    assert {job: bench.begin(job) for job in jobs} == held
    assert over(bench) == [True, False, False]
    await run_on(bench, 4 * 3600)
    del bench.slurm.started[plain]
    assert set(bench.slurm.started) == set(jobs)
    assert min(bench.slurm.started.values()) >= END
    assert late(bench) == []
    view = bench.agent.show_window(1)
    assert view is not None
    assert (view.state, view.short_slots) == ("ended", 1)
    # What was above the cap before the step is on record after it, and each slot is accounted for.
    assert over(bench) == [True, False, False]
    assert all(math.isfinite(slot.observed_kw) for slot in view.slots)


async def test_a_window_that_begins_while_slurmctld_is_down_is_kept_by_what_is_held_already(
    bench: Bench,
) -> None:
    bench.slurm.advance(1800)
    jobs = [bench.slurm.submit(FLEX, cpus=1, minutes=60) for _ in range(3)]
    await bench.cycle()
    held = {job: bench.begin(job) for job in jobs}
    assert all(begin >= END for begin in held.values())
    bench.slurm.reader_down = True
    await run_on(bench, 2 * SLOT)  # the window has begun
    assert bench.slurm.now >= BEGIN
    assert {job: bench.begin(job) for job in jobs} == held
    unseen = bench.agent.show_window(1)
    assert unseen is not None
    assert all(slot.observed_kw != slot.observed_kw for slot in unseen.slots[:1])
    bench.slurm.reader_down = False
    fresh = bench.slurm.submit(FLEX, cpus=1, minutes=30)
    await bench.cycle()
    assert bench.begin(fresh) >= END
    await run_on(bench, 5 * 3600)
    assert min(bench.slurm.started[job] for job in (*jobs, fresh)) >= END
    assert late(bench) == []


async def test_i7_holds_that_slurmctld_forgot_in_the_window_are_put_back(bench: Bench) -> None:
    bench.slurm.advance(FIRST * SLOT - 120)
    jobs = [bench.slurm.submit(FLEX, cpus=64, minutes=30) for _ in range(3)]
    bench.slurm.save()
    await bench.cycle()
    held = [job for job in jobs if bench.begin(job) > bench.slurm.now]
    before = {job: bench.begin(job) for job in held}
    assert held
    bench.slurm.crash()
    await bench.cycle()
    await bench.cycle()
    assert {job: bench.begin(job) for job in held} == before


async def test_i2_a_full_store_in_the_window_sends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await above_the_cap(bench)
    first = bench.slurm.submit(FLEX, cpus=1)
    await bench.cycle()
    until, effects = bench.begin(first), len(bench.slurm.effects)
    second = bench.slurm.submit(FLEX, cpus=1)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        for name in ("record_intents", "save_records", "add_samples", "add_cycle"):
            patched.setattr(bench.store, name, full)
        patched.setattr(bench.store.power, "add", full)
        for _ in range(5):
            with pytest.raises(sqlite3.OperationalError):
                await bench.cycle()
            bench.slurm.advance(60)
        assert over(bench) == [True, False, False]  # what is on record can still be read
    assert bench.begin(first) == until
    assert bench.begin(second) <= bench.slurm.now
    assert len(bench.slurm.effects) == effects
    # There is room again: held by the next cycle that sees it, and the record has the slot.
    third = bench.slurm.submit(FLEX, cpus=1)
    await bench.cycle()
    assert bench.begin(third) >= END
    await run_on(bench, LAST * SLOT)
    # The second job ran into the next slot: said, not hidden.
    assert over(bench) == [True, True, False]
    view = bench.agent.show_window(1)
    assert view is not None
    assert all(math.isfinite(slot.observed_kw) for slot in view.slots)
    assert all(one.outcome is not None for one in bench.store.all_intents())


async def test_i9_a_dead_helper_in_the_window_makes_no_new_holds_and_keeps_old_ones(
    bench: Bench,
) -> None:
    bench.slurm.advance(FIRST * SLOT + 60)
    first = bench.slurm.submit(FLEX, cpus=1)
    await bench.cycle()
    until = bench.begin(first)
    bench.slurm.helper_down = True
    second = bench.slurm.submit(FLEX, cpus=1)
    await bench.cycle()
    assert (bench.begin(first), bench.begin(second) <= bench.slurm.now) == (until, True)
    warned = bench.agent.status().warnings
    assert any("may fall short: no new holds, the helper does not answer" in one for one in warned)
