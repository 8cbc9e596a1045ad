"""How long a job waits for its room once it is released, by its share of the pool.

Law: pure bookkeeping; times are epoch seconds, waits seconds. A held job keeps its place in the queue, so what
it waits for is that enough of what runs ends. Once a slot, that wait is noted for a ladder of shares, from the
expected ends (P90) of what runs then; the prediction is the 95th percentile over the last week, in the pool
and in the group of pools that shares its nodes; never less than the 95th percentile of what released jobs of
about that share were seen to wait in the last day. Fewer than half a day of notes predict nothing. Large jobs
so keep hours, small ones nothing: one figure for all is too late for the large or too early for the small.
Source: own measurements, docs/explanation/backtest-results.md.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.planning.pools import Room

SHARES: Final = (
    *(1 / 32, 1 / 16, 1 / 8, 0.15, 0.2, 0.25, 0.3),
    *(0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
"""The ladder; a job counts as the next larger share."""
NOTE_SECONDS: Final = 1800
KEPT_SECONDS: Final = 7 * 86_400
SEEN_SECONDS: Final = 86_400
_ENOUGH = 24
_ENOUGH_SEEN = 5
_KEPT_SEEN = 500
_QUANTILE = 0.95
_EPSILON = 1e-6


def waits_for_room(
    share: NDArray[np.float64], end: NDArray[np.float64], now: int
) -> NDArray[np.int64]:
    """(L,) s until each share of SHARES is free, if what runs, (N,) shares, ends at `end` (N,)."""
    order = np.argsort(end, kind="stable")
    free = 1.0 - share.sum() + np.concatenate([[0.0], np.cumsum(share[order])])
    moment = np.concatenate([[float(now)], end[order]])
    # More may be taken than there is now (nodes went down): then the last end has to do.
    at = np.minimum(np.searchsorted(free, np.array(SHARES) - _EPSILON), len(end))
    waits: NDArray[np.int64] = np.maximum(0.0, np.ceil(moment[at] - now)).astype(np.int64)
    return waits


class RoomWaits:
    """Notes of the last week and the waits they predict, by pool or group of pools."""

    def __init__(self) -> None:
        """Without notes nothing is predicted."""
        self._notes: dict[str, deque[tuple[int, NDArray[np.int64]]]] = {}
        self._seen: dict[str, deque[tuple[int, int, int]]] = {}  # (at, step of SHARES, seconds)
        self._predicted: dict[str, NDArray[np.int64]] = {}
        self._noted_at = 0

    def due(self, now: int) -> bool:
        """Whether it is time for another note."""
        return now >= self._noted_at + NOTE_SECONDS

    def note(
        self,
        now: int,
        room: Room,
        pool: NDArray[np.int64],
        demand: NDArray[np.float64],
        end: NDArray[np.float64],
    ) -> None:
        """Note the waits of this moment; running jobs' `pool` (N,) or -1, `demand` (N, R), `end` (N,)."""
        group = np.where(pool >= 0, room.pool_group[pool], -1) if len(pool) else pool
        for index, name in enumerate(room.partitions):
            inside = pool == index
            share = shares(demand[inside], room.capacity[index])
            self.restore(name, now, waits_for_room(share, end[inside], now).tolist())
        for index, name in _shared_groups(room).items():
            inside = group == index
            share = shares(demand[inside], room.group_capacity[index])
            self.restore(name, now, waits_for_room(share, end[inside], now).tolist())

    def restore(self, key: str, at: int, waits: Sequence[int]) -> None:
        """Take up a note made at `at`; in order of time. One of another ladder is left out."""
        if len(waits) != len(SHARES):
            return
        notes = self._notes.setdefault(key, deque())
        notes.append((at, np.array(waits, np.int64)))
        while notes[0][0] < at - KEPT_SECONDS:
            notes.popleft()
        self._noted_at = max(self._noted_at, at)
        self._predicted.pop(key, None)

    def saw(
        self, now: int, room: Room, pool: int, demand: NDArray[np.float64], seconds: int
    ) -> None:
        """A job that had been held and asked for `demand` (R,) started `seconds` after its begin time."""
        name = room.partitions[pool]
        step = int(_steps(shares(demand[None, :], room.capacity[pool]))[0])
        seen = self._seen.setdefault(name, deque(maxlen=_KEPT_SEEN))
        seen.append((now, step, seconds))
        while seen[0][0] < now - SEEN_SECONDS:
            seen.popleft()
        self._predicted.pop(name, None)

    def notes(self) -> Mapping[str, Sequence[tuple[int, Sequence[int]]]]:
        """All notes, oldest first, to be kept and given to `restore`."""
        return {
            key: [(at, waits.tolist()) for at, waits in notes] for key, notes in self._notes.items()
        }

    def predicted(
        self, room: Room, pool: NDArray[np.int64], demand: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(J,) s that jobs in `pool` (J,) asking for `demand` (J, R) wait, 95th percentile; NaN unknown."""
        found = np.full(len(pool), np.nan)
        shared = _shared_groups(room)
        for index, name in enumerate(room.partitions):
            rows = np.flatnonzero(pool == index)
            if not len(rows):
                continue
            found[rows] = self._of(name, shares(demand[rows], room.capacity[index]))
            group = int(room.pool_group[index])
            if group in shared:
                share = shares(demand[rows], room.group_capacity[group])
                found[rows] = np.maximum(found[rows], self._of(shared[group], share))
        return found

    def _of(self, key: str, share: NDArray[np.float64]) -> NDArray[np.float64]:
        notes = self._notes.get(key, ())
        if len(notes) < _ENOUGH:
            return np.full(len(share), np.nan)
        predicted = self._predicted.get(key)
        if predicted is None:
            waits = np.array([waits for _, waits in notes])
            predicted = np.ceil(np.quantile(waits, _QUANTILE, axis=0)).astype(np.int64)
            predicted = np.maximum(predicted, self._seen_lately(key))
            self._predicted[key] = predicted
        return predicted[_steps(share)].astype(np.float64)

    def _seen_lately(self, key: str) -> NDArray[np.int64]:
        """(L,) s that released jobs of this share or a neighbouring one waited; 0 where few were seen."""
        found = np.zeros(len(SHARES), np.int64)
        seen = np.array(self._seen.get(key, ()), np.int64).reshape(-1, 3)
        for step in range(len(SHARES)):
            like = seen[np.abs(seen[:, 1] - step) <= 1, 2]
            if len(like) >= _ENOUGH_SEEN:
                found[step] = int(np.ceil(np.quantile(like, _QUANTILE)))
        return found


def _steps(share: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) the step of SHARES that each share counts as."""
    return np.searchsorted(np.array(SHARES), np.minimum(share, 1.0) - _EPSILON)


def shares(demand: NDArray[np.float64], capacity: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the largest part of any resource that (n, R) `demand` takes of (R,) `capacity`."""
    there = capacity > 0
    share: NDArray[np.float64] = (demand[:, there] / capacity[there]).max(axis=1, initial=0.0)
    return share


def _shared_groups(room: Room) -> Mapping[int, str]:
    """Groups of more than one pool, by index, with the names of their pools as key."""
    names: dict[int, list[str]] = {}
    for index, name in enumerate(room.partitions):
        names.setdefault(int(room.pool_group[index]), []).append(name)
    return {group: "+".join(members) for group, members in names.items() if len(members) > 1}
