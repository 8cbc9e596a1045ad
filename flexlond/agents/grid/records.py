"""What a buyer remembers: needs, and the lots bought for them, in the journal's own file.

Law: every change is made within the journal's transaction, together with the message that it belongs to, so
a restart finds lots and contracts as one. A lot is one contract: it covers its need from the request on until
it is lost; a lot that is in doubt (a confirm without an answer) is paid for in the budget and covers nothing.
kW, GBP per kWh, GBP; epoch seconds. Source: our own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flexlond.agents.grid.needs import Wanted

if TYPE_CHECKING:
    from flexlond.beckn.journal.database import Database

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS need (
  key TEXT PRIMARY KEY, source TEXT NOT NULL, words TEXT NOT NULL, start INTEGER NOT NULL,
  slot_seconds INTEGER NOT NULL, kw TEXT NOT NULL, budget REAL, goal TEXT NOT NULL, created REAL NOT NULL,
  state TEXT NOT NULL, note TEXT NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS lot (
  transaction_id TEXT PRIMARY KEY, need TEXT NOT NULL, seller TEXT NOT NULL, resource TEXT NOT NULL,
  offer TEXT NOT NULL, slot_seconds INTEGER NOT NULL, kw TEXT NOT NULL, price TEXT NOT NULL,
  created REAL NOT NULL, state TEXT NOT NULL, at REAL NOT NULL, why TEXT NOT NULL, told TEXT NOT NULL,
  foreseen TEXT NOT NULL, rating INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS lot_need ON lot (need)",
)
_LOT = (
    "transaction_id, need, seller, resource, offer, slot_seconds, kw, price, created, state, at, why,"
    " told, foreseen, rating"
)


class NeedState(StrEnum):
    """Where a need is."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"  # its slots are over and every lot has ended


class LotState(StrEnum):
    """Where a lot is."""

    ASKED = "ASKED"  # between select and the answer to confirm
    DOUBTFUL = "DOUBTFUL"  # the seller has not answered the confirm
    ORDERED = "ORDERED"
    LOST = "LOST"  # refused, silent, cancelled
    DONE = "DONE"  # complete


# Why an order that stands is not counted with any more.
UNTOLD = "the seller tells nothing of what it delivers"
UNREACHABLE = "the seller does not answer"

SHORT = 0.05  # share of a lot: a forecast that is off by less is no shortfall
COVERING = frozenset({LotState.ASKED, LotState.ORDERED, LotState.DONE})
LIVE = frozenset({LotState.ASKED, LotState.DOUBTFUL, LotState.ORDERED})


