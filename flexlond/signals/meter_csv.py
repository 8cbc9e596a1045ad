"""The site's meter as a file that a logger of the site appends to: one line a reading, time first.

Law: the last line that ends with a newline counts; one without is still being written and is passed by. A time
is ISO 8601 (without an offset it is UTC) or epoch seconds. A last line that cannot be read is no reading: an
older one in its place would hide that the meter has failed. Only the end of the file is read, so it may grow.
Raises SignalError; the site's meter decides what follows.
"""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from flexlond.signals.rows import SignalError, number, parse_utc

if TYPE_CHECKING:
    import httpx

    from flexlond.model.settings import MeterSettings

TAIL = 4096  # bytes from the end in which the last whole line must lie


class CsvMeter:
    """Reads the end of `settings.path`."""

    def __init__(self, settings: MeterSettings) -> None:
        self._settings = settings
        self._reading: asyncio.Future[tuple[int, float]] | None = None

    def name(self) -> str:
        """For people."""
        return f"CSV file {self._settings.path}"

    async def read(self, client: httpx.AsyncClient, now: int) -> tuple[int, float]:
        """(epoch s, value in the meter's unit). Raises SignalError."""
        del client, now  # a file needs neither
        # A file system that hangs may keep one thread and no more: the loop needs the others.
        if self._reading is not None and not self._reading.done():
            raise SignalError(
                f"{self._settings.path}: the read before this one has not ended; does its file system answer?"
            )
        self._reading = asyncio.ensure_future(asyncio.to_thread(self._read))
        self._reading.add_done_callback(_noticed)
        return await asyncio.shield(self._reading)

    def _read(self) -> tuple[int, float]:
        path = Path(self._settings.path)
        try:
            with path.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - TAIL))
                tail = stream.read()
        except OSError as error:
            raise SignalError(
                f"{path}: {error.strerror}; check meter.path and the logger"
            ) from None
        return last_reading(tail, str(path), self._settings.column)


def _noticed(reading: asyncio.Future[tuple[int, float]]) -> None:
    """Nobody waits any more for what was given up."""
    if not reading.cancelled():
        reading.exception()


def last_reading(tail: bytes, name: str, column: int) -> tuple[int, float]:
    """(epoch s, value) of the last whole line of `tail`; `name` stands in messages. Raises SignalError."""
    whole, newline, _ = tail.rpartition(b"\n")
    if not newline:
        raise SignalError(f"{name}: no whole line yet; expected like 2026-01-31T17:30:05Z,812.5")
    line = whole.rpartition(b"\n")[2].decode("utf-8", "replace").strip().lstrip("\ufeff")
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    if len(cells) < column:
        raise SignalError(f"{name}: the last line {line[:60]!r} has no column {column}")
    value = number(cells[column - 1])
    if math.isnan(value):
        raise SignalError(f"{name}: the power in the last line {line[:60]!r} is no number")
    return _moment(cells[0], name), value


def _moment(text: str, name: str) -> int:
    at = number(text)
    if not math.isnan(at):
        return math.floor(at)
    try:
        return parse_utc(text)
    except SignalError as error:
        raise SignalError(f"{name}: in the last line {error}") from None
