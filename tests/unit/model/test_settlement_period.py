"""Every half-hour is exactly one settlement period."""

from __future__ import annotations

import datetime as dt

import pytest

from flexlond.model.settlement_period import (
    LENGTH,
    PeriodError,
    SettlementPeriod,
    column_of,
    date_of,
    day_start,
    periods_in,
    starts_of,
)


def epoch(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())


def test_every_half_hour_of_2025_to_2035_is_one_to_one() -> None:
    at, end = epoch("2025-01-01T00:00:00+00:00"), epoch("2036-01-01T00:00:00+00:00")
    seen: set[tuple[dt.date, int]] = set()
    lengths: dict[int, int] = {}
    for start in range(at, end, LENGTH):
        period = SettlementPeriod.at(start)
        assert period.start == start
        assert SettlementPeriod.at(start + LENGTH - 1) == period
        seen.add((period.date, period.number))
    assert len(seen) == (end - at) // LENGTH
    day = dt.date(2025, 1, 1)
    total = 0
    while day < dt.date(2036, 1, 1):
        count = periods_in(day)
        assert {number for number in range(1, 53) if (day, number) in seen} == set(
            range(1, count + 1)
        )
        assert list(starts_of(day)) == [SettlementPeriod(day, n).start for n in range(1, count + 1)]
        lengths[count] = lengths.get(count, 0) + 1
        total += count
        day += dt.timedelta(days=1)
    assert total == len(seen)
    assert lengths == {46: 11, 48: 4017 - 22, 50: 11}


@pytest.mark.parametrize(
    ("day", "count"),
    [("2026-03-29", 46), ("2026-10-25", 50), ("2026-03-28", 48), ("2026-12-25", 48)],
)
def test_clock_change_days(day: str, count: int) -> None:
    assert periods_in(dt.date.fromisoformat(day)) == count


def test_period_37_of_a_summer_day_begins_at_17z_and_closes_at_16z() -> None:
    period = SettlementPeriod(dt.date(2026, 9, 15), 37)
    assert period.start == epoch("2026-09-15T17:00:00+00:00")
    assert period.gate_closure == epoch("2026-09-15T16:00:00+00:00")
    assert period.end - period.start == 1800


def test_the_first_half_hour_of_a_summer_day_lies_in_the_utc_day_before() -> None:
    assert date_of(epoch("2026-06-30T23:00:00+00:00")) == dt.date(2026, 7, 1)
    assert date_of(epoch("2026-06-30T22:59:59+00:00")) == dt.date(2026, 6, 30)


@pytest.mark.parametrize(
    ("day", "number"), [("2026-03-29", 47), ("2026-03-28", 49), ("2026-03-28", 0)]
)
def test_a_number_that_the_day_has_not_is_refused(day: str, number: int) -> None:
    with pytest.raises(PeriodError, match=r"has 4[68] settlement periods"):
        SettlementPeriod(dt.date.fromisoformat(day), number)


def test_columns_repeat_in_autumn_and_miss_in_spring() -> None:
    autumn = [column_of(start) for start in starts_of(dt.date(2026, 10, 25))]
    assert autumn[:8] == [0, 1, 2, 3, 2, 3, 4, 5]
    spring = [column_of(start) for start in starts_of(dt.date(2026, 3, 29))]
    assert spring[:4] == [0, 1, 4, 5]
    assert [column_of(start) for start in starts_of(dt.date(2026, 7, 1))] == list(range(48))
    assert day_start(dt.date(2026, 7, 1)) == epoch("2026-06-30T23:00:00+00:00")
