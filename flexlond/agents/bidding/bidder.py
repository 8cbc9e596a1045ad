"""What a bidder does when a grid answers: go on, give up, put what was won into force, or cancel it.

Law: called within the journal's transaction, so what it writes, reserves and asks is durable with the message
that caused it, or not at all; it waits for nothing. It goes on only with kW that it bid, at no lower incentive
and no higher penalty, and that can still be kept. A contract that becomes active is kept or cancelled in two
phases with the reason, never dropped. Epoch seconds. Source: flexlond/beckn/contract/table.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from flexlond.agents.bidding import papers
from flexlond.agents.bidding.needs import Published, read_catalogue
from flexlond.agents.bidding.records import Entries, Entry
from flexlond.agents.grid.published import Shelf
from flexlond.agents.market.sales import Sale, Sales, SaleState
from flexlond.agents.market.seller import CARRY_SECONDS
from flexlond.beckn.contract.machine import LocalViolation
from flexlond.beckn.contract.table import LIVE, State
from flexlond.beckn.node.desk import Answer
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.market.account import Account
    from flexlond.agents.market.offering import Offering
    from flexlond.agents.market.works import Works
    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.node.node import Node
    from flexlond.beckn.trust.registry import Subscriber
    from flexlond.beckn.wire.messages import Message
    from flexlond.model.market_settings import BidSettings, SellSettings

_GBP = 1e-6
_MAX_ID = 80
_NEVER = 1e12  # no need is published after it
_FOLLOWED = frozenset({("on_select", State.SELECTED), ("on_init", State.INITIALISED)})
_log = structlog.get_logger()


@dataclass(slots=True)
class Bidder:
    """The business of a BAP that bids what `works` can keep."""

    works: Works
    sell: SellSettings
    bid: BidSettings
    account: Account
    kind: str = "bid"
    followed: Sequence[State] = (*LIVE, State.COMPLETE)
    grids: dict[str, Subscriber] = field(default_factory=dict)
    needs: dict[tuple[str, str], Published] = field(default_factory=dict)
    heard_from: dict[str, float] = field(default_factory=dict)  # the last catalogue of each grid
    shelf: Shelf[Published] = field(init=False)
    cancels: dict[str, float] = field(default_factory=dict)  # when a preview was asked for
    _node: Node | None = None
    _sales: Sales | None = None
    _entries: Entries | None = None

    def __post_init__(self) -> None:
        """Nothing was published yet."""
        self.shelf = Shelf(read_catalogue)

    def join(self, node: Node) -> None:
        """The node that it is the business of."""
        self._node = node
        self._sales, self._entries = Sales(node.journal.database), Entries(node.journal.database)
        self.account.join(self)

    @property
    def node(self) -> Node:
        """Its node."""
        if self._node is None:
            raise RuntimeError("join first")
        return self._node

    @property
    def sales(self) -> Sales:
        """What it bid and won."""
        if self._sales is None:
            raise RuntimeError("join first")
        return self._sales

    @property
    def entries(self) -> Entries:
        """Into which needs."""
        if self._entries is None:
            raise RuntimeError("join first")
        return self._entries

    @property
    def meter(self) -> str:
        """The id of the site's meter."""
        return self.bid.meter or self.node.us.id

    # ---- the port of the desk

    def answer(self, message: Message, standing: Standing, now: float) -> Answer:
        """A BAP is asked nothing but to take a catalogue."""
        if message.action.name != "catalog/publish" or not self.bid.take_published:
            raise Refusal(
                Code.POL_ENGAGEMENT_REFUSED, "needs are asked for here, not taken unasked"
            )
        if standing.peer not in self.grids:
            raise Refusal(Code.POL_CALLER_TRUST_INSUFFICIENT, "no bids go to this grid")
        written = min(now, message.envelope.timestamp)
        taken = self.shelf.take(message, standing.peer, self.needs, written)
        self.needs = taken.listings
        if taken.heard:
            self.heard_from[standing.peer] = now
        return Answer({"results": taken.results})

    def heard(self, message: Message, standing: Standing, now: float) -> None:
        """What follows from a callback."""
        if message.action.name == "on_discover":
            self._catalogue(message, standing.peer, now)
            return
        sale = self.sales.get(standing.transaction_id)
        if sale is None or not message.action.contractual:
            return
        if message.action.name == "on_cancel":
            self.cancels.pop(sale.transaction_id, None)
        if standing.is_ended:
            self._ended(sale, message, standing, now)
        elif message.error is not None:
            words = papers.words(message)
            if sale.state is SaleState.BREAKING:
                words = f"{sale.why.partition('; the grid: ')[0]}; the grid: {words}"
            self.sales.save(replace(sale, why=words))
        else:
            self._go_on(sale, message, standing, now)

    def ended(self, standing: Standing, now: float) -> None:
        """Our clock or outbox ended a contract, or a request was given up."""
        sale = self.sales.get(standing.transaction_id)
        if sale is not None and standing.state is State.CANCELLED:
            self._lose(sale, sale.why or "the grid did not answer in time", now)

    # ---- what a callback means

    def _catalogue(self, message: Message, grid: str, now: float) -> None:
        self.needs = {key: one for key, one in self.needs.items() if one.seller != grid}
        for catalog in message.body.catalogs:
            written = min(now, message.envelope.timestamp)
            found, skipped = read_catalogue(catalog, grid, written)
            self.needs |= {one.key: one for one in found}
            for why in skipped:
                _log.info("a need is not understood", grid=grid, why=why[:200])
        self.heard_from[grid] = now
        self.shelf.answered[grid] = message.envelope.timestamp

    def _go_on(self, sale: Sale, message: Message, standing: Standing, now: float) -> None:
        name, state = message.action.name, standing.state
        open_ = sale.state is SaleState.QUOTED
        if open_ and (name, state) in _FOLLOWED:
            self._next(sale, message, standing, now)
        elif open_ and state is State.ACTIVE:
            self._won(sale, message, standing, now)
        elif name == "on_cancel" and message.envelope.try_ and sale.state is SaleState.BREAKING:
            body = {"contract": message.plain_contract}
            self._ask("cancel", sale, body, now, try_=False, seen=standing.preview_digest)

    def _next(self, sale: Sale, message: Message, standing: Standing, now: float) -> None:
        """Init or confirm, where the grid admits what was bid and it can still be kept."""
        try:
            agreed = self._agreed(sale, message)
            self._hold(agreed, now, now + self.bid.hold_seconds)
        except Refusal as refusal:
            self.drop(sale, standing, f"{refusal}", now)
            return
        agreed = self._named(agreed, standing)
        if standing.state is State.SELECTED:
            self.sales.save(agreed)
            self._ask("init", agreed, self._offered(agreed, message.plain_contract), now)
        elif self.sell.approve == "person":
            until = min(now + self.sell.approve_seconds, now + self.bid.hold_seconds, agreed.start)
            self.sales.move(agreed, SaleState.PENDING, until=until)
        else:
            self.sales.save(agreed)
            self._ask("confirm", agreed, self._offered(agreed, message.plain_contract), now)

    def _agreed(self, sale: Sale, message: Message) -> Sale:
        """The bid as the grid answers it. Raises Refusal where that is worse than what was bid."""
        path = "$.message.contract.commitments[0]"
        kw, price = papers.answered(message, sale.watts)
        watts = {at: min(sale.watts.get(at, 0), round(v * 1000.0)) for at, v in kw.items() if v > 0}
        watts = {at: value for at, value in watts.items() if value}
        if any(at not in sale.watts for at, value in kw.items() if value > 0.0):
            raise Refusal(Code.BIZ_PRICE_MISMATCH, "the grid answers for other slots", path)
        least = min(self.sell.least_kw * 1000.0, *sale.watts.values())
        span = max(watts) - min(watts) + sale.slot_seconds if watts else 0
        if not watts or min(watts.values()) < least or span != len(watts) * sale.slot_seconds:
            raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "the grid wants less than we give", path)
        entry, penalty = self.entry(sale), papers.penalties(message)
        if any(price[at] < sale.price[at] - _GBP for at in watts):
            raise Refusal(Code.BIZ_PRICE_MISMATCH, "it pays less than was published", path)
        if any(penalty.get(at, 0.0) > entry.penalty.get(at, 0.0) + _GBP for at in watts):
            raise Refusal(Code.BIZ_PRICE_MISMATCH, "its penalty is above the published one", path)
        return replace(sale, watts=watts, price={at: price[at] for at in watts})

    def _won(self, sale: Sale, message: Message, standing: Standing, now: float) -> None:
        """It binds both: it is put into force, or cancelled."""
        try:
            agreed = self._agreed(sale, message)
        except Refusal as refusal:
            self.failed(sale, standing, f"{refusal}", now)
            return
        agreed = self._named(agreed, standing)
        try:
            self._hold(agreed, now, 0.0, settled=True)
        except Refusal as refusal:
            why = f"its kW were given to others before the answer came: {refusal}"
            self.failed(agreed, standing, why, now)
            return
        self.entries.save(replace(self.entry(sale), at=now))
        until = min(now + CARRY_SECONDS, agreed.start)
        self.sales.move(agreed, SaleState.SOLD, until=until, why="")

    def _hold(self, sale: Sale, now: float, until: float, *, settled: bool = False) -> None:
        """Reserve its kW anew. Raises Refusal.

        `settled`: what is reserved still is made firm as it is, also where nothing can be promised just now.
        """
        book, txn = self.node.journal.book, sale.transaction_id
        if settled and book.held(txn) == dict(sale.watts):
            try:
                book.confirm(txn, now)
            except Refusal:
                pass
            else:
                return
        offering = self.works.offering(now)
        if offering is None:
            raise Refusal(Code.BIZ_FULFILLMENT_UNAVAILABLE, self.works.why_none()[:200])
        self.account.reserve(book, txn, sale.watts, offering, now=now, until=until)

    def _ended(self, sale: Sale, message: Message, standing: Standing, now: float) -> None:
        if standing.state is State.CANCELLED:
            self._lose(sale, papers.words(message) or sale.why or "the grid cancelled it", now)
            return
        told = papers.paid(message)
        why = f"settled by the grid: {told[0]:.4f} {told[1][:3]}" if told else sale.why
        state = SaleState.OVER if sale.state is SaleState.BREAKING else sale.state
        self.sales.save(replace(sale, why=why, state=state))

    def _lose(self, sale: Sale, why: str, now: float) -> None:
        """The contract is cancelled, by whomever: nothing of it is kept any more."""
        if sale.state in {SaleState.QUOTED, SaleState.PENDING}:
            self.entries.save(replace(self.entry(sale), at=now))
            self.sales.move(sale, SaleState.REFUSED, why=sale.why or why)
        elif sale.state in {SaleState.SOLD, SaleState.KEPT, SaleState.BREAKING}:
            self.sales.move(sale, SaleState.RELEASING, why=sale.why or why)

    # ---- the port of the keeper

    def penalty(self, sale: Sale) -> Mapping[int, float]:
        """As published."""
        penalty = self.entry(sale).penalty
        return {at: penalty.get(at, 0.0) for at in sale.watts}

    def accept(self, sale: Sale, now: float) -> None:
        """Confirm it, if it can still be kept."""
        with self.node.journal.transaction():
            standing = self.node.journal.contracts.get(sale.transaction_id)
            if standing is None or standing.state is not State.INITIALISED:
                raise Refusal(Code.BIZ_QUOTE_EXPIRED_OR_CHANGED, "the grid's draft has run out")
            self._hold(sale, now, now + self.bid.hold_seconds)
            self.sales.move(sale, SaleState.QUOTED, until=0.0)
            contract = papers.agreed(standing)
            self._ask("confirm", sale, self._offered(sale, contract), now)

    def took(self, sale: Sale) -> None:
        """The grid learns it with the first forecast."""

    def refuse(self, sale: Sale, code: Code, why: str) -> None:
        """Before the confirm the draft is left to end; after its answer it is cancelled."""
        with self.node.journal.transaction():
            standing = self.node.journal.contracts.get(sale.transaction_id)
            if standing is None:
                return
            if sale.state is SaleState.PENDING:
                self.drop(sale, standing, f"{code.value}: {why}", standing.since)
            else:
                self.failed(sale, standing, why, standing.since)

    def tell(self, sale: Sale, standing: Standing, now: float, *, why: str, over: bool) -> None:
        """Ask how it stands, and say with it what the meter read and what is foreseen."""
        slots = self.works.progress(sale.promise, now)
        code = "DELIVERY_COMPLETE" if over else "BASELINE_PUBLISHED"
        if sale.rows and not over:
            code = "DELIVERY_IN_PROGRESS"
        body = papers.progress(
            standing, self.meter, sale, self.entry(sale), slots, code=code, why=why
        )
        self._ask("status", sale, body, now)

    def failed(self, sale: Sale, standing: Standing, why: str, now: float) -> None:  # noqa: ARG002 - the port's
        """The next turn cancels it, and nothing is bid into that need again."""
        self.entries.save(replace(self.entry(sale), at=_NEVER))
        self.sales.move(sale, SaleState.BREAKING, why=why[:300])
        _log.warning("a bid that was won cannot be kept", order=sale.order_id, why=why[:200])

    # ---- saying something

    def place(self, need: Published, sale: Sale, entry: Entry, offering: Offering) -> None:
        """Bid: reserve the kW and ask. Raises Refusal where they are gone."""
        book, now = self.node.journal.book, sale.created
        until = now + self.bid.hold_seconds
        with self.node.journal.transaction():
            self.account.reserve(
                book, sale.transaction_id, sale.watts, offering, now=now, until=until
            )
            self.sales.save(sale)
            self.entries.save(entry)
            body = papers.selection(self.node.us.id, self.meter, need, sale.watts)
            self._ask("select", sale, body, now)

    def break_off(self, sale: Sale, standing: Standing, now: float) -> None:
        """Ask what a cancel would mean; its answer is followed by the cancel itself."""
        self.cancels[sale.transaction_id] = now
        contract = papers.agreed(standing)
        why = sale.why.partition("; the grid: ")[0][:200]
        reason = {"code": "SITE_UNAVAILABLE", "shortDesc": why}
        self._ask("cancel", sale, {"contract": {**contract, "descriptor": reason}}, now, try_=True)

    def drop(self, sale: Sale, standing: Standing, why: str, now: float) -> None:
        """Go no further with a draft: it ends at our clock's next turn, and nothing was bound by it."""
        self.sales.save(replace(sale, why=why[:300]))
        self.node.journal.contracts.save(replace(standing, deadline=now))

    def entry(self, sale: Sale) -> Entry:
        """The terms of a bid."""
        found = self.entries.get(sale.transaction_id)
        if found is None:
            raise RuntimeError("a bid without its terms")
        return found

    def _offered(self, sale: Sale, contract: Mapping[str, Any]) -> dict[str, Any]:
        entry = self.entry(sale)
        grid = (entry.need_start, entry.need_slots, sale.slot_seconds)
        return {"contract": papers.offered(contract, sale.watts, grid)}

    def _named(self, sale: Sale, standing: Standing) -> Sale:
        """Under the contract's id once it is known, where nothing else here has it."""
        name = standing.contract_id
        free = self.account.sale_of(name) is None
        if not (name and free and name.isprintable() and len(name) <= _MAX_ID):
            return sale
        return replace(sale, order_id=name)

    def _ask(
        self,
        action: str,
        sale: Sale,
        body: dict[str, Any],
        now: float,
        *,
        try_: bool | None = None,
        seen: str = "",
    ) -> None:
        """One request to the grid. What the table does not admit meanwhile is noted, not said."""
        peer, txn = self.grids.get(sale.peer), sale.transaction_id
        if peer is None:
            self.sales.save(replace(sale, why=f"{sale.peer} is not in the trust file any more"))
            return
        try:
            self.node.ask(
                action,
                peer,
                txn,
                body,
                now,
                try_=try_,
                request_digest=seen,
                schema_context=papers.SCHEMAS,
            )
        except LocalViolation as late:
            _log.info("not said", action=action, why=str(late))
            return
        standing = self.node.journal.contracts.get(txn)
        if standing is not None and standing.deadline and standing.state not in LIVE:
            limit = min(standing.deadline, now + self.bid.silent_seconds)
            self.node.journal.contracts.save(replace(standing, deadline=limit))
