"""The pace of an array: how many of its tasks run at once, and how narrow that may be made.

Law: pure. An array is never slowed below a pace at which its last task starts in time even if nobody ever
puts the throttle back: each wave counts a whole time limit and a whole margin, and what runs already counts
as the first. Tasks, epoch seconds, seconds; 0 tasks at once means no throttle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.model.slo import waves_of

if TYPE_CHECKING:
    from flexlond.model.job import Job


@dataclass(frozen=True, slots=True)
class Slowed:
    """An array whose throttle was changed by us, as the helper remembers it."""

    job_id: int
    submit: int
    own: int  # its owner's throttle; 0: none
    width: int  # what was set
    until: int
    left_alone: bool = False  # somebody else changed it since: not ours any more


def slowest_start(job: Job, latest: int, *, own: int, width: int, running: int, margin: int) -> int:
    """The latest moment from which `job` may go on with `width` tasks at once, epoch seconds.

    `latest` is its latest start under the throttle `own`, `running` its tasks that run, `margin` (s) what each
    further wave keeps for the queue. With W = ceil((waiting + running) / width) waves the last task starts at
    most W - 1 time limits from now: of any `width` tasks the next starts when one of them has ended.
    """
    waves = -(-(job.task_count + running) // width)
    more = max(0, waves - waves_of(job.task_count, own))
    return latest - more * ((job.time_limit or 0) + margin)


def narrowest(job: Job, latest: int, *, own: int, running: int, margin: int, now: int) -> int:
    """The fewest tasks at once with which `job` may go on from `now`; 0 where it may not be slowed at all."""
    step = (job.time_limit or 0) + margin
    if latest < now or step <= 0:
        return 0
    waves = waves_of(job.task_count, own) + (latest - now) // step
    return -(-(job.task_count + running) // waves)
