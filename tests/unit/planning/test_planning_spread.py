from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.timegrid import TimeGrid
from flexlond.planning.spread import WINDOW, RampBook, raster, spread_time

FAR = 1 << 60


def worst_window(starts: list[tuple[int, float]]) -> float:
    """The most kW started in any half-open window of 300 s: one of them begins at a start."""
    return max(sum(kw for at, kw in starts if first <= at < first + WINDOW) for first, _ in starts)


@pytest.mark.parametrize("slot_seconds", [7, 60, 300, 1800])
def test_the_cap_holds_over_10_000_random_slots(slot_seconds: int) -> None:
    rng = np.random.default_rng(slot_seconds)
    slots_done = 0
    while slots_done < 2500:
        count = 50
        grid = TimeGrid(1_800_000_000 // slot_seconds * slot_seconds, slot_seconds, count)
        cap = float(rng.uniform(5, 50))
        recent = np.array([[grid.start - 100, cap / 2], [grid.start - 290, cap / 4]])
        book = RampBook(grid, cap, float(rng.choice([0.0, 0.5, 1.0])), recent)
        starts = [(int(at), kw) for at, kw in recent.tolist()]
        for slot in rng.integers(0, count, 120).tolist():
            kw = float(rng.uniform(0.1, cap))
            latest = grid.slot_start(slot) + int(rng.integers(0, slot_seconds))
            at = book.fit(slot, kw, (grid.start, latest))
            if at is not None:
                book.commit(at, kw)
                starts.append((at, kw))
                assert grid.slot_of(at) == slot
                assert at <= latest
        assert len(starts) > 3
        assert worst_window(starts) <= cap + 1e-5
        slots_done += count


def test_a_full_window_pushes_the_next_start_on_and_a_full_slot_refuses() -> None:
    grid = TimeGrid(0, 1800, 2)
    book = RampBook(grid, 10.0, 0.5)
    times = []
    for _ in range(9):
        at = book.fit(0, 5.0, (0, FAR))
        if at is not None:
            book.commit(at, 5.0)
        times.append(at)
    assert times == [0, 0, 300, 300, 600, 600, 900, 900, None]
    assert book.allows(1200, 10.0)
    book.commit(0, -5.0)
    assert book.fit(0, 5.0, (0, FAR)) == 0


def test_a_job_above_the_cap_starts_alone() -> None:
    grid = TimeGrid(0, 1800, 1)
    book = RampBook(grid, 10.0, 0.5)
    book.commit(0, 1.0)
    at = book.fit(0, 25.0, (0, FAR))
    assert at == 300
    book.commit(at, 25.0)
    assert book.fit(0, 1.0, (0, FAR)) == 0
    assert not book.allows(450, 1.0)
    assert book.fit(0, 9.5, (10, FAR)) == 600


def test_a_start_just_before_now_counts() -> None:
    grid = TimeGrid(3000, 600, 2)
    book = RampBook(grid, 10.0, 1.0, np.array([[2900.0, 8.0]]))
    at = book.fit(0, 5.0, (3000, FAR))
    assert at is not None
    assert 3200 <= at < 3200 + raster(600)


def test_no_candidate_before_the_earliest_or_after_the_latest() -> None:
    grid = TimeGrid(0, 1800, 2)
    book = RampBook(grid, 1e9, 0.5)
    assert book.fit(0, 1.0, (1234, FAR)) == 1240  # up to the raster of 10 s
    assert book.fit(0, 1.0, (1234, 1236)) == 1234
    assert book.fit(1, 1.0, (0, 1799)) is None


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([7, 60, 1800, 3600]),
    st.floats(0, 1),
    st.integers(0, 5),
    st.integers(0, 9000),
)
def test_spread_times_stay_in_their_part_of_the_slot(
    job: int, slot_seconds: int, spread: float, slot: int, latest: int
) -> None:
    grid = TimeGrid(0, slot_seconds, 6)
    start = grid.slot_start(slot)
    at = spread_time(grid, spread, job, slot, (start, start + latest))
    assert start <= at <= start + min(latest, spread * slot_seconds)
    assert at == spread_time(grid, spread, job, slot, (start, start + latest))


def test_neighbouring_jobs_spread_out_on_few_times() -> None:
    grid = TimeGrid(0, 1800, 1)
    times = [spread_time(grid, 0.5, job, 0, (0, FAR)) for job in range(5000, 15000)]
    counts = np.bincount(times)
    counts = counts[counts > 0]
    assert len(counts) == 91
    assert counts.max() < 1.5 * counts.mean()
