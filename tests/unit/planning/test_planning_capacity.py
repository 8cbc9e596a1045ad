from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.planning.capacity import Timeline, blocks_of
from flexlond.planning.problem import NEVER, Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem

SLOT = 1800


def free_of(problem: Problem) -> list[list[float]]:
    """The free room per column and slot, without the unbounded ones."""
    free = Timeline(problem, blocks_of(problem)).free
    return free[np.isfinite(free).all(axis=1)].tolist()


def test_running_jobs_take_whole_slots_until_their_end(
    make_problem: Callable[..., Problem],
) -> None:
    now = make_problem([0.0]).now
    running = Running.in_pools(
        np.array([0, 0, -1]),
        np.array([[1.0], [2.0], [9.0]]),
        np.array([now + SLOT + 1, now - 5, now + 9 * SLOT]),
        np.array([3.0, 3.0, 3.0]),
        1,
    )
    problem = make_problem([0.0] * 4, room=8, running=running, site_kw=100.0)
    # One pool, its group, the site: an overrunning job still takes the first slot.
    assert free_of(problem) == [[5, 7, 8, 8], [5, 7, 8, 8], [91, 94, 97, 97]]


def test_a_running_job_takes_its_nodes_share_of_each_pool(
    make_problem: Callable[..., Problem],
) -> None:
    now = make_problem([0.0]).now
    running = Running(
        np.array([[1.0, 0.5]]), np.array([[4.0]]), np.array([now + SLOT]), np.array([0.0])
    )
    problem = make_problem(
        [0.0, 0.0],
        capacity=[[8.0], [4.0]],
        pool_group=[0, 0],
        group_capacity=[[10.0]],
        running=running,
    )
    assert free_of(problem) == [[4, 8], [2, 4], [6, 10]]


def test_room_in_the_group_counts_for_both_pools(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(
        [0.0] * 2,
        capacity=[[3.0], [3.0]],
        pool_group=[0, 0],
        group_capacity=[[4.0]],
        pool=[0, 1],
        demand=[3.0, 2.0],
    )
    timeline = Timeline(problem, blocks_of(problem))
    assert timeline.fits(1, 0, 1)
    timeline.add(0, 0, 1)
    assert not timeline.fits(1, 0, 1)
    assert timeline.fits(1, 1, 1)
    timeline.add(0, 0, 1, sign=-1.0)
    assert timeline.fits(1, 0, 1)


def test_an_array_is_waves_of_what_throttle_and_half_the_pool_allow(
    make_problem: Callable[..., Problem],
) -> None:
    problem = make_problem(
        [0.0] * 9,
        room=10,
        tasks=[3, 12, 12, 5, 5],
        throttle=[0, 0, 2, 9, 0],
        demand=[1.0, 1.0, 1.0, 1.0, 20.0],
        kw=[2.0] * 5,
        duration=[100.0] * 5,
        latest=[9000, 9000, 9000, NEVER, 9000],
    )
    blocks = blocks_of(problem)
    assert blocks.width.tolist() == [3, 5, 2, 5, 1]
    assert blocks.waves.tolist() == [1, 3, 6, 1, 5]
    assert blocks.span.tolist() == [100, 300, 600, 100, 500]
    assert (blocks.kw * blocks.span).tolist() == (problem.tasks * 2.0 * 100).tolist()
    assert blocks.step_kw.tolist() == [6, 10, 4, 10, 2]
    # Waves that the throttle asks for are in `latest` already; those the room adds are not.
    assert blocks.latest.tolist() == [9000, 8800, 9000, NEVER, 8600]


def test_a_start_in_the_middle_of_a_slot_reaches_further(
    make_problem: Callable[..., Problem],
) -> None:
    problem = make_problem([0.0] * 4, room=1, duration=float(SLOT))
    start = problem.grid.start
    timeline = Timeline(problem, blocks_of(problem))
    assert timeline.width(0, 0, start) == 1
    assert timeline.width(0, 0, start + 1) == 2
    timeline.free[0, 1] = 0.5
    assert timeline.feasible(0, 0, start).tolist() == [True, False, True, True]
    assert timeline.feasible(0, 0, start + 1).tolist() == [False, False, True, True]
    assert timeline.feasible(0, 2, start).tolist() == [False, False, True, True]
    assert [timeline.first_room(0, first, start + 1) for first in range(5)] == [2, 2, 2, 3, 4]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_feasible_equals_trying_every_slot(make_problem: Callable[..., Problem], seed: int) -> None:
    rng = np.random.default_rng(seed)
    slots = int(rng.integers(1, 12))
    jobs = 6
    problem = make_problem(
        [0.0] * slots,
        room=float(rng.integers(2, 7)),
        demand=rng.integers(0, 5, jobs).astype(float),
        duration=rng.integers(1, 8 * SLOT, jobs).astype(float),
        tasks=rng.integers(1, 4, jobs),
    )
    timeline = Timeline(problem, blocks_of(problem))
    starts = problem.grid.start + rng.integers(0, slots * SLOT, jobs)
    timeline.add_all(np.arange(3), starts[:3])
    one_by_one = Timeline(problem, blocks_of(problem))
    for job in range(3):
        slot = problem.grid.slot_of(int(starts[job]))
        one_by_one.add(job, slot, one_by_one.width(job, slot, int(starts[job])))
    assert np.allclose(timeline.free[:-1], one_by_one.free[:-1])
    for job in range(jobs):
        first = problem.grid.slot_of(int(starts[job]))
        found = timeline.feasible(job, first, int(starts[job]))
        for slot in range(slots):
            at = int(starts[job]) if slot == first else problem.grid.slot_start(slot)
            fits = timeline.fits(job, slot, timeline.width(job, slot, at))
            assert found[slot] == (fits and slot >= first)
        room = int(found.argmax()) if found.any() else slots
        assert timeline.first_room(job, first, int(starts[job])) == room
