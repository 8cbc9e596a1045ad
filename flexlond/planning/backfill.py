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

_EPSILON = 1e-6
_MOST = 200  # jobs that give way to others
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
        self._plain = plain
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
        return Around(listing, jobs, self._plain)


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """Who might start in a window, in Slurm's order, and the schedule before anything is moved."""

    listing: Listing
    jobs: NDArray[np.int64]
    plain: NDArray[np.bool_]  # (J,) jobs without consent

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
        after = self.after(moved, slot, to)
        changed = self.jobs[after.start[self.jobs] != self.listing.start[self.jobs]]
        return changed, self.listing.start[changed], after.start[changed]

    def after(
        self,
        moved: NDArray[np.int64],
        slot: NDArray[np.int64],
        to: NDArray[np.int64],
        more: NDArray[np.float64] | None = None,
    ) -> Listing:
        """The schedule once `moved` went from `slot` to `to`, with `more` room (C, S) than runs leave now.

        Where that is less, whoever stands in its way comes later: the last in Slurm's order first.
        """
        after = self.listing.copy()
        after.move(moved, slot, to)
        if more is not None:
            after.timeline.free[:-2] += more[:-2]
            self._give_way(after)
        after.again(self.jobs.tolist())
        return after

    def _give_way(self, after: Listing) -> None:
        """Take out who has no room any more, and put them where there is some."""
        free = after.timeline.free
        short = free < np.minimum(self.listing.timeline.free, 0.0) - _EPSILON
        out: list[int] = []
        while len(out) < _MOST and short.any():
            row, slot = (int(one) for one in np.argwhere(short)[0])
            job = after.last_in(row, slot)
            if job < 0:
                short[row, slot] = False
                continue
            out.append(job)
            after.take_out(np.array([job]))
            short &= free < np.minimum(self.listing.timeline.free, 0.0) - _EPSILON
        for job in reversed(out):
            if self.plain[job]:
                after.first_fit((job,))
            else:
                after.later(job, int(self.listing.slot[job]))
