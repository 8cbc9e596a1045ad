"""A site that sells and bids, a grid that buys and publishes, and another buyer; bytes are carried by hand."""

from __future__ import annotations

import functools
import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.agents.grid.buyer import Buyer
from flexlond.agents.grid.choosing import choose
from flexlond.agents.grid.needs import of_operator
from flexlond.agents.grid.orchestrator import Orchestrator
from flexlond.agents.grid.records import Lot, Records
from flexlond.agents.grid.tender import Tender
from flexlond.agents.market.agent import SellerAgent
from flexlond.agents.market.port import Place
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.journal.outbox import Attempt
from flexlond.beckn.node.arrivals import Arrival
from flexlond.beckn.node.node import Node
from flexlond.beckn.wire.acks import hear
from flexlond.beckn.wire.actions import Role
from flexlond.model.buy_settings import BuySettings
from flexlond.model.market_settings import BidSettings
from flexlond.model.settings import Settings
from tests.unit.agents.conftest import SLOT, replace_struct
from tests.unit.agents.grid.world import LIMITS, identity, in_process
from tests.unit.agents.market.kit import FIRST, Hand, market_settings, need
from tests.unit.agents.market.shop import Shop
from tests.unit.beckn.kit import Fixed, at_once, subscriber

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.agents.market.sales import Sale
    from flexlond.beckn.trust.registry import Subscriber

BEGIN = float(FIRST - 4 * SLOT)
SELLS = identity("site.test", Role.BPP, 41)
BIDS = identity("bids.test", Role.BAP, 42)
NEEDS = identity("needs.test", Role.BPP, 43)
BUYS = identity("grid.test", Role.BAP, 44)
HAND = identity("hand.test", Role.BAP, 45)
EVERYBODY = (SELLS, BIDS, NEEDS, BUYS, HAND)
GRID = BuySettings(
    goal="price",
    lead_seconds=60.0,
    silent_seconds=60.0,
    confirm_seconds=300.0,
    bid_gbp_per_kwh=0.3,
    value_gbp_per_kwh=1.0,
)
BID = BidSettings(refresh_seconds=20.0, silent_seconds=60.0, hold_seconds=300.0)


class Known:
    """Who is in whose trust file."""

    def __init__(self, *found: Any) -> None:
        self.found = [subscriber(one) for one in found]

    def named(self, role: Role, now: float) -> list[Subscriber]:
        return [one for one in self.found if one.role is role]


