"""What stops deliver when running jobs end sooner or later than expected.

Law: pure. A job that has ended by itself gives nothing; one that ends within the window gives until then. A
requeued job draws its power again when it runs again, a suspended one what it still draws, and its rest comes
after. How long they go on is the caller's to draw (certainty.py), one row for each sampled world; the run after
a requeue is taken as long as expected. Epoch seconds, kW.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.stopped import Stop


def stopped_drops(
    grid: TimeGrid,
    stops: Sequence[Stop],
    ends: NDArray[np.float64],
    window: slice,
    *,
    kw: NDArray[np.float64],
    again: NDArray[np.int64],
    saves: float,
) -> NDArray[np.float64]:
    """(M, W) kW less in each slot of `window` in M worlds in which the jobs would end at `ends` (M, n).

    `kw` (n,) is what each draws, `again` the starts of those requeued, in the stops' order; `saves` is the
    share that a suspended job does not draw.
    """
    begins = grid.starts()[window].astype(np.float64)
    drop = np.zeros((len(ends), len(begins)))
    starts = iter(again.tolist())

    def within(begin: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M, W) share of each slot that lies between `begin` and `end` (M,)."""
        seconds = np.minimum(end[:, None], begins + grid.slot_seconds)
        seconds = seconds - np.maximum(begin[:, None], begins)
        return np.maximum(seconds, 0.0) / grid.slot_seconds

    for stop, power, end in zip(stops, kw.tolist(), ends.T, strict=True):
        off = np.minimum(float(stop.off), end)
        drop += power * within(off, end)
        if stop.requeued:
            begin = np.full(len(end), float(next(starts)))
            # In a world in which it has ended there is no second run.
            rest = np.where(end > stop.off, stop.candidate.duration, 0.0)
            drop -= power * within(begin, begin + rest)
            continue
        due = np.full(len(end), float(stop.until))
        drop -= power * (1.0 - saves) * within(off, np.where(end > stop.off, due, off))
        drop -= power * within(due, due + np.maximum(end - stop.off, 0.0))
    return drop
