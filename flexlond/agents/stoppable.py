"""Which running jobs may be stopped for a window, how, and until when: their owners' word, job by job.

Law: pure. A job may be stopped only where its directive says how (`preempt=`), as often and as soon as it says,
and only where it can run again in time with its whole time limit before it (a suspended one with what is left
of it). Left alone: interactive jobs, scrontab's, jobs in a reservation, without a time limit, with
--no-requeue, het jobs, tasks of arrays (to requeue one splits it off its array for good), jobs that were
requeued before we saw their first submission, and whoever opted out. The helper judges the same again, from
its own reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flexlond.agents.reconcile import first_record
from flexlond.model.action import Outcome, Verb
from flexlond.model.directive import Directive, Preempt
from flexlond.model.job import JobState
from flexlond.model.slo import latest_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.consent import ConsentReader
    from flexlond.agents.records import JobRecord
    from flexlond.model.job import Job
    from flexlond.model.stop import StopRecord

PATIENCE = 120
"""Seconds, beside its grace, after which a stop that is not seen may be thought of again."""
_VERBS = {Preempt.REQUEUE: Verb.REQUEUE_UNTIL, Preempt.SUSPEND: Verb.SUSPEND}
_NOT_DONE = frozenset({Outcome.REFUSED, Outcome.NOT_FOUND, Outcome.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class Stoppable:
    """A running job whose owner agreed, with what that rests on."""

    job: Job
    record: JobRecord
    verb: Verb
    grace: int  # s from its checkpoint signal to the requeue
    saved: bool  # it writes a checkpoint
    began: int  # its start, suspensions left out
    ready: int  # its min-run is over
    latest: int  # by when it must run again
    margin: int  # s that this keeps before the promise
    asked: StopRecord | None  # was ordered and is not seen yet


def stoppable(
    job: Job,
    record: JobRecord | None,
    consents: ConsentReader,
    *,
    margin: int,
    stops: Sequence[StopRecord],
    now: int,
) -> Stoppable | str:
    """How a running job may be stopped, or why not. `stops` are the earlier ones under its id.

    `margin` (s) is kept before its latest start, as for a job that waits.
    """
    if record is not None and job.submit != record.submit and job.restarts <= record.restarts:
        record = None  # another job under the same id
    first = record.first_submit if record else job.submit
    reading = consents.read(job, first)
    if not isinstance(reading, Directive) or reading.preempt is Preempt.NONE:
        return "its owner did not agree to it"
    if record is None:
        if job.restarts:
            return "requeued before we saw its first submission"
        record = first_record(job, window=consents.settings.decision_window, now=now)
    why = _leave_alone(job, record, reading)
    if why:
        return why
    earlier = [one for one in stops if one.first_submit == record.first_submit and was_done(one)]
    verb = _VERBS[reading.preempt]
    asked = next((one for one in reversed(earlier) if _under_way(one, job, now)), None)
    if asked is None and len(earlier) >= reading.max_preempts:
        return "it was stopped as often as its owner allows"
    away = suspended_seconds(job, earlier, now)
    began = job.start + away
    terms = replace(reading, start_by=0) if verb is Verb.SUSPEND else reading
    latest = latest_start(job, terms, eligible=record.eligible or job.begin, margin=margin)
    if latest.at is None:
        return "no latest start can be computed"
    name, grace = reading.checkpoint or ("", 0)
    return Stoppable(
        job=job,
        record=record,
        verb=verb,
        grace=grace if verb is Verb.REQUEUE_UNTIL and name not in {"TERM", "15"} else 0,
        saved=bool(name),
        began=began,
        ready=max(now, began + reading.min_run),
        # Resumed then with so much done is as good as started so much earlier.
        latest=latest.at + (max(0, now - began) if verb is Verb.SUSPEND else 0),
        margin=margin,
        asked=asked,
    )


def was_done(one: StopRecord) -> bool:
    """It took effect, or may have."""
    return one.sent and one.outcome not in _NOT_DONE


def suspended_seconds(job: Job, stops: Sequence[StopRecord], now: int) -> int:
    """How long this run of `job` has been suspended by us, as far as it was planned."""
    return sum(
        max(0, min(now, one.until) - one.at)
        for one in stops
        if one.verb is Verb.SUSPEND and one.restarts == job.restarts and was_done(one)
    )


def _under_way(one: StopRecord, job: Job, now: int) -> bool:
    """Ordered, and the job still runs as if it had not been."""
    if one.restarts != job.restarts or now >= one.at + one.grace + PATIENCE:
        return False
    resumed = one.verb is Verb.SUSPEND and one.outcome is Outcome.APPLIED
    return job.state is JobState.RUNNING and not resumed


def _leave_alone(job: Job, record: JobRecord, directive: Directive) -> str:
    requeue = directive.preempt is Preempt.REQUEUE
    checks = (
        (record.opted_out > 0, f"opted out: {record.opted_out_why}"),
        (not job.batch, "interactive: somebody waits for it"),
        (job.cron, "scrontab jobs are left alone"),
        (bool(job.reservation), "it keeps to its reservation"),
        (job.time_limit is None, "no time limit: its end cannot be promised"),
        (job.het_job_id > 0, "het jobs are not stopped"),
        (job.array_job_id > 0, "tasks of arrays are not stopped"),
        (requeue and not job.requeue, "it was submitted with --no-requeue"),
    )
    return next((why for applies, why in checks if applies), "")
