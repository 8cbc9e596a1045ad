"""The N2EX day-ahead price on NESO's data portal (CKAN): hourly, GBP/MWh, known the day before.

Law: columns are found by pattern (one for the price, one for the date, one for the delivery period),
because the portal's schema is not promised; if they cannot be told apart the answer is refused, not
guessed. Hours are UTC (the portal has 24 rows on clock-change days too). A row holds for its whole hour, so
both its half-hours get the same price. The auction closes 09:50 and is published about 10:00 GMT for the
next day.
Source: NESO data portal, resource "N2EX GB Day-Ahead Price", no key.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from flexlond.signals.fetching import get_json
from flexlond.signals.rows import (
    DAY,
    HOUR,
    Parsed,
    Row,
    SignalError,
    format_utc,
    number,
    parse_utc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.series import Kind
    from flexlond.model.settings import Feed
    from flexlond.signals.source import Request

BASE = "https://api.neso.energy"
RESOURCE = "4f27eea5-7038-4f73-9740-e3e4ad47c26a"
LIMIT = "120"  # five days of hours, newest first
DUE = 12 * HOUR  # UTC: the next day has been published, with two hours to spare
OLD = 36 * HOUR
PERIOD = re.compile(r"\s*(\d{1,2}):(\d{2})\s*(?:-|\u2013|to)\s*(\d{1,2}):(\d{2})\s*")


class NesoDayAheadSource:
    """`neso-day-ahead`: the auction's price, hourly."""

    # A day's prices are final once published; a day and a half without an answer is too long.
    max_age = float(OLD)
    local = False

    def __init__(self, feed: Feed, kind: Kind) -> None:
        self.feed = feed
        self.kind = kind

    def provenance(self) -> str:
        """The auction and where it is read."""
        return "N2EX GB day-ahead price, hourly, NESO data portal"

    async def fetch(self, request: Request) -> Parsed:
        """The newest five days of hours. Raises SignalError."""
        url = f"{(self.feed.url or BASE).rstrip('/')}/api/3/action/datastore_search"
        params = {"resource_id": RESOURCE, "limit": LIMIT, "sort": '"Date" desc'}
        return parse(await get_json(request.client, url, params, request.now))

    def overdue(self, rows: Sequence[Row], now: int) -> str:
        """Said when the next day is missing after noon UTC, and when the dataset has stopped."""
        if not rows:
            return ""
        end = rows[-1].end
        if end < now - OLD:
            return (
                f"the newest hour ended {format_utc(end)}, over 36 h ago: has the dataset stopped?"
            )
        today = now - now % DAY
        due = today + (2 * DAY if now - today >= DUE else DAY)
        # The delivery day is London's: in summer it ends an hour before midnight UTC.
        if end < due - HOUR:
            return (
                f"prices end {format_utc(end)}, those until {format_utc(due)} are due (10:00 GMT)"
            )
        return ""


def parse(payload: Any) -> Parsed:
    """Hourly rows of a CKAN answer, in order of time. Raises SignalError."""
    records = _records(payload)
    price_at, date_at, period_at = _columns(records[0])
    rows: list[Row] = []
    odd = 0
    for record in records:
        try:
            start, end = _hour(record[date_at], record[period_at] if period_at else None)
            rows.append(Row(start, end, number(record[price_at])))
        except (SignalError, KeyError, TypeError):
            odd += 1
    if not any(math.isfinite(row.value) for row in rows):
        raise SignalError(
            f"none of {len(records)} day-ahead record(s) could be read (columns {price_at}, {date_at}, "
            f"{period_at or 'no period'})"
        )
    rows.sort(key=lambda row: row.start)
    notes = (f"{odd} day-ahead record(s) not understood",) if odd else ()
    return Parsed(tuple(rows), notes)


def _records(payload: Any) -> list[Any]:
    if not isinstance(payload, dict) or payload.get("success") is not True:
        raise SignalError("NESO's data portal says the request failed (success is not true)")
    result = payload.get("result")
    records = result.get("records") if isinstance(result, dict) else None
    if not isinstance(records, list) or not records or not isinstance(records[0], dict):
        raise SignalError("NESO's data portal answered well-formed but without day-ahead records")
    return records


def _columns(record: dict[str, Any]) -> tuple[str, str, str]:
    """The columns of price, date and period ("" when the date holds the hour). Raises SignalError."""
    names = [name for name in record if not name.startswith("_")]
    price = [name for name in names if re.search("price", name, re.IGNORECASE)]
    period = [name for name in names if re.search("period|hour", name, re.IGNORECASE)]
    date = [
        name
        for name in names
        if re.search("date|time|utc|gmt", name, re.IGNORECASE) and name not in price + period
    ]
    if len(price) != 1 or len(date) != 1 or len(period) > 1:
        raise SignalError(
            f"the day-ahead columns {', '.join(names)[:120]!r} cannot be told apart "
            "(one price, one date, at most one period expected)"
        )
    return price[0], date[0], period[0] if period else ""


def _hour(date: Any, period: Any) -> tuple[int, int]:
    """The span of a record: a date and "HH:MM - HH:MM", or a moment that begins an hour."""
    at = parse_utc(date)
    if period is None:
        if not isinstance(date, str) or ":" not in date or at % HOUR:
            raise SignalError(f"{date!r} does not begin an hour")
        return at, at + HOUR
    match = PERIOD.fullmatch(period) if isinstance(period, str) else None
    if match is None:
        raise SignalError(f"the delivery period {period!r} is not like 07:00 - 08:00")
    first, first_minute, last, last_minute = (int(part) for part in match.groups())
    start = at - at % DAY + first * HOUR + first_minute * 60
    length = ((last - first) * HOUR + (last_minute - first_minute) * 60) % DAY
    if first > 23 or first_minute > 59 or length not in (HOUR // 2, HOUR):
        raise SignalError(f"the delivery period {period!r} is no hour of a day")
    return start, start + length
