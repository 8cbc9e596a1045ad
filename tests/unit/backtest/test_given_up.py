"""What proves that a plan was right to say that a carbon cap cannot be kept."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.capacity import blocks_of
from flexlond.planning.carbon_caps import emitted_kg
from flexlond.planning.planner import plan
from flexlond.planning.problem import CarbonCap, Running
from tests.perf.clairvoyant import Choices, least, least_whole
from tests.perf.given_up import LITTLE, least_above
from tests.unit.planning.conftest import SLOT, build

if TYPE_CHECKING:
    from flexlond.planning.problem import Problem

pytest.importorskip("highspy")
CARBON = [400.0, 300.0, 200.0, 100.0, 100.0]
START = build([1.0]).grid.start


def capped(problem: Problem, kg: list[float]) -> Problem:
    """A cap on the first two slots and one on those after them, for all jobs."""
    spans = ((0, 2), (2, problem.grid.count))
    everyone = np.ones(problem.jobs, np.bool_)
    caps = [
        CarbonCap(f"cap {first}", everyone, first, end, one)
        for (first, end), one in zip(spans, kg, strict=True)
    ]
    return replace(problem, carbon_caps=tuple(caps))


def test_a_whole_job_is_no_mixture_of_its_first_and_its_last_start() -> None:
    # 6 kg on the first day, 6 on both, or 6 on the second: half and half keeps 5 a day, a whole job cannot.
    found = Choices(np.zeros(3, np.int64), np.arange(3.0), np.array([[6.0, 0], [6, 6], [0, 6]]))
    assert least(found, 5.0)[0] == pytest.approx(0.0)
    assert least_whole(found, 5.0) == pytest.approx(1.0, abs=1e-3)


def test_a_whole_job_starts_between_two_starts() -> None:
    found = Choices(np.array([0, 0, 1]), np.arange(3.0), np.array([[6.0, 0], [0, 6], [1, 0]]))
    assert least_whole(found, 4.0) == pytest.approx(0.0)  # half of it on each day


@pytest.mark.parametrize("last", [1, 2])
def test_where_there_is_no_schedule_nothing_is_proven(last: int) -> None:
    # Two jobs on one node at once, whenever the second starts.
    job, ones = np.array([0, 1, 1])[: last + 1], np.ones(last + 1)
    both = np.zeros(last + 1, np.int64), np.arange(last + 1), ones, np.ones(1)
    found = Choices(job, np.arange(last + 1.0), 6.0 * ones[:, None])
    assert least_whole(found, 5.0, both) == 0.0


def test_the_least_above_the_caps_is_what_nobody_can_go_below() -> None:
    # 0.1 kg at the latest start, and more before: ten jobs emit a kg, whatever is done.
    made = build([50.0] * 5, kw=[2.0] * 10, room=100, latest=START + 3 * SLOT, carbon=CARBON)
    ten = capped(made, [0.0, 0.5])
    assert least_above(ten, plan(ten, PlanningSettings())) == pytest.approx(0.5)


@pytest.mark.parametrize(("room", "is_proven"), [(4.0, False), (1.0, True)])
def test_who_runs_keeps_the_nodes(*, room: float, is_proven: bool) -> None:
    # Only the first two slots may emit; on one node, which is taken until the fourth, nobody starts in them.
    pool, nodes, until = np.zeros(1, np.int64), np.ones((1, 1)), np.array([START + 3 * SLOT])
    taken = Running.in_pools(pool, nodes, until, np.ones(1), 1)
    carbon = [*CARBON, 100.0]
    made = build(
        [50.0] * 6,
        kw=[2.0] * 2,
        room=room,
        latest=START + 4 * SLOT,
        carbon=carbon,
        running=taken,
        now=START,
    )
    problem = capped(made, [9.0, 0.0])
    assert (least_above(problem, plan(problem, PlanningSettings())) > LITTLE) == is_proven


@pytest.mark.parametrize("seed", range(12))
def test_no_schedule_is_below_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs, slots = 3, 5
    problem = build(
        [50.0] * slots,
        kw=rng.uniform(0.5, 5.0, jobs),
        room=3,
        demand=rng.integers(1, 3, jobs).astype(np.float64),
        duration=rng.choice([900.0, SLOT, 1.5 * SLOT], jobs),
        latest=START + rng.integers(2, 5, jobs) * SLOT,
        carbon=rng.uniform(20, 500, slots),
        now=START,
    )
    blocks = blocks_of(problem)
    probe = capped(problem, [0.0, 0.0])
    least_found = np.inf
    cap = rng.uniform(0.0, 0.6, 2).tolist()
    for choice in itertools.product(range(slots), repeat=jobs):
        start = np.array([problem.grid.slot_start(slot) for slot in choice])
        taken = np.zeros(slots + 4)
        for job, slot in enumerate(choice):
            taken[slot : slot + int(np.ceil(blocks.hold[job] / SLOT))] += problem.demand[job, 0]
        if (start > problem.latest).any() or taken.max() > 3:
            continue
        kg = [emitted_kg(probe, blocks, one, start).sum() for one in probe.carbon_caps]
        least_found = min(least_found, np.maximum(np.array(kg) - cap, 0.0).sum())
    asked = capped(problem, cap)
    found = plan(asked, PlanningSettings())
    proven = least_above(asked, found)
    assert np.isfinite(least_found)
    assert proven <= least_found + 1e-4
    assert proven <= sum(one.above_kg for one in found.carbon_caps) + 1e-4
