"""Slowing arrays for a window, and giving them their own pace back: from the plan to actions.

Law: an array is slowed only by the plan of this moment, for a window that binds, where it may be deferred
too: its owner agreed, and its last task is in time even if nobody ever puts the throttle back. The helper
remembers the owner's throttle and says so each beat; one that somebody else changed is left alone. An array
that is held is slowed before it is let go. What is slowed stays so until its window is over, or sooner:
consent gone, opted out, drained, its window cancelled. Epoch seconds, kW, tasks at once.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from flexlond.agents.decide import intent, is_held, why_back
from flexlond.agents.reconcile import split_arrays
from flexlond.model.action import Action, Verb
from flexlond.model.job import ACTIVE_STATES, JobState
from flexlond.model.pace import narrowest
from flexlond.model.slo import latest_start, with_throttle
from flexlond.model.slurmtime import format_moment
from flexlond.planning.slowing import Slowable, paced

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flexlond.agents.build import Question
    from flexlond.agents.consent import FlexJob
    from flexlond.agents.state import LoopState
    from flexlond.model.job import Job
    from flexlond.model.pace import Slowed
    from flexlond.model.window import Window
    from flexlond.planning.problem import Problem, Running
    from flexlond.planning.slowing import Slow

_BEAT = 10  # s that an order may take from us to its effect, beside a cycle


def in_force(state: LoopState, job: Job) -> Slowed | None:
    """Our throttle of this array, as the helper knows it and as it is seen in the queue."""
    one = state.slowed.get(job.job_id)
    if one is None or one.left_alone or one.submit != job.submit:
        return None
    return one if job.is_array and job.array_throttle == one.width else None


def slowables(
    state: LoopState, question: Question, whole: Running, now: int
) -> tuple[Slowable, ...]:
    """The arrays of the plan that may be slowed; `whole` is what runs before anything was paced."""
    if not state.settings.windows.slow_arrays or state.snapshot is None:
        return ()
    tasks, split = _on_nodes(state.snapshot.jobs), split_arrays(state.snapshot.jobs)
    found = []
    for job_id, row in question.rows.items():
        known = state.flex.get(job_id)
        if known is None or not known.job.is_array or job_id in split:
            continue
        if state.actuator.no_slow.get(job_id, 0) > now or _why_not(state, known):
            continue
        running = tuple(question.running.get(task.job_id, -1) for task in tasks[job_id])
        ours = in_force(state, known.job)
        one = _slowable(known, ours, running, row=row, whole=whole, now=now)
        if one is not None:
            found.append(one)
    return tuple(found)


def as_one_stream(state: LoopState, question: Question, now: int) -> Problem:
    """The problem in which what runs of a flexible array with a throttle and what waits is not counted twice.

    An array that gets its own pace back now is planned with it.
    """
    if state.snapshot is None:
        return question.problem
    tasks, throttle = _on_nodes(state.snapshot.jobs), question.problem.throttle.copy()
    arrays = []
    for job in state.snapshot.jobs:
        row = question.rows.get(job.job_id)
        known = state.flex.get(job.job_id)
        if row is None or not job.is_array or known is None or known.directive is None:
            continue
        one = in_force(state, job)
        if one is not None and _why_unslow(state, job, one, now):
            throttle[row] = one.own
        running = [
            question.running[j.job_id] for j in tasks[job.job_id] if j.job_id in question.running
        ]
        arrays.append((row, int(throttle[row]), running))
    return paced(replace(question.problem, throttle=throttle), arrays)


def due(state: LoopState, now: int) -> list[Action]:
    """The arrays whose moment to be slowed has come, and those that stay slowed for a further window."""
    if state.snapshot is None or state.problem is None:
        return []
    window = asking(state.windows, now)
    if window is None:
        return []
    first, until, number = window
    found = []
    for slow in state.slowing.slows if state.slowing else ():
        known = state.flex.get(slow.candidate.job_id)
        if known is None or not _is_time(state, state.problem, known, slow, first=first, now=now):
            continue
        own = slow.candidate.own
        reason = f"window {number}: {slow.width} tasks at once instead of {own or 'all'}, {slow.kw:.4g} kW less"
        found.append(intent(known.job, Verb.SLOW, until, reason, slow.width))
    ordered = {action.job_id for action in found}
    for job in state.snapshot.jobs:
        one = in_force(state, job)
        if (
            one is not None
            and job.job_id not in ordered
            and now < one.until < until
            and first <= one.until
        ):
            reason = f"window {number}: it goes on"
            found.append(intent(job, Verb.SLOW, until, reason, one.width))
    return found


def waiting_to_be_slowed(state: LoopState, now: int) -> frozenset[int]:
    """Arrays that are held and stay so until their throttle is seen."""
    slows = state.slowing.slows if state.slowing else ()
    known = {slow.candidate.job_id: state.flex.get(slow.candidate.job_id) for slow in slows}
    return frozenset(
        job_id for job_id, one in known.items() if one is not None and is_held(one, now)
    )


def restores(state: LoopState, now: int) -> list[Action]:
    """Slowed arrays that nothing keeps so any more."""
    if state.snapshot is None:
        return []
    found = []
    for job in state.snapshot.jobs:
        one = in_force(state, job)
        why = _why_unslow(state, job, one, now) if one is not None else ""
        if one is not None and why:
            found.append(intent(job, Verb.UNSLOW, 0, why, one.width))
    return found


def step_kw(state: LoopState) -> Mapping[int, float]:
    """By how much each slowed array may draw more when it has its own pace back, kW."""
    if state.snapshot is None:
        return {}
    found = {}
    for job in state.snapshot.jobs:
        one = in_force(state, job)
        if one is not None:
            wide = min(one.own or job.task_count, job.task_count)
            each = state.kw.get(job.job_id, 0.0) / max(1, job.task_count)
            found[job.job_id] = each * max(0, wide - one.width)
    return found


def said(state: LoopState, job_id: int) -> str:
    """What there is to say of this array's pace; "" for nothing."""
    jobs = state.snapshot.jobs if state.snapshot else ()
    job = next((one for one in jobs if one.job_id == job_id), None)
    one = state.slowed.get(job_id)
    if job is None or one is None or one.submit != job.submit:
        return ""
    own = f"%{one.own}" if one.own else "none"
    if one.left_alone or job.array_throttle != one.width:
        return " Somebody changed its throttle after FlexLon: it is not slowed again."
    return (
        f" For a window it runs {one.width} tasks at once (its own throttle: {own}); it gets its own back at "
        f"{format_moment(one.until)}, and would be in time without; `scontrol update JobId={job_id} "
        f"ArrayTaskThrottle={one.own}` takes that out of FlexLon's hands."
    )


