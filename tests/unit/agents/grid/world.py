"""A buyer at work and sellers with real keys and journals; bytes are carried by hand, time is an argument."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.agents.grid import papers
from flexlond.agents.grid.buyer import Buyer
from flexlond.agents.grid.choosing import choose
from flexlond.agents.grid.needs import of_operator
from flexlond.agents.grid.orchestrator import Orchestrator
from flexlond.agents.grid.records import Lot, Records
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.journal.outbox import Attempt
from flexlond.beckn.node.arrivals import Arrival
from flexlond.beckn.node.desk import Answer
from flexlond.beckn.node.node import Node
from flexlond.beckn.node.settings import Identity, NodeSettings
from flexlond.beckn.trust.keys import SecretKey
from flexlond.beckn.trust.signature import Signer
from flexlond.beckn.wire.acks import hear
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.model.buy_settings import BuySettings
from flexlond.solver.linear import Answer as Solved
from flexlond.solver.linear import solve
from tests.unit.beckn.kit import Fixed, at_once, subscriber

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.wire.messages import Message
    from flexlond.solver.linear import Model

T0 = 1_800_000_000.0
SLOT = 1800
FIRST = 1_800_007_200
SETTINGS = BuySettings(
    goal="price",
    budget_gbp=100.0,
    lead_seconds=60.0,
    discover_seconds=10.0,
    silent_seconds=30.0,
    confirm_seconds=30.0,
    refresh_seconds=300.0,
)
LIMITS = NodeSettings(rate_per_second=1e6, burst=10**9)


def identity(name: str, role: Role, number: int) -> Identity:
    secret = SecretKey.of_seed(bytes([number]) * 32)
    return Identity(role, Signer(name, "k1", secret), f"http://{name}:8080/beckn")


class Shop:
    """A seller with kW at a price in some slots, that keeps its promises unless told otherwise."""

    def __init__(self, number: int, kw: list[float], price: float, **terms: Any) -> None:
        self.us = identity(f"seller{number}.test", Role.BPP, 10 + number)
        self.kw = {FIRST + at * SLOT: value for at, value in enumerate(kw)}
        self.price = price
        self.terms = terms
        self.silent_to: set[str] = set()  # actions that never reach it
        self.refuse: dict[str, Refusal] = {}
        self.dearer: dict[str, float] = {}  # action -> what it asks then
        self.calls: list[str] = []
        self.node: Node | None = None

    @property
    def book(self) -> Any:
        assert self.node is not None
        return self.node.journal.book

    def answer(self, message: Message, standing: Standing, now: float) -> Answer:
        name, txn = message.action.name, standing.transaction_id
        self.calls.append(name)
        if name in self.refuse:
            raise self.refuse[name]
        if name == "discover":
            return Answer({"catalogs": [self.catalogue(now)]})
        if name == "rate":
            return Answer({"ratings": message.plain["message"]["ratingInputs"]})
        if name == "status":
            known = json.loads(standing.body or b"null") or message.plain_contract
            return Answer({"contract": known})
        if name == "select":
            return Answer({"contract": self._quote(message, now)})
        if name == "init":
            kw, _ = papers.terms(message)
            watts = {at: round(value * 1000) for at, value in kw.items()}
            capacity = {at: round(value * 1000) for at, value in self.kw.items()}
            self.book.reserve(txn, watts, capacity, now, now + 300.0)
            return Answer({"contract": self._quote(message, now)}, deadline=now + 300.0)
        if name == "confirm":
            self.book.confirm(txn, now)
        return Answer({"contract": message.plain_contract})

    def heard(self, message: Message, standing: Standing, now: float) -> None:
        raise AssertionError("a seller hears nothing")

    def ended(self, standing: Standing, now: float) -> None:
        self.calls.append(f"ended {standing.state.value}")

    def left(self, at: int, now: float, but: str = "") -> float:
        return self.kw[at] - self.book.promised(at, now, but=but) / 1000.0

    def _quote(self, message: Message, now: float) -> dict[str, Any]:
        """The contract with what is left of what was asked for, and the price."""
        contract: dict[str, Any] = json.loads(json.dumps(message.plain_contract))
        commitment = contract["commitments"][0]
        table = commitment["resources"][0]["resourceAttributes"]
        txn = message.envelope.transaction_id
        price = self.dearer.get(message.action.name, self.price)
        kw = {}
        for row, at in zip(table["intervals"], self._starts(table), strict=True):
            asked = next(
                p["values"][0] for p in row["payloads"] if p["type"] == "CAPACITY_REQUESTED"
            )
            kw[at] = min(asked, self.left(at, now, txn))
        columns = {"CAPACITY_OFFERED": kw, "OFFER_PRICE": dict.fromkeys(kw, price)}
        offered = papers.series_of(columns, SLOT, "seller")
        commitment["commitmentAttributes"] = papers.bag("TimeSeries", "v1.0", offered)
        return contract

    def _starts(self, table: dict[str, Any]) -> list[int]:
        from datetime import datetime  # noqa: PLC0415

        start = int(datetime.fromisoformat(table["intervalPeriod"]["start"]).timestamp())
        return [start + SLOT * row["id"] for row in table["intervals"]]

    def catalogue(self, now: float) -> dict[str, Any]:
        kw = {at: max(0.0, self.left(at, now)) for at in self.kw}
        columns = {"CAPACITY_OFFERED": kw, "OFFER_PRICE": dict.fromkeys(kw, self.price)}
        pack = {
            "noticePeriod": "PT5M",
            "minActivation": "PT30M",
            "maxActivation": "PT4H",
            "maxDeferral": "PT12H",
            "reboundWindow": "PT2H",
            "ratedKw": 1000.0,
            "floorKw": 0.0,
        } | self.terms
        return {
            "id": "catalogue",
            "descriptor": {"name": "Flexibility"},
            "provider": {"id": self.us.id, "descriptor": {"name": self.us.id}},
            "resources": [
                {
                    "id": "flex",
                    "resourceAttributes": papers.bag(
                        "TimeSeries", "v1.0", papers.series_of(columns, SLOT, "seller")
                    ),
                }
            ],
            "offers": [
                {
                    "id": "offer",
                    "resourceIds": ["flex"],
                    "offerAttributes": {
                        "@context": "urn:flexlon:schema:ComputeFlexOffer:v1",
                        "@type": "ComputeFlexOffer",
                        **pack,
                    },
                }
            ],
        }

    # ---- what it does by itself

    def tell(self, txn: str, told: dict[int, tuple[float, float]], now: float, **more: Any) -> None:
        """Push a status: by slot (baseline, usage), or (baseline, forecast) with `forecast=True`."""
        assert self.node is not None
        standing = self.node.journal.contracts.get(txn)
        assert standing is not None
        second = "USAGE_FORECAST" if more.get("forecast") else "USAGE"
        columns = {
            "BASELINE": {at: pair[0] for at, pair in told.items()},
            second: {at: pair[1] for at, pair in told.items()},
        }
        telemetry = papers.series_of(columns, SLOT, "seller")
        for one in telemetry["payloadDescriptors"]:
            one["objectType"] = "REPORT_PAYLOAD_DESCRIPTOR"
            del one["insertedBy"]
        contract = json.loads(standing.body)
        contract["status"] = {"code": more.get("status", "ACTIVE")}
        contract["performance"] = [
            {
                "id": "p1",
                "commitmentIds": ["commitment-1"],
                "performanceAttributes": papers.bag(
                    "DemandFlexPerformance",
                    "v2.0",
                    {
                        "methodology": "forecast",
                        "meters": [
                            {"meterId": "m", "telemetry": {"@type": "TimeSeries", **telemetry}}
                        ],
                    },
                ),
            }
        ]
        self.node.push("on_status", txn, {"contract": contract}, now)

    def call_off(self, txn: str, now: float) -> None:
        """Cancel an order by itself."""
        assert self.node is not None
        standing = self.node.journal.contracts.get(txn)
        assert standing is not None
        self.node.push("on_cancel", txn, {"contract": json.loads(standing.body)}, now)


def in_process(model: Model, seconds: float, *, start: Any = None) -> Solved | None:
    return solve(model, seconds, start=start)


_WORLDS: list[World] = []


def close_all() -> None:
    """Close whatever worlds a test has made, also those that were killed in it."""
    while _WORLDS:
        _WORLDS.pop().close()


class World:
    """One buyer, its sellers, and a network that carries everything at once."""

    def __init__(
        self, *shops: Shop, folder: Path | None = None, settings: BuySettings = SETTINGS
    ) -> None:
        self.shops, self.folder, self.settings = shops, folder, settings
        self.us = identity("grid.test", Role.BAP, 1)
        self.opened: list[Journal] = []
        _WORLDS.append(self)
        self.registry = Fixed(self.us, *(shop.us for shop in shops))
        self.open()

    def open(self) -> None:
        """Make all nodes anew from their files, as after a restart."""

        def path(name: str) -> Path | str:
            return self.folder / f"{name}.db" if self.folder else ":memory:"

        journal = Journal(path("grid"), Role.BAP)
        self.opened.append(journal)
        self.buyer = Buyer(self.settings.silent_seconds)
        self.buyer.sellers = {shop.us.id: subscriber(shop.us) for shop in self.shops}
        self.node = Node(self.us, LIMITS, journal, self.buyer)
        self.buyer.open(self.node, Records(journal.database))
        self.agent = Orchestrator(
            self.node,
            self.buyer,
            self.settings,
            SLOT,
            carbon=lambda _start, _seconds, count: np.full(count, 200.0),
            choose=functools.partial(choose, solve=in_process),
        )
        for shop in self.shops:
            self.opened.append(Journal(path(shop.us.id), Role.BPP))
            shop.node = Node(shop.us, LIMITS, self.opened[-1], shop)

        for node in self.nodes():
            node.journal.database.run("PRAGMA synchronous=OFF")  # no power cut is tested here

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()

    def nodes(self) -> list[Node]:
        return [self.node, *(shop.node for shop in self.shops if shop.node is not None)]

    def carry(self, now: float) -> int:
        """Everything that is due, once; what a silent seller should get is lost."""
        moved = 0
        to = {node.us.id: node for node in self.nodes()}
        silent = {shop.us.id: shop.silent_to for shop in self.shops}
        for node in self.nodes():
            node.lapse(now)
            for item in node.due(now):
                header = node.begin(item, now)
                moved += 1
                if item.action in silent.get(item.peer, ()):
                    node.end(item, Attempt(None, fault="nobody there"), now)
                    continue
                arrival = Arrival(item.action, header, item.body, now)
                reply = at_once(to[item.peer].receive(arrival, self.registry))
                node.end(item, Attempt(hear(reply.status, reply.body), reply.status), now)
            moved += node.work(now)
            assert node.desk.take_faults() == []
        return moved

    def settle(self, now: float) -> None:
        for _ in range(40):
            if not self.carry(now):
                return
        raise AssertionError("it does not come to rest")

    async def go(self, now: float, seconds: float = 0.0, step: float = 5.0) -> float:
        """Turns and messages until nothing moves, every `step` seconds for so long; the moment after."""
        at = now
        while True:
            for _ in range(4):
                await self.agent.turn(at)
                self.settle(at)
            if at >= now + seconds:
                return at
            at += step

    def need(self, kw: float, slots: int = 2, budget: float = 100.0, goal: str = "price") -> str:
        wanted = of_operator(
            f"op:{kw}:{slots}", kw, FIRST, FIRST + slots * SLOT, budget, goal, SLOT
        )
        self.agent.add(wanted, T0)
        return wanted.key

    def lots(self, *states: str) -> list[Lot]:
        return [lot for lot in self.buyer.records.lots() if not states or lot.state in states]


def unavailable() -> Refusal:
    return Refusal(Code.BIZ_FULFILLMENT_UNAVAILABLE, "not today")
