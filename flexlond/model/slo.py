"""The latest start: until when a job may wait at the most, and the arithmetic behind it.

Law: decides the latest begin time from the job's time limit, never from a predicted runtime (design rule 4).
Pure; moments are epoch seconds, lengths seconds. A job without an end (UNLIMITED) or without a bound has no
latest start and is never deferred. The helper computes the same value on its own, so no plan can pass it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flexlond.model.slurmtime import format_duration, format_moment

if TYPE_CHECKING:
    from flexlond.model.directive import Directive
    from flexlond.model.job import Job


UNHEARD_SITE = 60
"""Seconds for which slurmctld does not start a federated job after a change that one of its sites has not
answered (measured on 24.11)."""


@dataclass(frozen=True, slots=True)
class LatestStart:
    """`at` None: must never be deferred. `binding` names the bound that decides, `steps` show the sums."""

    at: int | None
    binding: str
    steps: tuple[str, ...]


def latest_start(job: Job, directive: Directive, *, eligible: int, margin: int) -> LatestStart:
    """The latest moment at which `job` may begin and still keep every promise.

    `eligible` is the first moment it could have started (epoch), `margin` the seconds kept for the queue
    wait and the scheduler's interval. For an array the last task counts: with a throttle of N it starts
    ceil(tasks / N) - 1 time limits after the first.
    """
    if job.time_limit is None:
        return LatestStart(
            None, "time limit", ("time limit UNLIMITED: it may never end, so never defer",)
        )
    starts = (("start-by", directive.start_by), ("latency", directive.latency))
    if not directive.deadline and not any(at for _, at in starts) and directive.max_delay is None:
        return LatestStart(
            None, "none", ("no deadline, start-by, max-delay or latency in force: never defer",)
        )
    limit, waves = job.time_limit, _waves(job)
    steps: list[str] = []
    if job.sites:
        margin += UNHEARD_SITE
    if waves > 1:
        steps.append(
            f"{job.task_count} array tasks, {job.array_throttle} at a time: {waves} waves of the time limit"
            f" {format_duration(limit)}, the last one counts"
        )
    bounds: list[tuple[int, str]] = []

    def bound(name: str, base: int, change: int, because: str) -> None:
        bounds.append((base + change, name))
        sign = "+" if change > 0 else "-"
        sums = f" {sign} {because} {format_duration(abs(change))}" if change else ""
        steps.append(f"{name} {format_moment(base)}{sums} = {format_moment(base + change)}")

    work = "time limit" if waves == 1 else f"{waves} x time limit"
    if directive.deadline:
        bound("deadline", directive.deadline, -waves * limit, work)
    if job.deadline:
        bound("Slurm --deadline", job.deadline, -waves * limit, work)
    for name, by in starts:
        if by:
            bound(name, by, -(waves - 1) * limit, f"{waves - 1} x time limit")
    if directive.max_delay is not None:
        bound("max-delay", eligible, directive.max_delay, "max-delay")
        steps[-1] = steps[-1].replace("max-delay ", "max-delay: eligible ", 1)
    at, binding = min(bounds)
    steps.append(
        f"latest start: {binding}, less a margin of {format_duration(margin)}: {format_moment(at - margin)}"
    )
    return LatestStart(at - margin, binding, tuple(steps))


def with_throttle(job: Job, throttle: int) -> Job:
    """The array as it would be with `throttle` tasks at once (0: no throttle)."""
    return replace(job, array_throttle=throttle)


def waves_of(tasks: int, throttle: int) -> int:
    """How many time limits in a row so many tasks take at most, `throttle` at once (0: all)."""
    return max(1, -(-tasks // throttle)) if throttle > 0 else 1


def _waves(job: Job) -> int:
    return waves_of(job.task_count, job.array_throttle) if job.is_array else 1
