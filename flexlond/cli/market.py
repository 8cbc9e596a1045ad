"""flexlonctl market: the site's or the grid's side of the market. For operators.

Law: only the place where the commands come together.
"""

from __future__ import annotations

import typer

from flexlond.cli import market_buy

app = typer.Typer(
    help="Buy and sell flexibility. For operators.", no_args_is_help=True, rich_markup_mode=None
)
market_buy.register(app)
