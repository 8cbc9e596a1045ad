"""Price and carbon of the past, from files: the front door for `--signals`.

Law: a CSV file with price and carbon is taken as known in advance (perfect foresight, and labelled so); a
TOML file says of each series how it was known. What was wrong in a file is in `problems`; a file with
nothing usable is a SignalError that says file, key or line, and what to do. Source: our own.
TOML: [signals] name, extend; [price] path, column, time_column, kind = "known" (default), "day-ahead" (zone,
at) or "measured" (lag_hours), factor; [carbon] the same, or kind = "vintages" (column is the forecast;
issued_column, or rows_per_issue and issue_hours; actual_path, actual_column, lag_hours). Paths are relative
to the TOML file.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields, replace
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flexlond.backtest.past_signals import PastSignals
from flexlond.backtest.published import day_ahead, known, measured
from flexlond.backtest.series_file import Layout, read_series, read_vintages
from flexlond.backtest.table import InputError, read_text
from flexlond.backtest.vintages import Vintages
from flexlond.signals.rows import HOUR, SignalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.backtest.past_signals import Series

_EXPECTED = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
KINDS = ("known", "day-ahead", "measured", "vintages")


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """Where one series is and how it was known; the keys of a TOML table."""

    path: str | Path
    column: str = ""  # "": the one that is called so
    time_column: str = ""
    kind: str = "known"
    factor: float = 1.0  # a currency's fixed rate
    zone: str = "Europe/Berlin"  # day-ahead: of the delivery day and of `at`
    at: str = "12:45"  # day-ahead: publication, local time of the day before
    lag_hours: float = 1.0  # measured and vintages: from a value's end to its publication
    issued_column: str = ""
    rows_per_issue: int = 0  # vintages by position (CarbonCast: 96); 0: by column or by moments
    issue_hours: float = 24.0  # by position: from an issue to the next
    actual_path: str | Path = ""  # vintages: "" for the same file
    actual_column: str = ""


def load_signals(
    spec: str | Path | Sequence[str | Path],
    *,
    price_column: str = "",
    carbon_column: str = "",
    factor: float = 1.0,
    name: str = "",
    extend: bool | None = None,
) -> PastSignals:
    """The signals of a TOML file, a CSV file with both columns, or two CSV files (price, carbon).

    The options name columns and a rate for prices in CSV files. `extend`: naive expectation after what is
    published; None is yes for all but series known in advance. Raises SignalError.
    """
    paths = [Path(one) for one in ([spec] if isinstance(spec, str | Path) else spec)]
    if not 1 <= len(paths) <= 2:
        raise SignalError(
            f"{len(paths)} signal files; give one, or one for price and one for carbon"
        )
    if paths[0].suffix == ".toml":
        if len(paths) > 1 or price_column or carbon_column or factor != 1:
            raise SignalError(
                f"{paths[0]}: a TOML file says all itself; leave the other options out"
            )
        return _from_toml(paths[0], name, extend=extend)
    price = SeriesSpec(paths[0], price_column, factor=factor)
    carbon = SeriesSpec(paths[-1], carbon_column)
    return make_signals(name or paths[0].name.split(".")[0], price, carbon, extend=extend)


def make_signals(
    name: str,
    price: SeriesSpec | None,
    carbon: SeriesSpec | None,
    *,
    extend: bool | None = None,
) -> PastSignals:
    """Signals of one or two series; what is missing is NaN throughout. Raises SignalError."""
    problems: tuple[str, ...] = ()
    series: list[Series | None] = []
    for kind, spec in (("price", price), ("carbon", carbon)):
        if spec is None:
            series.append(None)
            continue
        made, wrong = _series(kind, spec, extend=extend)
        series.append(made)
        problems = tuple(dict.fromkeys((*problems, *wrong)))  # one file may be read for both
    if not any(series):
        raise SignalError(f"{name}: neither price nor carbon; give at least one of them")
    return PastSignals(name, series[0], series[1], problems)


def _series(kind: str, spec: SeriesSpec, *, extend: bool | None) -> tuple[Series, tuple[str, ...]]:
    if spec.kind not in KINDS:
        raise SignalError(f"{kind}: no kind {spec.kind!r}; there are {', '.join(KINDS)}")
    if not (math.isfinite(spec.factor) and 0 <= spec.lag_hours < math.inf):
        raise SignalError(f"{kind}: factor and lag_hours are finite numbers, lag_hours from 0")
    longer = spec.kind != "known" if extend is None else extend
    lag = round(spec.lag_hours * HOUR)
    if spec.kind == "vintages":
        layout = _layout(kind, spec)
        vintages, wrong = read_vintages(
            spec.path,
            spec.column,
            spec.time_column,
            issued_column=spec.issued_column,
            layout=layout,
        )
        if spec.actual_path:
            actual, more = read_series(spec.actual_path, kind, spec.actual_column)
        else:
            actual, more = read_series(
                spec.path, "actual", spec.actual_column, spec.time_column, layout=layout
            )
        return Vintages(vintages, actual, lag=lag, extend=longer), (*wrong, *more)
    rows, wrong = read_series(spec.path, kind, spec.column, spec.time_column, factor=spec.factor)
    if spec.kind == "known":
        return known(rows, extend=longer), wrong
    if spec.kind == "measured":
        return measured(rows, lag=lag, extend=longer), wrong
    try:
        ZoneInfo(spec.zone)
        at = time.fromisoformat(spec.at)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SignalError(f"{kind}: zone or at: {error}; as in Europe/Berlin, 12:45") from None
    return day_ahead(rows, zone=spec.zone, at=at, extend=longer), wrong


def _layout(kind: str, spec: SeriesSpec) -> Layout | None:
    if not spec.rows_per_issue:
        return None
    if spec.rows_per_issue < 2 or not 0 < spec.issue_hours < math.inf:
        raise SignalError(f"{kind}: rows_per_issue is 2 or more, issue_hours above 0; correct them")
    return Layout(spec.rows_per_issue, round(spec.issue_hours * HOUR))


def _from_toml(path: Path, name: str, *, extend: bool | None) -> PastSignals:
    try:
        said: dict[str, Any] = tomllib.loads(read_text(path))
    except InputError as error:
        raise SignalError(str(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise SignalError(f"{path}: not TOML: {error}") from None
    tables = {"signals": said.pop("signals", {})}
    tables |= {kind: said.pop(kind) for kind in ("price", "carbon") if kind in said}
    if said:
        raise SignalError(f"{path}: unknown {', '.join(said)}; there are signals, price and carbon")
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise SignalError(f"{path}: {key} is no table; write [{key}] and its keys below")
    general = _typed(path, "signals", tables["signals"], {"name": str, "extend": bool})
    specs = {
        kind: _spec(path, kind, tables[kind]) if kind in tables else None
        for kind in ("price", "carbon")
    }
    try:
        return make_signals(
            name or general.get("name", path.stem),
            specs["price"],
            specs["carbon"],
            extend=general.get("extend") if extend is None else extend,
        )
    except SignalError as error:
        raise SignalError(f"{path}: {error}") from None


def _spec(path: Path, kind: str, table: dict[str, Any]) -> SeriesSpec:
    types: dict[str, type] = {field.name: str for field in fields(SeriesSpec)}
    types |= {"factor": float, "lag_hours": float, "issue_hours": float, "rows_per_issue": int}
    keys = _typed(path, kind, table, types)
    if not keys.get("path"):
        raise SignalError(f"{path}: {kind}.path is missing; give the CSV file")
    spec = SeriesSpec(**keys)
    beside = path.parent
    actual = beside / spec.actual_path if spec.actual_path else ""
    return replace(spec, path=beside / spec.path, actual_path=actual)


def _typed(
    path: Path, section: str, table: dict[str, Any], types: dict[str, type]
) -> dict[str, Any]:
    for key, value in table.items():
        if key not in types:
            raise SignalError(f"{path}: unknown key {section}.{key}; there are {', '.join(types)}")
        wanted = types[key]
        fits = (int, float) if wanted is float else wanted
        if not isinstance(value, fits) or (isinstance(value, bool) and wanted is not bool):
            raise SignalError(f"{path}: {section}.{key} is {value!r}; expected {_EXPECTED[wanted]}")
    return table
