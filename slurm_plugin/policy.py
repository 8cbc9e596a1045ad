"""What the helper will do at all: the policy that even a compromised daemon cannot pass.

Law: pure. Decides from what the helper itself read and remembers, never from what the daemon says of a job
(that only guards against acting on something else than meant). Jobs that consent only; never cancels; never a
begin time after the latest start computed here; requeue and suspend only with consent; hands off what others
hold. Fewer holds (release, resume, let-off, unslow) is always allowed for what is ours. Times are epoch
seconds, lengths seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flexlond.model.action import Action, Outcome, Verb
from flexlond.model.directive import Directive, NotFlexible, Preempt, Rejected
from flexlond.model.job import JobState
from flexlond.model.licence import kw_of, without_kw
from flexlond.model.slo import LatestStart, latest_start
from flexlond.model.slurmtime import format_moment
from flexlond.slurm.federation import Federation
from slurm_plugin import pacing, routing
from slurm_plugin.lineage import REQUEUE_PAUSE, Record, Standing
from slurm_plugin.verdict import Go, Refusal, already, refuse

if TYPE_CHECKING:
    from flexlond.model.job import Job
    from slurm_plugin.pace import PaceEntry
    from slurm_plugin.resume import ResumeEntry
    from slurm_plugin.routing import RouteEntry

# Slurm's requeue itself sends TERM first, and a TERM sent alone makes a well-written script end its job.
TERM_SIGNALS = frozenset({"TERM", "15"})
FORBIDDEN_SIGNALS = frozenset({"KILL", "9", "STOP", "19"})


NO_FEDERATION = Federation()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the helper knows of one job at the moment of decision."""

    job: Job
    record: Record
    standing: Standing
    consent: Directive | NotFlexible | Rejected
    relative: bool  # the directive's times depend on the first submission
    split: tuple[Job, ...]  # pending tasks split off the array that `job` is the remainder of
    components: tuple[Job, ...]  # het job: all components, the leader among them
    resume: ResumeEntry | None  # our suspension of this job
    now: int
    margin: int
    warned: bool = False  # its script has had its checkpoint signal and its time
    pace: PaceEntry | None = None  # our throttle of this array
    active: int = 0  # tasks of this array on nodes
    route: RouteEntry | None = None  # our narrowing of its sites
    federation: Federation = NO_FEDERATION


def decide(action: Action, facts: Facts) -> Go | Refusal:
    """Whether `action` may be carried out on the job that `facts` describe."""
    wrong = _same_job(action, facts)
    if wrong is not None:
        return wrong
    if action.verb is Verb.RELEASE:
        return _release(facts)
    if action.verb is Verb.RESUME:
        return _resume(facts)
    if action.verb is Verb.LET_OFF:
        return _let_off(facts)
    if action.verb is Verb.UNSLOW:
        return pacing.unslow(facts)
    if action.verb is Verb.WIDEN:
        return routing.widen(facts)
    if action.expected_state != facts.job.state.value:
        return refuse(
            "state-changed",
            f"the job is {facts.job.state.value}, not {action.expected_state or 'unsaid'}: read it again",
        )
    return _consented(action, facts) or {
        Verb.HOLD_UNTIL: _hold,
        Verb.REQUEUE: _requeue,
        Verb.REQUEUE_UNTIL: _requeue,
        Verb.SUSPEND: _suspend,
        Verb.SLOW: _slow,
        Verb.ROUTE: _route,
    }[action.verb](action, facts)


def _same_job(action: Action, facts: Facts) -> Refusal | None:
    job = facts.job
    if action.submit != job.submit and job.restarts <= action.restarts:
        return Refusal(
            Outcome.NOT_FOUND,
            "reused-id",
            f"job {job.job_id} was submitted at {format_moment(job.submit)}: it is not the job that was meant",
        )
    if action.submit != job.submit or action.restarts != job.restarts:
        return refuse(
            "requeued", f"the job was requeued meanwhile (restarts {job.restarts}): read it again"
        )
    return None


