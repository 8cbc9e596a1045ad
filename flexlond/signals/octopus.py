"""Octopus Agile: half-hourly unit rates of a domestic tariff, as a proxy for the shape of the price.

Law: rows are `value_exc_vat` in pence/kWh times 10, so GBP/MWh; a data centre does not pay this tariff, so
it stands for the shape of the day and says so in its provenance. Only published half-hours are rows: the
next day is unknown until it is published between 16:00 and 20:00 London time. The product is the one
configured, or the import Agile on sale (product codes are superseded every year or so).
Source: Octopus Energy's public API v1, no key.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpx

from flexlond.signals.fetching import get_json
from flexlond.signals.rows import (
    DAY,
    HALF_HOUR,
    Parsed,
    Row,
    SignalError,
    format_utc,
    format_utc_seconds,
    number,
    parse_utc,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.model.series import Kind
    from flexlond.model.settings import Feed
    from flexlond.signals.source import Request

BASE = "https://api.octopus.energy/v1"
PENCE_PER_KWH = 10.0  # GBP/MWh
PAGE_SIZE = "1500"  # more is silently cut to this
MAX_PAGES = 10
LONDON = ZoneInfo("Europe/London")
DUE_HOUR = 20  # London: by then the next day is published
LAST_HOUR = 23  # London: the tariff's day ends here
REGIONS = "ABCDEFGHJKLMNP"
# Not AGILE-OUTGOING-...: that is what exporting homes are paid.
IMPORT_PRODUCT = re.compile(r"AGILE-\d{2}-\d{2}-\d{2}")
PRODUCT = re.compile(r"[A-Z0-9-]{1,60}")


class OctopusAgileSource:
    """`octopus-agile` of `feed.region` (a letter), `feed.product` or the one on sale."""

    # Published rates do not change, so age alone says little; a day without any answer is too long.
    max_age = float(DAY)
    local = False

    def __init__(self, feed: Feed, kind: Kind) -> None:
        self.feed = feed
        self.kind = kind
        self._product = ""
        self._resolved_at = 0

    def provenance(self) -> str:
        """Says that it is a proxy."""
        product = self.feed.product or self._product or "current product"
        return (
            f"Octopus Agile {product}, region {self.feed.region or '?'}, excluding VAT: a domestic "
            "tariff as a proxy for the shape of the price"
        )

    async def fetch(self, request: Request) -> Parsed:
        """Every published half-hour from yesterday on. Raises SignalError."""
        region = region_letter(self.feed.region)
        base = (self.feed.url or BASE).rstrip("/")
        product = await self._resolve(request, base)
        url = (
            f"{base}/products/{product}/electricity-tariffs/E-1R-{product}-{region}/"
            "standard-unit-rates/"
        )
        since = request.now - request.now % HALF_HOUR - DAY
        params = {
            "period_from": format_utc_seconds(since),
            "period_to": format_utc_seconds(since + 4 * DAY),
            "page_size": PAGE_SIZE,
        }
        return parse(await _all_pages(request, url, params))

    def overdue(self, rows: Sequence[Row], now: int) -> str:
        """Said when the rates end before the tariff day that should be published by now."""
        if rows and rows[-1].end < published_until(now):
            return (
                f"rates end {format_utc(rows[-1].end)}, those until "
                f"{format_utc(published_until(now))} are due (published 16:00 to 20:00 London)"
            )
        return ""

    async def _resolve(self, request: Request, base: str) -> str:
        if self.feed.product:
            if not PRODUCT.fullmatch(self.feed.product):
                raise SignalError(
                    f"signals.price product {self.feed.product!r}: like AGILE-24-10-01"
                )
            return self.feed.product
        if not self._product or request.now - self._resolved_at >= DAY:
            params = {"brand": "OCTOPUS_ENERGY", "page_size": PAGE_SIZE}
            products = await _all_pages(request, f"{base}/products/", params)
            self._product = current_product(products, request.now)
            self._resolved_at = request.now
        return self._product


async def _all_pages(request: Request, url: str, params: Mapping[str, str]) -> list[Any]:
    """The `results` of every page. `next` gives the query only: the address stays the configured one."""
    results: list[Any] = []
    for _ in range(MAX_PAGES):
        payload = await get_json(request.client, url, params, request.now)
        if not isinstance(payload, dict) or not isinstance(payload.get("results"), list):
            raise SignalError(f"{url} answered without a list of results")
        results.extend(payload["results"])
        following = payload.get("next")
        if not following:
            return results
        try:
            params = dict(httpx.URL(str(following)).params)
        except httpx.InvalidURL:
            raise SignalError(f"{url} names a next page that is no address") from None
    raise SignalError(f"{url} has more than {MAX_PAGES} pages; this is not that service")


def region_letter(region: str) -> str:
    """The supply region's letter (its GSP group). Raises SignalError."""
    letter = region.strip().upper().removeprefix("_")
    if len(letter) == 1 and letter in REGIONS:
        return letter
    raise SignalError(
        f"signals.price region {region!r}: octopus-agile needs one of {', '.join(REGIONS)}"
    )


def current_product(products: Sequence[Any], now: int) -> str:
    """The code of the import Agile on sale at `now`, the newest of several. Raises SignalError."""
    found: list[tuple[int, str]] = []
    for product in products:
        if not isinstance(product, dict):
            continue
        code = str(product.get("code", ""))
        if not IMPORT_PRODUCT.fullmatch(code) or product.get("direction", "IMPORT") != "IMPORT":
            continue
        try:
            since = parse_utc(product.get("available_from"))
            until = product.get("available_to")
            on_sale = since <= now and (until is None or parse_utc(until) > now)
        except SignalError:
            continue
        if on_sale:
            found.append((since, code))
    if not found:
        raise SignalError("Octopus lists no Agile import product on sale; set the feed's product")
    return max(found)[1]


def parse(results: Sequence[Any]) -> Parsed:
    """Rows in GBP/MWh, in order of time (the service sends newest first). Raises SignalError."""
    rows: list[Row] = []
    odd = 0
    for rate in results:
        try:
            start, end = parse_utc(rate["valid_from"]), parse_utc(rate["valid_to"])
            value = number(rate["value_exc_vat"])
        except (SignalError, KeyError, TypeError):
            odd += 1
            continue
        rows.append(Row(start, end, value * PENCE_PER_KWH))
    if not any(math.isfinite(row.value) for row in rows):
        raise SignalError(
            "the Agile answer is well-formed but holds no rates; check product and region"
        )
    rows.sort(key=lambda row: row.start)
    notes = (f"{odd} rate(s) of Agile not understood",) if odd else ()
    return Parsed(tuple(rows), notes)


def published_until(now: int) -> int:
    """Until when rates are certainly published at `now`: 23:00 London today, after 20:00 tomorrow."""
    local = datetime.fromtimestamp(now, UTC).astimezone(LONDON)
    day = local.date() + timedelta(days=1 if local.hour >= DUE_HOUR else 0)
    end = datetime(day.year, day.month, day.day, LAST_HOUR, tzinfo=LONDON)
    return int(end.timestamp())
