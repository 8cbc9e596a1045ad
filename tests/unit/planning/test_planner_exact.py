"""A whole plan with the exact solver behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.check import check
from flexlond.planning.planner import plan
from flexlond.planning.solve import Budget
from flexlond.solver.improve import Improver

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem


def test_a_whole_plan_takes_the_solvers_better_answer(
    make_problem: Callable[..., Problem],
) -> None:
    pytest.importorskip("highspy", reason="the exact solver is not installed")
    rng = np.random.default_rng(4)
    price = (80 + 30 * np.sin(np.arange(40) / 4) + rng.normal(0, 3, 40)).tolist()
    demand = rng.integers(1, 4, 60).astype(float)
    problem = make_problem(
        price,
        room=12,
        demand=demand,
        kw=demand,
        duration=rng.integers(600, 6 * 1800, 60).astype(float),
        latest=make_problem([1.0]).grid.start + 100 * 1800,
    )
    settings = PlanningSettings(delay_price=0.0, carbon_price=0.0)
    budget = Budget(search_steps=0)
    improver = Improver(20.0)
    without = plan(problem, settings, budget=budget)
    found = plan(problem, settings, budget=budget, improve=improver)
    assert improver.detail == ""
    assert found.proof.stages[-1].name == "milp"
    assert found.proof.objective_gbp < without.proof.objective_gbp
    assert found.proof.objective_gbp >= found.proof.bound_gbp - 1e-9
    assert check(problem, settings, found) == ()
