"""Crowded queues, in which a first try leaves a job late: the safer ways still save, nobody is late."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning import planner
from flexlond.planning.capacity import blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Plan, Problem

SETTINGS = PlanningSettings()


def newly_late(problem: Problem, found: Plan) -> int:
    latest = blocks_of(problem).latest
    return int(((found.start > latest) & (found.asap <= latest)).sum())


@pytest.mark.parametrize("seed", [24, 40, 45, 1, 7])
def test_no_job_comes_out_late_although_room_is_scarce(
    crowded: Callable[[int], Problem], seed: int
) -> None:
    problem = crowded(seed)
    found = planner.plan(problem, SETTINGS)
    assert newly_late(problem, found) == 0
    assert found.totals.moved > 5
    assert found.proof.bound_gbp <= found.proof.objective_gbp + 1e-9


def test_even_so_it_saves(crowded: Callable[[int], Problem]) -> None:
    totals = [planner.plan(crowded(seed), SETTINGS).totals for seed in (24, 40, 45, 1, 7)]
    saved = [one.cost_asap_gbp - one.cost_gbp for one in totals]
    assert sum(saved) > 0.01 * sum(one.cost_asap_gbp for one in totals)
    assert min(saved) > -0.01 * totals[saved.index(min(saved))].cost_asap_gbp


@pytest.mark.parametrize("seed", [24, 40, 45])
def test_begin_times_in_force_do_not_make_others_late(
    crowded: Callable[[int], Problem], seed: int
) -> None:
    problem = crowded(seed)
    first = planner.plan(problem, SETTINGS)
    held = np.where(first.moved, first.start, 0)
    # New jobs with little time arrive in front of the queue.
    rush = np.arange(problem.jobs) % 10 == 0
    later = replace(
        problem,
        now=problem.now + 60,
        current=np.where(rush, 0, held),
        movable=problem.movable | rush,
        latest=np.where(rush, problem.now + 4000, problem.latest),
    )
    found = planner.plan(later, SETTINGS)
    assert newly_late(later, found) == 0


def test_a_plan_that_costs_more_than_as_soon_as_possible_is_not_used(
    monkeypatch: pytest.MonkeyPatch, crowded: Callable[[int], Problem]
) -> None:
    monkeypatch.setattr(planner, "no_worse", lambda *_: False)
    found = planner.plan(crowded(1), SETTINGS)
    assert np.array_equal(found.start, found.asap)
    assert found.totals.moved == 0


def test_a_first_plan_is_proved_within_a_few_hundredths_where_room_is_scarce(
    crowded: Callable[[int], Problem],
) -> None:
    """Where the passes leave many without a place, inserting one job after the other leaves fewer."""
    proofs = [planner.plan(crowded(seed), SETTINGS).proof for seed in range(1, 9)]
    gaps = [proof.objective_gbp / proof.bound_gbp - 1 for proof in proofs]
    assert min(gaps) >= 0
    assert sum(gaps) / len(gaps) < 0.035
