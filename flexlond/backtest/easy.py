"""The lanes of a trace: its jobs and its room as EASY backfill (planning/lanes.py) takes them.

Law: a lane for each group of pools that share nodes; only what can bind by itself is counted. Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.lanes import Lane, Need, Several, Single

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.backtest.case import Trace

__all__ = ["Lane", "lanes_of"]

_EPSILON = 1e-6


def lanes_of(trace: Trace, depth: int) -> tuple[dict[int, Lane], NDArray[np.bool_]]:
    """A lane for each group of pools that has jobs, and (J,) whether the job can ever start."""
    room, count = trace.room, trace.jobs
    asked = np.ceil(np.clip(trace.limit, 1, 1 << 40)).astype(np.int64)
    group = room.pool_group[trace.pool]
    fits = trace.demand <= room.capacity[trace.pool] + _EPSILON
    fits &= trace.demand <= room.group_capacity[group] + _EPSILON
    lanes: dict[int, Lane] = {}
    for number in np.unique(group).tolist():
        rows = np.flatnonzero(group == number)
        amount, total = _columns(trace, rows, number)
        if amount.shape[1] == 1:
            single = np.zeros(count)
            single[rows] = amount[:, 0]
            lanes[number] = Single(single.tolist(), float(total[0]), asked.tolist(), depth)
            continue
        need: list[Need] = [()] * count
        for row, amounts in zip(rows.tolist(), amount.tolist(), strict=True):
            need[row] = tuple((at, value) for at, value in enumerate(amounts) if value > 0)
        lanes[number] = Several(need, total.tolist(), asked.tolist(), depth)
    possible: NDArray[np.bool_] = np.all(fits, axis=1)
    return lanes, possible


def _columns(
    trace: Trace, rows: NDArray[np.int64], group: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, K) what the group's jobs take, (K,) what there is: only columns that can bind by themselves."""
    room, demand = trace.room, trace.demand[rows]
    pools = np.flatnonzero(room.pool_group == group)
    shared = room.group_capacity[group]
    amounts, totals = [], []
    for resource in np.flatnonzero((demand > 0).any(axis=0)).tolist():
        own = room.capacity[pools, resource]
        # A pool with all of the group's room is bound by the group; a group of one pool by the pool.
        for pool, capacity in zip(pools.tolist(), own.tolist(), strict=True):
            if capacity < shared[resource]:
                amounts.append(np.where(trace.pool[rows] == pool, demand[:, resource], 0.0))
                totals.append(capacity)
        if len(pools) > 1 or own[0] >= shared[resource]:
            amounts.append(demand[:, resource])
            totals.append(shared[resource])
    if not amounts:
        return np.zeros((len(rows), 1)), np.zeros(1)
    return np.stack(amounts, axis=1), np.array(totals, np.float64)
