"""Elexon Insights: Market Index Data, the short-term traded price of each half-hour, in GBP/MWh.

Law: a half-hour's price is the volume-weighted mean over the providers that traded; a provider with zero
volume says nothing (N2EXMIDP is usually 0 at 0), and a half-hour in which none traded has no row. The
index is known only after trading: future slots stay NaN and are never extrapolated, so this feed explains
the past (cost reports) and alone never leads to a hold.
Source: Elexon BMRS (Insights), dataset MID, no key; "Contains BMRS data (c) Elexon Limited copyright and
database right".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from flexlond.signals.fetching import get_json
from flexlond.signals.rows import (
    DAY,
    HALF_HOUR,
    HOUR,
    Parsed,
    Row,
    SignalError,
    format_utc,
    format_utc_seconds,
    number,
    parse_utc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.series import Kind
    from flexlond.model.settings import Feed
    from flexlond.signals.source import Request

BASE = "https://data.elexon.co.uk/bmrs/api/v1"
LOOK_BACK = 2 * DAY
CHUNK = 7 * DAY  # the longest span asked for at once
LATE = 2 * HOUR


class ElexonMarketIndexSource:
    """`elexon-market-index`: what was traded, known afterwards."""

    max_age = 3.0 * HOUR
    local = False

    def __init__(self, feed: Feed, kind: Kind) -> None:
        self.feed = feed
        self.kind = kind

    def provenance(self) -> str:
        """Says that it is an index of the past."""
        return "Elexon market index (MID), traded price known afterwards; never a forecast"

    async def fetch(self, request: Request) -> Parsed:
        """The index of the last two days. Raises SignalError."""
        until = request.now - request.now % HALF_HOUR + HALF_HOUR
        url = f"{(self.feed.url or BASE).rstrip('/')}/balancing/pricing/market-index"
        records: list[Any] = []
        for since, to in chunks(until - LOOK_BACK, until):
            params = {
                "from": format_utc_seconds(since),
                "to": format_utc_seconds(to),
                "format": "json",
            }
            records.extend(records_of(await get_json(request.client, url, params, request.now)))
        return parse(records)

    def overdue(self, rows: Sequence[Row], now: int) -> str:
        """Said when the newest traded half-hour ended more than two hours ago."""
        if rows and rows[-1].end < now - LATE:
            return f"the newest half-hour of the index ended {format_utc(rows[-1].end)}"
        return ""


def chunks(since: int, until: int, size: int = CHUNK) -> list[tuple[int, int]]:
    """[since, until) in spans of at most `size` seconds (the service takes about a week)."""
    return [(start, min(start + size, until)) for start in range(since, until, size)]


def records_of(payload: Any) -> list[Any]:
    """The records of an envelope {"data": [...]} or of a bare list (/stream). Raises SignalError."""
    records = payload.get("data") if isinstance(payload, dict) else payload
    if not isinstance(records, list):
        raise SignalError(
            f"the market index answer is no list of records but {type(records).__name__}"
        )
    return records


def parse(records: Sequence[Any]) -> Parsed:
    """One row for each half-hour in which somebody traded. Raises SignalError when there is none."""
    trades: dict[int, dict[str, tuple[float, float]]] = {}
    odd = idle = 0
    for record in records:
        try:
            start = parse_utc(record["startTime"])
            provider = str(record["dataProvider"])
            price, volume = number(record["price"]), number(record["volume"])
        except (SignalError, KeyError, TypeError):
            odd += 1
            continue
        if not (math.isfinite(price) and math.isfinite(volume)) or volume < 0:
            odd += 1
        elif volume == 0:
            idle += 1
        else:
            # Chunks share their edge, so a provider's row can come twice; the last word counts.
            trades.setdefault(start, {})[provider] = (price, volume)
    rows = []
    for start in sorted(trades):
        pairs = trades[start].values()
        total = sum(volume for _, volume in pairs)
        value = sum(price * (volume / total) for price, volume in pairs)
        rows.append(Row(start, start + HALF_HOUR, value))
    if not rows:
        raise SignalError(
            f"the market index answer is well-formed but nobody traded in it ({len(records)} "
            f"record(s), {idle} of zero volume)"
        )
    notes = (f"{odd} record(s) of the market index not understood",) if odd else ()
    return Parsed(tuple(rows), notes)
