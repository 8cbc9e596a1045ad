"""From when on a day cannot be kept under its carbon cap, by what was known and in hindsight."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from flexlond.model.timegrid import TimeGrid
from tests.perf.clairvoyant import Choices
from tests.perf.lost_days import lost, lost_together

HOUR, DAY = 3600, 86400


def day_of_two(second: float) -> tuple[Any, Choices, Any]:
    """The second day: a job of 6 kg there or 1 a day later, started at noon; one of 5 kg comes at `second`."""
    noon = DAY + 12 * HOUR
    start = np.array([noon, 2 * DAY, DAY + second * HOUR])
    kg = np.array([[0.0, 6.0, 0.0], [0.0, 0.0, 1.0], [0.0, 5.0, 0.0]])
    found = Choices(np.array([0, 0, 1]), start, kg)
    trace = SimpleNamespace(submit=np.array([DAY + 9 * HOUR, int(start[2])]))
    run = SimpleNamespace(start=np.array([noon, int(start[2])]))
    return cast("Any", SimpleNamespace(trace=trace, grid=SimpleNamespace(start=0))), found, run


@pytest.mark.parametrize(
    ("second", "cap", "hindsight", "known", "to_come"),
    [
        (18, 12.0, np.nan, np.nan, 0.0),  # both fit
        (
            18,
            10.0,
            12.0,
            6.0,
            5.0,
        ),  # lost at noon; nobody knows before 18:00
        (10, 10.0, 12.0, 12.0, 0.0),  # both were known at noon: it was lost by a choice
        (18, 4.0, 48.0, 12.0, 5.0),  # the second alone is too much, whenever one looks
    ],
)
def test_a_day_is_lost_when_the_least_that_is_left_is_above_the_cap(
    second: float, cap: float, hindsight: float, known: float, to_come: float
) -> None:
    case, found, run = day_of_two(second)
    assert lost(case, found, run, 1, cap) == pytest.approx((hindsight, known, to_come), nan_ok=True)


@pytest.mark.parametrize(("nodes", "lost_at"), [(2.0, 24.5), (1.0, 6.5)])
def test_all_days_are_lost_with_the_last_schedule_that_keeps_them(
    nodes: float, lost_at: float
) -> None:
    # Of 10 kg a day the second takes 1 at midnight; it ran at two, past its slack, and took 11. On one node it
    # can start at midnight only after a first that began at six: that one ran at two in the afternoon.
    pytest.importorskip("highspy")
    start = HOUR * np.array([6.0, 14.0, 24.0, 26.0])
    kg = np.array([[6.0, 0.0], [6.0, 0.0], [0.0, 1.0], [0.0, 11.0]])
    found = Choices(np.array([0, 0, 1, 1]), start, kg)
    room = SimpleNamespace(capacity=np.array([[nodes]]))
    case = SimpleNamespace(
        grid=TimeGrid(0, HOUR // 2, 96),
        trace=SimpleNamespace(pool=np.zeros(2, np.int64), demand=np.ones((2, 1)), room=room),
        flexibility=SimpleNamespace(latest=HOUR * np.array([14, 24])),
    )
    run = SimpleNamespace(start=HOUR * np.array([14, 26]))
    span = np.full(2, 12 * HOUR)
    at = lost_together(cast("Any", case), found, cast("Any", run), span, 10.0)
    assert at / HOUR == pytest.approx(lost_at)
