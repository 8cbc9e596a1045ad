"""A CSV file as a price or carbon feed: the site's own numbers, or a re-stamped day.

Law: the file has a header; column `utc` is ISO 8601 (an offset or Z; without one it is UTC) and another
column is the value in the unit of its kind. Steps may have any length: a row holds until the next begins,
the last one for as long as the step before it. Lines that begin with # are remarks. A line that cannot be
read is said with file:line and is unknown, the rest goes on; its neighbour is never stretched over it.
A missing file is an error and its old rows are dropped: the file is the site's word, and taking it away
takes the word back. The file is read again when its time of change or size differs.
"""

from __future__ import annotations

import asyncio
import csv
import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flexlond.signals.rows import Parsed, Row, SignalError, parse_utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.series import Kind
    from flexlond.model.settings import Feed
    from flexlond.signals.source import Request

MAX_BYTES = 32 * 1024 * 1024
MAX_NOTES = 5


@dataclass(frozen=True, slots=True)
class _Line:
    """One data line as read: `at` None when not even its moment is known."""

    at: int | None
    value: float


class CsvSource:
    """Reads `feed.path`; the value column is `feed.column`, by default the second one."""

    max_age = 0.0
    local = True

    def __init__(self, feed: Feed, kind: Kind) -> None:
        self.feed = feed
        self.kind = kind
        self._seen: tuple[int, int] = (0, 0)
        self._parsed: Parsed | None = None

    def provenance(self) -> str:
        """The file and its column."""
        column = f", column {self.feed.column}" if self.feed.column else ""
        return f"CSV file {self.feed.path}{column}"

    async def fetch(self, request: Request) -> Parsed:
        """The rows of the file, read again only when it changed. Raises SignalError."""
        del request  # a file needs neither client nor clock
        return await asyncio.to_thread(self._read)

    def overdue(self, rows: Sequence[Row], now: int) -> str:
        """A file has no publication time."""
        del rows, now
        return ""

    def _read(self) -> Parsed:
        if not self.feed.path:
            raise SignalError(f"signals.{self.kind}: a csv feed needs path = the file")
        path = Path(self.feed.path)
        try:
            status = path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if self._parsed is not None and seen == self._seen:
                return self._parsed
            if status.st_size > MAX_BYTES:
                raise SignalError(f"{path}: larger than {MAX_BYTES} bytes; keep a few weeks only")
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise SignalError(f"{path}: {error.strerror}; check signals.{self.kind} path") from None
        except UnicodeDecodeError as error:
            raise SignalError(
                f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8"
            ) from None
        parsed = parse_csv(text, str(path), self.feed.column)
        self._parsed = Parsed(parsed.rows, parsed.notes, status.st_mtime_ns // 10**9)
        self._seen = seen
        return self._parsed


def parse_csv(text: str, name: str, column: str = "") -> Parsed:
    """Rows of a CSV text; `name` stands in messages. Raises SignalError when nothing is usable."""
    lines: list[_Line] = []
    notes: list[str] = []
    header: list[str] = []
    moment_at = value_at = 0
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if not header:
            header = [cell.strip() for cell in _cells(line)]
            moment_at, value_at = _columns(header, f"{name}:{number}", column)
            continue
        read, why = _data_line(line, len(header), moment_at, value_at)
        lines.append(read)
        if why:
            notes.append(f"{name}:{number}: {why}; this line is unknown")
    if not header:
        raise SignalError(f"{name}: empty; expected a header like utc,price and rows below it")
    rows = _with_ends(lines)
    if not any(math.isfinite(row.value) for row in rows):
        first = f" (first: {notes[0]})" if notes else ""
        raise SignalError(f"{name}: no usable rows, at least two are needed{first}")
    if len(notes) > MAX_NOTES:
        notes = [*notes[:MAX_NOTES], f"{name}: and {len(notes) - MAX_NOTES} more such lines"]
    return Parsed(tuple(rows), tuple(notes))


def _cells(line: str) -> list[str]:
    # One line at a time: a stray quote must not swallow the rest of the file.
    try:
        return next(csv.reader([line.rstrip("\r")], strict=False), [])
    except csv.Error:
        return []


def _columns(header: list[str], where: str, column: str) -> tuple[int, int]:
    folded = [cell.casefold() for cell in header]
    if "utc" not in folded:
        raise SignalError(f"{where}: no column 'utc' in the header {','.join(header)[:80]!r}")
    moment_at = folded.index("utc")
    if column:
        if column.casefold() not in folded:
            raise SignalError(f"{where}: no column {column!r}; there are {', '.join(header)[:80]}")
        return moment_at, folded.index(column.casefold())
    if len(header) < 2:
        raise SignalError(f"{where}: only the column utc; a value column is needed")
    return moment_at, 0 if moment_at == 1 else 1


def _data_line(line: str, width: int, moment_at: int, value_at: int) -> tuple[_Line, str]:
    cells = _cells(line)
    if len(cells) != width:
        return _Line(_moment(cells, moment_at), math.nan), f"{len(cells)} fields instead of {width}"
    at = _moment(cells, moment_at)
    if at is None:
        return _Line(None, math.nan), f"{cells[moment_at][:40]!r} is not an ISO 8601 moment"
    text = cells[value_at].strip()
    if not text:
        return _Line(at, math.nan), ""  # an empty value is a plain "unknown", not a fault
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        return _Line(at, math.nan), f"{text[:40]!r} is not a number"
    return _Line(at, value), ""


def _moment(cells: list[str], moment_at: int) -> int | None:
    if moment_at >= len(cells):
        return None
    try:
        return parse_utc(cells[moment_at])
    except SignalError:
        return None


def _with_ends(lines: list[_Line]) -> list[Row]:
    """Each row until the next one; beside a line without a moment no longer than the smallest step."""
    order: dict[int, list[float]] = {}
    beside_gap: set[int] = set()
    for position, line in enumerate(lines):
        if line.at is None:
            for neighbour in lines[max(0, position - 1) : position + 2]:
                if neighbour.at is not None:
                    beside_gap.add(neighbour.at)
        else:
            order.setdefault(line.at, []).append(line.value)
    moments = sorted(order)
    if len(moments) < 2:
        return []
    steps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    steps.append(steps[-1])
    smallest = min(steps)
    return [
        Row(at, at + (smallest if at in beside_gap else step), value)
        for at, step in zip(moments, steps, strict=True)
        for value in order[at]
    ]
