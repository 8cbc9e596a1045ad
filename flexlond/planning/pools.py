"""Room and demand in the planner's resources, from the cluster and the jobs as read.

Law: pure; invents no resource. The resources are CPUs, memory (MiB) and GPUs by type; a job that names no
GPU type may take any, so untyped and typed requests share one total as well. Nodes are not a resource of their
own: jobs share nodes, and a job's CPUs, memory and GPUs say which part of them it takes.
Pools that share nodes form a group; the group's room counts each distinct node once, at the largest of its
pools' mean per node (Slurm's sinfo totals do not say which node has what).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.model.job import Job, Pool

CPUS = "cpus"
MEMORY = "memory_mib"
GPUS = "gpus"  # all types together; "gpus:h200" is one type


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """The capacity arrays of a Problem, with the names of their rows and columns."""

    capacity: NDArray[np.float64]  # (P, R)
    pool_group: NDArray[np.int64]  # (P,)
    group_capacity: NDArray[np.float64]  # (G, R)
    partitions: tuple[str, ...] = ()  # P names
    resources: tuple[str, ...] = ()  # R names

    def pool_of(self, partition: str) -> int:
        """The index of the first known partition of Slurm's comma list; -1 when none is known."""
        for name in partition.split(","):
            if name in self.partitions:
                return self.partitions.index(name)
        return -1


def room_of(pools: Sequence[Pool]) -> Room:
    """The room in each pool and in each group of pools that share nodes.

    Pools that are not up keep their row (jobs wait in them) with no room.
    """
    types = sorted({kind for pool in pools for kind, _ in pool.gpus if kind})
    resources = (CPUS, MEMORY, GPUS, *(f"{GPUS}:{kind}" for kind in types))
    capacity = np.zeros((len(pools), len(resources)))
    for row, pool in enumerate(pools):
        if pool.up:
            capacity[row] = _vector(pool.cpus, pool.memory_mib, pool.gpus, resources)
    group = _groups([pool.node_names for pool in pools])
    group_capacity = np.zeros((int(group.max(initial=-1)) + 1, len(resources)))
    for index in range(len(group_capacity)):
        members = [p for p in range(len(pools)) if group[p] == index]
        group_capacity[index] = _union([pools[p] for p in members], capacity[members])
    names = tuple(pool.partition for pool in pools)
    return Room(capacity, group, group_capacity, names, resources)


def demand_of(job: Job, resources: Sequence[str]) -> NDArray[np.float64]:
    """Shape (R,): what one task of `job` takes of each resource."""
    return _vector(job.cpus, job.memory_mib, job.gpus, resources)


def _vector(
    cpus: int, memory: int, gpus: tuple[tuple[str, int], ...], resources: Sequence[str]
) -> NDArray[np.float64]:
    amount = {CPUS: cpus, MEMORY: memory, GPUS: sum(count for _, count in gpus)}
    for kind, count in gpus:
        if kind:
            amount[f"{GPUS}:{kind}"] = amount.get(f"{GPUS}:{kind}", 0) + count
    return np.array([amount.get(name, 0) for name in resources], np.float64)


def _groups(nodes: Sequence[tuple[str, ...]]) -> NDArray[np.int64]:
    """Connected components of pools by shared nodes, numbered in order of appearance."""
    root = list(range(len(nodes)))

    def find(pool: int) -> int:
        while root[pool] != pool:
            pool = root[pool]
        return pool

    owner: dict[str, int] = {}
    for pool, names in enumerate(nodes):
        for name in names:
            first = owner.setdefault(name, pool)
            low, high = sorted((find(first), find(pool)))
            root[high] = low
    roots = [find(pool) for pool in range(len(nodes))]
    number = {value: index for index, value in enumerate(dict.fromkeys(roots))}
    return np.array([number[value] for value in roots], np.int64)


def _union(pools: Sequence[Pool], capacity: NDArray[np.float64]) -> NDArray[np.float64]:
    """The room over the distinct nodes of `pools`, whose own rooms are `capacity` (members, R)."""
    if len(pools) == 1:
        own_room: NDArray[np.float64] = capacity[0]
        return own_room
    per_node: dict[str, NDArray[np.float64]] = {}
    for pool, own in zip(pools, capacity, strict=True):
        for name in pool.node_names:
            mean = own / max(1, len(pool.node_names))
            per_node[name] = np.maximum(per_node.get(name, mean), mean)
    # Never less than the largest member, never more than all of them together.
    total: NDArray[np.float64] = np.sum(list(per_node.values()), axis=0)
    room: NDArray[np.float64] = np.clip(total, capacity.max(axis=0), capacity.sum(axis=0))
    return room
