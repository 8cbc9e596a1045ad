"""What was sold: one row an order, in the journal's own file.

Law: a row changes in the transaction of the message that changes it, so after a kill journal and sales agree.
From SOLD on the promise is carried out by the keeper, idempotently by its key; nothing goes back. Watts are
whole by slot, prices GBP per kWh, epoch seconds. Source: our own.

QUOTED (init) -> PENDING (confirm, a person decides) -> SOLD (to be put into force) -> KEPT -> OVER
                                   PENDING, SOLD -> REFUSED; KEPT -> RELEASING -> RELEASED
A bid begins QUOTED with its select, is PENDING before its confirm and SOLD with the answer to it. What was won
and cannot be kept is BREAKING until the other party has agreed to the cancel: then REFUSED, or OVER without.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Any

from flexlond.agents.market.works import Promise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.beckn.journal.database import Database

_SCHEMA = """CREATE TABLE IF NOT EXISTS sale (
  transaction_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, peer TEXT NOT NULL, state TEXT NOT NULL,
  slot_seconds INTEGER NOT NULL, watts TEXT NOT NULL, price TEXT NOT NULL, notice REAL NOT NULL,
  revision INTEGER NOT NULL, before TEXT NOT NULL, name TEXT NOT NULL, why TEXT NOT NULL,
  created REAL NOT NULL, until REAL NOT NULL, said TEXT NOT NULL, rows TEXT NOT NULL,
  rating REAL NOT NULL, asked TEXT NOT NULL
) STRICT, WITHOUT ROWID"""
_COLUMNS = (
    "transaction_id, order_id, peer, state, slot_seconds, watts, price, notice, revision, before, name,"
    " why, created, until, said, rows, rating, asked"
)


@unique
class SaleState(StrEnum):
    """Where a sale is."""

    QUOTED = "quoted"
    PENDING = "pending"
    SOLD = "sold"
    KEPT = "kept"
    BREAKING = "breaking"
    REFUSED = "refused"
    RELEASING = "releasing"
    RELEASED = "released"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Row:
    """What was told of a slot that is over."""

    baseline_kw: float
    usage_kw: float
    source: str
    final: bool = True  # else more of it may yet be proved


@dataclass(frozen=True, slots=True)
class Sale:
    """One order."""

    transaction_id: str
    order_id: str
    peer: str
    slot_seconds: int
    watts: Mapping[int, int]
    price: Mapping[int, float]
    notice: float  # seconds before its first slot; a cancel that comes later is inside it
    created: float
    state: SaleState = SaleState.QUOTED
    revision: int = 0  # an update is another promise in place of the one before
    before: Mapping[int, int] = field(
        default_factory=dict
    )  # what an update would take the place of
    name: str = ""  # of what keeps it, for people
    why: str = ""
    until: float = 0.0  # of PENDING and SOLD: then it is refused
    said: str = ""  # the forecast that was pushed last
    rows: Mapping[int, Row] = field(default_factory=dict)
    rating: float = 0.0
    asked: str = ""  # the message id of the update that is under way or was the last

    @property
    def start(self) -> int:
        """Its first second."""
        return min(self.watts)

    @property
    def end(self) -> int:
        """The second after its last slot."""
        return max(self.watts) + self.slot_seconds

    @property
    def key(self) -> str:
        """What names its promise."""
        return _key(self.order_id, self.revision)

    @property
    def promise(self) -> Promise:
        """What is to be kept."""
        replaces = _key(self.order_id, self.revision - 1) if self.before else ""
        return Promise(self.key, self.slot_seconds, self.watts, replaces)

    @property
    def gbp(self) -> float:
        """What it brings when all of it is delivered."""
        hours = self.slot_seconds / 3600.0
        return sum(w / 1000.0 * self.price[at] for at, w in self.watts.items()) * hours


class Sales:
    """The table."""

    def __init__(self, db: Database) -> None:
        self._db = db
        db.run(_SCHEMA)

    def get(self, transaction_id: str) -> Sale | None:
        """One sale."""
        found = self._select("transaction_id=?", transaction_id)
        return found[0] if found else None

    def of_order(self, order_id: str) -> Sale | None:
        """By the order's id."""
        found = self._select("order_id=?", order_id)
        return found[0] if found else None

    def all(self) -> list[Sale]:
        """Every sale, oldest first."""
        return self._select("1 ORDER BY created")

    def of(self, *states: SaleState) -> list[Sale]:
        """Those in one of the states, oldest first."""
        marks = ",".join("?" * len(states))
        return self._select(f"state IN ({marks}) ORDER BY created", *(one.value for one in states))

    def drop(self, transaction_id: str) -> None:
        """A quote that nobody took."""
        self._db.run("DELETE FROM sale WHERE transaction_id=?", transaction_id)

    def move(self, sale: Sale, state: SaleState, **changes: Any) -> Sale:
        """Save it in another state."""
        moved = replace(sale, state=state, **changes)
        self.save(moved)
        return moved

    def save(self, sale: Sale) -> None:
        """Insert or replace."""
        self._db.run(
            f"INSERT OR REPLACE INTO sale ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constants
            sale.transaction_id,
            sale.order_id,
            sale.peer,
            sale.state.value,
            sale.slot_seconds,
            _dump(sale.watts),
            _dump(sale.price),
            sale.notice,
            sale.revision,
            _dump(sale.before),
            sale.name,
            sale.why[:400],
            sale.created,
            sale.until,
            sale.said,
            _dump(
                {
                    at: [one.baseline_kw, one.usage_kw, one.source, one.final]
                    for at, one in sale.rows.items()
                }
            ),
            sale.rating,
            sale.asked,
        )

    def _select(self, where: str, *values: object) -> list[Sale]:
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM sale WHERE {where}", *values)  # noqa: S608 - constants
        return [_sale(row) for row in rows]


def _sale(row: tuple[Any, ...]) -> Sale:
    return Sale(
        transaction_id=row[0],
        order_id=row[1],
        peer=row[2],
        state=SaleState(row[3]),
        slot_seconds=row[4],
        watts=_load(row[5]),
        price=_load(row[6]),
        notice=row[7],
        revision=row[8],
        before=_load(row[9]),
        name=row[10],
        why=row[11],
        created=row[12],
        until=row[13],
        said=row[14],
        rows={at: Row(*one) for at, one in _load(row[15]).items()},
        rating=row[16],
        asked=row[17],
    )


def _key(order_id: str, revision: int) -> str:
    return f"{order_id}.{revision}" if revision else order_id


def _dump(values: Mapping[int, Any]) -> str:
    return json.dumps({str(at): values[at] for at in sorted(values)})


def _load(text: str) -> dict[int, Any]:
    return {int(at): value for at, value in json.loads(text).items()}
