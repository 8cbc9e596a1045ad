"""Which arrays are slowed for a window: where some of it fits, where deferral cannot help, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.planner import plan
from flexlond.planning.problem import NEVER, Plan, Problem, Running
from flexlond.planning.slowing import Slowable, as_before, choose, narrowed, paced
from tests.unit.planning.conftest import NOW, SLOT, build

SLOTS = 12
SETTINGS = PlanningSettings(delay_price=1.0, min_benefit=0.0, dual_steps=10, search_steps=10)
CAPPED = np.where((np.arange(SLOTS) >= 1) & (np.arange(SLOTS) < 5), 3.5, np.inf)


def replan(problem: Problem) -> Plan:
    return plan(problem, SETTINGS)


def problem(**more: Any) -> Problem:
    """24 tasks of half an hour and 1 kW, eight at once by themselves; four slots are capped at 3.5 kW."""
    given: dict[str, Any] = {
        "tasks": [24],
        "movable": [True],
        "delay_weight": [12.0],
        "latest": [NOW + 40 * SLOT],
        "limit": np.array([float(SLOT)]),
        "site_kw": CAPPED,
        "earliest": [NOW + SLOT],
    }
    return build([100.0] * SLOTS, 16, **(given | more))


def slowable(asked: Problem, **more: Any) -> Slowable:
    given: dict[str, Any] = {
        "job_id": 101,
        "row": 0,
        "own": 0,
        "width": 0,
        "least": 2,
        "tasks": 24,
        "waiting": 24,
        "running": (),
        "whole": asked.running,
        "latest": int(asked.latest[0]),
        "step": SLOT,
    }
    return Slowable(**(given | more))


def chosen(asked: Problem, *candidates: Slowable, caps: Any = CAPPED) -> dict[int, int]:
    found = choose(asked, replan(asked), caps, candidates, settings=SETTINGS, replan=replan)
    return {slow.candidate.job_id: slow.width for slow in found.slows}


def test_as_many_as_fit_run_instead_of_none() -> None:
    asked = problem()
    found = replan(asked)
    assert found.start[0] >= NOW + 5 * SLOT  # whole, it waits for the end of the window
    slowing = choose(asked, found, CAPPED, [slowable(asked)], settings=SETTINGS, replan=replan)
    assert [slow.width for slow in slowing.slows] == [3]
    assert slowing.plan.start[0] == NOW + SLOT
    assert (slowing.plan.kw[1:5] <= 3.5).all()
    assert (slowing.plan.kw[1:5] >= 3.0).all()
    assert slowing.problem.throttle[0] == 3
    assert slowing.problem.latest[0] == asked.latest[0] - 7 * SLOT


def test_one_that_cannot_be_deferred_is_slowed_as_far_as_it_may() -> None:
    asked = problem(movable=[False], latest=[NEVER])
    found = replan(asked)
    assert found.kw[1] > 3.5
    assert chosen(asked, slowable(asked, latest=NOW + 40 * SLOT)) == {101: 3}
    assert chosen(asked, slowable(asked, latest=NOW + 40 * SLOT, least=5)) == {101: 5}


@pytest.mark.parametrize("least", [0, 4, 8, 30])
def test_below_the_pace_that_keeps_its_latest_start_nobody_is_slowed(least: int) -> None:
    asked = problem()
    assert chosen(asked, slowable(asked, least=least)) == {}


def test_where_there_is_room_or_waiting_costs_nothing_nobody_is_slowed() -> None:
    roomy = problem(site_kw=CAPPED + 5.0)
    assert chosen(roomy, slowable(roomy), caps=CAPPED + 5.0) == {}
    patient = problem(delay_weight=[0.0])
    assert chosen(patient, slowable(patient)) == {}


def test_beyond_the_known_prices_only_what_is_above_the_cap_counts() -> None:
    """At 3 at once its 48 tasks take 16 of the 12 slots; 400 cannot be held, and are slowed for the cap."""
    asked = problem(tasks=[48], latest=[NOW + 90 * SLOT])
    assert replan(asked).start[0] >= NOW + 5 * SLOT
    assert chosen(asked, slowable(asked, tasks=48, waiting=48)) == {}
    long = problem(tasks=[400], latest=[NOW + 900 * SLOT])
    assert chosen(long, slowable(long, tasks=400, waiting=400)) == {101: 3}


def test_between_two_choices_those_of_before_stay_who_still_may() -> None:
    asked = problem()
    found = replan(asked)
    one = slowable(asked)
    slows = choose(asked, found, CAPPED, [one], settings=SETTINGS, replan=replan).slows
    assert as_before(asked, found, [one], slows, replan=replan).slows == slows
    for other in (replace(one, least=4), replace(one, width=3), replace(one, job_id=7)):
        assert as_before(asked, found, [other], slows, replan=replan).slows == ()


def running(ends: list[float]) -> Running:
    """Tasks of 1 kW that run until so many slots from now."""
    at = np.array([NOW + round(end * SLOT) for end in ends], np.int64)
    return Running.in_pools(
        np.zeros(len(at), np.int64), np.ones((len(at), 1)), at, np.ones(len(at)), 1
    )


def test_what_runs_and_what_waits_draw_no_more_than_the_throttle() -> None:
    for ends in ([2.5, 3.5, 4.5], [0.2, 0.4, 0.6], [0.5], []):
        asked = problem(running=running(ends), throttle=[3], earliest=[NOW], site_kw=np.zeros(0))
        stream = paced(asked, [(0, 3, range(len(ends)))])
        kw = replan(replace(stream, movable=np.array([False]))).kw
        assert (kw[:6] <= 3.0 + 1e-9).all(), ends
        assert (kw[:6] >= 3.0 - 1e-9).all(), ends


def test_while_more_run_than_may_nothing_of_it_starts() -> None:
    asked = problem(running=running([1, 2, 3, 4, 5]), earliest=[NOW])
    stream = paced(asked, [(0, 2, range(5))])
    assert stream.earliest[0] == NOW + 4 * SLOT
    assert stream.running.end.tolist() == [NOW + at * SLOT for at in (1, 2, 3, 4, 4)]


def test_a_narrower_width_is_reckoned_from_what_really_runs() -> None:
    asked = problem(running=running([0.5] * 6), throttle=[6], earliest=[NOW])
    stream = paced(asked, [(0, 6, range(6))])
    assert stream.running.kw.sum() == 0  # the block that waits counts for them
    (slow,) = choose(
        stream,
        replan(stream),
        CAPPED,
        [slowable(stream, own=6, width=6, tasks=30, running=tuple(range(6)), whole=asked.running)],
        settings=SETTINGS,
        replan=replan,
    ).slows
    again = narrowed(stream, [slow])
    assert again.running.kw.sum() == 6 - slow.width
