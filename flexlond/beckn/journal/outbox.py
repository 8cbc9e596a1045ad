"""What goes out: written before anything is promised, tried until it arrives or is given up on the record.

Law: an item's bytes never change; each try is signed anew and its signature remembered, so that an answer to
any of them is known. Tries: TRIES at most, FIRST seconds after the first and twice as long after each, LAST
at most, never sooner than the peer's Retry-After; nothing is sent that has expired. Giving up is an outcome
with a code, not silence. Times are epoch seconds. Source: DeliveryPolicy of Beckn 2.0.0 LTS, CON-008-18.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.beckn.wire.codes import RETRYABLE, Code

if TYPE_CHECKING:
    from collections.abc import Collection

    from flexlond.beckn.journal.database import Database
    from flexlond.beckn.wire.acks import Heard

TRIES = 5
FIRST = 5.0
LAST = 300.0
LONGEST_RETRY_AFTER = 3600.0

_COLUMNS = (
    "action, peer, peer_key, message_id, transaction_id, body, digest, answers, answered, created,"
    " expires, tries, next_at, state, outcome, proof, seq"
)
_RETRYABLE = frozenset(code.value for code in RETRYABLE)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to `peer`. `answers` is the inbox number and `answered` the signature that it answers."""

    action: str
    peer: str
    peer_key: str  # names its entry in the registry, together with `peer`
    message_id: str
    transaction_id: str
    body: bytes
    digest: str
    answers: int
    answered: str
    created: float
    expires: float
    tries: int = 0
    next_at: float = 0.0
    state: str = "WAITING"  # DONE, FAILED
    outcome: str = ""  # of the last try: empty for an acknowledgement, else a code and words
    proof: str = ""  # of the peer's answer: signed, unsigned, bad
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one try. `heard` is None where nothing came back."""

    heard: Heard | None
    status: int = 0
    retry_after: float = 0.0
    proof: str = ""
    fault: str = ""  # why nothing came back


class Outbox:
    """The table of what goes out."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, item: Outgoing) -> int:
        """A new item, due at once. Its number."""
        return self._db.insert(
            "INSERT INTO outbox (action, peer, peer_key, message_id, transaction_id, body, digest,"
            " answers, answered, created, expires, next_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            item.action,
            item.peer,
            item.peer_key,
            item.message_id,
            item.transaction_id,
            item.body,
            item.digest,
            item.answers,
            item.answered,
            item.created,
            item.expires,
            item.created,
        )

    def due(self, now: float, busy: Collection[str] = (), limit: int = 32) -> list[Outgoing]:
        """Those whose time has come, oldest due first; none to a peer that is `busy`."""
        marks = ",".join("?" * len(busy))
        return self._select(
            f"state='WAITING' AND next_at<=? AND peer NOT IN ({marks}) ORDER BY next_at, seq LIMIT ?",
            now,
            *busy,
            limit,
        )

    def next_at(self) -> float | None:
        """When the next one is due; None when nothing waits."""
        row = self._db.row("SELECT min(next_at) FROM outbox WHERE state='WAITING'")
        return None if row is None or row[0] is None else float(row[0])

    def began(self, seq: int, message_id: str, signature: str, busy_until: float) -> None:
        """A try begins: its signature is remembered and the try counted before it leaves.

        Should we die now, the item is due again at `busy_until`.
        """
        with self._db.transaction():
            self._db.run("INSERT OR IGNORE INTO sent VALUES (?, ?)", message_id, signature)
            self._db.run("UPDATE outbox SET tries=tries+1, next_at=? WHERE seq=?", busy_until, seq)

    def ended(self, item: Outgoing, attempt: Attempt, now: float, *, is_request: bool) -> str:
        """Write down what became of a try; the item's state after it.

        `item.tries` counts this try. A request that the peer refuses for good is not tried again, a
        callback is.
        """
        outcome, again = _judge(attempt, is_request=is_request)
        state, next_at = "DONE", 0.0
        if outcome:
            delay = max(
                min(LAST, FIRST * 2 ** (item.tries - 1)),
                min(attempt.retry_after, LONGEST_RETRY_AFTER),
            )
            next_at = now + delay
            state = "WAITING"
            if not again or item.tries >= TRIES:
                state = "FAILED"
            elif item.expires and next_at > item.expires:
                state, outcome = "FAILED", f"{outcome}; it would have expired before the next try"
        self._db.run(
            "UPDATE outbox SET state=?, outcome=?, proof=?, next_at=?, ended=? WHERE seq=?",
            state,
            outcome[:400],
            attempt.proof,
            next_at,
            0.0 if state == "WAITING" else now,
            item.seq,
        )
        return state

    def expired(self, item: Outgoing, now: float) -> None:
        """It was due too late to be sent."""
        self._db.run(
            "UPDATE outbox SET state='FAILED', outcome=?, ended=? WHERE seq=?",
            f"{Code.CTX_TTL_EXPIRED.value}: not delivered within its time to live",
            now,
            item.seq,
        )

    def signatures(self, message_id: str) -> list[str]:
        """The signatures (base64) under which a message of ours went out."""
        rows = self._db.rows("SELECT signature FROM sent WHERE message_id=?", message_id)
        return [str(row[0]) for row in rows]

    def request(self, message_id: str) -> Outgoing | None:
        """The request of ours with this id."""
        found = self._select("message_id=? AND answers=0 ORDER BY seq LIMIT 1", message_id)
        return found[0] if found else None

    def of_transaction(self, transaction_id: str) -> list[Outgoing]:
        """All items of one transaction, oldest first."""
        return self._select("transaction_id=? ORDER BY seq", transaction_id)

    def since(self, moment: float) -> list[Outgoing]:
        """All items written since a moment, oldest first."""
        return self._select("created>=? ORDER BY seq", moment)

    def failed(self) -> list[Outgoing]:
        """Those that were given up, newest first."""
        return self._select("state='FAILED' ORDER BY seq DESC")

    def _select(self, where: str, *values: object) -> list[Outgoing]:
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM outbox WHERE {where}", *values)  # noqa: S608 - constants
        return [Outgoing(*row) for row in rows]


def _judge(attempt: Attempt, *, is_request: bool) -> tuple[str, bool]:
    """(what went wrong, empty for nothing; whether to try again)."""
    heard = attempt.heard
    if heard is None:
        return f"{Code.NET_CALLBACK_FAILED.value}: {attempt.fault}", True
    if heard.ack or (attempt.status in {202, 409} and heard.code == Code.BIZ_NO_RESULTS_FOUND):
        return "", False
    words = f"{heard.code or attempt.status}: {heard.text}"
    temporary = heard.code in _RETRYABLE or attempt.status == 429 or attempt.status >= 500
    return words, temporary or not is_request
