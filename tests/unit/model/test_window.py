"""Windows: whole slots, the lowest cap of all, the ramp-in, and how they are written."""

from __future__ import annotations

import math
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from flexlond.model.slurmtime import SlurmTimeError
from flexlond.model.timegrid import TimeGrid
from flexlond.model.window import (
    Window,
    WindowError,
    WindowState,
    caps_on,
    covering,
    guard_on,
    parse_kw,
    parse_span,
    rebound_on,
    softer_on,
    with_ramp_in,
)

LONDON = ZoneInfo("Europe/London")
NOON = 1_795_435_200  # 2026-11-23T12:00:00Z
SLOT = 1800
GRID = TimeGrid(NOON, SLOT, 8)


def window(first: int, *caps: float, slot: int = SLOT, cancelled: int = 0) -> Window:
    start = NOON + first * slot
    return Window(
        1,
        start,
        start + len(caps) * slot,
        slot,
        caps[0],
        math.nan,
        caps,
        0,
        NOON,
        "root",
        cancelled,
    )


def test_overlapping_windows_give_the_lowest_cap_of_each_slot() -> None:
    caps = caps_on(GRID, [window(1, 5.0, 5.0, 5.0), window(2, 9.0, 3.0, 9.0)], NOON)
    assert caps.tolist() == [np.inf, 5.0, 5.0, 3.0, 9.0, np.inf, np.inf, np.inf]


def test_what_comes_back_stays_under_the_rebound_cap_until_its_end() -> None:
    one = replace(window(1, 5.0, 5.0), rebound_kw=20.0, rebound_end=NOON + 5 * SLOT)
    lower = replace(window(2, 5.0, 5.0), rebound_kw=8.0, rebound_end=NOON + 6 * SLOT)
    expected = [np.inf, np.inf, np.inf, 20.0, 8.0, 8.0, np.inf, np.inf]
    assert rebound_on(GRID, [one, lower], NOON).tolist() == expected
    later = TimeGrid(NOON + 4 * SLOT, SLOT, 3)  # the window is over, its rebound is not
    assert rebound_on(later, [one], later.start).tolist() == [20.0, np.inf, np.inf]
    assert np.isinf(rebound_on(GRID, [one], one.rebound_end)).all()


