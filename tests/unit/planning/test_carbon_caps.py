"""Caps on the CO2 of a day: kept where that is possible, at about the least cost, and said where it is not."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.settings import PlanningSettings
from flexlond.planning.capacity import blocks_of
from flexlond.planning.carbon_caps import emitted_kg
from flexlond.planning.check import check
from flexlond.planning.planner import budget_of, plan
from flexlond.planning.problem import CarbonCap
from tests.unit.planning.conftest import SLOT, build

if TYPE_CHECKING:
    from flexlond.planning.problem import Plan, Problem

PLAIN = PlanningSettings(delay_price=0.0, carbon_price=0.0, min_benefit=0.0)
# Cheap and dirty first, then dearer and cleaner; a last slot in which nobody would start.
PRICE = [50.0, 60.0, 70.0, 80.0, 900.0]
CARBON = [400.0, 300.0, 200.0, 100.0, 100.0]
LATEST = build([1.0]).grid.start + 99 * SLOT
Terms = tuple[str, list[int], int, int, float]


def problem_of(jobs: int, *caps: Terms) -> Problem:
    made = build(PRICE, kw=[2.0] * jobs, room=100, latest=LATEST, carbon=CARBON)
    return with_caps(made, *caps)


def with_caps(problem: Problem, *caps: Terms) -> Problem:
    made = tuple(
        CarbonCap(name, np.isin(np.arange(problem.jobs), members), first, end, kg)
        for name, members, first, end, kg in caps
    )
    return replace(problem, carbon_caps=made)


def planned(problem: Problem, chosen: PlanningSettings = PLAIN) -> Plan:
    found = plan(problem, chosen)
    assert check(problem, chosen, found) == ()
    return found


def test_without_caps_nothing_is_told() -> None:
    found = planned(problem_of(3))
    assert found.carbon_caps == ()
    assert found.slot.tolist() == [0, 0, 0]


def test_a_cap_that_does_not_bind_costs_nothing_and_has_no_price() -> None:
    free, loose = planned(problem_of(3)), planned(problem_of(3, ("cap", [0, 1, 2], 0, 5, 9.0)))
    assert loose.start.tolist() == free.start.tolist()
    (kept,) = loose.carbon_caps
    assert (kept.price_gbp_kg, kept.kept, kept.planned_kg) == (0.0, True, pytest.approx(1.2))
    assert loose.proof.objective_gbp == free.proof.objective_gbp


def test_a_cap_that_binds_moves_jobs_and_its_price_is_about_what_a_kg_less_costs() -> None:
    # A job emits 0.4, 0.3, 0.2, 0.1 kg by slot; 10 GBP/MWh more for each 0.1 kg less is 0.1 GBP/kg.
    problem = problem_of(10, ("cap", list(range(10)), 0, 5, 2.5))
    found = planned(problem)
    (kept,) = found.carbon_caps
    assert kept.kept
    assert 1.8 < kept.planned_kg <= 2.5 + 1e-6
    assert kept.price_gbp_kg == pytest.approx(0.1, rel=0.25)
    assert found.problems == ()


def test_a_cap_counts_only_its_own_jobs_in_its_own_slots() -> None:
    problem = problem_of(4, ("account", [0, 1], 0, 2, 0.0))
    found = planned(problem)
    assert found.slot.tolist()[2:] == [0, 0]
    assert min(found.slot.tolist()[:2]) >= 2
    (kept,) = found.carbon_caps
    assert kept.planned_kg == 0.0
    assert kept.price_gbp_kg > 0


def test_two_caps_are_kept_together() -> None:
    everyone = list(range(6))
    problem = problem_of(6, ("site", everyone, 0, 5, 1.5), ("account", [0, 1, 2], 0, 5, 0.4))
    found = planned(problem)
    assert [one.kept for one in found.carbon_caps] == [True, True]
    assert found.problems == ()


def test_what_is_spent_already_counts() -> None:
    problem = problem_of(3)
    cap = CarbonCap("cap", np.ones(3, np.bool_), 0, 5, total_kg=10.0, spent_kg=9.4)
    found = planned(replace(problem, carbon_caps=(cap,)))
    (kept,) = found.carbon_caps
    assert kept.planned_kg <= 0.6 + 1e-6
    assert kept.kept


def test_jobs_that_wait_for_room_and_cannot_be_moved_count() -> None:
    problem = problem_of(2, ("cap", [0, 1], 0, 5, 0.5))
    fixed = np.array([False, True])  # a kg 0.4 that comes whatever is planned
    found = planned(replace(problem, movable=fixed[::-1]))
    assert found.slot.tolist() == [3, 0]
    (kept,) = found.carbon_caps
    assert kept.kept
    assert kept.planned_kg == pytest.approx(0.5)


def test_a_cap_that_cannot_be_kept_is_said_with_the_least_that_was_found() -> None:
    problem = problem_of(10, ("carbon cap of today", list(range(10)), 0, 5, 0.5))
    found = planned(problem)
    (kept,) = found.carbon_caps
    assert not kept.kept
    assert kept.planned_kg == pytest.approx(1.0)  # all in the cleanest slot
    (words,) = found.problems
    assert words.startswith("the carbon cap of today, 0.5 kg, cannot be kept: 0 kg are emitted")
    assert words.endswith("the cleanest plan found adds 1 kg, so 0.5 kg too much")
    silent = replace(found, problems=())
    assert any("does not say so" in words for words in check(problem, PLAIN, silent))


def test_the_last_price_is_where_the_next_search_begins() -> None:
    problem = problem_of(10, ("cap", list(range(10)), 0, 5, 2.5))
    first = plan(problem, PLAIN)
    again = plan(problem, PLAIN, last=first)
    assert check(problem, PLAIN, again) == ()
    assert again.carbon_caps[0].kept
    assert again.proof.objective_gbp <= first.proof.objective_gbp * 1.05


def test_a_search_that_time_cuts_short_says_so_and_goes_on_in_the_next_plan() -> None:
    problem = problem_of(10, ("cap", list(range(10)), 0, 5, 2.5))
    ticks = itertools.count()
    hasty = replace(budget_of(PLAIN), clock=lambda: 100.0 * next(ticks))
    found = plan(problem, PLAIN, budget=hasty)
    seen = [found.carbon_caps[0].kept]
    while not seen[-1] and len(seen) < 10:
        assert "is not kept yet" in found.problems[0]
        assert check(problem, PLAIN, found) == ()
        found = plan(problem, PLAIN, budget=hasty, last=found)
        seen.append(found.carbon_caps[0].kept)
    assert seen[-1]
    assert found.problems == ()


def test_latest_starts_come_before_the_cap() -> None:
    start = build([1.0]).grid.start
    problem = with_caps(
        build(
            PRICE, kw=[2.0, 2.0], room=100, latest=[start + 10, start + 99 * SLOT], carbon=CARBON
        ),
        ("cap", [0, 1], 0, 5, 0.1),
    )
    found = planned(problem)
    assert found.slot.tolist() == [0, 3]
    assert "the cap, 0.1 kg, cannot be kept" in found.problems[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(10, 200), min_size=4, max_size=4),
    st.lists(st.floats(20, 500), min_size=4, max_size=4),
    st.lists(st.floats(0.5, 5.0), min_size=1, max_size=4),
    st.floats(0.05, 1.2),
    st.integers(1, 4),
)
def test_against_every_possible_schedule(
    price: list[float], carbon: list[float], kw: list[float], share: float, end: int
) -> None:
    jobs, latest = len(kw), build([1.0]).grid.start + 99 * SLOT
    bare = build(price, kw=kw, room=100, latest=latest, carbon=carbon)
    blocks = blocks_of(bare)
    probe = with_caps(bare, ("cap", list(range(jobs)), 0, end, 0.0))
    choices = list(itertools.product(range(4), repeat=jobs))
    starts = [np.array([bare.grid.slot_start(slot) for slot in one]) for one in choices]
    kg = [float(emitted_kg(probe, blocks, probe.carbon_caps[0], start).sum()) for start in starts]
    cap = share * max(kg)
    problem = with_caps(bare, ("cap", list(range(jobs)), 0, end, cap))
    cost = [sum(k * price[slot] for k, slot in zip(kw, one, strict=True)) / 2000 for one in choices]
    chosen = PlanningSettings(delay_price=0.0, carbon_price=0.0, min_benefit=0.0, spread=0.0)
    found = planned(problem, chosen)
    allowed = [c for c, one in zip(cost, kg, strict=True) if one <= cap]
    if allowed:
        assert found.carbon_caps[0].kept
        assert found.proof.bound_gbp <= min(allowed) * (1 + 1e-6) + 1e-9
        # One job more than needed may be moved: jobs are whole, prices are not.
        most = max(kw) * (max(price) - min(price)) / 2000
        assert found.proof.objective_gbp <= min(allowed) + jobs * most + 1e-9
    else:
        assert not found.carbon_caps[0].kept
        assert found.carbon_caps[0].planned_kg == pytest.approx(min(kg), rel=0.02, abs=1e-3)
