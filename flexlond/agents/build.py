"""From one snapshot to one planning question.

Law: pure. Every pending job that could start takes part: those without consent are placed as Slurm would
place them, so that a deferred job is never promised room that they will take. Held jobs and jobs in
partitions we do not know take no part. Het components are one job under the leader's id. A run costs what its
P50 says and keeps its room for its P90; running jobs keep theirs until their predicted end, reservations as
long as they last. Latest starts never rest on a forecast: they come as they are, from the time limit. A job's
power is the marginal one: the idle power of nodes that stay on is the site's base. Units as in
planning/problem.py.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.agents.outlook import Draw, Outlook
from flexlond.agents.reserved import reserved, together
from flexlond.model.job import ACTIVE_STATES, JobState
from flexlond.model.power import base_kw
from flexlond.planning.carbon_days import caps_wanted
from flexlond.planning.delay import MeanJob
from flexlond.planning.dependencies import edges, predecessors
from flexlond.planning.overrun import cautious
from flexlond.planning.pools import demand_of, room_of
from flexlond.planning.problem import NEVER, Problem, Running
from flexlond.prediction.runtime import UNLIMITED_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.agents.consent import FlexJob
    from flexlond.model.directive import PowerSpec
    from flexlond.model.job import Cluster, Job
    from flexlond.model.series import Series
    from flexlond.model.settings import Settings
    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.in_the_way import Sizes
    from flexlond.planning.overrun import Newest
    from flexlond.planning.pools import Room


@dataclass(frozen=True, slots=True)
class Question:
    """The problem, and which job each row is."""

    problem: Problem
    rows: Mapping[int, int]  # job id -> row
    kw: Mapping[int, float]  # job id -> what the plan counts, all tasks; running jobs too
    whole_kw: Mapping[int, float]  # with the idle share of its nodes
    running: Mapping[int, int]  # job id -> row of problem.running


def build(
    jobs: Sequence[Job],
    flex: Mapping[int, FlexJob],
    cluster: Cluster,
    *,
    price: Series | None,
    carbon: Series | None,
    settings: Settings,
    grid: TimeGrid,
    now: int,
    recent: NDArray[np.float64],
    outlook: Outlook | None = None,
    stated: Mapping[int, PowerSpec] | None = None,
    mean: MeanJob | None = None,
    caps: NDArray[np.float64] | None = None,
    sizes: Sizes | None = None,
    newest: Newest | None = None,
) -> Question:
    """The planning question of this moment. A signal that is not configured (None) counts as zero.

    `outlook` None: nothing is learnt, every job counts for its time limit. `stated` has the directive's
    power of running jobs by job id. `mean` remembers the mean job from one moment to the next. `caps` (S,) are
    those of the windows in force, inf where there is none. `sizes` and `newest` remember what jobs ask
    for; None: no job is in the way of newcomers, or they in its.
    """
    mean = MeanJob() if mean is None else mean
    outlook = Outlook() if outlook is None else outlook
    room = room_of(cluster.pools)
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
    groups = [parts.get(job.job_id, (job,)) for job in pending]
    rows = {job.job_id: row for row, job in enumerate(pending)}
    directives = [flex[job.job_id].directive if job.job_id in flex else None for job in pending]
    bounds, movable = _latest(pending, flex, _awaited_by_absent(jobs, rows))
    promised = np.array([_promised(flex.get(job.job_id)) for job in pending], np.int64)
    expected, kept = outlook.runs_of(pending)
    whole, counted = _draw(
        groups, [d.power if d else None for d in directives], outlook, settings, cluster
    )
    planning = settings.planning
    tasks_of = np.array([job.task_count for job in pending], np.float64)
    mean.see(list(rows), counted * expected / 3600.0, tasks_of)
    active = [job for job in jobs if job.state in ACTIVE_STATES and job.start]
    specs = [(stated or {}).get(job.job_id) for job in active]
    drawn = outlook.draw(active, specs, settings.power, power_saving=cluster.power_saving)
    running = _running(active, room, outlook, drawn, now)
    blocked = reserved(cluster.reservations, cluster.pools, room, now=now, end=grid.end)
    problem = Problem(
        grid=grid,
        now=now,
        price=price.values if price else np.zeros(grid.count),
        carbon=carbon.values if carbon else np.zeros(grid.count),
        job_id=np.array([job.job_id for job in pending], np.int64),
        earliest=np.array([_earliest(job, flex.get(job.job_id), now) for job in pending], np.int64),
        latest=bounds,
        duration=expected,
        tasks=tasks_of.astype(np.int64),
        throttle=np.array([job.array_throttle for job in pending], np.int64),
        kw=counted,
        demand=_demands(groups, room),
        pool=np.array([room.pool_of(job.partition) for job in pending], np.int64),
        movable=movable,
        order=np.arange(len(pending), dtype=np.int64),
        max_price=_limits([d.max_price if d else None for d in directives]),
        max_carbon=_limits([d.max_carbon if d else None for d in directives]),
        delay_weight=mean.weights(tasks_of, counted),
        current=np.array([_hold(flex.get(job.job_id), now) for job in pending], np.int64),
        capacity=room.capacity,
        pool_group=room.pool_group,
        group_capacity=room.group_capacity,
        running=together(running, blocked) if len(blocked.end) else running,
        depends=_depends(pending, rows, parts),
        occupancy=kept,
        limit=np.array([float(job.time_limit or UNLIMITED_SECONDS) for job in pending]),
        promised=promised,
        site_kw=site_cap(planning.site_kw, caps, grid.count),
        base_kw=base_kw(cluster.pools, settings.power, power_saving=cluster.power_saving),
        co2_cap_kg=planning.co2_cap_kg if planning.co2_cap_kg > 0 else float("inf"),
        recent=recent,
    )
    if sizes is not None:
        there = [*pending, *active]
        ids = [job.job_id for job in there]
        pool = np.array([room.pool_of(job.partition) for job in there], np.int64)
        demand = np.array([demand_of(job, room.resources) for job in there]).reshape(
            len(there), len(room.resources)
        )
        waited = np.array([*[np.nan] * len(pending), *(job.start - job.begin for job in active)])
        new = sizes.see(room, ids, pool, demand, waited)
        since = np.array([_since(flex.get(job.job_id), now) for job in pending], np.int64)
        if newest is not None and not caps_wanted(planning):
            stay = np.array([float(job.time_limit or UNLIMITED_SECONDS) for job in there])
            newest.came(now, room, pool[new], demand[new], stay[new])
        problem = cautious(problem, room, sizes, newest, since=since, settings=planning)
    ids, tasks = [*rows, *(job.job_id for job in active)], np.ones(len(pending) + len(active))
    tasks[: len(pending)] = problem.tasks
    return Question(
        problem,
        rows,
        dict(zip(ids, (np.concatenate([counted, drawn.counted]) * tasks).tolist(), strict=True)),
        dict(zip(ids, (np.concatenate([whole, drawn.whole]) * tasks).tolist(), strict=True)),
        {job.job_id: row for row, job in enumerate(active)},
    )


def site_cap(site_kw: float, caps: NDArray[np.float64] | None, slots: int) -> NDArray[np.float64]:
    """(S,) the lower of the site's cap (0: none) and `caps` (S,); empty where nothing is capped."""
    own = np.full(slots, site_kw if site_kw > 0 else np.inf)
    lowest = own if caps is None else np.minimum(own, caps)
    return lowest if np.isfinite(lowest).any() else np.zeros(0)