def _consented(action: Action, facts: Facts) -> Refusal | None:
    """Refuse whatever takes a job's freedom without its owner's word."""
    job, consent = facts.job, facts.consent
    if facts.standing is Standing.OPTED_OUT:
        return refuse("opted-out", f"its owner took it back: {facts.record.opted_out_why}")
    if not isinstance(consent, Directive):
        why = consent.line if isinstance(consent, Rejected) else consent.reason
        return refuse("no-consent", f"{why}: its owner did not agree to be moved")
    checks = (
        (job.held, "held-by-other", f"it is held ({job.reason}): whoever holds it decides"),
        (not job.batch, "interactive", "it has no batch script: somebody waits for it"),
        (job.cron, "cron", "scrontab jobs keep their times"),
        (
            bool(job.origin),
            "not-origin",
            f"it was submitted on {job.origin}: the FlexLon there decides",
        ),
        (bool(job.reservation), "reservation", f"it belongs to reservation {job.reservation}"),
        (
            bool(job.het_job_id) and job.het_offset > 0,
            "het-component",
            f"only the leader, job {job.het_job_id}, may be changed",
        ),
        (job.time_limit is None, "unlimited", "it has no time limit: its end cannot be promised"),
        (
            facts.relative and not facts.record.first_known,
            "unknown-first-submission",
            "it was requeued before its first submission was seen, and its directive counts from there",
        ),
    )
    for applies, code, detail in checks:
        if applies:
            return refuse(code, detail)
    if action.verb is Verb.HOLD_UNTIL and action.expected_begin != job.begin:
        return refuse(
            "begin-changed",
            f"its begin time is {format_moment(job.begin)}, not {format_moment(action.expected_begin)}",
        )
    return None


def latest(facts: Facts, consent: Directive) -> LatestStart:
    """Return the latest start of the job, for a het job that of its tightest component."""
    eligible = facts.record.eligible or facts.record.first_submit
    bounds = [
        latest_start(part, consent, eligible=eligible, margin=facts.margin)
        for part in facts.components or (facts.job,)
    ]
    return min(bounds, key=lambda bound: -1 if bound.at is None else bound.at)


def _too_late(target: int, facts: Facts) -> Refusal | None:
    assert isinstance(facts.consent, Directive)  # noqa: S101 # _consented ran before
    bound = latest(facts, facts.consent)
    if bound.at is None:
        return refuse("unlimited", bound.steps[-1])
    if target > bound.at:
        return refuse(
            "latest-start",
            f"{format_moment(target)} is after its latest start {format_moment(bound.at)} ({bound.binding})",
        )
    return None


def _hold(action: Action, facts: Facts) -> Go | Refusal:
    job, target = facts.job, action.not_before
    if job.state is not JobState.PENDING:
        return refuse("state-changed", f"it is {job.state.value}: only a pending job can wait")
    if facts.split:
        return _split(facts)
    if target <= facts.now:
        return refuse(
            "past", f"{format_moment(target)} is not in the future: release the job instead"
        )
    if target < facts.record.original_begin:
        return refuse(
            "before-user-begin",
            f"its owner asked for {format_moment(facts.record.original_begin)} at the earliest",
        )
    late = _too_late(target, facts)
    if late is not None:
        return late
    if job.begin == target:
        return already(f"its begin time is {format_moment(target)}")
    return Go(Verb.HOLD_UNTIL, target)


def _slow(action: Action, facts: Facts) -> Go | Refusal:
    assert isinstance(facts.consent, Directive)  # noqa: S101 # _consented ran before
    if facts.split:
        return _split(facts)
    return pacing.slow(action, facts, facts.consent)


def _route(action: Action, facts: Facts) -> Go | Refusal:
    assert isinstance(facts.consent, Directive)  # noqa: S101 # _consented ran before
    return routing.route(action, facts, facts.consent, facts.federation)


def _split(facts: Facts) -> Refusal:
    ids = ", ".join(str(task.job_id) for task in facts.split[:3])
    return refuse(
        "array-split", f"tasks of this array go their own way (jobs {ids}): it stays as it is"
    )


def _release(facts: Facts) -> Go | Refusal:
    job, record = facts.job, facts.record
    if job.state is not JobState.PENDING:
        return already(f"it is {job.state.value}, not waiting")
    if job.begin <= facts.now or facts.standing is Standing.LOST:
        return already("no hold of ours is in force")
    if record.ours and job.begin == record.original_begin:
        return already("its begin time is its owner's")
    if facts.standing is not Standing.OURS and job.begin not in record.ours:
        return refuse(
            "not-ours", f"its begin time {format_moment(job.begin)} was not set by this helper"
        )
    theirs = [
        task for task in facts.split if task.begin > facts.now and task.begin not in record.ours
    ]
    if theirs:
        return refuse(
            "array-split",
            f"task {theirs[0].job_id} of this array has a begin time of its own that a release would wipe; "
            f"the array starts by itself at {format_moment(job.begin)}",
        )
    own = record.original_begin
    if job.begin <= own:
        return already("its begin time is its owner's")
    return Go(Verb.RELEASE, own if own > facts.now else 0, free=True)


