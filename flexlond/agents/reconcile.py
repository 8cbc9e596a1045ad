"""Whose decision is the begin time that we see: rules 1, 2, 3, 5 and 7 of the loop.

Law: pure. From one job as observed and what we remember of it, this module says how the job stands and what
to remember from now on. It decides nothing about *when* a job should start. In doubt: hands off.

A begin time equal to one that we intended earlier is a lost change or an effect of ours: repair is allowed.
Any other change is somebody's decision. Owner moved it to now or earlier, or to any time of the owner's own
before our hold: opted out for good. Owner moved it later: a new lower bound. A future begin time of which we
have no record is the user's own: never shortened. A planned start that has come due is Slurm's from there on.
Requeue rewrites SubmitTime: a job with more Restarts is the same job.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from flexlond.agents.records import JobRecord
from flexlond.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Collection

    from flexlond.model.job import Job


class Standing(StrEnum):
    """How a pending job stands with us."""

    FREE = "free"  # no hold of ours; may be planned
    OURS = "ours"  # our begin time is in force
    LOST = "lost"  # a change of ours was forgotten by slurmctld; may be repaired
    HANDS_OFF = "hands-off"  # somebody else's decision, or past planning


@dataclass(frozen=True, slots=True)
class Observation:
    """The job's standing, what to remember, and one phrase for people."""

    standing: Standing
    record: JobRecord
    why: str
    lost: int = 0  # LOST: the begin time of ours that was forgotten


def first_record(job: Job, *, window: int, now: int) -> JobRecord:
    """What to remember of a flexible job at first sight.

    The plugin's stamp (begin time at most `window` seconds after submission) is not the user's own
    begin time as far as the first possible start goes; it is still never shortened (rule 3).
    """
    own = job.begin if job.begin > job.submit + window else 0
    return JobRecord(
        job_id=job.job_id,
        first_submit=job.submit,
        submit=job.submit,
        restarts=job.restarts,
        original_begin=job.begin,
        eligible=0 if waits_for_others(job) else (own or job.submit),
        last_seen=now,
    )


def waits_for_others(job: Job) -> bool:
    """It could not start now even without us: a dependency, a hold, no begin time yet."""
    return bool(job.dependency) or job.held or (job.begin == 0 and not job.at_throttle)


def observe(
    job: Job,
    record: JobRecord,
    *,
    now: int,
    released: Collection[int] = frozenset(),
) -> Observation:
    """How a pending job stands.

    `released` are begin times that an unfinished release of ours may have left (from open intents):
    such a begin is ours, not an opt-out.
    """
    record = replace(record, last_seen=now)
    if job.restarts > record.restarts:
        record = _requeued(job, record)
    if record.eligible == 0 and not waits_for_others(job):
        # Cleared since the last look: the earlier moment is the safe one for a maximal delay.
        record = replace(record, eligible=max(record.first_submit, min(now, job.begin)))
    if record.opted_out:
        if record.hold > now and job.begin == record.hold:
            return Observation(Standing.OURS, record, "opted out, still to be released")
        return Observation(Standing.HANDS_OFF, record, f"opted out: {record.opted_out_why}")
    if job.held:
        return Observation(Standing.HANDS_OFF, record, f"held by somebody else ({job.reason})")
    if record.hold:
        return _with_hold(job, record, now, released)
    return _without_hold(job, record, now)


def _requeued(job: Job, record: JobRecord) -> JobRecord:
    """The same job with more Restarts: a new begin time that Slurm or our requeue-until set."""
    if job.begin in record.ours:
        return replace(
            record, submit=job.submit, restarts=job.restarts, hold=job.begin, came_due=False
        )
    return replace(
        record,
        submit=job.submit,
        restarts=job.restarts,
        original_begin=job.begin,
        hold=0,
        hold_seen=False,
        came_due=False,
        ours=frozenset(),
    )


def _without_hold(job: Job, record: JobRecord, now: int) -> Observation:
    if job.begin in record.ours and job.begin > now and job.begin != record.original_begin:
        # Intended, never confirmed, there after all. (What a release left is its owner's begin time.)
        record = replace(record, hold=job.begin, hold_seen=True, touched=True)
        return Observation(Standing.OURS, record, "our begin time is in force")
    if job.begin > now and job.begin != record.original_begin:
        record = replace(record, original_begin=job.begin)
    if record.came_due:
        return Observation(
            Standing.HANDS_OFF, record, "its planned start has come; Slurm starts it"
        )
    return Observation(Standing.FREE, record, "no begin time of ours")


def _with_hold(job: Job, record: JobRecord, now: int, released: Collection[int]) -> Observation:
    begin, hold = job.begin, record.hold
    at_throttle = begin == 0 and hold <= now  # come due, and as many tasks run as may
    if begin == hold or at_throttle:
        record = replace(record, hold_seen=True, touched=True)
        if hold <= now:
            record = replace(record, hold=0, came_due=True)
            return Observation(
                Standing.HANDS_OFF, record, "its planned start has come; Slurm starts it"
            )
        return Observation(Standing.OURS, record, "our begin time is in force")
    if begin in released:
        record = replace(record, hold=0, hold_seen=False)
        return Observation(Standing.FREE, record, "released")
    if begin in record.ours and begin > now:
        record = replace(record, hold=begin, touched=True)
        return Observation(Standing.OURS, record, "an earlier begin time of ours is in force")
    if begin == record.original_begin or begin in record.ours:
        if hold <= now:
            record = replace(record, hold=0, came_due=True)
            return Observation(
                Standing.HANDS_OFF, record, "its planned start has come; Slurm starts it"
            )
        record = replace(record, hold=0, hold_seen=False)
        return Observation(Standing.LOST, record, "slurmctld forgot our begin time", lost=hold)
    if begin > hold:
        record = replace(record, hold=0, hold_seen=False, original_begin=begin)
        return Observation(Standing.FREE, record, "its owner moved it later: a new lower bound")
    record = replace(
        record,
        hold=0,
        opted_out=now,
        opted_out_why="its begin time was changed by somebody else while it was held",
    )
    return Observation(Standing.HANDS_OFF, record, f"opted out: {record.opted_out_why}")


def split_arrays(jobs: Collection[Job]) -> frozenset[int]:
    """Arrays with a pending task split off: no further change of the whole array (rule 7)."""
    return frozenset(
        job.array_job_id
        for job in jobs
        if job.array_job_id and job.array_task_id is not None and job.state is JobState.PENDING
    )
