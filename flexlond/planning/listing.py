"""Jobs one after the other, each as soon as there is room: what Slurm does with those we leave alone.

Law: a list schedule in whole slots over a Timeline. Room is only ever taken where it is free. A job starts at
its earliest moment where its first slot has room, else at the start of the first slot that has; one that never
fits starts beyond the horizon. A successor waits for its predecessors' expected ends, rounded up to the slot,
because expected ends are no better known.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.problem import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from flexlond.planning.capacity import Blocks, Timeline
    from flexlond.planning.problem import Problem


class Listing:
    """Who starts when, and the room that leaves."""

    def __init__(self, problem: Problem, blocks: Blocks, timeline: Timeline) -> None:
        """Nobody placed yet; fills `timeline`."""
        self.timeline = timeline
        self.start = np.zeros(problem.jobs, np.int64)  # 0: not placed
        self.slot = np.full(problem.jobs, problem.grid.count, np.int64)
        self._problem = problem
        self._blocks = blocks
        self._earliest: list[int] = np.maximum(problem.earliest, problem.now).tolist()
        self._before: dict[int, list[int]] = {}
        for successor, predecessor in problem.depends.tolist():
            self._before.setdefault(successor, []).append(predecessor)
        shape = np.column_stack([problem.pool, blocks.amount, blocks.hold])
        self._alike: list[int] = (
            np.unique(shape, axis=0, return_inverse=True)[1].ravel().tolist() if len(shape) else []
        )
        self._full_before: dict[int, int] = {}  # per kind of job: no room in any slot before this

    def copy(self) -> Listing:
        """The same schedule, to go on from differently."""
        other = copy(self)
        other.timeline = self.timeline.copy()
        other.start, other.slot = self.start.copy(), self.slot.copy()
        other._full_before = {}  # noqa: SLF001 - our own class
        return other

    def adopt(self, jobs: NDArray[np.int64], start: NDArray[np.int64]) -> None:
        """Take over given starts of `jobs`, and their room."""
        self.timeline.add_all(jobs, start)
        self.start[jobs] = start
        grid = self._problem.grid
        self.slot[jobs] = np.clip((start - grid.start) // grid.slot_seconds, 0, grid.count)

    def first_fit(self, jobs: Iterable[int]) -> None:
        """Place `jobs` in this order, each in the first slot with room."""
        grid = self._problem.grid
        for job in jobs:
            slot, start = self.floor(job)
            kind = self._alike[job]
            from_now = slot == 0
            if from_now:
                slot = max(slot, self._full_before.get(kind, 0))
            if slot < grid.count:
                offset = start if slot == grid.slot_of(start) else 0
                slot = self.timeline.first_room(job, slot, offset)
            if from_now:
                self._full_before[kind] = slot
            self._put(job, slot, start)

    def again(self, jobs: Iterable[int]) -> None:
        """Place each of `jobs` again, in turn: what others left free may be sooner."""
        for job in jobs:
            if self.start[job] > self.floor(job)[1]:
                self._take_out(job)
                self._full_before.clear()  # what became free may lie before
                self.first_fit((job,))

    def hold(self, jobs: Iterable[int]) -> list[int]:
        """Place `jobs` at the begin time they have, where that is possible; return those placed."""
        placed = []
        grid = self._problem.grid
        for job in jobs:
            at = int(self._problem.current[job])
            slot, start = self.floor(job)
            kept = grid.slot_of(at)
            if start <= at <= self._blocks.latest[job] and kept < grid.count:
                width = self.timeline.width(job, kept, start if kept == slot else 0)
                if self.timeline.fits(job, kept, width):
                    self.timeline.add(job, kept, width)
                    self.start[job], self.slot[job] = at, kept
                    placed.append(job)
        return placed

    def floor(self, job: int) -> tuple[int, int]:
        """The first slot and moment `job` may start: its earliest, and its predecessors' ends."""
        grid = self._problem.grid
        start = self._earliest[job]
        for predecessor in self._before.get(job, ()):
            if self.start[predecessor]:
                begin = grid.slot_start(int(self.slot[predecessor]))
                begin = min(int(self.start[predecessor]), max(begin, self._earliest[predecessor]))
                end = begin + int(np.ceil(self._blocks.span[predecessor]))
                if end > start:
                    start = end + (grid.start - end) % grid.slot_seconds
        return max(0, grid.slot_of(start)), start

    def awaited(self, job: int) -> int:
        """The planned end of the last predecessor to the second; 0 without one."""
        if job not in self._before:
            return 0
        ends = (
            int(self.start[predecessor] + np.ceil(self._blocks.span[predecessor]))
            for predecessor in self._before[job]
            if self.start[predecessor]
        )
        return max(ends, default=0)

    def place(self, job: int, slot: int, at: int) -> None:
        """Put `job` (which has no place) at `at` in `slot` and take its room there."""
        grid = self._problem.grid
        self.start[job], self.slot[job] = at, min(slot, grid.count)
        if slot < grid.count:
            floor = self._earliest[job]
            width = self.timeline.width(job, slot, floor if grid.slot_of(floor) == slot else 0)
            self.timeline.add(job, slot, width)

    @property
    def bound(self) -> NDArray[np.bool_]:
        """(J,) jobs with a latest start."""
        result: NDArray[np.bool_] = self._blocks.latest < NEVER
        return result

    def place_if_free(self, job: int, at: int) -> None:
        """Put `job` (which has no place) at `at`, if there is room for it."""
        grid = self._problem.grid
        slot = grid.slot_of(at)
        if slot < grid.count:
            floor = self._earliest[job]
            width = self.timeline.width(job, slot, floor if grid.slot_of(floor) == slot else 0)
            if self.timeline.fits(job, slot, width):
                self.place(job, slot, at)

    def place_all(
        self, jobs: NDArray[np.int64], slot: NDArray[np.int64], at: NDArray[np.int64]
    ) -> None:
        """Put many `jobs` (which have no place) at `at` in `slot`."""
        self.start[jobs], self.slot[jobs] = at, np.minimum(slot, self._problem.grid.count)
        self.timeline.add_many(jobs, slot, self._widths(jobs, slot))

    def take_out(self, jobs: NDArray[np.int64]) -> None:
        """Give back the places of `jobs`."""
        jobs = jobs[self.start[jobs] > 0]
        slot = self.slot[jobs]
        self.timeline.add_many(jobs, slot, self._widths(jobs, slot), sign=-1.0)
        self.start[jobs], self.slot[jobs] = 0, self._problem.grid.count
        self._full_before.clear()  # what became free may lie before

    def move(self, jobs: NDArray[np.int64], slot: NDArray[np.int64], to: NDArray[np.int64]) -> None:
        """Give back the room of `jobs` at `slot` and take it at `to`; a start is its slot's first moment."""
        self.timeline.add_many(jobs, slot, self._widths(jobs, slot), sign=-1.0)
        self.place_all(jobs, to, self._problem.grid.start + to * self._problem.grid.slot_seconds)
        self._full_before.clear()  # what became free may lie before

    def _widths(self, jobs: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.int64]:
        """Slots that `jobs` take from `slot`: from their earliest moment in its slot, else from its start."""
        grid = self._problem.grid
        earliest = np.maximum(self._problem.earliest[jobs], self._problem.now)
        begins = grid.start + slot * grid.slot_seconds
        same = (earliest - grid.start) // grid.slot_seconds == slot
        return self.timeline.widths(jobs, np.where(same, earliest, begins))

    def _take_out(self, job: int) -> None:
        slot, floor = int(self.slot[job]), self._earliest[job]
        if slot < self._problem.grid.count:
            at_first = self._problem.grid.slot_of(floor) == slot
            width = self.timeline.width(job, slot, floor if at_first else 0)
            self.timeline.add(job, slot, width, sign=-1.0)

    def _put(self, job: int, slot: int, start: int) -> None:
        grid = self._problem.grid
        at = start if slot == grid.slot_of(start) else max(start, grid.slot_start(slot))
        self.place(job, slot, max(at, self.awaited(job)))
