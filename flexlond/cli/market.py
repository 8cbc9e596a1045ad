"""flexlonctl offers, orders, order, market: what this site sells, sold and bid. For operators.

Law: as flexlonctl.py: a client of the admin service and nothing more; a refusal ends with exit code 1.
"""

# ruff: noqa: FBT002 -- typer makes options of parameters
# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

from typing import Annotated

import typer

from flexlond.cli import market_buy
from flexlond.cli.asking import Json, ask, messages, say, show

app = typer.Typer(
    help="Decide orders of the market, and buy. For operators.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
market_buy.register(app)

Order = Annotated[str, typer.Argument(metavar="ID", help="The order's id, or the beginning of it.")]


def offers(context: typer.Context, json: Json = False) -> None:
    """Show what is for sale on the market: kW, price and last moment by slot."""
    from flexlond.cli import render_market

    show(ask(context, "Offers", messages().Empty()), json, render_market.offers)


def orders(context: typer.Context, json: Json = False) -> None:
    """List the market's orders, sold or won by a bid: how much, where it stands, what was delivered."""
    from flexlond.cli import render_market

    show(ask(context, "Orders", messages().Empty()), json, render_market.orders)


def order(context: typer.Context, order_id: Order, json: Json = False) -> None:
    """Show one order: its life with every message, and slot by slot what was sold, planned, delivered."""
    from flexlond.cli import render_market

    request = messages().OrderRequest(order_id=order_id)
    show(ask(context, "ShowOrder", request), json, render_market.order)


@app.command()
def accept(context: typer.Context, order_id: Order, json: Json = False) -> None:
    """Accept a pending order (market.sell.approve = "person"): it is put into force, a bid is confirmed."""
    _decide(context, order_id, yes=True, json=json)


@app.command()
def reject(context: typer.Context, order_id: Order, json: Json = False) -> None:
    """Reject a pending order, and the buyer is told; a bid is let go."""
    _decide(context, order_id, yes=False, json=json)


def _decide(context: typer.Context, order_id: str, *, yes: bool, json: bool) -> None:
    request = messages().DecideOrderRequest(order_id=order_id, accept=yes)
    reply = ask(context, "DecideOrder", request)
    say(reply, json, reply.detail)
