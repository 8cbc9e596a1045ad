"""The day: real values, new time stamps, on the grid."""

from __future__ import annotations

import pytest
from demo_lib.day import HalfHour, as_csv, restamp
from demo_lib.report import Curve

REAL = 1_774_281_600  # 2026-03-23T16:00Z
START = 1_700_000_000 // 7 * 7


def halves(count: int) -> list[HalfHour]:
    return [HalfHour(REAL + index * 1800, 100.0 + index, 200.0 - index) for index in range(count)]


def test_values_keep_their_order_and_get_new_moments() -> None:
    day = restamp(halves(60), 4, START, 7)
    assert day.price.at(START) == 104.0
    assert day.price.at(START - 1) == 103.0
    assert day.carbon.at(START + 7 * 3 + 6) == 200.0 - 7
    assert day.end == START + 48 * 7
    assert day.shown(day.price) == tuple(100.0 + index for index in range(4, 52))
    assert (day.price.start, day.price.end) == (START - 28, START + 56 * 7)


def test_labels_are_the_real_times_of_day() -> None:
    day = restamp(halves(60), 4, START, 7)
    assert [day.label(slot) for slot in (-1, 0, 1, 12, 47)] == [
        "17:30",
        "18:00",
        "18:30",
        "00:00",
        "17:30",
    ]
    assert [day.slot_of(START + at) for at in (-1, 0, 6, 7, 336)] == [-1, 0, 0, 1, 48]


def test_what_cannot_be_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 7"):
        restamp(halves(60), 0, START + 1, 7)
    with pytest.raises(ValueError, match="does not fit"):
        restamp(halves(60), 13, START, 7)
    gap = [*halves(50), HalfHour(REAL + 60 * 1800, 1.0, 1.0)]
    with pytest.raises(ValueError, match="gap after 2026-03-24T16:30:00Z"):
        restamp(gap, 0, START, 7)


def test_csv_is_what_the_feed_reads() -> None:
    text = as_csv(Curve(0, 7, (1.5, -2.0)), "price_gbp_mwh")
    assert text == "utc,price_gbp_mwh\n1970-01-01T00:00:00Z,1.5\n1970-01-01T00:00:07Z,-2\n"