@dataclass(frozen=True, slots=True)
class Need:
    """A need and what became of it."""

    wanted: Wanted
    created: float
    state: NeedState = NeedState.OPEN
    note: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What a seller said of one slot: the power without the order, and as metered; kW."""

    baseline: float
    usage: float

    @property
    def delivered(self) -> float:
        """The reduction; negative where more was drawn."""
        return self.baseline - self.usage


@dataclass(frozen=True, slots=True)
class Lot:
    """What is bought of one seller in one contract."""

    transaction_id: str
    need: str
    seller: str
    resource: str
    offer: str
    slot_seconds: int
    kw: dict[int, float]  # by the slot's start
    price: dict[int, float]
    created: float
    state: LotState = LotState.ASKED
    at: float = 0.0  # when it came into this state, or was asked about last
    why: str = ""
    told: dict[int, Told] = field(default_factory=dict)
    foreseen: dict[int, float] = field(
        default_factory=dict
    )  # kW that the seller now expects to give
    rating: int = 0

    @property
    def end(self) -> int:
        """The end of its last slot."""
        return max(self.kw) + self.slot_seconds

    @property
    def cost_gbp(self) -> float:
        """All its kWh at their prices."""
        hours = self.slot_seconds / 3600.0
        return sum(kw * self.price[at] for at, kw in self.kw.items()) * hours

    def covers(self, at: int) -> float:
        """KW that it is counted with in a slot: what the seller expects to give, where it says less."""
        if self.state not in COVERING or at not in self.kw:
            return 0.0
        return min(self.kw[at], self.foreseen.get(at, self.kw[at]))

    @property
    def share(self) -> float:
        """The share of the kWh bought that was delivered, 0 to 1; what was not told was not delivered."""
        bought = sum(self.kw.values())
        given = sum(
            min(kw, max(0.0, self.told[at].delivered))
            for at, kw in self.kw.items()
            if at in self.told
        )
        return given / bought if bought else 0.0


class Records:
    """The tables of one buyer."""

    def __init__(self, db: Database) -> None:
        self._db = db
        for statement in _SCHEMA:
            db.run(statement)

    def add_need(self, wanted: Wanted, now: float) -> bool:
        """A new need; False where its key is known."""
        budget = None if wanted.budget_gbp == float("inf") else wanted.budget_gbp
        return bool(
            self._db.run(
                "INSERT OR IGNORE INTO need VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                wanted.key,
                wanted.source,
                wanted.words,
                wanted.start,
                wanted.slot_seconds,
                json.dumps(wanted.kw),
                budget,
                wanted.goal,
                now,
                NeedState.OPEN.value,
                "",
            )
        )

    def needs(self, state: NeedState | None = None) -> list[Need]:
        """All, or those in one state; the earliest first."""
        where, values = ("state=?", (state.value,)) if state else ("1", ())
        rows = self._db.rows(f"SELECT * FROM need WHERE {where} ORDER BY start, key", *values)  # noqa: S608 - constants
        return [_need(row) for row in rows]

    def note(self, key: str, note: str, state: NeedState = NeedState.OPEN) -> None:
        """What is to be said of a need, and where it is."""
        self._db.run("UPDATE need SET note=?, state=? WHERE key=?", note[:400], state.value, key)

    def want(self, key: str, kw: tuple[float, ...], note: str) -> None:
        """Change what is wanted; all zero withdraws a need: what was bought for it becomes surplus."""
        self._db.run("UPDATE need SET kw=?, note=? WHERE key=?", json.dumps(kw), note[:400], key)

    def lot(self, transaction_id: str) -> Lot | None:
        """One lot."""
        found = self._lots("transaction_id=?", transaction_id)
        return found[0] if found else None

    def lots(self, need: str = "") -> list[Lot]:
        """All lots, or those of one need; the oldest first."""
        return (
            self._lots("need=? ORDER BY created", need)
            if need
            else self._lots("1 ORDER BY created")
        )

    def live(self) -> list[Lot]:
        """Those that have not ended."""
        names = ",".join(f"'{state.value}'" for state in LIVE)
        return self._lots(f"state IN ({names}) ORDER BY created")

    def save(self, lot: Lot) -> None:
        """Insert or replace."""
        self._db.run(
            f"INSERT OR REPLACE INTO lot ({_LOT}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constants
            lot.transaction_id,
            lot.need,
            lot.seller,
            lot.resource,
            lot.offer,
            lot.slot_seconds,
            json.dumps(lot.kw),
            json.dumps(lot.price),
            lot.created,
            lot.state.value,
            lot.at,
            lot.why[:400],
            json.dumps({at: (one.baseline, one.usage) for at, one in lot.told.items()}),
            json.dumps(lot.foreseen),
            lot.rating,
        )

    def move(self, lot: Lot, state: LotState, now: float, why: str = "") -> Lot:
        """Bring a lot into a state."""
        moved = replace(lot, state=state, at=now, why=why)
        self.save(moved)
        return moved

    def _lots(self, where: str, *values: Any) -> list[Lot]:
        rows = self._db.rows(f"SELECT {_LOT} FROM lot WHERE {where}", *values)  # noqa: S608 - constants
        return [_lot(row) for row in rows]


def _need(row: tuple[Any, ...]) -> Need:
    key, source, words, start, seconds, kw, budget, goal, created, state, note = row
    amount = float("inf") if budget is None else budget
    wanted = Wanted(key, source, words, start, seconds, tuple(json.loads(kw)), amount, goal)
    return Need(wanted, created, NeedState(state), note)


def _by_slot(text: str) -> dict[int, Any]:
    return {int(at): value for at, value in json.loads(text).items()}


def _lot(row: tuple[Any, ...]) -> Lot:
    txn, need, seller, resource, offer, seconds, kw, price, created, state, at, why, *rest = row
    told, foreseen, rating = rest
    return Lot(
        txn,
        need,
        seller,
        resource,
        offer,
        seconds,
        _by_slot(kw),
        _by_slot(price),
        created,
        LotState(state),
        at,
        why,
        {slot: Told(*pair) for slot, pair in _by_slot(told).items()},
        _by_slot(foreseen),
        rating,
    )
