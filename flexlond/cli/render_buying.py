"""The buying side for people: offers ranked, needs slot by slot, orders.

Law: as in render.py: times in the user's own zone, unknown figures are "-", nothing from outside is markup.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.text import Text

from flexlond.cli.plain import safe
from flexlond.cli.render import moment, number, row, table
from flexlond.cli.render_explain import span

if TYPE_CHECKING:
    from rich.console import Console


def discovered(out: Console, reply: Any) -> None:
    """The ranking, and what would be picked of each."""
    for line in reply.skipped:
        out.print(Text(f"not counted: {safe(line)}"))
    if not reply.offers:
        out.print(Text("no seller offers anything now"))
        return
    lines = table(
        "SELLER",
        "OFFER",
        "KWH",
        "GBP/KWH",
        "KG/KWH",
        "CERTAIN",
        "NOTICE",
        "SCORE",
        "PICKED KWH",
        "WHY",
    )
    for one in reply.offers:
        row(
            lines,
            one.seller,
            one.offer,
            number(one.kwh, 2),
            number(one.price, 4),
            number(one.avoided, 3),
            f"{one.certainty:.0%}",
            span(one.notice_seconds),
            number(one.score, 4),
            number(one.picked_kwh, 2),
            one.why,
        )
    out.print(lines)
    picked = math.fsum(one.picked_kwh for one in reply.offers)
    words = "nothing better exists" if reply.proven else "found in the time given"
    out.print(
        Text(
            f"picked for {safe(reply.goal)}: {number(picked, 2)} kWh for £{number(reply.cost_gbp, 4)}; {words}"
        )
    )
    most = max(reply.open_kw, default=0.0)
    if most > 0.0:
        out.print(Text(f"nobody gives the rest, up to {number(most, 2)} kW of a slot"))


def need(out: Console, one: Any) -> None:
    """One need, its slots, its orders."""
    end = one.start + one.slot_seconds * len(one.wanted_kw)
    head = f"{safe(one.words)} ({safe(one.source)}): {moment(one.start)} to {moment(end)}, {safe(one.state)}"
    out.print(Text(head))
    spent, budget = number(one.spent_gbp, 4), number(one.budget_gbp, 2)
    out.print(Text(f"goal {safe(one.goal)}; £{spent} of £{budget} are spent"))
    if one.note:
        out.print(Text(safe(one.note)))
    lines = table("SLOT", "WANTED KW", "BOUGHT KW", "DELIVERED KW")
    columns = zip(one.wanted_kw, one.bought_kw, one.delivered_kw, strict=True)
    for at, (wanted, bought, delivered) in enumerate(columns):
        row(
            lines,
            moment(one.start + at * one.slot_seconds),
            number(wanted, 2),
            number(bought, 2),
            number(delivered, 2),
        )
    out.print(lines)
    if not one.orders:
        return
    orders = table("ORDER", "SELLER", "STATE", "KW", "GBP", "RATING", "WHY")
    for order in one.orders:
        row(
            orders,
            order.order_id or "-",
            order.seller,
            order.state,
            number(max(order.kw, default=0.0), 2),
            number(order.cost_gbp, 4),
            str(order.rating) if order.rating else "-",
            order.why,
        )
    out.print(orders)


def needs(out: Console, reply: Any) -> None:
    """Every need."""
    for line in reply.unknown:
        out.print(Text(f"not known now: {safe(line)}"))
    if not reply.needs:
        out.print(Text("nothing is needed"))
    for at, one in enumerate(reply.needs):
        if at:
            out.print()
        need(out, one)
