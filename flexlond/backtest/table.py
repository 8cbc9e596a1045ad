"""Text files in: plain or gzip, and tables with a header line.

Law: reads; decides nothing about jobs or prices. A line that does not fit the header is kept with its number
and the reason, never guessed at and never allowed to swallow its neighbours (quotes end with the line).
Lines that begin with # are remarks. Column names are compared without regard to case. Source: our own.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 1 << 30  # after unpacking
_GZIP = b"\x1f\x8b"


class InputError(ValueError):
    """A file that cannot be used; the text says what, where and what to do next."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as wide as `header`; `lines[k]` is the line number of `rows[k]`."""

    name: str
    header: tuple[str, ...]  # as written, without blanks around
    lines: list[int]
    rows: list[list[str]]
    bad: list[tuple[int, str]]  # (line number, why it was left out)

    def index(self, *names: str) -> int:
        """The column with the first of `names` that there is; -1 when there is none."""
        folded = [name.casefold() for name in self.header]
        for name in names:
            if name.casefold() in folded:
                return folded.index(name.casefold())
        return -1


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file, unpacked where it is gzip. Raises InputError."""
    path = Path(path)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            data = (gzip.GzipFile(fileobj=raw) if packed else raw).read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: not a whole gzip file ({error}); fetch or pack it again"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; check the path") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: more than {MAX_BYTES} bytes; give a shorter period")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: not UTF-8 text at byte {error.start}; save it as UTF-8"
        ) from None


def read_table(text: str, name: str, delimiter: str = ",") -> Table:
    """The table in `text`; `name` stands in messages. Raises InputError when there is no header.

    An empty last column (sacct -p ends each line with the delimiter) is no column.
    """
    header: list[str] = []
    lines: list[int] = []
    rows: list[list[str]] = []
    bad: list[tuple[int, str]] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.rstrip("\r")
        if not line.strip() or line.startswith("#"):
            continue
        cells = _cells(line, delimiter)
        if not header:
            header = [cell.strip() for cell in cells]
            ended = len(header) > 1 and not header[-1]
            width = len(header) - ended
            continue
        if ended and len(cells) == width + 1 and not cells[-1]:
            cells.pop()
        if len(cells) == width:
            lines.append(number)
            rows.append(cells)
        else:
            bad.append((number, f"{len(cells)} fields instead of {width}"))
    if not header:
        raise InputError(f"{name}: empty; expected a header line and rows below it")
    return Table(name, tuple(header[:width]), lines, rows, bad)


def _cells(line: str, delimiter: str) -> list[str]:
    if '"' not in line or delimiter != ",":
        return line.split(delimiter)
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        return line.split(delimiter)
