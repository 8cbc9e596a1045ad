"""One order in one settlement period: what was delivered by the evidence, and what that is worth.

Law: pure. Evidence first: without a usable reading and a baseline of every point nothing was delivered; the
period is incomplete and pays nothing, and in a final run it counts as nothing delivered, with its penalty.
What earlier orders have claimed of the same points is no longer there to be claimed (I6); nor is a turn-up
charged twice. Wh of import; Decimal money, exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import date_of
from flexlond.settlement import cash
from flexlond.settlement.inputs import REFERENCE_PRICE, SYSTEM_PRICE, DayInputs
from flexlond.settlement.readings import Reading, missing
from flexlond.settlement.terms import Activity, Product, Terms

if TYPE_CHECKING:
    from flexlond.settlement.expected import DayBaselines, Expected
    from flexlond.settlement.orders import Interval, Order

ZERO = Decimal(0)


@dataclass(slots=True)
class Claims:
    """What earlier orders have taken of one period's deviation, with the points it rests on."""

    made: list[tuple[frozenset[str], int]] = field(default_factory=list)

    def left(self, points: frozenset[str], deviation: int) -> int:
        """Of a deviation (Wh), what no order that shares a point has taken; of the same sign or zero."""
        shared = [wh for others, wh in self.made if others & points]
        if deviation > 0:
            return max(0, deviation - sum(wh for wh in shared if wh > 0))
        return min(0, deviation - sum(wh for wh in shared if wh < 0))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one order in one period: what was expected and what was metered."""

    expected: tuple[Expected, ...]
    readings: tuple[Reading, ...]
    problems: tuple[str, ...]

    def deviation(self, *, per_point: bool) -> int:
        """Expected less metered Wh; point by point never below zero where the product says so."""
        each = [
            (one.wh or 0) - reading.wh
            for one, reading in zip(self.expected, self.readings, strict=True)
        ]
        return sum(max(0, wh) for wh in each) if per_point else sum(each)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order in a period; `lines` is None while it is incomplete."""

    evidence: Evidence
    problems: tuple[str, ...]
    lines: tuple[cash.Line, ...] | None
    deviation: int  # Wh, turn-down positive, less what others claimed
    settled: Decimal  # MWh after losses
    contracted: Decimal  # MWh
    claimed: int  # Wh
    factor: Decimal


class OrderPeriod:
    """One order in one period."""

    def __init__(
        self,
        inputs: DayInputs,
        terms: Terms,
        baselines: DayBaselines,
        order: Order,
        interval: Interval,
    ) -> None:
        self._inputs, self._terms, self._baselines = inputs, terms, baselines
        self._order, self._interval = order, interval
        self._product: Product = terms.products[order.product]
        self._points = frozenset(order.points)

    def settle(self, claims: Claims, *, final: bool) -> Outcome:
        """Settle it, and note what it claims."""
        found = self._evidence()
        problems = list(found.problems)
        deviation = 0
        if not problems:
            whole = found.deviation(per_point=self._product.per_point)
            deviation = claims.left(self._points, whole)
        factor = Decimal(1)
        if self._product.losses:
            factor = self._terms.line_loss * self._terms.transmission_loss
        settled = self._terms.rounding.volume(cash.mwh(deviation) * factor)
        lines: list[cash.Line] | None = None
        if final or not problems:
            lines = self._cash(settled, max(0, deviation))
            if lines is None:
                problems.append("no system price for the period yet")
        claimed = self._claimed(max(0, deviation))
        # While only a price is lacking it is claimed by nobody else either.
        wholesale = self._product.scheme == "wholesale"
        claims.made.append((self._points, deviation if wholesale else claimed))
        return Outcome(
            found,
            tuple(problems),
            None if lines is None else tuple(lines),
            deviation,
            settled if lines is not None else self._terms.rounding.volume(ZERO),
            self._contracted(),
            claimed if lines is not None else 0,
            factor,
        )

    def _claimed(self, delivered: int) -> int:
        """Of the Wh delivered, those that are asked to be paid for."""
        if self._product.scheme == "wholesale":
            return delivered
        return math.floor(self._use(delivered).paid_volume * cash.WH_IN_MWH)

    def _evidence(self) -> Evidence:
        event_start = self._order.event_start(self._interval.start)
        expected, readings, problems = [], [], []
        if self._order.confirmed_at > self._interval.start:
            problems.append("the order was confirmed after the period had begun")
        for point in self._order.points:
            start = self._interval.start
            if point not in self._baselines.bl01:
                problems.append(f"{point} is no metering point of this site")
                continue
            said = self._baselines.expected(point, start, event_start, self._product)
            reading = self._inputs.readings.get((point, start)) or missing(
                point, start, "", "no reading"
            )
            expected.append(said)
            readings.append(reading)
            if said.wh is None:
                problems.append(said.detail)
            if reading.quality not in self._product.claimable:
                why = f" ({reading.detail})" if reading.detail else ""
                problems.append(f"{point}: the reading is {reading.quality}{why}")
        return Evidence(tuple(expected), tuple(readings), tuple(problems))

    def _cash(self, settled: Decimal, delivered: int) -> list[cash.Line] | None:
        """The money of the period; None while a price is lacking."""
        product, one = self._product, self._interval
        if product.scheme == "wholesale":
            price = self._inputs.value(SYSTEM_PRICE, one.start)
            if price is None:
                return None
            sale = cash.Wholesale(
                settled, self._contracted(), one.price, price.amount, product.fee_per_mwh
            )
            lines = cash.wholesale(sale)
        else:
            lines = cash.performance(self._use(delivered))
        rate = self._inputs.value(REFERENCE_PRICE, one.start)
        if rate is not None and product.activity is Activity.WHOLESALE:
            volume = self._terms.rounding.contract(settled)
            lines.append(cash.supplier_compensation(volume, rate.amount))
        model, begins = cash.P444_MODELS.get(self._terms.p444), self._terms.p444_from
        in_force = begins is not None and date_of(one.start) >= begins
        if model and in_force and rate is not None and product.activity is Activity.ACCEPTANCE:
            lines.append(model(settled, rate.amount))
        return lines

    def _use(self, delivered: int) -> cash.Use:
        product, one = self._product, self._interval
        return cash.Use(
            cash.mwh(delivered),
            cash.mwh(one.offered_wh),
            one.price,
            one.penalty,
            one.availability,
            product.least_share,
            product.most_share,
            product.fee_per_mwh,
        )

    def _contracted(self) -> Decimal:
        """MWh sold: as a contract notification has it."""
        if self._product.scheme != "wholesale":
            return ZERO
        return self._terms.rounding.contract(cash.mwh(self._interval.offered_wh))
