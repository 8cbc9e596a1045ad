"""When the same jobs would have started had nobody waited: FlexLon's own stand-in for Slurm's scheduler.

Law: as soon as possible means each job, in order of submission, when it is eligible, what it depends on has
ended and its CPUs, memory and GPUs are free in the room that FlexLon plans with; for as long as it really ran,
with backfill by the time limits. Everybody's jobs are in it. No delay of Slurm's scheduler is added, so it is a
little quicker than a real Slurm. Times are epoch seconds (UTC). Source: flexlond.planning.asap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.asap import asap_schedule
from flexlond.planning.pools import demand_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.job import Job
    from flexlond.planning.pools import Room


@dataclass(frozen=True, slots=True)
class Task:
    """One job or array task that ran: `seconds` long, not before `eligible`, after the jobs `after`."""

    job: Job
    eligible: int
    seconds: int
    after: tuple[int, ...] = ()


def asap_starts(tasks: Sequence[Task], room: Room) -> dict[int, int]:
    """Job id to start. `tasks` in order of submission; what a job waits for and is not there binds nothing.

    Raises ValueError when a task can never start: more than its partition has, no partition, a circle.
    """
    if not tasks:
        return {}
    rows = {task.job.job_id: row for row, task in enumerate(tasks)}
    pools = [room.pool_of(task.job.partition) for task in tasks]
    depends = [
        (row, rows[before])
        for row, task in enumerate(tasks)
        for before in task.after
        if before in rows
    ]
    starts = asap_schedule(
        np.array([task.eligible for task in tasks], np.int64),
        np.array([float(task.seconds) for task in tasks]),
        np.array([demand_of(task.job, room.resources) for task in tasks]),
        np.array(pools, np.int64),
        room=room,
        order=np.arange(len(tasks), dtype=np.int64),
        limit=np.array([float(task.job.time_limit or task.seconds) for task in tasks]),
        depends=np.array(depends, np.int64).reshape(-1, 2),
    )
    for task, pool, start in zip(tasks, pools, starts, strict=True):
        if pool < 0 or start == 0:
            raise ValueError(f"job {task.job.job_id} can never start in {task.job.partition!r}")
    return {task.job.job_id: int(start) for task, start in zip(tasks, starts, strict=True)}
