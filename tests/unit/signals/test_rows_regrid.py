"""Rows in order, unknown stays unknown, and the mean over a slot against its definition."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.timegrid import TimeGrid
from flexlond.signals.regrid import regrid
from flexlond.signals.rows import Row, SignalError, merge_history, number, parse_utc, tidy

NAN = math.nan


def known(rows: tuple[Row, ...]) -> list[tuple[int, int, float | None]]:
    return [(r.start, r.end, None if math.isnan(r.value) else r.value) for r in rows]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T12:10Z",
        "2026-11-23T12:10:00Z",
        "2026-11-23T12:10:00.000Z",
        "2026-11-23T12:10",
        "2026-11-23 12:10",
        "2026-11-23T13:10+01:00",
        " 2026-11-23T12:10Z ",
    ],
)
def test_a_moment_with_or_without_zone_is_utc(text: str, now: int) -> None:
    assert parse_utc(text) == now


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01T00:00Z", "23/11/2026", None, 1795435800])
def test_a_moment_that_is_none_is_an_error(text: object) -> None:
    with pytest.raises(SignalError, match=r"expected like|ISO 8601"):
        parse_utc(text)


@pytest.mark.parametrize("value", [None, True, "", "n/a", [], {}, math.inf, "nan", "inf", 10**400])
def test_what_is_no_number_is_unknown(value: object) -> None:
    assert math.isnan(number(value))


def test_numbers_may_be_text_or_negative() -> None:
    assert (number("-12.5"), number(0), number(7)) == (-12.5, 0.0, 7.0)


def test_unordered_rows_are_put_in_order() -> None:
    tidied = tidy([Row(20, 30, 2.0), Row(0, 10, 0.0), Row(10, 20, 1.0)], -10, 10)
    assert known(tidied.rows) == [(0, 10, 0.0), (10, 20, 1.0), (20, 30, 2.0)]
    assert tidied.notes == ()


def test_an_equal_duplicate_is_dropped_and_a_different_one_makes_the_moment_unknown() -> None:
    tidied = tidy([Row(0, 10, 1.0), Row(0, 10, 1.0), Row(10, 20, 1.0), Row(10, 20, 2.0)], -9, 9)
    assert known(tidied.rows) == [(0, 10, 1.0), (10, 20, None)]
    assert tidied.notes == ("1 moment(s) with two different values taken as unknown",)


def test_a_third_row_does_not_bring_a_doubtful_moment_back() -> None:
    tidied = tidy([Row(0, 10, 1.0), Row(0, 10, 2.0), Row(0, 10, 1.0)], -9, 9)
    assert known(tidied.rows) == [(0, 10, None)]


def test_values_out_of_range_are_unknown_and_said() -> None:
    values = (-1.0, 0.0, 9000.0, 9001.0)
    tidied = tidy([Row(i, i + 1, value) for i, value in enumerate(values)], 0, 9000)
    assert [value for *_, value in known(tidied.rows)] == [None, 0.0, 9000.0, None]
    assert tidied.notes == ("2 value(s) outside 0 to 9000 taken as unknown",)


def test_a_row_that_runs_into_the_next_ends_there() -> None:
    tidied = tidy([Row(0, 15, 1.0), Row(10, 20, 2.0)], 0, 9)
    assert known(tidied.rows) == [(0, 10, 1.0), (10, 20, 2.0)]


def test_rows_without_length_or_value_are_counted() -> None:
    tidied = tidy([Row(10, 10, 1.0), Row(20, 30, NAN)], 0, 9)
    assert known(tidied.rows) == [(20, 30, None)]
    assert tidied.notes == ("2 row(s) without a usable value",)


def test_a_new_answer_replaces_the_whole_future_and_keeps_the_past() -> None:
    old = [Row(0, 10, 1.0), Row(10, 20, 2.0), Row(20, 30, 3.0), Row(30, 40, 4.0)]
    merged = merge_history(old, [Row(20, 30, 9.0)], now=22, keep=15)
    assert known(merged) == [(10, 20, 2.0), (20, 30, 9.0)]


def test_a_new_answer_about_the_past_replaces_that_past() -> None:
    old = [Row(0, 10, 1.0), Row(10, 20, 2.0)]
    merged = merge_history(old, [Row(10, 20, 9.0), Row(20, 30, 3.0)], now=25, keep=99)
    assert known(merged) == [(0, 10, 1.0), (10, 20, 9.0), (20, 30, 3.0)]


def test_a_longer_slot_takes_the_mean_weighted_by_time() -> None:
    rows = [Row(0, 30, 10.0), Row(30, 40, 50.0)]
    assert regrid(rows, TimeGrid(0, 40, 1))[0] == pytest.approx(20.0)


def test_a_shorter_slot_takes_the_value_exactly() -> None:
    rows = [Row(0, 1800, 0.1), Row(1800, 3600, 0.3)]
    values = regrid(rows, TimeGrid(0, 7, 514))
    assert set(values[:257]) == {0.1}
    assert values[257] == pytest.approx(0.1 + 0.2 * 6 / 7)  # slot 1799 to 1806 is over the edge
    assert set(values[258:]) == {0.3}


@pytest.mark.parametrize(
    "rows",
    [
        [Row(0, 50, 1.0), Row(51, 100, 1.0)],  # one second missing
        [Row(1, 100, 1.0)],
        [Row(0, 99, 1.0)],
        [Row(0, 50, 1.0), Row(50, 100, NAN)],
        [],
    ],
)
def test_a_slot_not_wholly_covered_is_unknown(rows: list[Row]) -> None:
    assert np.isnan(regrid(rows, TimeGrid(0, 100, 1))).all()


def test_nothing_is_known_before_and_after_the_rows() -> None:
    values = regrid([Row(100, 200, 5.0)], TimeGrid(0, 100, 4))
    np.testing.assert_array_equal(values, [NAN, 5.0, NAN, NAN])


@st.composite
def contiguous_rows(draw: st.DrawFn) -> list[Row]:
    lengths = draw(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
    value = st.floats(-500, 6000, allow_nan=False)
    rows, start = [], draw(st.integers(0, 2_000_000_000))
    for length in lengths:
        rows.append(Row(start, start + length, draw(value)))
        start += length
    return rows


@settings(max_examples=200, deadline=None)
@given(rows=contiguous_rows(), slots=st.integers(1, 40), data=st.data())
def test_the_energy_weighted_mean_is_preserved(
    rows: list[Row], slots: int, data: st.DataObject
) -> None:
    """A constant load over the grid pays the same by slots as by rows."""
    span = rows[-1].end - rows[0].start
    length = max(1, span // slots)
    offset = data.draw(st.integers(0, max(0, span - length)))
    start = rows[0].start + offset
    grid = TimeGrid(start, length, (rows[-1].end - start) // length)
    by_slots = regrid(rows, grid).sum() * length
    by_rows = sum(
        row.value * max(0, min(row.end, grid.end) - max(row.start, grid.start)) for row in rows
    )
    scale = sum(abs(row.value) * (row.end - row.start) for row in rows) + 1.0
    assert abs(by_slots - by_rows) <= 1e-9 * scale


@settings(max_examples=200, deadline=None)
@given(rows=contiguous_rows(), data=st.data())
def test_each_slot_agrees_with_the_definition_when_rows_are_missing(
    rows: list[Row], data: st.DataObject
) -> None:
    keep = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    some = [row for row, kept in zip(rows, keep, strict=True) if kept]
    length = data.draw(st.integers(1, 9000))
    start = rows[0].start - data.draw(st.integers(0, 9000))
    grid = TimeGrid(start, length, 12)
    values = regrid(some, grid)
    for index in range(grid.count):
        low, high = grid.slot_start(index), grid.slot_start(index) + length
        parts = [(min(r.end, high) - max(r.start, low), r.value) for r in some]
        parts = [(seconds, value) for seconds, value in parts if seconds > 0]
        if sum(seconds for seconds, _ in parts) == length:
            mean = sum(seconds * value for seconds, value in parts) / length
            assert values[index] == pytest.approx(mean, rel=1e-6, abs=1e-4)
            assert min(v for _, v in parts) - 1e-4 <= values[index]
            assert values[index] <= max(v for _, v in parts) + 1e-4
        else:
            assert math.isnan(values[index])


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_clock_change_does_not_exist_in_utc(day: str) -> None:
    """46 or 50 settlement periods in London; in UTC half-hour follows half-hour."""
    london = ZoneInfo("Europe/London")
    begins = datetime.fromisoformat(day).replace(tzinfo=london)
    ends = (begins + timedelta(days=1)).replace(tzinfo=london)
    start, end = int(begins.timestamp()), int(ends.timestamp())
    periods = (end - start) // 1800
    assert periods == {"2026-03-29": 46, "2026-10-25": 50}[day]
    rows = [Row(start + i * 1800, start + (i + 1) * 1800, float(i)) for i in range(periods)]
    np.testing.assert_array_equal(
        regrid(rows, TimeGrid(start, 1800, periods)), np.arange(periods, dtype=float)
    )
