"""What a bidder remembers of its bids besides the order: into which need, on which terms.

Law: as sales.py, beside which it stands in the journal's own file: a row changes in the transaction of the
message that changes it. GBP per kWh, epoch seconds. Source: our own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.beckn.journal.database import Database

_SCHEMA = """CREATE TABLE IF NOT EXISTS bid (
  transaction_id TEXT PRIMARY KEY, grid TEXT NOT NULL, name TEXT NOT NULL, need_start INTEGER NOT NULL,
  need_slots INTEGER NOT NULL, penalty TEXT NOT NULL, at REAL NOT NULL
) STRICT, WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One bid."""

    transaction_id: str
    grid: str
    name: str  # of offer and need, as the shelf has it
    need_start: int
    need_slots: int
    penalty: Mapping[int, float]  # by slot of the need
    at: float  # when it was made, won, or lost


class Entries:
    """The table."""

    def __init__(self, db: Database) -> None:
        self._db = db
        db.run(_SCHEMA)

    def get(self, transaction_id: str) -> Entry | None:
        """One bid."""
        row = self._db.row("SELECT * FROM bid WHERE transaction_id=?", transaction_id)
        return None if row is None else _entry(row)

    def of_need(self, grid: str, name: str) -> list[Entry]:
        """All bids into one need, the oldest first."""
        rows = self._db.rows("SELECT * FROM bid WHERE grid=? AND name=? ORDER BY at", grid, name)
        return [_entry(row) for row in rows]

    def save(self, entry: Entry) -> None:
        """Insert or replace."""
        self._db.run(
            "INSERT OR REPLACE INTO bid VALUES (?,?,?,?,?,?,?)",
            entry.transaction_id,
            entry.grid,
            entry.name,
            entry.need_start,
            entry.need_slots,
            json.dumps({str(at): value for at, value in entry.penalty.items()}),
            entry.at,
        )

    def drop(self, transaction_id: str) -> None:
        """Forget one."""
        self._db.run("DELETE FROM bid WHERE transaction_id=?", transaction_id)


def _entry(row: tuple[Any, ...]) -> Entry:
    txn, grid, name, start, slots, penalty, at = row
    return Entry(txn, grid, name, start, slots, _load(penalty), at)


def _load(text: str) -> dict[int, float]:
    return {int(at): float(value) for at, value in json.loads(text).items()}