def _let_off(facts: Facts) -> Go | Refusal:
    job = facts.job
    if job.state is not JobState.PENDING:
        return already(f"it is {job.state.value}, not waiting")
    stays = without_kw(job.licenses)
    if stays is None:
        return refuse("unreadable", f"its licences {job.licenses!r} are no list of licences")
    if not kw_of(job.licenses):
        return already("it has no kw licence")
    return Go(Verb.LET_OFF, 0, free=True, licenses=stays)


def _preemptible(facts: Facts, wanted: Preempt) -> Refusal | None:
    """Refuse to take a job off its nodes unless its owner agreed to this very way, this often, this soon."""
    job, consent = facts.job, facts.consent
    assert isinstance(consent, Directive)  # noqa: S101 # _consented ran before
    if consent.preempt is not wanted:
        return refuse(
            "no-consent", f"its directive says preempt={consent.preempt.value}, not {wanted.value}"
        )
    if facts.record.preempts >= consent.max_preempts:
        return refuse(
            "max-preempts",
            f"it was preempted {facts.record.preempts} times, its owner allows {consent.max_preempts}",
        )
    ran = facts.now - job.start - facts.record.suspended
    if ran < consent.min_run:
        return refuse(
            "min-run", f"it has run {max(ran, 0)} s, its owner asks for {consent.min_run} s first"
        )
    return None


def _requeue(action: Action, facts: Facts) -> Go | Refusal:
    job, consent = facts.job, facts.consent
    assert isinstance(consent, Directive)  # noqa: S101 # _consented ran before
    if job.state not in {JobState.RUNNING, JobState.SUSPENDED}:
        return refuse(
            "state-changed", f"it is {job.state.value}: only a running job can be requeued"
        )
    if job.state is JobState.SUSPENDED and facts.resume is None:
        return refuse("held-by-other", "somebody else suspended it: whoever did decides")
    if not job.requeue:
        return refuse("not-requeueable", "it was submitted with --no-requeue")
    refusal = _preemptible(facts, Preempt.REQUEUE)
    if refusal is not None:
        return refusal
    name, wait = consent.checkpoint or ("", 0)
    if name in FORBIDDEN_SIGNALS:
        return refuse("no-consent", f"signal {name} cannot checkpoint a job")
    if name in TERM_SIGNALS or facts.warned:
        name, wait = "", 0
    if name and job.state is JobState.SUSPENDED:
        return refuse("state-changed", "suspended, it cannot write its checkpoint: resume it first")
    earliest = facts.now + wait + REQUEUE_PAUSE
    target = 0
    if action.verb is Verb.REQUEUE_UNTIL:
        if action.not_before <= facts.now:
            return refuse("past", f"{format_moment(action.not_before)} is not in the future")
        target = max(action.not_before, earliest)
    late = _too_late(target or earliest, facts)
    if late is not None:
        return late
    return Go(action.verb, target, name, wait, resume_first=job.state is JobState.SUSPENDED)


def _suspend(action: Action, facts: Facts) -> Go | Refusal:
    job, due = facts.job, action.not_before
    if job.state is JobState.SUSPENDED:
        return (
            refuse("held-by-other", "somebody else suspended it")
            if facts.resume is None
            else already(f"it is suspended until {format_moment(facts.resume.due)}")
        )
    if job.state is not JobState.RUNNING:
        return refuse(
            "state-changed", f"it is {job.state.value}: only a running job can be suspended"
        )
    refusal = _preemptible(facts, Preempt.SUSPEND)
    if refusal is not None:
        return refusal
    if due <= facts.now:
        return refuse("past", f"the time to resume, {format_moment(due)}, is not in the future")
    # Resuming at `due` with this much done is as good as having started this much earlier. It has started
    # in time, so start-by and latency no longer bind.
    ran = max(0, facts.now - job.start - facts.record.suspended)
    assert isinstance(facts.consent, Directive)  # noqa: S101 # _consented ran before
    consent = replace(facts.consent, start_by=0, latency=0)
    late = _too_late(due - ran, replace(facts, consent=consent))
    return late or Go(Verb.SUSPEND, due)


def _resume(facts: Facts) -> Go | Refusal:
    if facts.job.state is not JobState.SUSPENDED:
        return already(f"it is {facts.job.state.value}, not suspended")
    if facts.resume is None:
        return refuse("not-ours", "it was not suspended by this helper")
    return Go(Verb.RESUME, 0, free=True)
