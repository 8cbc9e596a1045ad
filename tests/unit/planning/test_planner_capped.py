"""The site's power cap: it binds those that may be held, as far as their latest starts allow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.check import check
from flexlond.planning.planner import plan
from flexlond.planning.problem import NEVER, Running
from tests.unit.planning.conftest import SLOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Plan, Problem

PLAIN = PlanningSettings(delay_price=0.0, min_benefit=0.0, spread=0.0, carbon_price=0.0)
FREE = np.inf


@pytest.fixture
def window(make_problem: Callable[..., Problem]) -> Callable[..., Problem]:
    """Eight slots of one price, a cap in slots 2 to 4, jobs of 10 kW that last two slots."""

    def make(cap: float = 10.0, **more: Any) -> Problem:
        caps = np.array([FREE, FREE, cap, cap, cap, FREE, FREE, FREE])
        jobs = len(more.get("kw", [10.0]))
        values: dict[str, Any] = {
            "kw": [10.0] * jobs,
            "duration": [2.0 * SLOT] * jobs,
            "latest": [1 << 40] * jobs,
            "movable": [True] * jobs,
            "room": 100,
            "site_kw": caps,
        } | more
        start = make_problem([0.0]).grid.start
        values["latest"] = np.array(
            [at if at >= NEVER or at > start else start + at for at in values["latest"]]
        )
        if "earliest" in values:
            values["earliest"] = start + np.array(values["earliest"])
        return make_problem([50.0] * 8, **values)

    return make


def above(problem: Problem, found: Plan) -> list[float]:
    return np.maximum(found.kw - problem.site_kw, 0.0).round(3).tolist()


def test_a_job_that_only_power_keeps_waiting_is_held(window: Callable[..., Problem]) -> None:
    problem = window(cap=5.0, earliest=[2 * SLOT])
    found = plan(problem, PLAIN)
    assert found.slot.tolist() == [5]
    assert found.moved.tolist() == [True]
    assert found.asap.tolist() == [problem.grid.slot_start(2)]
    assert found.problems == ()


def test_the_power_of_jobs_without_consent_is_counted_and_they_are_left_where_they_are(
    window: Callable[..., Problem],
) -> None:
    problem = window(
        cap=25.0,
        kw=[10.0] * 3,
        earliest=[2 * SLOT] * 3,
        movable=[True, False, True],
        latest=[1 << 40, NEVER, 1 << 40],
    )
    found = plan(problem, PLAIN)
    assert found.slot[1] == 2
    assert not found.moved[1]
    assert sorted(found.slot[[0, 2]].tolist()) in ([2, 4], [2, 5])
    assert above(problem, found) == [0.0] * 8


def test_what_runs_leaves_the_rest_of_the_cap(window: Callable[..., Problem]) -> None:
    problem = window(cap=15.0, earliest=[2 * SLOT])
    busy = Running.in_pools(
        np.array([0]),
        np.array([[1.0]]),
        np.array([problem.grid.slot_start(4)]),
        np.array([8.0]),
        1,
    )
    found = plan(replace(problem, running=busy), PLAIN)
    assert found.slot.tolist() == [4]


def test_a_cap_that_what_cannot_be_held_exceeds_is_said_and_nothing_is_added(
    window: Callable[..., Problem],
) -> None:
    problem = window(
        cap=5.0,
        kw=[10.0] * 2,
        earliest=[2 * SLOT] * 2,
        movable=[False, True],
        latest=[NEVER, 1 << 40],
    )
    found = plan(problem, PLAIN)
    assert found.slot.tolist() == [2, 5]
    assert above(problem, found) == [0, 0, 5.0, 5.0, 0, 0, 0, 0]
    assert "the power cap is not kept in 2 slots, by up to 5 kW" in found.problems[0]


def test_the_latest_start_beats_the_cap_where_it_adds_least(
    window: Callable[..., Problem],
) -> None:
    # From slot 1 on, at the latest in slot 4: slots 1, 2, 3 and 4 put 1, 2, 2 and 1 slots over the cap.
    problem = window(cap=5.0, earliest=[1 * SLOT], latest=[4 * SLOT + 1])
    found = plan(problem, PLAIN)
    assert found.slot.tolist() == [1]
    later = window(cap=5.0, earliest=[2 * SLOT], latest=[4 * SLOT + 1])
    found = plan(later, PLAIN)
    assert found.slot.tolist() == [4]
    assert found.moved.tolist() == [True]
    assert found.start[0] <= later.latest[0]
    assert above(later, found) == [0, 0, 0, 0, 5.0, 0, 0, 0]
    assert check(later, PLAIN, found) == ()


def test_no_job_is_held_past_its_latest_start_for_the_cap(window: Callable[..., Problem]) -> None:
    for last in range(8):
        problem = window(cap=0.0, earliest=[SLOT], latest=[last * SLOT + 1])
        found = plan(problem, PLAIN)
        assert found.start[0] <= max(problem.latest[0], problem.earliest[0])


def test_jobs_that_come_sooner_because_others_wait_take_the_cap_from_them(
    window: Callable[..., Problem],
) -> None:
    # One place: the plain job waits behind the flexible one, and comes in the window when that is deferred.
    problem = window(
        cap=12.0,
        kw=[9.0, 9.0, 4.0],
        duration=[3.0 * SLOT, 3.0 * SLOT, 3.0 * SLOT],
        earliest=[2 * SLOT] * 3,
        movable=[True, False, True],
        latest=[1 << 40, NEVER, 1 << 40],
        demand=[[2.0], [2.0], [1.0]],
        room=3,
    )
    found = plan(problem, PLAIN)
    assert above(problem, found) == [0.0] * 8
    assert check(problem, PLAIN, found) == ()


def test_a_cap_that_deferring_would_only_miss_by_more_defers_nobody(
    window: Callable[..., Problem],
) -> None:
    # One place: were the flexible job deferred, the plain one behind it would draw 20 kW in the window.
    problem = window(
        cap=0.5,
        kw=[1.0, 20.0],
        earliest=[2 * SLOT] * 2,
        movable=[True, False],
        latest=[1 << 40, NEVER],
        room=1,
    )
    found = plan(problem, PLAIN)
    assert found.slot.tolist() == [2, 4]
    assert not found.moved.any()
    assert "the power cap is not kept in 3 slots" in found.problems[0]
    assert check(problem, PLAIN, found) == ()


def test_a_plan_that_gives_the_cap_up_still_holds_who_is_planned_later(
    window: Callable[..., Problem],
) -> None:
    # As above, and two more that are planned behind: nodes may be free sooner than is thought.
    problem = window(
        cap=0.5,
        kw=[1.0, 20.0, 30.0, 30.0],
        duration=[2.0 * SLOT, 2.0 * SLOT, SLOT, SLOT],
        earliest=[2 * SLOT] * 4,
        movable=[True, False, True, True],
        latest=[1 << 40, NEVER, 1 << 40, 1 << 40],
        room=1,
    )
    found = plan(problem, PLAIN)
    assert found.slot.tolist() == [2, 4, 6, 7]
    assert found.moved.tolist() == [False, False, True, True]
    assert check(problem, PLAIN, found) == ()


def test_who_waits_for_room_is_held_where_he_would_be_over_the_cap_if_it_came_sooner(
    window: Callable[..., Problem],
) -> None:
    busy = Running.in_pools(
        np.array([0, 0]),
        np.array([[1.0], [1.0]]),
        np.array([0, 0]),
        np.array([6.0, 6.0]),
        1,
    )
    capped = window(cap=12.0, kw=[6.0, 6.0], earliest=[2 * SLOT] * 2, room=2)
    end = np.full(2, capped.grid.slot_start(3))
    found = plan(replace(capped, running=replace(busy, end=end)), PLAIN)
    # Room and power from slot 3 on: each alone would fit before, both would not.
    assert found.slot.tolist() == [3, 3]
    assert found.moved.tolist() == [True, True]
    assert min(found.start) >= capped.grid.slot_start(3)
    free = replace(capped, site_kw=np.full(8, FREE), running=replace(busy, end=end))
    assert not plan(free, PLAIN).moved.any()


def test_who_is_let_through_the_cap_waits_for_its_slot_though_nodes_may_be_free_sooner(
    window: Callable[..., Problem],
) -> None:
    problem = window(cap=5.0, earliest=[2 * SLOT], latest=[4 * SLOT + 1], room=1)
    busy = Running.in_pools(
        np.array([0]),
        np.array([[1.0]]),
        np.array([problem.grid.slot_start(4)]),
        np.array([0.0]),
        1,
    )
    found = plan(replace(problem, running=busy), PLAIN)
    assert found.slot.tolist() == [4]
    assert found.uncapped.tolist() == [True]
    assert found.moved.tolist() == [True]
    assert problem.grid.slot_start(4) <= found.start[0] <= problem.latest[0]


def test_without_a_known_price_nobody_is_held_for_the_cap(window: Callable[..., Problem]) -> None:
    problem = window(cap=5.0, earliest=[2 * SLOT])
    found = plan(replace(problem, price=np.full(8, np.nan)), PLAIN)
    assert not found.moved.any()
    assert found.slot.tolist() == [2]


def test_a_begin_time_in_force_stays_while_the_cap_does(window: Callable[..., Problem]) -> None:
    problem = window(cap=5.0, earliest=[2 * SLOT])
    held = problem.grid.slot_start(6) + 7
    found = plan(replace(problem, current=np.array([held])), PLAIN)
    assert found.slot.tolist() in ([5], [6])
    again = plan(replace(problem, current=found.start), PLAIN)
    assert again.start.tolist() == found.start.tolist()


def test_after_the_window_the_ramp_cap_is_kept(window: Callable[..., Problem]) -> None:
    jobs = 12
    problem = window(cap=1.0, kw=[10.0] * jobs, earliest=[2 * SLOT] * jobs, room=jobs)
    settings = PlanningSettings(
        delay_price=1.0, min_benefit=0.0, spread=0.5, carbon_price=0.0, ramp_kw_per_5min=30.0
    )
    found = plan(problem, settings)
    held = found.start[found.moved]
    assert len(held) == jobs
    for first in held.tolist():
        assert 10.0 * ((held >= first) & (held < first + 300)).sum() <= 30.0
    assert above(problem, found) == [0.0] * 8
