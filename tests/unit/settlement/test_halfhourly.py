"""The half-hourly file: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.model.settlement_period import LENGTH, day_start, starts_of
from flexlond.settlement.halfhourly import parse, write
from flexlond.settlement.readings import Quality, Reading

HEAD = "point,settlement_date,settlement_period,kwh,quality\n"
UTC_HEAD = "point,utc,kwh\n"


def test_by_settlement_period_and_by_utc_are_the_same() -> None:
    one, problems = parse(HEAD + "m,2026-07-01,1,12.3456,measured\n", "f")
    two, _ = parse("\ufeff" + UTC_HEAD + "m,2026-06-30T23:00:00Z,12.346\n", "f")
    three, _ = parse(UTC_HEAD + "m,2026-07-01T00:00:00+01:00,12.346\n", "f")
    assert problems == []
    assert one == two == three
    assert (one[0].wh, one[0].quality, one[0].start) == (
        12_346,
        Quality.MEASURED,
        day_start(dt.date(2026, 7, 1)),
    )


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("m,2026-03-29,47,1,", "2026-03-29 has 46 settlement periods"),
        ("m,2026-03-30,49,1,", "has 48 settlement periods"),
        ("m,2026-02-30,1,1,", "must be like 2026-01-31 and 17"),
        ("m,2026-01-01,one,1,", "must be like"),
        (",2026-01-01,1,1,", "no metering point"),
        ("m,2026-01-01,1,1,good", "'good' is none of measured"),
        ("m,2026-01-01,1,a lot,", "'a lot' is no plausible number of kWh"),
        ("m,2026-01-01,1,nan,", "no plausible number"),
        ("m,2026-01-01,1,1e30,", "no plausible number"),
        ("m,2026-01-01,1,5,missing", "a missing reading has a value"),
    ],
)
def test_a_bad_row_is_a_problem_with_its_line(row: str, says: str) -> None:
    readings, problems = parse(HEAD + "m,2026-01-01,3,1,\n" + row + "\n", "f.csv")
    assert len(readings) == 1
    assert len(problems) == 1
    assert problems[0].startswith("f.csv, line 3: ")
    assert says in problems[0]


@pytest.mark.parametrize(
    ("stamp", "says"),
    [
        ("2026-10-25 01:30:00", "has no offset; write UTC"),
        ("2026-10-25T01:15:00Z", "not the start of a half-hour"),
        ("yesterday", "is not like 2026-01-31T17:30:00Z"),
        ("", "is not like"),
    ],
)
def test_a_time_that_may_mean_two_things_is_refused(stamp: str, says: str) -> None:
    readings, problems = parse(UTC_HEAD + f"m,{stamp},1\n", "f")
    assert readings == []
    assert says in problems[0]


def test_both_times_must_agree() -> None:
    head = "point,settlement_date,settlement_period,utc,kwh\n"
    assert parse(head + "m,2026-07-01,1,2026-06-30T23:00:00Z,1\n", "f")[1] == []
    _, problems = parse(head + "m,2026-07-01,1,2026-07-01T00:00:00Z,1\n", "f")
    assert "name different half-hours" in problems[0]


def test_the_columns_are_named_or_the_file_is_refused() -> None:
    readings, problems = parse("time,kwh\n1,2\n", "f")
    assert readings == []
    assert "must name the columns point, kwh" in problems[0]
    assert "names kwh, time" in problems[0]
    assert "names nothing" in parse("", "f")[1][0]


def test_no_value_is_missing_and_not_zero() -> None:
    readings, problems = parse(HEAD + "m,2026-01-01,1,,\nm,2026-01-01,2,0,\n", "f")
    assert [one.quality for one in readings] == [Quality.MISSING, Quality.MEASURED]
    assert problems == []


def test_the_same_row_twice_is_one_and_a_different_one_is_an_estimate() -> None:
    twice = "m,2026-01-01,1,10,\nm,2026-01-01,1,10,\n"
    (one,), problems = parse(HEAD + twice, "f")
    assert (one.wh, one.quality) == (10_000, Quality.MEASURED)
    assert (problems, one.detail) == ([], "given twice")
    (one,), problems = parse(
        HEAD + "m,2026-01-01,1,10,\nm,2026-01-01,1,12,\nm,2026-01-01,1,11,\n", "f"
    )
    assert (one.wh, one.quality, one.uncertainty_wh) == (12_000, Quality.ESTIMATED, 2000)
    assert "10000, 12000, 11000 Wh" in problems[0]


@given(
    st.lists(
        st.builds(
            Reading,
            st.sampled_from(["a", "b, c", 'd"e']),
            st.integers(0, 100_000).map(lambda n: 1_700_000_000 // LENGTH * LENGTH + n * LENGTH),
            st.integers(-(10**9), 10**9),
            st.sampled_from([Quality.MEASURED, Quality.SUBSTITUTED, Quality.ESTIMATED]),
            st.just("f"),
            st.integers(0, 10**6),
        ),
        unique_by=lambda one: (one.point, one.start),
    )
)
def test_what_is_written_is_read_back(readings: list[Reading]) -> None:
    ordered = sorted(readings, key=lambda one: (one.point, one.start))
    assert parse(write(ordered), "f") == (ordered, [])


def test_a_whole_day_of_50_is_written_and_read() -> None:
    day = dt.date(2026, 10, 25)
    readings = [
        Reading("m", start, n, Quality.MEASURED, "f") for n, start in enumerate(starts_of(day))
    ]
    text = write(readings)
    assert "m,2026-10-25,50,2026-10-25T23:30:00Z,0.049,measured,0.000" in text
    assert parse(text, "f") == (readings, [])


def test_a_missing_reading_is_written_without_a_value() -> None:
    text = write([Reading("m", day_start(dt.date(2026, 1, 1)), 0, Quality.MISSING, "f")])
    assert "2026-01-01T00:00:00Z,,missing" in text
    assert parse(text, "f")[0][0].quality is Quality.MISSING
