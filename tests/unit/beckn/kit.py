"""Two participants with real keys and real journals, and a market small enough to reason about."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flexlond.beckn.contract.table import State
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.journal.outbox import Attempt
from flexlond.beckn.node.arrivals import Arrival, Reply
from flexlond.beckn.node.desk import Answer
from flexlond.beckn.node.node import Node
from flexlond.beckn.node.settings import Identity, NodeSettings
from flexlond.beckn.trust.keys import SecretKey
from flexlond.beckn.trust.registry import Subscriber
from flexlond.beckn.trust.signature import Signer
from flexlond.beckn.wire import packs, series
from flexlond.beckn.wire.actions import ACTIONS, Role
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.journal.outbox import Outgoing
    from flexlond.beckn.wire.messages import Message

T0 = 1_800_000_000.0
SLOT = 1800
FIRST = 1_800_007_200  # the first slot for sale
SCHEMA = "https://schema.nfh.global/"

KEYS = {
    "bap.test": SecretKey.of_seed(b"\x01" * 32),
    "bpp.test": SecretKey.of_seed(b"\x02" * 32),
    "else.test": SecretKey.of_seed(b"\x03" * 32),
}


def identity(name: str, role: Role) -> Identity:
    return Identity(role, Signer(name, "k1", KEYS[name]), f"http://{name}:8080/beckn")


BAP = identity("bap.test", Role.BAP)
BPP = identity("bpp.test", Role.BPP)
ELSE = identity("else.test", Role.BAP)


def subscriber(us: Identity) -> Subscriber:
    return Subscriber(us.id, us.role, us.signer.key_id, us.signer.secret.public, us.uri)


class Fixed:
    """A registry in memory."""

    def __init__(self, *identities: Identity) -> None:
        self.found = {(one.id, "k1"): subscriber(one) for one in identities}
        self.asked = 0

    async def find(self, subscriber: str, key_id: str, now: float) -> Subscriber:
        self.asked += 1
        if (subscriber, key_id) in self.found:
            return self.found[subscriber, key_id]
        if any(name == subscriber for name, _ in self.found):
            raise Refusal(Code.AUT_KEY_NOT_FOUND, f"{subscriber} has no key {key_id}")
        raise Refusal(Code.AUT_SUBSCRIBER_NOT_FOUND, f"{subscriber} is not registered")

    def change(self, name: str, **fields: Any) -> None:
        self.found[name, "k1"] = replace(self.found[name, "k1"], **fields)


def at_once(waiting: Coroutine[Any, Any, Reply]) -> Reply:
    """The result of a coroutine that waits for nothing (the registry is in memory)."""
    try:
        waiting.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waited")


def moment(at: float) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def need(kw: list[float]) -> dict[str, Any]:
    columns = {"CAPACITY_REQUESTED": kw, "PRICE": [0.2] * len(kw)}
    return {
        "@context": f"{SCHEMA}DemandFlexNeed/v2.0/context.jsonld",
        "@type": "DemandFlexNeed",
    } | (grid(columns, "buyer"))


def grid(columns: Mapping[str, list[float]], who: str) -> dict[str, Any]:
    units = {"PRICE": "GBP_PER_KWH"}
    return {
        "intervalPeriod": {"start": moment(FIRST), "duration": "PT30M"},
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": name,
                "units": units.get(name, "KW"),
                "insertedBy": who,
            }
            for name in columns
        ],
        "intervals": [
            {
                "id": at,
                "payloads": [{"type": name, "values": [v[at]]} for name, v in columns.items()],
            }
            for at in range(len(next(iter(columns.values()))))
        ],
    }


def contract(kw: list[float], contract_id: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {
        "status": {"code": "DRAFT"},
        "commitments": [
            {
                "id": "c1",
                "status": {"descriptor": {"code": "DRAFT"}},
                "resources": [
                    {
                        "id": "cluster-flex",
                        "quantity": {"unitCode": "kW", "unitQuantity": max(kw)},
                        "resourceAttributes": need(kw),
                    }
                ],
                "offer": {"id": "offer-1", "resourceIds": ["cluster-flex"]},
                "commitmentAttributes": {
                    "@context": f"{SCHEMA}BecknTimeSeries/v1.0/context.jsonld",
                    "@type": "TimeSeries",
                }
                | grid({"CAPACITY_OFFERED": kw}, "seller"),
            }
        ],
        "participants": [{"id": "bap.test"}, {"id": "bpp.test"}],
    }
    return made | ({"id": contract_id} if contract_id else {})


def watts(message: Message) -> dict[int, int]:
    path = "$.message.contract.commitments[0].commitmentAttributes"
    found = packs.read(message.plain_contract["commitments"][0]["commitmentAttributes"], path)
    starts = [round(start) for start, _ in series.grid_of(found, path)]
    column = series.column(found, series.CAPACITY_OFFERED, path)
    return {at: round(kw * 1000) for at, kw in zip(starts, column, strict=True)}


class Seller:
    """A BPP with 100 kW to sell in each of four slots."""

    def __init__(self, capacity_kw: float = 100.0) -> None:
        self.capacity = {FIRST + n * SLOT: round(capacity_kw * 1000) for n in range(4)}
        self.journal: Journal | None = None
        self.calls: list[str] = []
        self.refuse: Refusal | None = None
        self.fault: Exception | None = None
        self.fault_at_end: Exception | None = None

    def answer(self, message: Message, standing: Standing, now: float) -> Answer:
        assert self.journal is not None
        self.calls.append(message.action.name)
        if self.fault:
            raise self.fault
        if self.refuse:
            raise self.refuse
        book, txn = self.journal.book, standing.transaction_id
        name = message.action.name
        if name == "discover":
            return Answer({"catalogs": []})
        if name == "rate":
            return Answer({"ratings": message.plain["message"]["ratingInputs"]})
        if name == "support":
            return Answer({"support": {"orderId": "x"}})
        if name == "track":
            return Answer(message.plain["message"])
        if name == "init":
            book.reserve(txn, watts(message), self.capacity, now, now + 300.0)
            return Answer({"contract": message.plain_contract}, deadline=now + 300.0)
        if name == "confirm":
            book.confirm(txn, now)
        if name == "update" and not message.envelope.try_:
            book.reserve(txn, watts(message), self.capacity, now, 0.0)
        if name == "status":
            return Answer(
                {"contract": json.loads(standing.body or b"null") or message.plain_contract}
            )
        return Answer({"contract": message.plain_contract})

    def heard(self, message: Message, standing: Standing, now: float) -> None:
        self.calls.append(message.action.name)

    def ended(self, standing: Standing, now: float) -> None:
        self.calls.append(f"ended {standing.state.value}")
        if self.fault_at_end:
            raise self.fault_at_end


class Buyer:
    """A BAP that goes from select to confirm by itself."""

    def __init__(self, *, goes_on: bool = True) -> None:
        self.node: Node | None = None
        self.seller = subscriber(BPP)
        self.goes_on = goes_on
        self.heard_: list[str] = []
        self.errors: list[str] = []

    def answer(self, message: Message, standing: Standing, now: float) -> Answer:
        raise Refusal(Code.NET_NOT_IMPLEMENTED, "a buyer answers nothing")

    def heard(self, message: Message, standing: Standing, now: float) -> None:
        self.heard_.append(message.action.name)
        if message.error is not None:
            self.errors.append(message.error.code)
        if not self.goes_on or self.node is None or message.error is not None:
            return
        ask = {State.SELECTED: "init", State.INITIALISED: "confirm"}.get(standing.state)
        if ask and message.action.name in {"on_select", "on_init"}:
            body = {"contract": message.plain_contract}
            self.node.ask(ask, self.seller, standing.transaction_id, body, now)

    def ended(self, standing: Standing, now: float) -> None:
        self.heard_.append(f"ended {standing.state.value}")


class Pair:
    """A buyer's and a seller's node, each with its journal; bytes are carried by hand."""

    def __init__(
        self,
        folder: Path | None = None,
        settings: NodeSettings | None = None,
        *,
        goes_on: bool = True,
        names: tuple[str, str] = ("bap", "bpp"),
    ) -> None:
        self.folder = folder
        self.names = names
        self.settings = settings or NodeSettings(rate_per_second=1e6, burst=10**9)
        self.registry = Fixed(BAP, BPP, ELSE)
        self.seller, self.buyer = Seller(), Buyer(goes_on=goes_on)
        self.open()

    def open(self) -> None:
        """Make both nodes anew from their files, as after a restart."""
        paths = [self.folder / f"{n}.db" if self.folder else ":memory:" for n in self.names]
        bap, bpp = Journal(paths[0], Role.BAP), Journal(paths[1], Role.BPP)
        self.bap = Node(BAP, self.settings, bap, self.buyer)
        self.bpp = Node(BPP, self.settings, bpp, self.seller)
        self.buyer.node, self.seller.journal = self.bap, bpp

    def close(self) -> None:
        self.bap.journal.close()
        self.bpp.journal.close()

    def to(self, name: str) -> Node:
        return self.bap if name == BAP.id else self.bpp

    def give(self, to: Node, path: str, header: str, body: bytes, now: float) -> Reply:
        return at_once(to.receive(Arrival(path, header, body, now), self.registry))

    def settle(self, now: float, rounds: int = 30) -> None:
        """Deliver everything at once over a perfect network, and work, until nothing is left to do."""
        from flexlond.beckn.journal.outbox import Attempt  # noqa: PLC0415
        from flexlond.beckn.wire.acks import hear  # noqa: PLC0415

        for _ in range(rounds):
            moved = 0
            for node in (self.bap, self.bpp):
                for item in node.due(now):
                    header = node.begin(item, now)
                    reply = self.give(self.to(item.peer), item.action, header, item.body, now)
                    attempt = Attempt(hear(reply.status, reply.body), reply.status)
                    node.end(item, attempt, now)
                    moved += 1
                moved += node.work(now)
            if not moved:
                return

    def order(self, now: float = T0, kw: list[float] | None = None) -> str:
        """Start an order of the buyer; its transaction id."""
        txn = str(uuid.uuid4())
        body = {"contract": contract(kw or [40.0, 30.0])}
        self.bap.ask("select", subscriber(BPP), txn, body, now)
        return txn

    def states(self, txn: str) -> tuple[str, str]:
        found = [node.journal.contracts.get(txn) for node in (self.bap, self.bpp)]
        bap, bpp = (one.state.value if one else "-" for one in found)
        return bap, bpp


def dumped(db: Journal) -> list[Any]:
    """Everything a journal holds, to compare before and after."""
    inner = db._db
    tables = ("inbox", "outbox", "sent", "seen", "contract", "history", "hold")
    return [inner.rows(f"SELECT * FROM {table}") for table in tables]  # noqa: S608 - constants


def sample(action: str) -> dict[str, Any]:
    """A valid message of an action."""
    contract_id = str(uuid.UUID(int=7))
    plain: dict[str, Any] = {"contract": contract([40.0, 30.0], contract_id)}
    if action == "on_status":
        plain["contract"]["status"] = {"code": "ACTIVE"}
    provider = {"id": "p", "descriptor": {"name": "Site"}}
    catalog = {"id": "c", "descriptor": {"name": "C"}, "provider": provider, "resources": []}
    rating = {"target": {"id": "x"}, "range": {"min": 1, "max": 5, "value": 4}}
    tracking = {"url": "https://bpp.test/track", "status": "ACTIVE"}
    return {
        "discover": {"intent": {"textSearch": "flex"}},
        "on_discover": {"catalogs": [catalog]},
        "catalog/publish": {"catalogs": [catalog]},
        "catalog/on_publish": {"results": [{"catalogId": "c", "status": "ACCEPTED"}]},
        "rate": {"ratingInputs": [rating]},
        "on_rate": {"ratings": [rating]},
        "support": {"support": {"orderId": contract_id}},
        "on_support": {"support": {"orderId": contract_id}},
        "track": {"tracking": tracking},
        "on_track": {"tracking": tracking},
    }.get(action, plain)


def whole(action: str, now: float = T0, **context: Any) -> dict[str, Any]:
    """A message with a valid context; keys of `context` replace or (None) remove."""
    made: dict[str, Any] = {
        "action": action,
        "version": "2.0.0",
        "bapId": BAP.id,
        "bapUri": BAP.uri,
        "bppId": BPP.id,
        "bppUri": BPP.uri,
        "transactionId": str(uuid.UUID(int=42)),
        "messageId": str(uuid.uuid4()),
        "timestamp": moment(now),
        "ttl": "PT30S",
    }
    made |= context
    return {
        "context": {key: value for key, value in made.items() if value is not None},
        "message": sample(action),
    }


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) within a value."""
    found = []
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += places(value[key])
    return found


