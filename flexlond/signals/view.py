"""How good a feed's rows are for one grid, and which feed serves.

Law: pure. A feed that knows no slot after the running one is of no use for planning and counts as ABSENT
for the choice; rows older than their source allows are STALE; NaN in the horizon makes PARTIAL. The first
feed in order that is GOOD or PARTIAL serves, else the first STALE one is shown, else nothing is. Values of
two feeds are mixed only on demand (`fill`), slot by slot, and the series then names both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.series import Kind, Quality, Series
from flexlond.signals.regrid import regrid
from flexlond.signals.rows import HOUR, format_utc_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid
    from flexlond.signals.rows import Row

AHEAD_TOLERANCE = 600  # seconds that a time of fetching may lie ahead before the clock is doubted
USABLE = frozenset({Quality.GOOD, Quality.PARTIAL})


@dataclass(frozen=True, slots=True)
class FeedView:
    """One feed on one grid: values, how good, and why not better."""

    values: NDArray[np.float64]
    quality: Quality
    provenance: str
    fetched_at: int
    detail: str


def view(
    rows: Sequence[Row],
    grid: TimeGrid,
    now: int,
    *,
    provenance: str,
    fetched_at: int,
    max_age: float,
    remarks: Sequence[str],
) -> FeedView:
    """The feed's values on `grid` with their quality at `now`; `max_age` in seconds, 0: no limit."""
    values = regrid(rows, grid)
    known = np.isfinite(values)
    reasons: list[str] = []
    age = now - fetched_at
    if not rows:
        quality = Quality.ABSENT
        reasons.append("nothing received" if not fetched_at else "nothing usable")
    elif not _of_use(known, grid, now):
        quality = Quality.ABSENT
        reasons.append(
            f"knows {format_utc_seconds(rows[0].start)} to {format_utc_seconds(rows[-1].end)}, no slot to come"
        )
    elif max_age > 0 and not -AHEAD_TOLERANCE <= age <= max_age:
        quality = Quality.STALE
        reasons.append(f"{age / HOUR:.1f} h old, usable for {max_age / HOUR:.1f} h")
    elif known.all():
        quality = Quality.GOOD
    else:
        quality = Quality.PARTIAL
        last = int(np.flatnonzero(known)[-1])
        until = format_utc_seconds(grid.slot_start(last + 1))
        reasons.append(f"{int(known.sum())} of {grid.count} slots known, the last until {until}")
    return FeedView(values, quality, provenance, fetched_at, "; ".join((*reasons, *remarks)))


def _of_use(known: NDArray[np.bool_], grid: TimeGrid, now: int) -> bool:
    """Whether a slot to come is known; on a grid without one (a report's), whether any slot is."""
    to_come = known[max(0, grid.slot_of(now) + 1) :]
    return bool(to_come.any() if to_come.size else known.any())


def choose(kind: Kind, grid: TimeGrid, views: Sequence[FeedView], *, fill: bool) -> Series:
    """The series of `kind`: the first usable view, filled from later ones only with `fill`."""
    if not views:
        return _absent(kind, grid, f"no feed is configured; add [[signals.{kind}]]")
    best = next((at for at, each in enumerate(views) if each.quality in USABLE), None)
    if best is None:
        best = next((at for at, each in enumerate(views) if each.quality is Quality.STALE), None)
    if best is None:
        newest = max(each.fetched_at for each in views)
        return _absent(kind, grid, _said(views), newest)
    serving = views[best]
    passed = _said(views[:best])
    detail = "; ".join(part for part in (serving.detail, passed and f"instead of {passed}") if part)
    series = Series(
        kind, grid, serving.values, serving.provenance, serving.fetched_at, serving.quality, detail
    )
    if fill and serving.quality is Quality.PARTIAL:
        return _filled(series, [each for each in views[best + 1 :] if each.quality in USABLE])
    return series


def _filled(series: Series, others: Sequence[FeedView]) -> Series:
    values = series.values.copy()
    source = series.source
    fetched_at = series.fetched_at
    for other in others:
        gap = np.isnan(values) & np.isfinite(other.values)
        if gap.any():
            values[gap] = other.values[gap]
            source += f"; {int(gap.sum())} slot(s) from {other.provenance}"
            fetched_at = min(fetched_at, other.fetched_at)
    quality = Quality.GOOD if np.isfinite(values).all() else Quality.PARTIAL
    return Series(series.kind, series.grid, values, source, fetched_at, quality, series.detail)


def _absent(kind: Kind, grid: TimeGrid, detail: str, fetched_at: int = 0) -> Series:
    values = np.full(grid.count, np.nan)
    return Series(kind, grid, values, "none", fetched_at, Quality.ABSENT, detail)


def _said(views: Sequence[FeedView]) -> str:
    return "; ".join(f"{each.provenance} ({each.quality}: {each.detail})" for each in views)
