"""Rows of a signal: a value that holds from one moment to another, before it is put on the time grid.

Law: decides how raw rows become an ordered, non-overlapping sequence. A value that is missing, not a
number, or outside the permitted range is NaN; two different values for one moment are NaN; nothing is ever
interpolated, extrapolated or guessed, and everything set aside is said in a note. Times are epoch seconds
(UTC); values are in the unit of their kind (flexlond.model.series.UNITS). Source: our own; the traps are in
docs/reference/signals.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HALF_HOUR = 1800
HOUR = 3600
DAY = 86400


class SignalError(Exception):
    """A feed gave nothing that can be used; the text says what, where and what to do next."""


@dataclass(frozen=True, slots=True)
class Row:
    """`value` holds in [start, end), epoch seconds; NaN: known to be unknown."""

    start: int
    end: int
    value: float


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one response held, with remarks for people about what was set aside.

    `as_of` is when the content came to be (a file's time of change); 0: the moment it was fetched.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    as_of: int = 0


def parse_utc(text: Any) -> int:
    """Epoch seconds of an ISO 8601 moment; without an offset it is UTC. Raises SignalError.

    Accepts the forms the services send: with or without seconds, "T" or blank, "Z", offset or nothing.
    """
    if not isinstance(text, str):
        raise SignalError(f"a moment is {text!r}, not text; expected like 2026-01-31T17:30Z")
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SignalError(
            f"the moment {text[:40]!r} is not ISO 8601 like 2026-01-31T17:30Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return math.floor(moment.timestamp())


def format_utc(at: int) -> str:
    """`at` as 2026-01-31T17:30Z, the form the carbon intensity service takes."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def format_utc_seconds(at: int) -> str:
    """`at` as 2026-01-31T17:30:00Z (RFC 3339)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number(value: Any) -> float:
    """A JSON number, or a number written as text (CKAN does so); anything else is NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return result if math.isfinite(result) else math.nan


def tidy(rows: Iterable[Row], minimum: float, maximum: float) -> Parsed:
    """Rows in order of time, without overlaps; unusable values NaN. Never raises.

    Of two rows for the same moment an equal one is dropped and a different one makes the moment unknown;
    a row that runs into the next one ends where that begins.
    """
    notes: list[str] = []
    outside = 0
    unknown = 0
    by_start: dict[int, Row] = {}
    twice = 0
    for row in rows:
        value = row.value
        if row.end <= row.start:
            unknown += 1
            continue
        if not math.isfinite(value):
            unknown += 1
            value = math.nan
        elif not minimum <= value <= maximum:
            outside += 1
            value = math.nan
        clean = Row(row.start, row.end, value)
        earlier = by_start.get(row.start)
        if earlier is not None and not _same(earlier, clean):
            twice += 1
            clean = Row(row.start, min(row.end, earlier.end), math.nan)
        by_start[row.start] = clean
    if unknown:
        notes.append(f"{unknown} row(s) without a usable value")
    if outside:
        notes.append(f"{outside} value(s) outside {minimum:g} to {maximum:g} taken as unknown")
    if twice:
        notes.append(f"{twice} moment(s) with two different values taken as unknown")
    ordered, cut = _without_overlap([by_start[start] for start in sorted(by_start)])
    if cut:
        notes.append(f"{cut} row(s) ran into the next one and were cut there")
    return Parsed(tuple(ordered), tuple(notes))


def _same(one: Row, other: Row) -> bool:
    both_unknown = math.isnan(one.value) and math.isnan(other.value)
    return one.end == other.end and (both_unknown or one.value == other.value)


def _without_overlap(rows: list[Row]) -> tuple[list[Row], int]:
    result: list[Row] = []
    cut = 0
    for position, row in enumerate(rows):
        end = row.end
        if position + 1 < len(rows) and rows[position + 1].start < end:
            end = rows[position + 1].start
            cut += 1
        result.append(Row(row.start, end, row.value))
    return result, cut


def merge_history(old: Sequence[Row], new: Sequence[Row], now: int, keep: int) -> tuple[Row, ...]:
    """`new`, preceded by those rows of `old` that ended by `now` and before `new` begins, `keep` seconds back.

    The past of an earlier response stays known; its view of the future is replaced as a whole, so that an
    outdated forecast never fills what the newest one leaves open.
    """
    past = min(now, new[0].start) if new else now
    return (*(row for row in old if now - keep <= row.start and row.end <= past), *new)
