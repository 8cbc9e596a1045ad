"""A grid publishes a need, a site that also sells bids into it, over signed HTTP; delivered, told and paid."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from flexlond.agents.market.agent import SellerAgent
from flexlond.model.market_settings import BidSettings
from flexlond.settlement.store import SettlementStore
from tests.unit.agents.grid.town import PATIENCE, SLOT, Town, buyer_of, buying, daemon

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flexlond.daemon.compose import Parts
    from flexlond.model.settings import Settings

replace = msgspec.structs.replace
NAMES = ("needs.test", "site.test", "buyer.site.test")


def grid_settings(town: Town) -> Settings:
    """A grid that publishes as needs.test and buys of nobody."""
    nobody = town.knows("nobody", "buyer.site.test")
    buy = buying(bid_gbp_per_kwh=0.5, penalty_gbp_per_kwh=0.1, publish_to=("buyer.site.test",))
    made = town.grid(buy, nobody)
    needs = town.identity("grid_orchestrator", "BPP", "needs.test")
    identity = {**made.market.identity, "needs": needs}
    return replace(made, market=replace(made.market, identity=identity))


def site_settings(town: Town) -> Settings:
    """A battery of 10 kW that sells as site.test and bids as buyer.site.test."""
    made = town.battery("site.test", 10.0, 0.2)
    bids = town.identity("asset_site", "BAP", "buyer.site.test", town.knows("grids", "needs.test"))
    terms = BidSettings(
        lead_seconds=2.0, refresh_seconds=3600.0, silent_seconds=10.0, take_published=True
    )
    identity = {**made.market.identity, "bids": bids}
    return replace(made, market=replace(made.market, identity=identity, bid=terms))


async def so(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    until = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < until, what
        await asyncio.sleep(0.2)


async def site_of(parts: Parts) -> SellerAgent:
    await so(lambda: "asset_site" in parts.market.agents, "the site did not come to the market")
    found = parts.market.agents["asset_site"]
    assert isinstance(found, SellerAgent)
    return found


async def test_a_published_need_is_bid_into_delivered_and_paid(tmp_path: Path) -> None:
    """The site has asked before the grid was there, and would not ask again for an hour."""
    town = Town(tmp_path, *NAMES)
    async with contextlib.AsyncExitStack() as stack:
        site = await stack.enter_async_context(daemon(site_settings(town)))
        seller = await site_of(site)
        outbox = seller.bidder.node.journal.outbox
        await so(lambda: bool(outbox.since(0.0)), "the site did not ask")
        grid = await stack.enter_async_context(daemon(grid_settings(town)))
        buyer = await buyer_of(grid)
        start = int(time.time()) // SLOT * SLOT + 5 * SLOT
        buyer.add_need(6.0, start, start + 2 * SLOT, 100.0, "price")
        await so(lambda: buyer.needs()[0].state == "CLOSED", "the need was not closed")
        (need,) = buyer.needs()
        (lot,) = need.orders
        assert (lot.state, lot.seller, lot.kw) == ("DONE", "buyer.site.test", (6.0, 6.0)), lot
        assert need.bought_kw == (6.0, 6.0)
        await so(lambda: seller.orders()[0].contract == "COMPLETE", "the site did not hear the end")
        (view,) = seller.orders()
        assert (view.kind, view.state, view.contract) == ("bid", "over", "COMPLETE"), view
        assert view.order_id == lot.order_id
        assert view.buyer == "needs.test"
        whole = seller.order(view.order_id)
        assert whole is not None
        delivered = [slot.delivered_kw for slot in whole.slots]
        assert delivered == pytest.approx(list(lot.delivered_kw))
        hours = SLOT / 3600.0
        pays = sum(0.5 * min(6.0, one) - 0.1 * max(0.0, 6.0 - one) for one in delivered) * hours
        word, _, said = whole.detail.partition(": ")
        assert word == "settled by the grid"
        assert float(said.removesuffix(" GBP")) == pytest.approx(pays, abs=0.0051)
        assert lot.rating == 1 + int(4 * min(1.0, sum(delivered) / 12.0) + 0.5)
        assert seller.seller.sales.all() == []  # it was not sold, and could not have been too
        with contextlib.closing(SettlementStore(tmp_path / "site.test" / "settlement.db")) as store:
            await so(lambda: bool(store.orders(start, start + 2 * SLOT)), "not in the books")
            (order,) = store.orders(start, start + 2 * SLOT)
        assert order.id == view.order_id
        assert [one.offered_w for one in order.intervals] == [6000, 6000]
        assert {float(one.penalty) for one in order.intervals} == {100.0}  # GBP per MWh
        rows = seller.bidder.node.journal.database.rows("SELECT body FROM outbox")
        assert {json.loads(raw)["context"]["bapId"] for (raw,) in rows} == {"buyer.site.test"}
