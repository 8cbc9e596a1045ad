"""Holds that are given back because a job that is about to start would stay for too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.capacity import blocks_of
from flexlond.planning.check import check
from flexlond.planning.overtaken import overtaken
from flexlond.planning.planner import plan
from flexlond.planning.problem import NEVER, Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem

NOW, SLOT, SLOTS = 1_789_999_200, 1800, 48


def met(make_problem: Callable[..., Problem], **given: Any) -> Problem:
    """A short job is held for two hours; a long one without consent comes that needs nearly all nodes."""
    price = [90.0] * 4 + [10.0] * 4 + [90.0] * (SLOTS - 8)
    values: dict[str, Any] = {
        "now": NOW,
        "demand": [2.0, 3.0],
        "duration": [2.0 * SLOT, 4.0 * SLOT],
        "limit": np.array([2.0 * SLOT, 20.0 * SLOT]),
        "movable": [True, False],
        "current": [NOW + 4 * SLOT, 0],
        "latest": [NOW + 10 * SLOT, NEVER],
        "promised": np.array([NOW + 12 * SLOT, NEVER]),
    }
    problem: Problem = make_problem(price, **(values | given))
    return problem


def given_back(problem: Problem) -> list[bool]:
    held = problem.current > problem.now
    return overtaken(problem, blocks_of(problem), problem.current, held).tolist()


def test_a_hold_is_given_back_before_it_is_overtaken(make_problem: Callable[..., Problem]) -> None:
    problem = met(make_problem)
    assert given_back(problem) == [True, False]
    settings = PlanningSettings(carbon_price=0.0, delay_price=0.0)
    found = plan(problem, settings)
    assert not found.moved.any()
    assert found.start[0] == NOW
    assert check(problem, settings, found) == ()


@pytest.mark.parametrize(
    "given",
    [
        {"demand": [1.0, 3.0]},  # both fit
        {"limit": np.array([2.0 * SLOT, 7.0 * SLOT])},  # over in time
        {"promised": np.array([NOW + 30 * SLOT, NEVER])},  # can wait so long
        {"earliest": [0, NOW + 9 * SLOT]},  # comes after it
        {"depends": np.array([[1, 0]])},  # waits for it
        {"promised": np.zeros(0, np.int64)},  # nothing was promised
        {"current": [0, 0]},  # nobody is held
    ],
)
def test_a_hold_stays_where_nobody_overtakes_it_for_too_long(
    make_problem: Callable[..., Problem], given: dict[str, Any]
) -> None:
    assert given_back(met(make_problem, **given)) == [False, False]


def test_room_may_come_at_any_moment(make_problem: Callable[..., Problem]) -> None:
    """What waits for a running job is counted as if it started now; who stands behind it is not."""
    running = Running(
        np.array([[1.0]]), np.array([[2.0]]), np.array([NOW + 3 * SLOT]), np.array([2.0])
    )
    assert given_back(met(make_problem, running=running)) == [True, False]
    behind = met(
        make_problem,
        running=running,
        demand=[2.0, 3.0, 3.0],
        duration=[2.0 * SLOT] * 3,
        limit=np.array([2.0 * SLOT, 2.0 * SLOT, 20.0 * SLOT]),
        movable=[True, False, False],
        current=[NOW + 4 * SLOT, 0, 0],
        latest=[NOW + 10 * SLOT, NEVER, NEVER],
        promised=np.array([NOW + 12 * SLOT, NEVER, NEVER]),
    )
    assert given_back(behind) == [False, False, False]
