"""What came: each message once, kept until it is handled and answered.

Law: a message is known by action, peer, message id and the digest of its bytes. The same again is the same
message (acknowledged again, handled once); the same id with other bytes is a duplicate id for a request, and
another message for a callback, which may come more than once. A signature used before on a message that is
done with is a replay. Source: beckn NFH-007 section 10, CON-013-12 and -15; row 5 of the rules in
docs/explanation/beckn.md says which of the two was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from flexlond.beckn.journal.database import Database

_COLUMNS = (
    "action, peer, peer_key, message_id, transaction_id, digest, signature, body, received,"
    " refusal, refusal_text, seq"
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as it came. `refusal` is the code to answer it with, where it may not go further."""

    action: str
    peer: str
    peer_key: str  # the id of the key that signed it
    message_id: str
    transaction_id: str
    digest: str
    signature: str  # base64, of its Authorization: the answer binds to it
    body: bytes
    received: float
    refusal: str = ""
    refusal_text: str = ""
    seq: int = 0


class Inbox:
    """The table of what came, and of signatures seen."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def is_known(
        self, message: Incoming, signature: bytes, *, is_request: bool, strict: bool = False
    ) -> bool:
        """Whether it is here already and is to be acknowledged again.

        Raises Refusal: AUT_REPLAY_DETECTED, CTX_MESSAGE_ID_DUPLICATE (`strict`: for any repetition).
        """
        found = self._db.rows(
            "SELECT digest, answered FROM inbox WHERE action=? AND peer=? AND message_id=?",
            message.action,
            message.peer,
            message.message_id,
        )
        seen = self._db.row("SELECT 1 FROM seen WHERE signature=?", signature) is not None
        same = [answered for digest, answered in found if digest == message.digest]
        if seen and (not same or same[0]):
            raise Refusal(
                Code.AUT_REPLAY_DETECTED, "this signature was used before; sign each request anew"
            )
        if (same and strict) or (found and not same and is_request):
            raise Refusal(
                Code.CTX_MESSAGE_ID_DUPLICATE,
                "this id was used before" + ("" if same else " for other content"),
                "$.context.messageId",
            )
        return bool(same)

    def remember(self, signature: bytes, until: float) -> None:
        """A signature used; it can be forgotten when it has expired by itself."""
        self._db.run("INSERT OR IGNORE INTO seen VALUES (?, ?)", signature, until)

    def add(self, message: Incoming, *, answered: bool) -> int:
        """A new message; `answered`: no callback is owed for it. Its number."""
        return self._db.insert(
            "INSERT INTO inbox (action, peer, peer_key, message_id, transaction_id, digest, signature,"
            " body, received, refusal, refusal_text, answered) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            message.action,
            message.peer,
            message.peer_key,
            message.message_id,
            message.transaction_id,
            message.digest,
            message.signature,
            message.body,
            message.received,
            message.refusal,
            message.refusal_text,
            int(answered),
        )

    def next_open(self) -> Incoming | None:
        """The oldest message that nobody has handled."""
        row = self._db.row(
            f"SELECT {_COLUMNS} FROM inbox WHERE handled=0 ORDER BY seq LIMIT 1"  # noqa: S608 - constants
        )
        return None if row is None else _incoming(row)

    def handled(self, seq: int, now: float) -> None:
        """It has been handled."""
        self._db.run("UPDATE inbox SET handled=? WHERE seq=?", now, seq)

    def put_aside(self, seq: int) -> None:
        """It is not handled until it is taken up again; others are meanwhile."""
        self._db.run("UPDATE inbox SET handled=-1 WHERE seq=?", seq)

    def take_up(self, transaction_id: str) -> int:
        """What was put aside of a transaction is open again; how many messages."""
        return self._db.run(
            "UPDATE inbox SET handled=0 WHERE handled<0 AND transaction_id=?", transaction_id
        )

    def answered(self, seq: int) -> None:
        """Its callback has arrived, or was given up."""
        self._db.run("UPDATE inbox SET answered=1 WHERE seq=?", seq)

    def of_transaction(self, transaction_id: str) -> list[Incoming]:
        """All messages of one transaction, oldest first."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM inbox WHERE transaction_id=? ORDER BY seq",  # noqa: S608 - constants
            transaction_id,
        )
        return [_incoming(row) for row in rows]

    def since(self, moment: float) -> list[Incoming]:
        """All that came since a moment, oldest first."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM inbox WHERE received>=? ORDER BY seq",  # noqa: S608 - constants
            moment,
        )
        return [_incoming(row) for row in rows]

    def forget_signatures(self, now: float) -> int:
        """Drop those that have expired by themselves; how many."""
        return self._db.run("DELETE FROM seen WHERE until < ?", now)


def _incoming(row: tuple[Any, ...]) -> Incoming:
    return Incoming(*row)
