"""Published catalogues: taken where that is wanted, each seller's own, never the older over the newer."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.grid.published import MOST
from tests.unit.agents.conftest import replace_struct
from tests.unit.agents.grid.town import PATIENCE, Town, buyer_of, buying, daemon
from tests.unit.agents.grid.world import FIRST, SLOT, T0, Shop, World
from tests.unit.beckn.kit import subscriber

if TYPE_CHECKING:
    from pathlib import Path

OFFER = "offer"


class Fair(World):
    """A buyer that takes what is published, and sellers that publish."""

    def __init__(self, *shops: Shop) -> None:
        super().__init__(*shops)
        self.buyer.takes_published = True

    def publish(
        self, shop: Shop, now: float, *catalogs: dict[str, Any], mode: str = "FULL", txn: str = ""
    ) -> dict[str, Any]:
        """What the buyer answers: its message, or its error."""
        assert shop.node is not None
        given = list(catalogs) or [shop.catalogue(now)]
        directives = [
            {"catalogId": one["id"], "catalogType": "REGULAR", "updateMode": mode} for one in given
        ]
        body = {"catalogs": given, "publishDirectives": directives}
        to = subscriber(self.us)
        shop.heard = lambda *_: None  # type: ignore[method-assign]
        asked = shop.node.ask("catalog/publish", to, txn or str(uuid.uuid4()), body, now)
        self.settle(now)
        return self.said(asked)

    def said(self, message_id: str) -> dict[str, Any]:
        row = self.node.journal.database.row(
            "SELECT body FROM outbox WHERE message_id=?", message_id
        )
        assert row is not None
        plain = json.loads(row[0])
        assert plain["context"]["action"] == "catalog/on_publish"
        found: dict[str, Any] = plain.get("error") or plain["message"]["results"][0]
        return found

    def kw(self, shop: Shop, offer: str = OFFER) -> dict[int, float] | None:
        found = self.buyer.listings.get((shop.us.id, offer))
        return None if found is None else found.kw


async def test_what_is_published_is_bought_without_asking_again() -> None:
    shop = Shop(1, [30.0, 30.0], 0.10)
    fair = Fair(shop)
    assert fair.publish(shop, T0) == {"catalogId": "catalogue", "status": "ACCEPTED"}
    fair.need(20.0)
    await fair.go(T0 + 10.0)
    (lot,) = fair.lots("ORDERED")
    assert lot.kw == {FIRST: 20.0, FIRST + SLOT: 20.0}
    assert "discover" not in shop.calls
    await fair.go(T0 + 10.0 + fair.settings.refresh_seconds)


async def test_by_default_none_is_taken() -> None:
    shop = Shop(1, [30.0], 0.10)
    fair = Fair(shop)
    fair.buyer.takes_published = False
    assert fair.publish(shop, T0)["code"] == "POL_ENGAGEMENT_REFUSED"
    assert fair.buyer.listings == {}
    fair.buyer.takes_published = True
    fair.buyer.sellers = {}
    assert fair.publish(shop, T0)["code"] == "POL_CALLER_TRUST_INSUFFICIENT"
    assert fair.buyer.listings == {}


async def test_a_newer_one_takes_the_place_of_the_one_with_its_id_and_of_no_other() -> None:
    shop, other = Shop(1, [30.0], 0.10), Shop(2, [50.0], 0.10)
    fair = Fair(shop, other)
    fair.publish(shop, T0)
    fair.publish(other, T0)
    second = shop.catalogue(T0)
    second["id"] = "nights"
    second["offers"][0]["id"] = "night"
    fair.publish(shop, T0 + 1, second)
    shop.kw[FIRST] = 10.0
    fair.publish(shop, T0 + 2)
    assert (fair.kw(shop), fair.kw(shop, "night")) == ({FIRST: 10.0}, {FIRST: 30.0})
    assert fair.kw(other) == {FIRST: 50.0}
    gone = {**shop.catalogue(T0 + 3), "isActive": False, "offers": [], "resources": []}
    assert fair.publish(shop, T0 + 3, gone)["status"] == "ACCEPTED"
    assert (fair.kw(shop), fair.kw(shop, "night")) == (None, {FIRST: 30.0})
    assert fair.kw(other) == {FIRST: 50.0}


async def test_merged_it_leaves_the_offers_that_it_does_not_name() -> None:
    shop = Shop(1, [30.0], 0.10)
    fair = Fair(shop)
    both = shop.catalogue(T0)
    both["offers"].append({**both["offers"][0], "id": "second"})
    fair.publish(shop, T0, both)
    shop.kw[FIRST] = 10.0
    fair.publish(shop, T0 + 1, mode="MERGE")
    assert (fair.kw(shop), fair.kw(shop, "second")) == ({FIRST: 10.0}, {FIRST: 30.0})
    fair.publish(shop, T0 + 2)
    assert (fair.kw(shop), fair.kw(shop, "second")) == ({FIRST: 10.0}, None)


async def test_one_that_was_overtaken_changes_nothing() -> None:
    shop = Shop(1, [30.0], 0.10)
    fair = Fair(shop)
    assert shop.node is not None
    old = {"catalogs": [shop.catalogue(T0)]}
    shop.heard = lambda *_: None  # type: ignore[method-assign]
    late = shop.node.ask("catalog/publish", subscriber(fair.us), str(uuid.uuid4()), old, T0)
    (item,) = shop.node.due(T0)
    shop.node.journal.outbox.began(item.seq, item.message_id, "x", T0 + 20)  # it is under way
    shop.kw[FIRST] = 10.0
    fair.publish(shop, T0 + 5)
    fair.settle(T0 + 20)
    assert fair.said(late)["errors"][0]["code"] == "NET_CATALOG_STALE"
    assert fair.kw(shop) == {FIRST: 10.0}
    shop.kw[FIRST] = 5.0  # and asked for, the answer counts in the same way
    fair.agent.discover(T0 + 25, since=T0 + 25)
    fair.settle(T0 + 25)
    assert fair.kw(shop) == {FIRST: 5.0}
    fair.buyer.shelf.answered[shop.us.id] = T0 + 30
    assert fair.publish(shop, T0 + 29)["errors"][0]["code"] == "NET_CATALOG_STALE"
    assert fair.kw(shop) == {FIRST: 5.0}


async def test_nobody_publishes_in_anothers_name() -> None:
    shop, other = Shop(1, [30.0, 30.0], 0.10), Shop(2, [50.0, 50.0], 0.20)
    fair = Fair(shop, other)
    result = fair.publish(shop, T0, {**shop.catalogue(T0), "bppId": other.us.id})
    assert result["errors"][0]["code"] == "CTX_INVALID_FIELD"
    assert fair.buyer.listings == {}
    fair.need(60.0)
    await fair.go(T0)
    (theirs,) = [lot for lot in fair.lots("ORDERED") if lot.seller == other.us.id]
    shop.kw = {FIRST: 99.0}
    fair.publish(shop, T0 + 5, txn=theirs.transaction_id)  # the transaction of another's order
    assert fair.kw(other) == {FIRST: 50.0, FIRST + SLOT: 50.0}
    assert fair.kw(shop) == {FIRST: 69.0}  # 30 of them are ordered


async def test_a_seller_cannot_fill_the_memory() -> None:
    shop = Shop(1, [30.0], 0.10)
    fair = Fair(shop)
    for number in range(MOST + 1):
        last = fair.publish(shop, T0 + number, {**shop.catalogue(T0), "id": f"c{number}"})
    assert last["errors"][0]["code"] == "POL_NP_CAPACITY_EXCEEDED"
    assert len(fair.buyer.shelf.written) == MOST
    assert fair.publish(shop, T0 + MOST + 1, {**shop.catalogue(T0), "id": "c0"})["status"] == (
        "ACCEPTED"
    )


async def test_what_cannot_be_understood_is_left_out_and_said() -> None:
    shop = Shop(1, [30.0], 0.10)
    fair = Fair(shop)
    odd = shop.catalogue(T0)
    resource = odd["resources"][0]
    bad = json.loads(json.dumps(resource))
    bad["id"] = "bad"
    for row in bad["resourceAttributes"]["intervals"]:
        row["payloads"] = [one for one in row["payloads"] if one["type"] != "OFFER_PRICE"]
    odd["resources"].append(bad)
    odd["offers"].append({**odd["offers"][0], "id": "second", "resourceIds": ["bad"]})
    result = fair.publish(shop, T0, odd)
    assert result["status"] == "PARTIAL"
    assert "second" in result["errors"][0]["message"]
    assert set(fair.buyer.listings) == {(shop.us.id, OFFER)}
    odd["offers"] = odd["offers"][1:]
    assert fair.publish(shop, T0 + 1, odd)["status"] == "REJECTED"
    assert fair.buyer.listings == {}


async def test_two_daemons_and_what_one_publishes_the_other_would_pick(tmp_path: Path) -> None:
    town = Town(tmp_path, "site.test")
    selling = town.battery("site.test", 10.0, 0.1)
    sell = replace_struct(selling.market.sell, publish_to=("grid.test",))
    selling = replace_struct(selling, market=replace_struct(selling.market, sell=sell))
    async with daemon(town.grid(buying(take_published=True))) as grid:
        buyer = await buyer_of(grid)
        async with daemon(selling):
            until = time.monotonic() + PATIENCE
            while not buyer._buyer.listings and time.monotonic() < until:  # noqa: ASYNC110 - another's state
                await asyncio.sleep(0.1)
            assert set(buyer._buyer.heard_from) == {"site.test"}
            asked = buyer.place.node.journal.database.rows("SELECT action FROM outbox")
            assert {action for (action,) in asked} == {"catalog/on_publish"}  # it came unasked
        view = await buyer.would_pick("price", 5.0, 0, 0, -1.0)  # the seller is gone by now
        assert [one.seller for one in view.offers] == ["site.test"]


@pytest.mark.parametrize("mode", ["FULL", "MERGE"])
async def test_nothing_of_it_outlives_a_restart_and_it_is_asked_for_then(mode: str) -> None:
    shop = Shop(1, [30.0], 0.10)
    fair = Fair(shop)
    fair.publish(shop, T0, mode=mode)
    shop.kw[FIRST] = 20.0
    fair.buyer.listings, fair.buyer.heard_from = {}, {}
    fair.need(10.0, 1)
    await fair.go(T0 + 5)
    assert shop.calls[0] == "discover"
    assert fair.kw(shop) == {FIRST: 20.0}
