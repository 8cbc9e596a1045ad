"""One settlement run: everything of one settlement date, from readings to records.

Law: pure; no clock. The same inputs give the same records, byte for byte. Orders of one point are served in the
order of their confirmation and never claim the same Wh twice (I6). Slots of another length than a settlement
period are settled one by one by what both sides of their contract saw (contract_slot.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import date_of
from flexlond.settlement.contract_slot import contract_slot
from flexlond.settlement.expected import DayBaselines
from flexlond.settlement.order_period import Claims, OrderPeriod
from flexlond.settlement.orders import OrderError
from flexlond.settlement.recorder import Recorder
from flexlond.settlement.terms import Activity

if TYPE_CHECKING:
    import datetime as dt

    from flexlond.settlement.inputs import DayInputs
    from flexlond.settlement.record import DayPoint, Record
    from flexlond.settlement.terms import Terms


@dataclass(frozen=True, slots=True)
class DayResult:
    """What a run makes."""

    date: dt.date
    records: tuple[Record, ...]
    days: tuple[DayPoint, ...]


def settle_day(date: dt.date, inputs: DayInputs, terms: Terms, *, final: bool = False) -> DayResult:
    """Settle one date. `final`: what is still missing counts as not delivered. Raises OrderError."""
    baselines = DayBaselines(date, inputs, terms)
    ordered = sorted(inputs.orders, key=lambda order: (order.confirmed_at, order.id))
    today = [
        (order, one) for order in ordered for one in order.intervals if date_of(one.start) == date
    ]
    activity: dict[tuple[str, int], set[str]] = {}
    for order, one in today:
        product = terms.products.get(order.product)
        if product is None:
            raise OrderError(
                f"order {order.id} is of the product {order.product!r}, which the terms do not have; they have"
                f" {', '.join(sorted(terms.products))}"
            )
        if not one.is_period and product.activity is not Activity.CONTRACT:
            raise OrderError(
                f"order {order.id}: the interval at {one.start} is no settlement period; {order.product} is"
                " settled by half-hours, other slots only as a contract between two parties"
            )
        for point in order.points:
            activity.setdefault((point, one.start), set()).add(product.activity.value)
    claims: dict[int, Claims] = {}
    recorder = Recorder(inputs, terms, baselines)
    records = []
    for order, one in today:
        if not one.is_period:
            seen = inputs.deliveries.get((order.id, one.start))
            records.append(contract_slot(order, one, seen, terms, final=final))
            continue
        period = OrderPeriod(inputs, terms, baselines, order, one)
        outcome = period.settle(claims.setdefault(one.start, Claims()), final=final)
        flags = sorted({word for point in order.points for word in activity[point, one.start]})
        records.append(recorder.record(order, one, outcome, flags))
    records.sort(key=lambda record: (record.start, record.order))
    days = tuple(
        baselines.summary(point, event_day=date in inputs.events.get(point, frozenset()))
        for point in inputs.points
    )
    return DayResult(date, tuple(records), days)
