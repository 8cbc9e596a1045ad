"""Elexon's warnings: margin notices, capacity market notices, demand control instructions.

Law: warnings are asked for by type, for without one the service answers its latest message of any type, and a
margin notice hides behind the next trade. A cancellation ends what was published before it; a text that has no
period in a form we know is said as a fault, not passed over. A margin notice is stage 1, an active capacity
market notice stage 2, a demand control instruction stage 3. Periods are London time. Epoch seconds (UTC).
Source: Elexon BMRS (Insights), no key; "Contains BMRS data (c) Elexon Limited copyright and database right".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flexlond.signals.elexon import BASE
from flexlond.signals.fetching import Advice, get_json
from flexlond.signals.rows import DAY, HOUR, SignalError, format_utc_seconds, parse_utc
from flexlond.signals.stress import Notice, Stage, client

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from flexlond.model.buy_settings import BuySettings, StressFeed

MARGIN = "ELECTRICITY MARGIN NOTICE"
CAPACITY = "CAPACITY MARKET NOTICE"
LONDON = ZoneInfo("Europe/London")
LOOK_BACK = 3 * DAY
_ADVICE = Advice(
    slow="raise market.buy.timeout",
    often="raise the refresh of market.buy.stress",
    refused="check its url",
)
_PERIOD = re.compile(
    r"from\s+(\d{1,2}):(\d{2})\s*(?:hrs)?\s+to\s+(\d{1,2}):(\d{2})\s*(?:hrs)?\s+on\s+(?:[A-Za-z]+\s+)?"
    r"(\d{1,2})/(\d{1,2})/(\d{4})",
    re.IGNORECASE,
)
_SINCE = re.compile(r"(\d{1,2}):(\d{2})\s+on\s+(\d{1,2})/(\d{1,2})/(\d{4})")
_SHORT = re.compile(r"System margin shortfall\s+(\d+)\s*MW", re.IGNORECASE)
_CANCELLED = re.compile(r"cancell(?:ed|ation)", re.IGNORECASE)


class _Elexon:
    def __init__(self, feed: StressFeed, settings: BuySettings) -> None:
        self._base = (feed.url or BASE).rstrip("/")
        self._client: httpx.AsyncClient | None = None
        self._timeout = settings.timeout
        self.capacity_seconds = int(settings.notice_hours * HOUR)

    async def get(self, path: str, params: dict[str, str], now: int) -> list[Any]:
        """The records at a path. Raises SignalError."""
        if self._client is None:
            self._client = client(self._timeout)
        payload = await get_json(self._client, f"{self._base}{path}", params, now, _ADVICE)
        records = payload.get("data") if isinstance(payload, dict) else payload
        if not isinstance(records, list):
            raise SignalError(f"{path} answered no list of records but {type(records).__name__}")
        return records

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


class ElexonWarnings(_Elexon):
    """`elexon-warnings`: margin notices and capacity market notices."""

    async def fetch(self, now: int) -> Sequence[Notice]:
        """Both types, each asked for by name. Raises SignalError."""
        span = {
            "publishDateTimeFrom": format_utc_seconds(now - LOOK_BACK),
            "publishDateTimeTo": format_utc_seconds(now + 60),
            "format": "json",
        }
        found: list[Notice] = []
        for kind in (MARGIN, CAPACITY):
            records = await self.get("/system/warnings", {"warningType": kind, **span}, now)
            found += warnings_in(records, kind, self.capacity_seconds)
        return found


class ElexonDemandControl(_Elexon):
    """`elexon-demand-control`: instructions to disconnect demand."""

    async def fetch(self, now: int) -> Sequence[Notice]:
        """The instructions of the last day and the next. Raises SignalError."""
        span = {
            "from": format_utc_seconds(now - DAY),
            "to": format_utc_seconds(now + DAY),
            "format": "json",
        }
        return instructions_in(await self.get("/system/demand-control-instructions", span, now))


def warnings_in(records: Sequence[Any], kind: str, capacity_seconds: int) -> list[Notice]:
    """What stands after all cancellations. Raises SignalError where a notice's period cannot be read."""
    rows: list[tuple[int, str]] = []
    for record in records:
        if not isinstance(record, dict) or record.get("warningType") != kind:
            continue
        text = record.get("warningText")
        if isinstance(text, str):
            rows.append((parse_utc(record.get("publishTime")), text))
    standing: dict[str, Notice] = {}
    for _, text in sorted(rows):
        span = _span(text, kind, capacity_seconds)
        if _CANCELLED.search(text):
            for key in [
                key for key, one in standing.items() if span is None or _same(one, span, kind)
            ]:
                del standing[key]
            continue
        if span is None:
            raise SignalError(
                f"a {kind.lower()} has no period in a form we know ({' '.join(text.split())[:100]!r});"
                " read it and enter the need by hand"
            )
        made = _notice(text, kind, span)
        standing[made.key] = made
    return list(standing.values())


def _same(one: Notice, span: tuple[int, int], kind: str) -> bool:
    """A capacity notice names only its begin, and has one at a time; a margin notice names its period."""
    return kind == CAPACITY or (one.start, one.end) == span


def _notice(text: str, kind: str, span: tuple[int, int]) -> Notice:
    short = _SHORT.search(text)
    words = f"{kind.capitalize()}{f', {short[1]} MW short' if short else ''}"
    stage = Stage.WATCH if kind == MARGIN else Stage.TIGHT
    return Notice(f"{kind}:{span[0]}", "elexon-warnings", stage, span[0], span[1], words)


def _span(text: str, kind: str, capacity_seconds: int) -> tuple[int, int] | None:
    period = _PERIOD.search(text)
    if period is not None:
        hour, minute, to_hour, to_minute, day, month, year = (int(part) for part in period.groups())
        start = _london((year, month, day), hour, minute)
        end = _london((year, month, day), to_hour, to_minute)
        if end <= start:  # past midnight
            end = _london((year, month, day), to_hour, to_minute, days=1)
        return start, end
    since = _SINCE.search(text) if kind == CAPACITY else None
    if since is None:
        return None
    hour, minute, day, month, year = (int(part) for part in since.groups())
    start = _london((year, month, day), hour, minute)
    return start, start + capacity_seconds


def _london(date: tuple[int, int, int], hour: int, minute: int, days: int = 0) -> int:
    try:
        local = datetime(*date, hour % 24, minute, tzinfo=LONDON)
    except ValueError as error:
        raise SignalError(f"a warning has a moment that does not exist: {error}") from None
    local += timedelta(days=days + hour // 24)
    return int(local.astimezone(UTC).timestamp())


def instructions_in(records: Sequence[Any]) -> list[Notice]:
    """The demand control instructions. Raises SignalError where one cannot be read."""
    found: dict[str, Notice] = {}
    for record in records:
        if not isinstance(record, dict):
            continue
        start, end = parse_utc(record.get("timeFrom")), parse_utc(record.get("timeTo"))
        key = f"demand-control:{record.get('demandControlId')}:{record.get('instructionSequence')}"
        if end <= start:
            found.pop(key, None)
            continue
        words = (
            f"Demand control by {str(record.get('affectedDso'))[:40]}, {record.get('volume')} MW"
        )
        found[key] = Notice(key, "elexon-demand-control", Stage.EMERGENCY, start, end, words[:100])
    return list(found.values())
