"""What a buyer does when a seller answers: go on, give up, or take note.

Law: called within the journal's transaction, so what it writes and asks is durable with the message that
caused it, or not at all; it waits for nothing. It goes on only with what was asked for, at no higher price; a
lot ends when its contract does. A contract that becomes active is never dropped silently: it covers its need,
or it is cancelled in two phases. Epoch seconds. Source: the life cycle in flexlond/beckn/contract/table.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flexlond.agents.grid import papers
from flexlond.agents.grid.listings import Listing, read_catalogue, read_catalogues
from flexlond.agents.grid.published import Shelf
from flexlond.agents.grid.reach import Reach
from flexlond.agents.grid.records import Lot, LotState, Records
from flexlond.agents.grid.told import with_told
from flexlond.beckn.contract.machine import LocalViolation
from flexlond.beckn.contract.table import State
from flexlond.beckn.node.desk import Answer
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.node.node import Node
    from flexlond.beckn.trust.registry import Subscriber
    from flexlond.beckn.wire.messages import Message

_GBP = 1e-6
_KW = 1e-6


@dataclass(slots=True)
class Buyer:
    """The business of a BAP that buys. `silent`: seconds that a seller has to answer before an order stands."""

    silent: float
    node: Node | None = None  # `open` sets it
    _records: Records | None = None
    sellers: dict[str, Subscriber] = field(default_factory=dict)
    listings: dict[tuple[str, str], Listing] = field(default_factory=dict)
    heard_from: dict[str, float] = field(default_factory=dict)  # the last catalogue of each seller
    skipped: list[str] = field(default_factory=list)
    takes_published: bool = False  # catalogues that nobody asked for
    shelf: Shelf[Listing] = field(default_factory=lambda: Shelf(read_catalogue))
    asked: dict[str, Callable[[str], None]] = field(
        default_factory=dict
    )  # who waits for the answer to a question, by its message id
    cancels: dict[str, float] = field(
        default_factory=dict
    )  # by transaction: when a cancel's preview was asked for that was not answered yet
    reach: Reach = field(init=False)

    def __post_init__(self) -> None:
        """Nobody was asked yet."""
        self.reach = Reach(self.silent)

    def reachable(self, now: float) -> list[str]:
        """The sellers that are known and not silent."""
        return [name for name in self.sellers if not self.reach.silent(name, now)]

    def open(self, node: Node, records: Records) -> None:
        """The node that it is the business of, and its tables; before anything is heard."""
        self.node, self._records = node, records

    @property
    def records(self) -> Records:
        """Its tables."""
        if self._records is None:
            raise RuntimeError("the buyer has no tables yet; open it")
        return self._records

    # ---- the port of the desk

    def answer(self, message: Message, standing: Standing, now: float) -> Answer:
        """A BAP is asked nothing but to take a catalogue."""
        if message.action.name != "catalog/publish" or not self.takes_published:
            raise Refusal(
                Code.POL_ENGAGEMENT_REFUSED, "catalogues are asked for here, not taken unasked"
            )
        if standing.peer not in self.sellers:
            raise Refusal(Code.POL_CALLER_TRUST_INSUFFICIENT, "nothing is bought of this seller")
        taken = self.shelf.take(message, standing.peer, self.listings, now)
        self.listings = taken.listings
        if taken.heard:
            self.heard_from[standing.peer] = now
        return Answer({"results": taken.results})

    def heard(self, message: Message, standing: Standing, now: float) -> None:
        """What follows from a callback."""
        self.reach.heard(standing.peer)
        if message.action.name == "on_discover":
            self._catalogue(message, standing.peer, now)
            return
        if tell := self.asked.pop(message.envelope.message_id, None):
            tell(_words(message) or papers.answer(message))
            return
        lot = self.records.lot(standing.transaction_id)
        if lot is None or not message.action.contractual:
            return
        if message.action.name == "on_cancel":
            self.cancels.pop(lot.transaction_id, None)
        if standing.is_ended:
            self._ended(lot, message, standing, now)
        elif message.action.name == "on_status":
            self._status(lot, message, standing, now)
        elif message.error is not None:
            self.records.save(replace(lot, at=now, why=_words(message)))
        else:
            self._go_on(lot, message, standing, now)

    def ended(self, standing: Standing, now: float) -> None:
        """Our clock or outbox ended a contract, or gave a request up."""
        lot = self.records.lot(standing.transaction_id)
        if lot is None:
            return
        if standing.is_ended and lot.state in {LotState.ASKED, LotState.DOUBTFUL}:
            self.records.move(
                lot, LotState.LOST, now, lot.why or "the seller did not answer in time"
            )
        elif standing.state is State.CONFIRMING and lot.state is LotState.ASKED:
            self.records.move(lot, LotState.DOUBTFUL, now, "the confirm could not be delivered")

    # ---- what a callback means

    def _catalogue(self, message: Message, seller: str, now: float) -> None:
        found, skipped = read_catalogues(message, seller, now)
        self.listings = {key: one for key, one in self.listings.items() if one.seller != seller}
        self.listings |= {one.key: one for one in found}
        self.heard_from[seller] = now
        self.shelf.answered[seller] = message.envelope.timestamp
        self.skipped = [*self.skipped, *skipped][-20:]

    def _go_on(self, lot: Lot, message: Message, standing: Standing, now: float) -> None:
        name, state = message.action.name, standing.state
        if name == "on_select" and state is State.SELECTED:
            self._next("init", lot, message, standing, now)
        elif name == "on_init" and state is State.INITIALISED:
            self._next("confirm", lot, message, standing, now)
        elif name == "on_confirm" and state is State.ACTIVE and lot.state is not LotState.ORDERED:
            self.records.move(lot, LotState.ORDERED, now)
        elif name == "on_cancel" and message.envelope.try_ and state is State.ACTIVE:
            body = {"contract": message.plain_contract}
            self._ask("cancel", lot, standing, body, now, try_=False, seen=standing.preview_digest)

    def _next(
        self, action: str, lot: Lot, message: Message, standing: Standing, now: float
    ) -> None:
        """Init or confirm, where the seller promises what was asked for and at no higher price."""
        try:
            quoted = self._quoted(lot, message)
        except Refusal as refusal:
            self.drop(lot, standing, now, f"{refusal}")
            return
        self.records.save(replace(quoted, at=now))
        self._ask(action, lot, standing, {"contract": message.plain_contract}, now)

    def _quoted(self, lot: Lot, message: Message) -> Lot:
        kw, price = papers.terms(message)
        path = "$.message.contract.commitments[0]"
        if set(kw) - set(lot.kw):
            raise Refusal(Code.BIZ_PRICE_MISMATCH, "the seller answers for other slots", path)
        kw = {at: min(lot.kw[at], value) for at, value in kw.items() if value > 0.0}
        if not kw:
            raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "the seller has nothing left", path)
        quoted = replace(lot, kw=kw, price={at: price[at] for at in kw})
        asked = replace(lot, kw=kw, price={at: lot.price[at] for at in kw})
        if quoted.cost_gbp > asked.cost_gbp + _GBP:
            raise Refusal(
                Code.BIZ_PRICE_MISMATCH,
                f"{quoted.cost_gbp:.4f} GBP instead of {asked.cost_gbp:.4f}",
                path,
            )
        return quoted

    def _status(self, lot: Lot, message: Message, standing: Standing, now: float) -> None:
        lot = with_told(lot, message)
        if message.error is not None:
            lot = replace(lot, why=_words(message))
        elif standing.state is State.ACTIVE and lot.state in {LotState.ASKED, LotState.DOUBTFUL}:
            lot = replace(lot, state=LotState.ORDERED, why="")
        self.records.save(replace(lot, at=now))

    def _ended(self, lot: Lot, message: Message, standing: Standing, now: float) -> None:
        lot = with_told(lot, message)
        if standing.state is State.COMPLETE:
            if lot.state is not LotState.DONE:
                lot = self.records.move(lot, LotState.DONE, now)
            self._rate(lot, standing, now)
        elif lot.state is not LotState.LOST:
            self.records.move(lot, LotState.LOST, now, _words(message) or "cancelled")
        else:
            self.records.save(lot)

    def _rate(self, lot: Lot, standing: Standing, now: float) -> None:
        """From 1 (nothing came) to 5 (all of it), once."""
        if lot.rating:
            return
        value = 1 + int(4 * lot.share + 0.5)
        target = {"id": standing.contract_id, "descriptor": {"code": "CONTRACT"}}
        scale = {"min": 1, "max": 5, "value": value}
        self._ask(
            "rate", lot, standing, {"ratingInputs": [{"target": target, "range": scale}]}, now
        )
        self.records.save(replace(lot, rating=value))

    # ---- saying something

    def drop(self, lot: Lot, standing: Standing, now: float, why: str) -> None:
        """Go no further with a draft: it ends at our clock's next turn, and nothing was bound by it."""
        self.records.save(replace(lot, why=why[:300], at=now))
        self._journal_deadline(replace(standing, deadline=now))

    def _ask(
        self,
        action: str,
        lot: Lot,
        standing: Standing,
        body: dict[str, Any],
        now: float,
        *,
        try_: bool | None = None,
        seen: str = "",
    ) -> None:
        """One request to the lot's seller. What the table does not admit meanwhile is noted, not said."""
        node, peer = self._node(), self.sellers.get(lot.seller)
        if peer is None:
            self.records.save(replace(lot, why=f"{lot.seller} is not in the trust file any more"))
            return
        txn = standing.transaction_id
        try:
            node.ask(
                action,
                peer,
                txn,
                body,
                now,
                try_=try_,
                request_digest=seen,
                schema_context=papers.SCHEMAS if "contract" in body else (),
            )
        except LocalViolation as late:
            self.records.save(replace(lot, why=str(late)))
            return
        self.limit(txn, now)

    def limit(self, transaction_id: str, now: float) -> None:
        """A draft that waits for its seller waits `silent` seconds, not the journal's usual time."""
        standing = self._node().journal.contracts.get(transaction_id)
        if standing is not None and standing.deadline:
            self._journal_deadline(
                replace(standing, deadline=min(standing.deadline, now + self.silent))
            )

    def _journal_deadline(self, standing: Standing) -> None:
        self._node().journal.contracts.save(standing)

    def _node(self) -> Node:
        if self.node is None:
            raise RuntimeError("the buyer has no node yet; set it when the node is made")
        return self.node


def _words(message: Message) -> str:
    if message.error is None:
        return ""
    return f"{message.error.code}: {message.error.message}"[:300]
