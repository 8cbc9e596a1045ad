"""Past signals: what was known when, holes, persistence, and that no decision sees what came later."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flexlond.backtest.past_signals import PastSignals
from flexlond.backtest.published import Published, day_ahead, known, measured
from flexlond.backtest.signal_files import SeriesSpec, load_signals, make_signals
from flexlond.backtest.vintages import Vintage, Vintages
from flexlond.model.timegrid import TimeGrid
from flexlond.signals.rows import DAY, HOUR, Row, SignalError

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[4] / "shared" / "data"
T0 = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())  # a Monday, 0:00 UTC
BERLIN = ZoneInfo("Europe/Berlin")


def rows(values: list[float] | np.ndarray, start: int = T0, step: int = HOUR) -> tuple[Row, ...]:
    return tuple(
        Row(start + k * step, start + (k + 1) * step, float(value))
        for k, value in enumerate(values)
    )


def hours(start: int, count: int, slot: int = HOUR) -> TimeGrid:
    return TimeGrid(start, slot, count)


def csv_file(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def utc(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def hourly_csv(path: Path, count: int = 48, skip: tuple[int, ...] = ()) -> Path:
    lines = [f"{utc(T0 + k * HOUR)},{k},{100 + k}" for k in range(count) if k not in skip]
    return csv_file(path, "utc,price,carbon", lines)


# What was known when


def test_known_in_advance_is_the_actual_and_is_labelled() -> None:
    series = known(rows(np.arange(48)))
    grid = hours(T0 - 2 * HOUR, 10)
    seen = series.known_at(T0 - 10 * DAY, grid)
    np.testing.assert_array_equal(seen, series.actual(grid))
    np.testing.assert_array_equal(seen[2:], np.arange(8))
    assert np.isnan(seen[:2]).all()
    assert series.foresight
    assert "perfect foresight" in series.label


def test_day_ahead_prices_come_at_1245_local_for_the_next_local_day() -> None:
    series = day_ahead(rows(np.arange(24 * 5)), extend=False)
    midnight = int(datetime(2026, 3, 4, tzinfo=BERLIN).timestamp())  # Wednesday begins, 23:00 UTC
    noon = int(datetime(2026, 3, 3, 12, 45, tzinfo=BERLIN).timestamp())
    grid = hours(noon - noon % HOUR, 60)
    before, after = series.known_at(noon - 1, grid), series.known_at(noon, grid)
    last_before = grid.slot_start(int(np.flatnonzero(np.isfinite(before))[-1]) + 1)
    last_after = grid.slot_start(int(np.flatnonzero(np.isfinite(after))[-1]) + 1)
    assert last_before == midnight
    assert last_after == midnight + DAY


def test_day_ahead_over_the_clock_change() -> None:
    start = int(datetime(2026, 3, 27, tzinfo=UTC).timestamp())
    series = day_ahead(rows(np.arange(24 * 5), start), extend=False)
    for day in (28, 29, 30):  # 29 March has 23 hours
        moment = int(datetime(2026, 3, day, 12, 45, tzinfo=BERLIN).timestamp())
        grid = hours(start, 24 * 5)
        seen = np.isfinite(series.known_at(moment, grid))
        after = datetime(2026, 3, day, tzinfo=BERLIN) + timedelta(days=2)  # local midnight
        end = after.timestamp()
        assert grid.slot_start(int(seen.sum())) == min(end, grid.end)


def test_a_measured_value_is_published_a_lag_after_its_rows_end() -> None:
    series = measured(rows(np.arange(48)), lag=HOUR, extend=False)
    grid = hours(T0, 96, 1800)
    seen = series.known_at(T0 + 4 * HOUR - 1, grid)
    assert np.isfinite(seen).sum() == 4  # rows 0 and 1: half of row 2 is not published by itself
    assert np.isfinite(series.known_at(T0 + 4 * HOUR, grid)).sum() == 6


def test_vintages_newest_issued_wins_and_measured_comes_with_its_lag() -> None:
    actual = rows(np.full(96, 1.0))
    one = Vintage(T0, rows(np.full(48, 10.0)))
    two = Vintage(T0 + DAY, rows(np.full(48, 20.0), T0 + DAY))
    series = Vintages([two, one], actual, lag=HOUR, extend=False)
    grid = hours(T0, 96)
    assert np.isnan(series.known_at(T0 - 1, grid)).all()
    first = series.known_at(T0, grid)
    assert first[:48].tolist() == [10.0] * 48
    assert np.isnan(first[48:]).all()
    evening = series.known_at(T0 + DAY - 1, grid)
    assert evening[:22].tolist() == [1.0] * 22
    assert evening[22:48].tolist() == [10.0] * 26
    morning = series.known_at(T0 + DAY, grid)
    assert morning[22:26].tolist() == [1.0, 10.0, 20.0, 20.0]
    assert morning[71] == 20.0
    assert np.isnan(morning[72:]).all()
    assert series.actual(grid).tolist() == [1.0] * 96
    assert not series.foresight


def test_a_hole_in_the_newest_vintage_is_not_filled_from_an_older_one() -> None:
    values = np.full(24, 20.0)
    values[5] = np.nan
    newest = tuple(row for row in rows(values, T0 + DAY) if np.isfinite(row.value))
    series = Vintages(
        [Vintage(T0, rows(np.full(72, 10.0))), Vintage(T0 + DAY, newest)],
        rows(np.full(96, 1.0)),
        extend=False,
    )
    seen = series.known_at(T0 + DAY, hours(T0 + DAY, 30))
    assert np.flatnonzero(np.isnan(seen)).tolist() == [5, *range(24, 30)]


# Persistence


def test_what_is_not_published_is_expected_as_the_latest_like_day() -> None:
    week = np.concatenate([np.full(24, day) for day in range(7)])  # Monday is 0, Sunday 6
    series = measured(rows(week), lag=0)
    seen = series.known_at(T0 + 7 * DAY, hours(T0 + 7 * DAY, 24 * 9))
    by_day = [4, 4, 4, 4, 4, 6, 6, 4, 4]  # weekdays as Friday, weekends as Sunday
    np.testing.assert_array_equal(seen.reshape(9, 24)[:, 0], by_day)
    assert "expected after what is published" in series.label


def test_persistence_within_the_day_takes_the_same_hour() -> None:
    series = measured(rows(np.arange(30)), lag=0)
    seen = series.known_at(T0 + 30 * HOUR, hours(T0 + 28 * HOUR, 26))
    expected = [28, 29, *range(6, 24), *range(24, 30)]
    assert seen.tolist() == expected


def test_persistence_forgets_what_is_older_than_a_week() -> None:
    values = np.full(24 * 20, np.nan)
    values[:24] = 5.0
    values[24 * 19 : 24 * 19 + 3] = 7.0
    series = measured(rows(values), lag=0)
    seen = series.known_at(T0 + 20 * DAY, hours(T0 + 20 * DAY, 24))
    assert seen[:3].tolist() == [7.0] * 3
    assert np.isnan(seen[3:]).all()


def test_persistence_needs_slots_that_are_parts_of_a_day() -> None:
    with pytest.raises(ValueError, match="no whole part of a day"):
        measured(rows(np.arange(30))).known_at(T0 + DAY, hours(T0, 5, 7000))


# Nothing from the future


def random_vintages(generator: np.random.Generator, every: int) -> list[Vintage]:
    return [
        Vintage(at, rows(generator.normal(size=int(generator.integers(1, 60))), at))
        for at in range(T0, T0 + 10 * DAY, every)
    ]


@settings(max_examples=60, deadline=None)
@given(
    now=st.integers(T0 - DAY, T0 + 11 * DAY),
    seed=st.integers(0, 2**32),
    slot=st.sampled_from([300, 900, 1800, 3600, 7200]),
    ahead=st.integers(-48, 48),
    extend=st.booleans(),
)
@example(now=1_773_273_600, seed=78, slot=7200, ahead=-1, extend=False)  # ends inside a slot
def test_altering_what_is_published_later_changes_nothing(
    now: int, seed: int, slot: int, ahead: int, *, extend: bool
) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=240)
    values[generator.random(240) < 0.05] = np.nan
    forecasts = random_vintages(generator, int(generator.integers(3, 30)) * HOUR)
    grid = TimeGrid.covering(now + ahead * HOUR, slot, 7 * DAY // slot)
    lag = int(generator.integers(0, 3)) * 1800

    def local_day_before(row: Row) -> int:
        day = datetime.fromtimestamp(row.start, BERLIN).date() - timedelta(days=1)
        return int(datetime(day.year, day.month, day.day, 12, 45, tzinfo=BERLIN).timestamp())

    def altered(published: Callable[[Row], int]) -> tuple[Row, ...]:
        other = np.random.default_rng(seed + 1)
        kept = (row for row in rows(values) if published(row) <= now or other.random() < 0.9)
        return tuple(
            row
            if published(row) <= now
            else Row(row.start, row.end, np.nan if other.random() < 0.1 else other.normal())
            for row in kept
        )

    def end_and_lag(row: Row) -> int:
        return row.end + lag

    pairs: list[tuple] = []
    later = altered(local_day_before)
    if later:
        pairs.append((day_ahead(rows(values), extend=extend), day_ahead(later, extend=extend)))
    later = altered(end_and_lag)
    if later:
        pairs.append(
            (
                measured(rows(values), lag=lag, extend=extend),
                measured(later, lag=lag, extend=extend),
            )
        )
        others = [v for v in forecasts if v.issued <= now]
        others += [
            Vintage(v.issued + 1, rows(-np.arange(50.0), v.issued))
            for v in forecasts
            if v.issued > now
        ]
        if others:
            pairs.append(
                (
                    Vintages(forecasts, rows(values), lag=lag, extend=extend),
                    Vintages(others, later, lag=lag, extend=extend),
                )
            )
    assert pairs or now > T0
    for one, other in pairs:
        np.testing.assert_array_equal(one.known_at(now, grid), other.known_at(now, grid))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(T0, T0 + 9 * DAY), min_size=2, max_size=6), st.integers(0, 99))
def test_what_was_asked_before_does_not_change_the_answer(moments: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    values, forecasts = generator.normal(size=240), random_vintages(generator, 6 * HOUR)

    def fresh() -> list[Published | Vintages]:
        return [
            day_ahead(rows(values)),
            measured(rows(values)),
            Vintages(forecasts, rows(values)),
        ]

    used = fresh()
    for now in moments:
        for slot in (1800, 3600):
            grid = TimeGrid.covering(now, slot, 100)
            for one, other in zip(used, fresh(), strict=True):
                seen = one.known_at(now, grid)
                np.testing.assert_array_equal(seen, other.known_at(now, grid))
                seen[
                    :
                ] = -1e9  # the caller's own array: writing to it must not reach the next answer


# Files


def test_one_csv_with_both_columns(tmp_path: Path) -> None:
    signals = load_signals(hourly_csv(tmp_path / "day.csv"))
    price, carbon = signals.known_at(0, hours(T0, 4, 1800))
    assert price.tolist() == [0, 0, 1, 1]
    assert carbon.tolist() == [100, 100, 101, 101]
    assert signals.name == "day"
    assert signals.foresight
    assert signals.span == (T0, T0 + 48 * HOUR)
    assert signals.problems == ()


def test_two_csv_files_options_and_gzip(tmp_path: Path) -> None:
    text = hourly_csv(tmp_path / "a.csv").read_text()
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    signals = load_signals(
        [tmp_path / "a.csv", tmp_path / "b.csv.gz"],
        price_column="carbon",
        carbon_column="price",
        factor=2,
        name="swapped",
    )
    price, carbon = signals.actual(hours(T0, 2))
    assert (price.tolist(), carbon.tolist()) == ([200, 202], [0, 1])
    assert signals.name == "swapped"


def test_a_hole_stays_unknown_and_is_said(tmp_path: Path) -> None:
    path = hourly_csv(tmp_path / "day.csv", skip=(5, 6))
    path.write_text(path.read_text() + f"{utc(T0 + 48 * HOUR)},,7\nsoon,1,2\n")
    signals = load_signals(path)
    price, _ = signals.actual(hours(T0, 49))
    assert np.flatnonzero(np.isnan(price)).tolist() == [5, 6, 48]
    said = "\n".join(signals.problems)
    assert f"1 holes between rows, unknown there (first {utc(T0 + 5 * HOUR)}" in said
    assert "1 row(s) without a usable value" in said
    assert "day.csv:49: the moment 'soon'" in said


def test_two_values_for_one_moment_are_unknown(tmp_path: Path) -> None:
    path = hourly_csv(tmp_path / "day.csv")
    path.write_text(path.read_text() + f"{utc(T0)},77,100\n")
    signals = load_signals(path)
    price, carbon = signals.actual(hours(T0, 1))
    assert np.isnan(price[0])
    assert carbon[0] == 100
    assert any("two different values" in text for text in signals.problems)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("time,price,carbon", "no column 'utc'"),
        ("utc,a,carbon", "no column looks like price"),
        ("utc,price_a,price_b,carbon", "more than one column looks like price"),
    ],
)
def test_columns_that_cannot_be_told_are_an_error(tmp_path: Path, header: str, why: str) -> None:
    line = ",".join(["2026-01-01T00:00Z", *["1"] * header.count(",")])
    path = csv_file(tmp_path / "x.csv", header, [line])
    with pytest.raises(SignalError, match=why) as caught:
        load_signals(path)
    assert header.split(",")[1] in str(caught.value)


def test_files_with_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(SignalError, match="check the path"):
        load_signals(tmp_path / "none.csv")
    empty = csv_file(tmp_path / "x.csv", "utc,price,carbon", ["soon,1,2"])
    with pytest.raises(SignalError, match=r"no usable value of price \(first remark: x.csv:2"):
        load_signals(empty)
    with pytest.raises(SignalError, match="3 signal files"):
        load_signals([empty, empty, empty])
    with pytest.raises(SignalError, match="neither price nor carbon"):
        make_signals("x", None, None)


TOML = """
[signals]
name = "case"
[price]
path = "day.csv"
kind = "day-ahead"
factor = 0.5
[carbon]
path = "vintages.csv"
kind = "vintages"
"""


def vintage_csv(path: Path, issues: int = 4, wrong: int = -1) -> Path:
    """CarbonCast's form: 48 rows an issue, an issue a day; `wrong`: an issue with the day before."""
    lines = []
    for issue in range(issues):
        shown = issue - 1 if issue == wrong else issue
        for lead in range(48):
            hour = issue * 24 + lead
            at = datetime.fromtimestamp(T0 + shown * DAY + lead * HOUR, UTC)
            lines.append(f"{len(lines)},{at:%Y-%m-%d %H:%M:%S},{hour},{1000 * issue + lead}")
    return csv_file(path, ",UTC time,actual_direct,forecasted_direct", lines)


