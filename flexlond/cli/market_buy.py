"""flexlonctl market: what the Grid Orchestrator would buy, needs, and what became of them. For operators.

Law: as window.py: moments are read in the user's zone and sent in UTC, powers carry their unit. `discover` buys
nothing.
"""

# ruff: noqa: FBT002, PLR0917 -- typer makes options of parameters
# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

from typing import Annotated

import typer

from flexlond.cli.asking import Json, ask, messages, read_span, say, show
from flexlond.cli.client import LONG_TIMEOUT

Budget = Annotated[float, typer.Option(min=-1.0, help="GBP at most; -1: market.buy.budget_gbp.")]


def register(app: typer.Typer) -> None:
    """Put the commands into `flexlonctl market`."""
    for command in (discover, need, needs, cancel, support, track):
        app.command()(command)


def discover(
    context: typer.Context,
    low_price: Annotated[bool, typer.Option("--low-price", help="The cheapest kWh.")] = False,
    low_carbon: Annotated[
        bool, typer.Option("--low-carbon", help="Where a kWh avoids most CO2.")
    ] = False,
    stress: Annotated[
        bool, typer.Option("--stress", help="Price, carbon, and above all that it comes.")
    ] = False,
    kw: Annotated[str, typer.Option(help="So much, with its unit: 40kW. Default: all.")] = "",
    begin: Annotated[
        str, typer.Option("--from", help="From when, as for sbatch --begin. Default: all slots.")
    ] = "",
    end: Annotated[str, typer.Option("--to", help="Until when.")] = "",
    budget: Budget = -1.0,
    json: Json = False,
) -> None:
    """Ask all sellers and say what would be picked, and why. Nothing is bought."""
    from flexlond.cli import render_buying

    chosen = [
        goal
        for goal, wanted in (("price", low_price), ("carbon", low_carbon), ("stress", stress))
        if wanted
    ]
    if len(chosen) != 1:
        raise typer.BadParameter(
            "give one of the three", param_hint="--low-price / --low-carbon / --stress"
        )
    if bool(begin) != bool(end):
        raise typer.BadParameter("give both or none", param_hint="--from / --to")
    start, stop = read_span(begin, end) if begin else (0, 0)
    request = messages().DiscoverRequest(
        goal=chosen[0], kw=_kw(kw) if kw else 0.0, start=start, end=stop, budget_gbp=budget
    )
    show(ask(context, "Discover", request, LONG_TIMEOUT), json, render_buying.discovered)


def need(
    context: typer.Context,
    kw: Annotated[str, typer.Option(help="How much less power is wanted: 40kW.")],
    begin: Annotated[str, typer.Option("--from", help="From when; whole slots.")],
    end: Annotated[str, typer.Option("--to", help="Until when; whole slots.")],
    budget: Budget = -1.0,
    goal: Annotated[
        str, typer.Option(help="price, carbon or stress; default: market.buy.goal.")
    ] = "",
    json: Json = False,
) -> None:
    """Buy less power for some slots, within a budget."""
    from flexlond.cli import render_buying

    start, stop = read_span(begin, end)
    request = messages().NeedRequest(
        kw=_kw(kw), start=start, end=stop, budget_gbp=budget, goal=goal
    )
    show(ask(context, "AddNeed", request), json, render_buying.need)


def needs(context: typer.Context, json: Json = False) -> None:
    """Every need: wanted, bought and delivered by slot, and its orders."""
    from flexlond.cli import render_buying

    show(ask(context, "ListNeeds", messages().Empty()), json, render_buying.needs)


def cancel(
    context: typer.Context,
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")],
    json: Json = False,
) -> None:
    """Ask the seller of an order to cancel it: first what that would mean, then for good."""
    reply = ask(context, "CancelPurchase", messages().PurchaseRequest(order_id=order))
    say(reply, json, reply.detail)


def support(
    context: typer.Context,
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")],
    json: Json = False,
) -> None:
    """Ask the seller of an order where help is to be had."""
    _ask_seller(context, order, "support", json=json)


def track(
    context: typer.Context,
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")],
    json: Json = False,
) -> None:
    """Ask the seller of an order that is in force for the page on which it can be followed."""
    _ask_seller(context, order, "track", json=json)


def _ask_seller(context: typer.Context, order: str, question: str, *, json: bool) -> None:
    request = messages().AskSellerRequest(order_id=order, question=question)
    reply = ask(context, "AskSeller", request, LONG_TIMEOUT)
    say(reply, json, reply.detail)


def _kw(text: str) -> float:
    from flexlond.model.window import WindowError, parse_kw

    try:
        return parse_kw(text)
    except WindowError as error:
        raise typer.BadParameter(f"{error}", param_hint="--kw") from error
