"""Two sites sold as one to a grid that knows neither; one is cut off in the middle and the other takes over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from flexlond.agents.grid.listings import Listing
from flexlond.agents.portfolio.offering import added_up
from flexlond.model.market_settings import SellSettings
from tests.unit.agents.grid.town import PATIENCE, SLOT, Town, buyer_of, buying, daemon

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flexlond.agents.grid.agent import GridAgent
    from flexlond.agents.grid.views import NeedView


async def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.2)


def need_of(buyer: GridAgent) -> NeedView:
    return buyer.needs()[0]


async def test_an_order_larger_than_either_site_is_split_and_a_site_that_is_cut_off_is_replaced(
    tmp_path: Path,
) -> None:
    town = Town(tmp_path, "one.test", "two.test", "portfolio.test", "buyer.test")
    fast = buying(silent_seconds=4.0)
    async with contextlib.AsyncExitStack() as stack:
        one = contextlib.AsyncExitStack()
        await stack.enter_async_context(one)
        await one.enter_async_context(daemon(town.battery("one.test", 10.0, 0.1)))
        await stack.enter_async_context(daemon(town.battery("two.test", 10.0, 0.2)))
        middle = await stack.enter_async_context(
            daemon(town.portfolio(fast, "one.test", "two.test"))
        )
        grid = await stack.enter_async_context(
            daemon(town.grid(buying(), town.knows("grid", "portfolio.test")))
        )
        buyer, sites = await buyer_of(grid), await buyer_of(middle, "flex_orchestrator")
        start = int(time.time()) // SLOT * SLOT + 5 * SLOT
        buyer.add_need(12.0, start, start + 8 * SLOT, 100.0, "price")
        await until(lambda: any(order.state == "ORDERED" for order in need_of(buyer).orders))
        split = {lot.seller: lot.kw[0] for lot in need_of(sites).orders if lot.state == "ORDERED"}
        assert split == {"one.test": 10.0, "two.test": 2.0}

        await until(lambda: time.time() > start + SLOT + 1)
        await one.aclose()
        await until(
            lambda: any(
                lot.seller == "two.test" and max(lot.kw) > 2.0 for lot in need_of(sites).orders
            )
        )
        # The grid hears at once that a part is open, and is told at the end what came.
        await until(lambda: need_of(buyer).state == "CLOSED")
        (order,) = [lot for lot in need_of(buyer).orders if lot.state == "DONE"]
        assert order.seller == "portfolio.test"
        place = grid.market.stalls["grid_orchestrator"][0].place()
        (txn,) = [one.transaction_id for one in place.node.journal.contracts.all()]
        pushes = [
            json.loads(message.body)
            for message in place.node.journal.inbox.of_transaction(txn)
            if message.action == "on_status"
        ]
        words = [
            part.get("status", {}).get("shortDesc", "")
            for push in pushes
            for part in push["message"]["contract"].get("performance", [])
        ]
        assert any("fall(s) short" in text for text in words)
        assert sum(order.delivered_kw) < 12.0 * 8
        assert order.rating >= 1


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(1, 60), st.integers(0, 3)), min_size=1, max_size=5
    )
)
def test_the_sum_of_offers_never_promises_more_than_the_sites_nor_pays_them_less(
    parts: list[tuple[int, int, int]],
) -> None:
    listings = [
        Listing(
            f"s{number}",
            "r",
            "o",
            "n",
            1800,
            {7200: float(kw)},
            {7200: price / 100.0},
            notice * 60.0,
            1800.0 * (1 + notice),
            7200.0,
            3600.0,
            0.9,
            1e9,
            0.0,
        )
        for number, (kw, price, notice) in enumerate(parts)
    ]
    sell = SellSettings(margin=0.0, notice=0.0, least_kw=1.0)
    found = added_up(listings, sell, 1800, 60.0, 0.0)
    total = sum(kw for kw, _, _ in parts)
    assert sum(slot.steps[-1].kw for slot in found.slots) <= total
    for slot in found.slots:
        sizes = [step.kw for step in slot.steps]
        assert sizes == sorted(sizes)
        cheapest = sorted((price / 100.0, float(kw)) for kw, price, _ in parts)
        for step in slot.steps:
            left, paid = step.kw, 0.0
            for price, kw in cheapest:
                taken = min(left, kw)
                left, paid = left - taken, paid + taken * price
            assert left <= 1e-6
            assert step.gbp_per_kwh * step.kw >= paid - 1e-3
    used = [one for one, (kw, _, _) in zip(listings, parts, strict=True) if kw]
    assert found.notice >= max((one.notice for one in used), default=0.0)
    assert found.shortest >= max((one.shortest for one in used), default=0.0)
