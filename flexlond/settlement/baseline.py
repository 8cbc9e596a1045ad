"""The X-of-Y baseline, with BL01 as the profile of what is known of Elexon's.

Law: pure. From the days before (never the day itself) of the same type, most recent first, without event
days, days with missing readings and, by the profile, clock-change days; the Y first of them, of which X are
averaged for each half-hour of the clock. Whole Wh of import, halves up. Fewer days than the profile's least
give no baseline and a reason. Days that were not selected change nothing. The official text (Baselining
Methodology Document v3) could not be read: every constant is a field of `Profile`, with its source (market.md
1.4).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from flexlond.model.settlement_period import COLUMNS, column_of, periods_in, starts_of
from flexlond.settlement.calendar import Calendar, DayType
from flexlond.settlement.readings import Quality

if TYPE_CHECKING:
    from collections.abc import Container

    from numpy.typing import NDArray

    from flexlond.settlement.history import History

Select = Literal["mid", "high", "low"]


@dataclass(frozen=True, slots=True)
class Rule:
    """X of Y for one day type.

    `mid` leaves out as many highest as lowest values of each half-hour; `high` and `low` take whole days by
    their consumption.
    """

    x: int
    y: int
    select: Select = "mid"
    least: int = 1  # eligible days without which there is no baseline


@dataclass(frozen=True, slots=True)
class Profile:
    """The constants of a baseline method. The defaults are BL01's as far as known."""

    name: str = "BL01"
    look_back: int = 60  # days; secondary
    working: Rule = Rule(10, 10, "mid", 5)  # secondary; `least` is not known
    non_working: Rule = Rule(2, 4, "mid", 2)  # by code for the domestic DFS baseline
    exclude_clock_change: bool = True  # secondary
    usable: frozenset[Quality] = frozenset({Quality.MEASURED, Quality.SUBSTITUTED})
    window: int = 6  # periods of the in-day adjustment; secondary
    gap: int = 2  # periods between it and the event; sources differ (2: ends at gate closure)
    import_only: bool = True  # an adjusted baseline is not below zero
    source: str = "secondary sources; the official text was not read (market.md 1.4)"

    def rule(self, kind: DayType) -> Rule:
        """The rule of a day type."""
        return self.working if kind is DayType.WORKING else self.non_working

    @property
    def digest(self) -> str:
        """Names these constants: 16 hexadecimal digits."""
        return _digest(self)


@lru_cache(maxsize=16)
def _digest(profile: Profile) -> str:
    plain = asdict(profile) | {"usable": sorted(profile.usable)}
    return hashlib.sha256(repr(sorted(plain.items())).encode()).hexdigest()[:16]


BL01 = Profile()


@dataclass(frozen=True, slots=True)
class Baseline:
    """A day's baseline: Wh of each settlement period in order, or nothing and why."""

    wh: tuple[int, ...]  # empty: none
    days: tuple[dt.date, ...] = field(default=())  # that were selected, most recent first
    reason: str = ""

    @property
    def known(self) -> bool:
        """Whether there is one."""
        return bool(self.wh)


def baseline(
    date: dt.date,
    history: History,
    events: Container[dt.date],
    profile: Profile = BL01,
    calendar: Calendar | None = None,
) -> Baseline:
    """The baseline of `date` before any in-day adjustment."""
    calendar = calendar or Calendar()
    kind = calendar.day_type(date)
    rule = profile.rule(kind)
    chosen: list[dt.date] = []
    for back in range(1, profile.look_back + 1):
        day = date - dt.timedelta(days=back)
        if calendar.day_type(day) is not kind or day in events or not history.whole(day):
            continue
        if profile.exclude_clock_change and periods_in(day) != COLUMNS:
            continue
        chosen.append(day)
        if len(chosen) == rule.y:
            break
    if len(chosen) < max(1, rule.least):
        words = kind.value.replace("_", "-")
        return Baseline(
            (),
            tuple(chosen),
            f"{len(chosen)} eligible {words} days in {profile.look_back}; {max(1, rule.least)} are needed",
        )
    rows = [history.day(day) for day in chosen]
    columns = average(np.stack([row for row in rows if row is not None]), rule)
    if periods_in(date) == COLUMNS:
        return Baseline(tuple(columns.tolist()), tuple(chosen))
    return Baseline(
        tuple(int(columns[column_of(start)]) for start in starts_of(date)), tuple(chosen)
    )


def average(days: NDArray[np.int64], rule: Rule) -> NDArray[np.int64]:
    """Shape (Y, 48) to (48,): the mean of the X that the rule selects, halves up.

    With fewer days than Y, `mid` leaves out as many at each end as leave X at least.
    """
    count = len(days)
    x = min(rule.x, count)
    if rule.select == "mid":
        cut = (count - x) // 2
        kept = np.sort(days, axis=0)[cut : count - cut]
    else:
        totals = days.sum(axis=1)
        order = np.argsort(-totals if rule.select == "high" else totals, kind="stable")
        kept = days[order[:x]]
    total: NDArray[np.int64] = kept.sum(axis=0)
    return (2 * total + len(kept)) // (2 * len(kept))
