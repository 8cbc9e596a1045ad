"""From the plan to actions: the difference between what is wanted and what is seen.

Law: pure and level-triggered. It compares desired with observed and says what to send; it never assumes that
something sent earlier took effect. Safety first: a hold past the latest start, or without consent, is undone
whatever the signals say. New holds only when `may_hold` (fresh signals, a complete view, act mode, a helper
that answers). Precedence: consent > latest start > ramp cap > price: whom the plan gives back before its time
waits for room under the ramp cap, until its begin time in force at the latest.
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
    from flexlond.agents.ramp import RampRoom
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
    room: RampRoom | None = None,
    kw: Mapping[int, float] | None = None,
) -> tuple[Action, ...]:
    """The actions of this cycle, at most one per job.

    `wanted` has an entry for each job that the plan covered; a job without one keeps what it has.
    `only` limits new holds to these jobs (the fast tick). `room` is what the ramp cap leaves now for what the
    plan gives back (None: no cap), by the `kw` of each job.
    """
    actions: list[Action] = []
    given_back: list[Action] = []
    for job_id, known in flex.items():
        safe = _safety(known, now)
        action = safe or _planned(
            known,
            wanted.get(job_id),
            now=now,
            may_hold=may_hold and (only is None or job_id in only),
        )
        if action is None or _backed_off(action, (backoff or {}).get(job_id), now):
            continue
        waits = safe is None and action.verb is Verb.RELEASE
        (given_back if waits and room is not None else actions).append(action)
    if room is not None:
        actions += _with_room(given_back, actions, room, kw or {}, now)
    return tuple(actions)


def _with_room(
    given_back: Sequence[Action],
    others: Sequence[Action],
    room: RampRoom,
    kw: Mapping[int, float],
    now: int,
) -> list[Action]:
    """Who of `given_back` starts now; the others' starts are commanded first."""
    for action in others:
        at = action.not_before if action.verb is Verb.HOLD_UNTIL else now
        room.command(action.job_id, at, kw.get(action.job_id, 0.0))
    return [one for one in given_back if room.lets(one.job_id, kw.get(one.job_id, 0.0))]


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
    actions: Sequence[Action], kw: Mapping[int, float], room: RampRoom
) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Split into those that start nothing or have room under the ramp cap, and the rest; in their order."""
    now_actions: list[Action] = []
    later: list[Action] = []
    for action in actions:
        starts = action.verb in {Verb.RELEASE, Verb.RESUME, Verb.UNSLOW}
        passes = not starts or room.lets(action.job_id, kw.get(action.job_id, 0.0))
        (now_actions if passes else later).append(action)
    return tuple(now_actions), tuple(later)
