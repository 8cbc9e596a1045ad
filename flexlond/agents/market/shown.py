"""Offers and orders as people see them: the port's records, filled from sales and journal.

Law: as views.py: reads only, invents nothing. Epoch seconds, kW, GBP.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.agents.market_ports import (
    OfferSlotView,
    OffersView,
    OrderEventView,
    OrderSlotView,
    OrderView,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.market.account import Account
    from flexlond.agents.market.sales import Sale
    from flexlond.agents.market.side import Side
    from flexlond.agents.market.works import Works


def offers(works: Works, account: Account, now: float) -> OffersView:
    """What is for sale now."""
    found = works.offering(now)
    if found is None:
        return OffersView(0, 0, works.why_none(), 0.0, 0, 0, math.nan, ())
    left = account.left(found, now)
    slots = tuple(
        OfferSlotView(
            one.start,
            one.watts / 1000.0,
            left.get(one.start, 0) / 1000.0,
            one.price(left.get(one.start, 0) / 1000.0),
            int(one.order_by),
        )
        for one in found.slots
    )
    return OffersView(
        made_at=found.made_at,
        slot_seconds=found.slot_seconds,
        why_none="" if slots else "the envelope offers nothing that the terms of sale admit",
        notice_seconds=found.notice,
        shortest_seconds=found.shortest,
        longest_seconds=found.longest,
        certainty=found.certainty,
        slots=slots,
    )


def orders(side: Side, now: float) -> tuple[OrderView, ...]:
    """Every order of one side, without slots and events."""
    return tuple(_order(side, sale, now, whole=False) for sale in side.sales.all())


def order(side: Side, sale: Sale, now: float) -> OrderView:
    """One order with slots and events."""
    return _order(side, sale, now, whole=True)


def find(sides: Sequence[Side], order_id: str) -> tuple[Side, Sale] | None:
    """The side and the order of an id, or of an unambiguous beginning of one."""
    if not order_id:
        return None
    begun = []
    for side in sides:
        named = side.sales.of_order(order_id)
        if named is not None:
            return side, named
        begun += [(side, one) for one in side.sales.all() if one.order_id.startswith(order_id)]
    return begun[0] if len(begun) == 1 else None


def _order(side: Side, sale: Sale, now: float, *, whole: bool) -> OrderView:
    standing = side.node.journal.contracts.get(sale.transaction_id)
    progress = {one.start: one for one in side.works.progress(sale.promise, now)} if whole else {}
    slots = []
    for at in sorted(sale.watts):
        row, seen = sale.rows.get(at), progress.get(at)
        baseline = row.baseline_kw if row else seen.baseline_kw if seen else math.nan
        slots.append(
            OrderSlotView(
                at,
                sale.watts[at] / 1000.0,
                sale.price[at],
                baseline,
                baseline - seen.planned_kw if seen else math.nan,
                row.baseline_kw - row.usage_kw if row else math.nan,
                row.source if row else "",
            )
        )
    hours = sale.slot_seconds / 3600.0
    return OrderView(
        order_id=sale.order_id,
        kind=side.kind,
        buyer=sale.peer,
        contract=standing.state.value if standing else "",
        state=sale.state.value,
        start=sale.start,
        end=sale.end,
        slot_seconds=sale.slot_seconds,
        created=int(sale.created),
        decide_by=int(sale.until) if sale.state.value == "pending" else 0,
        kept_by=sale.name,
        gbp=sale.gbp,
        sold_kwh=sum(sale.watts.values()) / 1000.0 * hours,
        delivered_kwh=sum(
            min(sale.watts[at] / 1000.0, max(0.0, row.baseline_kw - row.usage_kw))
            for at, row in sale.rows.items()
            if at in sale.watts
        )
        * hours,
        rating=sale.rating,
        detail=sale.why or (side.works.why_short(sale.key, now) if whole else ""),
        slots=tuple(slots) if whole else (),
        events=_events(side, sale) if whole else (),
    )


def _events(side: Side, sale: Sale) -> tuple[OrderEventView, ...]:
    """Steps and messages in the order of their moments; no transaction id, no bodies."""
    journal, txn = side.node.journal, sale.transaction_id
    found = [
        OrderEventView(int(at), "step", f"{was} -> {became}", event)
        for at, was, event, became in journal.contracts.history(txn)
        if was != became
    ]
    found += [
        OrderEventView(int(one.received), "in", one.action, one.refusal)
        for one in journal.inbox.of_transaction(txn)
    ]
    found += [
        OrderEventView(
            int(one.created),
            "out",
            one.action,
            f"{one.state.lower()}, {one.tries} tries {one.outcome}",
        )
        for one in journal.outbox.of_transaction(txn)
    ]
    return tuple(sorted(found, key=lambda event: event.at))
