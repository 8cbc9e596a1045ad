"""Writes an outcome down as an evidence record, with everything that it rests on.

Law: pure; decides nothing. The MWh turn into CVA sign here and nowhere else: import is negative, so that
metered less expected is positive for a turn-down. Numbers are written without an exponent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from flexlond.model.settlement_period import SettlementPeriod
from flexlond.settlement import cash
from flexlond.settlement.inputs import REFERENCE_PRICE, SYSTEM_PRICE, DayInputs
from flexlond.settlement.readings import Quality, Reading
from flexlond.settlement.record import CashLine, Part, Record

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from decimal import Decimal

    from flexlond.settlement.expected import DayBaselines
    from flexlond.settlement.order_period import Outcome
    from flexlond.settlement.orders import Interval, Order
    from flexlond.settlement.terms import Terms


class Recorder:
    """Makes the records of one day."""

    def __init__(self, inputs: DayInputs, terms: Terms, baselines: DayBaselines) -> None:
        self._inputs, self._terms, self._baselines = inputs, terms, baselines

    def record(
        self, order: Order, one: Interval, outcome: Outcome, activity: Sequence[str]
    ) -> Record:
        """The record of one order in one period."""
        terms, found = self._terms, outcome.evidence
        period = SettlementPeriod.at(one.start)
        volume = terms.rounding.volume
        product = terms.products[order.product]
        count = len(order.points)
        expected = _sum([each.wh for each in found.expected], count)
        metered = _sum([each.wh if each.known else None for each in found.readings], count)
        changes = [each.change for each in found.expected]
        money = cash.net(outcome.lines or ())
        delivered = max(0, outcome.deviation)
        days = {
            point: [day.isoformat() for day in self._baselines.bl01[point].days]
            for point in order.points
            if point in self._baselines.bl01
        }
        said = [each.detail for each in found.expected if each.wh is not None and each.detail]
        return Record(
            settlement_date=period.date.isoformat(),
            settlement_period=period.number,
            start=one.start,
            length=one.length,
            gate_closure=period.gate_closure,
            order=order.id,
            product=product.name,
            currency=order.currency,
            points=list(order.points),
            activity=list(activity),
            event_day=any(
                period.date in self._inputs.events.get(point, frozenset()) for point in order.points
            ),
            state="incomplete" if outcome.lines is None else "settled",
            problems=[*outcome.problems, *said],
            method=_method({each.method for each in found.expected}),
            profile=f"{terms.profile.name} {terms.profile.digest}",
            baseline_days=days,
            bl01_wh=_sum([each.bl01 for each in found.expected], count),
            nominated_wh=_sum([each.nominated for each in found.expected], count),
            adjustment_wh=sum(change.wh for change in changes if change.applied),
            adjustment_window=sorted({start for change in changes for start in change.window}),
            adjustment_detail="; ".join(
                dict.fromkeys(change.detail for change in changes if change.detail)
            ),
            expected_wh=expected,
            metered_wh=metered,
            quality=_worst(found.readings).value,
            uncertainty_wh=sum(each.uncertainty_wh for each in found.readings),
            parts=[
                Part(
                    reading.point,
                    each.method,
                    each.wh,
                    reading.wh if reading.known else None,
                    reading.quality.value,
                )
                for each, reading in zip(found.expected, found.readings, strict=True)
            ],
            offered_wh=one.offered_wh,
            delivered_wh=delivered,
            claimed_wh=outcome.claimed,
            shortfall_wh=max(0, one.offered_wh - delivered),
            expected_mwh="" if expected is None else str(volume(-cash.mwh(expected))),
            metered_mwh="" if metered is None else str(volume(-cash.mwh(metered))),
            deviation_mwh=str(volume(cash.mwh(outcome.deviation))),
            settled_mwh=str(outcome.settled),
            contracted_mwh=str(outcome.contracted),
            loss_factor=str(outcome.factor),
            cash=[
                CashLine(line.kind, plain(line.amount), line.basis, line.detail)
                for line in outcome.lines or ()
            ],
            net=plain(money),
            site=plain(money * product.site_share),
            rounding=str(terms.rounding),
            evidence=self._references(order, one.start),
            terms=terms.digest,
        )

    def _references(self, order: Order, start: int) -> list[str]:
        """What a record rests on: readings, nominations and prices with their versions, order and jobs."""
        found = [f"order:{order.id}", *order.references]
        for point in order.points:
            key = (point, start)
            reading = self._inputs.readings.get(key)
            if reading is not None:
                version = self._inputs.versions.get(key, 1)
                found.append(f"reading:{point}@{start}#{version} {reading.source}")
            nomination = self._inputs.nominations.get(key)
            if nomination is not None:
                known = f" recorded {nomination.recorded}" if nomination.recorded else ""
                found.append(f"nomination:{point}@{start} fixed {nomination.fixed_at}{known}")
        for kind in (SYSTEM_PRICE, REFERENCE_PRICE):
            value = self._inputs.value(kind, start)
            if value is not None:
                found.append(f"{kind}@{start}#{value.version} {value.source}")
        return found


def plain(amount: Decimal) -> str:
    """Exact text without an exponent or trailing zeros."""
    return f"{amount.normalize():f}"


def _sum(values: Sequence[int | None], wanted: int) -> int | None:
    """The sum of all points; None where one is lacking."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == wanted else None


def _method(methods: Collection[str]) -> Literal["bl01", "nominated", "none"]:
    """The method of all points; "nominated" where they differ, because some fell back to it."""
    if not methods or "none" in methods:
        return "none"
    return "nominated" if "nominated" in methods else "bl01"


def _worst(readings: Sequence[Reading]) -> Quality:
    ranks = list(Quality)
    return max((one.quality for one in readings), key=ranks.index, default=Quality.MISSING)
