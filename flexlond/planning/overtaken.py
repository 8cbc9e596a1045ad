"""Held jobs that one which is about to start would overtake, for longer than they can wait.

Law: pure. A job that is not held starts as soon as it fits, for Slurm keeps no room for held ones, and may stay
until its time limit. Where that would keep a held job past its promised latest start, the held job is given
back at once: it stands before the other in Slurm's order and goes first. Giving back is always safe. The first
that has no room is counted as if it had, for room may come at any moment; who stands behind it is not. Whole
slots.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.capacity import Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import Problem


def overtaken(
    problem: Problem, blocks: Blocks, start: NDArray[np.int64], held: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(J,) the jobs of `held` (J,) to give back; none where the problem has no promises.

    `start` (J,) is when those begin.
    """
    result = np.zeros(problem.jobs, np.bool_)
    if not held.any() or not len(problem.promised):
        return result
    grid = problem.grid
    soon = grid.start + grid.slot_seconds
    goes = ~held & (np.maximum(problem.earliest, problem.now) < soon)
    goes[problem.depends[:, 0]] = False  # these wait for others
    # By their limits: what starts now may stay that long.
    timeline = Timeline(problem, replace(blocks, hold=np.where(held, blocks.hold, blocks.longest)))
    goers = np.flatnonzero(goes)
    for job in goers[np.argsort(problem.order[goers], kind="stable")].tolist():
        first = not timeline.fits(job, 0, 1)
        timeline.add(job, 0, timeline.width(job, 0, problem.now))
        if first:  # waits for room, which may come at any moment
            break
    jobs = np.flatnonzero(held) if len(goers) else goers
    for job in jobs[np.argsort(problem.order[jobs], kind="stable")].tolist():
        kept = int(np.clip((start[job] - grid.start) // grid.slot_seconds, 0, grid.count - 1))
        slot = timeline.first_room(job, kept, grid.slot_start(kept))
        at = max(int(start[job]), grid.slot_start(slot))
        if slot >= grid.count or at > problem.promised[job] - grid.slot_seconds:
            result[job] = True
        else:
            timeline.add(job, slot, timeline.width(job, slot, grid.slot_start(slot)))
    return result
