"""Long jobs that a large newcomer does not fit beside: they are not deferred far.

Law: pure bookkeeping. A deferred job keeps its nodes from those that come later for as long as it runs beyond
the end it would have had, and one that needs most of the pool then waits all that time, and all behind it. So a
job that may last longer than `limit` seconds (by its time limit: nine in ten is not enough where the tenth
makes others late), and takes more than half of what large newcomers leave of its pool, starts at most `limit`
after it was eligible. Large is the 98th percentile of the last thousand jobs of the pool; before fifty have
come every job counts as large. Where jobs wait for longer than `limit` on the mean anyway, nobody is in the
way: on a full cluster newcomers wait behind a backlog, whoever is deferred, and the rule would cost most of the
saving for nothing. Shares of a pool, epoch seconds.
Source: own measurements, docs/explanation/backtest-results.md.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.capacity import ARRAY_SHARE
from flexlond.planning.waiting import shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.planning.pools import Room
    from flexlond.planning.problem import Problem

_REMEMBERED = 1000
_ENOUGH = 50
_LARGE = 0.98
_PART = 0.5  # of what large newcomers leave: a few small ones stand in the way together


class Sizes:
    """The shares of their pool that jobs ask for, learned as they come."""

    def __init__(self) -> None:
        """Nothing is known before the first job."""
        self._there: frozenset[int] = frozenset()
        self._shares: dict[str, deque[float]] = {}
        self._large: dict[str, float] = {}
        self._run: frozenset[int] = frozenset()
        self._waits: dict[str, deque[float]] = {}

    def see(
        self,
        room: Room,
        job_id: Sequence[int],
        pool: NDArray[np.int64],
        demand: NDArray[np.float64],
        waited: NDArray[np.float64] | None = None,
    ) -> NDArray[np.bool_]:
        """The jobs that wait or run now: `pool` (J,) or -1, `demand` (J, R); (J,) the new ones, learned from.

        `waited` (J,) s in the queue of those that run, from when they might start; NaN for those that wait,
        None where nobody runs.
        """
        waited = np.full(len(job_id), np.nan) if waited is None else waited
        new = np.array([job not in self._there for job in job_id], np.bool_)
        first, self._there = not self._there, frozenset(job_id)
        self.came(room, pool[new], demand[new])
        ran, runs = self._run, np.isfinite(waited)
        self._run = frozenset(
            job for job, is_in in zip(job_id, runs.tolist(), strict=True) if is_in
        )
        # What ran already when we came is no sample of all that start: the long ones are left.
        begun = (
            [] if first else [row for row, job in enumerate(job_id) if runs[row] and job not in ran]
        )
        for row in begun:
            if pool[row] >= 0:
                self.started(room.partitions[int(pool[row])], float(waited[row]))
        return new

    def started(self, name: str, waited: float) -> None:
        """A job of the pool `name` started after `waited` seconds in the queue."""
        self._waits.setdefault(name, deque(maxlen=_REMEMBERED)).append(max(0.0, waited))

    def wait(self, name: str) -> float:
        """Seconds that jobs of the pool `name` waited on the mean; 0 while too few are known."""
        known = self._waits.get(name, ())
        return sum(known) / len(known) if len(known) >= _ENOUGH else 0.0

    def waits(self, room: Room) -> NDArray[np.float64]:
        """(P,) s that jobs of each pool waited on the mean; 0 where too few are known."""
        return np.array([self.wait(name) for name in room.partitions])

    def came(self, room: Room, pool: NDArray[np.int64], demand: NDArray[np.float64]) -> None:
        """New jobs: `pool` (J,) or -1, `demand` (J, R)."""
        for index in np.unique(pool[pool >= 0]).tolist():
            name = room.partitions[index]
            known = self._shares.setdefault(name, deque(maxlen=_REMEMBERED))
            share = shares(demand[pool == index], room.capacity[index])
            known.extend(np.minimum(share, 1.0).tolist())
            self._large.pop(name, None)

    def large(self, name: str) -> float:
        """The share of the pool `name` that large newcomers ask for."""
        known = self._shares.get(name, ())
        if len(known) < _ENOUGH:
            return 1.0
        if name not in self._large:
            self._large[name] = float(np.quantile(np.array(known), _LARGE))
        return self._large[name]

    def latest(
        self, problem: Problem, room: Room, since: NDArray[np.int64], limit: int
    ) -> NDArray[np.int64]:
        """(J,) the problem's latest starts, brought forward where a job would stand in the way too long.

        `since` (J,) is when each job became eligible. A power
        cap needs who waits as long as they may: under one, and with `limit` 0, nothing is brought forward.
        """
        if limit <= 0 or np.isfinite(problem.site_kw).any():
            return problem.latest
        share = np.zeros(problem.jobs)
        spare = np.zeros(problem.jobs)
        for index in np.unique(problem.pool).tolist():
            rows = problem.pool == index
            share[rows] = shares(problem.demand[rows], room.capacity[index])
            name = room.partitions[index]
            spare[rows] = np.inf if self.wait(name) > limit else 1.0 - self.large(name)
        share = share * np.maximum(problem.tasks, 1)
        may_last = problem.limit if len(problem.limit) else problem.duration
        length = may_last * np.maximum(1.0, np.where(problem.tasks > 1, share / ARRAY_SHARE, 1.0))
        stands = problem.movable & (length > limit) & (share > _PART * spare)
        result: NDArray[np.int64] = np.where(
            stands, np.minimum(problem.latest, since + limit), problem.latest
        )
        return result
