"""From one snapshot to one planning question.

Law: pure. Every pending job that could start takes part: those without consent are placed as Slurm would
place them, so that a deferred job is never promised room that they will take. Held jobs and jobs in
partitions we do not know take no part. Het components are one job under the leader's id. Running jobs
occupy their room until start + time limit. Units as in planning/problem.py.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.job import ACTIVE_STATES, JobState
from flexlond.model.power import job_kw
from flexlond.planning.dependencies import edges, predecessors
from flexlond.planning.pools import demand_of
from flexlond.planning.problem import NEVER, Problem, Running

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.agents.consent import FlexJob
    from flexlond.model.job import Job
    from flexlond.model.series import Series
    from flexlond.model.settings import Settings
    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.pools import Room

# A job without a time limit is planned with, never moved; its room is taken for a day.
_UNLIMITED = 86_400


@dataclass(frozen=True, slots=True)
class Question:
    """The problem, and which job each row is."""

    problem: Problem
    rows: Mapping[int, int]  # job id -> row


def build(
    jobs: Sequence[Job],
    flex: Mapping[int, FlexJob],
    room: Room,
    *,
    price: Series | None,
    carbon: Series | None,
    settings: Settings,
    grid: TimeGrid,
    now: int,
    recent: NDArray[np.float64],
) -> Question:
    """The planning question of this moment. A signal that is not configured (None) counts as zero."""
    pending = [
        job
        for job in jobs
        if job.state is JobState.PENDING
        and not job.held
        and job.het_offset == 0
        and room.pool_of(job.partition) >= 0
    ]
    pending.sort(key=lambda job: (-job.priority, job.job_id))
    parts = _components(jobs)
    rows = {job.job_id: row for row, job in enumerate(pending)}
    directives = [flex[job.job_id].directive if job.job_id in flex else None for job in pending]
    bounds, movable = _latest(pending, flex, _awaited_by_absent(jobs, rows))
    problem = Problem(
        grid=grid,
        now=now,
        price=price.values if price else np.zeros(grid.count),
        carbon=carbon.values if carbon else np.zeros(grid.count),
        job_id=np.array([job.job_id for job in pending], np.int64),
        earliest=np.array([_earliest(job, flex.get(job.job_id), now) for job in pending], np.int64),
        latest=bounds,
        duration=np.array([float(job.time_limit or _UNLIMITED) for job in pending]),
        tasks=np.array([job.task_count for job in pending], np.int64),
        throttle=np.array([job.array_throttle for job in pending], np.int64),
        kw=np.array(
            [
                sum(
                    job_kw(part, directive.power if directive else None, settings.power)
                    for part in parts.get(job.job_id, (job,))
                )
                for job, directive in zip(pending, directives, strict=True)
            ]
        ),
        demand=_demands([parts.get(job.job_id, (job,)) for job in pending], room),
        pool=np.array([room.pool_of(job.partition) for job in pending], np.int64),
        movable=movable,
        order=np.arange(len(pending), dtype=np.int64),
        max_price=_limits([d.max_price if d else None for d in directives]),
        max_carbon=_limits([d.max_carbon if d else None for d in directives]),
        delay_weight=np.ones(len(pending)),
        current=np.array([_hold(flex.get(job.job_id), now) for job in pending], np.int64),
        capacity=room.capacity,
        pool_group=room.pool_group,
        group_capacity=room.group_capacity,
        running=_running(jobs, room, settings),
        depends=_depends(pending, rows, parts),
        recent=recent,
    )
    return Question(problem, rows)


def _components(jobs: Sequence[Job]) -> Mapping[int, tuple[Job, ...]]:
    """The pending components of each het job by the leader's id."""
    found: dict[int, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.het_job_id and job.state is JobState.PENDING:
            found[job.het_job_id].append(job)
    return {leader: tuple(parts) for leader, parts in found.items()}


def _earliest(job: Job, flex: FlexJob | None, now: int) -> int:
    """Not before now, nor before the begin time that is not ours."""
    record = flex.record if flex else None
    own = record.original_begin if record and record.hold else job.begin
    return max(now, own)


def _hold(flex: FlexJob | None, now: int) -> int:
    record = flex.record if flex else None
    return record.hold if record and record.hold > now else 0


def _latest(
    pending: Sequence[Job], flex: Mapping[int, FlexJob], awaited: Collection[int]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Latest safe starts; the planner runs them backwards over the dependencies (rule 6)."""
    found: list[int] = []
    for job in pending:
        known = flex.get(job.job_id)
        movable = known is not None and known.movable and job.job_id not in awaited
        at = known.latest.at if known and known.latest and movable else None
        found.append(NEVER if at is None else at)
    latest = np.array(found, np.int64)
    return latest, latest < NEVER


def _awaited_by_absent(jobs: Sequence[Job], rows: Mapping[int, int]) -> frozenset[int]:
    """Jobs on which a job waits that takes no part (held by somebody): they are not deferred."""
    return frozenset(
        before
        for job in jobs
        if job.state is JobState.PENDING and job.dependency and job.job_id not in rows
        for before in predecessors(job.dependency)
    )


def _depends(
    pending: Sequence[Job], rows: Mapping[int, int], parts: Mapping[int, tuple[Job, ...]]
) -> NDArray[np.int64]:
    aliases = {
        part.job_id: rows[leader]
        for leader, group in parts.items()
        if leader in rows
        for part in group
    }
    return edges(
        [job.job_id for job in pending],
        [job.dependency for job in pending],
        aliases=aliases,
        singleton_key=[(job.user, job.name) for job in pending],
    )


def _limits(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _demands(parts: Sequence[Sequence[Job]], room: Room) -> NDArray[np.float64]:
    rows = [
        sum((demand_of(part, room.resources) for part in group), np.zeros(len(room.resources)))
        for group in parts
    ]
    return np.array(rows, np.float64).reshape(len(parts), len(room.resources))


def _running(jobs: Sequence[Job], room: Room, settings: Settings) -> Running:
    active = [job for job in jobs if job.state in ACTIVE_STATES and job.start]
    if not active:
        return Running.none(len(room.partitions), len(room.resources))
    return Running.in_pools(
        np.array([room.pool_of(job.partition) for job in active], np.int64),
        np.array([demand_of(job, room.resources) for job in active]),
        np.array([job.start + (job.time_limit or _UNLIMITED) for job in active], np.int64),
        np.array([job_kw(job, None, settings.power) for job in active]),
        len(room.partitions),
    )
