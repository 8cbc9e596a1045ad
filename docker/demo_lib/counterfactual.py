"""When the same jobs would have started had nobody waited: FlexLon's own list schedule, with what is known now.

Law: as soon as possible means each job, in the order of submission, at the first second at which it is eligible
and its CPUs, memory and GPUs are free, in the capacity that FlexLon plans with, for as long as it really ran.
Everybody's jobs are in it. No delay of Slurm's scheduler is added, so it is a little quicker than any real
Slurm. Times are epoch seconds (UTC). Source: flexlond.planning.planner, on a grid of one second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.settings import PlanningSettings
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.planner import plan
from flexlond.planning.pools import demand_of
from flexlond.planning.problem import NEVER, Problem, Running

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
    """Job id to start. `tasks` in Slurm's order; dependencies on jobs that are not there bind nothing."""
    if not tasks:
        return {}
    first = min(task.eligible for task in tasks)
    # Long enough for all of them one after the other.
    longest = max(task.eligible for task in tasks) - first + sum(task.seconds for task in tasks) + 1
    count = len(tasks)
    grid = TimeGrid(first, 1, longest)
    rows = {task.job.job_id: row for row, task in enumerate(tasks)}
    depends = [
        (row, rows[before])
        for row, task in enumerate(tasks)
        for before in task.after
        if before in rows
    ]
    question = Problem(
        grid=grid,
        now=first,
        price=np.zeros(longest),
        carbon=np.zeros(longest),
        job_id=np.array([task.job.job_id for task in tasks], np.int64),
        earliest=np.array([task.eligible for task in tasks], np.int64),
        latest=np.full(count, NEVER, np.int64),
        duration=np.array([float(task.seconds) for task in tasks]),
        tasks=np.ones(count, np.int64),
        throttle=np.zeros(count, np.int64),
        kw=np.zeros(count),
        demand=np.array([demand_of(task.job, room.resources) for task in tasks]),
        pool=np.array([room.pool_of(task.job.partition) for task in tasks], np.int64),
        movable=np.zeros(count, np.bool_),
        order=np.arange(count, dtype=np.int64),
        max_price=np.full(count, np.nan),
        max_carbon=np.full(count, np.nan),
        delay_weight=np.ones(count),
        current=np.zeros(count, np.int64),
        capacity=room.capacity,
        pool_group=room.pool_group,
        group_capacity=room.group_capacity,
        running=Running.none(*room.capacity.shape),
        depends=np.array(depends, np.int64).reshape(-1, 2),
    )
    starts = plan(question, PlanningSettings()).asap
    return {task.job.job_id: int(start) for task, start in zip(tasks, starts, strict=True)}
