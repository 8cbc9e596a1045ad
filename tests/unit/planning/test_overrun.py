"""A job is held only where a newcomer that takes its room the second it comes would not make it late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.planning.overrun import BACKLOG, Newest
from flexlond.planning.pools import Room
from flexlond.planning.problem import Running
from tests.unit.planning.conftest import HUNDRED as ROOM

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem

NOW, SLOT, HOUR, DAY = 1_789_999_200, 1800, 3600, 86_400
QUEUE = np.zeros(1)


def came(*jobs: tuple[float, float], at: int = NOW, days: int = 90) -> Newest:
    """A cluster to which jobs of (nodes, hours) have come."""
    newest = Newest(days)
    for nodes, hours in jobs:
        newest.came(at, ROOM, np.zeros(1, np.int64), np.array([[nodes]]), np.array([hours * HOUR]))
    return newest


def running(*jobs: tuple[float, float]) -> Running:
    """Jobs of (nodes, hours left)."""
    nodes = np.array([[one] for one, _ in jobs]).reshape(-1, 1)
    end = np.array([NOW + int(left * HOUR) for _, left in jobs], np.int64)
    return Running.in_pools(np.zeros(len(jobs), np.int64), nodes, end, np.ones(len(jobs)), pools=1)


def asked(make_problem: Callable[..., Problem], **given: Any) -> Problem:
    """A job of 20 nodes that may wait for 10 hours."""
    values: dict[str, Any] = {
        "now": NOW,
        "room": 100,
        "demand": [20.0],
        "duration": [HOUR],
        "latest": [NOW + 10 * HOUR - 600],
        "promised": np.array([NOW + 10 * HOUR]),
    }
    problem: Problem = make_problem([50.0] * 48, **(values | given))
    return problem


def hours(newest: Newest, problem: Problem, queue: float = 0.0) -> float:
    """The latest start, in hours from now."""
    return float(newest.latest(problem, ROOM, QUEUE + queue)[0] - NOW) / HOUR


ALL = 10 - 600 / HOUR  # the latest start as it was
KEPT = SLOT / HOUR


def test_no_job_is_held_that_a_newcomer_could_make_late(
    make_problem: Callable[..., Problem],
) -> None:
    # 90 of 100 nodes for 12 hours: who may wait for 10 is not held at all.
    assert hours(came((90, 12)), asked(make_problem)) < 0
    # The largest was short and the longest small: the next may be both.
    assert hours(came((90, 1), (1, 12)), asked(make_problem)) < 0


def test_it_is_held_as_long_as_it_can_wait_for_the_longest(
    make_problem: Callable[..., Problem],
) -> None:
    assert hours(came((90, 3)), asked(make_problem)) == pytest.approx(7 - KEPT)


def test_or_until_what_runs_has_made_room_beside_the_newcomer(
    make_problem: Callable[..., Problem],
) -> None:
    # Of 50 free nodes the newcomer takes 50; 20 more are free when the first running job ends.
    problem = asked(make_problem, running=running((30, 2), (20, 4)))
    assert hours(came((90, 12)), problem) == pytest.approx(8 - KEPT)


def test_nor_is_it_held_where_one_that_waits_could_make_it_late(
    make_problem: Callable[..., Problem],
) -> None:
    """Room may come to that one at any moment, and it has no place beside the other."""

    def pair(nodes: float, limit: float, current: int = 0) -> Problem:
        return asked(
            make_problem,
            demand=[20.0, nodes],
            duration=[HOUR] * 2,
            limit=np.array([HOUR, limit * HOUR]),
            movable=[True, False],
            current=[0, current],
            latest=[NOW + 10 * HOUR - 600, NOW],
            promised=np.array([NOW + 10 * HOUR, NOW]),
            running=running((50, 2)),
        )

    small = came((20, 1))
    assert hours(small, pair(81, 4)) == pytest.approx(6 - KEPT)
    assert hours(small, pair(80, 4)) == pytest.approx(ALL)  # has its place beside it
    assert hours(small, pair(81, 4, current=NOW + SLOT)) == pytest.approx(ALL)  # is held itself


@pytest.mark.parametrize(
    ("jobs", "given", "queue"),
    [
        ([], {}, 0.0),  # nobody has come yet
        ([(80.0, 12.0)], {}, 0.0),  # there is room for both
        ([(90.0, 12.0)], {"site_kw": 50.0}, 0.0),  # a power cap needs it to wait
        ([(90.0, 12.0)], {"movable": [False]}, 0.0),
        ([(90.0, 12.0)], {}, BACKLOG + 1),  # newcomers stand behind a backlog
    ],
)
def test_all_others_keep_their_time(
    make_problem: Callable[..., Problem],
    jobs: list[tuple[float, float]],
    given: dict[str, Any],
    queue: float,
) -> None:
    problem = asked(make_problem, **given)
    assert float(came(*jobs).latest(problem, ROOM, QUEUE + queue)[0]) == problem.latest[0]


def test_newcomers_are_forgotten_after_their_days(make_problem: Callable[..., Problem]) -> None:
    newest = came((90, 12), days=90)
    newest.came(NOW + 89 * DAY, ROOM, np.zeros(1, np.int64), np.ones((1, 1)), np.ones(1))
    assert hours(newest, asked(make_problem)) < 0
    newest.came(NOW + 90 * DAY, ROOM, np.zeros(1, np.int64), np.ones((1, 1)), np.ones(1))
    assert hours(newest, asked(make_problem)) == pytest.approx(ALL)
    assert [len(days) for days in newest.notes().values()] == [2]
    assert not came((90, 12), days=0).notes()


def test_pools_that_share_nodes_are_one_and_each_day_keeps_its_largest_and_longest() -> None:
    room = Room(
        resources=("nodes",),
        partitions=("batch", "long", "other"),
        capacity=np.array([[60.0], [100.0], [10.0]]),
        pool_group=np.array([0, 0, 1]),
        group_capacity=np.array([[100.0], [10.0]]),
    )
    newest, pool = Newest(90), np.array([0, 1, -1])
    newest.came(NOW, room, pool, np.array([[30.0], [50.0], [10.0]]), np.array([100.0, 50.0, 999.0]))
    assert newest.notes() == {"batch+long": {NOW // DAY: (0.5, 100.0)}}
