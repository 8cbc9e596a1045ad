"""Which job this is, and whose begin time it carries: the helper's own memory of a job.

Law: pure. From a job as read from Slurm and what was remembered, says how the job stands and what to remember.
Nothing here believes the daemon. In doubt: somebody else's decision, hands off.

- A requeued job (more Restarts) is the same job; a new submission under an old id is another one.
- The begin time found before our first change is the user's own and is never shortened.
- While a hold of ours is in force: the begin time found at first sight, or one that we set before, means that
  slurmctld forgot a change. A later one is its owner's new lower bound. Any other is an opt-out, for good.

Times are epoch seconds, 0 means none. Source: the rules of the loop 1, 2, 3, 5 in docs/architecture.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from flexlond.model.job import JobState

if TYPE_CHECKING:
    from flexlond.model.job import Job

REQUEUE_PAUSE = (
    121  # seconds that Slurm itself keeps a requeued job waiting (measured: cred_expire + 1)
)
KEPT_BEGINS = 32  # begin times of ours remembered per job


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of one job, and stored."""

    job_id: int
    first_submit: int
    submit: int
    restarts: int
    uid: int
    original_begin: int  # the user's own begin time (or Slurm's own pause after a requeue)
    eligible: int  # the first moment it could have started; 0: not seen yet
    hold: int = 0  # the begin time of ours believed in force
    ours: tuple[int, ...] = ()  # begin times that we set, oldest first
    preempts: int = 0
    suspended: int = 0  # seconds, planned ones included
    opted_out_at: int = 0
    opted_out_why: str = ""
    first_known: bool = True  # False: requeued before we saw it, so its first submission is unknown
    seen_at: int = 0

    def with_hold(self, begin: int) -> Record:
        """Remember that `begin` is about to be set by us."""
        kept = tuple(t for t in self.ours if t != begin)[-(KEPT_BEGINS - 1) :]
        return replace(self, hold=begin, ours=(*kept, begin))


class Standing(StrEnum):
    """Whose begin time a job carries."""

    FREE = "free"  # no hold of ours
    OURS = "ours"  # our hold is in force
    LOST = "lost"  # slurmctld forgot our hold
    OPTED_OUT = "opted-out"


@dataclass(frozen=True, slots=True)
class Observation:
    """How the job stands, and what to remember of it from now on."""

    standing: Standing
    record: Record


def same_job(job: Job, record: Record) -> bool:
    """Whether the record is of this very job (by submission, restarts and owner)."""
    if job.uid != record.uid:
        return False
    return job.submit == record.submit or job.restarts > record.restarts


def first_sight(job: Job, array: Record | None, now: int) -> Record:
    """What to remember of a job not seen before; `array` is the record of the array it was split from."""
    same = array is not None and array.uid == job.uid
    if array is not None and same and (array.submit == job.submit or job.restarts > 0):
        return replace(
            array, job_id=job.job_id, preempts=0, suspended=0, first_known=True, seen_at=now
        )
    return Record(
        job_id=job.job_id,
        first_submit=job.submit,
        submit=job.submit,
        restarts=job.restarts,
        uid=job.uid,
        original_begin=job.begin,
        eligible=job.submit if job.at_throttle else job.begin,
        first_known=job.restarts == 0,
        seen_at=now,
    )


def observe(job: Job, record: Record | None, array: Record | None, now: int) -> Observation:
    """How `job` stands; `record` is what was remembered under its id, if anything."""
    if record is None or not same_job(job, record):
        record = first_sight(job, array, now)
    record = replace(record, seen_at=now)
    if job.state is JobState.COMPLETING:
        # On its way out or back into the queue: Restarts has grown, SubmitTime and begin have not moved yet.
        return Observation(_standing(record, Standing.FREE), record)
    if job.restarts > record.restarts:
        record = _requeued(job, record)
    if job.state is not JobState.PENDING:
        record = replace(record, hold=0)
        return Observation(_standing(record, Standing.FREE), record)
    if record.eligible == 0 and job.begin and job.begin not in record.ours:
        record = replace(record, eligible=job.begin)
    standing, record = (
        _with_hold(job, record, now) if record.hold else _without_hold(job, record, now)
    )
    return Observation(_standing(record, standing), record)


def _standing(record: Record, standing: Standing) -> Standing:
    return Standing.OPTED_OUT if record.opted_out_at else standing


def _requeued(job: Job, record: Record) -> Record:
    """Same job, next run: what its owner had asked of the first wait is over."""
    record = replace(record, submit=job.submit, restarts=job.restarts)
    if job.begin in record.ours:
        pause = job.submit + REQUEUE_PAUSE
        return replace(record, original_begin=max(record.original_begin, pause), hold=job.begin)
    return replace(record, original_begin=job.begin, hold=0, ours=())


def _without_hold(job: Job, record: Record, now: int) -> tuple[Standing, Record]:
    if job.begin in record.ours:
        if job.begin > now:  # sent, never confirmed, there after all
            return Standing.OURS, replace(record, hold=job.begin)
        return Standing.FREE, record
    # Whatever it is now was not our doing: its owner's begin time, or the moment it was released.
    return Standing.FREE, replace(record, original_begin=job.begin)


def _with_hold(job: Job, record: Record, now: int) -> tuple[Standing, Record]:
    begin, hold = job.begin, record.hold
    if begin == 0 and hold <= now:  # it has come due, and the array is at its throttle since
        return Standing.FREE, replace(record, hold=0)
    if begin == hold:
        if hold > now:
            return Standing.OURS, record
        return Standing.FREE, replace(record, hold=0)  # it has come due
    if begin in record.ours and begin > now:
        return Standing.OURS, replace(record, hold=begin)
    if begin in record.ours or begin == record.original_begin:
        standing = Standing.LOST if hold > now else Standing.FREE
        return standing, replace(record, hold=0)
    if begin > hold:
        return Standing.FREE, replace(record, hold=0, original_begin=begin)
    return Standing.OPTED_OUT, replace(
        record,
        hold=0,
        opted_out_at=now,
        opted_out_why=f"somebody else moved its begin time from {hold} to {begin}",
    )
