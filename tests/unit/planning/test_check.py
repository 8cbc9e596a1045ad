"""The check of a plan: good plans pass, spoilt ones do not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.settings import PlanningSettings
from flexlond.planning.check import check
from flexlond.planning.planner import plan
from tests.unit.planning.corruptions import corrupted
from tests.unit.planning.test_planner_properties import random_problem, random_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem

SLOT = 1800


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_plan_passes(make_problem: Callable[..., Problem], seed: int) -> None:
    problem, chosen = random_problem(make_problem, seed), random_settings(seed)
    found = plan(problem, chosen)
    assert check(problem, chosen, found) == ()
    assert not any("was not used" in words for words in found.problems)


def test_corrupted_plans_are_rejected(make_problem: Callable[..., Problem]) -> None:
    rng = np.random.default_rng(11)
    kinds: dict[str, int] = {}
    passed = []
    for seed in range(60):
        problem, chosen = random_problem(make_problem, seed), random_settings(seed)
        good = plan(problem, chosen)
        for _ in range(20):
            kind, bad = corrupted(problem, good, rng)
            if bad is None:
                continue
            kinds[kind] = kinds.get(kind, 0) + 1
            if not check(problem, chosen, bad):
                passed.append((seed, kind))
    assert passed == []
    assert sum(kinds.values()) > 900
    assert len(kinds) >= 12


def test_a_second_of_one_held_job_is_seen(make_problem: Callable[..., Problem]) -> None:
    seen = 0
    for seed in range(40):
        problem, chosen = random_problem(make_problem, seed), random_settings(seed)
        good = plan(problem, chosen)
        for job in np.flatnonzero(good.moved).tolist():
            start = good.start.copy()
            start[job] += 1
            assert check(problem, chosen, replace(good, start=start))
            seen += 1
    assert seen > 50


def test_the_carbon_cap_binds_and_has_its_price(make_problem: Callable[..., Problem]) -> None:
    start = make_problem([1.0]).grid.start
    problem = make_problem(
        [20.0, 60.0, 60.0, 60.0],
        room=9,
        kw=[1000.0, 1000.0, 1000.0],
        demand=[1.0, 1.0, 1.0],
        carbon=[300.0, 50.0, 50.0, 50.0],
        latest=start + 100 * SLOT,
    )
    free = PlanningSettings(carbon_price=0.0, delay_price=0.0)
    without = plan(problem, free)
    assert without.totals.co2_kg == 450.0
    capped = replace(problem, co2_cap_kg=330.0)
    under = plan(capped, free)
    assert under.totals.co2_kg <= 330.0
    assert under.totals.cost_gbp > without.totals.cost_gbp
    assert under.proof.carbon_price > 0
    assert check(capped, free, under) == ()
    impossible = plan(replace(problem, co2_cap_kg=10.0), free)
    assert any("the carbon cap of 10 kg cannot be kept" in words for words in impossible.problems)
