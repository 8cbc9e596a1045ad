"""Statements as they were issued: kept as versions, so that one that somebody holds can be told from another.

Law: a statement is kept as the text it was handed out as, and its digest is of that text. Made again and equal
to the newest version of its month it adds none; a different one is the next version and the earlier stay.
Epoch seconds (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from flexlond.settlement.record import digest, to_json
from flexlond.settlement.statement import Statement

if TYPE_CHECKING:
    from flexlond.settlement.store import SettlementStore


@dataclass(frozen=True, slots=True)
class Issued:
    """A version of a month's statement."""

    month: str
    version: int
    digest: str  # of `text`, as `record.digest` makes it
    text: str  # JSON, as `flexlonctl statement --json` prints it
    made: int
    new: bool = False  # whether this call added it

    @property
    def statement(self) -> Statement:
        """What it says."""
        return msgspec.json.decode(self.text, type=Statement)


def issue(store: SettlementStore, made: Statement, now: int) -> Issued:
    """Keep a statement, unless the newest version of its month is the same. Raises SettlementStoreError."""
    text = to_json(made)
    mark = digest([text])
    with store.db.transaction():
        found = store.db.row(
            "SELECT version, digest, body, made FROM statement WHERE month=?"
            " ORDER BY version DESC LIMIT 1",
            made.month,
        )
        if found is not None and found[1] == mark:
            return Issued(made.month, *found)
        version = 1 if found is None else found[0] + 1
        store.db.insert("statement", [(made.month, version, mark, text, now)])
    return Issued(made.month, version, mark, text, now, new=True)


def issued_since(store: SettlementStore, made: int) -> list[Issued]:
    """The statements that were made at or after a moment, in their order."""
    rows = store.db.rows(
        "SELECT month, version, digest, body, made FROM statement WHERE made>=?"
        " ORDER BY made, month, version",
        made,
    )
    return [Issued(*row) for row in rows]


def issued(store: SettlementStore, month: str, version: int) -> Issued | None:
    """One version of a month's statement, or None."""
    row = store.db.row(
        "SELECT month, version, digest, body, made FROM statement WHERE month=? AND version=?",
        month,
        version,
    )
    return None if row is None else Issued(*row)
