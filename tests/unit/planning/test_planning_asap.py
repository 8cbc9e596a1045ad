from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.planning.asap import asap_schedule
from flexlond.planning.pools import Room


def one_pool(*capacity: float) -> Room:
    room = np.array([capacity], float)
    return Room(room, np.zeros(1, np.int64), room)


def schedule(
    eligible: list[int], duration: list[float], demand: list[Any], room: Room, **given_: Any
) -> list[int]:
    jobs = len(eligible)
    amounts = np.array(demand, float).reshape(jobs, -1)
    pool = np.array(given_.pop("pool", [0] * jobs))
    arrays = {name: np.array(value) for name, value in given_.items()}
    found = asap_schedule(
        np.array(eligible), np.array(duration, float), amounts, pool, room=room, **arrays
    )
    return [int(at) for at in found]


def test_jobs_queue_in_order_and_start_at_the_second_room_comes_free() -> None:
    assert schedule([100, 100, 105], [10, 20, 5], [2, 1, 2], one_pool(2)) == [100, 110, 130]


def test_priority_order_decides_not_the_index() -> None:
    assert schedule([100, 100], [10, 10], [1, 1], one_pool(1), order=[2, 1]) == [110, 100]


def test_backfill_fills_the_gap_without_delaying_the_head() -> None:
    # 0 runs 3 of 4 until 200; 1 (head) needs 4: reserved for 200; 2 ends by then; 3 would not.
    starts = schedule([100] * 4, [100, 50, 100, 101], [3, 4, 1, 1], one_pool(4))
    assert starts == [100, 200, 100, 250]


def test_backfill_beside_the_reservation_may_run_on() -> None:
    # The head needs 2 of 4 at 200: one unit stays free beside it.
    starts = schedule([100] * 3, [100, 50, 500], [3, 2, 1], one_pool(4))
    assert starts == [100, 200, 100]


def test_a_job_that_ends_before_its_limit_lets_the_head_start_early() -> None:
    starts = schedule([100] * 2, [10, 10], [1, 1], one_pool(1), limit=[1000, 1000])
    assert starts == [100, 110]
    # 2's limit passes the reservation made by limits, so it may not backfill although it would fit.
    starts = schedule([100] * 3, [50, 10, 10], [3, 4, 1], one_pool(4), limit=[60, 10, 61])
    assert starts == [100, 150, 160]


def test_every_resource_counts_and_what_never_fits_never_starts() -> None:
    demand = [[1, 8], [1, 8], [5, 1]]
    assert schedule([7, 7, 7], [10, 10, 10], demand, one_pool(4, 10)) == [7, 17, 0]


def test_pools_that_share_nodes_share_their_room() -> None:
    room = Room(np.array([[3.0], [3.0]]), np.zeros(2, np.int64), np.array([[4.0]]))
    assert schedule([5, 5], [10, 10], [3, 3], room, pool=[0, 1]) == [5, 15]
    apart = Room(np.array([[3.0], [3.0]]), np.array([0, 1]), np.array([[3.0], [3.0]]))
    assert schedule([5, 5], [10, 10], [3, 3], apart, pool=[0, 1]) == [5, 5]


def test_a_dependent_job_starts_after_its_predecessors() -> None:
    starts = schedule(
        [5, 5, 100], [10, 20, 1], [1, 1, 1], one_pool(9), depends=[[1, 0], [2, 0], [2, 1]]
    )
    assert starts == [5, 15, 100]
    assert schedule([5, 5], [1, 1], [1, 1], one_pool(9), depends=[[0, 1], [1, 0]]) == [0, 0]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.integers(1, 30), st.integers(1, 4)),
        min_size=1,
        max_size=15,
    )
)
def test_room_is_never_exceeded_and_no_first_job_waits_beside_free_room(
    jobs: list[tuple[int, int, int]],
) -> None:
    eligible = [job[0] for job in jobs]
    starts = schedule(eligible, [float(j[1]) for j in jobs], [j[2] for j in jobs], one_pool(5))
    used = np.zeros(600)
    for at, (wanted, length, need) in zip(starts, jobs, strict=True):
        assert at >= wanted
        used[at : at + length] += need
    assert used.max() <= 5
    for at, (wanted, _, need) in zip(starts, jobs, strict=True):
        # Alone in the queue from its submission to its start: it waited for room only.
        others = [a for a, j in zip(starts, jobs, strict=True) if j[0] <= at and a >= wanted]
        if at > wanted and len(others) == 1:
            assert used[at - 1] + need > 5


def test_a_thousand_jobs_keep_their_order_when_all_are_equal() -> None:
    starts = schedule([10] * 1000, [7.0] * 1000, [1.0] * 1000, one_pool(10))
    assert starts == [10 + 7 * (job // 10) for job in range(1000)]


def test_a_missing_pool_is_an_error() -> None:
    with pytest.raises(IndexError):
        schedule([1], [1], [1], one_pool(1), pool=[3])
