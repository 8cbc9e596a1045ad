"""The journal: the parts of one file, together.

Law: `transaction` spans all of them, so a message, the state it moves and the answer it causes are durable
together or not at all. Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.beckn.journal.book import Book
from flexlond.beckn.journal.contracts import Contracts
from flexlond.beckn.journal.database import Database
from flexlond.beckn.journal.inbox import Inbox
from flexlond.beckn.journal.outbox import Outbox

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from flexlond.beckn.wire.actions import Role


class Journal:
    """Everything that one identity remembers."""

    def __init__(self, path: Path | str, us: Role) -> None:
        """Open or create `path`. Raises JournalError."""
        self._db = Database(path)
        self.inbox = Inbox(self._db)
        self.outbox = Outbox(self._db)
        self.contracts = Contracts(self._db, us)
        self.book = Book(self._db)

    @property
    def database(self) -> Database:
        """The file, for tables of an agent's own that change together with the rest."""
        return self._db

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""
        return self._db.transaction()

    def prune(self, before: float) -> int:
        """Forget transactions that ended, or never became one, before a moment; how many messages went.

        What still waits to be handled, answered or sent stays, whatever its age.
        """
        old = (
            "transaction_id NOT IN (SELECT transaction_id FROM contract"
            " WHERE state NOT IN ('COMPLETE', 'CANCELLED') OR since>=?)"
        )
        with self._db.transaction():
            gone = self._db.run(
                f"DELETE FROM inbox WHERE received<? AND handled>0 AND answered=1 AND {old}",  # noqa: S608 - constants
                before,
                before,
            )
            gone += self._db.run(
                f"DELETE FROM outbox WHERE created<? AND state<>'WAITING' AND {old}",  # noqa: S608 - constants
                before,
                before,
            )
            self._db.run("DELETE FROM sent WHERE message_id NOT IN (SELECT message_id FROM outbox)")
            for table in ("history", "contract"):
                self._db.run(
                    f"DELETE FROM {table} WHERE {old} AND transaction_id NOT IN"  # noqa: S608 - constants
                    " (SELECT transaction_id FROM inbox UNION SELECT transaction_id FROM outbox)",
                    before,
                )
        return gone

    def close(self) -> None:
        """Close the file."""
        self._db.close()
