"""When the same jobs would have started had nobody waited: a list schedule with what is known afterwards.

Law: as soon as possible means each job, in order of submission, at the first second at which it is eligible,
what it depends on has ended, and its CPUs, memory and GPUs are free in the room that FlexLon plans with; for as
long as it really ran. Everybody's jobs are in it. A job that fits starts even where an earlier one still waits
for room. No delay of Slurm's scheduler is added, so it is a little quicker than a real Slurm. Times are epoch
seconds (UTC). Source: list scheduling (Graham 1969), event by event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.planning.pools import demand_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from flexlond.model.job import Job
    from flexlond.planning.pools import Room


@dataclass(frozen=True, slots=True)
class Task:
    """One job or array task that ran: `seconds` long, not before `eligible`, after the jobs `after`."""

    job: Job
    eligible: int
    seconds: int
    after: tuple[int, ...] = ()


class _Free:
    """What is free in each pool and in each group of pools that share nodes."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._pool = room.capacity.copy()
        self._group = room.group_capacity.copy()

    def take(self, task: Task) -> bool:
        """Take the task's share if it is free."""
        pool, demand = self._place(task)
        group = self._room.pool_group[pool]
        if (self._pool[pool] < demand).any() or (self._group[group] < demand).any():
            return False
        self._pool[pool] -= demand
        self._group[group] -= demand
        return True

    def give_back(self, task: Task) -> None:
        """Undo `take`."""
        pool, demand = self._place(task)
        self._pool[pool] += demand
        self._group[self._room.pool_group[pool]] += demand

    def _place(self, task: Task) -> tuple[int, NDArray[np.float64]]:
        pool = self._room.pool_of(task.job.partition)
        if pool < 0:
            raise ValueError(f"job {task.job.job_id}: no partition {task.job.partition!r}")
        return pool, demand_of(task.job, self._room.resources)


def asap_starts(tasks: Sequence[Task], room: Room) -> dict[int, int]:
    """Job id to start. `tasks` in order of submission; what a job waits for and is not there binds nothing.

    Raises ValueError when a task can never start: more than its partition has, or a circle.
    """
    known = {task.job.job_id for task in tasks}
    free = _Free(room)
    waiting = list(tasks)
    running: list[tuple[int, Task]] = []
    starts: dict[int, int] = {}
    ended: set[int] = set()
    now = min((task.eligible for task in tasks), default=0)
    while waiting:
        for end, task in [pair for pair in running if pair[0] <= now]:
            running.remove((end, task))
            free.give_back(task)
            ended.add(task.job.job_id)
        for task in list(waiting):
            if (
                task.eligible <= now
                and ended.issuperset(known.intersection(task.after))
                and free.take(task)
            ):
                starts[task.job.job_id] = now
                running.append((now + task.seconds, task))
                waiting.remove(task)
        following = [end for end, _ in running] + [task.eligible for task in waiting]
        later = [moment for moment in following if moment > now]
        if waiting and not later:
            raise ValueError(f"job {waiting[0].job.job_id} can never start")
        now = min(later, default=now)
    return starts
