"""When stops are ordered and jobs run again: as late as the window allows, never over the ramp cap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.action import Verb
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.moments import Terms, lead, relief, times
from flexlond.planning.stopped import REQUEUE_PAUSE, Candidate
from tests.unit.planning.conftest import NOW, SLOT

GRID = TimeGrid.covering(NOW, SLOT, 12)
TERMS = Terms(kill_wait=30, beat=10)
LAST = GRID.slot_start(6)


def candidate(number: int, *, suspend: bool, latest: int, ready: int, grace: int) -> Candidate:
    verb = Verb.SUSPEND if suspend else Verb.REQUEUE_UNTIL
    return Candidate(
        number, number, verb, NOW, ready, grace, False, latest, 3600.0, 3600.0, 3600.0, 1.0
    )


ENTRIES = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(3, 5),
        st.integers(1, 14).map(float),
        st.integers(0, 2 * SLOT),
        st.sampled_from([0, 60]),
        st.integers(7, 12),
    ),
    max_size=8,
)


@given(ENTRIES, st.sampled_from([0.0, 10.0, 25.0]))
@settings(max_examples=200, deadline=None)
def test_as_late_as_can_be_under_the_ramp_cap(
    entries: list[tuple[bool, int, float, int, int, int]], ramp: float
) -> None:
    chosen = []
    for number, (suspend, slot, kw, ready, grace, latest) in enumerate(entries):
        one = candidate(
            number,
            suspend=suspend,
            latest=GRID.slot_start(latest),
            ready=NOW + ready,
            grace=0 if suspend else grace,
        )
        chosen.append((one, slot, kw, 1.0))
    stops = times(GRID, chosen, terms=TERMS, ramp_kw=ramp, now=NOW, last=LAST)
    assert sorted(stop.candidate.job_id for stop in stops) == list(range(len(entries)))
    for stop in stops:
        one = stop.candidate
        assert stop.at >= max(NOW, one.ready)
        assert stop.off == stop.at + lead(one, TERMS)
        if not ramp:
            assert stop.off == max(GRID.slot_start(stop.slot), one.ready + lead(one, TERMS))
        if stop.requeued:
            assert stop.until >= max(min(LAST, one.latest), stop.at + one.grace + REQUEUE_PAUSE)
        else:
            assert min(LAST, one.latest) <= stop.until <= one.latest
    if ramp:
        for stop in stops:
            near = [other.kw for other in stops if 0 <= other.off - stop.off < 300]
            assert sum(near) <= ramp or len(near) == 1


def test_relief_is_by_the_second() -> None:
    begin = GRID.slot_start(2) + SLOT // 4
    found = relief(GRID, 8.0, begin, GRID.slot_start(4))
    assert found == pytest.approx(np.array([0, 0, 6.0, 8.0, *[0] * 8]))
