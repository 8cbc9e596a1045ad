"""BL01 on histories made by hand, and what must not change it."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.model.settlement_period import starts_of
from flexlond.settlement.adjustment import (
    Adjustment,
    adjusted,
    adjustment,
    raised_within,
    window_of,
)
from flexlond.settlement.baseline import BL01, Baseline, Profile, Rule, average, baseline
from flexlond.settlement.calendar import Calendar, DayType, bank_holidays
from flexlond.settlement.history import build
from flexlond.settlement.nominated import Nomination, in_force
from flexlond.settlement.readings import Quality
from tests.unit.settlement.settlekit import DAY, POINT, at, day_of, days_before, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from flexlond.settlement.readings import Reading

NOTHING: frozenset[dt.date] = frozenset()


def made(
    day: dt.date,
    values: Mapping[dt.date, int],
    events: Collection[dt.date] = NOTHING,
    profile: Profile = BL01,
    calendar: Calendar | None = None,
    extra: Collection[Reading] = (),
) -> Baseline:
    """The baseline of `day` from days that are flat at a value each."""
    readings = [one for date, wh in values.items() for one in day_of(date, lambda _, wh=wh: wh)]
    first = day - dt.timedelta(days=60)
    history = build(POINT, [*readings, *extra], first, 60, profile.usable)
    return baseline(day, history, events, profile, calendar)


def test_a_working_day_is_the_mean_of_the_ten_working_days_before_it() -> None:
    # Tuesday 15 September 2026. The ten before it: 14, 11, 10, 9, 8, 7, 4, 3, 2, 1 September.
    values = dict.fromkeys(days_before(DAY, 60), 7777)
    ten = [dt.date(2026, 9, n) for n in (14, 11, 10, 9, 8, 7, 4, 3, 2, 1)]
    values |= {day: 100 * (number + 1) for number, day in enumerate(ten)}  # 100 .. 1000
    found = made(DAY, values)
    assert found.days == tuple(ten)
    assert found.wh == (550,) * 48


def test_a_bank_holiday_is_no_working_day() -> None:
    # Wednesday 2 September 2026: Monday 31 August is the summer bank holiday.
    day = dt.date(2026, 9, 2)
    found = made(day, {each: each.day for each in days_before(day, 60)})
    assert found.days[0] == dt.date(2026, 9, 1)
    assert found.days[1] == dt.date(2026, 8, 28)
    # 1 Sept and 28, 27, 26, 25, 24, 21, 20, 19, 18 August: 209 / 10 = 20.9
    assert found.wh == (21,) * 48


def test_a_non_working_day_is_the_mean_of_the_two_middle_ones_of_four() -> None:
    # Saturday 5 September 2026. Before it: 31 August (bank holiday), 30, 29, 23 August.
    day = dt.date(2026, 9, 5)
    values = dict.fromkeys(days_before(day, 60), 5555)
    values |= {
        dt.date(2026, 8, 31): 900,
        dt.date(2026, 8, 30): 100,
        dt.date(2026, 8, 29): 300,
        dt.date(2026, 8, 23): 401,
    }
    found = made(day, values)
    assert found.days == tuple(dt.date(2026, 8, n) for n in (31, 30, 29, 23))
    assert found.wh == (351,) * 48  # (300 + 401) / 2 = 350.5, half up


def test_event_days_are_passed_by() -> None:
    values = dict.fromkeys(days_before(DAY, 60), 1000)
    events = {dt.date(2026, 9, 14), dt.date(2026, 9, 10)}
    values |= dict.fromkeys(events, 10)
    found = made(DAY, values, events)
    assert not events & set(found.days)
    assert len(found.days) == 10
    assert found.wh == (1000,) * 48


def test_a_day_with_one_reading_missing_or_estimated_is_passed_by() -> None:
    hole, guess = dt.date(2026, 9, 14), dt.date(2026, 9, 11)
    values = {each: 1000 for each in days_before(DAY, 60) if each not in {hole, guess}}
    extra = day_of(hole, lambda _: 1)[:-1]
    extra += [replace(one, quality=Quality.ESTIMATED) for one in day_of(guess, lambda _: 1)]
    found = made(DAY, values, extra=extra)
    assert not {hole, guess} & set(found.days)
    assert found.wh == (1000,) * 48


@pytest.mark.parametrize(("have", "known"), [(4, False), (5, True), (9, True)])
def test_fewer_days_than_the_least_give_none_and_a_reason(have: int, *, known: bool) -> None:
    working = [d for d in days_before(DAY, 60) if Calendar().day_type(d) is DayType.WORKING]
    found = made(DAY, {day: 100 * (n + 1) for n, day in enumerate(working[:have])})
    assert found.known is known
    if known:
        assert found.wh == ((100 * (have + 1) + 1) // 2,) * 48  # the mean of 100 .. 100 n
    else:
        assert found.reason == "4 eligible working days in 60; 5 are needed"


def test_the_day_of_46_has_the_half_hours_that_its_clock_shows() -> None:
    # Sunday 29 March 2026; 28, 22, 21, 15 March before it: clocks do not show 01:00 to 02:00.
    day = dt.date(2026, 3, 29)
    readings = [
        one for each in days_before(day, 30) for one in day_of(each, lambda number: 10 * number)
    ]
    found = baseline(day, build(POINT, readings, day - dt.timedelta(60), 60, BL01.usable), NOTHING)
    assert len(found.wh) == 46
    assert found.wh[:4] == (10, 20, 50, 60)
    assert found.wh[-1] == 480


def test_the_day_of_50_has_the_repeated_hour_twice() -> None:
    day = dt.date(2026, 10, 25)
    readings = [
        one for each in days_before(day, 30) for one in day_of(each, lambda number: 10 * number)
    ]
    found = baseline(day, build(POINT, readings, day - dt.timedelta(60), 60, BL01.usable), NOTHING)
    assert len(found.wh) == 50
    assert found.wh[:8] == (10, 20, 30, 40, 30, 40, 50, 60)


def test_clock_change_days_are_no_baseline_days_unless_the_profile_says_so() -> None:
    day = dt.date(2026, 10, 31)  # a Saturday; 25 October is the day of 50
    values = dict.fromkeys(days_before(day, 60), 100)
    values[dt.date(2026, 10, 25)] = 300
    assert dt.date(2026, 10, 25) not in made(day, values).days
    with_it = made(day, values, profile=replace(BL01, exclude_clock_change=False))
    assert with_it.days[0] == dt.date(2026, 10, 25)


def test_a_day_of_50_folds_onto_the_clock_by_the_mean_of_the_two() -> None:
    day = dt.date(2026, 10, 25)
    history = build(POINT, day_of(day, lambda number: number), day, 1, BL01.usable)
    row = history.day(day)
    assert row is not None
    assert row[:6].tolist() == [1, 2, 4, 5, 7, 8]  # (3 + 5) / 2 and (4 + 6) / 2
    lacking = day_of(day, lambda number: number)
    del lacking[4]  # the second 01:00
    assert not build(POINT, lacking, day, 1, BL01.usable).whole(day)
    spring = dt.date(2026, 3, 29)
    assert not build(POINT, day_of(spring, lambda n: n), spring, 1, BL01.usable).whole(spring)


def test_high_and_low_take_whole_days() -> None:
    days = np.array([[5, 1], [4, 4], [1, 9], [2, 2]], np.int64)
    assert average(days, Rule(2, 4, "high")).tolist() == [3, 7]  # (1, 9) and (4, 4): 2.5 and 6.5
    assert average(days, Rule(2, 4, "low")).tolist() == [4, 2]  # (2, 2) and (5, 1): 3.5 and 1.5
    assert average(days, Rule(2, 4, "mid")).tolist() == [3, 3]  # 2, 4 and 2, 4 -> 3; 2, 4 -> 3
    assert average(days[:3], Rule(2, 4, "mid")).tolist() == [
        3,
        5,
    ]  # three: all of them, 10/3 and 14/3


def test_a_proclaimed_holiday_is_added_and_a_moved_one_taken_away() -> None:
    monday = dt.date(2026, 9, 14)
    assert Calendar().day_type(monday) is DayType.WORKING
    assert Calendar(added=frozenset({monday})).day_type(monday) is DayType.NON_WORKING
    summer = dt.date(2026, 8, 31)
    assert Calendar().day_type(summer) is DayType.NON_WORKING
    assert Calendar(removed=frozenset({summer})).day_type(summer) is DayType.WORKING


def test_the_bank_holidays_of_england_and_wales() -> None:
    """As gov.uk lists them; Scotland's 2 January and Northern Ireland's 17 March are not among them."""
    known = {
        2025: ("01-01", "04-18", "04-21", "05-05", "05-26", "08-25", "12-25", "12-26"),
        2026: ("01-01", "04-03", "04-06", "05-04", "05-25", "08-31", "12-25", "12-28"),
        2027: ("01-01", "03-26", "03-29", "05-03", "05-31", "08-30", "12-27", "12-28"),
        2022: (
            "01-03",
            "04-15",
            "04-18",
            "05-02",
            "06-02",
            "06-03",
            "08-29",
            "09-19",
            "12-26",
            "12-27",
        ),
        2020: ("01-01", "04-10", "04-13", "05-08", "05-25", "08-31", "12-25", "12-28"),
    }
    for year, dates in known.items():
        weekdays = {day for day in bank_holidays(year) if day.weekday() < 5}
        assert weekdays == {dt.date.fromisoformat(f"{year}-{each}") for each in dates}, year


@given(seed=st.integers(0, 2**32 - 1))
def test_permuting_days_outside_the_selection_changes_nothing(seed: int) -> None:
    dice = random.Random(seed)
    days = days_before(DAY, 60)
    values = {day: dice.randrange(10_000) for day in days}
    events = set(dice.sample(days, 10))
    before = made(DAY, values, events)
    others = [day for day in days if day not in before.days]
    shuffled = [values[day] for day in others]
    dice.shuffle(shuffled)
    after = made(DAY, values | dict(zip(others, shuffled, strict=True)), events)
    assert after == before


@given(seed=st.integers(0, 2**32 - 1))
def test_a_baseline_lies_between_the_least_and_the_most_of_its_days(seed: int) -> None:
    dice = random.Random(seed)
    values = {day: dice.randrange(10_000) for day in days_before(DAY, 60)}
    found = made(DAY, values)
    chosen = [values[day] for day in found.days]
    assert all(min(chosen) <= wh <= max(chosen) for wh in found.wh)


def test_the_adjustment_is_flat_and_needs_every_reading_of_its_window() -> None:
    event = at(37)
    window = list(window_of(event, BL01))
    assert window == [at(n) for n in range(29, 35)]
    assert list(window_of(event, replace(BL01, gap=0))) == [at(n) for n in range(31, 37)]
    base = dict.fromkeys(window, 1000)
    metered = {start: reading(start, 1000 + n) for n, start in enumerate(window)}  # + 0 .. 5
    found = adjustment(event, metered, base, BL01)
    assert (found.wh, found.applied) == (3, True)  # 2.5, half up
    for broken in (Quality.ESTIMATED, Quality.MISSING):
        worse = metered | {window[2]: reading(window[2], 1002, broken)}
        assert adjustment(event, worse, base, BL01) == Adjustment(
            0, tuple(window), applied=False, detail="a period of its window has no usable reading"
        )


def test_an_adjusted_baseline_of_an_import_site_is_not_below_zero() -> None:
    change = Adjustment(-500, applied=True)
    assert adjusted(300, change, BL01) == 0
    assert adjusted(300, change, replace(BL01, import_only=False)) == -200


def test_the_guard_names_the_periods_in_which_a_plan_would_raise_its_own_baseline() -> None:
    event = at(37)
    before = dict.fromkeys(starts_of(DAY), 100.0)
    assert raised_within(before, before, [event], BL01) == ()
    assert raised_within(before, before | {at(35): 500.0, at(28): 500.0}, [event], BL01) == ()
    assert raised_within(before, before | {at(30): 100.5}, [event], BL01) == (at(30),)
    assert raised_within({}, {at(34): 1.0}, [event], BL01) == (at(34),)
    assert raised_within(before, before | {at(30): 100.5}, [event], replace(BL01, gap=0)) == ()


def test_a_nomination_counts_only_when_it_was_fixed_before_gate_closure() -> None:
    start = at(37)
    gate = start - 3600
    every = [
        Nomination(POINT, start, 900, gate - 7200),
        Nomination(POINT, start, 800, gate),
        Nomination(POINT, start, 100, gate + 1),
        Nomination("other", start, 1, gate + 1),
    ]
    for ordered in (every, every[::-1]):
        standing = in_force(ordered)
        assert standing == {(POINT, start): every[1]}


def test_the_profile_s_digest_names_its_constants() -> None:
    assert BL01.digest == Profile().digest
    assert replace(BL01, gap=0).digest != BL01.digest
    assert replace(BL01, working=Rule(10, 10, "mid", 6)).digest != BL01.digest