def _draw(
    groups: Sequence[Sequence[Job]],
    specs: Sequence[PowerSpec | None],
    outlook: Outlook,
    settings: Settings,
    cluster: Cluster,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(J,), (J,): the whole and the counted kW of one task; of a het job the sum of its components."""
    single = [job for group in groups for job in group]
    row = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    of_single = [specs[at] for at in row.tolist()]
    drawn = outlook.draw(single, of_single, settings.power, power_saving=cluster.power_saving)
    whole, counted = (np.bincount(row, kw, len(groups)).astype(np.float64) for kw in drawn)
    return whole, counted


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


def _promised(known: FlexJob | None) -> int:
    """Its latest start without the margin."""
    at = known.latest.at if known and known.latest else None
    return NEVER if known is None or at is None else at + known.margin


def _since(known: FlexJob | None, now: int) -> int:
    """When it became eligible."""
    return (known.record.eligible if known and known.record else 0) or now


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


def _running(active: Sequence[Job], room: Room, outlook: Outlook, drawn: Draw, now: int) -> Running:
    if not active:
        return Running.none(len(room.partitions), len(room.resources))
    return Running.in_pools(
        np.array([room.pool_of(job.partition) for job in active], np.int64),
        np.array([demand_of(job, room.resources) for job in active]),
        np.array([outlook.end_of(job, now) for job in active], np.int64),
        drawn.counted,
        len(room.partitions),
    )
