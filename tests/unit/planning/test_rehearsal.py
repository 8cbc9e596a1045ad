"""The queue played with other runtimes: Slurm's order and backfill, and what a step then delivers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.capacity import blocks_of
from flexlond.planning.certainty import certain_kw, drawn_left, drawn_spans
from flexlond.planning.planner import plan
from flexlond.planning.problem import PlanningError, Running
from flexlond.planning.rehearsal import Rehearsal
from tests.unit.planning.conftest import NOW, SLOT, build

if TYPE_CHECKING:
    from flexlond.planning.problem import Problem

SETTINGS = PlanningSettings(spread=0.0, delay_price=0.0, carbon_price=0.0)
FLAT = [10.0] * 12


def even(low: float, high: float, jobs: int = 1) -> Any:
    """Quantiles of a runtime that may be anything from `low` to `high`."""
    return np.tile(np.linspace(low, high, 21), (jobs, 1))


def rehearsal(problem: Problem, samples: int = 400, seed: int = 1) -> Rehearsal:
    last = plan(problem, SETTINGS)
    return Rehearsal(problem, blocks_of(problem), last, samples=samples, seed=seed)


def test_a_run_that_may_end_before_the_window_delivers_as_often_as_it_lasts() -> None:
    problem = build(FLAT, kw=100.0, duration=4.0 * SLOT, runtimes=even(0.0, 4.0 * SLOT))
    played = rehearsal(problem, 4000)
    later = np.array([NOW + 8 * SLOT])
    drop = played.drops(later, slice(1, 2))[:, 0]
    assert np.mean(drop >= 100.0 - 1e-6) == pytest.approx(0.5, abs=0.03)
    assert np.mean(drop > 0) == pytest.approx(0.75, abs=0.03)
    assert certain_kw(drop[:, None], 0.9) == 0.0
    assert played.drops(played.begin, slice(0, 12)).any() is np.False_


def test_who_waits_for_room_starts_sooner_when_others_end_sooner() -> None:
    # One node: the second job waits for what runs, of which nobody knows how long it goes on.
    runs = Running.in_pools(
        np.array([0]), np.array([[1.0]]), np.array([NOW + 4 * SLOT]), np.array([5.0]), 1
    )
    runs = replace(runs, left=even(1.0, 4.0 * SLOT))
    problem = build(FLAT, room=1, kw=100.0, duration=1.0 * SLOT, running=runs)
    # Moved out of slot 4, where the plan has it: mostly it would not have been there.
    drop = rehearsal(problem).drops(np.array([NOW + 8 * SLOT]), slice(4, 5))[:, 0]
    assert np.mean(drop > 50.0) < 0.2
    assert certain_kw(drop[:, None], 0.9) == 0.0


def test_what_slurm_starts_in_the_freed_room_is_taken_off() -> None:
    problem = build(
        FLAT, room=1, kw=[100.0, 80.0], duration=SLOT, movable=[True, False], order=[0, 1]
    )
    played = rehearsal(problem, 3)
    begin = played.begin.copy()
    begin[0] = NOW + 8 * SLOT
    assert played.drops(begin, slice(0, 1)).ravel().tolist() == pytest.approx([20.0] * 3)


def test_partitions_that_share_no_nodes_do_not_wait_for_each_other() -> None:
    problem = build(
        FLAT,
        capacity=[[1.0], [1.0]],
        kw=[10.0, 20.0, 40.0],
        pool=[0, 0, 1],
        duration=2.0 * SLOT,
    )
    begin = np.array([NOW, NOW, NOW])
    played = rehearsal(problem, 1)
    never = np.full(3, problem.grid.end)
    drop = -played.drops(begin, slice(0, 4)) + played.drops(never, slice(0, 4))
    assert drop.ravel().tolist() == pytest.approx([50.0, 50.0, 20.0, 20.0])


def test_the_same_seed_gives_the_same_worlds_and_another_gives_others() -> None:
    problem = build(FLAT, kw=100.0, duration=4.0 * SLOT, runtimes=even(0.0, 4.0 * SLOT))
    later = np.array([NOW + 8 * SLOT])
    one, same, other = (
        rehearsal(problem, 20, seed).drops(later, slice(1, 3)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_draws_follow_the_quantiles_and_never_pass_the_time_limit() -> None:
    problem = build(
        FLAT,
        kw=[1.0, 1.0],
        duration=SLOT,
        limit=np.array([3.0 * SLOT, SLOT]),
        runtimes=even(SLOT, 3.0 * SLOT, 2),
    )
    blocks = blocks_of(problem)
    spans = drawn_spans(problem, blocks, np.arange(2), 5000, np.random.default_rng(3))
    assert np.quantile(spans[:, 0], [0.1, 0.5, 0.9]) / SLOT == pytest.approx(
        [1.2, 2.0, 2.8], abs=0.05
    )
    assert spans[:, 1].max() <= SLOT
    runs = Running.in_pools(
        np.array([0]), np.array([[1.0]]), np.array([NOW + 900]), np.array([5.0]), 1
    )
    guessed = drawn_left(
        replace(problem, running=runs), np.array([0]), 5000, np.random.default_rng(3)
    )
    assert np.mean(guessed <= 900) == pytest.approx(0.9, abs=0.02)


def test_quantiles_of_other_jobs_are_refused() -> None:
    with pytest.raises(PlanningError, match="runtimes"):
        build(FLAT, kw=[1.0, 1.0], runtimes=even(0.0, 1.0, 3))
