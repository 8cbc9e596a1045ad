"""Events of an OpenADR 3.1 VTN, polled: levels, alerts, and how many kW are to come off.

Law: reads GET /events and nothing else, and never reports. SIMPLE is the level itself; an ALERT_* is a stage by
its name; DISPATCH_SETPOINT_RELATIVE below 0 asks for that many kW less, at stage 2. Other payloads (prices,
private types) are no stress. Intervals without a period of their own follow each other from the event's start.
The secret goes only to the token address that the VTN names, and only where that is on the VTN's own host.
Epoch seconds (UTC), kW. Source: OpenADR 3.1.0; client credentials of OAuth 2.0 (RFC 6749 section 4.4).
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from flexlond.signals.fetching import Advice, get_json
from flexlond.signals.rows import SignalError, number, parse_utc
from flexlond.signals.stress import Notice, Stage, client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from flexlond.model.buy_settings import BuySettings, StressFeed

SIMPLE = "SIMPLE"
RELATIVE = "DISPATCH_SETPOINT_RELATIVE"
_ALERTS = {
    "ALERT_GRID_EMERGENCY": Stage.EMERGENCY,
    "ALERT_BLACK_START": Stage.EMERGENCY,
    "ALERT_POSSIBLE_OUTAGE": Stage.TIGHT,
    "ALERT_FLEX_ALERT": Stage.TIGHT,
}
_ADVICE = Advice(
    slow="raise market.buy.timeout",
    often="raise the refresh of market.buy.stress",
    refused="check its url, client_id and secret_file",
)
# Years and months have no length; a VTN may write them as zeros.
_DURATION = re.compile(
    r"P(?:0+Y)?(?:0+M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?"
)
FOREVER = "P9999Y"  # OpenADR's word for no end
PAGE = 50
MOST_PAGES = 20


class OpenAdr:
    """`openadr`: the events of one VTN."""

    def __init__(self, feed: StressFeed, settings: BuySettings) -> None:
        self._feed = feed
        self._base = feed.url.rstrip("/")
        self._timeout = settings.timeout
        self._client: httpx.AsyncClient | None = None

    async def fetch(self, now: int) -> Sequence[Notice]:
        """Every event that asks for something. Raises SignalError."""
        if self._client is None:
            auth = VtnAuth(self._base, self._feed) if self._feed.client_id else None
            self._client = client(self._timeout, auth)
        events: list[Any] = []
        for page in range(MOST_PAGES):
            params = {"skip": str(page * PAGE), "limit": str(PAGE)}
            if self._feed.program:
                params["programID"] = self._feed.program
            found = await get_json(self._client, f"{self._base}/events", params, now, _ADVICE)
            if not isinstance(found, list):
                raise SignalError(f"{self._base}/events answered no list of events")
            events += found
            if len(found) < PAGE:
                break
        return notices_in(events)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


class VtnAuth(httpx.Auth):
    """Gets a token when there is none or it was refused, and sends it along."""

    def __init__(self, base: str, feed: StressFeed) -> None:
        self._base = base
        self._feed = feed
        self._token = ""

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The request with a token; once more with a new one where it is answered 401."""
        for fresh in (False, True):
            if not self._token or fresh:
                where = yield httpx.Request("GET", f"{self._base}/auth/server")
                await where.aread()
                granted = yield self._ask(where)
                await granted.aread()
                self._token = _field(granted, "access_token")
            request.headers["authorization"] = f"Bearer {self._token}"
            response = yield request
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return

    def _ask(self, where: httpx.Response) -> httpx.Request:
        url = _field(where, "tokenURL")
        ours, theirs = urlsplit(self._base), urlsplit(url)
        if (ours.scheme, ours.hostname) != (theirs.scheme, theirs.hostname):
            raise SignalError(
                f"the VTN sends us to {theirs.hostname} for a token; the secret goes to {ours.hostname} only"
            )
        try:
            secret = Path(self._feed.secret_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SignalError(
                f"{self._feed.secret_file}: {type(error).__name__}; name a file with the VTN client's secret"
            ) from None
        form = {
            "grant_type": "client_credentials",
            "client_id": self._feed.client_id,
            "client_secret": secret,
        }
        return httpx.Request("POST", url, data=form)


def _field(response: httpx.Response, name: str) -> str:
    try:
        found = response.json()[name]
    except (ValueError, KeyError, TypeError):
        found = None
    if response.status_code != httpx.codes.OK or not isinstance(found, str) or not found:
        raise SignalError(
            f"{response.request.url} answered {response.status_code} without {name}; {_ADVICE.refused}"
        )
    return found


def notices_in(events: Sequence[Any]) -> list[Notice]:
    """What the events ask for, by interval. Raises SignalError where one of them cannot be read."""
    found = []
    for event in events:
        if not isinstance(event, dict) or not isinstance(event.get("intervals"), list):
            continue
        at: float | None = None
        for interval in event["intervals"]:
            if not isinstance(interval, dict):
                continue
            start, end = _span(event, interval, at)
            at = end
            made = _notice(event, interval, int(start), int(min(end, 2**52)))
            if made is not None:
                found.append(made)
    return found


def _notice(event: dict[str, Any], interval: dict[str, Any], start: int, end: int) -> Notice | None:
    stage, kw = Stage.NORMAL, None
    for payload in interval.get("payloads") or []:
        kind = payload.get("type") if isinstance(payload, dict) else None
        if not isinstance(kind, str):
            continue
        value = next(iter(payload.get("values") or []), None)
        if kind == SIMPLE:
            level = number(value)
            stage = max(stage, Stage(int(min(max(level, 0), 3)) if math.isfinite(level) else 0))
        elif kind in _ALERTS:
            stage = max(stage, _ALERTS[kind])
        elif kind == RELATIVE and number(value) < 0.0:
            stage, kw = max(stage, Stage.TIGHT), -number(value)
    if stage is Stage.NORMAL or end <= start:
        return None
    name = str(event.get("eventName") or event.get("id"))[:80]
    key = f"openadr:{event.get('id')}:{interval.get('id')}"
    return Notice(key[:200], "openadr", stage, start, end, f"OpenADR event {name}", kw)


def _span(
    event: dict[str, Any], interval: dict[str, Any], after: float | None
) -> tuple[float, float]:
    """(start, end) of an interval; `after`: the end of the one before it."""
    whole, own = event.get("intervalPeriod") or {}, interval.get("intervalPeriod") or {}
    if own.get("start") is None and after is not None:
        start = after
    else:
        start = float(parse_utc(own.get("start") or whole.get("start")))
    return start, start + _seconds(own.get("duration") or whole.get("duration"))


def _seconds(text: Any) -> float:
    if text == FOREVER:
        return math.inf
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or not any(found.groups()):
        raise SignalError(f"the duration {str(text)[:40]!r} of an event is not like PT30M")
    units = (604800, 86400, 3600, 60, 1)
    return float(sum(int(n) * unit for n, unit in zip(found.groups(), units, strict=True) if n))
