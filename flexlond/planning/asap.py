"""As soon as possible: what the same jobs would have done without us (the counterfactual).

Law: a list schedule by the second, from actual durations, in priority order with EASY backfill: the first
job of a group of pools that cannot start gets a reservation at the moment enough room comes free; a later
job starts before it only if it does not delay that. Reservations count time limits where they are given,
as Slurm's do; ends are actual. It stands in for Slurm's scheduler, without its intervals. Pure.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.account import Account, account, peak_kw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.pools import Room

__all__ = ["Account", "account", "asap_schedule", "peak_kw"]

_EPSILON = 1e-6


def asap_schedule(
    eligible: NDArray[np.int64],
    duration: NDArray[np.float64],
    demand: NDArray[np.float64],
    pool: NDArray[np.int64],
    *,
    room: Room,
    order: NDArray[np.int64] | None = None,
    limit: NDArray[np.float64] | None = None,
    depends: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """(J,) start of each job, epoch seconds; 0 for one that can never start.

    `eligible` (J,) epoch seconds, `duration` (J,) actual seconds, `demand` (J, R), `pool` (J,) index,
    `order` (J,) lower first (default: by eligibility, then index), `limit` (J,) seconds for
    reservations (default: the duration), `depends` (D, 2) pairs (successor, predecessor).
    """
    jobs = len(eligible)
    order = np.lexsort((np.arange(jobs), eligible)).argsort() if order is None else order
    run = np.maximum(np.ceil(duration), 1).astype(np.int64)
    asked = run if limit is None else np.maximum(np.ceil(limit), 1).astype(np.int64)
    amount = _amounts(demand, pool, room)
    total = np.concatenate([room.capacity.ravel(), room.group_capacity.ravel()])
    group = room.pool_group[pool]
    lanes = {
        int(number): _Lane(total.copy(), amount, asked) for number in np.unique(group).tolist()
    }
    waits = np.zeros(jobs, np.int64)
    followers: dict[int, list[int]] = {}
    for successor, predecessor in [] if depends is None else depends.tolist():
        waits[successor] += 1
        followers.setdefault(predecessor, []).append(successor)
    possible: list[bool] = np.all(amount <= total + _EPSILON, axis=1).tolist()
    events: list[tuple[int, int, int]] = []  # (when, 0 end / 1 eligible, job)
    for job in range(jobs):
        if possible[job] and not waits[job]:
            heapq.heappush(events, (int(eligible[job]), 1, job))
    start = np.zeros(jobs, np.int64)
    while events:
        now = events[0][0]
        touched: dict[int, None] = {}
        while events and events[0][0] == now:
            _, kind, job = heapq.heappop(events)
            touched[int(group[job])] = None
            lane = lanes[int(group[job])]
            if kind:
                lane.queue(job, int(order[job]))
                continue
            lane.finish(job)
            for follower in followers.get(job, ()):
                waits[follower] -= 1
                if not waits[follower] and possible[follower]:
                    heapq.heappush(events, (max(now, int(eligible[follower])), 1, follower))
        for number in touched:
            for job in lanes[number].start(now):
                start[job] = now
                heapq.heappush(events, (now + int(run[job]), 0, job))
    return start


def _amounts(
    demand: NDArray[np.float64], pool: NDArray[np.int64], room: Room
) -> NDArray[np.float64]:
    """(J, K) what each job takes of each pool's and each group's resources."""
    jobs, resources = demand.shape
    pools, groups = len(room.capacity), len(room.group_capacity)
    amount = np.zeros((jobs, pools + groups, resources))
    rows = np.arange(jobs)
    amount[rows, pool] = demand
    amount[rows, pools + room.pool_group[pool]] = demand
    return amount.reshape(jobs, (pools + groups) * resources)


@dataclass(slots=True, eq=False)
class _Lane:
    """The queue and the room of one group of pools."""

    free: NDArray[np.float64]  # (K,)
    amount: NDArray[np.float64]  # (J, K)
    asked: NDArray[np.int64]  # (J,)
    waiting: list[tuple[int, int]] = field(default_factory=list)  # (order, job), sorted
    expected: dict[int, int] = field(default_factory=dict)  # running job: end by its limit

    def queue(self, job: int, order: int) -> None:
        """A job became eligible."""
        heapq.heappush(self.waiting, (order, job))

    def finish(self, job: int) -> None:
        """A job ended."""
        self.free += self.amount[job]
        del self.expected[job]

    def start(self, now: int) -> list[int]:
        """Start what may start now: from the head, then behind it by backfill."""
        started: list[int] = []
        while self.waiting and self._fits(self.waiting[0][1], self.free):
            started.append(self._run(heapq.heappop(self.waiting)[1], now))
        if len(self.waiting) < 2 or not (self.free > _EPSILON).any():
            return started
        shadow, spare = self._reservation(self.waiting[0][1], now)
        left = [self.waiting[0]]
        rest = sorted(self.waiting[1:])
        candidates = np.array([job for _, job in rest], np.int64)
        fit: list[bool] = np.all(self.amount[candidates] <= self.free + _EPSILON, axis=1).tolist()
        for (order, job), may in zip(rest, fit, strict=True):
            if may and self._fits(job, self.free):
                in_time = now + self.asked[job] <= shadow
                if in_time or self._fits(job, spare):
                    started.append(self._run(job, now))
                    if not in_time:
                        spare = spare - self.amount[job]
                    continue
            left.append((order, job))
        heapq.heapify(left)
        self.waiting = left
        return started

    def _fits(self, job: int, free: NDArray[np.float64]) -> bool:
        return bool((self.amount[job] <= free + _EPSILON).all())

    def _run(self, job: int, now: int) -> int:
        self.free -= self.amount[job]
        self.expected[job] = now + int(self.asked[job])
        return job

    def _reservation(self, job: int, now: int) -> tuple[int, NDArray[np.float64]]:
        """When the head job can start by the limits, and what will be free beside it then."""
        free, at = self.free.copy(), now
        for running in sorted(self.expected, key=lambda one: (self.expected[one], one)):
            free += self.amount[running]
            at = max(now, self.expected[running])
            if self._fits(job, free):
                break
        return at, free - self.amount[job]
