"""Settlement dates and periods: the London day in half-hours, numbered from local midnight.

Law: pure; knows no clock. A day has 48 periods, 46 when the clocks go forward and 50 when they go back; every
half-hour of UTC is exactly one period. Inside everything is epoch seconds (UTC), and the number is for the
edge. Gate closure is one hour before a period begins. Source: BSC, Section X (settlement period); market.md's
tests fix SP 37 of 15 September 2026 at 17:00Z.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
LENGTH = 1800  # seconds of a settlement period
GATE = 3600  # seconds from gate closure to the start
COLUMNS = 48  # half-hours of the London clock face


class PeriodError(ValueError):
    """Not a settlement period; the text says why."""


@lru_cache(maxsize=8192)
def day_start(date: dt.date) -> int:
    """The first second of a settlement date: local midnight."""
    return int(dt.datetime(date.year, date.month, date.day, tzinfo=LONDON).timestamp())


def day_end(date: dt.date) -> int:
    """The first second after a settlement date."""
    return day_start(date + dt.timedelta(days=1))


def periods_in(date: dt.date) -> int:
    """How many periods the date has: 46, 48 or 50."""
    return (day_end(date) - day_start(date)) // LENGTH


def starts_of(date: dt.date) -> range:
    """The first second of each period of the date, in order."""
    return range(day_start(date), day_end(date), LENGTH)


def date_of(at: int) -> dt.date:
    """The settlement date that a moment (epoch s) lies in."""
    return dt.datetime.fromtimestamp(at, LONDON).date()


def column_of(start: int) -> int:
    """The half-hour of the London clock in which a period begins, 0..47.

    On the day of 50 two columns come twice, on the day of 46 two do not come.
    """
    local = dt.datetime.fromtimestamp(start, LONDON)
    return local.hour * 2 + local.minute // 30


@dataclass(frozen=True, slots=True, order=True)
class SettlementPeriod:
    """A settlement date and the number of a period in it, from 1. Raises PeriodError."""

    date: dt.date
    number: int

    def __post_init__(self) -> None:
        count = periods_in(self.date)
        if not 1 <= self.number <= count:
            raise PeriodError(
                f"{self.date} has {count} settlement periods, there is no number {self.number}; check the"
                " clock-change rule of whatever made it"
            )

    @classmethod
    def at(cls, moment: int) -> SettlementPeriod:
        """The period that contains a moment (epoch s)."""
        date = date_of(moment)
        return cls(date, (moment - day_start(date)) // LENGTH + 1)

    @property
    def start(self) -> int:
        """Its first second (epoch s)."""
        return day_start(self.date) + (self.number - 1) * LENGTH

    @property
    def end(self) -> int:
        """The first second after it."""
        return self.start + LENGTH

    @property
    def gate_closure(self) -> int:
        """When positions for it became final (epoch s)."""
        return self.start - GATE
