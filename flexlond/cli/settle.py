"""flexlonctl settle and statement: settle dates, and say what a month came to.

Law: works on the settlement file itself, not through the daemon: a settlement must be possible when the
daemon is not. Files are brought in first, each wholly or not at all, and only without problems in them unless
--lenient. What is incomplete is said and ends with exit code 1; a file or a configuration that cannot be used
with 2.
"""

# ruff: noqa: FBT002, PLR0917 -- typer makes options of parameters
# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from flexlond.cli.asking import Json  # noqa: TC001 -- typer reads it at run time
from flexlond.cli.client import EXIT_NO_DAEMON, EXIT_REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flexlond.model.settings import Settings
    from flexlond.settlement.store import Added, SettlementStore

Config = Annotated[Path, typer.Option(help="The configuration, for [settlement].")]
Store = Annotated[
    Path | None,
    typer.Option(help="The settlement file; by default settlement.db in daemon.state_dir."),
]
CONFIG = Path("/etc/flexlon/flexlon.toml")
STORE_NAME = "settlement.db"


def settle(
    first: Annotated[str, typer.Argument(metavar="DATE", help="The settlement date, 2026-09-15.")],
    to: Annotated[str, typer.Option(help="Settle every date up to this one.")] = "",
    readings: Annotated[
        list[Path] | None, typer.Option(help="Half-hourly readings to bring in first (CSV).")
    ] = None,
    orders: Annotated[
        list[Path] | None, typer.Option(help="Orders to bring in first (JSON).")
    ] = None,
    forecasts: Annotated[
        list[Path] | None, typer.Option(help="Forecasts fixed before gate closure (CSV).")
    ] = None,
    values: Annotated[
        list[Path] | None, typer.Option(help="Prices and carbon intensities (CSV).")
    ] = None,
    event_days: Annotated[list[Path] | None, typer.Option(help="Event days (CSV).")] = None,
    work: Annotated[list[Path] | None, typer.Option(help="Work done by jobs (CSV).")] = None,
    meters: Annotated[
        bool, typer.Option("--meters", help="Read the points of the configuration first.")
    ] = False,
    final: Annotated[
        bool, typer.Option("--final", help="What is still missing counts as not delivered.")
    ] = False,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Bring in the good rows of files with problems.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the records here as CSV.")] = None,
    config: Config = CONFIG,
    store: Store = None,
    json: Json = False,
) -> None:
    """Settle a date: baselines, what was delivered, what it is worth. Again: a version if anything changed."""
    from flexlond.settlement import halfhourly, tables
    from flexlond.settlement.record import to_csv

    settings = _settings(config)
    begin, end = _date(first), _date(to or first)
    if end < begin:
        raise typer.BadParameter("lies before DATE", param_hint="--to")
    with _Opened(settings, store) as opened:
        files: list[tuple[Sequence[Path] | None, Callable[..., Any], Callable[..., Added]]] = [
            (readings, halfhourly.parse, opened.add_readings),
            (forecasts, tables.forecasts, opened.add_nominations),
            (values, tables.values, opened.add_values),
            (event_days, tables.event_days, opened.add_event_days),
            (work, tables.work, opened.add_work),
            (orders, _orders, opened.add_orders),
        ]
        for paths, parse, add in files:
            for path in paths or ():
                _bring_in(path, parse, add, lenient=lenient)
        if meters:
            _read_meters(settings, begin, end, opened)
        records = _settle(settings, opened, begin, end, final=final, json=json)
    if csv is not None:
        _write(csv, to_csv(records))
    if any(record.state == "incomplete" for record in records):
        raise typer.Exit(EXIT_REFUSED)


def statement(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="The month, 2026-09.")],
    output: Annotated[
        Path | None, typer.Option(help="Write the printable page here (HTML).")
    ] = None,
    site: Annotated[str, typer.Option(help="The site's name, for the page.")] = "",
    config: Config = CONFIG,
    store: Store = None,
    json: Json = False,
) -> None:
    """Say what a month came to: revenue, avoided cost and carbon, cost and carbon per unit of work.

    It is kept in the settlement file, a version if anything changed; flexlond records it in the ledger.
    """
    import time

    from flexlond.settlement import runs
    from flexlond.settlement.configured import terms_of
    from flexlond.settlement.database import SettlementStoreError
    from flexlond.settlement.issued import issue
    from flexlond.settlement.statement import statement as made_of
    from flexlond.settlement.statement_html import page

    settings = _settings(config)
    first = _date(f"{month}-01", "MONTH")
    with _Opened(settings, store) as opened:
        made = made_of(runs.month_inputs(opened, first), terms_of(settings.settlement))
        try:
            kept = issue(opened, made, int(time.time()))
        except SettlementStoreError as error:
            _fail(str(error))
    if output is not None:
        _write(output, page(made, site))
    if json:
        print(kept.text)
        return
    earned = ", ".join(f"{amount} {currency}" for currency, amount in made.revenue.items())
    print(f"{made.month}: revenue {earned or 'none'}, {len(made.orders)} orders")
    print(
        f"avoided cost of supply: {made.avoided_cost.net} GBP on {len(made.event_days)} event days"
    )
    print(f"avoided carbon: {made.avoided_carbon_kg.net} kg CO2 (average)")
    if made.avoided_carbon_marginal_kg is not None:
        print(f"avoided carbon: {made.avoided_carbon_marginal_kg.net} kg CO2 (marginal)")
    for unit in made.units:
        cost, sci = unit.cost_per_unit or "not known", unit.sci_g_per_unit or "not known"
        print(f"per {unit.unit}: {cost} GBP, SCI {sci} g CO2")
    if made.not_settled:
        print(f"not settled: {len(made.not_settled)} days ({made.not_settled[0]} and on)")
    print(f"statement version {kept.version}, sha256 {kept.digest}")


