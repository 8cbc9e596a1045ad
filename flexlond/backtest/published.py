"""When a value became known: one quantity of the past, with the moment each of its values was published.

Law: `known_at(now, grid)` may use a value only if it was published by `now`; no alteration of what was
published later changes its answer (property-tested). `actual` is for the account only. A hole stays NaN.
With `extend`, slots after the last published value are expected to be as the latest published value of the
same hour (UTC) on the same kind of day (weekday or weekend) within the last seven published days, else of
any day of them: the naive forecast ("persistence") that every published one is measured against.
Slots are whole parts of a day. Values in the unit of their kind. Source: our own; day-ahead publication
by EPEX/SDAC practice (results at about 12:45 local time for the next local day).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np

from flexlond.model.timegrid import TimeGrid
from flexlond.signals.regrid import regrid
from flexlond.signals.rows import DAY, HOUR, Row, SignalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

PERSISTENCE: Final = "expected after what is published: as the same hour of the latest like day"
ALWAYS: Final = -(2**62)  # published before any time: perfect foresight
NEVER: Final = 2**62  # not published at all
_MEMORY_DAYS: Final = 7
_WEEKEND: Final = np.array(
    [0, 0, 1, 1, 0, 0, 0]
)  # days of the week from Thursday, as the epoch began


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """All rows on slots of one length: where grids of that length and phase are cut out."""

    grid: TimeGrid
    values: NDArray[np.float64]  # (S,)
    published: list[int]  # (S,) when each slot was wholly published, never falling


class Published:
    """One series whose rows become known in order of time."""

    def __init__(
        self,
        rows: Sequence[Row],
        published: Callable[[Row], int],
        *,
        label: str,
        foresight: bool = False,
        extend: bool = False,
    ) -> None:
        """`rows` ordered, not overlapping, at least one; `published` never falls along them."""
        if not rows:
            raise SignalError("no rows of a signal; check its file and column")
        self.rows = tuple(rows)
        self.foresight = foresight
        self.extend = extend
        self.label = f"{label}; {PERSISTENCE}" if extend else label
        self._ends = np.array([row.end for row in rows], np.int64)
        self._published = np.array([published(row) for row in rows], np.int64)
        self._bases: dict[tuple[int, int], Base] = {}
        # What is expected beyond: kept for the latest state only, time moves on.
        self._state: tuple[tuple[int, ...], tuple[int, NDArray[np.float64]]] | None = None

    @property
    def span(self) -> tuple[int, int]:
        """First second and the first second after the rows."""
        return self.rows[0].start, self.rows[-1].end

    def base(self, grid: TimeGrid) -> Base:
        """The rows on slots like those of `grid`."""
        key = (grid.slot_seconds, grid.start % grid.slot_seconds)
        if key not in self._bases:
            self._bases[key] = self._base(*key)
        return self._bases[key]

    def known_at(self, now: int, grid: TimeGrid) -> NDArray[np.float64]:
        """Shape (grid.count,): what had been published by `now`, NaN where nothing."""
        base = self.base(grid)
        count = bisect_right(base.published, now)
        result = cut(base.values, base.grid, grid, count)
        if self.extend:
            last, week = self._expected(base, count)
            extend(result, grid, last, week)
        return result

    def actual(self, grid: TimeGrid) -> NDArray[np.float64]:
        """Shape (grid.count,): as it turned out, NaN where unknown."""
        base = self.base(grid)
        return cut(base.values, base.grid, grid, len(base.values))

    def _base(self, slot: int, phase: int) -> Base:
        start, end = self.span
        first = start - (start - phase) % slot
        grid = TimeGrid(first, slot, -(-(end - first) // slot))
        # A slot is published with the row its last second is in; in a gap, with the next one; a slot that
        # the rows do not reach the end of, never.
        last_second = grid.starts() + slot - 1
        row = np.searchsorted(self._ends, last_second, side="right")
        published = np.append(self._published, NEVER)[row]
        return Base(grid, regrid(self.rows, grid), published.tolist())

    def _expected(self, base: Base, count: int) -> tuple[int, NDArray[np.float64]]:
        """From when nothing is published, and the template of what is expected then."""
        key = (base.grid.slot_seconds, base.grid.start, count)
        if self._state is None or self._state[0] != key:
            known = base.values[:count]
            last = base.grid.slot_start(last_known(known) + 1)
            self._state = (key, (last, template(known, base.grid)))
        return self._state[1]


def known(rows: Sequence[Row], *, extend: bool = False) -> Published:
    """Perfect foresight: every value is known from the beginning."""
    label = "known in advance as it turned out (perfect foresight)"
    return Published(rows, lambda _: ALWAYS, label=label, foresight=True, extend=extend)


def measured(rows: Sequence[Row], *, lag: int = HOUR, extend: bool = True) -> Published:
    """Known only afterwards: `lag` seconds after the end of each row."""
    label = f"known {lag / HOUR:g} h after each value's end"
    return Published(rows, lambda row: row.end + lag, label=label, extend=extend)


def day_ahead(
    rows: Sequence[Row],
    *,
    zone: str = "Europe/Berlin",
    at: time = time(12, 45),
    extend: bool = True,
) -> Published:
    """Prices of a local day, known from `at` local time of the day before."""
    local = ZoneInfo(zone)
    days: dict[object, int] = {}

    def published(row: Row) -> int:
        day = datetime.fromtimestamp(row.start, local).date()
        if day not in days:
            moment = datetime.combine(day - timedelta(days=1), at, local)
            days[day] = int(moment.timestamp())
        return days[day]

    label = f"day-ahead, known from {at:%H:%M} {zone} of the day before delivery"
    return Published(rows, published, label=label, extend=extend)


def cut(
    values: NDArray[np.float64], base: TimeGrid, grid: TimeGrid, count: int
) -> NDArray[np.float64]:
    """The first `count` of `values` (on `base`) as seen on `grid`, of the same slots; NaN elsewhere."""
    result = np.full(grid.count, np.nan)
    offset = (grid.start - base.start) // grid.slot_seconds
    begin, end = max(0, -offset), min(grid.count, count - offset)
    if begin < end:
        result[begin:end] = values[offset + begin : offset + end]
    return result


def last_known(values: NDArray[np.float64]) -> int:
    """The index of the last finite value; -1 when there is none."""
    finite = np.isfinite(values[::-1])
    first = int(np.argmax(finite)) if len(finite) else 0
    return len(values) - 1 - first if len(finite) and finite[first] else -1


def template(values: NDArray[np.float64], grid: TimeGrid) -> NDArray[np.float64]:
    """(slots of a week from Thursday 0:00 UTC, as the epoch began): what is expected by persistence.

    From the last seven days before the end of the finite `values` (the first ones of `grid`). Raises
    ValueError where slots are no whole part of a day.
    """
    per_day = slots_per_day(grid)
    end = last_known(values) + 1
    begin = max(0, end - _MEMORY_DAYS * per_day)
    recent = values[begin:end]
    finite = np.isfinite(recent)
    at = (grid.start // grid.slot_seconds + np.arange(begin, end, dtype=np.int64))[finite]
    day, slot = at // per_day % 7, at % per_day
    by_kind = np.full((2, per_day), np.nan)
    of_any = np.full(per_day, np.nan)
    by_kind[_WEEKEND[day], slot] = recent[finite]  # of several the last one, the latest, stays
    of_any[slot] = recent[finite]
    week: NDArray[np.float64] = np.where(np.isnan(by_kind), of_any, by_kind)[_WEEKEND].ravel()
    return week


def extend(
    result: NDArray[np.float64], grid: TimeGrid, last: int, week: NDArray[np.float64]
) -> None:
    """Fill `result` from the moment `last` on with what the template `week` expects, in place."""
    begin = max(0, -((grid.start - last) // grid.slot_seconds))
    at = (grid.start // grid.slot_seconds + begin) % len(week)
    while begin < grid.count:
        part = min(len(week) - at, grid.count - begin)
        result[begin : begin + part] = week[at : at + part]
        begin, at = begin + part, 0


def slots_per_day(grid: TimeGrid) -> int:
    """How many slots a day has. Raises ValueError where that is no whole number."""
    if DAY % grid.slot_seconds:
        raise ValueError(
            f"slots of {grid.slot_seconds} s are no whole part of a day; choose 300 to 3600"
        )
    return DAY // grid.slot_seconds
