"""The other tables that a settlement goes by, as CSV: forecasts, prices, event days, work done.

Law: pure: text in, rows and problems out, as halfhourly.py: a row that cannot be read is a problem with its
line number, and no row is guessed. Columns by name:

- forecasts: `point`, `utc` or settlement date and period, `kwh`, `fixed_at` (UTC); - values: `kind`, `utc` or
settlement date and period, `amount`, optional `source`; - event days: `point`, `date`, `reason`, optional
`evidence`, `active` (yes or no); - work: `job`, `unit`, `utc` or settlement date and period, `amount`, `kwh`,
optional `embodied_g`.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from flexlond.settlement.configured import amount
from flexlond.settlement.halfhourly import RowError, moment_of, start_of, wh_of
from flexlond.settlement.inputs import KINDS, EventDay, Value
from flexlond.settlement.nominated import Nomination
from flexlond.settlement.work import DAEMON, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


def forecasts(text: str, source: str) -> tuple[list[Nomination], list[str]]:
    """What was expected, and when that was fixed."""

    def one(row: Mapping[str, str]) -> Nomination:
        fixed = moment_of(row["fixed_at"])
        return Nomination(
            _said(row, "point"), start_of(row), wh_of(row["kwh"], "kwh"), fixed, source
        )

    return _read(text, source, ("point", "kwh", "fixed_at"), one)


def values(text: str, source: str) -> tuple[list[Value], list[str]]:
    """Prices (per MWh) and intensities (g/kWh)."""

    def one(row: Mapping[str, str]) -> Value:
        if row["kind"] not in KINDS:
            raise RowError(f"the kind {row['kind'][:30]!r} is none of {', '.join(KINDS)}")
        return Value(
            row["kind"], start_of(row), _number(row, "amount"), row.get("source") or source
        )

    return _read(text, source, ("kind", "amount"), one)


def event_days(text: str, source: str) -> tuple[list[EventDay], list[str]]:
    """Days that no baseline may look at."""

    def one(row: Mapping[str, str]) -> EventDay:
        try:
            date = dt.date.fromisoformat(row["date"])
        except ValueError:
            raise RowError(f"the date {row['date'][:20]!r} is not like 2026-01-31") from None
        word = (row.get("active") or "yes").lower()
        if word not in {"yes", "no"}:
            raise RowError(f"active is {word[:20]!r}; write yes or no")
        reason = _said(row, "reason")
        return EventDay(_said(row, "point"), date, reason, row.get("evidence", ""), word == "yes")

    return _read(text, source, ("point", "date", "reason"), one)


def work(text: str, source: str) -> tuple[list[Work], list[str]]:
    """Units of work by job and period, with the energy at the supply."""

    def one(row: Mapping[str, str]) -> Work:
        embodied = _number(row, "embodied_g") if row.get("embodied_g") else Decimal(0)
        if row["job"].startswith(DAEMON):
            raise RowError(
                f"job begins with {DAEMON}, which is kept for what flexlond counts itself"
            )
        return Work(
            start_of(row),
            _said(row, "job"),
            _said(row, "unit"),
            _number(row, "amount"),
            wh_of(row["kwh"], "kwh"),
            embodied,
        )

    return _read(text, source, ("job", "unit", "amount", "kwh"), one)


def _read(
    text: str, source: str, wanted: tuple[str, ...], one: Callable[[Mapping[str, str]], T]
) -> tuple[list[T], list[str]]:
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    names = {name.strip() for name in rows.fieldnames or ()}
    if lacking := [name for name in wanted if name not in names]:
        return [], [f"{source}: line 1 does not name the columns {', '.join(lacking)}"]
    found: list[T] = []
    problems = []
    for row in rows:
        cells = {
            (key or "").strip(): (cell or "").strip()
            for key, cell in row.items()
            if not isinstance(cell, list)
        }
        try:
            found.append(one(cells))
        except RowError as error:
            problems.append(f"{source}, line {rows.line_num}: {error}")
    return found, problems


def _said(row: Mapping[str, str], name: str) -> str:
    if not row[name]:
        raise RowError(f"{name} is empty")
    return row[name]


def _number(row: Mapping[str, str], name: str) -> Decimal:
    try:
        return amount(row[name])
    except ValueError as error:
        raise RowError(f"{name}: {error}") from None
