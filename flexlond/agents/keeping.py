"""Windows that Slurm itself keeps: each cycle's reservations of the `kw` licence, and who is let off it.

Law: level-triggered. What windows, queue and plan of this cycle ask for is compared with what the helper saw
last; the same is asked for again only until it is in force. Jobs that a reservation might hold past a latest
start, past Slurm's own deadline, or without their owner's consent are let off first, and where that fails
nothing new is reserved. What fails leaves what there is, and that ends by itself. What draws power without a
licence counts by the plan, running jobs until their time limits. Epoch seconds, kW at the site's meter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.agents.decide import intent
from flexlond.model.action import Action, Outcome, Verb
from flexlond.model.job import ACTIVE_STATES, JobState
from flexlond.model.licence import PREFIX, Stretch, kw_of
from flexlond.model.slurmtime import format_moment
from flexlond.model.window import caps_on
from flexlond.planning.account import slot_power
from flexlond.planning.capacity import blocks_of
from flexlond.planning.licence import Bound, Kept, keep, steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from numpy.typing import NDArray

    from flexlond.agents.consent import FlexJob
    from flexlond.agents.state import LoopState
    from flexlond.model.action import Result
    from flexlond.model.job import Job, Snapshot
    from flexlond.model.licence import Reserved
    from flexlond.model.settings import LicenceSettings
    from flexlond.planning.problem import Plan, Problem

ENDLESS = 10 * 365 * 86_400  # seconds of a job without a time limit
_NEAR = 0.5  # kW above a cap that whole licences cannot speak of
_DEFAULT_INTERVAL = (
    60  # seconds until the scheduler has looked at a job, before the cluster was read
)


class Reservations:
    """Brings what is reserved to what the windows ask for, in each cycle."""

    def __init__(
        self,
        state: LoopState,
        send: Callable[[Sequence[Action], int], Awaitable[Sequence[Result]]],
    ) -> None:
        """`send` carries out actions, as the loop does."""
        self._state, self._send = state, send
        self._known_empty = False  # since the last answer: nothing to take away either

    async def keep(self, now: int, *, acting: bool) -> None:
        """Once a cycle, after its plan was carried out; nothing is reserved where the loop may not act."""
        state = self._state
        taking_part = state.settings.licence.taking_part
        if not acting or not (taking_part or state.in_force):
            state.kept_said = ()
            return
        if not taking_part:
            await self.nothing("no partition takes part any more")
            return
        if self._known_empty and not any(window.binds(now) for window in state.windows):
            return
        kept = kept_by_slurm(state, now)
        if kept is None:
            return
        ready = await self._send(let_off(kept, state), now)
        if len(ready) != len(kept.let_off) or any(
            result.outcome in {Outcome.REFUSED, Outcome.UNKNOWN} for result in ready
        ):
            return  # somebody might be held too long: nothing is reserved before that is settled
        asked = wanted(kept, state, now)
        reserved = await state.actuator.reserve(asked, "the windows in force")
        state.kept_said = said(kept, reserved, state, now)
        if reserved is not None:
            state.in_force = reserved.in_force
            self._known_empty = not asked and not reserved.in_force

    async def nothing(self, reason: str) -> int:
        """Take away what is reserved; how many reservations are left, at least 1 where that is not known."""
        reserved = await self._state.actuator.reserve((), reason)
        if reserved is None:
            return max(1, len(self._state.in_force))
        self._state.in_force, self._state.kept_said = reserved.in_force, ()
        return len(reserved.in_force)


def kept_by_slurm(state: LoopState, now: int) -> Kept | None:
    """What this cycle asks for; None where there is no plan of this moment to tell from."""
    found, problem, snapshot = state.last_plan, state.problem, state.snapshot
    if found is None or problem is None or snapshot is None or not snapshot.complete:
        return None
    if state.planned_at != now:
        return None
    chosen = state.settings.licence
    interval = state.cluster.sched_interval if state.cluster else _DEFAULT_INTERVAL
    return keep(
        found.grid,
        caps_on(found.grid, state.windows, now),
        _free_kw(state, snapshot, problem, found),
        bounds(state, snapshot, now),
        total=chosen.total_kw,
        longest=chosen.longest_seconds,
        margin=interval,
    )


def wanted(kept: Kept, state: LoopState, now: int) -> tuple[Stretch, ...]:
    """Those of its reservations that may be made by now, named as what is in force."""
    chosen = state.settings.licence
    named = steady(kept.stretches, _in_force(state, now), total=chosen.total_kw, now=now)
    return tuple(one for one in named if one.end - now <= chosen.ahead_seconds)[: chosen.most]


def let_off(kept: Kept, state: LoopState) -> tuple[Action, ...]:
    """The actions that take the licence off the jobs that a reservation might hold too long."""
    if state.snapshot is None:
        return ()
    jobs = {job.job_id: job for job in state.snapshot.jobs}
    why = "no window may hold it past its latest start or without consent"
    return tuple(intent(jobs[one.job_id], Verb.LET_OFF, 0, why) for one in kept.let_off)


def bounds(state: LoopState, snapshot: Snapshot, now: int) -> tuple[Bound, ...]:
    """Pending jobs with the licence that may not be held for ever, each with its latest start."""
    found = []
    for job in snapshot.jobs:
        if job.state is not JobState.PENDING or not kw_of(job.licenses):
            continue
        latest = _latest(job, state, now)
        if latest is not None:
            found.append(Bound(job.job_id, latest, job.time_limit or ENDLESS))
    return tuple(found)


def said(kept: Kept, reserved: Reserved | None, state: LoopState, now: int) -> tuple[str, ...]:
    """What people should know of it, a line each: refusals, what cannot be kept, usage above what is left."""
    lines: list[str] = []
    if reserved is None:
        detail = state.actuator.detail
        return (f"Slurm keeps what was reserved before: the helper does not answer ({detail})",)
    lines += [
        f"Slurm does not keep the window from {format_moment(one.stretch.start)}: {one.detail} ({one.code})"
        for one in reserved.results
        if one.outcome in {Outcome.REFUSED, Outcome.UNKNOWN}
    ]
    if kept.short.max(initial=0.0) > _NEAR:
        lines.append(
            f"jobs without the kw licence, and those let off it to keep their latest start, draw up to "
            f"{kept.short.max():.4g} kW more than the windows allow"
        )
    active = next((one for one in reserved.in_force if one.start <= now < one.end), None)
    if active is not None and reserved.used > reserved.total - active.kw:
        lines.append(
            f"running jobs use {reserved.used} of the {reserved.total - active.kw} kw licences left in the "
            "window: no job with the licence starts until enough of them have ended"
        )
    if reserved.total != state.settings.licence.total_kw:
        lines.append(
            f"Slurm has {reserved.total} kw licences and licence.total_kw says "
            f"{state.settings.licence.total_kw}: correct one of them, then run flexlond lua"
        )
    return tuple(lines)


def _in_force(state: LoopState, now: int) -> tuple[Stretch, ...]:
    """What the helper saw last; after a start of the daemon, what slurmctld has under our prefix."""
    if state.in_force or state.cluster is None:
        return state.in_force
    return tuple(
        Stretch(int(one.name.removeprefix(PREFIX)), one.end, kw_of(one.licenses) or 0)
        for one in state.cluster.reservations
        if one.name.startswith(PREFIX)
        and one.name.removeprefix(PREFIX).isdecimal()
        and one.end > now
    )


def _latest(job: Job, state: LoopState, now: int) -> int | None:
    """Until when it must have started: `now` where it may not be held at all, None where nothing binds."""
    known = state.flex.get(job.job_id)
    if not _bound_without_consent(job, state.settings.licence) and not _consents(known):
        return now
    if known is not None and known.directive is not None:
        return now if known.latest is None or known.latest.at is None else known.latest.at
    if not job.deadline:
        return None
    if job.time_limit is None:
        return now
    throttled = job.is_array and job.array_throttle > 0
    waves = -(-job.task_count // job.array_throttle) if throttled else 1
    return job.deadline - waves * job.time_limit - state.settings.planning.margin_seconds


def _bound_without_consent(job: Job, settings: LicenceSettings) -> bool:
    """Whether the site agreed for all jobs of its partitions."""
    return all(settings.partitions.get(name) == "all" for name in job.partition.split(","))


def _consents(known: FlexJob | None) -> bool:
    return (
        known is not None
        and known.directive is not None
        and (known.record is None or not known.record.opted_out)
    )


def _free_kw(
    state: LoopState, snapshot: Snapshot, problem: Problem, found: Plan
) -> Callable[[Collection[int]], NDArray[np.float64]]:
    """What draws power without a licence by slot (S,), given the jobs that are let off."""
    grid = found.grid
    licensed = {job.job_id for job in snapshot.jobs if kw_of(job.licenses)}
    running = [
        job for job in snapshot.jobs if job.state in ACTIVE_STATES and job.job_id not in licensed
    ]
    fixed = problem.base_kw + _power(
        grid.start,
        [_end(job) for job in running],
        [state.kw.get(job.job_id, 0.0) for job in running],
        found,
    )
    step = blocks_of(problem).kw
    ends = found.start + np.ceil(found.span).astype(np.int64)

    def of(rows: Sequence[int]) -> NDArray[np.float64]:
        at = np.array(rows, np.int64)
        return slot_power(grid, found.start[at].astype(float), ends[at].astype(float), step[at])

    fixed = fixed + of([row for job_id, row in state.rows.items() if job_id not in licensed])

    def free(without: Collection[int]) -> NDArray[np.float64]:
        return fixed + of([state.rows[job_id] for job_id in without if job_id in state.rows])

    return free


def _power(
    start: int, ends: Sequence[int], kw: Sequence[float], found: Plan
) -> NDArray[np.float64]:
    begin = np.full(len(ends), float(start))
    until = np.maximum(np.array(ends, np.float64), begin)
    return slot_power(found.grid, begin, until, np.array(kw, np.float64))


def _end(job: Job) -> int:
    """When a running job is over at the latest."""
    return job.end or job.start + (job.time_limit or ENDLESS)