def _settle(
    settings: Settings,
    store: SettlementStore,
    first: dt.date,
    last: dt.date,
    *,
    final: bool,
    json: bool,
) -> list[Any]:
    import time

    from flexlond.settlement.configured import terms_of
    from flexlond.settlement.database import SettlementStoreError
    from flexlond.settlement.orders import OrderError
    from flexlond.settlement.record import to_json
    from flexlond.settlement.runs import settle_range

    records: list[Any] = []
    terms = terms_of(settings.settlement)
    try:
        for result, run in settle_range(store, first, last, terms, int(time.time()), final=final):
            records += result.records
            if not json:
                _say(result, run)
    except (OrderError, SettlementStoreError) as error:
        _fail(str(error))
    if json:
        print(to_json(records))
    return records


def _say(result: Any, run: Any) -> None:
    """One date, for people."""
    open_ = [record for record in result.records if record.state == "incomplete"]
    claimed = sum(record.claimed_wh for record in result.records) / 1000
    how = "new" if run.new else "as before"
    print(
        f"{result.date}: version {run.version} ({how}), {len(result.days)} points,"
        f" {len(result.records)} order periods, {len(open_)} incomplete, {claimed:.3f} kWh claimed"
    )
    for record in open_:
        print(f"  SP {record.settlement_period} {record.order}: {'; '.join(record.problems)}")


class _Opened:
    """The settlement file, or a message."""

    def __init__(self, settings: Settings, path: Path | None) -> None:
        self._path = path or Path(settings.daemon.state_dir) / STORE_NAME

    def __enter__(self) -> SettlementStore:
        from flexlond.settlement.database import SettlementStoreError
        from flexlond.settlement.store import SettlementStore

        try:
            self._store = SettlementStore(self._path)
        except SettlementStoreError as error:
            _fail(str(error))
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


def _bring_in(
    path: Path, parse: Callable[..., Any], add: Callable[..., Added], *, lenient: bool
) -> None:
    import time

    from flexlond.settlement.database import SettlementStoreError

    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{path}: {error}; is it the right file, in UTF-8?")
    rows, problems = parse(text, path.name)
    for problem in problems:
        print(f"flexlonctl: {problem}", file=sys.stderr)
    if problems and not lenient:
        _fail(
            f"{path}: nothing of it was brought in; correct it, or use --lenient for the good rows"
        )
    try:
        added = add(rows, int(time.time()))
    except SettlementStoreError as error:
        _fail(str(error))
    print(f"{path}: {added}", file=sys.stderr)


def _orders(text: str, source: str) -> tuple[list[Any], list[str]]:
    """A list of orders, or one."""
    import json as reader

    from flexlond.settlement.orders import OrderError, from_plain

    try:
        plain = reader.loads(text)
        found = [from_plain(one) for one in (plain if isinstance(plain, list) else [plain])]
    except (ValueError, OrderError) as error:
        return [], [f"{source}: {error}"]
    return found, []


def _read_meters(settings: Settings, first: dt.date, last: dt.date, store: SettlementStore) -> None:
    import asyncio
    import time

    from flexlond.daemon.compose import STORE_NAME as DAEMON_STORE
    from flexlond.daemon.settlement_meters import read_points
    from flexlond.model.settlement_period import day_end, day_start
    from flexlond.settlement.readings import not_worse

    daemon_store = Path(settings.daemon.state_dir) / DAEMON_STORE
    report = asyncio.run(read_points(settings, first, last, daemon_store))
    for problem in report.problems:
        print(f"flexlonctl: {problem}", file=sys.stderr)
    known = {
        (one.point, one.start): one for one, _ in store.readings(day_start(first), day_end(last))
    }
    better = not_worse(report.readings, known)
    print(f"meters: {store.add_readings(better, int(time.time()))}", file=sys.stderr)


def _settings(config: Path) -> Settings:
    from flexlond.daemon.config import load
    from flexlond.daemon.config_problem import ConfigError

    try:
        return load(config)
    except ConfigError as error:
        _fail(str(error))


def _date(text: str, hint: str = "DATE") -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date", param_hint=hint) from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        _fail(f"{path}: {error.strerror}; name a file in a folder that you may write")


def _fail(message: str) -> NoReturn:
    print(f"flexlonctl: {message}", file=sys.stderr)
    raise typer.Exit(EXIT_NO_DAEMON)
