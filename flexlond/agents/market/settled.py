"""What was sold, as settlement takes it: the order with its slots, and what was seen of each.

Law: pure. An order goes to settlement once its promise is in force; cancelled it has no slots any more, and
claims nothing. The penalty is what it was when the order was first put down, whatever the terms of sale say
later. Of a slot that is over goes what the buyer was told, and nothing else: only metered use is told (I6).
Whole watts, prices per MWh, kW to a milliwatt; epoch seconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from flexlond.agents.market.sales import SaleState
from flexlond.settlement.inputs import Delivery
from flexlond.settlement.orders import Interval, Order
from flexlond.settlement.readings import Quality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.agents.market.sales import Sale

SOLD = frozenset({SaleState.KEPT, SaleState.OVER, SaleState.RELEASING, SaleState.RELEASED})
"""The states of a sale that was in force; a refused one never was."""

METERED = "metered"
_GONE = frozenset({SaleState.RELEASING, SaleState.RELEASED})
_MILLIWATT = Decimal("0.000001")  # in kW


def order_of(
    sale: Sale,
    point: str,
    product: str,
    *,
    confirmed_at: int,
    penalty: Mapping[int, float],
    before: Mapping[int, Decimal] | None = None,
) -> Order:
    """The order of a sale in SOLD. `penalty` is GBP per kWh by slot; `before` is what is on record, by slot."""
    on_record = before or {}
    slots = () if sale.state in _GONE else sorted(sale.watts)
    return Order(
        sale.order_id,
        product,
        (point,),
        confirmed_at,
        tuple(
            Interval(
                at,
                sale.watts[at],
                _decimal(sale.price[at]) * 1000,
                on_record.get(at, _decimal(penalty.get(at, 0.0)) * 1000),
                length=sale.slot_seconds,
            )
            for at in slots
        ),
        references=(sale.name,) if sale.name else (),
    )


def deliveries_of(sale: Sale) -> list[Delivery]:
    """What the buyer was told of its slots, once that is final: what may yet be proved is not settled yet."""
    return [
        Delivery(
            sale.order_id,
            at,
            sale.slot_seconds,
            _decimal(row.baseline_kw),
            _decimal(row.usage_kw),
            Quality.MEASURED if row.source == METERED else Quality.ESTIMATED,
            f"as told in on_status, {row.source}",
        )
        for at, row in sorted(sale.rows.items())
        if row.final or sale.state is SaleState.OVER
    ]


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(_MILLIWATT)
