"""Hubs over a far end, the feeds in them, and a far end that answers by path."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import httpx

from flexlond.model.settings import Feed, SignalSettings
from flexlond.signals.feeds import SignalHub

if TYPE_CHECKING:
    from collections.abc import Callable

NOON = 1795435200
HOUR = 3600
NATIONAL = Feed(source="neso-carbon")
REGIONAL = Feed(source="neso-carbon-regional", region="12")
MARKET_INDEX = Feed(source="elexon-market-index")
DAY_AHEAD = Feed(source="neso-day-ahead")


def carbon_hub(far_end: Any, *feeds: Feed, **more: Any) -> SignalHub:
    settings = SignalSettings(carbon=feeds, **{k: more.pop(k) for k in ("fill",) if k in more})
    return SignalHub(settings, transport=far_end.transport, rng=random.Random(7), **more)


def price_hub(far_end: Any, *feeds: Feed, **more: Any) -> SignalHub:
    return SignalHub(
        SignalSettings(price=feeds, **more), transport=far_end.transport, rng=random.Random(7)
    )


def by_path(national: Any, regional: Any) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        payload = regional if "/regional/" in request.url.path else national
        return httpx.Response(200, json=payload) if payload else httpx.Response(500)

    return answer
