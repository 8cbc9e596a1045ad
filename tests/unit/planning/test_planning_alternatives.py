"""The other starts of a job: what they cost in the plan as it is, and why they were not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.alternatives import Alternative, alternatives
from flexlond.planning.planner import plan
from flexlond.planning.problem import NEVER, Running
from tests.unit.planning.conftest import NOW, SLOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem

SETTINGS = PlanningSettings(carbon_price=0.0, delay_price=0.0, spread=0.0)


def of_row(
    problem: Problem, row: int = 0, settings: PlanningSettings = SETTINGS, **more: Any
) -> dict[str, Alternative]:
    found = plan(problem, settings)
    listed = alternatives(problem, settings, found, row, **more)
    assert [one.start for one in listed] == sorted(one.start for one in listed)
    return {one.name: one for one in listed}


def test_each_start_once_with_its_cost(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(
        [100, 80, 20, 90, 90, 90], kw=2000.0, latest=NOW + 4 * SLOT, carbon=[100.0] * 6
    )
    found = of_row(problem)
    assert list(found) == ["now", "planned", "latest"]
    assert [one.start for one in found.values()] == [NOW, NOW + 2 * SLOT, NOW + 4 * SLOT]
    assert [one.cost_gbp for one in found.values()] == pytest.approx([100.0, 20.0, 90.0])
    assert found["now"].co2_kg == pytest.approx(100.0)
    assert found["now"].why_not == "80.0000 GBP dearer, carbon, delay and room counted"
    assert found["planned"].why_not == ""


def test_delay_counts_from_the_earliest_moment(make_problem: Callable[..., Problem]) -> None:
    settings = PlanningSettings(carbon_price=0.0, delay_price=24.0, spread=0.0)
    problem = make_problem([900, 900, 10], kw=2.0, delay_weight=1.0, latest=NOW + 2 * SLOT)
    found = of_row(problem, settings=settings)
    # 1 kWh, 24 GBP per kWh and day: 0.50 GBP each half-hour
    assert (found["planned"].start, found["latest"].start) == (NOW, NOW + 2 * SLOT)
    assert found["latest"].delay_gbp == pytest.approx(1.0)
    assert found["planned"].delay_gbp == 0.0


def test_a_full_slot_names_what_is_lacking(make_problem: Callable[..., Problem]) -> None:
    running = Running.in_pools(
        np.array([0]), np.array([[3.0]]), np.array([NOW + SLOT]), np.zeros(1), 1
    )
    problem = make_problem(
        [10, 50, 60, 60], room=4, demand=[2.0], latest=NOW + 3 * SLOT, running=running
    )
    found = of_row(problem, resources=("cpus",))
    assert found["now"].why_not == "no room: cpus"
    assert found["planned"].start == NOW + SLOT
    assert of_row(problem)["now"].why_not == "no room"


def test_the_power_cap_is_told_apart_from_full_nodes(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(
        [60, 20, 50, 60], room=9, kw=[6.0, 6.0], latest=NOW + 3 * SLOT, site_kw=10.0
    )
    plans = [of_row(problem, row) for row in (0, 1)]
    (other,) = [found for found in plans if found["planned"].start != NOW + SLOT]
    assert other["cheapest"].start == NOW + SLOT
    assert other["cheapest"].why_not == "no room under the site's power cap"


def test_room_is_worth_what_the_proof_found(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(
        [60, 20, 50, 60], room=1, kw=[2.0, 4.0], latest=NOW + 3 * SLOT, delay_weight=0.0
    )
    found = plan(problem, SETTINGS)
    loser = int(np.flatnonzero(found.start != NOW + SLOT)[0])
    listed = {one.name: one for one in alternatives(problem, SETTINGS, found, loser)}
    price = found.proof.room_price[0]
    assert listed["cheapest"].room_gbp == pytest.approx(price[1])
    assert price[1] > 0
    assert listed["cheapest"].why_not.startswith("no room")


@pytest.mark.parametrize(
    ("changes", "name", "why"),
    [
        ({"max_price": 30.0}, "now", "above its own max-price"),
        ({"max_carbon": 100.0, "carbon": [200.0, 200, 90, 90]}, "now", "above its own max-carbon"),
    ],
)
def test_its_own_limits(
    make_problem: Callable[..., Problem], changes: dict[str, Any], name: str, why: str
) -> None:
    problem = make_problem([80, 80, 20, 20], latest=NOW + 3 * SLOT, **changes)
    assert of_row(problem)[name].why_not == why


def test_unknown_signals_are_told(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem([80, 20, np.nan, np.nan], latest=NOW + 2 * SLOT)
    found = of_row(problem)
    assert found["latest"].why_not == "price or carbon is not known over the whole run"
    assert np.isnan(found["latest"].cost_gbp)


def test_a_successor_waits_for_its_predecessor(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(
        [80, 80, 20, 20], latest=[NOW + 2 * SLOT, NOW + 3 * SLOT], depends=np.array([[1, 0]])
    )
    found = of_row(problem, 1)
    assert found["now"].why_not == "what it waits for has not ended by then"


def test_a_small_saving_is_below_the_threshold(make_problem: Callable[..., Problem]) -> None:
    settings = PlanningSettings(carbon_price=0.0, delay_price=0.0, spread=0.0, min_benefit=0.2)
    problem = make_problem([50, 45, 60], kw=2000.0, latest=NOW + 2 * SLOT)
    found = of_row(problem, settings=settings)
    assert found["planned"].start == NOW
    assert found["cheapest"].why_not == "a change would save less than the site's threshold"


def test_beyond_the_horizon_there_is_nothing_to_compare(
    make_problem: Callable[..., Problem],
) -> None:
    problem = make_problem([50, 45], demand=[9.0], latest=NEVER)
    found = plan(problem, SETTINGS)
    assert found.slot[0] == 2
    assert alternatives(problem, SETTINGS, found, 0) == ()
