"""The CSV file as a feed: steps of any length, bad lines that stay unknown, and a file that changes."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.series import Kind, Quality
from flexlond.model.settings import Feed, SignalSettings
from flexlond.model.timegrid import TimeGrid
from flexlond.signals.csv_feed import parse_csv
from flexlond.signals.feeds import SignalHub
from flexlond.signals.restamp import DAYS, load_day, main, restamp, write_feed
from flexlond.signals.rows import SignalError

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1795435200  # 2026-11-23T12:00Z


def plain(text: str, column: str = "") -> list[tuple[int, int, float | None]]:
    rows = parse_csv(text, "p.csv", column).rows
    return [
        (r.start - EPOCH, r.end - EPOCH, None if math.isnan(r.value) else r.value) for r in rows
    ]


def test_a_row_holds_until_the_next_and_the_last_as_long_as_the_step_before() -> None:
    text = "utc,price\n2026-11-23T12:00Z,1\n2026-11-23T12:30Z,2\n2026-11-23T14:00Z,3\n"
    assert plain(text) == [(0, 1800, 1.0), (1800, 7200, 2.0), (7200, 12600, 3.0)]


def test_seven_second_steps() -> None:
    text = "utc,price\n2026-11-23T12:00:00Z,1\n2026-11-23T12:00:07Z,2\n"
    assert plain(text) == [(0, 7, 1.0), (7, 14, 2.0)]


def test_naive_moments_are_utc_and_offsets_are_honoured() -> None:
    text = "utc,price\n2026-11-23T12:00,1\n2026-11-23T13:30+01:00,2\n"
    assert plain(text) == [(0, 1800, 1.0), (1800, 3600, 2.0)]


def test_columns_are_found_by_name_in_any_place_and_case() -> None:
    text = "carbon,UTC,price\n50,2026-11-23T12:00Z,1\n60,2026-11-23T12:30Z,2\n"
    assert [value for *_, value in plain(text)] == [50.0, 60.0]  # the first one that is not utc
    assert [value for *_, value in plain(text, "Price")] == [1.0, 2.0]


def test_remarks_blank_lines_bom_free_crlf_and_order() -> None:
    text = "# words\r\n\r\nutc,price\r\n2026-11-23T12:30Z,2\r\n2026-11-23T12:00Z,1\r\n"
    assert plain(text) == [(0, 1800, 1.0), (1800, 3600, 2.0)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2026-11-23T12:30Z,cheap", "'cheap' is not a number"),
        ("2026-11-23T12:30Z,nan", "'nan' is not a number"),
        ("2026-11-23T12:30Z,1,2", "3 fields instead of 2"),
        ("2026-11-23T12:30Z", "1 fields instead of 2"),
    ],
)
def test_a_malformed_line_is_said_with_file_and_line_and_is_unknown(line: str, why: str) -> None:
    text = f"utc,price\n2026-11-23T12:00Z,1\n{line}\n2026-11-23T13:00Z,3\n"
    assert plain(text) == [(0, 1800, 1.0), (1800, 3600, None), (3600, 5400, 3.0)]
    assert parse_csv(text, "p.csv").notes == (f"p.csv:3: {why}; this line is unknown",)


def test_a_line_without_a_moment_is_not_papered_over_by_its_neighbour() -> None:
    text = (
        "utc,price\n2026-11-23T12:00Z,1\n2026-11-23T12:30Z,2\nnoonish,3\n"
        "2026-11-23T13:30Z,4\n2026-11-23T14:00Z,5\n"
    )
    assert plain(text) == [
        (0, 1800, 1.0),
        (1800, 3600, 2.0),  # and 13:00 to 13:30 stays unknown
        (5400, 7200, 4.0),
        (7200, 9000, 5.0),
    ]


def test_a_stray_quote_swallows_one_line_only() -> None:
    text = 'utc,price\n2026-11-23T12:00Z,"1\n2026-11-23T12:30Z,2\n2026-11-23T13:00Z,3\n'
    assert [value for *_, value in plain(text)][1:] == [2.0, 3.0]


def test_many_bad_lines_are_said_briefly() -> None:
    bad = "".join(f"2026-11-23T{hour}:00Z,x\n" for hour in range(13, 23))
    notes = parse_csv(f"utc,price\n2026-11-23T12:00Z,1\n{bad}", "p.csv").notes
    assert len(notes) == 6
    assert notes[-1] == "p.csv: and 5 more such lines"


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", "", "p.csv: empty"),
        ("# only remarks\n", "", "p.csv: empty"),
        ("time,price\n", "", "p.csv:1: no column 'utc'"),
        ("utc\n", "", "p.csv:1: only the column utc"),
        ("utc,price\n", "carbon", "p.csv:1: no column 'carbon'; there are utc, price"),
        ("utc,price\n", "", "p.csv: no usable rows"),
        ("utc,price\n2026-11-23T12:00Z,1\n", "", "at least two are needed"),
        ("utc,price\n2026-11-23T12:00Z,x\n2026-11-23T13:00Z,y\n", "", "first: p.csv:2: 'x'"),
    ],
)
def test_a_file_without_use_is_an_error_that_says_where(text: str, column: str, words: str) -> None:
    with pytest.raises(SignalError, match=r"p\.csv") as caught:
        parse_csv(text, "p.csv", column)
    assert words in str(caught.value)


def hub_of(path: Path, **more: Any) -> SignalHub:
    return SignalHub(SignalSettings(price=(Feed(source="csv", path=str(path), **more),)))


def write(path: Path, values: list[float], mtime: int = EPOCH) -> None:
    lines = [
        f"2026-11-23T{12 + i // 2}:{'30' if i % 2 else '00'}Z,{v}" for i, v in enumerate(values)
    ]
    path.write_text("utc,price\n" + "\n".join(lines) + "\n", encoding="utf-8")
    os.utime(path, (mtime, mtime))


async def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path, grid = tmp_path / "p.csv", TimeGrid(EPOCH, 1800, 2)
    write(path, [1.0, 2.0])
    hub = hub_of(path)
    await hub.refresh(EPOCH)
    np.testing.assert_array_equal(hub.series(Kind.PRICE, grid, EPOCH).values, [1.0, 2.0])
    write(path, [3.0, 4.0], EPOCH + 1)
    await hub.refresh(EPOCH + 1)  # long before `refresh` has passed
    series = hub.series(Kind.PRICE, grid, EPOCH + 1)
    np.testing.assert_array_equal(series.values, [3.0, 4.0])
    assert (series.quality, series.fetched_at) == (Quality.GOOD, EPOCH + 1)


async def test_a_file_taken_away_takes_its_word_back(tmp_path: Path) -> None:
    path, grid = tmp_path / "p.csv", TimeGrid(EPOCH, 1800, 2)
    write(path, [1.0, 2.0])
    hub = hub_of(path)
    await hub.refresh(EPOCH)
    path.unlink()
    await hub.refresh(EPOCH + 1)
    series = hub.series(Kind.PRICE, grid, EPOCH + 1)
    assert series.quality is Quality.ABSENT
    assert np.isnan(series.values).all()
    assert "No such file" in series.detail


async def test_max_age_counts_from_the_files_change(tmp_path: Path) -> None:
    path, grid = tmp_path / "p.csv", TimeGrid(EPOCH, 1800, 2)
    write(path, [1.0, 2.0], EPOCH - 7200)
    ageless, ageing = hub_of(path), hub_of(path, max_age=3600.0)
    for hub, quality in ((ageless, Quality.GOOD), (ageing, Quality.STALE)):
        await hub.refresh(EPOCH)
        assert hub.series(Kind.PRICE, grid, EPOCH).quality is quality


async def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"utc,price\n\xff\xfe\n")
    hub = hub_of(path)
    await hub.refresh(EPOCH)
    detail = hub.series(Kind.PRICE, TimeGrid(EPOCH, 1800, 2), EPOCH).detail
    assert "not UTF-8 text" in detail
    assert str(path) in detail


@pytest.mark.parametrize("name", DAYS)
def test_a_shipped_day_has_two_days_of_real_half_hours(name: str) -> None:
    rows = load_day(name, count=96)
    assert len(rows) == 96
    assert all(-100 < row.price < 1000 and 0 < row.carbon < 500 for row in rows)
    assert load_day(name, first=32) == rows[32:80]


@pytest.mark.parametrize(("name", "first", "count"), [("best", 0, 48), ("typical", 60, 48)])
def test_a_day_or_stretch_that_is_not_there(name: str, first: int, count: int) -> None:
    with pytest.raises(SignalError, match=r"there is no day|half-hours 0 to 95"):
        load_day(name, first=first, count=count)


async def test_a_restamped_day_serves_price_and_carbon_in_slots_of_seven_seconds(
    tmp_path: Path,
) -> None:
    day, path = load_day("typical"), tmp_path / "day.csv"
    write_feed(path, restamp(day, EPOCH + 3, 7))
    feeds = [Feed(source="csv", path=str(path), column=column) for column in ("price", "carbon")]
    hub = SignalHub(SignalSettings(price=(feeds[0],), carbon=(feeds[1],)))
    await hub.refresh(EPOCH)
    grid = TimeGrid(EPOCH + 3, 7, 48)
    for kind, wanted in (
        (Kind.PRICE, [row.price for row in day]),
        (Kind.CARBON, [row.carbon for row in day]),
    ):
        series = hub.series(kind, grid, EPOCH + 3)
        np.testing.assert_array_equal(series.values, wanted)
        assert series.quality is Quality.GOOD
    assert "Elexon Limited copyright" in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_program_writes_the_same_as_the_functions(tmp_path: Path) -> None:
    one, other = tmp_path / "a.csv", tmp_path / "b.csv"
    arguments = ["--start", str(EPOCH), "--slot-seconds", "7", "--day", "windy", "--repeat", "2"]
    assert main([*arguments, "--output", str(one)]) == 0
    write_feed(other, restamp(load_day("windy"), EPOCH, 7, 2))
    assert one.read_bytes() == other.read_bytes()
    assert len(parse_csv(one.read_text(encoding="utf-8"), "a.csv").rows) == 96


def test_the_program_says_what_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--start", "0", "--output", str(tmp_path / "none" / "a.csv")])
    assert caught.value.code == 1
    assert "No such file" in capsys.readouterr().err
