"""Two buyers and a seller over a network that loses, delays, duplicates and reorders, with restarts.

Whatever happens: no slot is sold beyond its capacity at any moment, and when the network heals every order
ends in the same terminal state on both sides, with every acknowledged request answered. FLEXLON_SEEDS sets
the number of histories (500 for the release; a few by default).
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flexlond.beckn.contract.table import LIVE, TERMINAL, State
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.journal.outbox import Attempt, Outgoing
from flexlond.beckn.node.arrivals import Arrival
from flexlond.beckn.node.node import TRY_SECONDS, Node
from flexlond.beckn.node.settings import Identity, NodeSettings
from flexlond.beckn.wire import acks
from tests.unit.beckn.kit import (
    BAP,
    BPP,
    ELSE,
    T0,
    Buyer,
    Fixed,
    Seller,
    at_once,
    contract,
    subscriber,
)

SETTINGS = NodeSettings(rate_per_second=1e9, burst=10**9)
PEER = subscriber(BPP)


class Client(Buyer):
    """A buyer that also changes its mind: previews, then commits."""

    def heard(self, message: Any, standing: Any, now: float) -> None:
        super().heard(message, standing, now)
        if not message.envelope.try_ or message.error or standing.state is not State.ACTIVE:
            return
        action = message.action.name.removeprefix("on_")
        assert self.node is not None
        self.node.ask(
            action,
            PEER,
            standing.transaction_id,
            {"contract": message.plain_contract},
            now,
            try_=False,
            request_digest=standing.preview_digest,
        )


@dataclass
class Packet:
    """One request on its way; `reply_to` is empty for a copy that the network made."""

    item: Outgoing
    header: str
    reply_to: str


class Market(RuleBasedStateMachine):
    """The histories."""

    @initialize()
    def open(self) -> None:
        self.now = T0
        self.registry = Fixed(BAP, BPP, ELSE)
        self.seller = Seller()
        self.clients = {BAP.id: Client(), ELSE.id: Client()}
        self.journals = {us.id: Journal(":memory:", us.role) for us in (BAP, ELSE, BPP)}
        self.seller.journal = self.journals[BPP.id]
        self.nodes: dict[str, Node] = {}
        for us in (BAP, ELSE, BPP):
            self._start(us)
        self.flying: list[Packet] = []
        self.waiting: dict[tuple[str, int], tuple[Outgoing, float]] = {}
        self.orders: dict[str, str] = {}
        for who in (BAP.id, ELSE.id):
            self.order(who=who, kw=[60])  # not both can have it

    def _start(self, us: Identity) -> None:
        business = self.seller if us is BPP else self.clients[us.id]
        self.nodes[us.id] = Node(us, SETTINGS, self.journals[us.id], business)
        if us is not BPP:
            self.clients[us.id].node = self.nodes[us.id]

    # ---- what people do

    @rule(
        who=st.sampled_from([BAP.id, ELSE.id]),
        kw=st.lists(st.integers(10, 90), min_size=1, max_size=3),
    )
    def order(self, who: str, kw: list[int]) -> None:
        if len(self.orders) >= 5:
            return
        txn = str(uuid.UUID(int=len(self.orders) + 1))
        self.orders[txn] = who
        body = {"contract": contract([float(one) for one in kw])}
        self.nodes[who].ask("select", PEER, txn, body, self.now)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), action=st.sampled_from(["cancel", "update"]), kw=st.integers(10, 90))
    def change(self, data: Any, action: str, kw: int) -> None:
        txn = data.draw(st.sampled_from(sorted(self.orders)))
        standing = self._of(self.orders[txn], txn)
        if standing.state is State.ACTIVE:
            body = contract([float(kw)]) if action == "update" else json.loads(standing.body)
            body["id"] = standing.contract_id
            node = self.nodes[self.orders[txn]]
            node.ask(action, PEER, txn, {"contract": body}, self.now, try_=True)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), action=st.sampled_from(["complete", "withdraw", "report"]))
    def seller_says(self, data: Any, action: str) -> None:
        txn = data.draw(st.sampled_from(sorted(self.orders)))
        standing = self.journals[BPP.id].contracts.get(txn)
        if standing is None or standing.state not in LIVE:
            return
        body = json.loads(standing.body)
        code = "COMPLETE" if action == "complete" else "ACTIVE"
        said = {"contract": {**body, "status": {"code": code}}}
        name = "on_cancel" if action == "withdraw" else "on_status"
        self.nodes[BPP.id].push(name, txn, said, self.now)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def poll(self, data: Any) -> None:
        txn = data.draw(st.sampled_from(sorted(self.orders)))
        self.nodes[self.orders[txn]].ask_again(PEER, self._of(self.orders[txn], txn), self.now)

    # ---- what machines do

    @rule(order=st.randoms(use_true_random=False), rounds=st.integers(1, 8))
    def go_on(self, order: Any, rounds: int) -> None:
        """All do what is to be done, and most of what is on its way arrives, in some order."""
        for _ in range(rounds):
            for who in self.nodes:
                self.work(who)
                self.send(who)
            for _ in range(order.randint(0, len(self.flying))):
                self._arrive(self.flying.pop(order.randrange(len(self.flying))))

    @precondition(lambda self: self.flying)
    @rule(order=st.randoms(use_true_random=False))
    def muddle(self, order: Any) -> None:
        """The network shuffles what it has, forgets some of it and copies some."""
        order.shuffle(self.flying)
        if order.random() < 0.5:
            self.flying.pop()
        copies = [Packet(p.item, p.header, "") for p in self.flying if order.random() < 0.4]
        self.flying += copies

    def work(self, who: str) -> None:
        self.nodes[who].work(self.now)

    def send(self, who: str) -> None:
        for item in self.nodes[who].due(self.now):
            if (who, item.seq) in self.waiting:
                continue
            header = self.nodes[who].begin(item, self.now)
            self.flying.append(Packet(item, header, who))
            self.waiting[who, item.seq] = (item, self.now + TRY_SECONDS)

    @rule(who=st.sampled_from([BAP, ELSE, BPP]))
    def restart(self, who: Identity) -> None:
        """Killed and started: what was in memory is gone, answers under way are not heard."""
        for key in [key for key in self.waiting if key[0] == who.id]:
            del self.waiting[key]
        self._start(who)

    @rule(seconds=st.sampled_from([1, 2, 3, 5, 6, 11, 31, 301]))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        for (who, seq), (item, at) in list(self.waiting.items()):
            if at <= self.now:
                self._over(who, seq, item, Attempt(None, fault="no answer"))
        for node in self.nodes.values():
            node.lapse(self.now)

    # ---- what the network does

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), answer_lost=st.booleans())
    def arrive(self, data: Any, answer_lost: bool) -> None:  # noqa: FBT001
        at = data.draw(st.integers(0, len(self.flying) - 1))
        self._arrive(self.flying.pop(at), answer_lost=answer_lost)

    def _arrive(self, packet: Packet, *, answer_lost: bool = False) -> None:
        item = packet.item
        arrival = Arrival(item.action, packet.header, item.body, self.now)
        reply = at_once(self.nodes[item.peer].receive(arrival, self.registry))
        who, key = packet.reply_to, (packet.reply_to, item.seq)
        if answer_lost or key not in self.waiting or self.waiting[key][0].tries != item.tries:
            return
        heard = acks.hear(reply.status, reply.body)
        self._over(who, item.seq, item, Attempt(heard, reply.status))

    def _over(self, who: str, seq: int, item: Outgoing, attempt: Attempt) -> None:
        del self.waiting[who, seq]
        self.nodes[who].end(item, attempt, self.now)

    # ---- what must hold

    def _of(self, who: str, txn: str) -> Any:
        standing = self.journals[who].contracts.get(txn)
        assert standing is not None
        return standing

    @invariant()
    def nothing_is_sold_twice(self) -> None:
        if not hasattr(self, "seller"):
            return
        book = self.journals[BPP.id].book
        for slot, most in self.seller.capacity.items():
            assert book.promised(slot, self.now) <= most
        firm: dict[int, int] = {}
        for standing in self.journals[BPP.id].contracts.all():
            held = book.held(standing.transaction_id)
            if standing.state in LIVE:
                assert held, "an order in force holds what it was sold"
                for slot, watts in held.items():
                    firm[slot] = firm.get(slot, 0) + watts
            if standing.is_ended:
                assert not held
        assert all(watts <= self.seller.capacity[slot] for slot, watts in firm.items())

    @invariant()
    def an_active_order_of_a_buyer_is_one_of_the_seller(self) -> None:
        for txn, who in getattr(self, "orders", {}).items():
            if self._of(who, txn).state in LIVE:
                seller = self._of(BPP.id, txn)
                assert seller.state in {*LIVE, *TERMINAL}

    def teardown(self) -> None:
        if not hasattr(self, "nodes"):
            return
        for completed in (False, True):
            for _ in range(40):
                self._heal()
            if completed:
                break
            for standing in self.journals[BPP.id].contracts.all():
                if standing.state in LIVE:
                    body = {**json.loads(standing.body), "status": {"code": "COMPLETE"}}
                    txn = standing.transaction_id
                    self.nodes[BPP.id].push("on_status", txn, {"contract": body}, self.now)
        self._judge()
        for journal in self.journals.values():
            journal.close()

    def _heal(self) -> None:
        """A minute on a network without fault."""
        self.wait(60)
        for who in self.nodes:
            self.work(who)
            self.send(who)
        while self.flying:
            self._arrive(self.flying.pop(0))
        for txn, who in self.orders.items():
            self.nodes[who].ask_again(PEER, self._of(who, txn), self.now)

    def _judge(self) -> None:
        seller = self.journals[BPP.id]
        for txn, who in self.orders.items():
            ours, theirs = self._of(who, txn), seller.contracts.get(txn)
            assert ours.state in TERMINAL, seller.contracts.history(txn)
            if theirs is None:  # it never heard of it
                assert ours.state is State.CANCELLED
            else:
                assert theirs.state is ours.state, seller.contracts.history(txn)
        for journal in self.journals.values():
            assert journal._db.row("SELECT 1 FROM inbox WHERE handled=0 OR answered=0") is None
            assert journal._db.row("SELECT 1 FROM outbox WHERE state='WAITING'") is None
        for node in self.nodes.values():
            assert not node.desk.faults


TestMarket = Market.TestCase
TestMarket.settings = settings(
    max_examples=int(os.environ.get("FLEXLON_SEEDS", "20")),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
