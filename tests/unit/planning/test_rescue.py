"""Who makes way: flexible jobs for those that Slurm's order would start too late, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.check import check
from flexlond.planning.planner import plan
from flexlond.planning.problem import NEVER, Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Plan, Problem

NOW, SLOT, SLOTS = 1_789_999_200, 1800, 24
SETTINGS = PlanningSettings(carbon_price=0.0)


def running(slots: int) -> Running:
    """The whole of four nodes is taken for so long."""
    end = np.array([NOW + slots * SLOT], np.int64)
    return Running(np.array([[1.0]]), np.array([[4.0]]), end, np.array([4.0]))


def crowded(make_problem: Callable[..., Problem], **given: Any) -> Problem:
    """A long job with all the time there is stands before a short one with two hours; both need all nodes."""
    values: dict[str, Any] = {
        "now": NOW,
        "running": running(1),
        "demand": [4.0, 4.0],
        "duration": [6.0 * SLOT, 1.0 * SLOT],
        "latest": [NOW + 20 * SLOT, NOW - SLOT],  # the short one's margin leaves it no time to wait
        "promised": np.array([NOW + 21 * SLOT, NOW + 4 * SLOT]),
    }
    problem: Problem = make_problem([50.0] * SLOTS, **(values | given))
    return problem


def late(problem: Problem, found: Plan) -> int:
    return int((found.start > problem.promised).sum())


def test_a_job_with_time_makes_way_for_one_without(
    make_problem: Callable[..., Problem],
) -> None:
    problem = crowded(make_problem)
    found = plan(problem, SETTINGS)
    assert found.asap.tolist() == [NOW + SLOT, NOW + 7 * SLOT]
    assert found.slot.tolist() == [2, 1]
    assert found.moved.tolist() == [True, False]
    assert late(problem, found) == 0
    assert check(problem, SETTINGS, found) == ()


@pytest.mark.parametrize(
    "given",
    [
        {"movable": [False, True], "latest": [NEVER, NOW - SLOT]},  # no consent
        {"latest": [NOW + SLOT, NOW - SLOT]},  # its own latest start is the next slot
        {"promised": np.array([NOW + 21 * SLOT, NOW + SLOT // 2])},  # cannot be saved
        {"promised": np.array([NOW + 21 * SLOT, NOW - 1])},  # late already
        {"depends": np.array([[1, 0]])},  # it is what the other one waits for
    ],
)
def test_nobody_makes_way_where_it_may_not_or_helps_nobody(
    make_problem: Callable[..., Problem], given: dict[str, Any]
) -> None:
    problem = crowded(make_problem, **given)
    found = plan(problem, SETTINGS)
    assert found.start.tolist() == found.asap.tolist()
    assert not found.moved.any()


def test_without_promises_nobody_makes_way(make_problem: Callable[..., Problem]) -> None:
    found = plan(crowded(make_problem, promised=np.zeros(0, np.int64)), SETTINGS)
    assert not found.moved.any()


@pytest.mark.parametrize("seed", range(12))
def test_fewer_are_late_and_nobody_is_late_for_it(
    make_problem: Callable[..., Problem], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    jobs = 30
    promised = NOW + rng.integers(2, 40, jobs) * SLOT
    flexible = rng.random(jobs) < 0.7
    problem = make_problem(
        rng.uniform(30, 60, 96).tolist(),
        now=NOW,
        running=running(2),
        demand=rng.integers(1, 5, jobs).astype(float),
        duration=rng.integers(1, 6, jobs) * float(SLOT),
        movable=flexible,
        latest=np.where(flexible, promised - SLOT, NEVER),
        promised=np.where(flexible, promised, NEVER),
    )
    found = plan(problem, SETTINGS)
    assert check(problem, SETTINGS, found) == ()
    before = found.asap > problem.promised
    after = found.start > problem.promised
    assert not (after & ~before).any()
    assert after.sum() <= before.sum()