def test_a_toml_file_says_how_each_series_was_known(tmp_path: Path) -> None:
    hourly_csv(tmp_path / "day.csv", 96)
    vintage_csv(tmp_path / "vintages.csv")
    toml = tmp_path / "case.toml"
    toml.write_text(TOML)
    signals = load_signals(toml)
    assert (signals.name, signals.foresight, signals.problems) == ("case", False, ())
    assert "day-ahead, known from 12:45 Europe/Berlin" in signals.notes[0]
    assert "forecasts as issued" in signals.notes[1]
    now = T0 + DAY + HOUR
    price, carbon = signals.known_at(now, hours(now, 72))
    assert price[:3].tolist() == [12.5, 13, 13.5]
    assert carbon[:3].tolist() == [1001, 1002, 1003]
    assert np.isfinite(carbon).all()  # expected after the last lead
    assert signals.actual(hours(now, 2))[1].tolist() == [25, 26]


def test_vintages_by_position_where_the_written_moments_are_wrong(tmp_path: Path) -> None:
    path = vintage_csv(tmp_path / "v.csv", wrong=2)
    spec = SeriesSpec(path, kind="vintages", rows_per_issue=48)
    signals = make_signals("x", None, spec)
    assert any("48 moments differ" in text for text in signals.problems)
    assert signals.known_at(T0 + 2 * DAY, hours(T0 + 2 * DAY, 1))[1][0] == 2000
    by_moments = make_signals("x", None, SeriesSpec(path, kind="vintages"))
    assert any("v.csv:98: a second forecast" in text for text in by_moments.problems)
    assert by_moments.known_at(T0 + DAY, hours(T0 + DAY, 1))[1][0] == 1000


