from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.settings import PlanningSettings
from flexlond.planning.capacity import blocks_of
from flexlond.planning.problem import NEVER
from flexlond.planning.ranking import rank, run_costs, window_costs

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem

SLOT = 1800
PLAIN = PlanningSettings(carbon_price=60.0, delay_price=0.0, spread=0.0)


def naive(problem: Problem, plan_settings: PlanningSettings, job: int, slot: int) -> float:
    """The law of ranking.py, second by second in whole seconds, with no array tricks."""
    grid = problem.grid
    earliest = max(int(problem.earliest[job]), problem.now)
    start = grid.slot_start(slot)
    lead = min(plan_settings.spread * grid.slot_seconds, (problem.latest[job] - earliest) // 4)
    lead = max(0, lead)
    if slot == grid.slot_of(earliest):
        start = earliest
    elif start + lead > problem.latest[job]:
        return float("inf")
    if start < earliest or start > problem.latest[job]:
        return float("inf")
    cost, at, left = 0.0, start, float(problem.duration[job])
    while left > 0:
        index = grid.slot_of(at)
        if index >= grid.count:
            return float("inf")
        piece = min(left, grid.slot_start(index + 1) - at)
        score = problem.price[index] + plan_settings.carbon_price * problem.carbon[index] / 1000
        if not np.isfinite(score):
            return float("inf")
        cost += float(problem.kw[job]) * piece / 3.6e6 * float(score)
        at, left = at + int(piece), left - piece
    days = (start - earliest) / 86400
    return cost + plan_settings.delay_price * float(problem.delay_weight[job]) * days


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_matrix_equals_a_plain_loop(make_problem: Callable[..., Problem], seed: int) -> None:
    rng = np.random.default_rng(seed)
    slots, jobs = int(rng.integers(1, 30)), 12
    now = 1_790_000_000 + int(rng.integers(0, SLOT))
    price = rng.normal(60, 60, slots)
    carbon = rng.uniform(20, 400, slots)
    price[rng.random(slots) < 0.1] = np.nan
    carbon[rng.random(slots) < 0.1] = np.nan
    start = now - now % SLOT
    problem = make_problem(
        price.tolist(),
        carbon=carbon,
        now=now,
        earliest=now + rng.integers(-SLOT, SLOT * slots + SLOT, jobs),
        latest=np.where(
            rng.random(jobs) < 0.2, NEVER, start + rng.integers(0, SLOT * slots + SLOT, jobs)
        ),
        duration=np.where(
            rng.random(jobs) < 0.4, SLOT * rng.integers(1, 9, jobs), rng.integers(1, 20000, jobs)
        ),
        kw=rng.uniform(0.01, 900, jobs),
        delay_weight=rng.uniform(0, 3, jobs),
    )
    chosen = PlanningSettings(
        carbon_price=60.0, delay_price=0.1, spread=float(rng.choice([0, 0.5]))
    )
    found = rank(problem, chosen, blocks_of(problem)).cost
    wanted = np.array([[naive(problem, chosen, j, s) for s in range(slots)] for j in range(jobs)])
    assert np.array_equal(np.isfinite(found), np.isfinite(wanted))
    known = np.isfinite(wanted)
    scale = np.broadcast_to((problem.kw * problem.duration / 3.6e6 * 400)[:, None], known.shape)
    # float32: relative to the energy, because positive and negative prices may cancel.
    assert np.all(np.abs(found[known] - wanted[known]) <= 2e-6 * scale[known])


def test_a_job_pays_each_slot_by_its_used_part(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem([100.0, 50.0, 10.0], duration=2700.0, kw=1000.0)
    cost = rank(problem, PLAIN, blocks_of(problem)).cost[0]
    assert cost[:2] == pytest.approx([50 + 12.5, 25 + 2.5])
    assert np.isinf(cost[2])  # would leave the horizon


def test_carbon_is_priced_per_tonne(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem([0.0], carbon=[500.0], duration=1800.0, kw=2000.0)
    # 1 MWh x 500 kg/MWh = 0.5 t at 60 GBP
    assert rank(problem, PLAIN, blocks_of(problem)).cost[0, 0] == pytest.approx(30.0)


def test_without_a_carbon_price_unknown_carbon_masks_nothing(
    make_problem: Callable[..., Problem],
) -> None:
    problem = make_problem([10.0, 20.0], carbon=[np.nan, np.nan])
    blocks = blocks_of(problem)
    free = PlanningSettings(carbon_price=0.0)
    assert np.isfinite(rank(problem, free, blocks).cost).all()
    assert not np.isfinite(rank(problem, PLAIN, blocks).cost).any()


def test_the_price_of_delay_is_per_kwh_of_the_weight_and_day(
    make_problem: Callable[..., Problem],
) -> None:
    problem = make_problem([0.0] * 49, kw=3.0, duration=7200.0, delay_weight=12.0)
    chosen = PlanningSettings(delay_price=0.02, carbon_price=0)
    cost = rank(problem, chosen, blocks_of(problem)).cost[0]
    assert cost[24] == pytest.approx(0.5 * 0.02 * 12.0)
    assert cost[0] == 0.0


def test_own_limits_mask_slots_but_never_all_of_them(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(
        [90.0, 40.0, 60.0], max_price=[50.0, 10.0, np.nan], carbon=[1.0, 2.0, 3.0]
    )
    ranking = rank(problem, PLAIN, blocks_of(problem))
    assert np.isfinite(ranking.cost).tolist() == [[False, True, False], [True] * 3, [True] * 3]
    assert ranking.limited.tolist() == [True, False, False]


def test_rows_choose_jobs(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem([5.0, 1.0], kw=[1.0, 2.0, 3.0])
    whole = rank(problem, PLAIN, blocks_of(problem)).cost
    part = rank(problem, PLAIN, blocks_of(problem), np.array([2, 0])).cost
    assert np.array_equal(part, whole[[2, 0]])


def test_a_class_of_equal_lengths_gives_the_same_row_whatever_its_neighbours() -> None:
    from flexlond.model.timegrid import TimeGrid  # noqa: PLC0415  # used here only

    grid = TimeGrid(0, 60, 5)
    score = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    alone = window_costs(grid, score, np.array([60.0]), np.array([90.0]))
    among = window_costs(grid, score, np.array([60.0] * 3), np.array([300.0, 90.0, 9e9]))
    assert np.array_equal(alone[0], among[1])
    assert np.isinf(among[2]).all()
    assert alone[0, 0] == pytest.approx(60 / 3.6e6 * (60 * 1 + 30 * 2))


def test_a_run_over_an_unknown_value_has_no_cost() -> None:
    from flexlond.model.timegrid import TimeGrid  # noqa: PLC0415  # used here only

    grid = TimeGrid(0, 10, 4)
    values = np.array([1.0, np.nan, 3.0, 4.0])
    start, span = np.array([0, 5, 20, 35, -1]), np.array([10.0, 6.0, 20.0, 6.0, 5.0])
    found = run_costs(grid, values, np.full(5, 3600.0), start, span)
    assert found[[0, 2]] == pytest.approx([0.01, 0.07])
    assert np.isnan(found[[1, 3, 4]]).all()
