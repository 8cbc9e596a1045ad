"""The difference between the plan and the queue: which jobs get another begin time.

Law: level-triggered and pure: wishes and observations in, changes out; the same input gives the same
changes. It never lengthens a wait for little: small changes are not sent, a job is changed at most once per
interval, a new hold must save enough. Safety is exempt from all of that: a begin time past the latest start
is corrected at once. A release never goes before the user's own begin time. Whose a begin time is (opt-outs,
lost changes) is decided before, by the reconciling rules; jobs that are not ours to change are not passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ChangeKind(StrEnum):
    """What to do with a job's begin time."""

    HOLD = "hold-until"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the plan wants of one job."""

    job_id: int
    begin: int  # epoch: hold until then; 0: nothing of ours should hold it
    latest: int  # latest safe start, epoch
    saving_gbp: float = 0.0  # against as soon as possible; NaN unknown counts as none


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in force for one job."""

    job_id: int
    begin: int  # begin time in force (Slurm's EligibleTime); 0 none
    ours: bool  # the begin time in force is one that we set
    original: int = 0  # the user's own --begin; 0 none
    changed_at: int = 0  # when we last changed it; 0 never


@dataclass(frozen=True, slots=True)
class Rules:
    """How small a difference is left alone."""

    min_change_seconds: int = 60
    min_change_interval: int = 300
    min_saving_gbp: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """One change to send; `begin` is the begin time to set."""

    job_id: int
    kind: ChangeKind
    begin: int
    expected_begin: int  # as seen: the guard against a race
    safety: bool  # corrects a begin time that would be late
    why: str


def difference(
    wishes: Iterable[Wish], seen: Mapping[int, Seen], now: int, rules: Rules
) -> tuple[Change, ...]:
    """The changes that bring what is seen to what is wished, safety first, then in the wishes' order.

    A wish for a job that is not seen makes no change: it started, ended, or is not ours.
    """
    changes = []
    for wish in wishes:
        one = seen.get(wish.job_id)
        change = _change(wish, one, now, rules) if one is not None else None
        if change is not None:
            changes.append(change)
    return tuple(sorted(changes, key=lambda change: not change.safety))


def _change(wish: Wish, seen: Seen, now: int, rules: Rules) -> Change | None:
    holds = seen.ours and seen.begin > now
    late = holds and seen.begin > max(wish.latest, seen.original)
    free_at = max(now, seen.original)
    begin = min(max(wish.begin, seen.original), max(wish.latest, free_at))
    wait = wish.begin > 0 and begin > free_at
    rested = now - seen.changed_at >= rules.min_change_interval or not seen.changed_at
    if not wait:
        if not holds or seen.begin <= free_at:
            return None
        if not late and not rested:
            return None
        why = "held past its latest start" if late else "nothing to wait for"
        return Change(wish.job_id, ChangeKind.RELEASE, free_at, seen.begin, late, why)
    if abs(begin - (seen.begin if holds else free_at)) < rules.min_change_seconds and not late:
        return None
    if not late and not rested:
        return None
    if not holds and not wish.saving_gbp >= rules.min_saving_gbp:
        return None
    why = "held past its latest start" if late else "moved" if holds else "deferred"
    return Change(wish.job_id, ChangeKind.HOLD, begin, seen.begin, late, why)
