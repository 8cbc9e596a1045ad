"""Windows on the simulated Slurm: kept by deferral, as far as consent and latest starts allow."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.window_ports import WindowOrder
from flexlond.model.job import JobState
from flexlond.model.series import Quality
from tests.unit.agents.conftest import SLOT, START, Bench, replace_struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.agents.window_ports import AddedView, WindowView
    from flexlond.model.settings import Settings

FLEX = "flex: max-delay=8:00:00 power=10kW"
KW = 12.0  # of such a job at the site's meter
BASE = 2 * 120 * 1.2 / 1000
FIRST, LAST = 2, 5  # the window's slots: from 1 h on, for 1.5 h


@pytest.fixture
def bench(tmp_path: Path, settings: Settings) -> Iterator[Bench]:
    """One price all day: nobody waits but for a window."""
    made = Bench(tmp_path / "store.db", settings, [100.0])
    yield made
    made.store.close()


def order(cap: float = math.nan, down: float = math.nan, **more: Any) -> WindowOrder:
    first, last = more.get("first", FIRST), more.get("last", LAST)
    return WindowOrder(START + first * SLOT, START + last * SLOT, cap, down, "alice")


async def add(bench: Bench, **more: Any) -> AddedView:
    found = await bench.agent.add_window(order(**more), dry_run=False)
    await bench.cycle()
    return found


def shown(bench: Bench, number: int = 1) -> WindowView:
    view = bench.agent.show_window(number)
    assert view is not None
    return view


def power(bench: Bench) -> float:
    """What really runs, by the simulated queue itself."""
    jobs = bench.slurm.jobs.values()
    return BASE + sum(KW for job in jobs if job.state is JobState.RUNNING)


async def live(bench: Bench, until: int, *, submit: str = "", every: int = 600) -> dict[int, float]:
    """Beat until `until`; the highest power seen in each slot."""
    highest: dict[int, float] = {}
    while bench.slurm.now < until:
        if submit and (bench.slurm.now - START) % every == 0:
            bench.slurm.submit(submit, cpus=1, minutes=30)
        await bench.cycle()
        bench.slurm.advance(60, step=5)
        slot = (bench.slurm.now - START - 1) // SLOT
        highest[slot] = max(highest.get(slot, 0.0), power(bench))
    return highest


def late(bench: Bench, hours: float = 8.0) -> list[int]:
    """Jobs that began after the delay they had agreed to."""
    started = bench.slurm.started.items()
    return [job for job, at in started if at > bench.slurm.jobs[job].submit + hours * 3600]


async def test_a_window_with_two_slots_notice_is_kept(bench: Bench) -> None:
    await bench.cycle()
    added = await add(bench, cap=40.0)
    assert added.added
    highest = await live(bench, START + 7 * SLOT, submit=FLEX, every=300)
    assert max(highest[slot] for slot in (0, 1)) > 60.0
    assert max(highest[slot] for slot in range(FIRST, LAST)) <= 40.0
    assert late(bench) == []
    view = shown(bench)
    assert view.state == "ended"
    assert view.shortfall_kw == 0.0
    assert all(0 < slot.observed_kw <= 40.0 for slot in view.slots)


async def test_jobs_without_consent_are_untouched_and_what_they_draw_is_left_to_them(
    bench: Bench,
) -> None:
    await bench.cycle()
    await add(bench, cap=25.0)
    bench.slurm.advance(FIRST * SLOT - 60)
    plain = [bench.slurm.submit("", cpus=16, minutes=30) for _ in range(2)]
    flexible = [bench.slurm.submit(FLEX, cpus=1, minutes=30) for _ in range(3)]
    before = [bench.slurm.jobs[job] for job in plain]
    await bench.cycle()
    assert [bench.slurm.jobs[job] for job in plain] == before
    assert all(effect.job_id in flexible for effect in bench.slurm.effects)
    # Idle nodes, two plain jobs of 0.15 kW each and two flexible ones of 12 kW fit under 25 kW; three do not.
    assert len([job for job in flexible if bench.begin(job) > bench.slurm.now]) == 1
    bench.slurm.advance(60)
    assert all(bench.slurm.started[job] <= bench.slurm.jobs[job].submit + 10 for job in plain)


async def test_the_latest_start_beats_the_window_and_that_is_said_before(bench: Bench) -> None:
    await bench.cycle()
    added = await add(bench, cap=5.0)
    assert added.window is not None
    job = bench.slurm.submit("flex: max-delay=3:00:00 power=10kW", cpus=1, minutes=180)
    bench.slurm.edit(job, begin=START + SLOT)
    tight = bench.slurm.submit("flex: max-delay=2:00:00 power=10kW", cpus=1, minutes=180)
    sentence = await bench.cycle()
    assert bench.begin(tight) <= START + 2 * 3600
    assert "window 1 falls short by up to" in sentence
    assert any("window 1 falls short" in text for text in bench.agent.status().warnings)
    view = shown(bench)
    assert view.shortfall_kw > 0
    assert "latest starts" in view.detail
    await live(bench, START + 8 * SLOT)
    assert bench.slurm.started[tight] <= START + 2 * 3600
    assert bench.slurm.started[job] <= START + SLOT + 3 * 3600


async def test_running_jobs_are_not_stopped_and_the_shortfall_names_them(bench: Bench) -> None:
    for _ in range(5):
        bench.slurm.submit(FLEX, cpus=1, minutes=300)
    await bench.cycle()
    bench.slurm.advance(60)
    await bench.cycle()
    await add(bench, cap=30.0)
    view = shown(bench)
    assert view.shortfall_kw == pytest.approx(5 * KW + BASE - 30.0)
    assert view.short_slots == LAST - FIRST
    assert "what runs already draws" in view.detail
    assert "running jobs are not stopped" in view.detail
    assert all(job.state is JobState.RUNNING for job in bench.slurm.jobs.values())


async def test_a_restart_in_the_middle_goes_on_with_the_window(bench: Bench) -> None:
    await bench.cycle()
    await add(bench, cap=40.0)
    await live(bench, START + FIRST * SLOT + 900, submit=FLEX, every=300)
    seen = len(bench.store.samples(1))
    bench.restart()
    assert [view.window_id for view in bench.agent.list_windows()] == [1]
    highest = await live(bench, START + LAST * SLOT, submit=FLEX, every=300)
    assert max(highest.values()) <= 40.0
    samples = bench.store.samples(1)
    assert len(samples) > seen > 0
    assert [one.at for one in samples] == sorted(one.at for one in samples)


async def test_held_jobs_start_by_themselves_when_the_daemon_dies_in_the_window(
    bench: Bench,
) -> None:
    await bench.cycle()
    await add(bench, cap=5.0)
    await live(bench, START + FIRST * SLOT + 900, submit=FLEX, every=600)
    held = [j for j in bench.slurm.jobs if bench.begin(j) > bench.slurm.now]
    begins = {job: bench.begin(job) for job in held}
    bench.slurm.advance(8 * 3600, step=30)
    assert held
    assert all(begins[job] <= bench.slurm.started[job] <= begins[job] + 30 for job in held)
    assert late(bench) == []


async def test_cancelling_a_running_window_gives_back_what_it_held(bench: Bench) -> None:
    await bench.cycle()
    await add(bench, cap=5.0)
    await live(bench, START + FIRST * SLOT + 900, submit=FLEX, every=600)
    held = [j for j in bench.slurm.jobs if bench.begin(j) > bench.slurm.now]
    view = await bench.agent.cancel_window(1)
    assert view is not None
    assert view.state == "cancelled"
    await bench.cycle()
    assert held
    assert all(bench.begin(job) <= bench.slurm.now for job in held)
    bench.restart()
    assert shown(bench).state == "cancelled"
    assert await bench.agent.cancel_window(9) is None


async def test_a_changed_window_takes_the_place_of_the_one_before(bench: Bench) -> None:
    await bench.cycle()
    await add(bench, cap=5.0)
    await live(bench, START + FIRST * SLOT + 900, submit=FLEX, every=600)
    changed = replace(order(cap=50.0, first=FIRST, last=LAST + 1), replaces=1)
    tried = await bench.agent.add_window(changed, dry_run=True)
    assert tried.window is not None
    assert [one.state for one in bench.agent.list_windows()] == ["active"]
    assert (await bench.agent.add_window(changed, dry_run=False)).added
    await bench.cycle()
    assert [one.state for one in bench.agent.list_windows()] == ["cancelled", "active"]
    view = bench.agent.plan()
    assert view is not None
    assert [slot.cap_kw for slot in view.slots[:4]] == [50.0] * 4
    bench.restart()
    assert [shown(bench, number).state for number in (1, 2)] == ["cancelled", "active"]
    await bench.cycle()
    again = await bench.agent.add_window(changed, dry_run=False)
    assert again.window is None
    assert "window 1 is not in force" in again.detail


def watched(bench: Bench, kw: float) -> None:
    """The day before, with `kw` all the time."""
    for at in range(START - 86400, START, SLOT):
        bench.agent._peaks.note(at, kw)


async def test_what_a_window_defers_comes_back_under_the_rebound_cap(bench: Bench) -> None:
    """Four jobs at a time are usual here; what comes back all at once would be more."""
    watched(bench, BASE + 4 * KW)
    await bench.cycle()
    await add(bench, cap=5.0)
    assert shown(bench).rebound_kw == pytest.approx(1.1 * (BASE + 4 * KW))
    highest = await live(bench, START + 10 * SLOT, submit=FLEX, every=900)
    assert max(highest[slot] for slot in range(FIRST, LAST)) <= 5.0
    after = [highest[slot] for slot in range(LAST, 10)]
    assert max(after) <= 1.1 * (BASE + 4 * KW)
    assert late(bench) == []
    assert bench.slurm.started


async def test_a_window_after_which_too_much_comes_back_is_refused_unless_it_is_allowed(
    bench: Bench,
) -> None:
    """Two jobs of the window must start right after it, where two others must start as well."""
    watched(bench, BASE + 2 * KW)
    for begin, delay in ((FIRST, "2:05"), (FIRST, "2:05"), (LAST, "0:30"), (LAST, "0:30")):
        comment = f"flex: max-delay={delay}:00 power=10kW"
        bench.slurm.submit(comment, cpus=1, minutes=30, begin=START + begin * SLOT)
    await bench.cycle()
    asked = order(cap=5.0)
    tried = await bench.agent.add_window(asked, dry_run=True)
    assert tried.window is not None
    assert "nothing was changed; it would be refused: what it defers comes back" in tried.detail
    refused = await bench.agent.add_window(asked, dry_run=False)
    assert refused.window is None
    assert "--allow-rebound" in refused.detail
    assert bench.agent.list_windows() == []
    made = await bench.agent.add_window(replace(asked, allow_rebound=True), dry_run=False)
    assert made.added
    assert "refused" not in made.detail
    lower = await bench.agent.add_window(order(cap=BASE + 2 * KW, first=6, last=8), dry_run=False)
    assert lower.added  # what comes back of the one before it is not of this one


async def test_a_rebound_cap_gives_way_to_the_latest_start(bench: Bench) -> None:
    watched(bench, BASE)
    await bench.cycle()
    await add(bench, cap=5.0)
    jobs = [
        bench.slurm.submit("flex: max-delay=4:00:00 power=10kW", cpus=1, minutes=30)
        for _ in range(3)
    ]
    await live(bench, START + 12 * SLOT)
    assert {job: bench.slurm.started[job] <= START + 4 * 3600 for job in jobs} == dict.fromkeys(
        jobs, True
    )


async def test_overlapping_windows_merge_into_the_lowest_cap(bench: Bench) -> None:
    await bench.cycle()
    await add(bench, cap=50.0, first=2, last=6)
    await add(bench, cap=30.0, first=4, last=8)
    view = bench.agent.plan()
    assert view is not None
    caps = [slot.cap_kw for slot in view.slots[:9]]
    assert caps[2:8] == [50.0, 50.0, 30.0, 30.0, 30.0, 30.0]
    assert all(math.isnan(cap) for cap in (*caps[:2], caps[8]))
    await bench.agent.cancel_window(2)
    await bench.cycle()
    again = bench.agent.plan()
    assert again is not None
    assert [slot.cap_kw for slot in again.slots[2:6]] == [50.0] * 4


async def test_the_sites_own_cap_stays_below_a_higher_window(bench: Bench) -> None:
    planning = replace_struct(bench.settings.planning, site_kw=45.0)
    await bench.agent.reload(replace_struct(bench.settings, planning=planning))
    await bench.cycle()
    await add(bench, cap=60.0)
    view = bench.agent.plan()
    assert view is not None
    assert {slot.cap_kw for slot in view.slots} == {45.0}


async def test_a_full_store_accepts_no_window_and_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.cycle()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "add_window", full)
        with pytest.raises(sqlite3.OperationalError):
            await bench.agent.add_window(order(cap=5.0), dry_run=False)
    assert bench.agent.list_windows() == []
    bench.slurm.advance(FIRST * SLOT)
    job = bench.slurm.submit(FLEX, cpus=1)
    await bench.cycle()
    assert bench.begin(job) <= bench.slurm.now


async def test_i9_a_feed_gone_during_a_window_makes_fewer_holds_never_more(bench: Bench) -> None:
    await bench.cycle()
    await add(bench, cap=5.0)
    bench.slurm.advance(FIRST * SLOT + 60)
    first = bench.slurm.submit(FLEX, cpus=1)
    await bench.cycle()
    until = bench.begin(first)
    assert until >= START + LAST * SLOT
    bench.hub.quality = Quality.ABSENT
    second = bench.slurm.submit(FLEX, cpus=1)
    sentence = await bench.cycle()
    assert bench.begin(first) == until
    assert bench.begin(second) <= bench.slurm.now
    assert "price is absent" in sentence
    added = await bench.agent.add_window(order(cap=5.0, first=6, last=8), dry_run=True)
    assert "for now nothing is held for it: no new holds, price is absent" in added.detail


async def test_a_dry_run_says_what_it_costs_and_moves_and_changes_nothing(bench: Bench) -> None:
    bench.hub.price = [100.0, 100.0, 10.0, 10.0, 100.0, 100.0, 100.0, 100.0]
    jobs = [bench.slurm.submit(FLEX, cpus=1, minutes=60) for _ in range(4)]
    await bench.cycle()
    begins = {job: bench.begin(job) for job in jobs}
    effects = len(bench.slurm.effects)
    found = await bench.agent.add_window(order(cap=20.0, first=2, last=4), dry_run=True)
    assert found.window is not None
    assert (found.added, found.window.window_id) == (False, 0)
    assert len(found.moves) == 3
    assert all(move.before == begins[move.job_id] for move in found.moves)
    assert found.cost_gbp > 0
    assert found.detail == "nothing was changed"
    await bench.cycle()
    assert {job: bench.begin(job) for job in jobs} == begins
    assert len(bench.slurm.effects) == effects
    assert bench.agent.list_windows() == []
    assert bench.store.windows() == []


async def test_caution_about_newcomers_gives_way_to_a_window_before_it_is_in_force(
    bench: Bench,
) -> None:
    """After a job of all CPUs for 20 h nobody is held without a cap: one might come and make them late."""
    large = bench.slurm.submit("", cpus=64, minutes=1200)
    await bench.cycle()
    del bench.slurm.jobs[large]
    jobs = [
        bench.slurm.submit(FLEX, cpus=1, minutes=30, begin=START + FIRST * SLOT) for _ in range(3)
    ]
    await bench.cycle()
    tried = await bench.agent.add_window(order(cap=BASE + KW), dry_run=True)
    assert {move.job_id for move in tried.moves} < set(jobs)
    assert len(tried.moves) == 2
    assert tried.window is not None
    assert tried.window.shortfall_kw == 0.0
    await add(bench, cap=BASE + KW)
    highest = await live(bench, START + 7 * SLOT)
    assert max(highest[slot] for slot in range(FIRST, LAST)) <= BASE + KW
    assert late(bench) == []


async def test_a_reduction_is_relative_to_the_plan_and_fixed_when_it_is_made(bench: Bench) -> None:
    for _ in range(4):
        bench.slurm.submit(FLEX, cpus=1, minutes=120)
    await bench.cycle()
    bench.slurm.advance(30)
    await bench.cycle()
    added = await add(bench, down=12.0)
    assert added.window is not None
    planned = 4 * KW + BASE
    assert added.window.slots[0].cap_kw == pytest.approx(planned - 12.0)
    caps = [slot.cap_kw for slot in shown(bench).slots]
    await live(bench, START + FIRST * SLOT)
    assert [slot.cap_kw for slot in shown(bench).slots] == caps
    assert shown(bench).down_kw == 12.0
    assert math.isnan(shown(bench).cap_kw)


async def test_the_ramp_cap_lets_the_first_slots_down_step_by_step(bench: Bench) -> None:
    planning = replace_struct(bench.settings.planning, ramp_kw_per_5min=3.0)
    await bench.agent.reload(replace_struct(bench.settings, planning=planning))
    for _ in range(5):
        bench.slurm.submit(FLEX, cpus=1, minutes=120)
    await bench.cycle()
    bench.slurm.advance(30)
    await bench.cycle()
    added = await add(bench, cap=20.0)
    assert added.window is not None
    level = 5 * KW + BASE
    caps = [slot.cap_kw for slot in added.window.slots]
    assert caps == pytest.approx([level - 18.0, level - 36.0, 20.0])
    assert [slot.ramp_in for slot in added.window.slots] == [True, True, False]
    assert added.window.ramp_slots == 2


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"cap": 10.0, "first": -4, "last": -1}, "no slot of the window lies in the future"),
        ({"cap": 10.0, "first": 0, "last": 1}, "no slot of the window lies in the future"),
        ({"cap": 10.0, "first": 4, "last": 4}, "ends before it begins"),
        ({"cap": 10.0, "first": 500, "last": 501}, "raise grid.horizon_slots"),
        ({"cap": 0.0}, "give --cap or --down"),
        ({}, "give --cap or --down"),
        ({"down": -3.0}, "give --cap or --down"),
    ],
)
async def test_what_cannot_be_ordered_is_refused_with_what_to_do(
    bench: Bench, wrong: dict[str, float], why: str
) -> None:
    await bench.cycle()
    found = await bench.agent.add_window(order(**wrong), dry_run=False)
    assert found.window is None
    assert not found.added
    assert why in found.detail
    assert bench.store.windows() == []


async def test_before_the_first_cycle_no_window_is_accepted(bench: Bench) -> None:
    found = await bench.agent.add_window(order(cap=10.0), dry_run=False)
    assert "try again" in found.detail
    assert bench.store.windows() == []


async def test_a_window_that_has_begun_is_taken_from_this_slot_on(bench: Bench) -> None:
    bench.slurm.advance(900)
    await bench.cycle()
    added = await add(bench, cap=10.0, first=-3, last=3)
    assert added.window is not None
    assert added.window.start == START
    assert shown(bench).state == "active"
    sentence = await bench.cycle()
    assert "window 1: 0.288 kW of 10 by the model" in sentence


async def test_a_tick_holds_new_jobs_for_the_window_as_well(bench: Bench) -> None:
    await bench.cycle()
    await add(bench, cap=5.0)
    bench.slurm.advance(FIRST * SLOT)
    job = bench.slurm.submit(FLEX, cpus=1)
    await bench.tick()
    assert bench.begin(job) >= START + LAST * SLOT


async def test_the_release_after_a_window_keeps_the_ramp_cap(bench: Bench) -> None:
    planning = replace_struct(bench.settings.planning, ramp_kw_per_5min=25.0)
    await bench.agent.reload(replace_struct(bench.settings, planning=planning))
    await bench.cycle()
    await add(bench, cap=5.0)
    bench.slurm.advance(FIRST * SLOT + 60)
    jobs = [bench.slurm.submit(FLEX, cpus=1, minutes=30) for _ in range(12)]
    for _ in range(3):
        await bench.cycle()
        bench.slurm.advance(30)
    begins = [bench.begin(job) for job in jobs]
    assert min(begins) >= START + LAST * SLOT
    for first in begins:
        assert KW * sum(first <= at < first + 300 for at in begins) <= 25.0
    bench.slurm.advance(10 * 3600, step=30)
    assert len(bench.slurm.started) == len(jobs)
    assert late(bench) == []
