"""The wait for room by a job's share: what is noted, what is predicted, what is not."""

from __future__ import annotations

import numpy as np
import pytest

from flexlond.planning.pools import Room
from flexlond.planning.waiting import (
    KEPT_SECONDS,
    NOTE_SECONDS,
    SEEN_SECONDS,
    SHARES,
    RoomWaits,
    waits_for_room,
)

NOW = 1_790_000_000
HALF = SHARES.index(0.5)


def room(*capacity: float, shared: bool = False) -> Room:
    pools = np.array(capacity)[:, None]
    group = np.zeros(len(capacity), np.int64) if shared else np.arange(len(capacity))
    total = np.array([[sum(capacity)]]) if shared else pools
    names = tuple(f"p{index}" for index in range(len(capacity)))
    return Room(pools, group, total, names, ("cpus",))


def noted(waits: RoomWaits, where: Room, taken: float, left: float, *, count: int = 48) -> None:
    """So many half-hourly notes with `taken` CPUs of the first pool in use for `left` seconds more."""
    for step in range(count):
        at = NOW + step * NOTE_SECONDS
        waits.note(
            at, where, np.zeros(1, np.int64), np.array([[taken]]), np.array([float(at + left)])
        )


def test_a_share_waits_until_enough_of_what_runs_has_ended() -> None:
    share, end = np.array([0.5, 0.25, 0.25]), np.array([NOW + 300.0, NOW + 100.0, NOW + 200.0])
    waits = dict(zip(SHARES, waits_for_room(share, end, NOW).tolist(), strict=True))
    assert (waits[0.25], waits[0.3], waits[0.5], waits[0.6], waits[1.0]) == (
        100,
        200,
        200,
        300,
        300,
    )


def test_free_room_is_no_wait_and_room_that_was_lost_waits_for_the_last_end() -> None:
    assert waits_for_room(np.zeros(0), np.zeros(0), NOW).tolist() == [0] * len(SHARES)
    over = waits_for_room(np.array([0.8, 0.7]), np.array([NOW + 50.0, NOW + 90.0]), NOW)
    assert over[-1] == 90


def test_large_jobs_keep_hours_and_small_ones_nothing() -> None:
    waits, where = RoomWaits(), room(100.0)
    noted(waits, where, 60.0, 7200.0)
    found = waits.predicted(where, np.zeros(3, np.int64), np.array([[1.0], [40.0], [41.0]]))
    assert found.tolist() == [0.0, 0.0, 7200.0]


def test_half_a_day_of_notes_is_needed_and_a_week_is_kept() -> None:
    waits, where = RoomWaits(), room(100.0)
    noted(waits, where, 60.0, 7200.0, count=23)
    one = (np.zeros(1, np.int64), np.array([[50.0]]))
    assert np.isnan(waits.predicted(where, *one)[0])
    noted(waits, where, 60.0, 7200.0, count=48)
    assert waits.predicted(where, *one)[0] == 7200.0
    waits.restore("p0", NOW + 2 * KEPT_SECONDS, [0] * len(SHARES))
    assert np.isnan(waits.predicted(where, *one)[0])


def test_one_note_a_slot() -> None:
    waits = RoomWaits()
    assert waits.due(NOW)
    noted(waits, room(10.0), 1.0, 60.0, count=1)
    assert not waits.due(NOW + NOTE_SECONDS - 1)
    assert waits.due(NOW + NOTE_SECONDS)


def test_pools_that_share_nodes_wait_for_each_other() -> None:
    waits, where = RoomWaits(), room(50.0, 50.0, shared=True)
    noted(waits, where, 50.0, 3600.0)  # the first pool is full, the second is empty
    second = np.ones(1, np.int64)
    assert waits.predicted(where, second, np.array([[50.0]]))[0] == 0.0
    apart = RoomWaits()
    noted(apart, where, 60.0, 3600.0)  # six tenths of all nodes: the second pool is not free either
    assert apart.predicted(where, second, np.array([[50.0]]))[0] == 3600.0


def test_what_released_jobs_were_seen_to_wait_counts_for_their_size_for_a_day() -> None:
    waits, where = RoomWaits(), room(100.0)
    noted(waits, where, 0.0, 0.0)
    asked = (np.zeros(2, np.int64), np.array([[50.0], [3.0]]))
    for at in range(5):
        waits.saw(NOW + at, where, 0, np.array([50.0]), 900)
    assert waits.predicted(where, *asked).tolist() == [900.0, 0.0]
    waits.saw(NOW + SEEN_SECONDS + 10, where, 0, np.array([50.0]), 900)
    assert waits.predicted(where, *asked).tolist() == [0.0, 0.0]


def test_notes_survive_being_kept_and_those_of_another_ladder_do_not() -> None:
    waits, where = RoomWaits(), room(100.0)
    noted(waits, where, 60.0, 7200.0)
    again = RoomWaits()
    for key, notes in waits.notes().items():
        for at, note in notes:
            again.restore(key, at, note)
    again.restore("p0", NOW + 90 * NOTE_SECONDS, [1, 2, 3])
    one = (np.zeros(1, np.int64), np.array([[50.0]]))
    assert again.predicted(where, *one)[0] == pytest.approx(7200.0)
    assert again.notes() == waits.notes()
