"""A plan that fails its own check is thrown away: over crowded, capped and overfull clusters none ever is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flexlond.model.settings import PlanningSettings
from flexlond.planning.check import check_instance
from flexlond.planning.instance import FIRST, NOWHERE, Instance, Prices
from flexlond.planning.planner import plan
from flexlond.planning.problem import NEVER, Running
from flexlond.planning.room import Placement
from flexlond.planning.solve import Budget, solve
from tests.unit.planning.conftest import NOW
from tests.unit.planning.test_planner_properties import SEEDS, SLOT, random_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Plan, Problem


def crowded_problem(make_problem: Callable[..., Problem], seed: int) -> Problem:
    """50 to 160 jobs; nodes down, reservations, caps of carbon and power, holes, a slot that is nearly over."""
    rng = np.random.default_rng(seed)

    def sometimes(share: float) -> bool:
        return bool(rng.random() < share)

    slots, jobs, pools = int(rng.integers(8, 60)), int(rng.integers(50, 160)), 3
    near_end = SLOT - int(rng.integers(1, 15))
    now = 1_790_000_000 // SLOT * SLOT + int(rng.choice([0, rng.integers(0, SLOT), near_end]))
    price = 80 + 60 * np.sin(np.arange(slots) / 12) + rng.normal(0, 15, slots)
    carbon = rng.uniform(50, 300, slots)
    if sometimes(0.3):
        price[rng.random(slots) < 0.1] = np.nan
    if sometimes(0.2):
        carbon[rng.random(slots) < 0.1] = np.nan
    capacity = np.array([[4.0, 8.0], [4.0, 6.0], [3.0, 9.0]]) * rng.integers(2, 9)
    movable = rng.random(jobs) < 0.8
    busy = int(rng.integers(0, 12))
    running = Running.in_pools(
        rng.integers(-1, pools, busy),
        rng.integers(0, 24 if sometimes(0.4) else 4, (busy, 2)).astype(float),
        now + rng.integers(-50, SLOT * slots, busy),
        rng.uniform(0, 5, busy),
        pools,
    )
    if sometimes(0.5):
        begin = now + rng.integers(-100, SLOT * slots, busy)
        running = replace(running, begin=begin, end=np.maximum(running.end, begin + 60))
    duration = rng.integers(1, 6 * SLOT, jobs).astype(float)
    more: dict[str, object] = {}
    if sometimes(0.5):
        more["occupancy"] = duration * rng.uniform(1, 2, jobs)
        more["limit"] = duration * rng.uniform(1, 4, jobs)
    if sometimes(0.4):
        more["co2_cap_kg"] = float(rng.uniform(0.4, 0.9) * (duration / 3600 * 0.68).sum())
    if sometimes(0.4):
        more["site_kw"] = rng.uniform(30, 150) * rng.uniform(0.5, 1.2, slots)
        more["base_kw"] = float(rng.uniform(0, 20))
    if sometimes(0.3):
        more["recent"] = np.column_stack([now - rng.integers(0, 300, 2), rng.uniform(1, 10, 2)])
    if sometimes(0.4):
        more["depends"] = rng.integers(0, jobs, (int(rng.integers(0, 8)), 2))
    held = rng.random(jobs) < (0.3 if sometimes(0.5) else 0.0)
    return make_problem(
        price.tolist(),
        now=now,
        carbon=carbon,
        earliest=now + rng.integers(-SLOT, SLOT * slots // 2, jobs) * (rng.random(jobs) < 0.5),
        latest=np.where(movable, now + rng.integers(-SLOT, SLOT * slots * 2, jobs), NEVER),
        duration=duration,
        kw=rng.uniform(0.1, 8, jobs),
        demand=rng.integers(0, 4, (jobs, 2)).astype(float),
        pool=rng.integers(0, pools, jobs),
        movable=movable,
        order=rng.permutation(jobs),
        max_price=np.where(rng.random(jobs) < 0.1, 60.0, np.nan),
        max_carbon=np.where(rng.random(jobs) < 0.1, 150.0, np.nan),
        delay_weight=np.ones(jobs),
        current=np.where(held, now + rng.integers(-100, SLOT * slots, jobs), 0),
        capacity=capacity,
        pool_group=[0, 0, 1],
        group_capacity=[[1.5 * capacity[0, 0], 1e9], capacity[2].tolist()],
        running=running,
        **more,
    )


def thrown_away(found: Plan) -> list[str]:
    return [words for words in found.problems if "the plan was not used" in words]


@settings(max_examples=60, deadline=None)
@example(690325)  # a job is let through the power cap: cheaper than the bound under it
@example(20704)  # under a cap a slot is found that is above the job's own max-price
@given(SEEDS)
def test_no_plan_is_thrown_away(make_problem: Callable[..., Problem], seed: int) -> None:
    problem, chosen = crowded_problem(make_problem, seed), random_settings(seed)
    found = plan(problem, chosen)
    assert thrown_away(found) == []


@settings(max_examples=25, deadline=None)
@example(3223859, 29)
@given(SEEDS, st.integers(1, 3 * SLOT))
def test_nor_the_next_one_where_earliest_moments_have_moved(
    make_problem: Callable[..., Problem], seed: int, by: int
) -> None:
    problem, chosen = crowded_problem(make_problem, seed), random_settings(seed)
    found = plan(problem, chosen)
    later = replace(problem, earliest=problem.earliest + by)
    assert thrown_away(plan(later, chosen, last=found)) == []


def one_slot_too_few(jobs: int, free: list[float]) -> Instance:
    """Jobs of one slot and one unit, free to start in slots 1 to 3, all cheapest in slot 1."""
    slots = len(free)
    room = np.vstack([free, np.full(slots, np.inf)])
    return Instance(
        free=room,
        total=room.max(axis=1),
        rate=np.arange(1.0, slots + 1)[None, :],
        co2=np.arange(slots, 0.0, -1)[None, :],
        width=np.array([1]),
        index=np.zeros((1, 1), np.int64),
        need=np.ones((1, 1)),
        cls=np.zeros(jobs, np.int64),
        scale=np.ones(jobs),
        first=np.ones(jobs, np.int64),
        last=np.full(jobs, 3),
        beyond=np.full(jobs, 50.0),
        special=np.full((jobs, 2), -1),
        special_cost=np.full((jobs, 2), np.inf),
        extra=np.zeros(jobs, np.int64),
    )


def test_repair_leaves_nothing_where_more_runs_than_there_is_room() -> None:
    instance = one_slot_too_few(2, [5.0, -1.0, 5.0, 5.0])
    placement = Placement(instance, Prices(np.zeros(instance.free.shape)))
    placement.adopt(np.array([1, 1]))
    placement.repair()
    assert placement.slot.tolist() == [2, 2]
    assert check_instance(instance, placement.slot) == ()


def test_a_start_in_the_first_slot_reaches_further_even_where_it_is_only_the_last_resort() -> None:
    # Its first slot costs too much (its own limit), but it is where it goes as soon as possible.
    instance = replace(one_slot_too_few(1, [1.0, 1.0, 1.0, 1.0]), extra=np.ones(1, np.int64))
    assert instance.special[0, FIRST] == NOWHERE
    safe = instance.with_safe(np.zeros(1, np.int64))
    used = safe.usage(np.zeros(1, np.int64), np.zeros(1, np.int64))
    assert used[0].tolist() == [1.0, 1.0, 0.0, 0.0]
    placement = Placement(safe, Prices(np.zeros(safe.free.shape)))
    placement.put(0, 0)
    assert placement.free[0, :4].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_a_hint_before_the_window_is_not_taken() -> None:
    instance = one_slot_too_few(3, [9.0, 1.0, 9.0, 9.0])
    found = solve(instance, Budget(), hint=np.zeros(3, np.int64))
    assert check_instance(instance, found.slot) == ()
    assert sorted(found.slot.tolist()) == [1, 2, 2]


def test_a_carbon_cap_that_cannot_be_kept_is_said_and_the_bound_stays_one(
    make_problem: Callable[..., Problem],
) -> None:
    # Dear slots are clean; even the cleanest start of every job is above the cap.
    problem = make_problem(
        [10.0, 20.0, 30.0, 90.0],
        room=30,
        carbon=[400.0, 300.0, 200.0, 100.0],
        latest=NOW + 3 * SLOT,
        job_id=[1, 2, 3],
        kw=[10.0, 10.0, 10.0],
    )
    chosen = PlanningSettings(carbon_price=0.0, delay_price=0.0, min_benefit=0.0, spread=0.0)
    found = plan(replace(problem, co2_cap_kg=1.0), chosen)
    assert any("the carbon cap of 1 kg cannot be kept" in words for words in found.problems)
    assert found.co2_kg.sum() == pytest.approx(1.5)
    assert found.proof.bound_gbp <= found.proof.objective_gbp + 1e-9
    assert found.totals.cost_gbp > plan(problem, chosen).totals.cost_gbp


def test_i5_i9_a_plan_that_the_check_refuses_holds_nobody_anew_and_gives_nothing_back_at_once(
    make_problem: Callable[..., Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    price = [200.0] * 4 + [10.0] * 20
    start = make_problem(price).grid.start
    held, late = start + 6 * SLOT, start + 12 * SLOT
    problem = make_problem(
        price,
        kw=100.0,
        latest=start + 10 * SLOT,
        current=[held, late, 0],
        duration=SLOT,
        demand=[1, 1, 1],
    )
    assert plan(problem, PlanningSettings()).moved[2]  # it would be held if the plan were used
    monkeypatch.setattr("flexlond.planning.planner.check", lambda *_: ("something is wrong",))
    found = plan(problem, PlanningSettings())
    assert found.problems[-1] == "the plan was not used, nothing new is held: something is wrong"
    assert found.moved.tolist() == [True, False, False]
    assert found.start.tolist() == [held, problem.now, problem.now]
