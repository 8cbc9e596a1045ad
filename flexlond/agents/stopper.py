"""Stopping running jobs for a window, and letting them run again: from the plan to actions.

Law: nobody is stopped but by the plan of this moment, for a window that binds, with the owner's word read again
from this look at the queue; each once, and never sent again while it is not known what came of it. A stop is
on record before it is sent. What is suspended is resumed as soon as nothing asks for it any more: its time has
come, its window was cancelled, its owner took the word back, FlexLon is drained. Epoch seconds, kW.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.agents.decide import intent, why_back
from flexlond.agents.stoppable import Stoppable, stoppable, suspended_seconds, was_done
from flexlond.model.action import Action, Verb
from flexlond.model.directive import Directive, Preempt
from flexlond.model.job import JobState
from flexlond.model.stop import StopRecord
from flexlond.planning.moments import Terms
from flexlond.planning.stopped import REQUEUE_PAUSE, Candidate, suspended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flexlond.agents.build import Question
    from flexlond.agents.state import LoopState
    from flexlond.model.job import Job
    from flexlond.model.window import Window
    from flexlond.planning.delay import MeanJob
    from flexlond.planning.problem import Problem
    from flexlond.planning.stopped import Stop

REMEMBERED = 30 * 86_400
"""Seconds for which earlier stops are read again; no run of a job that is counted lasts longer."""
_AFTER_PAUSE = 15  # s more than Slurm's own pause, for the helper's work in between
_HELPER = 10  # s that an order may take from us to its effect


def look(state: LoopState, now: int, margin: Callable[[Job], int]) -> Mapping[int, Stoppable]:
    """The running jobs that may be stopped now; nobody where the site does not want it."""
    if state.snapshot is None or not state.settings.windows.stop_running:
        return {}
    found: dict[int, Stoppable] = {}
    by_job = _by_job(state.stops)
    for job in state.snapshot.jobs:
        if job.state is not JobState.RUNNING or not job.start:
            continue
        judged = stoppable(
            job,
            state.actuator.records.get(job.job_id),
            state.consents,
            margin=margin(job),
            stops=by_job.get(job.job_id, ()),
            now=now,
        )
        past = state.actuator.backoff.get(job.job_id)
        if isinstance(judged, Stoppable) and not (past and now < past.until):
            found[job.job_id] = judged
    return found


def terms_of(state: LoopState) -> Terms:
    """What the site's stops are reckoned with."""
    settings = state.settings
    return Terms(
        saves=settings.windows.suspend_saves,
        restart_seconds=settings.windows.restart_seconds,
        kill_wait=state.cluster.kill_wait if state.cluster else 30,
        beat=int(np.ceil(settings.daemon.tick_seconds)) + _HELPER,
    )


def candidates(state: LoopState, question: Question, mean: MeanJob) -> tuple[Candidate, ...]:
    """Those who may be stopped, as the plan must know them."""
    chosen = [
        (one, question.running[one.job.job_id])
        for one in state.stoppable.values()
        if one.job.job_id in question.running
    ]
    running = question.problem.running
    chosen = [(one, row) for one, row in chosen if running.share[row].any()]
    kw = running.kw[[row for _, row in chosen]]
    weights = mean.weights(np.ones(len(chosen)), kw).tolist()
    found = []
    for (one, row), weight in zip(chosen, weights, strict=True):
        run = state.outlook.run_of(one.job)
        found.append(
            Candidate(
                job_id=one.job.job_id,
                row=row,
                verb=one.verb,
                began=one.began,
                ready=one.ready,
                grace=one.grace,
                saved=one.saved,
                latest=one.latest,
                duration=run.mean,
                occupancy=run.p90,
                limit=float(one.job.time_limit or 0),
                delay_weight=weight,
                wait=max(0, one.margin - state.settings.planning.margin_seconds),
                asked=one.asked.at if one.asked else 0,
                until=one.asked.until if one.asked else 0,
            )
        )
    return tuple(found)


