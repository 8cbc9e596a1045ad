"""One series from a CSV file (.gz or plain): its values, or its forecast vintages.

Law: a value holds from its moment for the file's usual step and never over a missing row: a hole stays
unknown, and is said. A line that cannot be read is said with file:line. Moments are ISO 8601 in the column
`utc` (or the one column with "utc" in its name); without an offset they are UTC. Vintages: rows are grouped
by the column `issued`; or by position (`Layout`: so many rows an issue, issues so far apart, moments counted
from the first row's: CarbonCast's files, whose moments are wrong in places); else a new vintage begins where
the moments step back, and was issued at its first moment. Source: our own.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flexlond.backtest.notes import Notes
from flexlond.backtest.table import InputError, Table, read_table, read_text
from flexlond.backtest.vintages import Vintage
from flexlond.signals.rows import DAY, HOUR, Row, SignalError, format_utc, parse_utc, tidy

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a column of the kind is called where the option does not say.
COLUMN_WORDS = {
    "price": ("price", "mwh"),
    "carbon": ("carbon", "co2"),
    "forecast": ("forecast",),
    "actual": ("actual",),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Vintages by position: row k is of issue k // rows, at k % rows steps after it."""

    rows: int  # of an issue
    every: int = DAY  # s from an issue to the next


@dataclass(frozen=True, slots=True)
class _Value:
    line: int
    at: int
    value: float
    issued: int | None = None


