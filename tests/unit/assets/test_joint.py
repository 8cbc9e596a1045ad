"""Jobs and assets together against the exact optimum, and what is said when an asset cannot be planned with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.assets.joint import high_kw, plan_jointly
from flexlond.assets.plant import Reading
from flexlond.planning.capacity import blocks_of
from flexlond.solver.linear import Answer, Model, solve
from tests.unit.assets.joint_cases import SETTINGS, exact, limits_kept, random_case

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.mark.parametrize("seed", [1, 2, 4, 7])
def test_within_one_percent_of_the_exact_optimum(seed: int) -> None:
    case = random_case(seed)
    optimum = exact(case)
    assert optimum is not None
    found = plan_jointly(
        case.problem,
        SETTINGS,
        case.assets,
        case.readings,
        solver=solve,
        seconds=300.0,
        export_kw=case.export_kw,
    )
    assert (found.cost_gbp - optimum) / abs(optimum) <= 0.01
    assert found.cost_gbp >= optimum - 1e-3 * abs(optimum)
    assert limits_kept(case, found.dispatch.kw) == []
    power = high_kw(case.problem, found.plan.start) + found.dispatch.total_kw
    assert (power <= case.problem.site_kw + 1e-3).all()
    assert (found.plan.start <= case.problem.latest).all()


def test_without_the_exact_model_the_cap_and_the_limits_are_kept_all_the_same() -> None:
    case = random_case(2)
    found = plan_jointly(
        case.problem, SETTINGS, case.assets, case.readings, solver=solve, exact=False
    )
    assert {stage.name for stage in found.stages} >= {"jobs first", "assets first", "relaxed"}
    assert not found.proven
    assert not found.dispatch.over_kw.any()
    assert limits_kept(case, found.dispatch.kw) == []


def test_a_stale_chiller_is_left_out_and_its_power_is_kept_free_for_it() -> None:
    case = random_case(2)
    stale = {**case.readings, "chiller": Reading(case.problem.now - 600, 18.0, 0.0)}
    found = plan_jointly(case.problem, SETTINGS, case.assets, stale, solver=solve, exact=False)
    assert found.dispatch.names == ("battery",)
    assert "chiller is left out: its reading is 600 s old" in found.problems[0]
    power = high_kw(case.problem, found.plan.start) + found.dispatch.total_kw
    left = case.problem.site_kw - case.chiller.max_kw
    assert (power <= left + found.dispatch.over_kw + 1e-3).all()


def test_without_a_solver_the_jobs_are_planned_beside_assets_at_rest() -> None:
    case = random_case(2)

    def silent(
        model: Model,
        seconds: float,
        *,
        gap: float = 1e-6,
        start: NDArray[np.float64] | None = None,
    ) -> Answer | None:
        return None

    found = plan_jointly(case.problem, SETTINGS, case.assets, case.readings, solver=silent)
    assert found.dispatch.names == ()
    assert "no dispatch" in found.problems[-1]
    assert found.room_kw == pytest.approx(case.problem.site_kw - case.chiller.max_kw)
    assert len(found.plan.start) == case.problem.jobs


def test_without_a_cap_jobs_and_assets_have_nothing_to_share() -> None:
    case = random_case(2)
    free = replace(case.problem, site_kw=np.zeros(0))
    found = plan_jointly(free, SETTINGS, case.assets, case.readings, solver=solve)
    assert [stage.name for stage in found.stages] == ["assets first"]
    assert not len(found.room_kw)


def test_the_power_that_may_be_drawn_counts_whole_slots() -> None:
    case = random_case(3)
    problem = case.problem
    start = problem.earliest.copy()
    power = high_kw(problem, start)
    blocks = blocks_of(problem)
    expected = np.full(problem.grid.count, problem.base_kw)
    for at, end, kw in (
        *zip(start, start + blocks.hold, problem.kw, strict=True),
        (problem.grid.start, problem.running.end[0], problem.running.kw[0]),
    ):
        for slot in range(problem.grid.count):
            begins = problem.grid.slot_start(slot)
            expected[slot] += kw * (at < begins + problem.grid.slot_seconds and end > begins)
    assert power == pytest.approx(expected)
