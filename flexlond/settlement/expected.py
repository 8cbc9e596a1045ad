"""What a point was expected to draw in a period of an order: which baseline stands, how it was adjusted.

Law: pure. Both baselines are always computed; the one that the product or the site names stands, BL01 falls
back to the nominated one where it has too few days and the terms allow it, and that is said. Nothing stands
in for a baseline that is not there. Wh of import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flexlond.model.settlement_period import starts_of
from flexlond.settlement.adjustment import Adjustment, adjusted, adjustment
from flexlond.settlement.baseline import Baseline, baseline
from flexlond.settlement.record import DayPoint

if TYPE_CHECKING:
    import datetime as dt

    from flexlond.settlement.inputs import DayInputs
    from flexlond.settlement.terms import Product, Terms


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected Wh of one point in one period; `wh` None where nothing stands."""

    wh: int | None
    method: Literal["bl01", "nominated", "none"]
    bl01: int | None
    nominated: int | None
    change: Adjustment
    detail: str = ""


class DayBaselines:
    """The baselines of every point for one day."""

    def __init__(self, date: dt.date, inputs: DayInputs, terms: Terms) -> None:
        self._inputs, self._terms, self.date = inputs, terms, date
        self.starts = starts_of(date)
        self.bl01: dict[str, Baseline] = {}
        self._by_start: dict[str, dict[int, int]] = {}
        self._adjusted: dict[tuple[str, int], Adjustment] = {}
        for point in inputs.points:
            events = inputs.events.get(point, frozenset())
            history = inputs.histories.get(point)
            found = (
                baseline(date, history, events, terms.profile, terms.calendar)
                if history is not None
                else Baseline((), (), "no readings of this point")
            )
            self.bl01[point] = found
            self._by_start[point] = dict(zip(self.starts, found.wh, strict=False))

    def expected(self, point: str, start: int, event_start: int, product: Product) -> Expected:
        """For one point and period; `event_start` is that of the order's unbroken run."""
        base = self._by_start.get(point, {}).get(start)
        nomination = self._inputs.nominations.get((point, start))
        said = nomination.wh if nomination is not None else None
        method = product.baseline or self._terms.baseline
        detail = ""
        if method == "bl01" and base is None and self._terms.fall_back and said is not None:
            method = "nominated"
            detail = f"{point}: {self.bl01[point].reason}; the nominated baseline stands"
        wh = base if method == "bl01" else said
        if wh is None:
            why = (
                self.bl01[point].reason
                if method == "bl01"
                else "none was fixed before gate closure"
            )
            return Expected(None, "none", base, said, Adjustment(), f"{point}: no baseline: {why}")
        if method != "bl01" or not product.adjusted:
            return Expected(wh, method, base, said, Adjustment(), detail)
        change = self._adjustment(point, event_start)
        return Expected(
            adjusted(wh, change, self._terms.profile), method, base, said, change, detail
        )

    def _adjustment(self, point: str, event_start: int) -> Adjustment:
        key = (point, event_start)
        if key not in self._adjusted:
            metered = {
                start: one
                for start in self.starts
                if (one := self._inputs.readings.get((point, start))) is not None
            }
            self._adjusted[key] = adjustment(
                event_start, metered, self._by_start[point], self._terms.profile
            )
        return self._adjusted[key]

    def summary(self, point: str, *, event_day: bool) -> DayPoint:
        """What is stored of the point's day, whatever was sold."""
        readings = [self._inputs.readings.get((point, start)) for start in self.starts]
        nominations = [self._inputs.nominations.get((point, start)) for start in self.starts]
        found = self.bl01[point]
        return DayPoint(
            settlement_date=self.date.isoformat(),
            point=point,
            bl01_wh=list(found.wh),
            bl01_days=[day.isoformat() for day in found.days],
            bl01_reason=found.reason,
            nominated_wh=[one.wh if one is not None else None for one in nominations],
            metered_wh=[one.wh if one is not None and one.known else None for one in readings],
            quality=[one.quality.value if one is not None else "missing" for one in readings],
            event_day=event_day,
            profile=self._terms.profile.digest,
        )