class Fair:
    """All of them, and a network that carries everything at once, but for what is `lost`."""

    def __init__(
        self,
        folder: Path,
        shop: Shop | None = None,
        *,
        grid: BuySettings = GRID,
        bid: BidSettings = BID,
        buys: bool = False,
        **sell: Any,
    ) -> None:
        """`buys`: whether the grid buys of the site too."""
        made = market_settings(Settings(), refresh=1.0, **sell)
        market = replace_struct(made.market, bid=bid)
        self.settings = replace_struct(made, market=market)
        self.folder, self.grid, self.buys = folder, grid, buys
        self.shop = shop or Shop()
        self.shop.sell = self.settings.market.sell
        self.now = BEGIN
        self.lost: set[tuple[str, str]] = set()  # (receiver, action)
        self.registry = Fixed(*EVERYBODY)
        self.wire: list[tuple[str, bytes]] = []
        self.open()

    def open(self) -> None:
        """All from their files."""
        self.journals = {
            one.id: Journal(self.folder / f"{one.id}.db", one.role) for one in EVERYBODY
        }
        for journal in self.journals.values():
            journal.database.run("PRAGMA synchronous=OFF")  # no power cut is tested here
        self.site = SellerAgent(self.settings, self.shop, clock=lambda: self.now)
        self.hand = Hand()
        self.buyer = Buyer(self.grid.silent_seconds)
        self.buyer.sellers = {SELLS.id: subscriber(SELLS)} if self.buys else {}
        self.tender = Tender(self.grid)
        business: dict[str, Any] = {
            SELLS.id: self.site.business(Role.BPP),
            BIDS.id: self.site.business(Role.BAP),
            NEEDS.id: self.tender,
            BUYS.id: self.buyer,
            HAND.id: self.hand,
        }
        self.nodes = {
            one.id: Node(one, LIMITS, self.journals[one.id], business[one.id]) for one in EVERYBODY
        }

        def place(name: str, *known: Any) -> Place:
            return Place(self.nodes[name], Known(*known), lambda: None)  # type: ignore[arg-type]

        self.site.join({Role.BPP: place(SELLS.id), Role.BAP: place(BIDS.id, NEEDS)})
        records = Records(self.journals[BUYS.id].database)
        self.buyer.open(self.nodes[BUYS.id], records)
        self.tender.join(place(NEEDS.id, BIDS), records)
        self.work = Orchestrator(
            self.nodes[BUYS.id],
            self.buyer,
            self.grid,
            SLOT,
            carbon=lambda _start, _seconds, count: np.full(count, 200.0),
            choose=functools.partial(choose, solve=in_process),
            won=self.tender.won,
        )

    def close(self) -> None:
        for journal in self.journals.values():
            journal.close()

    # ---- time and network

    async def go(self, seconds: float = 0.0, step: float = 10.0) -> None:
        """Turns and messages until nothing moves, every `step` seconds for so long."""
        until = self.now + seconds
        while True:
            for _ in range(5):
                await self.site.turn()
                await self.work.turn(self.now)
                self.tender.turn(self.now)
                self.settle()
            if self.now >= until:
                return
            self.now = min(until, self.now + step)

    def settle(self) -> None:
        for _ in range(60):
            if not sum(self.carry(node) for node in self.nodes.values()):
                return
        raise AssertionError("it does not come to rest")

    def carry(self, node: Node) -> int:
        """What one node has to say, and to do."""
        node.lapse(self.now)
        moved = 0
        for item in node.due(self.now):
            header = node.begin(item, self.now)
            moved += 1
            if (item.peer, item.action) in self.lost:
                node.end(item, Attempt(None, fault="nobody there"), self.now)
                continue
            self.wire.append((item.action, item.body))
            arrival = Arrival(item.action, header, item.body, self.now)
            reply = at_once(self.nodes[item.peer].receive(arrival, self.registry))
            node.end(item, Attempt(hear(reply.status, reply.body), reply.status), self.now)
        moved += node.work(self.now)
        assert node.desk.take_faults() == []
        return moved

    # ---- what people and others want

    def need(self, kw: float, slots: int = 2, budget: float = 1000.0, first: int = FIRST) -> str:
        key = f"op:{uuid.uuid4()}"
        end = first + slots * SLOT
        self.work.add(of_operator(key, kw, first, end, budget, "price", SLOT), self.now)
        return key

    def select(self, kw: list[float], start: int = FIRST) -> str:
        """The other buyer asks the site."""
        txn = str(uuid.uuid4())
        self.say("select", txn, need(kw, start))
        return txn

    def say(self, action: str, txn: str, contract: dict[str, Any] | None = None) -> None:
        body = {"contract": contract or self.said(txn)}
        self.nodes[HAND.id].ask(action, subscriber(SELLS), txn, body, self.now)
        self.settle()

    def said(self, txn: str) -> dict[str, Any]:
        standing = self.journals[HAND.id].contracts.get(txn)
        assert standing is not None
        return {**json.loads(standing.body), "id": standing.contract_id}

    async def order(self, kw: list[float], start: int = FIRST) -> str:
        """The other buyer buys."""
        txn = self.select(kw, start)
        for action, at in (("init", "SELECTED"), ("confirm", "INITIALISED")):
            if self.state(HAND.id, txn) == at:
                self.say(action, txn)
        await self.go()
        return txn

    # ---- what came of it

    def state(self, who: str, txn: str) -> str:
        standing = self.journals[who].contracts.get(txn)
        return standing.state.value if standing else "-"

    def bids(self, *states: str) -> list[Sale]:
        found = self.site.bidder.sales.all()
        return [one for one in found if not states or one.state.value in states]

    def lots(self, *states: str) -> list[Lot]:
        return [one for one in self.tender.records.lots() if not states or one.state in states]

    def promised(self, at: int) -> int:
        """Watts that both sides of the site hold in a slot."""
        books = (self.journals[one.id].book for one in (SELLS, BIDS))
        return sum(book.promised(at, self.now) for book in books)

    def kept(self, at: int) -> int:
        """Watts of promises that the shop keeps in a slot."""
        return sum(
            sale.watts.get(at, 0)
            for side in self.site.sides
            for sale in side.sales.all()
            if self.shop.made.get(sale.key)
        )
