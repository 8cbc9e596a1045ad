"""Power of jobs that nobody has submitted yet, where a window caps the site.

Law: jobs without consent go on coming as they came: what those that run have drawn on average of late is
counted in each capped slot, as far as those that are known do not draw it there. It binds nobody but flexible
jobs under a window, takes no room on nodes, and is nothing until that time was watched. A guess of power,
never of delivery: what was observed is what ran. kW as the plan counts it; epoch seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from flexlond.agents.reserved import together
from flexlond.planning.account import slot_power
from flexlond.planning.problem import Running

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.problem import Problem

SLOTS: Final = 6
"""So many slots are looked back on."""
_WATCHED: Final = 0.5
"""The share of them that must have been watched."""


class Newcomers:
    """What jobs without consent drew of late."""

    def __init__(self) -> None:
        """Nothing watched yet."""
        self._seen: deque[tuple[int, float]] = deque()

    def see(self, now: int, kw: float, slot_seconds: int) -> None:
        """Jobs without consent that run draw `kw` at `now`."""
        self._seen.append((now, kw))
        while self._seen[0][0] < now - SLOTS * slot_seconds:
            self._seen.popleft()

    def usual_kw(self, slot_seconds: int) -> float:
        """What they drew on average; 0.0 before enough was watched."""
        points = list(self._seen)
        watched = points[-1][0] - points[0][0] if points else 0
        if watched < _WATCHED * SLOTS * slot_seconds:
            return 0.0
        return sum(kw * (after - at) for (at, kw), (after, _) in pairwise(points)) / watched


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Whom nobody asks, among the jobs of a problem, and what they draw of late."""

    runs: NDArray[np.bool_]  # (N,) of what runs
    waits: NDArray[np.bool_]  # (J,) of what waits
    usual_kw: float


def with_newcomers(problem: Problem, caps: NDArray[np.float64], expected: Expected) -> Problem:
    """The same problem with those that are to come in the slots that `caps` (S,) caps."""
    capped = np.flatnonzero(np.isfinite(caps))
    if not len(capped) or expected.usual_kw <= 0.0:
        return problem
    missing = np.maximum(0.0, expected.usual_kw - _known_kw(problem, expected))[capped]
    slots = capped[missing > 0.0]
    grid, running = problem.grid, problem.running
    begin = grid.start + slots.astype(np.int64) * grid.slot_seconds
    more = Running(
        np.zeros((len(slots), running.share.shape[1])),
        np.zeros((len(slots), running.demand.shape[1])),
        begin + grid.slot_seconds,
        missing[missing > 0.0],
        begin,
    )
    return replace(problem, running=together(running, more))


def _known_kw(problem: Problem, expected: Expected) -> NDArray[np.float64]:
    """(S,) kW of jobs without consent that run, and of those that wait, as if there were room for them.

    In whole slots, as the planner counts power under a cap.
    """
    grid, running, known, waits = problem.grid, problem.running, expected.runs, expected.waits
    kept = problem.occupancy if len(problem.occupancy) else problem.duration
    start = np.concatenate(
        [
            np.full(int(known.sum()), float(problem.now)),
            np.maximum(problem.earliest, problem.now)[waits].astype(np.float64),
        ]
    )
    end = np.concatenate(
        [running.end[known].astype(np.float64), start[known.sum() :] + kept[waits]]
    )
    kw = np.concatenate([running.kw[known], (problem.kw * problem.tasks)[waits]])
    first = (start - grid.start) // grid.slot_seconds
    last = np.ceil((np.maximum(end, start) - grid.start) / grid.slot_seconds)
    seconds = grid.slot_seconds
    return slot_power(grid, grid.start + first * seconds, grid.start + last * seconds, kw)
