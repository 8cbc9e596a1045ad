"""A metering point's consumption by day and clock half-hour, as a baseline looks at it.

Law: pure. Shape (days, 48) of whole Wh; a half-hour without a usable reading is marked, never zero. A day of
50 periods is folded onto the 48 half-hours of the clock by the mean of the two that share one (half up); a
day of 46 lacks two. Which qualities are usable is the profile's matter.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
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


class HistoryBuilder:
    """Gathers the readings of one point for `days` days from `first`; others are passed by."""

    def __init__(self, point: str, first: dt.date, days: int, usable: Container[Quality]) -> None:
        self._point, self._first, self._usable = point, first, usable
        self._places = _places(first, days)
        self._wanted = _wanted(first, days)
        self._total = np.zeros((days, COLUMNS), np.int64)
        self._count = np.zeros((days, COLUMNS), np.int64)

    def add(self, one: Reading) -> None:
        """Take one reading; of a period there must be one."""
        place = self._places.get(one.start)
        if place is not None and one.point == self._point and one.quality in self._usable:
            self._total[place] += one.wh
            self._count[place] += 1

    def history(self) -> History:
        """What was gathered."""
        count, total = self._count, self._total
        whole = (count == self._wanted) & (count > 0)
        mean = (2 * total + count) // np.maximum(2 * count, 1)
        return History(self._point, self._first, np.where(whole, mean, NONE))


def build(
    point: str, readings: Iterable[Reading], first: dt.date, days: int, usable: Container[Quality]
) -> History:
    """The history of `days` days from `first`."""
    builder = HistoryBuilder(point, first, days, usable)
    for one in readings:
        builder.add(one)
    return builder.history()


@lru_cache(maxsize=4)
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


@lru_cache(maxsize=4)
def _wanted(first: dt.date, days: int) -> NDArray[np.int64]:
    """How many readings each place must have."""
    wanted = np.ones((days, COLUMNS), np.int64)
    for number in range(days):
        date = first + dt.timedelta(days=number)
        if periods_in(date) != COLUMNS:
            columns = [column_of(start) for start in starts_of(date)]
            wanted[number] = np.bincount(columns, minlength=COLUMNS)
    return wanted
