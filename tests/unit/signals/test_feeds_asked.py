"""When a feed is asked: when it is due, later and later after failures; none keeps the others waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from flexlond.model.series import Kind, Quality
from flexlond.model.settings import Feed, SignalSettings
from flexlond.signals.feeds import SHORTEST_REFRESH, SignalHub
from tests.unit.signals.feeds_kit import HOUR, NATIONAL, REGIONAL, by_path, carbon_hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.model.timegrid import TimeGrid


async def test_refresh_asks_again_only_when_due(far_end: Any, national: Any, now: int) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, Feed(source="neso-carbon", refresh=600.0))
    for after in (0, 3, 599, 631):
        await hub.refresh(now + after)
    assert len(far_end.requests) == 2


async def test_a_public_service_is_not_asked_more_often_than_once_a_minute(
    far_end: Any, national: Any, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, Feed(source="neso-carbon", refresh=1.0))
    for after in range(0, 120, 3):
        await hub.refresh(now + after)
    assert len(far_end.requests) == 2
    assert SHORTEST_REFRESH == 60.0


async def test_failures_are_retried_later_and_later_but_within_bounds(
    far_end: Any, now: int
) -> None:
    hub = carbon_hub(far_end, NATIONAL)  # the far end says 500
    asked_at: list[int] = []
    for after in range(0, 24 * HOUR, 5):
        before = len(far_end.requests)
        await hub.refresh(now + after)
        if len(far_end.requests) > before:
            asked_at.append(after)
    waits = np.diff(asked_at)
    assert 30 <= waits[0] <= 30 * 1.25 + 5
    assert 60 <= waits[1] <= 60 * 1.25 + 5
    assert (waits <= 1800 * 1.25 + 5).all()
    assert (waits[7:] >= 1800).all()


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("600", 600, 755),
        ("Mon, 23 Nov 2026 12:20:00 GMT", 600, 755),  # ten minutes after `now`
        ("999999999", 6 * HOUR, 6 * HOUR * 1.25 + 5),  # a wish, not an order
        ("soon", 30, 43),
        ("-5", 30, 43),
    ],
)
async def test_retry_after_is_granted_within_reason(
    far_end: Any, now: int, header: str, least: int, most: float
) -> None:
    far_end.answer = lambda _: httpx.Response(429, headers={"retry-after": header})
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    await hub.refresh(now + least - 1)
    assert len(far_end.requests) == 1
    await hub.refresh(now + int(most) + 1)
    assert len(far_end.requests) == 2


async def test_a_clock_set_back_does_not_silence_a_feed(
    far_end: Any, national: Any, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now + 365 * 24 * HOUR)
    await hub.refresh(now)
    assert len(far_end.requests) == 2


async def test_one_feed_that_hangs_does_not_keep_the_others(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        if "/regional/" in request.url.path:
            await asyncio.Event().wait()  # for ever
        return httpx.Response(200, json=national)

    hub = SignalHub(
        SignalSettings(carbon=(REGIONAL, NATIONAL), timeout=0.05),
        transport=httpx.MockTransport(handle),
    )
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, grid, now)
    assert series.quality is Quality.GOOD
    assert "no complete answer within 0.2 s" in series.detail


async def test_cancelling_is_not_swallowed(now: int) -> None:
    started = asyncio.Event()

    async def hang(_: httpx.Request) -> httpx.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    hub = SignalHub(SignalSettings(carbon=(NATIONAL,)), transport=httpx.MockTransport(hang))
    task = asyncio.create_task(hub.refresh(now))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await hub.close()


async def test_all_feeds_share_one_client_which_is_closed(
    national: Any, load: Callable[[str], Any], now: int
) -> None:
    closed: list[bool] = []

    class Watched(httpx.MockTransport):
        async def aclose(self) -> None:
            closed.append(True)

    transport = Watched(by_path(national, load("neso_regional_object.json")))
    hub = SignalHub(SignalSettings(carbon=(REGIONAL, NATIONAL)), transport=transport)
    await hub.refresh(now)
    await hub.close()
    await hub.close()
    assert closed == [True]
