"""The rebound cap: windows come first, and of plans that keep them alike the lowest one after them."""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.planner import plan
from flexlond.planning.rebound import FEW, plan_with_rebound
from tests.unit.planning.conftest import NOW, SLOT, build

if TYPE_CHECKING:
    from flexlond.planning.problem import Plan, Problem

FREE = np.inf
PLAIN = PlanningSettings(delay_price=0.0, min_benefit=0.0, spread=0.0, carbon_price=0.0)
WINDOW = np.array([FREE, 10.0, 10.0, FREE, FREE, FREE])
REBOUND = np.array([FREE, FREE, FREE, 20.0, 20.0, 20.0])


def problem(jobs: int = 1) -> Problem:
    return build([50.0] * 6, room=1000, kw=[1.0] * jobs, site_kw=WINDOW)


@dataclass
class Planner:
    """Answers with the power that is written down for the slots that are capped after the window."""

    answers: dict[tuple[int, ...], list[float]]
    asked: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, problem: Problem) -> Plan:
        slots = tuple(np.flatnonzero(np.isfinite(problem.site_kw)).tolist())
        self.asked.append(slots[2:])
        return changed(plan(problem, PLAIN), kw=np.array(self.answers[slots[2:]]))


ALL, NONE = (3, 4, 5), ()
KEPT = [30.0, 10.0, 10.0, 20.0, 20.0, 20.0]


def test_a_plan_that_keeps_both_caps_is_the_only_one() -> None:
    planner = Planner({ALL: KEPT})
    asked, found = plan_with_rebound(problem(), REBOUND, planner)
    assert planner.asked == [ALL]
    assert found.kw.tolist() == KEPT
    assert asked.site_kw.tolist() == np.minimum(WINDOW, REBOUND).tolist()


def test_where_the_cap_on_all_slots_costs_the_window_it_is_kept_where_it_was_broken() -> None:
    planner = Planner(
        {
            ALL: [30.0, 15.0, 10.0, 20.0, 20.0, 20.0],
            NONE: [30.0, 10.0, 10.0, 20.0, 26.0, 20.0],
            (4,): [30.0, 10.0, 10.0, 20.0, 20.0, 24.0],
            (4, 5): KEPT,
        }
    )
    asked, found = plan_with_rebound(problem(), REBOUND, planner)
    assert planner.asked == [ALL, NONE, (4,), (4, 5)]
    assert found.kw.tolist() == KEPT
    assert np.isinf(asked.site_kw[3])


def test_the_window_comes_first_whatever_comes_back() -> None:
    planner = Planner(
        {
            ALL: [30.0, 15.0, 10.0, 20.0, 20.0, 20.0],
            NONE: [30.0, 10.0, 10.0, 90.0, 20.0, 20.0],
            (3,): [30.0, 12.0, 10.0, 20.0, 20.0, 20.0],
        }
    )
    asked, found = plan_with_rebound(problem(), REBOUND, planner)
    assert found.kw[3] == 90.0
    assert asked.site_kw.tolist() == WINDOW.tolist()


@pytest.mark.parametrize(("with_it", "without", "chosen"), [(26.0, 22.0, 22.0), (22.0, 26.0, 22.0)])
def test_of_plans_alike_in_the_window_the_lower_one_after_it(
    with_it: float, without: float, chosen: float
) -> None:
    """Also where neither keeps the window."""

    def kw(after: float) -> list[float]:
        return [30.0, 15.0, 10.0, 20.0, after, 20.0]

    planner = Planner({ALL: kw(with_it), NONE: kw(without), (4,): kw(27.0)})
    _, found = plan_with_rebound(problem(), REBOUND, planner)
    assert found.kw[4] == chosen


def test_where_it_cannot_be_kept_the_lowest_peak_is_taken_and_one_between_is_tried() -> None:
    """One slot far above the cap is less kW in all than three a little above it, and a higher peak."""
    asked_for = []

    def planner(asked: Problem) -> Plan:
        cap = float(asked.site_kw[4])
        asked_for.append(cap)
        after = [30.0, 20.0, 20.0] if cap in {20.0, FREE} else [25.0, 25.0, 25.0]
        return changed(plan(asked, PLAIN), kw=np.array([30.0, 10.0, 10.0, *after]))

    _, found = plan_with_rebound(problem(), REBOUND, planner)
    assert found.kw.max(initial=0.0, where=REBOUND < FREE) == 25.0
    assert 25.0 in asked_for
    assert len(asked_for) <= 7


def test_who_is_not_held_counts_from_his_first_moment_in_that_comparison() -> None:
    """Slurm starts him as soon as there is room on the nodes, which is sooner than is thought."""
    one = build([50.0] * 6, room=1000, kw=[10.0], latest=[1 << 40], site_kw=WINDOW)

    def planner(asked: Problem) -> Plan:
        held = bool(np.isfinite(asked.site_kw[3]))
        later = one.grid.slot_start(5)
        kw = np.array([30.0, 10.0, 10.0, 21.0 if held else 18.0, 15.0, 15.0])
        found = plan(build([50.0] * 6, room=1000, kw=[10.0], latest=[1 << 40]), PLAIN)
        return changed(found, kw=kw, start=np.array([later]), moved=np.array([held]))

    after = np.array([20.0, FREE, FREE, 20.0, 20.0, 20.0])
    asked, found = plan_with_rebound(one, after, planner)
    assert found.moved.tolist() == [True]
    assert np.isfinite(asked.site_kw[3])


def test_a_long_queue_is_planned_twice_at_most() -> None:
    planner = Planner(
        {ALL: [30.0, 15.0, 10.0, 20.0, 20.0, 20.0], NONE: [30.0, 10.0, 10.0, 26.0, 20.0, 20.0]}
    )
    _, found = plan_with_rebound(problem(FEW + 1), REBOUND, planner)
    assert planner.asked == [ALL, NONE]
    assert found.kw[3] == 26.0


def test_without_such_a_cap_there_is_one_plan_by_the_planner_itself() -> None:
    calls = []

    def planner(problem: Problem) -> Plan:
        calls.append(problem)
        return plan(problem, PLAIN)

    one = build([50.0] * 6, kw=[10.0], latest=[1 << 40], duration=[float(SLOT)], site_kw=WINDOW)
    asked, _ = plan_with_rebound(one, np.full(6, FREE), planner)
    assert calls == [one]
    assert asked is one


@pytest.mark.parametrize(("cap", "starts"), [(30.0, [0, 0]), (15.0, [0, 2])])
def test_caution_gives_way_where_all_that_it_gives_back_would_be_a_peak(
    cap: float, starts: list[int]
) -> None:
    """Two jobs that caution gives back now, of two slots and 12 kW each: under 15 kW one after the other."""
    now = NOW + np.zeros(2, np.int64)
    cautious = build(
        [50.0] * 6,
        room=1000,
        kw=[12.0] * 2,
        duration=[2 * SLOT] * 2,
        latest=now,
        may_wait=now + 4 * SLOT,
    )
    asked: list[Problem] = []

    def planner(problem: Problem) -> Plan:
        asked.append(problem)
        return plan(problem, PLAIN)

    answered, found = plan_with_rebound(cautious, np.full(6, cap), planner)
    assert sorted(((found.start - NOW) // SLOT).tolist()) == starts
    assert len(asked) == len(set(starts))
    assert answered is asked[-1]
