"""The cluster that a job log ran on: its pools, its resources, and how many nodes a job is.

Law: what the site says comes first, then what the log says, then the peak of simultaneous use, which is said
as an estimate. Memory and GPUs count only where the site gives them per node. Node equivalents: the share of
a node's CPUs, memory or GPUs that a job takes, the largest of them, so that jobs sharing a node add up to
one. Each pool has nodes of its own. Source: our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.backtest.table import InputError
from flexlond.planning.pools import CPUS, GPUS, MEMORY, Room

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.backtest.notes import Notes

ONE_POOL = "all"


class TraceError(InputError):
    """A trace with nothing usable; the text says what, where and what to do next."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the site says of its cluster; 0: not said, taken from the trace. Raises TraceError."""

    nodes: int = 0
    cpus_per_node: float = 0.0
    gpus_per_node: float = 0.0
    memory_mib_per_node: float = 0.0
    partitions: tuple[tuple[str, int], ...] = ()  # (name, nodes), each a pool; (): one pool for all
    zone: str = "UTC"  # of times written without an offset (sacct prints local time)

    def __post_init__(self) -> None:
        amounts = (self.nodes, *self.per_node.values(), *(n for _, n in self.partitions))
        if not all(0 <= amount < np.inf for amount in amounts):
            raise TraceError(
                "site: nodes and amounts per node are numbers from 0; correct the option"
            )

    @property
    def per_node(self) -> dict[str, float]:
        """Amount per node by resource; 0: not said."""
        return {
            CPUS: self.cpus_per_node,
            MEMORY: self.memory_mib_per_node,
            GPUS: self.gpus_per_node,
        }

    @property
    def pools(self) -> tuple[tuple[str, int], ...]:
        """(name, nodes) of each pool."""
        return self.partitions or ((ONE_POOL, self.nodes),)

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources that count."""
        return tuple(name for name, amount in self.per_node.items() if name == CPUS or amount > 0)


@dataclass(slots=True)
class Jobs:
    """Columns of the jobs that ran, in the file's order; shapes (n,). NaN: not known."""

    line: NDArray[np.int64]
    job_id: NDArray[np.int64]
    submit: NDArray[np.int64]
    start: NDArray[np.float64]  # NaN: taken as its submission, for the peak of use only
    runtime: NDArray[np.float64]
    limit: NDArray[np.float64]  # NaN: the runtime is taken
    cpus: NDArray[np.float64]
    memory_mib: NDArray[np.float64]
    gpus: NDArray[np.float64]
    nodes: NDArray[np.float64]  # as the file says
    partition: NDArray[np.str_]
    user: NDArray[np.str_]
    account: NDArray[np.str_]
    label: NDArray[np.str_]
    energy_kwh: NDArray[np.float64]
    work: NDArray[np.float64]
    unit: NDArray[np.str_]
    latency: NDArray[np.float64]

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Jobs:
        """The jobs of those positions in that order, or where a mask is true."""
        return Jobs(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def amounts(self, resource: str) -> NDArray[np.float64]:
        """(n,) of one resource; not known is none."""
        column = {CPUS: self.cpus, MEMORY: self.memory_mib, GPUS: self.gpus}[resource]
        return np.nan_to_num(column)


def pools_of(jobs: Jobs, site: Site, notes: Notes) -> NDArray[np.int64]:
    """Each job's pool; -1 (and said) where its partition is not one of the site's."""
    if not site.partitions:
        return np.zeros(len(jobs.submit), np.int64)
    names = tuple(name for name, _ in site.partitions)
    room = Room(np.zeros((0, 0)), np.zeros(0, np.int64), np.zeros((0, 0)), names)
    distinct, which = np.unique(jobs.partition, return_inverse=True)
    pool: NDArray[np.int64] = np.array([room.pool_of(str(name)) for name in distinct])[which]
    for position in np.flatnonzero(pool < 0).tolist():
        name = str(jobs.partition[position])
        notes.line(jobs.line[position], f"partition {name!r} is not one of {', '.join(names)}")
    return pool


def demand_of(jobs: Jobs, site: Site, notes: Notes) -> NDArray[np.float64]:
    """(n, R) of the site's resources; what does not count though jobs name it is said."""
    for resource, option in ((MEMORY, "memory"), (GPUS, "GPUs")):
        naming = int((jobs.amounts(resource) > 0).sum())
        if naming and resource not in site.resources:
            notes.say(f"{naming} jobs name {option}, not counted: give the {option} per node")
    return np.column_stack([jobs.amounts(resource) for resource in site.resources])


def room_of(
    jobs: Jobs, pool: NDArray[np.int64], site: Site, notes: Notes, cpus: float = 0.0
) -> Room:
    """The room in each pool; `cpus` is the cluster's total where the log says it."""
    capacity = np.zeros((len(site.pools), len(site.resources)))
    begin = np.where(np.isnan(jobs.start), jobs.submit, jobs.start)
    for p, (name, nodes) in enumerate(site.pools):
        members = pool == p
        said = bool(site.partitions) or nodes > 0  # 0 nodes of a named pool are no nodes
        for r, resource in enumerate(site.resources):
            if said and (site.per_node[resource] > 0 or not nodes):
                capacity[p, r] = nodes * site.per_node[resource]
            elif resource == CPUS and cpus > 0 and not site.partitions:
                capacity[p, r] = cpus
            else:
                amount = jobs.amounts(resource)[members]
                capacity[p, r] = peak_use(begin[members], jobs.runtime[members], amount)
                notes.say(
                    f"pool {name}: {capacity[p, r]:g} {resource}, the peak of simultaneous use, as its "
                    "size is not known; give its nodes and their CPUs"
                )
    groups = np.arange(len(capacity), dtype=np.int64)
    names = tuple(name for name, _ in site.pools)
    return Room(capacity, groups, capacity.copy(), names, site.resources)


def peak_use(
    start: NDArray[np.float64], runtime: NDArray[np.float64], amount: NDArray[np.float64]
) -> float:
    """The largest sum of `amount` over jobs that run at one moment; 0 for no jobs."""
    at = np.concatenate([start + runtime, start])  # ends first: a place given back is free at once
    change = np.concatenate([-amount, amount])
    running = np.cumsum(change[np.argsort(at, kind="stable")])
    return float(running.max(initial=0.0))


def node_equivalents(jobs: Jobs, site: Site, notes: Notes, *, as_said: bool) -> NDArray[np.float64]:
    """(n,) nodes a job takes.

    `as_said`: the log's own counts come first; else they are whole nodes that jobs may share, and count
    only where the site's CPUs per node are not known.
    """
    said = np.where(jobs.nodes > 0, jobs.nodes, np.nan)
    if site.cpus_per_node > 0:
        share = np.max(
            [jobs.amounts(name) / site.per_node[name] for name in site.resources], axis=0
        )
        return np.where(np.isnan(said), share, said) if as_said else share
    unsaid = int(np.isnan(said).sum())
    if unsaid:
        notes.say(f"{unsaid} jobs name no nodes: a CPU counts as a node; give the CPUs per node")
    return np.where(np.isnan(said), jobs.cpus, said)


def fitting(
    jobs: Jobs,
    pool: NDArray[np.int64],
    demand: NDArray[np.float64],
    room: Room,
    notes: Notes,
) -> NDArray[np.bool_]:
    """(n,) where a job could ever run in its pool; the others are said."""
    empty = np.flatnonzero(room.capacity[:, 0] <= 0)
    for p in empty.tolist():
        count = int((pool == p).sum())
        notes.say(f"pool {room.partitions[p]} has no CPUs: {count} jobs left out; give it nodes")
    over = demand > room.capacity[pool] + 1e-9
    for position in np.flatnonzero(over.any(axis=1) & ~np.isin(pool, empty)).tolist():
        r = int(np.argmax(over[position]))
        has = room.capacity[pool[position], r]
        what = f"{demand[position, r]:g} {room.resources[r]}, more than its pool's {has:g}"
        notes.line(jobs.line[position], f"job {jobs.job_id[position]} takes {what}")
    return np.asarray(~over.any(axis=1) & ~np.isin(pool, empty))
