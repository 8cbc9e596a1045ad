"""Readings from samples: gaps, resets, duplicates, and the bounds that must hold."""

from __future__ import annotations

import datetime as dt
import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.model.settlement_period import starts_of
from flexlond.settlement.estimated import JobEnergy, from_jobs, from_model
from flexlond.settlement.readings import Quality, Reading, best_of, not_worse, summed
from flexlond.settlement.sampled import Limits, from_counter, from_power
from tests.unit.settlement.settlekit import POINT, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

T0 = 1_789_000_200  # a half-hour
LIMITS = Limits(max_kw=100.0, max_gap=120.0)
MOST = 100_000 // 2  # Wh in a half-hour


def counter(samples: Sequence[tuple[float, float]], count: int = 1) -> list[Reading]:
    starts = [T0 + 1800 * n for n in range(count)]
    return from_counter(POINT, samples, starts, LIMITS, source="meter")


def steady(
    begin: int, end: int, kw: float, first: float = 1e6, every: int = 60
) -> list[tuple[float, float]]:
    return [(at, first + kw * (at - begin) / 3.6) for at in range(begin, end + 1, every)]


def test_a_steady_counter_is_measured() -> None:
    (one,) = counter(steady(T0 - 60, T0 + 1860, 36.0))
    assert (one.wh, one.quality, one.detail) == (18_000, Quality.MEASURED, "")
    assert one.uncertainty_wh == 1  # of the rounding: samples stand on both edges


def test_samples_beside_the_edge_are_shared_and_bounded() -> None:
    (one,) = counter(steady(T0 - 30, T0 + 1830, 36.0))
    assert one.wh == 18_000
    assert one.quality is Quality.MEASURED
    # The 60 s over an edge hold 600 Wh, which may all have been on either side.
    assert one.uncertainty_wh == 601


def test_a_gap_inside_loses_no_energy_and_one_over_the_edge_makes_an_estimate() -> None:
    whole = steady(T0 - 60, T0 + 3660, 36.0)
    inside = [s for s in whole if not T0 + 300 < s[0] < T0 + 1500]
    first, second = counter(inside, 2)
    assert (first.wh, first.quality) == (18_000, Quality.MEASURED)
    over = [s for s in whole if not T0 + 1500 < s[0] < T0 + 2100]
    first, second = counter(over, 2)
    assert (first.quality, second.quality) == (Quality.ESTIMATED, Quality.ESTIMATED)
    assert first.wh == second.wh == 18_000
    assert "no sample within 120 s of its edge" in first.detail
    assert first.uncertainty_wh > 2000


def test_a_reset_makes_its_period_an_estimate_and_no_other() -> None:
    at = T0 + 900
    samples = [
        (t, v if t <= at else v - 1e6 - 36.0 * (at - T0 + 60) / 3.6)
        for t, v in steady(T0 - 60, T0 + 3660, 36.0)
    ]
    first, second = counter(samples, 2)
    assert first.quality is Quality.ESTIMATED
    assert "reset" in first.detail
    assert abs(first.wh - 18_000) <= first.uncertainty_wh
    assert second.quality is Quality.MEASURED


def test_a_rise_above_what_can_be_drawn_is_no_energy() -> None:
    samples = [(t, v + (1e5 if t > T0 + 900 else 0)) for t, v in steady(T0 - 60, T0 + 1860, 36.0)]
    (one,) = counter(samples)
    assert one.quality is Quality.ESTIMATED
    assert "more than can be drawn" in one.detail
    assert one.wh <= MOST


def test_the_same_sample_twice_is_one_and_different_ones_are_none() -> None:
    samples = steady(T0 - 60, T0 + 1860, 36.0)
    assert counter([*samples, samples[5], samples[6]])[0].quality is Quality.MEASURED
    (one,) = counter([*samples, (samples[5][0], samples[5][1] + 40.0)])
    assert (one.quality, one.detail) == (Quality.ESTIMATED, "two values at one moment")
    assert one.wh == 18_000


def test_order_and_garbage_do_not_matter() -> None:
    samples = steady(T0 - 60, T0 + 1860, 36.0)
    bad = [(math.nan, 1.0), (T0 + 7.0, math.nan), (T0 + 8.0, math.inf)]
    assert counter([*bad, *reversed(samples)]) == counter(samples)


def test_little_or_no_cover_is_missing() -> None:
    assert counter([])[0].quality is Quality.MISSING
    (one,) = counter(steady(T0 - 60, T0 + 600, 36.0))
    assert (one.quality, one.wh) == (Quality.MISSING, 0)
    (most,) = counter(steady(T0 - 60, T0 + 1200, 36.0))
    assert (most.quality, most.wh) == (Quality.ESTIMATED, 18_000)
    assert "600 s without samples" in most.detail


def test_the_unit_of_a_counter() -> None:
    joules = [(t, v * 3600) for t, v in steady(T0 - 60, T0 + 1860, 36.0)]
    (one,) = from_counter(POINT, joules, [T0], LIMITS, source="m", wh_per_unit=1 / 3600)
    assert one.wh == 18_000


