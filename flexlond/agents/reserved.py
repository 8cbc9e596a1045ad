"""Room that reservations take: nodes that Slurm keeps for others, now or later.

Law: pure and conservative. A node in a reservation is taken whole, in every pool that has it, from the start
to the end of the reservation; what its host list means is read against the nodes that the pools count, so
nodes that are out of the pools already (Slurm shows them as reserved) are not taken twice. A host list that
cannot be read takes every node. Reservations of licences alone take no room. Epoch seconds.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.problem import Running
from flexlond.slurm.hostlist import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.model.job import Pool, Reservation
    from flexlond.planning.pools import Room

_Node = tuple[tuple[int, ...], "NDArray[np.float64]"]  # the pools that have it, and its room (R,)


def reserved(
    reservations: Sequence[Reservation], pools: Sequence[Pool], room: Room, *, now: int, end: int
) -> Running:
    """The room taken in [now, end) by reservations, a block for the nodes of each that the same pools have."""
    ahead = [one for one in reservations if one.nodes and one.end > now and one.start < end]
    if not ahead:
        return Running.none(len(pools), len(room.resources))
    nodes = _nodes(pools, room)
    share: list[NDArray[np.float64]] = []
    demand: list[NDArray[np.float64]] = []
    begins: list[int] = []
    ends: list[int] = []
    for one in ahead:
        for members, taken in _blocks(one, nodes).items():
            belongs = np.zeros(len(pools))
            belongs[list(members)] = 1.0
            share.append(belongs)
            demand.append(taken)
            begins.append(one.start)
            ends.append(one.end)
    count = len(ends)
    return Running(
        np.array(share).reshape(count, len(pools)),
        np.array(demand).reshape(count, len(room.resources)),
        np.array(ends, np.int64),
        np.zeros(count),
        np.array(begins, np.int64),
    )


def together(running: Running, blocked: Running) -> Running:
    """Both; what has no begins of its own runs now."""
    return Running(
        np.concatenate([running.share, blocked.share]),
        np.concatenate([running.demand, blocked.demand]),
        np.concatenate([running.end, blocked.end]),
        np.concatenate([running.kw, blocked.kw]),
        np.concatenate([_begins(running), _begins(blocked)]),
    )


def _begins(running: Running) -> NDArray[np.int64]:
    return running.begin if len(running.begin) else np.zeros(len(running.end), np.int64)


def _nodes(pools: Sequence[Pool], room: Room) -> Mapping[str, _Node]:
    """Each node of the pools; its room is the largest of its pools' mean per node, as in planning/pools.py."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, pool in enumerate(pools):
        for name in pool.node_names:
            members[name].append(index)
    size = np.array([max(1, len(pool.node_names)) for pool in pools], np.float64)
    mean = room.capacity / size[:, None]
    known: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for of_node in set(map(tuple, members.values())):
        known[of_node] = mean[list(of_node)].max(axis=0)
    return {name: (tuple(of_node), known[tuple(of_node)]) for name, of_node in members.items()}


def _blocks(
    reservation: Reservation, nodes: Mapping[str, _Node]
) -> Mapping[tuple[int, ...], NDArray[np.float64]]:
    """What the reservation takes (R,), by the pools that have the nodes."""
    try:
        names = set(expand(reservation.nodes))
    except ValueError:
        names = set(nodes)
    found: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for name in names & nodes.keys():
        members, own = nodes[name]
        found[members] = found.get(members, np.zeros(len(own))) + own
    return found
