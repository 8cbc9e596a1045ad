"""Who stands first, waits for room and keeps others from starting: he steps aside, and is never late for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.planning.aside import NOBODY, STEP, steps_aside
from flexlond.planning.capacity import blocks_of
from flexlond.planning.lanes import Single
from flexlond.planning.problem import NEVER, Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem

NOW, SLOT, SLOTS = 1_789_999_200, 1800, 48


def queue(make_problem: Callable[..., Problem], **given_: Any) -> Problem:
    """Half of four nodes run for ten slots; a flexible job of three waits, one that fits stands behind it."""
    values: dict[str, Any] = {
        "now": NOW,
        "demand": [3.0, 2.0],
        "duration": [2.0 * SLOT, 2.0 * SLOT],
        "limit": np.array([2.0 * SLOT, 14.0 * SLOT]),
        "movable": [True, False],
        "current": [0, 0],
        "latest": [NOW, NEVER],
        "promised": np.array([NOW + 20 * SLOT, NEVER]),
        "running": Running(
            np.array([[1.0]]), np.array([[2.0]]), np.array([NOW + 10 * SLOT]), np.array([2.0])
        ),
    }
    problem: Problem = make_problem([90.0] * SLOTS, **(values | given_))
    return problem


def first_aside(problem: Problem, held: list[int] = []) -> int:  # noqa: B006 - never changed
    mask = np.zeros(problem.jobs, np.bool_)
    mask[held] = True
    return steps_aside(problem, blocks_of(problem), mask)


def test_the_first_steps_aside_for_one_that_fits_now(make_problem: Callable[..., Problem]) -> None:
    assert first_aside(queue(make_problem)) == 0


@pytest.mark.parametrize(
    "given_",
    [
        {"promised": np.array([NOW + 14 * SLOT, NEVER])},  # it has no time for that
        {"promised": np.array([NEVER, NOW + 20 * SLOT])},  # it did not consent
        {"promised": np.zeros(0, np.int64)},  # nothing was promised
        {"limit": np.array([2.0 * SLOT, 9.0 * SLOT])},  # backfill takes it in any case
        {"demand": [2.0, 2.0]},  # it starts itself
        {"demand": [3.0, 3.0]},  # nobody fits
        {"earliest": [0, NOW + SLOT]},  # nobody may start
        {"earliest": [NOW + SLOT, 0]},  # it is in nobody's way yet
        {"depends": np.array([[1, 0]])},  # that one waits for it
        {"site_kw": np.full(SLOTS, 100.0)},  # a window: who starts draws power
    ],
)
def test_it_keeps_its_place(make_problem: Callable[..., Problem], given_: dict[str, Any]) -> None:
    assert first_aside(queue(make_problem, **given_)) == NOBODY


def test_nor_where_one_that_has_no_place_beside_it_may_find_room_meanwhile(
    make_problem: Callable[..., Problem],
) -> None:
    three: dict[str, Any] = {
        "demand": [3.0, 2.0, 3.0],
        "duration": [2.0 * SLOT] * 3,
        "movable": [True, False, False],
        "current": [0, 0, 0],
        "latest": [NOW, NEVER, NEVER],
        "promised": np.array([NOW + 20 * SLOT, NEVER, NEVER]),
    }
    for hours, row in ((9.0, 0), (10.0, NOBODY)):  # the third, from any moment of the step on
        limit = np.array([2.0 * SLOT, 14.0 * SLOT, hours * 3600])
        assert first_aside(queue(make_problem, **three, limit=limit)) == row


def test_who_is_held_is_in_nobodys_way(make_problem: Callable[..., Problem]) -> None:
    assert first_aside(queue(make_problem), held=[0]) == NOBODY


NODES = 8


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whoever_steps_aside_is_never_late_for_it(
    make_problem: Callable[..., Problem], data: st.DataObject
) -> None:
    """By Slurm's backfill, all to their limits: held for STEP, it starts by its promise."""
    count = data.draw(st.integers(2, 7))
    taken, left = data.draw(st.integers(1, NODES - 1)), data.draw(st.integers(1, 12))
    free = NODES - taken  # the first does not fit, most of the others do
    demand = [data.draw(st.integers(free + 1, NODES))]
    demand += data.draw(st.lists(st.integers(1, free + 1), min_size=count - 1, max_size=count - 1))
    limit = data.draw(st.lists(st.integers(1, 16), min_size=count, max_size=count))
    slack = data.draw(st.lists(st.integers(1, 44), min_size=count, max_size=count))
    consent = [True, *data.draw(st.lists(st.booleans(), min_size=count - 1, max_size=count - 1))]
    promised = [NOW + one * SLOT if yes else NEVER for one, yes in zip(slack, consent, strict=True)]
    problem = queue(
        make_problem,
        room=float(NODES),
        demand=[float(one) for one in demand],
        duration=[SLOT / 2.0] * count,
        limit=np.array([float(one * SLOT) for one in limit]),
        movable=consent,
        current=[0] * count,
        latest=[min(one, NEVER) for one in promised],
        promised=np.array(promised, np.int64),
        running=Running(
            np.array([[1.0]]),
            np.array([[float(taken)]]),
            np.array([NOW + left * SLOT]),
            np.array([2.0]),
        ),
    )
    row = first_aside(problem)
    if row == NOBODY:
        return
    assert consent[row]
    asked = [one * SLOT for one in limit]
    lane = Single([*map(float, demand), float(taken)], float(NODES), [*asked, left * SLOT], 500)
    lane.add(count)
    assert lane.start(NOW) == [count]
    started = {count: NOW}
    for job in range(count):
        if job != row:
            lane.add(job)
    now = NOW
    begin = {row: NOW + STEP}
    while row not in started:
        for job in [job for job, at in begin.items() if at <= now]:
            lane.add(job)
            del begin[job]
        for job in lane.start(now):
            started[job] = now
        ends = {
            job: at + (asked[job] if job < count else left * SLOT) for job, at in started.items()
        }
        coming = [*begin.values(), *(at for job, at in ends.items() if at > now)]
        if row in started:
            break
        now = min(coming)
        for job, at in ends.items():
            if at == now:
                lane.finish(job, started[job])
    assert started[row] <= promised[row]
