"""What Slurm starts in the room that moved jobs leave: jobs without consent, under no cap.

Law: pure. Slurm knows no window: a job without consent that waits for room starts as soon as there is some, and
draws its power then. So what a re-plan frees in a window may be taken again, and only what is left of the drop
is delivered. Only such jobs are listed anew as could start before the window's end; all others stand where the
plan in force has them. Times are epoch seconds; room as in capacity.py, without the site's cap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.capacity import Timeline
from flexlond.planning.listing import Listing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import Plan, Problem

_ROUNDS = 2  # of listing anew, after which the plan in force is taken to be at rest


class Backfill:
    """The plan in force as a schedule without a cap; made once for all windows."""

    def __init__(
        self, problem: Problem, blocks: Blocks, last: Plan, plain: NDArray[np.bool_]
    ) -> None:
        """`plain` (J,) marks the jobs without consent that Slurm may start at any moment with room."""
        self._problem = replace(problem, site_kw=np.zeros(0))
        grid = problem.grid
        begin = np.where(last.moved, grid.start + last.slot * grid.slot_seconds, last.start)
        self._listing = Listing(self._problem, blocks, Timeline(self._problem, blocks))
        self._listing.adopt(np.arange(problem.jobs), begin)
        waits = plain & (last.start > np.maximum(problem.earliest, problem.now))
        jobs = np.flatnonzero(waits)
        self._waiting = jobs[np.argsort(problem.order[jobs], kind="stable")]

    def around(self, window: tuple[int, int]) -> Around:
        """The schedule about one window (first and last slot)."""
        grid = self._problem.grid
        begin, end = grid.slot_start(window[0]), grid.slot_start(window[1] + 1)
        jobs = self._waiting
        jobs = jobs[(self._listing.start[jobs] > begin) & (self._problem.earliest[jobs] < end)]
        listing = self._listing.copy()
        for _ in range(_ROUNDS):
            listing.again(jobs.tolist())
        return Around(listing, jobs)


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """Who might start in a window, in Slurm's order, and the schedule before anything is moved."""

    listing: Listing
    jobs: NDArray[np.int64]

    @property
    def free(self) -> NDArray[np.float64]:
        """(C, S) room that nobody takes; the site's power unbounded."""
        return self.listing.timeline.free

    def started(
        self, moved: NDArray[np.int64], slot: NDArray[np.int64], to: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(job, start before, start after) of who starts otherwise once `moved` go from `slot` to `to`."""
        if not len(self.jobs) or not len(moved):
            nothing = np.zeros(0, np.int64)
            return nothing, nothing, nothing
        after = self.listing.copy()
        after.move(moved, slot, to)
        after.again(self.jobs.tolist())
        changed = self.jobs[after.start[self.jobs] != self.listing.start[self.jobs]]
        return changed, self.listing.start[changed], after.start[changed]
