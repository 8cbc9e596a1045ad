"""The day: real values, new time stamps, on the grid."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from demo_lib.day import DATE, DAY, FIRST, day_from

from flexlond.model.timegrid import TimeGrid
from flexlond.signals.csv_feed import parse_csv
from flexlond.signals.regrid import regrid
from flexlond.signals.restamp import load_day

if TYPE_CHECKING:
    from pathlib import Path

START = 1_700_000_000


def test_the_day_begins_on_the_grid_and_keeps_the_values_in_order() -> None:
    day = day_from(START, 7)
    rows = load_day(DAY, count=96)
    assert day.start % 7 == 0
    assert START <= day.start < START + 7
    assert day.end == day.start + 48 * 7
    assert day.price.at(day.start) == rows[FIRST].price
    assert day.price.at(day.start - 1) == rows[FIRST - 1].price
    assert day.carbon.at(day.start + 3 * 7 + 6) == rows[FIRST + 3].carbon
    assert day.shown(day.carbon) == tuple(row.carbon for row in rows[FIRST : FIRST + 48])


def test_labels_are_the_real_times_of_day() -> None:
    day = day_from(START, 7)
    assert [day.label(slot) for slot in (-1, 0, 1, 16, 47)] == [
        "15:30",
        "16:00",
        "16:30",
        "00:00",
        "15:30",
    ]
    assert [day.slot_of(day.start + at) for at in (-1, 0, 6, 7, 336)] == [-1, 0, 0, 1, 48]


def test_the_date_is_that_of_the_shipped_file() -> None:
    text = files("flexlond.data").joinpath(f"gb-day-{DAY}.csv").read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if line[:2] == "20")
    assert first.startswith("2026-01-22T00:00Z")
    assert DATE == "22 January 2026"


def test_what_flexlon_reads_is_what_the_report_integrates(tmp_path: Path) -> None:
    day = day_from(START, 7)
    day.write(tmp_path / "day.csv")
    text = (tmp_path / "day.csv").read_text(encoding="utf-8")
    grid = TimeGrid.covering(day.start + 3, 7, 64)
    for column, curve in (("price", day.price), ("carbon", day.carbon)):
        seen = regrid(parse_csv(text, "day.csv", column).rows, grid)
        assert np.array_equal(seen, np.array(curve.values[FIRST:]))
