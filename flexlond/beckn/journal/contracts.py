"""Where each contract stands, and how it came there.

Law: the state changes by `machine.step` alone, in the same transaction as the message that changed it, and
every change is in the history with its moment. One contract per transaction id. An answer moves a contract
only when it answers what is awaited: an older answer that comes late is noted and moves nothing. Times are
epoch seconds; `deadline` 0 means none. Source: our own; the table is `contract.table`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flexlond.beckn.contract.machine import step
from flexlond.beckn.contract.table import TERMINAL, Event, State

if TYPE_CHECKING:
    from flexlond.beckn.journal.database import Database
    from flexlond.beckn.wire.actions import Role

_COLUMNS = (
    "transaction_id, peer, peer_key, peer_uri, state, contract_id, awaited, preview, preview_digest,"
    " body, deadline, since"
)
_ANSWERS = frozenset(
    {
        Event.ON_SELECT,
        Event.ON_SELECT_ERROR,
        Event.ON_INIT,
        Event.ON_INIT_ERROR,
        Event.ON_CONFIRM,
        Event.ON_CONFIRM_ERROR,
        Event.ON_UPDATE,
        Event.ON_UPDATE_ERROR,
        Event.ON_CANCEL_ERROR,
    }
)
WAITING = {
    State.SELECTING: Event.SELECT,
    State.INITIALISING: Event.INIT,
    State.CONFIRMING: Event.CONFIRM,
    State.UPDATING: Event.UPDATE,
    State.CANCELLING: Event.CANCEL,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One contract as this side knows it."""

    transaction_id: str
    peer: str
    peer_key: str = ""  # the key it used last
    peer_uri: str = ""
    state: State = State.IDLE
    contract_id: str = ""
    awaited: str = ""  # message id of the request whose answer is owed
    preview: str = ""  # update or cancel: what the last preview was of
    preview_digest: str = ""  # of the preview's bytes
    body: bytes = b""  # the contract as last agreed, JSON
    deadline: float = 0.0  # our clock ends the draft then
    since: float = 0.0

    @property
    def is_ended(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.state in TERMINAL


class Contracts:
    """The tables of contracts and their history."""

    def __init__(self, db: Database, us: Role) -> None:
        self._db = db
        self._us = us

    def get(self, transaction_id: str) -> Standing | None:
        """One contract."""
        found = self._select("transaction_id=?", transaction_id)
        return found[0] if found else None

    def all(self) -> list[Standing]:
        """Every contract, oldest change first."""
        return self._select("1 ORDER BY since")

    def overdue(self, now: float) -> list[Standing]:
        """Drafts whose deadline has passed."""
        return self._select("deadline>0 AND deadline<=? ORDER BY deadline", now)

    def step(
        self, standing: Standing, event: Event, now: float, *, message_id: str = "", why: str = ""
    ) -> Standing:
        """Take one step and write it down. Raises LocalViolation, RemoteViolation; then nothing changed.

        `message_id` is the request's own, or that of the request answered; empty for none.
        """
        to = step(standing.state, event, self._us)
        if event in _ANSWERS and standing.awaited and message_id != standing.awaited:
            to = standing.state
        moved = standing
        if to is not standing.state:
            awaited = message_id if WAITING.get(to) is event else ""
            draft_ends = to not in {State.SELECTED, State.INITIALISED}
            moved = replace(
                standing,
                state=to,
                awaited=awaited,
                since=now,
                deadline=0.0 if draft_ends else standing.deadline,
            )
            self.save(moved)
        self._db.run(
            "INSERT INTO history (at, transaction_id, was, event, became, why) VALUES (?,?,?,?,?,?)",
            now,
            standing.transaction_id,
            standing.state.value,
            event.value,
            to.value,
            why[:400],
        )
        return moved

    def save(self, standing: Standing) -> None:
        """Insert or replace."""
        self._db.run(
            f"INSERT OR REPLACE INTO contract ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constants
            standing.transaction_id,
            standing.peer,
            standing.peer_key,
            standing.peer_uri,
            standing.state.value,
            standing.contract_id,
            standing.awaited,
            standing.preview,
            standing.preview_digest,
            standing.body,
            standing.deadline,
            standing.since,
        )

    def history(self, transaction_id: str) -> list[tuple[float, str, str, str]]:
        """(moment, was, event, became), oldest first."""
        rows = self._db.rows(
            "SELECT at, was, event, became FROM history WHERE transaction_id=? ORDER BY seq",
            transaction_id,
        )
        return [(float(at), str(was), str(event), str(became)) for at, was, event, became in rows]

    def _select(self, where: str, *values: object) -> list[Standing]:
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM contract WHERE {where}", *values)  # noqa: S608 - constants
        return [replace(Standing(*row), state=State(row[4])) for row in rows]
