"""The part of the policy that speaks of an array's throttle.

Law: pure; policy.py has asked for consent before. Only narrower than its owner's own throttle, only the whole
array, never below the pace that keeps its latest start if nobody ever puts it back; an array whose throttle
somebody else changed after us is not slowed again. To put it back is always allowed. Tasks at once, epoch
seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.model.action import Verb
from flexlond.model.job import JobState
from flexlond.model.pace import slowest_start
from flexlond.model.slo import latest_start, with_throttle
from flexlond.model.slurmtime import format_moment
from slurm_plugin.verdict import Go, Refusal, already, refuse

if TYPE_CHECKING:
    from flexlond.model.action import Action
    from flexlond.model.directive import Directive
    from slurm_plugin.policy import Facts

LONGEST = 7 * 86400  # seconds that an array may be slowed by one order


def slow(action: Action, facts: Facts, consent: Directive) -> Go | Refusal:
    """Whether what waits of the array may run `action.width` at a time until `action.not_before`."""
    job, entry, width = facts.job, facts.pace, action.width
    if not job.is_array or job.state is not JobState.PENDING:
        return refuse("not-an-array", "no task of it waits as part of an array")
    if changed_by_other(facts):
        return refuse(
            "throttle-changed",
            f"somebody set its throttle to {job.array_throttle or 'none'} since: it stays as it is",
        )
    own = entry.own if entry else job.array_throttle
    if width < 1 or (own and width >= own) or width >= job.task_count + facts.active:
        return refuse("not-narrower", f"{width} at once is not fewer than its owner lets run")
    if not facts.now < action.not_before <= facts.now + LONGEST:
        return refuse("past", f"{format_moment(action.not_before)} is no time to put it back at")
    if not facts.record.eligible:
        return refuse("not-eligible", "it is not known since when it could have started")
    bound = latest_start(
        with_throttle(job, own), consent, eligible=facts.record.eligible, margin=facts.margin
    )
    if bound.at is None:
        return refuse("unlimited", bound.steps[-1])
    by = slowest_start(
        job, bound.at, own=own, width=width, running=facts.active, margin=facts.margin
    )
    if by < max(facts.now, job.begin):
        return refuse(
            "latest-start",
            f"with {width} tasks at once it would have to go on by {format_moment(by)} to keep its latest "
            f"start ({bound.binding})",
        )
    same = entry is not None and entry.in_force and entry.due == action.not_before
    if same and job.array_throttle == width:
        return already(f"it runs {width} at a time until {format_moment(action.not_before)}")
    return Go(Verb.SLOW, action.not_before, width=width, own=own)


def unslow(facts: Facts) -> Go | Refusal:
    """Whether the array gets its own throttle back."""
    entry = facts.pace
    if entry is None or not entry.in_force:
        return already("its throttle is not ours")
    if not facts.job.is_array:
        return already("none of its tasks waits unsplit: the timer puts the throttle back")
    if changed_by_other(facts):
        return already("somebody else changed its throttle since: it stays as it is")
    return Go(Verb.UNSLOW, 0, free=True, width=entry.own)


def changed_by_other(facts: Facts) -> bool:
    """Whether the throttle that we set was changed by somebody else since."""
    entry = facts.pace
    if entry is None or not facts.job.is_array:
        return False
    ours = {entry.own, entry.width} if entry.put_back_at else {entry.width}
    return entry.left_alone or facts.job.array_throttle not in ours
