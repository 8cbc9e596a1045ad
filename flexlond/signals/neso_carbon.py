"""NESO's Carbon Intensity service: the national or a regional 48 h forecast.

Law: rows are the service's `forecast` in gCO2/kWh (generation-weighted average of the half-hour, direct
emissions, location-based), never `actual` and never the index label. Half-hours that have ended are
dropped. A null forecast is NaN. Both published shapes of `data` (object, list) are read; one that holds
another region than the configured one is refused.
Source: the Carbon Intensity API of the National Energy System Operator, CC BY 4.0, no key.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from flexlond.signals.fetching import get_json
from flexlond.signals.rows import (
    HALF_HOUR,
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

BASE = "https://api.carbonintensity.org.uk"
MAX_ROWS = 97  # 48 h and the half-hour that runs
OUTWARD = re.compile(r"[A-Z]{1,2}[0-9][0-9A-Z]?")
REGIONS = {
    1: "North Scotland",
    2: "South Scotland",
    3: "North West England",
    4: "North East England",
    5: "Yorkshire",
    6: "North Wales",
    7: "South Wales",
    8: "West Midlands",
    9: "East Midlands",
    10: "East England",
    11: "South West England",
    12: "South England",
    13: "London",
    14: "South East England",
    15: "England",
    16: "Scotland",
    17: "Wales",
}


class NesoCarbonSource:
    """`neso-carbon` (national) and `neso-carbon-regional` (`feed.region`: 1-17 or outward postcode)."""

    # The forecast is issued anew every half-hour; after six missed issues it no longer binds anyone.
    max_age = 3.0 * HOUR
    local = False

    def __init__(self, feed: Feed, kind: Kind) -> None:
        self.feed = feed
        self.kind = kind
        self.regional = feed.source == "neso-carbon-regional"

    def provenance(self) -> str:
        """The service, national or the region by name."""
        if not self.regional:
            return "NESO carbon intensity, national, 48 h forecast"
        place = self.feed.region.strip()
        if place.isdigit() and int(place) in REGIONS:
            place = f"region {int(place)} {REGIONS[int(place)]}"
        return f"NESO carbon intensity, {place or 'no region'}, 48 h forecast"

    async def fetch(self, request: Request) -> Parsed:
        """The half-hours from the one that runs, 48 h forward. Raises SignalError."""
        place = region_path(self.feed.region) if self.regional else ""
        since = format_utc(request.now - request.now % HALF_HOUR)
        base = (self.feed.url or BASE).rstrip("/")
        middle = "regional/intensity" if self.regional else "intensity"
        url = f"{base}/{middle}/{since}/fw48h{place}"
        payload = await get_json(request.client, url, None, request.now)
        return parse(payload, request.now, self.feed.region if self.regional else "")

    def overdue(self, rows: Sequence[Row], now: int) -> str:
        """Age alone decides here: every issue covers 48 h."""
        del rows, now
        return ""


def region_path(region: str) -> str:
    """The path's end for a region number or an outward postcode. Raises SignalError."""
    place = region.strip().upper()
    if place.isascii() and place.isdigit() and int(place) in REGIONS:
        return f"/regionid/{int(place)}"
    if OUTWARD.fullmatch(place):
        return f"/postcode/{place}"
    raise SignalError(
        f"signals.carbon region {region!r} is neither 1 to 17 nor an outward postcode like RG10 "
        "(the part before the blank)"
    )


def parse(payload: Any, now: int, region: str = "") -> Parsed:
    """Rows of a national or regional answer that have not ended by `now`. Raises SignalError."""
    if not isinstance(payload, dict) or "data" not in payload:
        raise SignalError(f"the carbon intensity answer has no data ({_said(payload)})")
    rows: list[Row] = []
    odd = 0
    for interval in _intervals(payload["data"], region.strip().upper()):
        row = _row(interval)
        if row is None:
            odd += 1
        elif row.end > now:
            rows.append(row)
    if not any(math.isfinite(row.value) for row in rows):
        raise SignalError(
            "the carbon intensity answer is well-formed but holds no forecast from now on"
        )
    rows.sort(key=lambda row: row.start)
    notes = (f"{odd} half-hour(s) not understood",) if odd else ()
    return Parsed(tuple(rows[:MAX_ROWS]), notes)


def _said(payload: Any) -> str:
    error = payload.get("error") if isinstance(payload, dict) else None
    if isinstance(error, dict):
        return f"it says {str(error.get('code', ''))[:40]} {str(error.get('message', ''))[:80]}".strip()
    return f"it is a {type(payload).__name__}"


def _intervals(data: Any, region: str) -> list[Any]:
    """The half-hours under `data`: a list of them, one region object, or a list of one region."""
    items = data if isinstance(data, list) else [data]
    regions = [item for item in items if isinstance(item, dict) and "data" in item]
    if not regions:
        return items
    if len(regions) > 1:
        raise SignalError(
            f"the carbon intensity answer holds {len(regions)} regions instead of one"
        )
    (one,) = regions
    if region.isdigit() and "regionid" in one and one["regionid"] != int(region):
        raise SignalError(f"asked for region {region}, answered region {one['regionid']!r}")
    inner = one["data"]
    return inner if isinstance(inner, list) else [inner]


def _row(interval: Any) -> Row | None:
    try:
        start, end = parse_utc(interval["from"]), parse_utc(interval["to"])
        intensity = interval["intensity"]
        value = number(intensity.get("forecast"))
    except (SignalError, KeyError, TypeError, AttributeError):
        return None
    return Row(start, end, value) if end > start else None