def test_power_is_integrated_and_held_no_longer_than_the_gap() -> None:
    samples = [(t, 36.0 if t < T0 + 900 else 18.0) for t in range(T0 - 60, T0 + 1900, 60)]
    (one,) = from_power(POINT, samples, [T0], LIMITS, source="meter")
    assert (one.wh, one.quality) == (13_500, Quality.MEASURED)
    holey = [s for s in samples if not T0 + 300 < s[0] < T0 + 700]
    (one,) = from_power(POINT, holey, [T0], LIMITS, source="meter")
    assert one.quality is Quality.ESTIMATED
    assert "300 s without samples" in one.detail
    absurd = [(t, -5.0 if t == T0 + 600 else kw) for t, kw in samples]
    (one,) = from_power(POINT, absurd, [T0], LIMITS, source="meter")
    assert (one.wh, one.quality) == (13_500, Quality.MEASURED)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_clock_change_moves_no_energy(day: str) -> None:
    starts = list(starts_of(dt.date.fromisoformat(day)))
    samples = steady(starts[0] - 60, starts[-1] + 1860, 36.0)
    found = from_counter(POINT, samples, starts, LIMITS, source="meter")
    assert len(found) in {46, 50}
    assert {(one.wh, one.quality) for one in found} == {(18_000, Quality.MEASURED)}


@given(seed=st.integers(0, 2**32 - 1))
def test_no_fault_makes_a_reading_claim_to_be_better_than_it_is(seed: int) -> None:
    """A true load by the minute, its counter with random faults: what is known stays within its bound."""
    dice = random.Random(seed)
    minutes = 30 * 4
    kw = [dice.choice([0.0, 5.0, 30.0, 95.0]) for _ in range(minutes + 60)]
    total, base, samples = 0.0, dice.choice([0.0, 1e5]), []
    for minute in range(minutes + 60):
        samples.append((float(T0 - 1800 + 60 * minute + dice.randrange(3) * 7), base + total))
        # the sample may be some seconds late: its counter reads what was consumed by then
        late = samples[-1][0] - (T0 - 1800 + 60 * minute)
        samples[-1] = (samples[-1][0], base + total + kw[minute] * late / 3.6)
        total += kw[minute] * 60 / 3.6
    for _ in range(dice.randrange(3)):  # resets
        cut = dice.randrange(1, len(samples))
        drop = samples[cut][1] * dice.choice([1.0, 0.999])
        samples = samples[:cut] + [(t, v - drop) for t, v in samples[cut:]]
    for _ in range(dice.randrange(4)):  # gaps
        begin = dice.randrange(len(samples))
        del samples[begin : begin + dice.randrange(1, 25)]
    samples += dice.sample(samples, min(len(samples), dice.randrange(3)))  # duplicates
    if dice.random() < 0.3 and samples:
        t, v = dice.choice(samples)
        samples.append((t, v + 50.0))
    dice.shuffle(samples)
    for number, one in enumerate(counter(samples, 3)):
        true = sum(kw[30 + 30 * number : 60 + 30 * number]) * 60 / 3.6
        if one.quality is Quality.MEASURED or (
            one.known and "without samples" not in one.detail and "two values" not in one.detail
        ):
            assert abs(one.wh - true) <= one.uncertainty_wh + 0.5, (one, true)


def test_the_best_reading_stands_and_of_equals_the_first() -> None:
    a = reading(T0, 1, Quality.ESTIMATED)
    b = reading(T0, 2, Quality.MEASURED)
    c = reading(T0, 3, Quality.MEASURED)
    assert best_of([a], [b], [c]) == [b]
    assert best_of([reading(T0, 0, Quality.MISSING)], [a]) == [a]


def test_what_is_read_again_replaces_only_what_is_not_better() -> None:
    known = {
        (POINT, T0): reading(T0, 5),
        (POINT, T0 + 1800): reading(T0 + 1800, 5, Quality.ESTIMATED),
    }
    guesses = [reading(T0 + 1800 * n, 9, Quality.ESTIMATED) for n in range(3)]
    assert not_worse(guesses, known) == guesses[1:]
    again = [reading(T0, 6), reading(T0 + 1800, 6)]
    assert not_worse(again, known) == again


def test_several_meters_make_one_point_only_together() -> None:
    one = {T0: reading(T0, 100), T0 + 1800: reading(T0 + 1800, 100)}
    two = {T0: reading(T0, 50, Quality.ESTIMATED)}
    both = summed("room", [one, two], "PDUs")
    assert [(r.wh, r.quality) for r in both] == [(150, Quality.ESTIMATED), (0, Quality.MISSING)]
    assert "1 of 2 meters" in both[1].detail


def test_the_energy_of_jobs_is_an_estimate_and_a_run_without_a_figure_leaves_a_hole() -> None:
    starts = [T0, T0 + 1800]
    jobs = [
        JobEnergy("1", T0, T0 + 3600, 7_200_000),  # 2,000 Wh over two periods
        JobEnergy("2", T0 + 600, T0 + 1200, 360_000),
        JobEnergy("3", T0, T0, 5),
    ]
    first, second = from_jobs(POINT, jobs, starts, site_factor=1.5, base_kw=2.0)
    assert (first.wh, second.wh) == (2650, 2500)
    assert {first.quality, second.quality} == {Quality.ESTIMATED}
    holey = from_jobs(POINT, [*jobs, JobEnergy("4", T0 + 1800, T0 + 1900, None)], starts)
    assert [one.quality for one in holey] == [Quality.ESTIMATED, Quality.MISSING]
    assert "(4)" in holey[1].detail


def test_a_model_is_never_measured() -> None:
    samples = [(float(t), 36.0) for t in range(T0 - 60, T0 + 1860, 60)]
    (one,) = from_model(POINT, samples, [T0], LIMITS)
    assert (one.wh, one.quality) == (18_000, Quality.ESTIMATED)
    assert from_model(POINT, [], [T0], LIMITS)[0].quality is Quality.MISSING
