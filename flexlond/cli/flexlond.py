"""flexlond: the daemon's own command line.

Law: it starts the daemon or looks at the configuration; it never talks to a running daemon (flexlonctl does).
Exit codes: 0 good, 1 not good (with every reason on stderr); `run` also 75 another flexlond is active and
78 the configuration is refused. `backtest` has its own law (backtest.py).
"""

# ruff: noqa: FBT002 -- typer makes options of parameters
# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flexlond.cli.backtest import backtest
from flexlond.cli.keygen import keygen

if TYPE_CHECKING:
    from flexlond.model.settings import Settings

app = typer.Typer(
    help="FlexLon's daemon: plans when flexible Slurm jobs run.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

DEFAULT_CONFIG = Path("/etc/flexlon/flexlon.toml")

Config = Annotated[Path, typer.Option("--config", help="The configuration file.")]


@app.callback()
def options() -> None:
    """Plan when flexible Slurm jobs run."""


@app.command()
def run(config: Config = DEFAULT_CONFIG) -> None:
    """Be the daemon until SIGTERM; SIGHUP reloads the configuration."""
    from flexlond.daemon.main import run as be_daemon

    raise typer.Exit(be_daemon(config))


@app.command("check-config")
def check_config(config: Config = DEFAULT_CONFIG) -> None:
    """Check the configuration file; every problem is named with its correct form."""
    settings = _load(config)
    grid, signals = settings.grid, settings.signals
    print(f"{config}: OK")
    print(
        f"  mode {settings.daemon.mode}, slots of {grid.slot_seconds} s, {grid.horizon_slots} of them ahead"
    )
    print(
        f"  classes: {', '.join(sorted(settings.directive.classes))}; opt-ins: {len(settings.directive.opt_in)}"
    )
    price = ", ".join(feed.source for feed in signals.price) or "none: cost is not planned by"
    carbon = ", ".join(feed.source for feed in signals.carbon) or "none: carbon is not planned by"
    print(f"  price: {price}")
    print(f"  carbon: {carbon}")
    for name, one in settings.market.identity.items():
        print(f"  market: {name} is {one.subscriber} ({one.role}) for {one.agent}")
    if settings.agents.compute_flex and not signals.price and not signals.carbon:
        print("  note: without a price or carbon feed no job is ever moved")


@app.command("show-config")
def show_config(config: Config = DEFAULT_CONFIG) -> None:
    """Print every setting in force, defaults included, as TOML."""
    from flexlond.daemon.config import describe

    print(describe(_load(config)), end="")


@app.command()
def lua(
    config: Config = DEFAULT_CONFIG,
    output: Annotated[
        Path | None, typer.Option(help="Write the plugin here (atomically); without it: to stdout.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; exit code 1 when --output is not as it should be."
        ),
    ] = False,
) -> None:
    """Render the job_submit plugin with the site's settings."""
    from flexlond.daemon.lua import LuaError, install, render

    settings = _load(config)
    try:
        if output is None:
            if check:
                _fail("--check compares with a file: name it with --output")
            sys.stdout.write(render(settings))
        else:
            print(install(settings, output, check=check))
    except LuaError as error:
        _fail(str(error))


app.command("keygen")(keygen)
app.command("backtest")(backtest)


@app.command()
def version() -> None:
    """Print the version."""
    from flexlond import __version__

    print(f"flexlond {__version__}")


def main() -> None:
    """Run the command line."""
    app()


def _load(config: Path) -> Settings:
    from flexlond.daemon.config import load
    from flexlond.daemon.config_problem import ConfigError

    try:
        return load(config)
    except ConfigError as error:
        _fail(str(error))
        raise


def _fail(text: str) -> None:
    print(f"flexlond: {text}", file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    main()
