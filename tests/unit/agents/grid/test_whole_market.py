"""A buyer and battery sites at work together over HTTP: from a warning to the rating; and nobody to sell."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import TYPE_CHECKING

import pytest

from flexlond.model.buy_settings import StressFeed
from tests.unit.agents.grid.far_end import FarEnd, running
from tests.unit.agents.grid.town import PATIENCE, SLOT, Town, buyer_of, buying, daemon

if TYPE_CHECKING:
    from pathlib import Path


async def test_stress_is_bought_of_two_sites_delivered_and_rated(tmp_path: Path) -> None:
    town = Town(tmp_path, "cheap.test", "dear.test")
    async with running(FarEnd()) as far, contextlib.AsyncExitStack() as stack:
        feed = StressFeed(source="openadr", url=far.url, refresh=2.0)
        settings = town.grid(buying(tight_kw=15.0, stress=(feed,)))
        grid = await stack.enter_async_context(daemon(settings))
        for name, price in (("cheap.test", 0.1), ("dear.test", 0.2)):
            await stack.enter_async_context(daemon(town.battery(name, 10.0, price)))
        buyer = await buyer_of(grid)
        start = int(time.time()) // SLOT * SLOT + 5 * SLOT
        far.events = [
            {
                "id": "e1",
                "eventName": "evening",
                "intervalPeriod": {
                    "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start)),
                    "duration": f"PT{2 * SLOT}S",
                },
                "intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [2]}]}],
            }
        ]
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            needs = buyer.needs()
            if needs and needs[0].state == "CLOSED":
                break
            await asyncio.sleep(0.5)
        (need,) = buyer.needs()
        assert need.state == "CLOSED", need
        orders = {one.seller: one for one in need.orders if one.state == "DONE"}
        assert set(orders) == {"cheap.test", "dear.test"}, need
        assert orders["cheap.test"].kw == (10.0, 10.0)
        assert orders["dear.test"].kw == (5.0, 5.0)
        for one in orders.values():
            assert all(math.isfinite(delivered) for delivered in one.delivered_kw), one
        assert all(one.rating >= 1 for one in orders.values())
        assert need.bought_kw == (15.0, 15.0)
        view = await buyer.would_pick("price", 5.0, 0, 0, -1.0)
        assert [one.seller for one in view.offers][:1] == ["cheap.test"]


@pytest.mark.parametrize("goal", ["price", "carbon", "stress"])
async def test_nobody_sells_and_it_says_so(tmp_path: Path, goal: str) -> None:
    town = Town(tmp_path, "away.test")
    async with daemon(town.grid(buying())) as grid:
        view = await (await buyer_of(grid)).would_pick(goal, 0.0, 0, 0, -1.0)
        assert view.offers == ()
        assert view.skipped == ("away.test: no catalogue yet",)
