"""What has been promised of what is for sale, slot by slot.

Law: in no slot do the promises that stand (firm ones, and reservations that have not run out) exceed the
capacity it is asked against; a reservation becomes firm only while it stands, in the transaction that
confirms the order. Watts are whole and positive; a slot is its start in epoch seconds (UTC); `until` 0 means
firm. Source: our own; BIZ_QUANTITY_UNAVAILABLE and BIZ_QUOTE_EXPIRED_OR_CHANGED of the protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.beckn.journal.database import Database


class Book:
    """The table of holds."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def promised(self, slot: int, now: float, *, but: str = "") -> int:
        """Watts promised in a slot to all transactions but one."""
        row = self._db.row(
            "SELECT coalesce(sum(watts), 0) FROM hold WHERE slot=? AND transaction_id<>?"
            " AND (until=0 OR until>?)",
            slot,
            but,
            now,
        )
        return int(row[0]) if row else 0

    def reserve(
        self,
        transaction_id: str,
        watts: Mapping[int, int],
        capacity: Mapping[int, int],
        now: float,
        until: float,
    ) -> None:
        """Hold watts until a moment (0: firmly), instead of what the transaction held before.

        Raises Refusal (BIZ_QUANTITY_UNAVAILABLE) naming the slot; then nothing changed.
        """
        with self._db.transaction():
            for slot, wanted in watts.items():
                left = capacity.get(slot, 0) - self.promised(slot, now, but=transaction_id)
                if wanted <= 0 or wanted > left:
                    raise Refusal(
                        Code.BIZ_QUANTITY_UNAVAILABLE,
                        f"{wanted / 1000:g} kW asked in the slot from {slot}, {max(left, 0) / 1000:g} kW left",
                    )
            self.release(transaction_id)
            for slot, wanted in watts.items():
                self._db.run(
                    "INSERT INTO hold VALUES (?, ?, ?, ?)", transaction_id, slot, wanted, until
                )

    def confirm(self, transaction_id: str, now: float) -> None:
        """Make a reservation firm. Raises Refusal (BIZ_QUOTE_EXPIRED_OR_CHANGED) where it ran out."""
        row = self._db.row(
            "SELECT count(*), sum(until>0 AND until<=?) FROM hold WHERE transaction_id=?",
            now,
            transaction_id,
        )
        if row is None or not row[0] or row[1]:
            raise Refusal(
                Code.BIZ_QUOTE_EXPIRED_OR_CHANGED, "the reservation has run out; select again"
            )
        self._db.run("UPDATE hold SET until=0 WHERE transaction_id=?", transaction_id)

    def restore(self, transaction_id: str, watts: Mapping[int, int]) -> None:
        """Hold firmly, uncounted, what a transaction held before: or a part of what it holds.

        For an update: both are held until it is known which one is in force.
        """
        with self._db.transaction():
            self.release(transaction_id)
            for slot, held in watts.items():
                self._db.run("INSERT INTO hold VALUES (?, ?, ?, 0)", transaction_id, slot, held)

    def release(self, transaction_id: str) -> None:
        """Give up whatever a transaction holds."""
        self._db.run("DELETE FROM hold WHERE transaction_id=?", transaction_id)

    def held(self, transaction_id: str) -> dict[int, int]:
        """Watts held by slot."""
        rows = self._db.rows(
            "SELECT slot, watts FROM hold WHERE transaction_id=? ORDER BY slot", transaction_id
        )
        return {int(slot): int(watts) for slot, watts in rows}
