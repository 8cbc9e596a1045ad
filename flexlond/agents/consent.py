"""Which jobs may be moved, and until when: consent and the latest safe start, job by job.

Law: pure. A job may be deferred only with a valid directive or a site default that opts it in, never when
one of the leave-alone rules holds (rules 4, 5, 6, 7, 9 of the loop): no batch script, scrontab, in a
reservation, no time limit, held by somebody, its planned start has come, an array with a task split off, a
het component that is not the leader, a requeued job whose first submission we never saw. The latest start
always uses the time limit, never a prediction; `margin` covers the queue wait after the begin time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.agents.reconcile import Observation, Standing, first_record, observe
from flexlond.model.directive import Directive, NotFlexible, Rejected, read_directive
from flexlond.model.slo import LatestStart, latest_start

if TYPE_CHECKING:
    from collections.abc import Collection
    from zoneinfo import ZoneInfo

    from flexlond.agents.records import JobRecord
    from flexlond.model.job import Job
    from flexlond.model.settings import DirectiveSettings


_CACHED = 200_000


@dataclass(frozen=True, slots=True)
class FlexJob:
    """One pending job with its consent, its standing and its bounds."""

    job: Job
    directive: Directive | None  # None: no consent
    consent: str  # "directive", "site default", or why not
    seen: Observation | None  # None: never flexible, nothing remembered
    latest: LatestStart | None
    movable: bool
    why_not: str  # why it is not movable; "" when it is
    margin: int = 0  # seconds that `latest` keeps before the promise

    @property
    def record(self) -> JobRecord | None:
        """What is remembered of it."""
        return self.seen.record if self.seen else None


class ConsentReader:
    """Reads consent once per job and comment; a changed comment is read again (rule 2)."""

    def __init__(self, settings: DirectiveSettings, tz: ZoneInfo) -> None:
        """`tz` is the controller's zone, in which Slurm reads times."""
        self.settings = settings
        self._tz = tz
        self._read: dict[tuple[str, ...], Directive | NotFlexible | Rejected] = {}

    def read(self, job: Job, first_submit: int) -> Directive | NotFlexible | Rejected:
        """The directive in force, its relative times resolved at the first submission (rule 5)."""
        partition = job.partition  # whole, as the plugin matches it
        key = (job.comment, str(first_submit), partition, job.qos, job.account)
        found = self._read.get(key)
        if found is None:
            if len(self._read) >= _CACHED:
                self._read.clear()
            found = read_directive(
                job.comment,
                self.settings,
                now=first_submit,
                tz=self._tz,
                partition=partition,
                qos=job.qos,
                account=job.account,
            )
            self._read[key] = found
        return found


def judge(
    job: Job,
    record: JobRecord | None,
    consents: ConsentReader,
    *,
    now: int,
    margin: int,
    split: Collection[int],
    released: Collection[int] = frozenset(),
) -> FlexJob:
    """How a pending job stands: consent, record, latest start, movable or why not.

    `record` is the remembered one (None at first sight); `margin` in seconds; `split` are arrays with a
    task split off.
    """
    if record is not None and _other_job(job, record):
        record = None
    first = record.first_submit if record else job.submit
    reading = consents.read(job, first)
    if not isinstance(reading, Directive):
        why = reading.reason if isinstance(reading, NotFlexible) else reading.line
        if record is None:
            return FlexJob(job, None, why, None, None, movable=False, why_not=why)
        seen = observe(job, record, now=now, released=released)
        return FlexJob(job, None, why, seen, None, movable=False, why_not=why)
    if record is None:
        if job.restarts:
            why = "requeued before we saw its first submission: left alone"
            return FlexJob(job, None, why, None, None, movable=False, why_not=why)
        record = first_record(job, window=consents.settings.decision_window, now=now)
    seen = observe(job, record, now=now, released=released)
    # While it waits for others it could not have started before now: the safe assumption.
    eligible = seen.record.eligible or now
    latest = latest_start(job, reading, eligible=eligible, margin=margin)
    why_not = _leave_alone(job, seen, latest, split)
    return FlexJob(
        job,
        reading,
        reading.source,
        seen,
        latest,
        movable=not why_not,
        why_not=why_not,
        margin=margin,
    )


def _other_job(job: Job, record: JobRecord) -> bool:
    """The id was reused: another submission without a restart more."""
    return job.submit != record.submit and job.restarts <= record.restarts


def _leave_alone(job: Job, seen: Observation, latest: LatestStart, split: Collection[int]) -> str:
    """Why this consenting job is not deferred; "" when it may be."""
    checks = (
        (seen.standing is Standing.HANDS_OFF, seen.why),
        (seen.record.opted_out > 0, f"opted out: {seen.record.opted_out_why}"),
        (not job.batch, "interactive: never delayed"),
        (job.cron, "scrontab jobs are left alone"),
        (bool(job.reservation), "it keeps to its reservation"),
        (bool(job.origin), f"it was submitted on {job.origin}: the FlexLon there decides"),
        (job.time_limit is None, "no time limit: its end cannot be promised"),
        (latest.at is None, "no latest start can be computed"),
        (job.het_offset > 0, "het component: the leader's begin time governs"),
        (
            job.array_job_id in split and job.array_job_id != 0,
            "a task of its array was split off: the array is left as it is",
        ),
        (
            job.array_task_id is not None,
            "a task split off its array: left to whoever split it",
        ),
    )
    return next((why for applies, why in checks if applies), "")
