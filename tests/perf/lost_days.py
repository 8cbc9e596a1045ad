"""From when on could the cap of a day not be kept any more? By what was known then, and by what came later.

Law: pure; of one run, as it was played. At each half-hour a day has its least: what the jobs that had started
emit on it, and the least of every job that had not, at the best start that its slack still allowed (a job that
Slurm left in the queue past that: as it ran). Known are the jobs that had been submitted by then; in hindsight
those count too that came later. Neither nodes are looked at nor the day that would take the load instead: a
day may be lost earlier than is said here, never later. Hindsight counts no less than what was known, so it is
never later, and earlier wherever jobs go on coming, foreseen or not: what was unforeseen shows only beside the
moment at which the plans said that the cap cannot be kept. All days together are looked at in hindsight alone,
with the nodes there are (clairvoyant.py): from then on any schedule would have been above the cap on some day,
whoever knew of what. Kg CO2, hours before the end of the day (UTC), epoch seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.perf.clairvoyant import least, nodes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.backtest.case import Run
    from flexlond.backtest.metrics import Case
    from tests.perf.clairvoyant import Choices

DAY, STEP = 86400, 1800
LITTLE = 0.01  # kg above the cap that are nothing
EVE = DAY  # it is looked at from so long before the day's begin


class Lost(NamedTuple):
    """Of one day: hours before its end; NaN where its least was never above the cap."""

    hindsight: float
    known: float
    to_come: float
    """Kg, the least of the jobs that nobody knew of when hindsight had lost it."""


def least_at(
    case: Case, found: Choices, run: Run, day: int, now: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Of each job of `found`: the least kg on `day` that was left at `now`, and whether it was known."""
    first = np.flatnonzero(np.diff(found.job, prepend=-1))
    job = found.job[first]
    started = run.start[found.job] <= now
    as_run = found.start == run.start[found.job]
    open_yet = np.where(started, as_run, as_run | (found.start >= now))
    least = np.minimum.reduceat(np.where(open_yet, found.kg[:, day], np.inf), first)
    return least, case.trace.submit[job] <= now


def lost(case: Case, found: Choices, run: Run, day: int, cap: float) -> Lost:
    """From when on `day` (0: the first) could not be kept under `cap` kg; `found` are `run`'s choices."""
    begin = case.grid.start // DAY * DAY + day * DAY
    end, came = begin + DAY, 0.0
    hindsight = known = float("nan")
    for now in range(begin - EVE, end + 1, STEP):
        least, there = least_at(case, found, run, day, now)
        if np.isnan(hindsight) and least.sum() > cap:
            hindsight, came = (end - now) / 3600, float(least[~there].sum())
        if np.isnan(known) and least[there].sum() > cap:
            known = (end - now) / 3600
    return Lost(hindsight, known, came)


def lost_together(case: Case, found: Choices, run: Run, span: NDArray[np.int64], cap: float) -> int:
    """The first half-hour from which on no schedule keeps every day under `cap` kg; the grid's end: never.

    `found` are `run`'s choices, `span` (J,) s each. Who starts past his slack may only do so as he did.
    """
    moments = range(case.grid.start // DAY * DAY, case.grid.end, STEP)
    as_run = found.start == run.start[found.job]
    in_time = found.start <= case.flexibility.latest[found.job]

    def is_lost(now: int) -> bool:
        started = run.start[found.job] <= now
        rows = as_run | (~started & in_time & (found.start >= now))
        left = replace(found, job=found.job[rows], start=found.start[rows], kg=found.kg[rows])
        return least(left, cap, nodes_of(case, span, left))[0] > LITTLE

    at = bisect_left(moments, True, key=is_lost)
    return moments[at] if at < len(moments) else case.grid.end