def with_suspended(state: LoopState, question: Question, now: int) -> Problem:
    """The problem in which suspended jobs draw less until they are resumed, and end so much later."""
    problem, by_job = question.problem, _by_job(state.stops)
    if state.snapshot is None:
        return problem
    running, end = problem.running, problem.running.end.copy()
    paused: list[tuple[int, int]] = []
    dues: list[tuple[float, float]] = []
    for job in state.snapshot.jobs:
        row = question.running.get(job.job_id)
        if row is None:
            continue
        ours = by_job.get(job.job_id, ())
        end[row] += suspended_seconds(job, ours, now)
        if job.state is JobState.SUSPENDED:
            one = _suspension(job, ours)
            due = one.until if one is not None and one.until > now else problem.grid.end
            paused.append((row, due))
            if one is not None:
                dues.append((float(due), one.kw))
    running = replace(running, end=end)
    saves = state.settings.windows.suspend_saves
    for row, due in paused:
        running = suspended(running, row, due, now, saves=saves)
    recent = np.concatenate([problem.recent, np.array(dues).reshape(-1, 2)])
    return replace(problem, running=running, recent=recent)


def due(state: LoopState, now: int) -> list[tuple[Action, StopRecord]]:
    """The stops whose moment has come, as they are recorded and sent."""
    found = []
    for stop in state.stopping.stops if state.stopping else ():
        known = state.stoppable.get(stop.candidate.job_id)
        if known is None or known.asked is not None or stop.candidate.asked or stop.at > now:
            continue
        window = window_of(state, stop, now)
        made = _order(known, stop, window, now) if window else None
        if made is not None:
            found.append(made)
    return found


def resumes(state: LoopState, now: int) -> list[Action]:
    """Suspended jobs of ours that nothing keeps any more."""
    if state.snapshot is None:
        return []
    by_job = _by_job(state.stops)
    found = []
    for job in state.snapshot.jobs:
        if job.state is not JobState.SUSPENDED:
            continue
        one = _suspension(job, by_job.get(job.job_id, ()))
        why = _why_resume(state, job, one, now) if one else ""
        if why:
            found.append(intent(job, Verb.RESUME, 0, why))
    return found


def _why_resume(state: LoopState, job: Job, one: StopRecord, now: int) -> str:
    """Why it must run again now; "" when it stays suspended."""
    record = state.actuator.records.get(job.job_id)
    reading = state.consents.read(job, one.first_submit)
    agreed = isinstance(reading, Directive) and reading.preempt is Preempt.SUSPEND
    return why_back(state, record, one.until, now, agreed=agreed, over="its time has come")


def _order(
    known: Stoppable, stop: Stop, window: Window, now: int
) -> tuple[Action, StopRecord] | None:
    """The action and its record; None where it would not be in time any more."""
    job = known.job
    until = stop.until
    if stop.requeued:
        until = max(until, now + known.grace + REQUEUE_PAUSE + _AFTER_PAUSE)
    if (
        known.verb is not stop.candidate.verb
        or known.ready > now
        or not now < until <= known.latest
    ):
        return None
    reason = f"window {window.window_id}: {stop.kw:.4g} kW less"
    action = intent(job, known.verb, until, reason)
    record = StopRecord(
        action_id=action.action_id,
        window_id=window.window_id,
        job_id=job.job_id,
        first_submit=known.record.first_submit,
        restarts=job.restarts,
        verb=known.verb,
        at=now,
        grace=known.grace,
        until=until,
        kw=stop.kw,
        cost_gbp=stop.cost_gbp,
        reason=reason,
    )
    return action, record


def window_of(state: LoopState, stop: Stop, now: int) -> Window | None:
    """The window that asks for this stop: the lowest cap in its slot."""
    if state.problem is None:
        return None
    grid = state.problem.grid
    begin = grid.slot_start(stop.slot)
    asking = [
        window
        for window in state.windows
        if window.binds(now) and window.start < begin + grid.slot_seconds and begin < window.end
    ]
    return min(asking, key=_lowest, default=None)


def _lowest(window: Window) -> tuple[float, int]:
    return min(window.caps), window.window_id


def _suspension(job: Job, stops: Sequence[StopRecord]) -> StopRecord | None:
    """Our suspension of this run of `job`."""
    for one in reversed(stops):
        same = one.verb is Verb.SUSPEND and one.restarts == job.restarts and was_done(one)
        if same and one.first_submit <= job.submit:
            return one
    return None


def _by_job(stops: Sequence[StopRecord]) -> Mapping[int, list[StopRecord]]:
    found: dict[int, list[StopRecord]] = {}
    for one in stops:
        found.setdefault(one.job_id, []).append(one)
    return found
