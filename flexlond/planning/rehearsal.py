"""The plan played with other runtimes: what a step delivers when jobs end sooner or later than expected.

Law: pure; the same seed gives the same answer. Runtimes are drawn for all jobs, of running ones the time left,
from the quantiles of like runs where the question has them (certainty.py). With the same runtimes the queue is
played twice, by Slurm's own order and backfill: with the begin times in force, and with the step's. So a job
that starts sooner than planned because others ended, and what Slurm starts in the room that is freed, count as
they come. What is submitted later is not in it, and reservations to come are not played. Epoch seconds, kW.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.capacity import columns_of
from flexlond.planning.certainty import drawn_left, drawn_spans
from flexlond.planning.lanes import Lane, Need, Several, Single

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.stopped import Stop

_DEPTH = 500  # jobs behind the first that backfill looks at
_EPSILON = 1e-6


class Rehearsal:
    """The queue of one plan, with its drawn runtimes and how each of them goes without a step."""

    def __init__(
        self, problem: Problem, blocks: Blocks, last: Plan, *, samples: int, seed: int
    ) -> None:
        """`samples` sets of runtimes are drawn."""
        self._problem, self._blocks = problem, blocks
        self._order = np.argsort(problem.order, kind="stable")
        self._row = np.empty(problem.jobs, np.int64)
        self._row[self._order] = np.arange(problem.jobs)
        rng = np.random.default_rng(seed)
        self._spans = drawn_spans(problem, blocks, np.arange(problem.jobs), samples, rng)
        began = problem.running.begin
        runs = (
            np.flatnonzero(began <= problem.now)
            if len(began)
            else np.arange(len(problem.running.end))
        )
        self._runs = runs
        drawn = drawn_left(problem, runs, samples, rng)
        self._left = np.maximum(1, np.ceil(drawn)).astype(np.int64)
        self._make = _Cluster(problem, blocks, self._order, runs)
        self.begin = np.where(last.moved, last.start, np.maximum(problem.earliest, problem.now))
        """(J,) when each job may start with the begin times in force."""
        self._base = [self._play(self.begin, number, self._left) for number in range(samples)]

    def drops(
        self, begin: NDArray[np.int64], window: slice, stops: Sequence[Stop] = ()
    ) -> NDArray[np.float64]:
        """(M, W) kW less (below 0: more) in each slot of `window` when jobs may start at `begin` (J,).

        The pending jobs' alone; what `stops` free is Slurm's to give, also what a suspended job leaves.
        """
        left = self._left
        if stops:
            left = left.copy()
            rows = self._columns(stops)
            off = np.array([stop.off for stop in stops]) - self._problem.now
            left[:, rows] = np.minimum(left[:, rows], np.maximum(off, 1))
        drops = []
        for number, before in enumerate(self._base):
            after = self._play(begin, number, left)
            drops.append(self._power(before, number, window) - self._power(after, number, window))
        return np.array(drops).reshape(len(drops), -1)

    def ends(self, stops: Sequence[Stop]) -> NDArray[np.float64]:
        """(M, n) when the jobs of `stops` would end by themselves."""
        ends: NDArray[np.float64] = self._problem.now + self._left[:, self._columns(stops)].astype(
            np.float64
        )
        return ends

    def _columns(self, stops: Sequence[Stop]) -> NDArray[np.int64]:
        rows = np.array([stop.candidate.row for stop in stops], np.int64)
        return np.searchsorted(self._runs, rows).astype(np.int64)

    def _play(
        self, begin: NDArray[np.int64], number: int, left: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """(J,) starts with the drawn runtimes `number`; the grid's end where it comes no sooner."""
        spans = np.maximum(1, np.ceil(self._spans[number])).astype(np.int64)
        start = self._make.play(begin[self._order], spans[self._order], left[number])
        return start[self._row]

    def _power(self, start: NDArray[np.int64], number: int, window: slice) -> NDArray[np.float64]:
        """(W,) mean kW of the pending jobs in each slot of `window`."""
        grid, blocks = self._problem.grid, self._blocks
        end = start + self._spans[number]
        opens = grid.starts()[window]
        run = np.minimum(end[:, None], opens + grid.slot_seconds) - np.maximum(
            start[:, None], opens
        )
        kw: NDArray[np.float64] = blocks.kw @ np.maximum(run, 0.0)
        return kw / grid.slot_seconds


