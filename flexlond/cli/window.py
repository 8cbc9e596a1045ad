"""flexlonctl window: order, look at and cancel windows of lower power. For operators.

Law: moments are read in the user's zone (TZ) and sent in UTC; powers carry their unit. What the daemon refuses
ends with exit code 1 and what to do. Running jobs are stopped only where the site and their owners agreed.
"""

# ruff: noqa: FBT002, PLR0917 -- typer makes options of parameters
# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

from typing import Annotated

import typer

from flexlond.cli.asking import Json, ask, messages, read_span, show
from flexlond.cli.client import LONG_TIMEOUT

app = typer.Typer(
    help="Keep the site's power under a cap for some slots, by deferring flexible jobs. For operators.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Number = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**32 - 1, help="The window's id.")]


@app.command()
def add(
    context: typer.Context,
    begin: Annotated[
        str,
        typer.Option(
            "--from",
            help="When it begins, as for sbatch --begin: 17:00, now+1hour, 2027-01-31T17:00. "
            "Widened to whole slots.",
        ),
    ],
    end: Annotated[
        str, typer.Option("--to", help="When it ends; a clock time is the first one after --from.")
    ],
    cap: Annotated[
        str, typer.Option(help="The most that the site may draw, with its unit: 800kW.")
    ] = "",
    down: Annotated[
        str,
        typer.Option(
            help="Or by how much less than the plan of this moment: 300kW; fixed slot by slot."
        ),
    ] = "",
    replace: Annotated[
        int,
        typer.Option(
            min=0, max=2**32 - 1, metavar="ID", help="End this window when the new one is in force."
        ),
    ] = 0,
    allow_rebound: Annotated[
        bool,
        typer.Option(
            "--allow-rebound",
            help="Order it also where what comes back after it is planned above the rebound cap.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would cost and which jobs it moves.")
    ] = False,
    json: Json = False,
) -> None:
    """Order a window: what it costs and moves, how far it falls short, whom it stops."""
    from flexlond.cli import render_window

    pb = messages()
    start, stop = read_span(begin, end)
    request = pb.AddWindowRequest(
        start=start, end=stop, dry_run=dry_run, replaces=replace, allow_rebound=allow_rebound
    )
    if bool(cap) == bool(down):
        raise typer.BadParameter(
            "give one of the two: --cap 800kW or --down 300kW", param_hint="--cap / --down"
        )
    if cap:
        request.cap_kw = _kw(cap, "--cap")
    else:
        request.down_kw = _kw(down, "--down")
    show(ask(context, "AddWindow", request, LONG_TIMEOUT), json, render_window.added)


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List every window with its state and the largest shortfall, seen or foreseen."""
    from flexlond.cli import render_window

    show(ask(context, "ListWindows", messages().Empty()), json, render_window.listed)


@app.command("show")
def show_(context: typer.Context, window: Number, json: Json = False) -> None:
    """Show a window slot by slot: cap, planned and observed power (metered or modelled), shortfall."""
    from flexlond.cli import render_window

    request = messages().WindowRequest(window_id=window)
    show(ask(context, "ShowWindow", request), json, render_window.shown)


@app.command()
def cancel(context: typer.Context, window: Number, json: Json = False) -> None:
    """End a window, also one that runs: the next plan gives back what it held."""
    from flexlond.cli import render_window

    request = messages().WindowRequest(window_id=window)
    show(ask(context, "CancelWindow", request, LONG_TIMEOUT), json, render_window.cancelled)


def _kw(text: str, option: str) -> float:
    from flexlond.model.window import WindowError, parse_kw

    try:
        return parse_kw(text)
    except WindowError as error:
        raise typer.BadParameter(f"{error}", param_hint=option) from error