def read_series(
    path: str | Path,
    kind: str,
    column: str = "",
    time_column: str = "",
    *,
    factor: float = 1.0,
    layout: Layout | None = None,
) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Rows of one column, and the problems. `kind` is a key of COLUMN_WORDS. Raises SignalError."""
    table, notes = _read(Path(path))
    values = _values(table, notes, _column(table, kind, column), _time(table, time_column))
    if layout is not None:
        values = _by_position(values, table, layout, notes)
    rows = _rows(values, notes, factor)
    if not any(math.isfinite(row.value) for row in rows):
        raise SignalError(f"{notes.name}: no usable value of {kind}{notes.first()}")
    return rows, notes.texts()


def read_vintages(
    path: str | Path,
    column: str = "",
    time_column: str = "",
    *,
    issued_column: str = "",
    layout: Layout | None = None,
) -> tuple[tuple[Vintage, ...], tuple[str, ...]]:
    """The forecasts of one column as they were issued, and the problems. Raises SignalError."""
    table, notes = _read(Path(path))
    issued = table.index(issued_column or "issued")
    if issued_column and issued < 0:
        raise _no_column(table, issued_column)
    at = _time(table, time_column)
    values = _values(table, notes, _column(table, "forecast", column), at, issued)
    if layout is not None:
        groups = _by_issue(_by_position(values, table, layout, notes))
    elif issued >= 0:
        groups = _by_issue(values)
    else:
        groups = _by_steps_back(values, notes)
    vintages = []
    for moment, group in groups:
        rows = tuple(row for row in _rows(group, None, 1.0) if math.isfinite(row.value))
        if rows:
            vintages.append(Vintage(moment, rows))
        else:
            notes.line(group[0].line, f"the forecast of {format_utc(moment)} has no value")
    if not vintages:
        raise SignalError(f"{notes.name}: no usable forecast{notes.first()}")
    if len(vintages) == 1:
        notes.say(
            "only one forecast vintage; if there are more, give issued_column or rows_per_issue"
        )
    return tuple(vintages), notes.texts()


def _read(path: Path) -> tuple[Table, Notes]:
    try:
        table = read_table(read_text(path), path.name)
    except InputError as error:
        raise SignalError(str(error)) from None
    notes = Notes(path.name)
    notes.many(table.bad)
    return table, notes


def _no_column(table: Table, column: str) -> SignalError:
    there = ", ".join(table.header)[:160]
    return SignalError(f"{table.name}: no column {column!r}; there are {there}")


def _column(table: Table, kind: str, column: str) -> int:
    if column:
        at = table.index(column)
        if at < 0:
            raise _no_column(table, column)
        return at
    exact = table.index(kind)
    if exact >= 0:
        return exact
    found = [
        index
        for index, name in enumerate(table.header)
        if any(word in name.casefold() for word in COLUMN_WORDS[kind])
    ]
    if len(found) != 1:
        what = "no column looks like" if not found else "more than one column looks like"
        there = ", ".join(table.header)[:160]
        raise SignalError(f"{table.name}: {what} {kind}; name it, there are {there}")
    return found[0]


def _time(table: Table, column: str) -> int:
    at = table.index(column or "utc")
    if at >= 0:
        return at
    found = [i for i, name in enumerate(table.header) if "utc" in name.casefold()]
    if column or len(found) != 1:
        raise _no_column(table, column or "utc")
    return found[0]


def _values(table: Table, notes: Notes, column: int, time: int, issued: int = -1) -> list[_Value]:
    values = []
    for line, cells in zip(table.lines, table.rows, strict=True):
        try:
            at = parse_utc(cells[time])
            made = parse_utc(cells[issued]) if issued >= 0 else None
            value = _number(cells[column])
        except (SignalError, ValueError) as error:
            notes.line(line, str(error))
            continue
        values.append(_Value(line, at, value, made))
    return values


def _number(text: str) -> float:
    """A finite number; NaN for an empty cell, which says "not known". Raises ValueError."""
    text = text.strip()
    if not text or text.casefold() in ("nan", "na", "null"):
        return math.nan
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]!r} is not a finite number")
    return value


def _rows(values: Sequence[_Value], notes: Notes | None, factor: float) -> tuple[Row, ...]:
    """Each value for the usual step, at most to the next one; holes said in `notes`."""
    moments = sorted({value.at for value in values})
    steps = Counter(later - earlier for earlier, later in itertools.pairwise(moments))
    step = max(steps, key=lambda length: (steps[length], -length)) if steps else HOUR
    until = {a: min(b, a + step) for a, b in itertools.pairwise(moments)}
    parsed = tidy(
        (Row(v.at, until.get(v.at, v.at + step), v.value * factor) for v in values),
        -math.inf,
        math.inf,
    )
    if notes is not None:
        for note in parsed.notes:
            notes.say(note)
        gaps = [(a, b) for a, b in itertools.pairwise(moments) if b - a > step]
        if gaps:
            first = f"{format_utc(gaps[0][0] + step)} to {format_utc(gaps[0][1])}"
            notes.say(f"{len(gaps)} holes between rows, unknown there (first {first})")
    return parsed.rows


def _by_issue(values: Sequence[_Value]) -> list[tuple[int, list[_Value]]]:
    groups: dict[int, list[_Value]] = {}
    for value in values:
        if value.issued is not None:
            groups.setdefault(value.issued, []).append(value)
    return sorted(groups.items())


def _by_steps_back(values: Sequence[_Value], notes: Notes) -> list[tuple[int, list[_Value]]]:
    groups: list[list[_Value]] = []
    for value in values:
        if groups and value.at > groups[-1][-1].at:
            groups[-1].append(value)
        else:
            groups.append([value])
    issues: dict[int, list[_Value]] = {}
    for group in groups:
        if issues.setdefault(group[0].at, group) is not group:
            moment = format_utc(group[0].at)
            notes.line(group[0].line, f"a second forecast that begins at {moment}")
    return sorted(issues.items())


def _by_position(
    values: Sequence[_Value], table: Table, layout: Layout, notes: Notes
) -> list[_Value]:
    """The values with moment and issue by their position; where the written moment differs is said."""
    position = {
        line: k for k, line in enumerate(sorted([*table.lines, *(n for n, _ in table.bad)]))
    }
    if len(values) < 2 or [position[value.line] for value in values[:2]] != [0, 1]:
        raise SignalError(
            f"{table.name}: its first two rows must be whole for forecasts by position; correct them"
        )
    first, step = values[0].at, values[1].at - values[0].at
    if step <= 0:
        raise SignalError(f"{table.name}: its second row is not after the first; correct them")
    placed = []
    for value in values:
        issue, lead = divmod(position[value.line], layout.rows)
        issued = first + issue * layout.every
        placed.append(_Value(value.line, issued + lead * step, value.value, issued))
    moved = [old.line for old, new in zip(values, placed, strict=True) if old.at != new.at]
    if moved:
        notes.say(
            f"{len(moved)} moments differ from those of their rows' positions, which count "
            f"(first line {moved[0]})"
        )
    if len(position) % layout.rows:
        notes.say(f"{len(position)} rows are no multiple of {layout.rows}; check rows_per_issue")
    return placed
