"""A metering point's consumption by day and clock half-hour, as a baseline looks at it.

Law: pure. Shape (days, 48) of whole Wh; a half-hour without a usable reading is marked, never zero. A day of
50 periods is folded onto the 48 half-hours of the clock by the mean of the two that share one (half up); a
day of 46 lacks two. Which qualities are usable is the profile's matter.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.settlement_period import COLUMNS, column_of, periods_in, starts_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from numpy.typing import NDArray

    from flexlond.settlement.readings import Quality, Reading

NONE = np.iinfo(np.int64).min  # no usable reading


@dataclass(frozen=True, slots=True)
class History:
    """`wh[i]` is the day `first + i`; NONE where there is no usable reading."""

    point: str
    first: dt.date
    wh: NDArray[np.int64]  # shape (days, 48)

    def day(self, date: dt.date) -> NDArray[np.int64] | None:
        """Its half-hours, shape (48,); None outside the history."""
        at = (date - self.first).days
        return self.wh[at] if 0 <= at < len(self.wh) else None

    def whole(self, date: dt.date) -> bool:
        """Whether every half-hour has a usable reading."""
        row = self.day(date)
        return row is not None and bool((row != NONE).all())


def build(
    point: str,
    readings: Iterable[Reading],
    first: dt.date,
    days: int,
    usable: Container[Quality],
) -> History:
    """The history of `days` days from `first`; readings of other points and times are passed by."""
    places = _places(first, days)
    total = np.zeros((days, COLUMNS), np.int64)
    count = np.zeros((days, COLUMNS), np.int64)
    for one in readings:
        place = places.get(one.start)
        if place is not None and one.point == point and one.quality in usable:
            total[place] += one.wh
            count[place] += 1
    wanted = _wanted(first, days)
    wh = np.where(
        (count == wanted) & (count > 0), (2 * total + count) // np.maximum(2 * count, 1), NONE
    )
    return History(point, first, wh)


def _places(first: dt.date, days: int) -> dict[int, tuple[int, int]]:
    """Where each period goes."""
    found: dict[int, tuple[int, int]] = {}
    for number in range(days):
        date = first + dt.timedelta(days=number)
        starts = starts_of(date)
        if len(starts) == COLUMNS:
            found.update((start, (number, column)) for column, start in enumerate(starts))
        else:
            found.update((start, (number, column_of(start))) for start in starts)
    return found


def _wanted(first: dt.date, days: int) -> NDArray[np.int64]:
    """How many readings each place must have."""
    wanted = np.ones((days, COLUMNS), np.int64)
    for number in range(days):
        date = first + dt.timedelta(days=number)
        if periods_in(date) != COLUMNS:
            columns = [column_of(start) for start in starts_of(date)]
            wanted[number] = np.bincount(columns, minlength=COLUMNS)
    return wanted
