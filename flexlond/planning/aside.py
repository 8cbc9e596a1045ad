"""Who stands first in the queue, waits for room, and keeps others from starting that fit now: he steps aside.

Law: pure. Slurm keeps the first waiting job's room free, so a job that was deferred and finds its room taken
stops those behind it, however much time it has left. A flexible job that has time is held for `STEP` seconds
instead: those that fit start, and it stands first again. By time limits, not by predictions: with all of them
started and running to their limits it still starts a slot before its promise, and so with any other that waits
and does not fit beside it, for room may come while it is held; else it keeps its place. One at a time, never
for a job that backfill starts beside it, never under a power cap (who starts draws power). Whole slots.
Source: own measurements, docs/explanation/backtest-results.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from flexlond.planning.capacity import Timeline
from flexlond.planning.problem import NEVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import Problem

STEP: Final = 300
"""Seconds that a job is held for others: time for a few turns of Slurm's scheduler."""
_DEPTH = 500  # jobs behind the first that backfill looks at
NOBODY: Final = -1


def steps_aside(problem: Problem, blocks: Blocks, held: NDArray[np.bool_]) -> int:
    """The row of the job to hold until `STEP` seconds from now, or NOBODY.

    `held` (J,) are those that the plan holds: they wait for nothing and are in nobody's way.
    """
    grid = problem.grid
    soon = grid.start + grid.slot_seconds
    goes = ~held & (np.maximum(problem.earliest, problem.now) < soon)
    goes[problem.depends[:, 0]] = False  # these wait for others
    if not len(problem.promised) or np.isfinite(problem.site_kw).any():
        return NOBODY
    queue = np.flatnonzero(goes)
    queue = queue[np.argsort(problem.order[queue], kind="stable")]
    if not (problem.promised[queue] < NEVER).any():
        return NOBODY
    timeline = Timeline(problem, replace(blocks, hold=blocks.longest))
    group = problem.pool_group[problem.pool[queue]]
    for one in np.unique(group).tolist():  # pools that share no nodes do not wait for each other
        first = _who(problem, timeline.copy(), queue[group == one])
        if first != NOBODY:
            return first
    return NOBODY


def _who(problem: Problem, beside: Timeline, queue: NDArray[np.int64]) -> int:
    """The first of `queue` that waits, if it steps aside."""
    grid, now = problem.grid, problem.now
    place, first = _first_waiting(beside, queue, now)
    if first == NOBODY or problem.promised[first] >= NEVER:
        return NOBODY
    without = beside.copy()
    slot = beside.first_room(first, 0, now)
    if slot >= grid.count:
        return NOBODY
    beside.add(first, slot, beside.width(first, slot, grid.slot_start(slot)))
    behind = queue[place + 1 : place + 1 + _DEPTH]
    if _waits_long(problem, first, behind) or not _lets_by(beside, without, behind, now):
        return NOBODY
    start = max(grid.slot_start(without.first_room(first, 0, now)), now + STEP)
    return first if start <= problem.promised[first] - grid.slot_seconds else NOBODY


def _waits_long(problem: Problem, first: int, behind: NDArray[np.int64]) -> bool:
    """Whether one of those `behind` that has no place beside the first would, to its limit, make it late."""
    total = problem.group_capacity[problem.pool_group[problem.pool[first]]]
    apart = (problem.demand[behind] + problem.demand[first] > total).any(axis=1)
    limit = problem.limit if len(problem.limit) else problem.duration
    latest = int(problem.promised[first]) - problem.grid.slot_seconds
    return bool((apart & (problem.now + STEP + limit[behind] > latest)).any())


def _first_waiting(timeline: Timeline, queue: NDArray[np.int64], now: int) -> tuple[int, int]:
    """(place in the queue, row) of the first that does not fit now; those before it take their room."""
    for place, job in enumerate(queue.tolist()):
        if not timeline.fits(job, 0, 1):
            return place, job
        timeline.add(job, 0, timeline.width(job, 0, now))
    return len(queue), NOBODY


def _lets_by(beside: Timeline, without: Timeline, behind: NDArray[np.int64], now: int) -> bool:
    """Whether some of `behind` start now `without` the first in their way, and not `beside` it."""
    found = False
    for job in behind.tolist():
        width = without.width(job, 0, now)
        if beside.fits(job, 0, width):  # backfill takes it in any case
            beside.add(job, 0, width)
            without.add(job, 0, width)
        elif without.fits(job, 0, 1):
            without.add(job, 0, width)
            found = True
    return found
