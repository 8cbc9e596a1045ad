"""Forecasts as they were issued: what a carbon forecast really said at each moment.

Law: `known_at(now, grid)` is the newest vintage issued by `now`; before its first value the vintage before
it, and what was measured where that is published (`lag` after its end). A vintage is taken to be available
at its moment of issue. A hole of the newest vintage is never filled from an older one; after its last value
the naive forecast of flexlond.backtest.published goes on, from measured and forecast values published by
`now`. `actual` is what was measured. gCO2/kWh. Source: our own; the vintages are the data's.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.backtest.published import (
    PERSISTENCE,
    Published,
    cut,
    extend,
    last_known,
    measured,
    slots_per_day,
    template,
)
from flexlond.model.timegrid import TimeGrid
from flexlond.signals.regrid import regrid
from flexlond.signals.rows import DAY, HOUR, Row, SignalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MEMORY = 7 * DAY


@dataclass(frozen=True, slots=True)
class Vintage:
    """One forecast: when it was issued (epoch seconds) and what it said; rows ordered."""

    issued: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """A vintage on slots, preceded by up to a day of the vintage before it."""

    grid: TimeGrid
    values: NDArray[np.float64]


class Vintages:
    """A series with real forecasts; see the module's law."""

    foresight = False

    def __init__(
        self,
        vintages: Sequence[Vintage],
        actual: Sequence[Row],
        *,
        lag: int = HOUR,
        extend: bool = True,
    ) -> None:
        """Raises SignalError where there is no vintage or no actual value."""
        self.vintages = tuple(sorted(vintages, key=lambda vintage: vintage.issued))
        if not self.vintages or not all(vintage.rows for vintage in self.vintages):
            raise SignalError("no forecast vintages; check the file and its columns")
        self.measured: Published = measured(actual, lag=lag, extend=False)
        self.extend = extend
        label = "forecasts as issued"
        self.label = f"{label}; {PERSISTENCE}" if extend else label
        self._issued = [vintage.issued for vintage in self.vintages]
        self._sheets: dict[tuple[int, int], list[_Sheet]] = {}
        self._state: tuple[tuple[int, ...], tuple[int, NDArray[np.float64]]] | None = None

    @property
    def span(self) -> tuple[int, int]:
        """From the first issue to the end of what was measured."""
        return max(self._issued[0], self.measured.span[0]), self.measured.span[1]

    def actual(self, grid: TimeGrid) -> NDArray[np.float64]:
        """Shape (grid.count,): as measured, NaN where unknown."""
        return self.measured.actual(grid)

    def known_at(self, now: int, grid: TimeGrid) -> NDArray[np.float64]:
        """Shape (grid.count,): what had been published by `now`, NaN where nothing."""
        base = self.measured.base(grid)
        count = bisect_right(base.published, now)
        newest = bisect_right(self._issued, now) - 1
        result = self._published(grid, count, newest)
        if self.extend:
            last, week = self._expected(grid, count, newest)
            extend(result, grid, last, week)
        return result

    def _published(self, grid: TimeGrid, count: int, newest: int) -> NDArray[np.float64]:
        """The first `count` measured slots, then the vintage `newest` (-1: none)."""
        base = self.measured.base(grid)
        result = cut(base.values, base.grid, grid, count)
        if newest >= 0:
            sheet = self._sheets_for(grid)[newest]
            forecast = cut(sheet.values, sheet.grid, grid, len(sheet.values))
            until = base.grid.slot_start(count) - grid.start if count else 0
            ahead = max(0, until // grid.slot_seconds)
            result[ahead:] = forecast[ahead:]
        return result

    def _expected(self, grid: TimeGrid, count: int, newest: int) -> tuple[int, NDArray[np.float64]]:
        """From when nothing is published, and the template of what is expected then."""
        slot, phase = grid.slot_seconds, grid.start % grid.slot_seconds
        key = (slot, phase, count, newest)
        if self._state is None or self._state[0] != key:
            base = self.measured.base(grid)
            end = base.grid.slot_start(last_known(base.values[:count]) + 1)
            if newest >= 0:
                sheet = self._sheets_for(grid)[newest]
                end = max(end, sheet.grid.slot_start(last_known(sheet.values) + 1))
            past = TimeGrid(end - _MEMORY, slot, 7 * slots_per_day(grid))
            week = template(self._published(past, count, newest), past)
            self._state = (key, (end, week))
        return self._state[1]

    def _sheets_for(self, grid: TimeGrid) -> list[_Sheet]:
        key = (grid.slot_seconds, grid.start % grid.slot_seconds)
        if key not in self._sheets:
            sheets: list[_Sheet] = []
            for vintage in self.vintages:
                sheets.append(_sheet(vintage, *key, sheets[-1] if sheets else None))
            self._sheets[key] = sheets
        return self._sheets[key]


def _sheet(vintage: Vintage, slot: int, phase: int, before: _Sheet | None) -> _Sheet:
    start, end = vintage.rows[0].start, vintage.rows[-1].end
    first = start - (start - phase) % slot
    grid = TimeGrid(first, slot, -(-(end - first) // slot))
    values = regrid(vintage.rows, grid)
    if before is None:
        return _Sheet(grid, values)
    own = int(np.argmax(np.isfinite(values)))  # a slot begun before the first value is not whole
    earlier = TimeGrid(first - DAY // slot * slot, slot, DAY // slot + own)
    kept = cut(before.values, before.grid, earlier, len(before.values))
    count = earlier.count - own + len(values)
    return _Sheet(TimeGrid(earlier.start, slot, count), np.concatenate([kept, values[own:]]))
