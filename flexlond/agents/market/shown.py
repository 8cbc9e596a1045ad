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
    from flexlond.agents.market.sales import Sale
    from flexlond.agents.market.seller import Seller


def offers(seller: Seller, now: float) -> OffersView:
    """What is for sale now."""
    found = seller.works.offering(now)
    if found is None:
        return OffersView(0, 0, seller.works.why_none(), 0.0, 0, 0, math.nan, ())
    left = seller.left(found, now)
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


def orders(seller: Seller, now: float) -> tuple[OrderView, ...]:
    """Every order, without slots and events."""
    return tuple(_order(seller, sale, now, whole=False) for sale in seller.sales.all())


def order(seller: Seller, order_id: str, now: float) -> OrderView | None:
    """One order, by its id or an unambiguous beginning of it."""
    found = find(seller, order_id)
    return None if found is None else _order(seller, found, now, whole=True)


def find(seller: Seller, order_id: str) -> Sale | None:
    """The sale of an id or of an unambiguous beginning of one."""
    named = seller.sales.of_order(order_id)
    if named is not None or not order_id:
        return named
    begun = [sale for sale in seller.sales.all() if sale.order_id.startswith(order_id)]
    return begun[0] if len(begun) == 1 else None


def _order(seller: Seller, sale: Sale, now: float, *, whole: bool) -> OrderView:
    standing = seller.node.journal.contracts.get(sale.transaction_id)
    progress = {one.start: one for one in seller.works.progress(sale.promise, now)} if whole else {}
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
        detail=sale.why or (seller.works.why_short(sale.key, now) if whole else ""),
        slots=tuple(slots) if whole else (),
        events=_events(seller, sale) if whole else (),
    )


def _events(seller: Seller, sale: Sale) -> tuple[OrderEventView, ...]:
    """Steps and messages in the order of their moments; no transaction id, no bodies."""
    journal, txn = seller.node.journal, sale.transaction_id
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