def words(state: LoopState) -> list[str]:
    """What the cycle's sentence says of slowed arrays."""
    jobs = state.snapshot.jobs if state.snapshot else ()
    count = sum(1 for job in jobs if in_force(state, job) is not None)
    return [f"{count} array{'s' * (count > 1)} slowed"] if count else []


def _slowable(
    known: FlexJob,
    ours: Slowed | None,
    tasks: Sequence[int],
    *,
    row: int,
    whole: Running,
    now: int,
) -> Slowable | None:
    """`tasks` are the rows of problem.running of its tasks on nodes; -1 for one that ends."""
    job, record = known.job, known.record
    assert known.directive is not None  # noqa: S101 # _why_not asked
    assert record is not None  # noqa: S101 # as above
    own = ours.own if ours else job.array_throttle
    latest = latest_start(
        with_throttle(job, own), known.directive, eligible=record.eligible, margin=known.margin
    ).at
    if latest is None:
        return None
    return Slowable(
        job_id=job.job_id,
        row=row,
        own=own,
        width=job.array_throttle,
        least=narrowest(
            job, latest, own=own, running=len(tasks), margin=known.margin, now=max(now, job.begin)
        ),
        tasks=job.task_count + len(tasks),
        waiting=job.task_count,
        running=tuple(at for at in tasks if at >= 0),
        whole=whole,
        latest=latest,
        step=(job.time_limit or 0) + known.margin,
    )


def _why_not(state: LoopState, known: FlexJob) -> str:
    """Why this array keeps its pace; "" where it may be slowed."""
    job, record = known.job, known.record
    one = state.slowed.get(job.job_id)
    changed = one is not None and one.submit == job.submit
    changed = changed and one is not None and job.array_throttle != one.width
    checks = (
        (known.directive is None, known.consent),
        (record is None or not record.eligible, "it is not known since when it could have started"),
        (record is not None and record.opted_out > 0, "opted out"),
        (one is not None and one.left_alone, "somebody changed its throttle"),
        (changed, "somebody changed its throttle"),
        (job.held, "held by somebody else"),
        (not job.batch or job.cron or bool(job.reservation), "left alone"),
        (job.time_limit is None or job.het_job_id > 0, "left alone"),
    )
    return next((why for applies, why in checks if applies), "")


def _why_unslow(state: LoopState, job: Job, one: Slowed, now: int) -> str:
    """Why it gets its own pace back now; "" while it stays slowed."""
    known = state.flex.get(job.job_id)
    agreed = known is not None and known.directive is not None
    record = known.record if known else None
    why = why_back(state, record, one.until, now, agreed=agreed, over="its window is over")
    return why or ("" if state.settings.windows.slow_arrays else "windows.slow_arrays is off")


def _is_time(
    state: LoopState, problem: Problem, known: FlexJob, slow: Slow, *, first: int, now: int
) -> bool:
    """Tasks that start from now on may still run when the window begins."""
    if is_held(known, now):
        return True
    row = slow.candidate.row
    lasts = problem.occupancy if len(problem.occupancy) else problem.duration
    return now >= first - float(lasts[row]) - state.settings.daemon.cycle_seconds - _BEAT


def asking(windows: Sequence[Window], now: int) -> tuple[int, int, int] | None:
    """Start and end of the windows that bind next, without a gap between them, and the first one's number."""
    binding = sorted((w.start, w.end, w.window_id) for w in windows if w.binds(now) and w.end > now)
    if not binding:
        return None
    first, until, number = binding[0]
    for start, end, _ in binding[1:]:
        if start <= until:
            until = max(until, end)
    return first, until, number


def _on_nodes(jobs: Collection[Job]) -> Mapping[int, list[Job]]:
    """The tasks of each array that hold nodes."""
    found: dict[int, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.array_job_id and job.state in ACTIVE_STATES | {JobState.COMPLETING}:
            found[job.array_job_id].append(job)
    return found
