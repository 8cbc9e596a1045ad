"""Begin times inside a slot: spread, so that the ramp cap holds even if we are dead.

Law: a begin time lies in the first `spread` part of its slot, never before the job's earliest and never
after its latest start, on a raster of max(1, slot_seconds // 180) s so that many jobs share one. The same
jobs get the same times (by job id). With a ramp cap, the kW that we start in any 300 s, across slots too,
stays at or below the cap; a single job above the cap starts alone in its 300 s. Half-open windows:
[t, t + 300).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid

WINDOW = 300
"""Seconds over which the ramp is counted (DESIGN invariant I5)."""
_EPSILON = 1e-6
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: neighbouring ids land far apart


def raster(slot_seconds: int) -> int:
    """Seconds between two possible begin times."""
    return max(1, slot_seconds // 180)


def spread_time(
    grid: TimeGrid, spread: float, job_id: int, slot: int, bounds: tuple[int, int]
) -> int:
    """The begin time of a job in `slot` without a ramp cap, within `bounds` (earliest, latest)."""
    step = raster(grid.slot_seconds)
    earliest, latest = bounds
    # Where the latest start cuts the spread short, they are spread over what is left, not crowded at its end.
    last = min(int(spread * grid.slot_seconds), latest - grid.slot_start(slot))
    places = max(0, min(last, grid.slot_seconds - 1)) // step + 1
    mixed = (job_id * int(_GOLDEN)) & 0xFFFFFFFFFFFFFFFF
    begin = grid.slot_start(slot) + (mixed >> 32) * places // (1 << 32) * step
    return max(min(begin, latest), earliest)


def ramp_book(
    grid: TimeGrid, cap: float, spread: float, recent: NDArray[np.float64]
) -> RampBook | None:
    """The book of the starts we command under `cap` (kW per 5 minutes); None without a cap (0)."""
    return RampBook(grid, cap, spread, recent) if cap else None


class RampBook:
    """The kW that we start per second over the horizon, and room for more under the cap."""

    def __init__(
        self, grid: TimeGrid, cap: float, spread: float, recent: NDArray[np.float64] | None = None
    ) -> None:
        """`cap` is kW per 5 minutes; `recent` (M, 2) are starts (epoch, kW) already made."""
        self._grid = grid
        self._cap = cap
        self._spread = int(spread * grid.slot_seconds)
        self._base = grid.start - 2 * WINDOW
        # _sum[u] is the kW started in [base + u, base + u + WINDOW).
        self._sum = np.zeros(grid.end - self._base + 2 * WINDOW)
        for at, kw in [] if recent is None else recent.tolist():
            self.commit(int(at), kw)

    def fit(self, slot: int, kw: float, bounds: tuple[int, int]) -> int | None:
        """The first begin time in the spread part of `slot` and `bounds` that keeps the cap, or None."""
        times = self._candidates(slot, bounds)
        if not len(times):
            return None
        load = self._load(times)
        free = self._free(load, kw)
        found = int(free.argmax())
        return int(times[found]) if free[found] else None

    def commit(self, at: int, kw: float) -> None:
        """Count `kw` started at `at`; outside the horizon it does not matter."""
        high = at - self._base + 1
        low = max(0, high - WINDOW)
        if high > 0:
            self._sum[low:high] += kw

    def allows(self, at: int, kw: float) -> bool:
        """Whether `kw` more may start at `at`."""
        return bool(self._free(self._load(np.array([at], np.int64)), kw)[0])

    def _free(self, load: NDArray[np.float64], kw: float) -> NDArray[np.bool_]:
        alone = (load <= _EPSILON) & (kw > self._cap)
        return alone | (load + kw <= self._cap + _EPSILON)

    def _candidates(self, slot: int, bounds: tuple[int, int]) -> NDArray[np.int64]:
        start = self._grid.slot_start(slot)
        step = raster(self._grid.slot_seconds)
        earliest, latest = bounds
        low = start
        if earliest > start:
            low = start - (start - earliest) // step * step  # up to the raster
            if low > latest or low >= start + self._grid.slot_seconds:
                low = earliest
        last = min(start + self._spread, start + self._grid.slot_seconds - 1)
        high = min(max(last, low), latest, self._grid.end - 1)
        return np.arange(low, high + 1, step, dtype=np.int64)

    def _load(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """For each of the evenly spaced `times`, the largest sum of a window that contains it."""
        low = int(times[0]) - self._base - WINDOW + 1
        high = int(times[-1]) - self._base + 1
        step = int(times[1] - times[0]) if len(times) > 1 else 1
        windows = np.lib.stride_tricks.sliding_window_view(self._sum[low:high], WINDOW)
        load: NDArray[np.float64] = windows[::step].max(axis=1)
        return load
