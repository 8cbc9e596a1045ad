"""What one hold does to everyone else, each hold by itself."""

from __future__ import annotations

from tests.perf.lone_holds import HOUR, Hold, holds, table
from tests.unit.backtest.replaykit import flexible, trace_of


def test_a_hold_is_told_from_what_would_have_been_without_it() -> None:
    """Two nodes. Job 0 (both, an hour) may wait for four; job 1 takes both from 1:30 on, for three hours.

    Job 2 (one node, no slack) comes at 4:30, when job 1 has ended; job 3 without consent a minute after it.
    """
    trace = trace_of(
        [(0, HOUR, 2), (5400, 3 * HOUR, 2), (16200, HOUR, 1), (16260, HOUR, 1)], room=2.0
    )
    wait = flexible(trace, {0: 4 * HOUR, 2: 0})
    quarter, half, most, whole = holds(trace, wait, 10)
    # Held for an hour it runs until 2:00: job 1 waits half an hour, the others as long.
    assert quarter == Hold(0, 1.0, missed=False, late=1, later=2)
    # Held longer it finds job 1 there until 4:30, half an hour past its latest start, and goes first then.
    for hold, hours in ((half, 2.0), (most, 3.0), (whole, 4.0)):
        assert hold == Hold(0, hours, missed=True, late=2, later=1)


def test_who_has_no_time_or_is_late_anyway_is_not_held() -> None:
    # One node: job 1 waits an hour for it, with half an hour of slack; job 2 has none.
    trace = trace_of([(0, HOUR, 1), (0, HOUR, 1), (3 * HOUR, HOUR, 1)], room=1.0)
    wait = flexible(trace, {1: HOUR // 2, 2: 0})
    assert not list(holds(trace, wait, 10))


def test_the_table_counts_by_hours_held() -> None:
    lines = table(
        [Hold(0, 2.0, missed=False, late=0, later=1), Hold(0, 5.0, missed=True, late=3, later=0)]
    )
    assert [line.split() for line in lines.splitlines()[1:]] == [
        ["0-3", "1", "0.0%", "0.00", "1.00"],
        ["3-6", "1", "100.0%", "3.00", "0.00"],
        ["0-24", "2", "50.0%", "1.50", "0.50"],
    ]
