"""What went over the wire, and what became of it: read from the three journals that only their owners write.

Law: read only. A message is counted where it arrived, once, with its bytes as they came. Orders are those of
the buyer's own table. A journal that is not there yet, or is being written, is read again later.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from demo_lib.market_town import JOURNALS
from demo_lib.report import iso

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it arrived."""

    at: float
    sender: str
    receiver: str
    action: str
    body: bytes

    @property
    def plain(self) -> dict[str, Any]:
        """The decoded message."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def words(self) -> str:
        """One line for people."""
        plain = self.plain
        error = plain.get("error") or {}
        said = f"{error['code']}: {error['message']}" if error else _gist(plain["message"])
        return f"{self.sender} to {self.receiver}: {self.action}{'  ' if said else ''}{said}"


def _gist(message: dict[str, Any]) -> str:
    for catalog in message.get("catalogs", ()):
        if not catalog["resources"]:  # a catalogue that takes an earlier one back
            return "nothing is for sale"
        table = catalog["resources"][0]["resourceAttributes"]
        kw, price = _column(table, "CAPACITY_OFFERED"), _column(table, "OFFER_PRICE")
        return f"up to {max(kw):.2f} kW in {len(kw)} slots, from {min(p for p in price if p):.3f} GBP/kWh"
    for result in message.get("results", ()):
        return str(result["status"])
    for rating in (*message.get("ratingInputs", ()), *message.get("ratings", ())):
        return f"{rating['range']['value']} of {rating['range']['max']}"
    contract = message.get("contract")
    if not contract:
        return ""
    status = contract.get("status", {}).get("code", "")
    table = contract["commitments"][0].get("commitmentAttributes")
    offered = f", {max(_column(table, 'CAPACITY_OFFERED')):.2f} kW" if table else ""
    codes = {
        part["status"]["code"] for part in contract.get("performance", ()) if part.get("status")
    }
    return f"{status}{offered}{', ' if codes else ''}{', '.join(sorted(codes))}"


def _column(table: dict[str, Any], name: str) -> list[float]:
    return [
        payload["values"][0]
        for row in table["intervals"]
        for payload in row["payloads"]
        if payload["type"] == name
    ]


@dataclass(frozen=True, slots=True)
class Order:
    """One order of the buyer; by the slot's first second."""

    seller: str
    state: str
    kw: dict[int, float]
    price: dict[int, float]
    delivered: dict[int, float]  # baseline less usage, as the seller told
    rating: int
    why: str


@dataclass(slots=True)
class Wire:
    """Follows the journals."""

    seen: dict[str, int] = field(default_factory=dict)  # the last message of each journal
    messages: list[Message] = field(default_factory=list)

    def news(self) -> list[Message]:
        """What arrived since the last call, in order of time."""
        found = []
        for receiver, path in JOURNALS.items():
            rows = _rows(
                path,
                "SELECT seq, received, peer, action, body FROM inbox WHERE seq>? ORDER BY seq",
                self.seen.get(receiver, 0),
            )
            for seq, at, sender, action, body in rows:
                self.seen[receiver] = seq
                found.append(Message(at, sender, receiver, action, bytes(body)))
        found.sort(key=lambda one: one.at)
        self.messages += found
        return found

    def write(self, folder: Path) -> None:
        """Each message as a file, numbered in order of arrival."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(sorted(self.messages, key=lambda one: one.at), 1):
            name = f"{number:03}_{one.action.replace('/', '_')}_{one.sender}_to_{one.receiver}.json"
            (folder / name).write_text(json.dumps(one.plain, indent=1) + "\n", encoding="utf-8")


def orders() -> list[Order]:
    """The buyer's orders, oldest first."""
    rows = _rows(
        JOURNALS["grid.demo"],
        "SELECT seller, state, kw, price, told, rating, why FROM lot ORDER BY created",
    )
    return [
        Order(
            seller,
            state,
            _slots(kw),
            _slots(price),
            {int(at): pair[0] - pair[1] for at, pair in json.loads(told).items()},
            rating,
            why,
        )
        for seller, state, kw, price, told, rating, why in rows
    ]


def as_data(order: Order) -> dict[str, Any]:
    """For JSON."""
    return {
        "seller": order.seller,
        "state": order.state,
        "rating": order.rating,
        "slots": [
            {
                "start": iso(at),
                "sold_kw": kw,
                "delivered_kw": order.delivered.get(at),
                "gbp_per_kwh": order.price[at],
            }
            for at, kw in sorted(order.kw.items())
        ],
    }


def _slots(text: str) -> dict[int, float]:
    return {int(at): value for at, value in json.loads(text).items()}


def _rows(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0)) as db:
            return [tuple(row) for row in db.execute(sql, values)]
    except sqlite3.Error:
        return []
