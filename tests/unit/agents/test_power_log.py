"""What the site drew: metered or modelled, said as such, and no hold hangs on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.window_ports import WindowOrder
from flexlond.model.metering import DAY, Reading, ReadingQuality, absent, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

FLEX = "flex: max-delay=8:00:00"
SLOT = 1800


@dataclass
class SimMeter:
    """A meter that reads what it is told, when it is told."""

    last: tuple[int, float] | None = None
    fresh: list[Reading] = field(default_factory=list)
    configured: bool = True

    def reads(self, at: int, kw: float) -> None:
        self.last = (at, kw)
        found = self.reading(at)
        if found.good:
            self.fresh.append(found)

    def reading(self, now: int) -> Reading:
        if self.last is None:
            return absent("a meter", "it does not answer")
        return judge(*self.last, "a meter", now=now, max_age=120.0, max_kw=1000.0)

    def take(self) -> Sequence[Reading]:
        taken, self.fresh = self.fresh, []
        return taken


@pytest.fixture
def metered(bench: Any) -> Any:
    bench.meter = SimMeter()
    bench.restart()
    return bench


def power(bench: Any) -> Any:
    view = bench.agent.status().power
    assert view is not None
    return view


async def test_without_a_meter_it_is_modelled_and_the_sentence_says_nothing(bench: Any) -> None:
    sentence = await bench.cycle()
    assert "kW" not in sentence
    view = power(bench)
    assert (view.source, view.meter, view.detail) == ("modelled", "", "")
    assert view.observed_kw == view.modelled_kw > 0


async def test_a_good_reading_is_observed(metered: Any) -> None:
    metered.meter.reads(metered.slurm.now - 3, 42.5)
    sentence = await metered.cycle()
    assert sentence.endswith("; 42.5 kW by the meter")
    view = power(metered)
    assert (view.observed_kw, view.source, view.at) == (42.5, "metered", metered.slurm.now - 3)
    assert view.modelled_kw != 42.5


@pytest.mark.parametrize(
    ("age", "kw", "quality"),
    [(121, 42.5, "stale"), (0, -1.0, "absurd"), (0, 1001.0, "absurd"), (-600, 42.5, "absurd")],
)
async def test_a_bad_reading_is_never_used(metered: Any, age: int, kw: float, quality: str) -> None:
    metered.meter.last = (metered.slurm.now - age, kw)
    sentence = await metered.cycle()
    view = power(metered)
    assert (view.source, view.quality) == ("modelled", quality)
    assert view.observed_kw == view.modelled_kw
    assert "kW by the model, not metered: the" in sentence
    assert view.detail in sentence


async def test_a_meter_that_dies_changes_no_hold(metered: Any) -> None:
    jobs = [metered.slurm.submit(FLEX) for _ in range(6)]
    metered.meter.reads(metered.slurm.now, 42.5)
    await metered.cycle()
    held = {job: metered.begin(job) for job in jobs}
    assert max(held.values()) > metered.slurm.now + SLOT
    effects = len(metered.slurm.effects)
    for _ in range(10):
        metered.slurm.advance(30)
        sentence = await metered.cycle()
    assert "by the model, not metered: the last reading is 300 s old" in sentence
    assert {job: metered.begin(job) for job in jobs} == held
    assert len(metered.slurm.effects) == effects
    assert metered.agent.may_delay()


async def test_no_plan_and_no_reading_is_unknown(metered: Any) -> None:
    metered.slurm.reader_down = True
    await metered.cycle()
    view = power(metered)
    assert view.source == "unknown"
    assert math.isnan(view.observed_kw)


async def test_the_meter_is_observed_while_the_queue_cannot_be_read(metered: Any) -> None:
    metered.slurm.reader_down = True
    metered.meter.reads(metered.slurm.now, 42.5)
    await metered.cycle()
    assert power(metered).source == "metered"


async def test_running_jobs_count_and_suspended_ones_for_what_they_still_draw(bench: Any) -> None:
    from flexlond.model.job import JobState  # noqa: PLC0415 -- beside its use

    job = bench.slurm.submit("", cpus=10)
    bench.slurm.advance(30)
    await bench.cycle()
    idle = bench.agent.problem.base_kw
    assert power(bench).modelled_kw == pytest.approx(idle + bench.agent.kw[job])
    bench.slurm.edit(job, state=JobState.SUSPENDED)
    bench.slurm.advance(30)
    await bench.cycle()
    left = 1.0 - bench.settings.windows.suspend_saves
    assert left < 0.5
    assert power(bench).modelled_kw == pytest.approx(idle + left * bench.agent.kw[job])


async def follow(bench: Any, seconds: int, kw: float | None) -> None:
    """Cycles every 30 s, each with a reading of `kw` two seconds before; None: the meter is dead."""
    for _ in range(seconds // 30):
        bench.slurm.advance(30)
        if kw is not None:
            bench.meter.reads(bench.slurm.now - 2, kw)
        await bench.cycle()


async def test_slots_are_metered_where_half_of_them_is_covered(metered: Any) -> None:
    await follow(metered, SLOT, 100.0)
    await follow(metered, SLOT // 2 + 60, 300.0)  # and then it dies
    await follow(metered, SLOT // 2 - 60, None)
    await follow(metered, SLOT // 3, 500.0)
    await follow(metered, SLOT - SLOT // 3, None)
    await follow(metered, 60, 200.0)
    slots = power(metered).slots
    first, second, third, now = slots[-4:]
    assert [one.source for one in (first, second, third, now)] == [
        "metered",
        "metered",
        "modelled",
        "metered",
    ]
    assert first.kw == pytest.approx(100.0)
    assert second.kw == pytest.approx(300.0, rel=0.02)
    # The last reading holds until it is stale, and no longer.
    assert second.coverage == pytest.approx((SLOT // 2 + 60 + 118) / SLOT, abs=0.01)
    assert third.kw == pytest.approx(third.modelled_kw)
    assert third.coverage < 0.5
    assert now.start <= metered.slurm.now < now.start + SLOT


async def test_what_was_read_survives_a_restart_and_is_bounded(metered: Any) -> None:
    await follow(metered, SLOT, 100.0)
    before = power(metered).slots
    metered.restart()
    assert [one for one in power(metered).slots if one.source == "metered"] == [
        one for one in before if one.source == "metered"
    ]
    metered.slurm.now += 2 * DAY + SLOT
    await metered.cycle()
    assert metered.store.power.readings(0) == []
    assert len(metered.store.power.modelled(0)) == 1


async def test_the_model_is_compared_with_the_meter(metered: Any) -> None:
    job = metered.slurm.submit("", cpus=30, minutes=300)
    await follow(metered, 60, None)
    assert math.isnan(power(metered).ratio)
    view = power(metered)
    jobs, base = metered.agent.kw[job], metered.agent.problem.base_kw
    await follow(metered, 600, base + 12.0 + jobs)
    view = power(metered)
    assert view.ratio == pytest.approx((base + 12.0 + jobs) / (base + jobs))
    assert view.base_kw == pytest.approx(base + 12.0)
    assert view.modelled_base_kw == pytest.approx(base)
    assert view.other_kw == pytest.approx(12.0)


async def test_a_base_below_that_of_the_model_advises_nothing_negative(metered: Any) -> None:
    await follow(metered, 600, 0.0)
    assert power(metered).other_kw == 0.0


async def test_a_window_is_judged_by_the_meter_and_its_record_says_so(metered: Any) -> None:
    start = metered.slurm.now + SLOT
    await metered.cycle()
    order = WindowOrder(start, start + 3 * SLOT, 5.0, math.nan, "ops")
    assert (await metered.agent.add_window(order, dry_run=False)).added
    await follow(metered, SLOT, 4.0)  # before it
    await follow(metered, SLOT, 7.0)
    await follow(metered, SLOT, None)  # dead
    await follow(metered, SLOT // 2, 4.5)
    view = metered.agent.show_window(1)
    assert view is not None
    first, second, third = view.slots
    assert [one.observed_source for one in view.slots] == ["metered", "modelled", "metered"]
    assert first.observed_kw == pytest.approx(7.0, rel=0.01)
    assert first.shortfall_kw == pytest.approx(
        2.0, rel=0.05
    )  # by the meter, whatever the model says
    assert first.planned_kw != first.observed_kw
    assert second.observed_kw == pytest.approx(metered.agent.modelled.kw)
    assert second.metered_share < 0.1
    assert third.metered_share > 0.9  # of what is over
    await follow(metered, SLOT, 4.5)
    recorded = metered.store.power.slots(1)
    assert [(one.start, one.source) for one in recorded] == [
        (start, "metered"),
        (start + SLOT, "modelled"),
        (start + 2 * SLOT, "metered"),
    ]
    # For good: days later, with another meter's word about it, and after a restart.
    metered.slurm.now += 3 * DAY
    await metered.cycle()
    metered.restart()
    later = metered.agent.show_window(1)
    assert later is not None
    assert [one.observed_kw for one in later.slots[:2]] == [first.observed_kw, second.observed_kw]
    assert metered.store.power.slots(1) == recorded


async def test_slots_that_end_while_the_daemon_is_away_are_recorded_from_what_was_seen(
    metered: Any,
) -> None:
    await metered.cycle()
    start = metered.slurm.now + SLOT
    order = WindowOrder(start, start + 2 * SLOT, 5.0, math.nan, "ops")
    await metered.agent.add_window(order, dry_run=False)
    await follow(metered, SLOT, 4.0)
    await follow(metered, SLOT, 7.0)
    metered.slurm.now += 2 * SLOT
    metered.restart()
    await metered.cycle()
    one, two = metered.store.power.slots(1)
    assert (one.kw, one.source) == (pytest.approx(7.0, rel=0.01), "metered")
    assert two.source == "modelled"  # from the minute that was seen of it
    assert two.coverage < 0.1


async def test_the_meter_is_recorded_in_a_window_while_slurmctld_is_down(metered: Any) -> None:
    await metered.cycle()
    start = metered.slurm.now + SLOT
    order = WindowOrder(start, start + SLOT, 5.0, math.nan, "ops")
    await metered.agent.add_window(order, dry_run=False)
    await follow(metered, SLOT, 4.0)
    metered.slurm.reader_down = True
    await follow(metered, SLOT + 150, 6.0)
    (recorded,) = metered.store.power.slots(1)
    assert (recorded.kw, recorded.source) == (pytest.approx(6.0, rel=0.01), "metered")
    assert recorded.coverage == pytest.approx(1.0)


async def test_of_a_cancelled_window_only_what_it_bound_is_recorded(metered: Any) -> None:
    await metered.cycle()
    start = metered.slurm.now + SLOT
    order = WindowOrder(start, start + 3 * SLOT, 5.0, math.nan, "ops")
    await metered.agent.add_window(order, dry_run=False)
    await follow(metered, SLOT + 600, 4.0)
    await metered.agent.cancel_window(1)
    await follow(metered, 2 * SLOT, 4.0)
    assert [one.start for one in metered.store.power.slots(1)] == [start]


async def test_a_reading_after_the_clock_was_set_back_replaces_what_it_meets(metered: Any) -> None:
    await follow(metered, 300, 100.0)
    metered.slurm.now -= 150
    await follow(metered, 150, 50.0)
    kept = metered.store.power.readings(0)
    assert [one.at for one in kept] == sorted({one.at for one in kept})
    assert ReadingQuality.GOOD in {one.quality for one in kept}
    assert power(metered).observed_kw == 50.0
