"""What a seller answers: the business of its node.

Law: called within the journal's transaction and waits for nothing. What it has not got it does not promise: kW
are reserved from init on, and a confirm is answered when the promise is in force, not before (desk.Later). What
cannot be kept any more is refused with its code. Prices are the seller's at the time of the quote. Epoch
seconds, watts, GBP per kWh. Source: the life cycle in flexlond/beckn/contract/table.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from flexlond.agents.market import papers, quotes
from flexlond.agents.market.account import Account
from flexlond.agents.market.sales import Sale, Sales, SaleState
from flexlond.beckn.contract.table import LIVE, State
from flexlond.beckn.node.desk import Answer, Later
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flexlond.agents.market.offering import Offering
    from flexlond.agents.market.publishing import Publisher
    from flexlond.agents.market.works import Works
    from flexlond.agents.witness import Notary
    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.node.node import Node
    from flexlond.beckn.wire.messages import Message
    from flexlond.model.market_settings import SellSettings

CARRY_SECONDS = 120.0  # a confirmed order is in force by then, or refused
_MAX_ID = 80
_log = structlog.get_logger()
_PRICE = 1e-6  # GBP per kWh that two figures of one price may differ by


class Seller:
    """The business of a BPP that sells what `works` can keep."""

    kind = "sale"
    followed: Sequence[State] = LIVE

    def __init__(
        self,
        works: Works,
        sell: SellSettings,
        notary: Notary | None = None,
        account: Account | None = None,
    ) -> None:
        """`account` is that of all who promise of these works; without one it is alone."""
        self.works, self.sell = works, sell
        self.account = account or Account(works)
        self._notary = notary
        self.publisher: Publisher | None = None  # whoever gives it a place sets it
        self._node: Node | None = None
        self._sales: Sales | None = None

    def join(self, node: Node) -> None:
        """The node that it answers for."""
        self._node, self._sales = node, Sales(node.journal.database)
        self.account.join(self)

    @property
    def node(self) -> Node:
        """Its node."""
        if self._node is None:
            raise RuntimeError("join first")
        return self._node

    @property
    def sales(self) -> Sales:
        """What it sold."""
        if self._sales is None:
            raise RuntimeError("join first")
        return self._sales

    # ---- the port of the desk

    def answer(self, message: Message, standing: Standing, now: float) -> Answer | Later:
        """Decide a request."""
        decide: dict[str, Callable[[Message, Standing, float], Answer | Later]] = {
            "discover": self._discover,
            "select": self._select,
            "init": self._init,
            "confirm": self._confirm,
            "status": self._status,
            "update": self._update,
            "cancel": self._cancel,
            "track": self._track,
            "rate": self._rate,
            "support": self._support,
        }
        return decide[message.action.name](message, standing, now)

    def heard(self, message: Message, standing: Standing, now: float) -> None:  # noqa: ARG002 - the port's
        """A seller asks nothing but to take its catalogue."""
        if self.publisher is not None:
            self.publisher.heard(message, standing.peer)

    def ended(self, standing: Standing, now: float) -> None:  # noqa: ARG002 - the port's
        """What ended is given back; a quote that nobody took is forgotten."""
        sale = self.sales.get(standing.transaction_id)
        if sale is None or standing.state is not State.CANCELLED:
            return
        if sale.state is SaleState.QUOTED:
            self.sales.drop(sale.transaction_id)
        elif sale.state in {SaleState.PENDING, SaleState.SOLD, SaleState.KEPT}:
            self.sales.move(sale, SaleState.RELEASING, why=sale.why or "cancelled")

    # ---- what there is

    def left(self, offering: Offering, now: float, but: str = "") -> dict[int, int]:
        """Watts by slot that nobody has."""
        return self.account.left(offering, now, but)

    def _offering(self, now: float) -> Offering:
        found = self.works.offering(now)
        if found is None:
            raise Refusal(
                Code.BIZ_FULFILLMENT_UNAVAILABLE, "nothing can be promised now; come again"
            )
        return found

    # ---- to an order

    def _discover(self, message: Message, standing: Standing, now: float) -> Answer:  # noqa: ARG002 - as the others
        if self.works.offering(now) is None:
            return Answer({"catalogs": []})
        return Answer({"catalogs": self.catalogue(now)}, schema_context=papers.SCHEMAS)

    def catalogue(self, now: float) -> list[dict[str, Any]]:
        """What is for sale, as it is shown: a catalogue, or none."""
        offering = self.works.offering(now)
        if offering is None:
            return []
        left = {at: watts / 1000.0 for at, watts in self.left(offering, now).items()}
        us = (self.node.us.id, self.node.us.uri)
        return papers.catalogue(us, offering, left, self.sell, now)

    def _select(self, message: Message, standing: Standing, now: float) -> Answer:
        """Price and what is left, of the longest run of slots that has anything."""
        offering = self._offering(now)
        wanted = quotes.wanted(message, offering)
        left = self.left(offering, now, standing.transaction_id)
        least = self.sell.least_kw * 1000.0
        there = {at: min(watts, left.get(at, 0)) for at, watts in wanted.items()}
        run = quotes.longest_run(
            {at: watts for at, watts in there.items() if watts >= min(least, wanted[at])},
            offering.slot_seconds,
            offering.longest // offering.slot_seconds,
        )
        if len(run) * offering.slot_seconds < offering.shortest:
            raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "nothing is left of what was asked for")
        return self._quote(message, run, quotes.prices(offering, run), offering.slot_seconds)

    def _init(self, message: Message, standing: Standing, now: float) -> Answer:
        """Reserve for as long as a quote stands."""
        offering = self._offering(now)
        wanted = quotes.wanted(message, offering)
        quotes.check_run(wanted, offering)
        self._check_id(standing)
        self._check_day(wanted, standing)
        until = now + self.node.settings.quote_seconds
        book, txn = self.node.journal.book, standing.transaction_id
        self.account.reserve(book, txn, wanted, offering, now=now, until=until)
        price = quotes.prices(offering, wanted)
        slots = [slot for slot in (offering.at(at) for at in wanted) if slot is not None]
        self.sales.save(
            Sale(
                standing.transaction_id,
                standing.contract_id,
                standing.peer,
                offering.slot_seconds,
                wanted,
                price,
                max(slot.start - slot.order_by for slot in slots),
                now,
            )
        )
        quote = self._quote(message, wanted, price, offering.slot_seconds)
        return replace(quote, deadline=until)

    def _confirm(self, message: Message, standing: Standing, now: float) -> Answer | Later:
        sale = self.sales.get(standing.transaction_id)
        if sale is None:
            raise Refusal(Code.BIZ_QUOTE_EXPIRED_OR_CHANGED, "there is no quote; select again")
        if sale.state is SaleState.QUOTED:
            self._check_quote(message, sale, now)
            self.node.journal.book.confirm(sale.transaction_id, now)
            person = self.sell.approve == "person"
            limit = self.sell.approve_seconds if person else CARRY_SECONDS
            self.sales.move(
                sale,
                SaleState.PENDING if person else SaleState.SOLD,
                until=min(now + limit, sale.start),
            )
            return Later()
        if sale.state in {SaleState.PENDING, SaleState.SOLD}:
            return Later()
        if sale.state is SaleState.REFUSED:
            code, _, text = sale.why.partition(": ")
            raise Refusal(Code(code), text)
        return Answer(
            {"contract": self.contract(sale, message.plain_contract, now)},
            schema_context=papers.SCHEMAS,
        )

    def _check_quote(self, message: Message, sale: Sale, now: float) -> None:
        """What is confirmed is what was quoted, and it can still be kept."""
        watts, _ = papers.asked(message)
        if watts != sale.watts:
            raise Refusal(Code.BIZ_PRICE_MISMATCH, "not the kW that were quoted; init again")
        price = papers.promised_price(message)
        if any(abs(price[at] - sale.price.get(at, -1.0)) > _PRICE for at in price):
            raise Refusal(Code.BIZ_PRICE_MISMATCH, "not the price that was quoted; init again")
        left = self.left(self._offering(now), now, sale.transaction_id)
        if any(left.get(at, 0) < wanted for at, wanted in sale.watts.items()):
            raise Refusal(
                Code.BIZ_QUOTE_EXPIRED_OR_CHANGED,
                "what was quoted cannot be kept any more; select again",
            )

    # ---- an order in force

    def contract(
        self,
        sale: Sale,
        contract: Mapping[str, Any],
        now: float,
        *,
        why: str = "",
        over: bool = False,
    ) -> dict[str, Any]:
        """The contract as it stands, with how it goes."""
        slots = self.works.progress(sale.promise, now)
        code = "DELIVERY_COMPLETE" if over else "BASELINE_PUBLISHED"
        if sale.rows and not over:
            code = "DELIVERY_IN_PROGRESS"
        status = "CLOSED" if over or sale.state in _CLOSED else "ACTIVE"
        whole = papers.quoted(
            contract,
            sale.watts,
            sale.price,
            sale.slot_seconds,
            penalty=self.sell.shortfall_penalty,
            status=status,
        )
        whole.pop("performance", None)
        if self._notary is not None:
            whole = papers.with_checkpoint(whole, self._notary.latest)
        told = papers.performance(self.node.us.id, sale, slots, code=code, why=why)
        return {**whole, "performance": told} if told else whole

    def _status(self, message: Message, standing: Standing, now: float) -> Answer:
        known = json.loads(standing.body or b"null") or message.plain_contract
        sale = self.sales.get(standing.transaction_id)
        if sale is None or standing.state not in {*LIVE, State.COMPLETE}:
            return Answer({"contract": known})
        over = standing.state is State.COMPLETE
        return Answer(
            {"contract": self.contract(sale, known, now, over=over)}, schema_context=papers.SCHEMAS
        )

    def _update(self, message: Message, standing: Standing, now: float) -> Answer | Later:
        """Other kW or slots, before the notice begins. The commit is answered when they are in force."""
        sale = self._sale(standing)
        if sale.asked == message.envelope.message_id:  # decided, and it comes back
            return self._updated(sale, message, now)
        if sale.state is not SaleState.KEPT or now >= sale.start - sale.notice:
            raise Refusal(
                Code.POL_UPDATE_NOT_ALLOWED, "the notice has begun: nothing is changed any more"
            )
        offering = self._offering(now)
        wanted = quotes.wanted(message, offering)
        quotes.check_run(wanted, offering)
        price = quotes.prices(offering, wanted, sale.price)
        if message.envelope.try_:
            left = self.left(offering, now, sale.transaction_id)
            if any(watts > left.get(at, 0) for at, watts in wanted.items()):
                raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "not so many kW are left")
            return self._quote(message, wanted, price, offering.slot_seconds, "ACTIVE")
        both = {at: max(sale.watts.get(at, 0), wanted.get(at, 0)) for at in {*sale.watts, *wanted}}
        book, txn = self.node.journal.book, sale.transaction_id  # until it is known which holds
        self.account.reserve(book, txn, both, offering, now=now, until=0.0)
        self.sales.move(
            sale,
            SaleState.SOLD,
            watts=wanted,
            price={**sale.price, **price},
            before=sale.watts,
            revision=sale.revision + 1,
            until=min(now + CARRY_SECONDS, sale.start, *wanted),
            why="",
            asked=message.envelope.message_id,
        )
        return Later()

    def _updated(self, sale: Sale, message: Message, now: float) -> Answer | Later:
        if sale.state is SaleState.SOLD:
            return Later()
        if sale.why:
            raise Refusal(Code.POL_UPDATE_NOT_ALLOWED, sale.why)
        return Answer(
            {"contract": self.contract(sale, message.plain_contract, now)},
            schema_context=papers.SCHEMAS,
        )

    def _cancel(self, message: Message, standing: Standing, now: float) -> Answer:
        """Before the notice always, inside it by the site's choice, once it runs never."""
        sale = self._sale(standing)
        inside = now >= sale.start - sale.notice
        if now >= sale.start or (inside and self.sell.inside_notice == "refuse"):
            raise Refusal(
                Code.POL_CANCELLATION_NOT_ALLOWED,
                "the first slot has begun" if now >= sale.start else "the notice has begun",
            )
        if not message.envelope.try_:
            self.sales.move(sale, SaleState.RELEASING, why="cancelled by the buyer")
        status = "ACTIVE" if message.envelope.try_ else "CLOSED"
        return Answer({"contract": papers.with_status(message.plain_contract, status)})

    # ---- the port of the keeper

    def penalty(self, sale: Sale) -> dict[int, float]:
        """The site's own, for every slot."""
        return dict.fromkeys(sale.watts, self.sell.shortfall_penalty)

    def accept(self, sale: Sale, now: float) -> None:
        """It is put into force, then the confirm is answered."""
        with self.node.journal.transaction():
            self.sales.move(sale, SaleState.SOLD, until=min(now + CARRY_SECONDS, sale.start))

    def took(self, sale: Sale) -> None:
        """The confirm or update that waits is answered."""
        self.node.journal.inbox.take_up(sale.transaction_id)

    def refuse(self, sale: Sale, code: Code, why: str) -> None:
        """Answer the confirm with no."""
        with self.node.journal.transaction():
            self.sales.move(sale, SaleState.REFUSED, why=f"{code.value}: {why}")
            self.node.journal.inbox.take_up(sale.transaction_id)
        _log.info("order refused", order=sale.order_id, why=why)

    def tell(self, sale: Sale, standing: Standing, now: float, *, why: str, over: bool) -> None:
        """Push a status."""
        contract = self.contract(sale, json.loads(standing.body), now, why=why, over=over)
        contract["status"] = {"code": "COMPLETE" if over else "ACTIVE"}
        self.node.push("on_status", sale.transaction_id, {"contract": contract}, now)

    def failed(self, sale: Sale, standing: Standing, why: str, now: float) -> None:
        """Push why, and that it is cancelled."""
        contract = self.contract(sale, json.loads(standing.body), now, why=why)
        contract["status"] = {"code": "ACTIVE"}
        self.sales.save(replace(sale, why=why))
        self.node.push("on_status", sale.transaction_id, {"contract": contract}, now)
        ended = {**contract, "descriptor": {"code": "SITE_UNAVAILABLE", "shortDesc": why}}
        self.node.push("on_cancel", sale.transaction_id, {"contract": ended}, now)

    # ---- beside it

    def _track(self, message: Message, standing: Standing, now: float) -> Answer:  # noqa: ARG002 - as the others
        """Where the site shows it; without a page of its own, status is all there is."""
        if not self.sell.track_url:
            raise Refusal(Code.BIZ_TRACKING_NOT_SUPPORTED, "its progress is told by on_status")
        sale = self._sale(standing)
        running = sale.start <= now < sale.end and standing.state in LIVE
        return Answer({"tracking": papers.tracking(sale.order_id, self.sell, running=running)})

    def _rate(self, message: Message, standing: Standing, now: float) -> Answer:  # noqa: ARG002 - as the others
        ratings = message.plain["message"]["ratingInputs"]
        sale = self.sales.get(standing.transaction_id)
        for at, one in enumerate(ratings):
            target = one["target"].get("id", standing.contract_id)
            if target not in {standing.contract_id, self.node.us.id}:
                raise Refusal(
                    Code.BIZ_RATING_TARGET_NOT_FOUND,
                    "expected the order's id, or ours",
                    f"$.message.ratingInputs[{at}].target.id",
                )
        values = [one["range"]["value"] for one in ratings]
        if sale is not None and values:
            self.sales.save(replace(sale, rating=float(values[-1])))
        return Answer({"ratings": ratings})

    def _support(self, message: Message, standing: Standing, now: float) -> Answer:  # noqa: ARG002 - as the others
        return Answer({"support": papers.support(standing.contract_id, self.sell)})

    # ---- checks and quotes

    def _sale(self, standing: Standing) -> Sale:
        sale = self.sales.get(standing.transaction_id)
        if sale is None:
            raise Refusal(Code.BIZ_ORDER_NOT_FOUND, "nothing was sold in this transaction")
        return sale

    def _check_id(self, standing: Standing) -> None:
        name = standing.contract_id
        other = self.account.sale_of(name)
        if (
            not name.isprintable()
            or len(name) > _MAX_ID
            or (other is not None and other.transaction_id != standing.transaction_id)
        ):
            raise Refusal(
                Code.BIZ_GENERIC_ERROR, "the contract's id is taken, or no id; send a new UUID"
            )

    def _check_day(self, wanted: Mapping[int, int], standing: Standing) -> None:
        if not self.sell.max_per_day:
            return
        others = self.account.activations(min(wanted), standing.transaction_id)
        if others >= self.sell.max_per_day:
            raise Refusal(
                Code.BIZ_FULFILLMENT_UNAVAILABLE,
                f"{others} activations are sold on that day; {self.sell.max_per_day} are the most",
            )

    def _quote(
        self,
        message: Message,
        watts: Mapping[int, int],
        price: Mapping[int, float],
        slot_seconds: int,
        status: str = "DRAFT",
    ) -> Answer:
        quote = papers.quoted(
            message.plain_contract,
            watts,
            price,
            slot_seconds,
            penalty=self.sell.shortfall_penalty,
            status=status,
        )
        return Answer({"contract": quote}, schema_context=papers.SCHEMAS)


_CLOSED = frozenset({SaleState.RELEASING, SaleState.RELEASED, SaleState.OVER})