def test_before_a_window_the_guard_caps_what_was_planned_as_long_as_it_binds() -> None:
    one = replace(window(5, 5.0), guard_start=NOON + SLOT, guard=(30.0, 7.0, 30.0))
    other = replace(window(6, 5.0), guard_start=NOON + 2 * SLOT, guard=(9.0, 9.0))
    expected = [np.inf, 30.0, 7.0, 9.0, np.inf, np.inf, np.inf, np.inf]
    assert guard_on(GRID, [one, other], NOON).tolist() == expected
    later = TimeGrid(NOON + 3 * SLOT, SLOT, 2)
    assert guard_on(later, [one], later.start).tolist() == [30.0, np.inf]
    finer = TimeGrid(NOON + SLOT, SLOT // 3, 4)
    assert guard_on(finer, [one], NOON).tolist() == [30.0, 30.0, 30.0, 7.0]
    assert np.isinf(guard_on(GRID, [replace(one, cancelled=NOON)], NOON)).all()
    assert np.isinf(guard_on(GRID, [one], one.end)).all()
    back = replace(one, rebound_kw=20.0, rebound_end=NOON + 7 * SLOT)
    assert softer_on(GRID, iter([back]), NOON).tolist() == [
        *(np.inf, 30.0, 7.0, 30.0, np.inf, np.inf),
        *(20.0, np.inf),
    ]


def test_a_rebound_begins_where_its_window_was_cancelled_and_none_where_it_never_began() -> None:
    one = replace(window(0, 5.0, 5.0, 5.0), rebound_kw=20.0, rebound_end=NOON + 4 * SLOT)
    running = replace(one, cancelled=NOON + 100)
    assert rebound_on(GRID, [running], NOON + 100)[:5].tolist() == [
        np.inf,
        20.0,
        20.0,
        20.0,
        np.inf,
    ]
    assert np.isinf(rebound_on(GRID, [replace(one, cancelled=NOON - 1)], NOON)).all()
    assert np.isinf(rebound_on(GRID, [replace(one, rebound_kw=math.inf)], NOON)).all()


def test_a_cancelled_or_ended_window_caps_nothing() -> None:
    ended = window(-3, 1.0)
    assert np.isinf(caps_on(GRID, [window(1, 5.0, cancelled=NOON), ended], NOON)).all()


def test_a_window_binds_slots_of_another_length_wherever_it_touches_them() -> None:
    short = window(3, 5.0, 7.0, slot=900)  # 12:45 to 13:15
    assert caps_on(GRID, [short], NOON)[:4].tolist() == [np.inf, 5.0, 7.0, np.inf]
    assert caps_on(TimeGrid(NOON + SLOT, SLOT, 2), [short], NOON).tolist() == [5.0, 7.0]


def test_a_windows_state_follows_the_clock() -> None:
    one = window(1, 5.0)
    moments = (NOON, one.start, one.end - 1, one.end)
    states = [WindowState.PLANNED, WindowState.ACTIVE, WindowState.ACTIVE, WindowState.ENDED]
    assert [one.state(now) for now in moments] == states
    assert window(1, 5.0, cancelled=NOON).state(one.start) is WindowState.CANCELLED


def test_the_ramp_in_lets_the_power_down_no_faster_than_the_ramp_cap() -> None:
    assert with_ramp_in([10.0] * 4, 100.0, 6.0, 1500) == ((70.0, 40.0, 10.0, 10.0), 2)
    assert with_ramp_in([10.0] * 2, 100.0, 0.0, 1500) == ((10.0, 10.0), 0)
    assert with_ramp_in([10.0] * 2, 5.0, 1.0, 300) == ((10.0, 10.0), 0)
    assert with_ramp_in([10.0] * 2, 100.0, 10.0, 300) == ((90.0, 80.0), 2)


def test_a_window_is_widened_to_whole_slots() -> None:
    assert covering(NOON + 600, NOON + SLOT + 1, SLOT) == (NOON, NOON + 2 * SLOT)
    assert covering(NOON, NOON + SLOT, SLOT) == (NOON, NOON + SLOT)


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [
        ("17:00", "19:00", (5, 7)),
        ("23:00", "01:00", (11, 13)),  # the first 01:00 after it
        ("11:00", "13:00", (23, 25)),  # today's 11:00 is past
        ("now+1hour", "now+3hours", (1, 3)),
        ("now", "13:00", (0, 1)),
        ("2026-11-24T12:00", "2026-11-24T14:00", (24, 26)),
    ],
)
def test_moments_are_read_as_slurms_own(begin: str, end: str, hours: tuple[int, int]) -> None:
    found = parse_span(begin, end, NOON, LONDON)
    assert tuple((at - NOON) / 3600 for at in found) == hours


def test_a_clock_time_is_the_users_own() -> None:
    summer = 1_782_302_400  # 2026-06-24T12:00:00Z, 13:00 in London
    assert parse_span("17:00", "19:00", summer, LONDON) == (summer + 4 * 3600, summer + 6 * 3600)


def test_an_end_before_the_begin_and_no_moments_are_refused() -> None:
    with pytest.raises(WindowError, match="give a later end"):
        parse_span("now+2hours", "now+1hour", NOON, LONDON)
    with pytest.raises(SlurmTimeError):
        parse_span("soon", "later", NOON, LONDON)


@pytest.mark.parametrize(
    ("text", "kw"), [("800kW", 800.0), ("0.8 MW", 800.0), ("800000w", 800.0), (" 1.5kw", 1.5)]
)
def test_a_power_carries_its_unit(text: str, kw: float) -> None:
    assert parse_kw(text) == pytest.approx(kw)


@pytest.mark.parametrize("text", ["800", "kW", "-5kW", "0kW", "8e2kW", "800kWh", "nan kW", ""])
def test_what_is_no_power_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(WindowError, match=r"800kW|more than 0 kW"):
        parse_kw(text)
