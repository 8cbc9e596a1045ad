"""The queue wait to expect after a begin time, from the room that is taken and from what jobs waited lately.

Law: the wait for room of a job of that size (planning/waiting.py), noted once a slot and kept in the store.
Where held jobs gain no age priority (rule 10: no ACCRUE_ALWAYS) it is never less than the 95th percentile of
what all jobs of the partition waited in the last day, for a released job then stands behind them. Before there
are notes it is that percentile alone, and before there are five such waits the site's default. An observed wait
is start less begin time (Slurm's EligibleTime) of a job that was pending in one snapshot and started in a later
one. Seconds throughout.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from flexlond.model.job import ACTIVE_STATES, JobState
from flexlond.planning.pools import demand_of, room_of
from flexlond.planning.waiting import RoomWaits

if TYPE_CHECKING:
    from flexlond.agents.outlook import Outlook
    from flexlond.agents.records import Store
    from flexlond.model.job import Cluster, Job, Snapshot
    from flexlond.planning.pools import Room

_KEPT = 500
_ENOUGH = 5
_STORED_AT_ONCE = 50  # per look; a burst of starts is one experience, not thousands
_QUANTILE = 0.95
DAY = 86_400
ROOM_WAITS: Final = "room-waits"
"""The store's key of the notes."""


class WaitWatch:
    """Observed waits by partition and notes of the room that is taken, persisted in the store."""

    def __init__(self, store: Store, now: int) -> None:
        """Take up what was observed before `now`."""
        self._store = store
        self._waits: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=_KEPT))
        for partition, waits in store.waits(now - DAY).items():
            self._waits[partition].extend(waits)
        self._rooms = RoomWaits()
        for key, notes in _decoded(store.get_blob(ROOM_WAITS)).items():
            for at, note in notes:
                self._rooms.restore(key, at, note)
        self._cluster: Cluster | None = None
        self._room: Room | None = None
        self._known: dict[tuple[object, ...], int] = {}

    def watch(self, before: Snapshot | None, after: Snapshot, now: int) -> None:
        """Learn from jobs that started between the two snapshots."""
        self._known.clear()
        if before is None:
            return
        pending = {job.job_id for job in before.jobs if job.state is JobState.PENDING}
        started = [
            job
            for job in after.jobs
            if job.state in ACTIVE_STATES and job.begin and job.start and job.job_id in pending
        ]
        for job in started[:_STORED_AT_ONCE]:
            wait = max(0, job.start - job.begin)
            self._waits[job.partition].append(wait)
            self._store.add_wait(job.partition, wait, now)
            pool = self._room.pool_of(job.partition) if self._room else -1
            if self._room and pool >= 0 and job.begin > job.submit:
                demand = demand_of(job, self._room.resources)
                self._rooms.saw(now, self._room, pool, demand, wait)

    def note(self, cluster: Cluster, snapshot: Snapshot, outlook: Outlook, now: int) -> None:
        """Note once a slot how long the room is taken."""
        room = self._room
        if room is None or cluster is not self._cluster:
            self._cluster, self._room = cluster, room_of(cluster.pools)
            room = self._room
        if not self._rooms.due(now):
            return
        active = [job for job in snapshot.jobs if job.state in ACTIVE_STATES and job.start]
        self._rooms.note(
            now,
            room,
            np.array([room.pool_of(job.partition) for job in active], np.int64),
            np.array([demand_of(job, room.resources) for job in active]).reshape(
                len(active), len(room.resources)
            ),
            np.array([outlook.end_of(job, now) for job in active], np.float64),
        )
        self._store.put_blob(ROOM_WAITS, msgspec.msgpack.encode(self._rooms.notes()), now)
        self._known.clear()

    def predicted(self, job: Job, default: int, *, keeps_age: bool) -> int:
        """Seconds from its begin time to its start; `keeps_age`: a held job gains age priority as others do."""
        like = (job.partition, job.cpus, job.memory_mib, job.gpus, default, keeps_age)
        found = self._known.get(like)
        if found is None:
            found = self._known[like] = self._predicted(job, default, keeps_age=keeps_age)
        return found

    def _predicted(self, job: Job, default: int, *, keeps_age: bool) -> int:
        wait = self._for_room(job)
        if wait is None:
            return self._lately(job.partition, default)
        return wait if keeps_age else max(wait, self._lately(job.partition, 0))

    def _for_room(self, job: Job) -> int | None:
        room = self._room
        if room is None:
            return None
        pool = np.array([room.pool_of(job.partition)], np.int64)
        wait = self._rooms.predicted(room, pool, demand_of(job, room.resources)[None, :])[0]
        return None if np.isnan(wait) else int(wait)

    def _lately(self, partition: str, default: int) -> int:
        """The 95th percentile for the first known partition of Slurm's comma list."""
        for name in partition.split(","):
            waits = sorted(self._waits.get(name, ()))
            if len(waits) >= _ENOUGH:
                return waits[min(len(waits) - 1, int(_QUANTILE * len(waits)))]
        return default


def _decoded(blob: bytes) -> dict[str, list[tuple[int, list[int]]]]:
    """The notes as kept; what cannot be read is learnt again."""
    if not blob:
        return {}
    try:
        return msgspec.msgpack.decode(blob, type=dict[str, list[tuple[int, list[int]]]])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
