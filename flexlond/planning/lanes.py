"""EASY backfill over one group of pools: who starts now, by the limits that Slurm knows.

Law: pure. First come first served among the jobs that may start, by index (their order of priority); the first
that does not fit gets a reservation at the moment enough room comes free by the time limits of what runs; a
later job starts before it only if it does not delay that. At most `depth` jobs behind the first are looked at
(Slurm's bf_max_job_test). It decides as planning.asap does, by plain lists, because a replay asks after every
event. A pass after submissions alone looks at the newcomers: nothing else can have changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

_EPSILON = 1e-6

Need: TypeAlias = tuple[tuple[int, float], ...]
"""What a job takes: (column, amount), nothing for amounts of zero."""


class Lane(ABC):
    """The waiting jobs and the room of one group of pools that share nodes."""

    def __init__(self, asked: list[int], depth: int) -> None:
        self.waiting: list[int] = []
        """Indices of the jobs that may start and do not fit yet, in priority order."""
        self._asked = asked
        self._depth = depth
        self._ends: list[tuple[int, int]] = []  # (end by the limit, job) of what runs, sorted
        self._shadow = 0  # when the first waiting job can start, by the limits
        self._newcomers: list[int] = []
        self._changed = True  # a start, an end or a new first job: look at all again

    def add(self, job: int) -> None:
        """A job may start from now on."""
        at = bisect_right(self.waiting, job)
        self.waiting.insert(at, job)
        if at:
            self._newcomers.append(job)
        else:
            self._changed = True

    def occupy(self, job: int, now: int) -> None:
        """A job runs already, since or as if since `now`."""
        self._take(job, from_spare=False)
        insort(self._ends, (now + self._asked[job], job))

    def withdraw(self, job: int) -> None:
        """A waiting job is held again."""
        del self.waiting[bisect_left(self.waiting, job)]
        self._changed = True

    def finish(self, job: int, started: int) -> None:
        """A job that started at `started` ended."""
        self._give(job)
        del self._ends[bisect_left(self._ends, (started + self._asked[job], job))]
        self._changed = True

    def start(self, now: int) -> list[int]:
        """Start what may start now and return it: from the first on, then behind it by backfill."""
        if not self._changed:
            last = self.waiting[min(self._depth, len(self.waiting) - 1)]
            started = self._backfill([job for job in sorted(self._newcomers) if job <= last], now)
        else:
            started = self._from_first(now)
            if self.waiting and self._some_room():
                self._shadow = max(now, self._reserve(self.waiting[0], self._ends))
                behind = self.waiting[1 : self._depth + 1]
                started += self._backfill(behind, now)
        self._newcomers.clear()
        # Each start changes what is reserved, so the next pass looks at all jobs once more.
        self._changed = bool(started)
        return started

    def _from_first(self, now: int) -> list[int]:
        count = 0
        for job in self.waiting:
            if not self._fits(job):
                break
            self._run(job, now)
            count += 1
        started = self.waiting[:count]
        del self.waiting[:count]
        return started

    def _backfill(self, jobs: list[int], now: int) -> list[int]:
        started = []
        for job in self._fitting(jobs):
            if not self._fits(job):  # another one took the room
                continue
            in_time = now + self._asked[job] <= self._shadow
            if in_time or self._beside(job):
                del self.waiting[bisect_left(self.waiting, job)]
                self._run(job, now)
                started.append(job)
        return started

    def _run(self, job: int, now: int) -> None:
        end = now + self._asked[job]
        self._take(job, from_spare=end > self._shadow)
        insort(self._ends, (end, job))

    @abstractmethod
    def _some_room(self) -> bool:
        """Whether anything is free at all."""

    @abstractmethod
    def _fits(self, job: int) -> bool:
        """Whether the job fits into what is free now."""

    @abstractmethod
    def _fitting(self, jobs: list[int]) -> list[int]:
        """Those that fit into what is free now, each by itself."""

    @abstractmethod
    def _beside(self, job: int) -> bool:
        """Whether the job fits beside the first waiting one when that starts."""

    @abstractmethod
    def _take(self, job: int, *, from_spare: bool) -> None:
        """Take the job's room now, and beside the reservation as well."""

    @abstractmethod
    def _give(self, job: int) -> None:
        """Give the job's room back."""

    @abstractmethod
    def _reserve(self, job: int, ends: Iterable[tuple[int, int]]) -> int:
        """When `job` fits by these ends; note what will be free beside it then."""


class Single(Lane):
    """One resource binds: plain numbers."""

    def __init__(self, need: list[float], total: float, asked: list[int], depth: int) -> None:
        super().__init__(asked, depth)
        self._need = need
        self._free = total
        self._spare = 0.0

    def _some_room(self) -> bool:
        return self._free > _EPSILON

    def _fits(self, job: int) -> bool:
        return self._need[job] <= self._free + _EPSILON

    def _fitting(self, jobs: list[int]) -> list[int]:
        room, need = self._free + _EPSILON, self._need
        return [job for job in jobs if need[job] <= room]

    def _beside(self, job: int) -> bool:
        return self._need[job] <= self._spare + _EPSILON

    def _take(self, job: int, *, from_spare: bool) -> None:
        self._free -= self._need[job]
        if from_spare:
            self._spare -= self._need[job]

    def _give(self, job: int) -> None:
        self._free += self._need[job]

    def _reserve(self, job: int, ends: Iterable[tuple[int, int]]) -> int:
        need, free, at = self._need, self._free + _EPSILON, 0
        wanted = need[job]
        for end, running in ends:
            free += need[running]
            at = end
            if wanted <= free:
                break
        self._spare = free - wanted - _EPSILON
        return at


class Several(Lane):
    """Several resources or pools bind."""

    def __init__(self, need: list[Need], total: list[float], asked: list[int], depth: int) -> None:
        super().__init__(asked, depth)
        self._need = need
        self._free = total
        self._spare = [0.0] * len(total)

    def _some_room(self) -> bool:
        return any(amount > _EPSILON for amount in self._free)

    def _fits(self, job: int) -> bool:
        return _within(self._need[job], self._free)

    def _fitting(self, jobs: list[int]) -> list[int]:
        return [job for job in jobs if _within(self._need[job], self._free)]

    def _beside(self, job: int) -> bool:
        return _within(self._need[job], self._spare)

    def _take(self, job: int, *, from_spare: bool) -> None:
        for column, amount in self._need[job]:
            self._free[column] -= amount
            if from_spare:
                self._spare[column] -= amount

    def _give(self, job: int) -> None:
        for column, amount in self._need[job]:
            self._free[column] += amount

    def _reserve(self, job: int, ends: Iterable[tuple[int, int]]) -> int:
        free, at = self._free.copy(), 0
        wanted = self._need[job]
        for end, running in ends:
            for column, amount in self._need[running]:
                free[column] += amount
            at = end
            if _within(wanted, free):
                break
        for column, amount in wanted:
            free[column] -= amount
        self._spare = free
        return at


def _within(need: Need, free: list[float]) -> bool:
    for column, amount in need:  # noqa: SIM110 - a plain loop: this is the innermost question of a replay
        if amount > free[column] + _EPSILON:
            return False
    return True
