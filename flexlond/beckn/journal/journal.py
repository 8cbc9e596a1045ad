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

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""
        return self._db.transaction()

    def close(self) -> None:
        """Close the file."""
        self._db.close()
