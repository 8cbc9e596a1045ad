"""A plan made again begins from the one before: its prices prove as much, what fits is only mended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning import planner
from flexlond.planning.instance import Instance
from flexlond.planning.solve import Budget, solve

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Plan, Problem

SETTINGS = PlanningSettings()
ALL = planner.budget_of(SETTINGS).passes


def half_a_minute_later(problem: Problem, first: Plan) -> Problem:
    return replace(problem, now=problem.now + 30, current=np.where(first.moved, first.start, 0))


def passes(found: Plan) -> list[int]:
    return [stage.steps for stage in found.proof.stages if stage.name == "passes"]


@pytest.mark.parametrize("seed", range(1, 7))
def test_the_prices_of_the_plan_before_prove_as_much_in_a_quarter_of_the_steps(
    crowded: Callable[[int], Problem], seed: int
) -> None:
    problem = crowded(seed)
    first = planner.plan(problem, SETTINGS)
    later = half_a_minute_later(problem, first)
    afresh, again = planner.plan(later, SETTINGS), planner.plan(later, SETTINGS, last=first)
    assert again.proof.stages[0].steps <= SETTINGS.dual_steps // 4
    assert again.proof.bound_gbp >= 0.995 * afresh.proof.bound_gbp
    least = min(again.proof.objective_gbp, afresh.proof.objective_gbp)
    assert again.proof.bound_gbp <= least + 1e-9


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_plan_of_the_same_slot_is_mended_without_passes_and_is_no_worse(
    crowded: Callable[[int], Problem], seed: int
) -> None:
    problem = crowded(seed)
    first = planner.plan(problem, SETTINGS)
    later = half_a_minute_later(problem, first)
    again = planner.plan(later, SETTINGS, last=first)
    assert passes(again) == [0]
    # Where a begin time in force may stay it costs less, by the threshold for changes.
    assert again.proof.objective_gbp <= first.proof.objective_gbp
    assert again.totals.moved > 5


def test_under_a_new_power_cap_the_jobs_choose_again(crowded: Callable[..., Problem]) -> None:
    problem = crowded(1, jobs=400)
    first = planner.plan(problem, SETTINGS)
    cap = np.full(problem.grid.count, np.inf)
    cap[2:40] = 0.7 * first.kw[2:40]
    later = replace(half_a_minute_later(problem, first), site_kw=cap)
    assert passes(planner.plan(later, SETTINGS, last=first)) == [ALL]


def test_in_a_later_slot_the_jobs_choose_again(crowded: Callable[[int], Problem]) -> None:
    problem = crowded(1)
    first = planner.plan(problem, SETTINGS)
    grid = replace(problem.grid, start=problem.grid.start + problem.grid.slot_seconds)
    later = replace(half_a_minute_later(problem, first), grid=grid, now=grid.start + 30)
    assert passes(planner.plan(later, SETTINGS, last=first)) == [ALL]


@pytest.mark.parametrize(("dearer", "given_back"), [(4.0, False), (12.0, True)])
def test_all_is_given_back_at_once_only_where_that_is_better_by_two_hundredths(
    *, dearer: float, given_back: bool
) -> None:
    """Each slot has room for one of three jobs; each slot costs `dearer` GBP more than the one before."""
    rate = 100.0 + dearer * np.arange(3.0)[None, :]
    none = np.full((3, 2), -1)
    question = Instance(
        free=np.array([[1.0] * 3, [np.inf] * 3]),
        total=np.array([1.0, np.inf]),
        rate=rate,
        co2=np.zeros((1, 3)),
        width=np.array([1]),
        index=np.array([[0]]),
        need=np.array([[1.0]]),
        cls=np.zeros(3, np.int64),
        scale=np.array([1.0, 0.5, 0.5]),
        first=np.zeros(3, np.int64),
        last=np.full(3, 2),
        beyond=np.full(3, 1e4),
        special=none,
        special_cost=np.full((3, 2), np.inf),
        extra=np.zeros(3, np.int64),
        co2_cap=np.inf,
    )
    before, safe = np.array([1, 0, 2]), np.array([0, 1, 2])
    assert question.objective(before) > question.objective(safe)
    budget = Budget(dual_steps=0, passes=0, search_steps=0, mend=True)
    found = solve(question, budget, hint=before, safe=safe)
    assert found.slot.tolist() == (safe if given_back else before).tolist()
