"""Small plans by hand; the properties over random problems are in test_planner_properties.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.planner import place, plan
from flexlond.planning.problem import NEVER, Plan, Reason, Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem

SLOT = 1800
PLAIN = PlanningSettings(delay_price=0.0, carbon_price=0.0, min_benefit=0.02)
VALLEY = [100.0, 90.0, 10.0, 80.0, 95.0, 100.0]


@pytest.fixture
def valley(make_problem: Callable[..., Problem]) -> Callable[..., Problem]:
    def build(**given: Any) -> Problem:
        start = make_problem([1.0]).grid.start
        given.setdefault("latest", start + 100 * SLOT)
        return make_problem(given.pop("price", VALLEY), **given)

    return build


def reasons(found: Plan) -> list[str]:
    return [Reason(int(code)).word for code in found.reason]


def test_a_job_waits_for_the_cheapest_slot(valley: Callable[..., Problem]) -> None:
    problem = valley(kw=[1000.0])
    found = plan(problem, PLAIN)
    assert found.slot.tolist() == [2]
    assert found.moved.tolist() == [True]
    assert reasons(found) == ["price"]
    slot = problem.grid.slot_start(2)
    assert slot <= found.start[0] <= slot + SLOT / 2
    assert found.asap.tolist() == [problem.now]
    assert found.cost_asap_gbp[0] == pytest.approx(50.0)
    assert found.totals.moved == 1
    assert found.problems == ()
    assert found.kw_asap.tolist() == [1000, 0, 0, 0, 0, 0]
    assert found.kw.sum() == pytest.approx(1000)


def test_the_cheapest_slot_is_never_promised_to_more_than_fit(
    valley: Callable[..., Problem],
) -> None:
    found = plan(valley(room=2, kw=[1.0] * 6), PLAIN)
    assert sorted(found.slot.tolist()) == [1, 1, 2, 2, 3, 3]
    assert "capacity" in reasons(found)


def test_jobs_without_consent_come_when_they_come(valley: Callable[..., Problem]) -> None:
    found = plan(valley(room=1, movable=[False, False, False, True]), PLAIN)
    assert found.slot.tolist()[:3] == [0, 1, 2]
    assert not found.moved[:3].any()
    assert found.slot[3] == 3
    assert reasons(found)[:3] == ["not-movable"] * 3


def test_the_latest_start_bounds_the_wait(valley: Callable[..., Problem]) -> None:
    start = valley().grid.start
    # Begin times are spread in slot 1, over a quarter of the job's wait at the most: so much must be in time.
    latest = [start + SLOT + SLOT // 3, start + SLOT + SLOT // 3 - 4, start - 1]
    found = plan(valley(latest=latest), PLAIN)
    assert found.slot.tolist() == [1, 0, 0]
    assert found.start[0] <= latest[0]
    assert reasons(found)[1:] == ["latest-start", "latest-start"]
    assert found.problems[0].startswith("no room before the latest start, even as soon as possible")


def test_a_small_saving_is_not_worth_a_wait(valley: Callable[..., Problem]) -> None:
    found = plan(valley(price=[100.0, 99.0]), PLAIN)
    assert found.slot.tolist() == [0]
    assert reasons(found) == ["below-benefit"]
    eager = PlanningSettings(delay_price=0.0, carbon_price=0.0, min_benefit=0.005)
    assert plan(valley(price=[100.0, 99.0]), eager).slot.tolist() == [1]


def test_the_price_of_delay_can_outweigh_a_saving(valley: Callable[..., Problem]) -> None:
    dear = PlanningSettings(delay_price=5.0, carbon_price=0.0)
    found = plan(valley(delay_weight=[1.0, 0.0]), dear)
    assert found.slot.tolist() == [0, 2]


def test_unknown_signals_mean_no_deferral(valley: Callable[..., Problem]) -> None:
    nan = float("nan")
    found = plan(valley(price=[100.0, 90.0, nan, 80.0]), PLAIN)
    assert found.slot.tolist() == [3]
    assert "price is unknown in 1 of 4 slots" in found.problems[0]
    found = plan(valley(price=[nan, 90.0, 10.0, 80.0]), PLAIN)
    assert (found.slot.tolist(), reasons(found)) == ([0], ["no-signal"])
    found = plan(valley(price=[nan] * 4), PLAIN)
    assert (found.slot.tolist(), reasons(found)) == ([0], ["no-signal"])
    assert not found.moved.any()
    carbon = PlanningSettings(delay_price=0.0)
    assert not plan(valley(carbon=[nan] * 6), carbon).moved.any()


def test_a_begin_time_in_force_stays_when_signals_go_and_unless_a_change_pays(
    valley: Callable[..., Problem],
) -> None:
    start = valley().grid.start
    held = start + 2 * SLOT + 77
    found = plan(valley(current=[held]), PLAIN)
    assert (found.start[0], bool(found.moved[0]), reasons(found)) == (held, True, ["price"])
    found = plan(valley(price=[100, 90, 10, 9.9, 95, 100], current=[held]), PLAIN)
    assert (found.start[0], reasons(found)) == (held, ["kept"])
    found = plan(valley(price=[100, 90, 10, 5, 95, 100], current=[held]), PLAIN)
    assert (found.slot[0], reasons(found)) == (3, ["price"])
    found = plan(valley(price=[float("nan")] * 6, current=[held]), PLAIN)
    assert (found.start[0], bool(found.moved[0])) == (held, True)
    # Now is cheapest: it is released.
    found = plan(valley(price=[1, 90, 10, 80, 95, 100], current=[held]), PLAIN)
    assert (found.start[0], bool(found.moved[0])) == (start, False)
    # Past its latest start it does not stay, whatever it saves.
    latest = start + 2 * SLOT
    found = plan(valley(current=[held], latest=latest), PLAIN)
    assert found.start[0] <= latest


def test_a_begin_time_is_displaced_only_where_that_saves_more_than_the_threshold(
    valley: Callable[..., Problem],
) -> None:
    start = valley().grid.start
    held = start + 2 * SLOT + 10
    found = plan(valley(room=1, current=[0, held], kw=[1.0, 1.0]), PLAIN)
    assert found.slot.tolist() == [3, 2]
    assert found.start[1] == held
    # Slot 2 is worth 70 a MWh to both; the exchange saves 70 x the difference in power.
    found = plan(valley(room=1, current=[0, held], kw=[1.001, 1.0]), PLAIN)
    assert (found.slot.tolist(), found.start[1]) == ([3, 2], held)
    found = plan(valley(room=1, current=[0, held], kw=[50.0, 1.0]), PLAIN)
    assert found.slot.tolist() == [2, 3]


def test_a_settled_plan_stays_while_the_world_does(valley: Callable[..., Problem]) -> None:
    rng = np.random.default_rng(5)
    price = (80 + 30 * np.sin(np.arange(40) / 4) + rng.normal(0, 3, 40)).tolist()
    demand = rng.integers(1, 4, 60).astype(float)
    given = {
        "price": price,
        "room": 12,
        "demand": demand,
        "kw": demand,
        "duration": rng.integers(600, 6 * SLOT, 60).astype(float),
        "movable": rng.random(60) < 0.7,
    }
    # The search has a budget, so the first plans after each other still improve; then nothing moves.
    found, changes = plan(valley(**given), PLAIN), []
    for beat in range(1, 11):
        before = found
        current = np.where(before.moved, before.start, 0)
        now = before.grid.start + beat
        found = plan(valley(**given, current=current, now=now), PLAIN, last=before)
        changes.append(int((found.start != before.start)[before.moved].sum()))
        # A second of delay aside, no plan is worse than the one before it.
        assert found.proof.objective_gbp <= before.proof.objective_gbp * 1.001
    assert found.moved.sum() > 10
    assert changes[0] < before.moved.sum()
    assert changes[-3:] == [0, 0, 0]


def test_own_price_limits_wait_even_below_the_benefit(valley: Callable[..., Problem]) -> None:
    found = plan(valley(price=[100.0, 99.5, 100.0], max_price=[99.7]), PLAIN)
    assert (found.slot.tolist(), reasons(found)) == ([1], ["max-price"])
    found = plan(valley(carbon=[9, 9, 3, 9, 9, 9], max_carbon=[4.0], price=[5.0] * 6), PLAIN)
    assert (found.slot.tolist(), reasons(found)) == ([2], ["max-carbon"])
    # Never past the latest start: with no such slot in time it runs at the best there is.
    start = valley().grid.start
    found = plan(valley(max_price=[20.0], latest=start + 2 * SLOT - SLOT // 2), PLAIN)
    assert found.slot.tolist() == [1]


def test_running_jobs_and_a_site_cap_bound_the_room(valley: Callable[..., Problem]) -> None:
    start = valley().grid.start
    running = Running.in_pools(
        np.array([0]), np.array([[4.0]]), np.array([start + 3 * SLOT]), np.array([5.0]), 1
    )
    found = plan(valley(running=running), PLAIN)
    assert found.slot.tolist() == [3]
    assert found.kw_asap.tolist() == [5, 5, 5, 1, 0, 0]
    found = plan(valley(kw=[6.0, 6.0], site_kw=10.0), PLAIN)
    assert sorted(found.slot.tolist()) == [2, 3]


def test_a_full_pool_near_the_latest_start_makes_a_job_go_earlier(
    valley: Callable[..., Problem],
) -> None:
    start = valley().grid.start
    latest = start + 2 * SLOT + SLOT // 2
    wide = plan(valley(room=100, latest=latest), PLAIN)
    assert wide.slot.tolist() == [2]
    tight = plan(valley(room=1, latest=latest), PLAIN)
    assert (tight.slot.tolist(), reasons(tight)) == ([0], ["latest-start"])


def test_a_successor_follows_its_predecessor(valley: Callable[..., Problem]) -> None:
    depends = np.array([[0, 1]])
    found = plan(valley(price=[100, 50, 10, 5, 80, 90], kw=[1.0, 1.0], depends=depends), PLAIN)
    assert found.slot.tolist() == [4, 3]  # the predecessor takes the best, by its own cost
    assert found.start[0] >= found.start[1] + SLOT
    fixed = plan(
        valley(kw=[1.0, 1.0], depends=depends, movable=[False, True], latest=NEVER - 1), PLAIN
    )
    assert fixed.slot.tolist() == [1, 0]
    assert not fixed.moved.any()


def test_the_ramp_cap_spreads_starts_and_gives_way_only_to_latest_starts(
    valley: Callable[..., Problem],
) -> None:
    capped = PlanningSettings(delay_price=0.0, carbon_price=0.0, ramp_kw_per_5min=10.0)
    problem = valley(room=100, kw=[5.0] * 10)
    found = plan(problem, capped)
    assert found.moved.all()
    starts = sorted(found.start.tolist())
    for at in starts:
        assert sum(1 for other in starts if at <= other < at + 300) <= 2
    assert np.bincount(found.slot, minlength=6).tolist() == [0, 0, 8, 2, 0, 0]
    # Jobs that we hold and that must start now are released over the cap, and it is said.
    start = problem.grid.start
    latest = start + 100
    held = valley(
        room=100,
        kw=[8.0] * 3,
        price=[1.0] * 6,
        latest=latest,
        current=[start + 90] * 3,
        now=start + 80,
        recent=np.array([[start + 70.0, 9.0]]),
    )
    found = plan(held, capped)
    assert (found.start <= latest).all()
    assert "the ramp cap gives way to the latest start of 3 jobs (101, 102, 103)" in found.problems


def test_the_begin_time_of_a_job_that_is_given_back_counts_in_the_ramp_cap_until_then(
    valley: Callable[..., Problem],
) -> None:
    """There may be no room to give it back before: nobody else is held until the same minutes."""
    capped = PlanningSettings(delay_price=0.0, carbon_price=0.0, ramp_kw_per_5min=10.0, spread=0.1)
    grid = valley().grid
    cheapest = grid.slot_start(2)
    late, free = grid.start - 1, grid.start + 100 * SLOT
    given: dict[str, Any] = {"room": 100, "kw": [8.0, 5.0], "current": [cheapest + 60, 0]}
    found = plan(valley(latest=[late, free], **given), capped)
    assert found.moved.tolist() == [False, True]
    assert found.slot[1] != 2
    given["current"] = [0, 0]
    found = plan(valley(latest=[late, free], **given), capped)
    assert found.slot[1] == 2


def test_what_can_never_fit_is_said_and_harmless(valley: Callable[..., Problem]) -> None:
    found = plan(valley(demand=[9.0, 1.0]), PLAIN)
    assert found.slot.tolist() == [6, 2]
    assert found.problems == ("more than their pool has is asked for by job 101",)
    assert not found.moved[0]


def test_no_jobs_make_an_empty_plan(valley: Callable[..., Problem]) -> None:
    problem = valley(kw=[], demand=np.zeros((0, 1)), job_id=[], latest=[])
    found = plan(problem, PLAIN)
    assert found.start.shape == (0,)
    assert found.kw.tolist() == [0.0] * 6
    assert found.totals.cost_gbp == 0.0


def test_new_jobs_are_placed_around_the_others(valley: Callable[..., Problem]) -> None:
    problem = valley(room=1, kw=[1.0, 1.0, 1.0])
    start = problem.grid.start
    fixed = np.array([start + 2 * SLOT, 999, 0])
    found = place(problem, PLAIN, fixed, np.array([1]))
    assert found.slot[1] == 3
    assert found.start[[0, 2]].tolist() == [start + 2 * SLOT, 0]
    assert found.moved.tolist() == [False, True, False]
    alone = place(problem, PLAIN, np.zeros(3, np.int64), np.array([1]))
    assert alone.slot[1] == 2


def test_the_capacity_margin_keeps_room_free_of_deferred_jobs(
    valley: Callable[..., Problem],
) -> None:
    keep = PlanningSettings(delay_price=0.0, carbon_price=0.0, capacity_margin=0.5)
    found = plan(valley(room=2, kw=[1.0] * 3), keep)
    assert sorted(found.slot.tolist()) == [1, 2, 3]


def test_nobody_is_held_to_let_others_go_first_where_that_saves_no_electricity(
    valley: Callable[..., Problem],
) -> None:
    # By itself the long job comes first, in all the room for four slots; were it held, only waits were shorter.
    settings = PlanningSettings(delay_price=1.0, carbon_price=0.0, min_benefit=0.0, spread=0.5)
    problem = valley(
        price=[50.0] * 12, demand=[4.0, 4.0], duration=[4 * SLOT, SLOT], delay_weight=10.0, kw=1.0
    )
    found = plan(problem, settings)
    assert found.asap.tolist() == [problem.now, problem.grid.slot_start(4)]
    assert not found.moved.any()
    assert found.start.tolist() == found.asap.tolist()


def test_who_waits_for_a_cheaper_slot_leaves_room_to_those_behind(
    valley: Callable[..., Problem],
) -> None:
    settings = PlanningSettings(delay_price=0.0, carbon_price=0.0, min_benefit=0.0, spread=0.5)
    problem = valley(
        price=[50.0] * 5 + [10.0] * 4 + [50.0] * 3,
        demand=[4.0, 4.0],
        duration=[4 * SLOT, SLOT],
        kw=[1.0, 1.0],
        movable=[True, False],
    )
    found = plan(problem, settings)
    assert found.asap.tolist() == [problem.now, problem.grid.slot_start(4)]
    assert found.moved.tolist() == [True, False]
    assert found.slot.tolist() == [5, 0]
