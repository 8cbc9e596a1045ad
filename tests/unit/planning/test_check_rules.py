"""Every rule of the check by itself: plans whose figures are all true and that break just this rule."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.answer import Outcome, answer
from flexlond.planning.capacity import blocks_of
from flexlond.planning.check import check
from flexlond.planning.problem import NEVER, Proof, Running
from tests.unit.planning.conftest import NOW, SLOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.listing import Listing
    from flexlond.planning.problem import Plan, Problem

PRICE = [50.0, 40.0, 30.0, 20.0, 60.0, 60.0]
HOLE = [50.0, 40.0, 30.0, np.nan, 60.0, 60.0]
FREE = PlanningSettings(carbon_price=0.0, delay_price=0.0, min_benefit=0.0, spread=0.0)
RAMP = PlanningSettings(
    carbon_price=0.0, delay_price=0.0, min_benefit=0.0, spread=1.0, ramp_kw_per_5min=6.0
)


def truthful(problem: Problem, start: list[int], asap: list[int] | None = None) -> Plan:
    """The plan in which the jobs start so many seconds from now; who is later than now is held."""
    grid = problem.grid
    outcome = Outcome.empty(problem)
    outcome.start = NOW + np.array(start)
    outcome.slot = np.minimum((outcome.start - grid.start) // SLOT, grid.count)
    outcome.moved = outcome.start > np.maximum(problem.earliest, problem.now)
    movable = int(problem.movable.sum())
    outcome.proof = Proof(1.0, 0.9, (), np.zeros((3, grid.count)), 0.0, movable)
    soonest = SimpleNamespace(start=NOW + np.array(asap or [0] * problem.jobs))
    return answer(problem, blocks_of(problem), outcome, cast("Listing", soonest))


def test_true_figures_and_kept_rules_pass(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(PRICE, job_id=[1, 2], kw=[5.0, 5.0], latest=NOW + 4 * SLOT)
    assert check(problem, RAMP, truthful(problem, [0, 3 * SLOT])) == ()
    assert check(problem, RAMP, truthful(problem, [3 * SLOT, 3 * SLOT + 300])) == ()


CASES: dict[str, tuple[dict[str, Any], PlanningSettings, list[int], str]] = {
    "room": ({"room": 1.0, "job_id": [1, 2]}, FREE, [3 * SLOT, 3 * SLOT], "more than fits"),
    "room kept longer": (
        {"room": 1.0, "job_id": [1, 2], "occupancy": np.array([1.5 * SLOT, 1.0])},
        FREE,
        [2 * SLOT, 3 * SLOT],
        "more than fits",
    ),
    "reserved": (
        {
            "room": 1.0,
            "running": Running(
                share=np.ones((1, 1)),
                demand=np.ones((1, 1)),
                end=np.array([NOW + 4 * SLOT]),
                kw=np.zeros(1),
                begin=np.array([NOW + 3 * SLOT]),
            ),
        },
        FREE,
        [3 * SLOT],
        "more than fits",
    ),
    "site": ({"site_kw": 5.0, "job_id": [1, 2], "kw": [3.0, 3.0]}, FREE, [3 * SLOT] * 2, "fits"),
    "base": ({"site_kw": 5.0, "base_kw": 3.0, "kw": [3.0]}, FREE, [3 * SLOT], "more than fits"),
    "latest": ({"latest": NOW + 2 * SLOT}, FREE, [3 * SLOT], "late"),
    "earliest": ({"earliest": NOW + SLOT}, FREE, [0], "starts before it may"),
    "consent": ({"movable": False}, FREE, [3 * SLOT], "without consent"),
    "order": (
        {"job_id": [1, 2], "depends": np.array([[1, 0]]), "duration": 2.0 * SLOT},
        FREE,
        [SLOT, 2 * SLOT],
        "before what it waits for",
    ),
    "latest of a predecessor": (
        {"job_id": [1, 2], "depends": np.array([[1, 0]]), "duration": 2.0 * SLOT},
        FREE,
        [3 * SLOT, 5 * SLOT],
        "late",
    ),
    "ramp": (
        {"job_id": [1, 2], "kw": [5.0, 5.0]},
        RAMP,
        [3 * SLOT, 3 * SLOT + 299],
        "five minutes",
    ),
    "ramp after what we started": (
        {"kw": [5.0], "recent": np.array([[NOW - 200.0, 5.0]]), "earliest": NOW - SLOT},
        RAMP,
        [60],
        "five minutes",
    ),
    "unknown then": ({"price": HOLE}, FREE, [3 * SLOT], "what it will cost is unknown"),
    "unknown now": ({"price": [np.nan, *PRICE[1:]]}, FREE, [3 * SLOT], "cost now is unknown"),
    "max-price": ({"max_price": 45.0}, FREE, [4 * SLOT], "above its max-price"),
    "max-carbon": (
        {"max_carbon": 150.0, "carbon": [200.0, 100.0, 200.0, 200.0, 200.0, 200.0]},
        FREE,
        [3 * SLOT],
        "above its max-carbon",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_rule_is_found(make_problem: Callable[..., Problem], case: str) -> None:
    fields, settings, start, words = CASES[case]
    fields = dict(fields)
    latest = NOW + 3 * SLOT if "depends" in fields else NOW + 4 * SLOT
    problem = make_problem(
        fields.pop("price", PRICE), **{"latest": fields.pop("latest", latest), **fields}
    )
    wrong = check(problem, settings, truthful(problem, start))
    assert any(words in one for one in wrong), wrong


def test_a_plan_above_the_carbon_cap_says_so(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(
        PRICE, kw=[10.0], carbon=[200.0] * 6, latest=NOW + 4 * SLOT, co2_cap_kg=0.5
    )
    found = truthful(problem, [3 * SLOT])
    assert check(problem, FREE, found) == ()
    wrong = check(problem, FREE, replace(found, problems=()))
    assert wrong == ("1 kg are above the carbon cap, and the plan does not say so",)


@pytest.mark.parametrize("name", ["peak_kw", "peak_asap_kw"])
def test_the_highest_power_is_worked_out_again(
    make_problem: Callable[..., Problem], name: str
) -> None:
    problem = make_problem(PRICE, job_id=[1, 2], kw=[3.0, 5.0], latest=NEVER)
    found = truthful(problem, [0, 0])
    assert found.totals.peak_kw == pytest.approx(8.0)
    assert check(problem, FREE, found) == ()
    untrue = replace(found, totals=replace(found.totals, **{name: 7.0}))
    assert check(problem, FREE, untrue) == (f"{name} is not what it is",)
