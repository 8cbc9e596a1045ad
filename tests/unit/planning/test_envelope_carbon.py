"""Steps of the envelope under caps on carbon: dearer where the cheap place is dirty, none that passes a cap."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.capacity import blocks_of
from flexlond.planning.carbon_caps import emitted_kg
from flexlond.planning.carbon_room import newly_passed
from flexlond.planning.envelope import Curve, Terms, envelope
from flexlond.planning.planner import plan
from flexlond.planning.problem import CapKept, CarbonCap
from tests.unit.planning.conftest import NOW, SLOT, build
from tests.unit.planning.envelope_cases import SETTINGS, Exact, busiest, own_swing, small_queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.steps import Step

FREE = PlanningSettings(spread=0.0, delay_price=0.0, carbon_price=0.0, min_benefit=0.0)
# 100 kW for half an hour: 5, 20, 5, 5 kg and 0.50, 1.00, 1.50, 2.00 GBP.
PRICE, CARBON = [10.0, 20.0, 30.0, 40.0], [100.0, 400.0, 100.0, 100.0]
DOWN = Terms(down=(100.0,), up=(), shares=False)
EXACT = 10.0


def capped(problem: Problem, *caps: tuple[float, list[int]], first: int = 0) -> Problem:
    """Caps of (kg, jobs that count) from slot `first` on."""
    everyone = np.arange(problem.jobs)
    made = tuple(
        CarbonCap(f"carbon cap {n}", np.isin(everyone, jobs), first, problem.grid.count, kg)
        for n, (kg, jobs) in enumerate(caps, start=1)
    )
    return replace(problem, carbon_caps=made)


def queue(jobs: int = 1, carbon: list[float] = CARBON, **given: Any) -> Problem:
    return build(PRICE, kw=[100.0] * jobs, latest=NOW + 3 * SLOT, carbon=carbon, **given)


def curve_of(problem: Problem, terms: Terms = DOWN, window: int = 0) -> tuple[Plan, Curve]:
    last = plan(problem, FREE)
    (curve,) = envelope(problem, FREE, last, [(window, window)], terms)
    return last, curve


@pytest.mark.parametrize("seconds", [0.0, EXACT])
def test_a_step_goes_round_a_slot_that_its_cap_has_no_room_for(seconds: float) -> None:
    terms = replace(DOWN, exact_seconds=seconds)
    _, free = curve_of(queue(), terms)
    _, loose = curve_of(capped(queue(), (20.0, [0])), terms)
    _, tight = curve_of(capped(queue(), (19.0, [0])), terms)
    assert [step.price_gbp for step in free.steps] == pytest.approx([0.5])
    assert [step.price_gbp for step in loose.steps] == pytest.approx([0.5])
    # The price of carbon that keeps the cap is no cost: 30 instead of 10 GBP/MWh and nothing else.
    assert [step.price_gbp for step in tight.steps] == pytest.approx([1.0])
    assert tight.steps[0].start.tolist() == [NOW + 2 * SLOT]
    # What no price of carbon can prove the exact solver does.
    assert tight.steps[0].uncertainty_gbp <= (1e-6 if seconds else 1.0)


@pytest.mark.parametrize("seconds", [0.0, EXACT])
def test_a_step_that_passes_a_cap_is_not_offered_and_the_cap_is_named(seconds: float) -> None:
    dirty = [100.0, 400.0, 400.0, 400.0]
    terms = replace(DOWN, exact_seconds=seconds)
    _, free = curve_of(queue(carbon=dirty), terms)
    _, curve = curve_of(capped(queue(carbon=dirty), (19.0, [0])), terms)
    assert len(free.steps) == 1
    assert curve.steps == ()
    assert [why for _, why in curve.withheld] == ["the carbon cap 1 would not be kept"]


def test_a_cap_binds_those_alone_whom_it_counts() -> None:
    # One of two like jobs may go where it is dirty.
    problem = capped(queue(2, room=2), (19.0, [0]))
    _, curve = curve_of(problem, replace(DOWN, down=(100.0, 200.0)))
    one, both = curve.steps
    assert (one.price_gbp, both.price_gbp) == pytest.approx((0.5, 1.5))
    assert one.jobs.tolist() == [102]
    assert dict(zip(both.jobs.tolist(), both.start.tolist(), strict=True)) == {
        101: NOW + 2 * SLOT,
        102: NOW + SLOT,
    }


def test_what_others_emit_is_not_there_for_the_jobs_that_move() -> None:
    # The second cannot leave its slot and has its 5 kg of the cap: 24 are enough for one move, 26 for it too.
    def price(kg: float) -> list[float]:
        late = np.array([NOW + 3 * SLOT, NOW])
        problem = capped(replace(queue(2, room=2), latest=late), (kg, [0, 1]))
        return [step.price_gbp for step in curve_of(problem)[1].steps]

    assert price(26.0) == pytest.approx([0.5])
    assert price(24.0) == pytest.approx([1.0])


def test_up_nothing_is_pulled_into_a_slot_that_is_too_dirty() -> None:
    waits = replace(queue(), price=np.array([90.0, 80.0, 10.0, 90.0]))
    up = Terms(down=(), up=(100.0,), shares=False)
    _, free = curve_of(waits, up, window=1)
    _, tight = curve_of(capped(waits, (19.0, [0])), up, window=1)
    assert [step.kw for step in free.steps] == pytest.approx([100.0])
    assert tight.steps == ()


def test_a_cap_of_another_day_binds_nobody() -> None:
    problem = capped(queue(), (1.0, [0]), first=2)
    _, curve = curve_of(problem)
    assert [step.start.tolist() for step in curve.steps] == [[NOW + SLOT]]


def test_where_the_plan_in_force_passes_a_cap_a_step_passes_it_by_no_more() -> None:
    # 4 kg are too few for anybody: the job may go on emitting its 5, and goes where it emits no more.
    last, curve = curve_of(capped(queue(), (4.0, [0])))
    assert not last.carbon_caps[0].kept
    assert [step.price_gbp for step in curve.steps] == pytest.approx([1.0])


def tight(seed: int, share: float = 0.97) -> Problem:
    """A small queue in which two caps bind: on everybody, and on every other job in the second half."""
    problem = small_queue(seed)
    free = plan(problem, SETTINGS)
    everyone = np.arange(problem.jobs)
    made = []
    for name, who, first in (("all", everyone >= 0, 0), ("half", everyone % 2 == 0, 12)):
        cap = CarbonCap(name, who, first, 24, 0.0)
        kg = emitted_kg(problem, blocks_of(problem), cap, free.start).sum()
        made.append(replace(cap, total_kg=share * float(kg)))
    return replace(problem, carbon_caps=tuple(made))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("seconds", [0.0, 20.0])
def test_no_offered_step_passes_a_cap(seed: int, seconds: float) -> None:
    problem = tight(seed)
    last, blocks = plan(problem, SETTINGS), blocks_of(problem)
    rows = {job: row for row, job in enumerate(problem.job_id.tolist())}
    curves = envelope(
        problem, SETTINGS, last, [busiest(problem, last)], Terms(exact_seconds=seconds)
    )
    for curve in curves:
        for step in curve.steps:
            start = last.start.copy()
            for job, at in zip(step.jobs.tolist(), step.start.tolist(), strict=True):
                start[rows[job]] = at
            for cap in problem.carbon_caps:
                kg, was = (emitted_kg(problem, blocks, cap, at).sum() for at in (start, last.start))
                assert kg <= max(cap.kg, was) * (1 + 1e-6) + 1e-6


def with_exact(seed: int, terms: Terms) -> Iterator[tuple[Step, float]]:
    """The offered steps about a small queue under caps, with what each costs by the exact optimum."""
    highspy = pytest.importorskip("highspy", reason="the exact optimum needs HiGHS")
    problem = tight(seed)
    last = plan(problem, SETTINGS)
    window = busiest(problem, last)
    exact = Exact.of(problem, last, highspy)
    base = exact.cost()
    for curve in envelope(problem, SETTINGS, last, [window], terms):
        for step in curve.steps:
            yield step, exact.cost(window, own_swing(problem, last, curve, step)) - base


@pytest.mark.parametrize("seed", range(6))
def test_under_caps_a_step_costs_the_exact_difference_under_them(seed: int) -> None:
    for step, true in with_exact(seed, Terms(exact_seconds=20.0)):
        assert step.price_gbp == pytest.approx(true, rel=0.02, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_under_caps_a_price_is_off_by_no_more_than_its_uncertainty(seed: int) -> None:
    for step, true in with_exact(seed, Terms()):
        assert abs(step.price_gbp - true) <= step.uncertainty_gbp + 1e-4


def test_a_plan_with_stops_passes_a_cap_only_where_it_passes_it_by_more() -> None:
    def told(kg: float) -> tuple[CapKept, ...]:
        return (CapKept("cap", 10.0, 0.0, 0.0, kg, 0.0),)

    assert newly_passed(told(9.0), told(10.0)) == ""
    assert newly_passed(told(9.0), told(11.0)) == "cap"
    assert newly_passed(told(12.0), told(11.0)) == ""
    assert newly_passed((), ()) == ""
