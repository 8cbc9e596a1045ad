"""Working and non-working days of England and Wales.

Law: pure. Working is Monday to Friday and no bank holiday. The holidays are those of the `holidays` package
for England; one that is proclaimed later than the installed version is added by configuration, and one that
is moved is taken away there. Source: market.md 1.4 (day types, bank holidays are non-working: secondary, and
verified in Octopus' DFS tool).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

SATURDAY = 5


class DayType(StrEnum):
    """The two kinds of days that a baseline tells apart."""

    WORKING = "working"
    NON_WORKING = "non_working"


@dataclass(frozen=True, slots=True)
class Calendar:
    """Bank holidays of England and Wales, with the site's corrections."""

    added: frozenset[dt.date] = frozenset()
    removed: frozenset[dt.date] = frozenset()

    def day_type(self, date: dt.date) -> DayType:
        """Working or not."""
        known = date in bank_holidays(date.year) and date not in self.removed
        holiday = known or date in self.added
        off = date.weekday() >= SATURDAY or holiday
        return DayType.NON_WORKING if off else DayType.WORKING


@lru_cache(maxsize=64)
def bank_holidays(year: int) -> frozenset[dt.date]:
    """Those of one year, as the package knows them."""
    from holidays import country_holidays  # noqa: PLC0415 -- slow to import, and not for every command

    return frozenset(country_holidays("GB", subdiv="ENG", years=year))