ODD: list[Any] = [
    None,
    True,
    0,
    -1.5,
    1e308,
    10**30,
    "",
    "x",
    "9999-12-31T23:59:59+00:00",
    "0001-01-01T00:00:00+14:00",
    [],
    [[]],
    {},
    {"a": 1},
    ["i"],
]


def raw(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def sender_of(action: str) -> Identity:
    return BAP if ACTIONS[action].sender is Role.BAP else BPP


def active(pair: Pair, kw: list[float] | None = None) -> str:
    txn = pair.order(kw=kw)
    pair.settle(T0)
    assert pair.states(txn) == ("ACTIVE", "ACTIVE")
    return txn


def item_of(node: Node, action: str) -> Outgoing:
    found = [one for one in node.journal.outbox.due(1e12) if one.action == action]
    assert len(found) == 1
    return found[0]


def answered(pair: Pair, action: str, txn: str, body: Any = None, **more: Any) -> dict[str, Any]:
    """Ask as the buyer; the callback's whole message."""
    standing = pair.bap.journal.contracts.get(txn)
    assert standing is not None
    message = body or {"contract": {**json.loads(standing.body), "id": standing.contract_id}}
    asked = pair.bap.ask(action, subscriber(BPP), txn, message, T0 + 1, **more)
    pair.settle(T0 + 1)
    sent = pair.bpp.journal.outbox.of_transaction(txn)[-1]
    assert (sent.action, sent.message_id) == (ACTIONS[action].answer, asked)
    return json.loads(sent.body)  # type: ignore[no-any-return]


def silent(pair: Pair, node: Node, item: Outgoing, now: float, **attempt: Any) -> str:
    node.begin(item, now)
    return node.end(item, Attempt(None, fault="no answer", **attempt), now)
