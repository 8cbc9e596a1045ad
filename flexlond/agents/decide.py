"""From the plan to actions: the difference between what is wanted and what is seen.

Law: pure and level-triggered. It compares desired with observed and says what to send; it never assumes that
something sent earlier took effect. Safety first: a hold past the latest start, or without consent, is undone
whatever the signals say. New holds only when `may_hold` (fresh signals, a complete view, act mode, a helper
that answers). Precedence: consent > latest start > ramp cap > price.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.agents.reconcile import Standing
from flexlond.model.action import Action, Verb
from flexlond.planning.aside import STEP

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flexlond.agents.consent import FlexJob
    from flexlond.agents.records import JobRecord
    from flexlond.agents.state import LoopState
    from flexlond.model.job import Job


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the plan wants for one job: a begin time (0: start as soon as possible) and why."""

    begin: int
    reason: str


@dataclass(frozen=True, slots=True)
class Backoff:
    """A refusal that stands: the same thing is not asked again before `until`."""

    until: int
    not_before: int
    code: str


def decide(
    flex: Mapping[int, FlexJob],
    wanted: Mapping[int, Wanted],
    *,
    now: int,
    may_hold: bool,
    only: Collection[int] | None = None,
    backoff: Mapping[int, Backoff] | None = None,
) -> tuple[Action, ...]:
    """The actions of this cycle, at most one per job.

    `wanted` has an entry for each job that the plan covered; a job without one keeps what it has.
    `only` limits new holds to these jobs (the fast tick).
    """
    actions: list[Action] = []
    for job_id, known in flex.items():
        action = _safety(known, now) or _planned(
            known,
            wanted.get(job_id),
            now=now,
            may_hold=may_hold and (only is None or job_id in only),
        )
        if action is not None and not _backed_off(action, (backoff or {}).get(job_id), now):
            actions.append(action)
    return tuple(actions)


def is_held(known: FlexJob, now: int) -> bool:
    """Our begin time is in force and in the future."""
    return (
        known.seen is not None
        and known.seen.standing is Standing.OURS
        and known.seen.record.hold > now
    )


def release(known: FlexJob, reason: str) -> Action:
    """Give the job back the begin time it had before us."""
    original = known.record.original_begin if known.record else 0
    return intent(known.job, Verb.RELEASE, original, reason)


def _safety(known: FlexJob, now: int) -> Action | None:
    """What must be undone whatever the plan says."""
    seen = known.seen
    if seen is None or seen.standing is not Standing.OURS:
        return None
    if seen.record.opted_out:
        return release(known, f"opted out: {seen.record.opted_out_why}")
    if known.directive is None:
        return release(known, f"consent is gone: {known.consent}")
    latest = known.latest
    if latest is None or latest.at is None:
        return release(known, "it has no latest start any more")
    if not _in_time(known, seen.record.hold, now):
        if latest.at > now:
            return intent(known.job, Verb.HOLD_UNTIL, latest.at, "its latest start moved forward")
        return release(known, "its latest start has come")
    return None


def _in_time(known: FlexJob, hold: int, now: int) -> bool:
    """Whether a hold ends by the latest start; one of minutes (aside.py) well before the promise."""
    latest = known.latest
    if latest is None or latest.at is None:
        return False
    return hold <= latest.at or (hold <= now + STEP and hold + STEP <= latest.at + known.margin)


def _planned(known: FlexJob, want: Wanted | None, *, now: int, may_hold: bool) -> Action | None:
    seen = known.seen
    if seen is not None and seen.standing is Standing.LOST and seen.lost > now:
        # Repair first (rule 1): what was promised stands; a better plan may move it afterwards.
        want = Wanted(seen.lost, "slurmctld had forgotten it")
    if want is None or seen is None or not known.movable:
        return None
    hold = seen.record.hold if seen.standing is Standing.OURS else 0
    if want.begin <= now:
        return release(known, want.reason) if hold else None
    if want.begin == hold:
        return None
    # Earlier is fewer holds; later is a new hold.
    if not may_hold and not (hold and want.begin < hold):
        return None
    if not _in_time(known, want.begin, now):
        return None
    return intent(known.job, Verb.HOLD_UNTIL, want.begin, want.reason)


def _backed_off(action: Action, past: Backoff | None, now: int) -> bool:
    return past is not None and now < past.until and action.verb is Verb.HOLD_UNTIL


def intent(job: Job, verb: Verb, not_before: int, reason: str, width: int = 0) -> Action:
    """An action on `job` as it was seen: the helper refuses it where the job has changed meanwhile."""
    return Action(
        action_id=uuid.uuid4().hex,
        job_id=job.job_id,
        submit=job.submit,
        restarts=job.restarts,
        expected_begin=job.begin,
        expected_state=job.state.value,
        verb=verb,
        not_before=not_before,
        reason=reason,
        width=width,
    )


def why_back(
    state: LoopState, record: JobRecord | None, until: int, now: int, *, agreed: bool, over: str
) -> str:
    """Why what a window keeps back is wanted back now, `over` when its time has come; "" while it is not."""
    asks = any(window.binds(now) and window.start < until for window in state.windows)
    checks = (
        (state.draining, "drain: FlexLon is being removed"),
        (not agreed, "consent is gone"),
        (record is not None and record.opted_out > 0, "opted out"),
        (until <= now, over),
        (not asks, "no window asks for it any more"),
    )
    return next((why for applies, why in checks if applies), "")


def within_ramp(
    actions: Sequence[Action], kw: Mapping[int, float], *, cap_kw: float, room_kw: float
) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Split releases into those whose power fits into `room_kw` and the rest; holds always pass.

    A job larger than the cap passes alone, when nothing else was commanded (the room is the whole cap).
    """
    now_actions: list[Action] = []
    later: list[Action] = []
    used = 0.0
    for action in actions:
        starts = action.verb in {Verb.RELEASE, Verb.RESUME, Verb.UNSLOW}
        need = kw.get(action.job_id, 0.0) if starts else 0.0
        alone = used == 0.0 and room_kw >= cap_kw
        if need and used + need > room_kw and not alone:
            later.append(action)
        else:
            used += need
            now_actions.append(action)
    return tuple(now_actions), tuple(later)