class _Cluster:
    """Makes the lanes of a question, and plays them."""

    def __init__(
        self,
        problem: Problem,
        blocks: Blocks,
        order: NDArray[np.int64],
        runs: NDArray[np.int64],
    ) -> None:
        """Jobs in `order`; those that run come after them."""
        self._now, self._end = problem.now, problem.grid.end
        self._jobs, self._runs = len(order), len(runs)
        columns, total = columns_of(problem)
        resources = problem.capacity.shape[1]
        group = problem.pool_group
        asked = np.ceil(blocks.longest[order]).astype(np.int64)
        left = np.maximum(problem.running.end[runs] - problem.now, 1)
        self._asked = [*np.minimum(asked, 1 << 40).tolist(), *left.tolist()]
        site = 2 * resources  # the column of the site's power binds nobody whom Slurm starts
        need: list[list[tuple[int, float]]] = [
            [
                (column, amount)
                for column, amount in zip(cols, amounts, strict=True)
                if amount > 0 and column < len(total) - 2
            ]
            for cols, amounts in zip(
                columns[problem.pool[order], :site].tolist(),
                blocks.amount[order, :site].tolist(),
                strict=True,
            )
        ]
        self._lane_of = group[problem.pool[order]].tolist()
        self._held: list[tuple[int, int]] = []  # (lane, index in it) of each part of what runs
        for at, row in enumerate(runs.tolist()):
            taken: dict[int, float] = {}
            share, demand = problem.running.share[row], problem.running.demand[row]
            for pool in np.flatnonzero(share > 0).tolist():
                for resource in np.flatnonzero(demand > 0).tolist():
                    for which in (resource, resources + resource):
                        column = int(columns[pool, which])
                        if column < len(total) - 2:
                            amount = float(share[pool] * demand[resource])
                            taken[column] = taken.get(column, 0.0) + amount
            need.append(sorted(taken.items()))
            lanes = {int(group[pool]) for pool in np.flatnonzero(share > 0).tolist()}
            self._held += [(lane, self._jobs + at) for lane in sorted(lanes)]
        self._need: list[Need] = [tuple(one) for one in need]
        self._total = np.where(np.isfinite(total), total, np.inf).tolist()
        self._groups = sorted({*self._lane_of, *(lane for lane, _ in self._held)})
        used = {column for one in self._need for column, _ in one}
        self._single = used.pop() if len(used) == 1 else -1
        room = np.array(self._total)
        self._possible = [
            all(amount <= room[column] + _EPSILON for column, amount in one)
            for one in self._need[: self._jobs]
        ]

    def play(
        self, begin: NDArray[np.int64], spans: NDArray[np.int64], left: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """(n,) starts of the jobs; the grid's end for those that come no sooner."""
        now, stop = self._now, self._end
        lanes = {group: self._lane() for group in self._groups}
        start = np.full(self._jobs, stop, np.int64)
        ends: list[tuple[int, int, int]] = []  # (when, lane, job)
        for lane, job in self._held:
            lanes[lane].occupy(job, now)
            ends.append((now + int(left[job - self._jobs]), lane, job))
        heapq.heapify(ends)
        begins = [
            (at, job)
            for job, at in enumerate(np.maximum(begin, now).tolist())
            if self._possible[job]
        ]
        heapq.heapify(begins)
        began: dict[int, int] = {}
        length = spans.tolist()
        while begins or ends:
            at = min(heap[0][0] for heap in (begins, ends) if heap)
            if at >= stop:
                break
            touched = set()
            while ends and ends[0][0] == at:
                _, lane, job = heapq.heappop(ends)
                lanes[lane].finish(job, began.get(job, now))
                touched.add(lane)
            while begins and begins[0][0] == at:
                job = heapq.heappop(begins)[1]
                lanes[self._lane_of[job]].add(job)
                touched.add(self._lane_of[job])
            for lane in touched:
                while lanes[lane].waiting and (started := lanes[lane].start(at)):
                    for job in started:
                        start[job] = began[job] = at
                        heapq.heappush(ends, (at + length[job], lane, job))
        return start

    def _lane(self) -> Lane:
        if self._single >= 0:
            amounts = [one[0][1] if one else 0.0 for one in self._need]
            return Single(amounts, self._total[self._single], self._asked, _DEPTH)
        return Several(self._need, self._total.copy(), self._asked, _DEPTH)
