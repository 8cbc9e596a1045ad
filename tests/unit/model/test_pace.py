"""How narrow an array may be made: its last task starts in time though nobody ever widens it again."""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from flexlond.model.pace import narrowest, slowest_start
from flexlond.model.slo import latest_start, with_throttle
from tests.unit.model.test_slo import T, directive, job

if TYPE_CHECKING:
    from flexlond.model.directive import Directive

LIMIT = 600


def last_start(waiting: int, left: list[int], width: int, now: int) -> int:
    """When the last task starts at the latest: each runs its whole limit, `left` (s) is what runs."""
    ends = [now + seconds for seconds in left]
    heapq.heapify(ends)
    start = now
    for _ in range(waiting):
        while len(ends) >= width:
            start = max(start, heapq.heappop(ends))
        heapq.heappush(ends, start + LIMIT)
    return start


@given(
    waiting=st.integers(1, 60),
    left=st.lists(st.integers(1, LIMIT), max_size=12),
    own=st.integers(0, 20),
    spare=st.integers(0, 40_000),
    margin=st.integers(0, 120),
)
def test_the_last_task_is_in_time_at_the_narrowest_pace(
    waiting: int, left: list[int], own: int, spare: int, margin: int
) -> None:
    array = job(
        array_job_id=7, array_task_id=None, task_count=waiting, time_limit=LIMIT, deadline=0
    )
    consent: Directive = directive(deadline=T + LIMIT * (60 + 1) + spare)
    bound = latest_start(with_throttle(array, own), consent, eligible=T, margin=margin)
    assert bound.at is not None
    terms = {"own": own, "running": len(left), "margin": margin}
    width = narrowest(array, bound.at, now=T, **terms)
    assume(width > 0)
    assert slowest_start(array, bound.at, width=width, **terms) >= T
    if width > 1:
        assert slowest_start(array, bound.at, width=width - 1, **terms) < T
    assert last_start(waiting, left, width, T) + LIMIT <= consent.deadline - margin


def test_what_is_late_already_may_not_be_slowed() -> None:
    array = replace(job(), array_job_id=7, array_task_id=None, task_count=9)
    assert narrowest(array, T - 1, own=0, running=0, margin=0, now=T) == 0