def test_a_bad_line_keeps_its_position(tmp_path: Path) -> None:
    path = vintage_csv(tmp_path / "v.csv")
    lines = path.read_text().split("\n")
    lines[11] = "broken"
    path.write_text("\n".join(lines))
    signals = make_signals("x", None, SeriesSpec(path, kind="vintages", rows_per_issue=48))
    seen = signals.known_at(T0, hours(T0, 20))[1]
    assert np.flatnonzero(np.isnan(seen)).tolist() == [10]
    assert signals.known_at(T0 + DAY, hours(T0 + DAY, 1))[1][0] == 1000
    assert any("v.csv:12: 1 fields instead of 4" in text for text in signals.problems)


def test_vintages_by_a_column_of_issue_with_actual_elsewhere(tmp_path: Path) -> None:
    lines = [
        f"{utc(T0 + issue * 1800)},{utc(T0 + issue * 1800 + lead * 1800)},{100 * issue + lead}"
        for issue in range(4)
        for lead in range(4)
    ]
    csv_file(tmp_path / "v.csv", "issued,utc,forecast", lines)
    hourly_csv(tmp_path / "day.csv")
    spec = SeriesSpec(tmp_path / "v.csv", kind="vintages", actual_path=tmp_path / "day.csv")
    signals = make_signals("x", None, spec, extend=False)
    seen = signals.known_at(T0 + 1800, hours(T0, 6, 1800))[1]
    np.testing.assert_array_equal(seen, [0, 100, 101, 102, 103, np.nan])
    price, _ = signals.actual(hours(T0, 1))
    assert np.isnan(price).all()
    assert signals.notes[0] == "price: none"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('name = "case"', "name = 5", "signals.name is 5; expected text"),
        ('kind = "day-ahead"', 'kind = "psychic"', "price: no kind 'psychic'"),
        ('kind = "day-ahead"', 'kind = "day-ahead"\nzone = "Mars"', "price: zone or at"),
        ('kind = "day-ahead"', 'kind = "day-ahead"\nat = "noon"', "price: zone or at"),
        ("factor = 0.5", 'factor = "half"', "price.factor is 'half'; expected a number"),
        ("factor = 0.5", "factor = true", "price.factor is True"),
        ("factor = 0.5", "factor = nan", "finite"),
        ("factor = 0.5", "facter = 1", "unknown key price.facter"),
        ('path = "day.csv"', 'column = "price"', "price.path is missing"),
        ('path = "day.csv"', 'path = "gone.csv"', "gone.csv: No such file"),
        ("[signals]", "[sigmals]", "unknown sigmals"),
        ("[signals]", "signals", "not TOML"),
        ('kind = "vintages"', 'kind = "vintages"\nrows_per_issue = 1', "2 or more"),
        ('kind = "vintages"', 'kind = "vintages"\nissued_column = "x"', "no column 'x'"),
    ],
)
def test_errors_in_a_toml_file_name_it_and_the_key(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    hourly_csv(tmp_path / "day.csv", 96)
    vintage_csv(tmp_path / "vintages.csv")
    toml = tmp_path / "case.toml"
    toml.write_text(TOML.replace(old, new, 1))
    with pytest.raises(SignalError, match=why) as caught:
        load_signals(toml)
    assert "case.toml" in str(caught.value)


def test_a_toml_file_takes_no_column_options(tmp_path: Path) -> None:
    with pytest.raises(SignalError, match="says all itself"):
        load_signals(tmp_path / "x.toml", price_column="a")


def test_past_signals_without_series_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        PastSignals("x", None, None)


# Real data


def german_case() -> PastSignals:
    zones = DATA / "zones"
    price = zones / "price_DE-LU_2021.csv.gz"
    (carbon, *_) = [*zones.glob("carboncast_DE_*.csv.gz"), Path()]
    if not price.exists() or not carbon.name:
        pytest.skip("the German series are not beside the project (../shared/data/zones)")
    return make_signals(
        "DE 2021",
        SeriesSpec(price, kind="day-ahead"),
        SeriesSpec(carbon, kind="vintages", rows_per_issue=96),
    )


def test_german_case_is_complete_and_its_forecast_is_a_forecast() -> None:
    signals = german_case()
    start = int(datetime(2021, 8, 1, tzinfo=UTC).timestamp())
    errors = []
    for day in range(60):
        now = start + day * DAY + 14 * HOUR
        grid = hours(now, 7 * 24)
        price, carbon = signals.known_at(now, grid)
        true_price, true_carbon = signals.actual(grid)
        assert np.isfinite([price, carbon, true_price, true_carbon]).all()
        assert (price[:32] == true_price[:32]).all()  # to the end of the next local day
        assert (price[34:] != true_price[34:]).any()
        errors.append(np.abs(carbon - true_carbon).reshape(7, 24).mean(axis=1))
    mean = np.mean(errors, axis=0)
    assert 5 < mean[0] < 60
    assert mean[0] < mean[6]


def test_known_at_is_fast_enough_for_thirty_thousand_calls() -> None:
    signals = german_case()
    start = int(datetime(2021, 8, 1, tzinfo=UTC).timestamp())
    signals.known_at(start, TimeGrid.covering(start, 1800, 336))
    began = time.perf_counter()
    for k in range(2000):
        now = start + k * 900
        signals.known_at(now, TimeGrid.covering(now, 1800, 336))
    assert (time.perf_counter() - began) / 2000 < 1e-3  # 25 microseconds where nothing else runs


def test_british_half_hours_are_foresight() -> None:
    path = DATA / "gb" / "gb_2026-01_2026-03_halfhourly.csv.gz"
    if not path.exists():
        pytest.skip("the British series are not beside the project (../shared/data/gb)")
    signals = load_signals(path)
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    price, carbon = signals.known_at(start, hours(start, 4320, 1800))
    assert (price[0], carbon[0]) == (46.67, 94)
    assert np.isfinite([price, carbon]).all()
    assert signals.foresight
