"""What an action of ours came to, by what is seen of its job: for intents whose answer did not come.

Law: pure. An effect counts once observed. What is not seen in force is superseded, never sent again by itself:
the next plan decides afresh. A stop that may still come (its job has its checkpoint signal) is left open,
unless the helper that was to send it has been restarted since: that one is not coming. Epoch seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.agents.stoppable import PATIENCE
from flexlond.model.action import Outcome, Verb
from flexlond.model.job import JobState

if TYPE_CHECKING:
    from flexlond.agents.records import OpenIntent
    from flexlond.model.job import Job

_NOT_COMING = "the helper was restarted before it was done: the next plan decides"
_OF_PACE = frozenset({Verb.SLOW, Verb.UNSLOW})
_OF_SITES = frozenset({Verb.ROUTE, Verb.WIDEN})
_OF_PENDING = frozenset({Verb.HOLD_UNTIL, Verb.RELEASE})


def end_of(
    intent: OpenIntent, job: Job | None, grace: int, now: int, *, orphaned: bool = False
) -> tuple[Outcome, str] | None:
    """How `intent` ended, by `job` as seen now; None: too early to say.

    `grace` (s) is its checkpoint's; `orphaned`: the helper has been restarted since it was sent.
    """
    if intent.action.verb in _OF_PENDING:
        return _of_pending(intent, job, now)
    if intent.action.verb in _OF_PACE:
        return _of_pace(intent, job)
    if intent.action.verb in _OF_SITES:
        return _of_sites(intent, job)
    return _of_running(intent, job, grace, now, orphaned=orphaned)


def _of_pending(intent: OpenIntent, job: Job | None, now: int) -> tuple[Outcome, str]:
    action = intent.action
    if job is None or job.state is not JobState.PENDING:
        return Outcome.SUPERSEDED, "the job is not pending any more"
    if action.verb is Verb.RELEASE and 0 < job.begin <= now:
        return Outcome.APPLIED, "seen released"
    if job.begin == action.not_before:
        return Outcome.APPLIED, "seen in force"
    return Outcome.SUPERSEDED, "not seen in force: the next plan decides"


def _of_sites(intent: OpenIntent, job: Job | None) -> tuple[Outcome, str]:
    if job is None:
        return Outcome.SUPERSEDED, "the job has left the queue"
    away = job.state is JobState.AWAY
    if away is (intent.action.verb is Verb.ROUTE):
        return Outcome.APPLIED, "seen at another site" if away else "seen here again"
    return Outcome.SUPERSEDED, "not seen so: the next plan decides"


def _of_pace(intent: OpenIntent, job: Job | None) -> tuple[Outcome, str]:
    action = intent.action
    if job is None or not job.is_array:
        return Outcome.SUPERSEDED, "no task of the array waits any more"
    if (job.array_throttle == action.width) is (action.verb is Verb.SLOW):
        return Outcome.APPLIED, "seen in force" if action.verb is Verb.SLOW else "seen put back"
    return Outcome.SUPERSEDED, "not seen in force: the next plan decides"


def _of_running(
    intent: OpenIntent, job: Job | None, grace: int, now: int, *, orphaned: bool
) -> tuple[Outcome, str] | None:
    action = intent.action
    if job is None:
        return Outcome.SUPERSEDED, "the job has left the queue"
    suspended = job.state is JobState.SUSPENDED
    if action.verb is Verb.RESUME:
        if suspended:
            return Outcome.SUPERSEDED, "still suspended: the next look decides"
        return Outcome.APPLIED, "seen running"
    if action.verb is Verb.SUSPEND and suspended:
        return Outcome.APPLIED, "seen suspended"
    if action.verb is not Verb.SUSPEND and job.restarts > action.restarts:
        return Outcome.APPLIED, "seen requeued"
    if job.state is JobState.RUNNING and orphaned:
        return Outcome.SUPERSEDED, _NOT_COMING
    if job.state is JobState.RUNNING and now < intent.created + grace + PATIENCE:
        return None
    return Outcome.SUPERSEDED, "not seen stopped: the next plan decides"
