"""Long jobs beside which a large newcomer finds no room are not deferred far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.planning.in_the_way import Sizes
from flexlond.planning.problem import NEVER
from tests.unit.planning.conftest import HUNDRED as ROOM

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem

NOW, SLOT, LIMIT = 1_789_999_200, 1800, 7200


def known(*nodes: float) -> Sizes:
    """A pool to which jobs of these sizes have come."""
    sizes = Sizes()
    sizes.came(ROOM, np.zeros(len(nodes), np.int64), np.array(nodes).reshape(-1, 1))
    return sizes


def asked(make_problem: Callable[..., Problem], **given: Any) -> Problem:
    values: dict[str, Any] = {
        "now": NOW,
        "room": 100,
        "demand": [10.0],
        "duration": [10.0 * 3600],
        "latest": [NOW + 40_000],
    }
    problem: Problem = make_problem([50.0] * 48, **(values | given))
    return problem


def latest(sizes: Sizes, problem: Problem, limit: int = LIMIT) -> int:
    """The latest start, in seconds from now."""
    since = np.full(problem.jobs, NOW - 60)
    return int(sizes.latest(problem, ROOM, since, limit)[0]) - NOW


LARGE = (*[1.0] * 90, *[90.0] * 10)
SMALL = (*[1.0] * 100,)


def test_a_long_job_in_the_way_starts_soon(make_problem: Callable[..., Problem]) -> None:
    assert latest(known(*LARGE), asked(make_problem)) == LIMIT - 60
    # Before enough is known, whoever comes may need the whole pool.
    assert latest(known(90.0), asked(make_problem)) == LIMIT - 60
    assert latest(Sizes(), asked(make_problem)) == LIMIT - 60


def test_it_goes_by_the_time_limit_not_by_what_is_expected(
    make_problem: Callable[..., Problem],
) -> None:
    short = {"duration": [600.0], "occupancy": np.array([1200.0])}
    may_be_long = asked(make_problem, **short, limit=np.array([36_000.0]))
    assert latest(known(*LARGE), may_be_long) == LIMIT - 60
    is_short = asked(make_problem, **short, limit=np.array([3600.0]))
    assert latest(known(*LARGE), is_short) == 40_000


@pytest.mark.parametrize(
    ("nodes", "given", "limit"),
    [
        (SMALL, {}, LIMIT),  # nobody large comes
        (LARGE, {"demand": [4.0]}, LIMIT),  # leaves room enough
        (LARGE, {"duration": [7200.0]}, LIMIT),  # short
        (LARGE, {"movable": [False]}, LIMIT),
        (LARGE, {"site_kw": 50.0}, LIMIT),  # a power cap needs it to wait
        (LARGE, {}, 0),
    ],
)
def test_all_others_keep_their_time(
    make_problem: Callable[..., Problem],
    nodes: tuple[float, ...],
    given: dict[str, Any],
    limit: int,
) -> None:
    assert latest(known(*nodes), asked(make_problem, **given), limit) == 40_000


def test_an_array_counts_as_a_whole(make_problem: Callable[..., Problem]) -> None:
    """Of 100 tasks of an hour on ten nodes half the pool runs at once: they take a day."""
    array = asked(make_problem, tasks=[100], duration=[3600.0])
    assert latest(known(*LARGE), array) == LIMIT - 60
    assert latest(known(*LARGE), asked(make_problem, duration=[3600.0])) == 40_000


def test_a_job_counts_once_however_often_it_is_seen() -> None:
    sizes = Sizes()
    pool, demand = np.zeros(1, np.int64), np.array([[90.0]])
    for _ in range(60):
        sizes.see(ROOM, [7], pool, demand)
    assert sizes.large("batch") == 1.0  # one job is not enough to know
    for job in range(60):
        sizes.see(ROOM, [job], pool, np.array([[30.0]]))
    assert sizes.large("batch") == pytest.approx(0.3, abs=0.01) or sizes.large("batch") == 0.9
    sizes.see(ROOM, [1000], np.array([-1]), np.array([[99.0]]))  # a partition that is not known
    assert sizes.large("batch") < 0.95


def test_a_job_that_may_always_wait_gets_a_bound(make_problem: Callable[..., Problem]) -> None:
    assert latest(known(*LARGE), asked(make_problem, latest=[NEVER])) == LIMIT - 60


def test_who_is_seen_for_the_first_time_is_new_and_no_other() -> None:
    sizes, one = Sizes(), np.ones((2, 1))
    pool = np.zeros(2, np.int64)
    assert sizes.see(ROOM, [7, 8], pool, one).tolist() == [True, True]
    assert sizes.see(ROOM, [8, 9], pool, one).tolist() == [False, True]
