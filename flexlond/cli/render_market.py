"""Offers and orders for people.

Law: as in render.py: times in the user's own zone, unknown figures are "-", nothing from outside is markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from flexlond.cli.plain import safe
from flexlond.cli.render import moment, number, row, table

if TYPE_CHECKING:
    from rich.console import Console

_SHORT = 8  # characters of an id in a list; --json has all


def offers(out: Console, reply: Any) -> None:
    """One row a slot."""
    if reply.why_none:
        out.print(Text(f"nothing is for sale: {safe(reply.why_none)}"))
        return
    lines = table("SLOT", "KW", "LEFT KW", "GBP/KWH", "ORDER BY")
    for slot in reply.slots:
        row(
            lines,
            moment(slot.start),
            number(slot.kw, 1),
            number(slot.left_kw, 1),
            number(slot.gbp_per_kwh, 4),
            moment(slot.order_by),
        )
    out.print(lines)
    out.print(
        Text(
            f"by the plan of {moment(reply.made_at)}; an order lasts {reply.shortest_seconds // 60} to "
            f"{reply.longest_seconds // 60} min, notice {reply.notice_seconds / 60:.0f} min or more; "
            f"certain to {reply.certainty:.0%}"
        )
    )


def orders(out: Console, reply: Any) -> None:
    """One row an order."""
    lines = table(
        "ORDER", "KIND", "BUYER", "STATE", "FROM", "TO", "SOLD KWH", "DELIVERED", "GBP", "KEPT BY"
    )
    for one in reply.orders:
        row(
            lines,
            safe(one.order_id[:_SHORT]),
            one.kind,
            safe(one.buyer),
            one.state,
            moment(one.start),
            moment(one.end),
            number(one.sold_kwh, 1),
            number(one.delivered_kwh, 1),
            number(one.gbp),
            safe(one.kept_by) or "-",
        )
    out.print(lines)
    out.print(Text(f"{len(reply.orders)} orders"))
    for line in reply.unbid:
        out.print(Text(f"published: {safe(line)}"))
    for one in reply.orders:
        if one.decide_by:
            name = safe(one.order_id[:_SHORT])
            out.print(
                Text(
                    f"{name} waits for you until {moment(one.decide_by)}: flexlonctl market accept {name}"
                )
            )


def order(out: Console, one: Any) -> None:
    """Life and slots."""
    word = "bid" if one.kind == "bid" else "order"
    out.print(Text(f"{word} {safe(one.order_id)} of {safe(one.buyer)}: {one.state}"))
    parts = [f"contract {one.contract}", f"£{number(one.gbp)} when all of it is delivered"]
    parts += [f"kept by {safe(one.kept_by)}"] * bool(one.kept_by)
    parts += [f"rated {number(one.rating, 1)}"] * bool(one.rating)
    out.print(Text("; ".join(parts)))
    if one.detail:
        out.print(Text(safe(one.detail)))
    lines = table("SLOT", "SOLD KW", "GBP/KWH", "BASELINE KW", "PLANNED KW", "DELIVERED KW", "BY")
    for slot in one.slots:
        row(
            lines,
            moment(slot.start),
            number(slot.sold_kw, 1),
            number(slot.gbp_per_kwh, 4),
            number(slot.baseline_kw, 1),
            number(slot.planned_kw, 1),
            number(slot.delivered_kw, 1),
            slot.source,
        )
    out.print(lines)
    events = table("AT", "", "WHAT", "DETAIL")
    for event in one.events:
        row(events, moment(event.at), event.kind, safe(event.what), safe(event.detail))
    out.print(events)
