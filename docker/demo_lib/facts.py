"""From what Slurm, FlexLon and the users said to one record per job.

Law: each fact has one source: times and states sacct, promises FlexLon as it gave them while the job was
pending, consent and power the directive as the product reads it, capacity the product's view of the
cluster. That a job without consent was left alone is checked twice: FlexLon says so, and Slurm's eligible
time is the one that the submission asked for. Times are epoch seconds (UTC).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from demo_lib import product, sacct
from demo_lib.counterfactual import Task, asap_starts
from demo_lib.product import DemoError
from demo_lib.report import JobFacts, Report
from demo_lib.setup import CONFIG
from flexlond.daemon.config import load
from flexlond.model.directive import Directive, read_directive
from flexlond.model.job import Job, JobState
from flexlond.model.power import job_kw
from flexlond.planning.pools import room_of
from flexlond.slurm.cluster import read_cluster

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from demo_lib.day import Day
    from demo_lib.sacct import Account
    from demo_lib.users import Submitted
    from demo_lib.watch import Watch, Watched
    from flexlond.model.settings import Settings

DEFAULT_PARTITION = "main"
# slurmctld sends what ended to slurmdbd in batches.
_ACCOUNTING_SECONDS = 45.0
# sbatch resolves `now+N` before slurmctld stamps the submission.
_SUBMIT_SLACK = 2
# The plugin's decision window at submission: no change of FlexLon's plan.
_WINDOW = 10
# A job whose predecessor ended becomes eligible at slurmctld's next pass.
_DEPENDENCY_SLACK = 20


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the day left behind."""

    day: Day
    submitted: tuple[Submitted, ...]
    watch: Watch


@dataclass(frozen=True, slots=True)
class _Run:
    """One task with its submission and what follows from both."""

    submitted: Submitted
    account: Account
    directive: Directive | None
    job: Job
    eligible: int  # the first moment it could have started, without us


def collect(evidence: Evidence) -> Report:
    """Everything together. Raises DemoError when something is missing."""
    settings = load(CONFIG)
    by_submission = _wait_for_accounts(evidence)
    runs = _runs(evidence.submitted, by_submission, settings)
    room = room_of(read_cluster(settings.slurm).pools)
    starts = asap_starts(_tasks(runs), room)
    status = product.status()
    return Report(
        slurm=status.slurm_version,
        reader=status.reader,
        slot_seconds=evidence.day.slot_seconds,
        jobs=tuple(_facts(run, evidence.watch, settings, starts) for run in runs),
        price=evidence.day.price,
        carbon=evidence.day.carbon,
    )


def _wait_for_accounts(evidence: Evidence) -> dict[int, tuple[Account, ...]]:
    """Submission's job id to its tasks, once sacct knows the end of all of them. Raises DemoError."""
    ids = [done.job_id for done in evidence.submitted]
    until = time.monotonic() + _ACCOUNTING_SECONDS
    while True:
        grouped: dict[int, list[Account]] = {job_id: [] for job_id in ids}
        for account in sacct.accounts(ids, evidence.day.start - 60):
            grouped[account.array_job_id].append(account)
        missing = [
            done.job_id
            for done in evidence.submitted
            if len(grouped[done.job_id]) != done.submission.tasks
            or not all(account.ended for account in grouped[done.job_id])
        ]
        if not missing:
            return {
                job_id: tuple(sorted(found, key=lambda account: account.task))
                for job_id, found in grouped.items()
            }
        if time.monotonic() > until:
            raise DemoError(f"sacct does not know the end of {missing}; see slurmdbd's log")
        time.sleep(1.0)


def _runs(
    submitted: Sequence[Submitted],
    accounts: Mapping[int, tuple[Account, ...]],
    settings: Settings,
) -> list[_Run]:
    """Every task in the order of submission."""
    ids = {done.submission.name: done.job_id for done in submitted}
    runs: list[_Run] = []
    for done in submitted:
        wanted = done.submission
        predecessors = accounts[ids[wanted.after]] if wanted.after else ()
        for account in accounts[done.job_id]:
            begin = account.submit + wanted.begin
            job = _job(done, account)
            found = read_directive(
                wanted.comment,
                settings.directive,
                now=account.submit,
                tz=ZoneInfo("UTC"),
                partition=job.partition,
                time_limit=job.time_limit,
                begin=begin if wanted.begin else 0,
            )
            eligible = max([begin, *(before.end or 0 for before in predecessors)])
            directive = found if isinstance(found, Directive) else None
            runs.append(_Run(done, account, directive, job, eligible))
    return runs


def _job(done: Submitted, account: Account) -> Job:
    """The task in the product's shape, with what its user asked for."""
    wanted = done.submission
    return Job(
        job_id=account.job_id,
        state=JobState.ENDED,
        reason="",
        user=account.user,
        uid=0,
        account="",
        qos="",
        partition=wanted.partition or DEFAULT_PARTITION,
        name=wanted.name,
        nodes=1,
        cpus=wanted.cpus,
        memory_mib=wanted.memory_mib,
        gpus=(("", wanted.gpus),) if wanted.gpus else (),
        licenses="",
        time_limit=wanted.minutes * 60,
        submit=account.submit,
        begin=account.eligible or 0,
        start=account.start or 0,
        end=account.end or 0,
        deadline=0,
        priority=1,
        requeue=True,
        restarts=0,
        reservation="",
        dependency="",
        batch=True,
        node_list="",
        comment=wanted.comment,
    )


def _tasks(runs: Sequence[_Run]) -> list[Task]:
    """The counterfactual's question: without us, so a predecessor's delay by us does not count."""
    ids = {run.submitted.submission.name: run.submitted.job_id for run in runs}
    members: dict[int, list[int]] = {}
    for run in runs:
        members.setdefault(run.submitted.job_id, []).append(run.account.job_id)
    tasks: list[Task] = []
    for run in runs:
        account, wanted = run.account, run.submitted.submission
        if account.start is None or account.end is None:
            continue
        after = list(members[ids[wanted.after]]) if wanted.after else []
        own = members[run.submitted.job_id]
        position = own.index(account.job_id)
        if wanted.throttle and position >= wanted.throttle:
            after.append(own[position - wanted.throttle])
        eligible = account.submit + wanted.begin
        tasks.append(Task(run.job, eligible, account.end - account.start, tuple(after)))
    return tasks


def _facts(run: _Run, watch: Watch, settings: Settings, starts: Mapping[int, int]) -> JobFacts:
    account, wanted, directive = run.account, run.submitted.submission, run.directive
    said = watch.of(account.job_id, account.array_job_id)
    promised = said if directive is not None else None
    touched = _touched(run, said)
    # The promise itself: the margin before it is FlexLon's to use up.
    latest = promised.must_start_by if promised else 0
    if latest and wanted.throttle:
        # The promise is the first wave's; each later one has a time limit more.
        latest += account.task // wanted.throttle * wanted.minutes * 60
    return JobFacts(
        job_id=account.job_id,
        user=account.user,
        comment=wanted.comment,
        consents=directive is not None,
        touched=touched,
        submit=account.submit,
        eligible=run.eligible if directive is not None else account.eligible,
        # The plan lives in Slurm: the begin time it had at the end. What was not moved has none of ours.
        planned_start=account.eligible if touched and directive is not None else None,
        start=account.start,
        end=account.end,
        latest_start=latest or None,
        deadline=_deadline(directive, promised),
        state=account.state,
        kw=job_kw(run.job, directive.power if directive else None, settings.power),
        asap_start=starts.get(account.job_id),
        shown=f"{account.array_job_id}_{account.task}" if wanted.array else str(account.job_id),
    )


def _deadline(directive: Directive | None, promised: Watched | None) -> int | None:
    """The earlier one: a requeue makes a new submission, to which `now+N` in the directive does not belong."""
    found = [directive.deadline if directive else 0, promised.deadline if promised else 0]
    return min((moment for moment in found if moment), default=None)


def _touched(run: _Run, said: Watched | None) -> bool:
    """Whether FlexLon changed it: by its own words, and for tasks and plain jobs by Slurm's eligible time.

    What FlexLon says of a whole array holds for the tasks that were still in it at that time.
    """
    if run.directive is None:
        return (said.touched if said else False) or not left_alone(run)
    if run.submitted.submission.array:
        return (run.account.eligible or run.eligible) - run.eligible > _WINDOW + _SUBMIT_SLACK
    return said.touched if said else False


def left_alone(run: _Run) -> bool:
    """Whether Slurm's eligible time is what the submission asked for."""
    if run.account.eligible is None:
        return False
    late = run.account.eligible - run.eligible
    slack = _DEPENDENCY_SLACK if run.submitted.submission.after else _SUBMIT_SLACK
    return -_SUBMIT_SLACK <= late <= slack
