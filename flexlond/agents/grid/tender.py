"""The Grid Orchestrator as BPP: it publishes what it needs, takes bids, follows and pays what was won.

Law: called within the journal's transaction and waits for nothing. A bid is taken within what is open of its
need and of the need's budget, counting what was bought of sellers and every bid that stands, in one account; so
nothing is bought twice. From init on it is counted, until it is confirmed or its draft ends. What came is what
the site's meter told of slots that are over. Epoch seconds, kW, GBP. Source: DEG's demand-flex direction.
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from flexlond.agents.grid import papers, tender_papers
from flexlond.agents.grid.needs import open_kw
from flexlond.agents.grid.orchestrator import bought_kw, spent_gbp
from flexlond.agents.grid.records import COVERING, UNTOLD, Lot, LotState, Need, NeedState, Records
from flexlond.agents.grid.told import not_counted, untold, with_told
from flexlond.beckn.contract.machine import LocalViolation
from flexlond.beckn.contract.table import LIVE, State
from flexlond.beckn.node.desk import Answer
from flexlond.beckn.wire import series
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flexlond.agents.market.port import Place
    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.node.node import Node
    from flexlond.beckn.wire.messages import Message
    from flexlond.model.buy_settings import BuySettings

PUBLISH_EVERY = 900.0  # a heartbeat, where nothing changes
_KW = 1e-3
_GBP = 1e-6
_SCHEMAS = (*papers.SCHEMAS, "https://schema.nfh.global/DemandFlexPerformance/v2.0/context.jsonld")
_log = structlog.get_logger()


@dataclass(slots=True)
class Tender:
    """The business of a BPP that needs flexibility."""

    settings: BuySettings
    _place: Place | None = None
    _records: Records | None = None  # what was won
    _bought: Records | None = None  # the buyer's: needs, and what was bought of sellers
    _shown: dict[str, dict[int, float]] = field(default_factory=dict)
    _to: tuple[str, ...] = ()
    _published: float = -math.inf

    def join(self, place: Place, bought: Records) -> None:
        """Its place, and the buyer's records."""
        self._place, self._bought = place, bought
        self._records = Records(place.node.journal.database)

    @property
    def node(self) -> Node:
        """Its node."""
        if self._place is None:
            raise RuntimeError("join first")
        return self._place.node

    @property
    def is_open(self) -> bool:
        """Whether needs are published here."""
        return self._records is not None

    @property
    def records(self) -> Records:
        """What was won by bids."""
        if self._records is None:
            raise RuntimeError("join first")
        return self._records

    def won(self, key: str) -> list[Lot]:
        """What was won for a need; nothing where no needs are published."""
        return self._records.lots(key) if self._records is not None else []

    # ---- the port of the desk

    def answer(self, message: Message, standing: Standing, now: float) -> Answer:
        """Decide a request."""
        decide: dict[str, Callable[[Message, Standing, float], Answer]] = {
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
        """It asks nothing but to take its catalogue."""
        if message.error is not None:
            _log.warning("needs not taken", by=standing.peer, code=message.error.code[:80])

    def ended(self, standing: Standing, now: float) -> None:
        """A bid that nobody went on with, or that was cancelled, covers nothing any more."""
        lot = self.records.lot(standing.transaction_id)
        if lot is not None and standing.state is State.CANCELLED and lot.state in COVERING:
            self.records.move(lot, LotState.LOST, now, lot.why or "the bid was not confirmed")

    # ---- what is open

    def open_kw(self, need: Need, but: str = "") -> dict[int, float]:
        """KW by slot that nobody covers; `but` is a transaction that does not count."""
        lots = [lot for lot in self._lots(need.wanted.key) if lot.transaction_id != but]
        kw = open_kw(need.wanted, bought_kw(lots))
        return dict(zip(need.wanted.starts(), kw, strict=True))

    def budget(self, need: Need, but: str = "") -> float:
        """GBP that are left of it."""
        lots = [lot for lot in self._lots(need.wanted.key) if lot.transaction_id != but]
        return need.wanted.budget_gbp - spent_gbp(lots)

    def _lots(self, key: str) -> list[Lot]:
        return [*self._needs.lots(key), *self.won(key)]

    @property
    def _needs(self) -> Records:
        if self._bought is None:
            raise RuntimeError("join first")
        return self._bought

    def _open(self, now: float) -> list[tuple[Need, dict[int, float], float]]:
        """Needs that can be bid into, with the open kW by slot and the last moment."""
        found = []
        for need in self._needs.needs(NeedState.OPEN):
            soonest = now + self.settings.lead_seconds
            kw = self.open_kw(need)
            shown = {
                at: round(one, 3) if at > soonest and one >= self.settings.lot_kw else 0.0
                for at, one in kw.items()
            }
            if any(shown.values()) and self.budget(need) > 0.0:
                last = max(at for at, one in shown.items() if one) - self.settings.lead_seconds
                found.append((need, shown, last))
        return found

    def catalogue(self, now: float) -> list[dict[str, Any]]:
        """What can be bid into now."""
        needs = [(need.wanted, kw, last) for need, kw, last in self._open(now)]
        us = (self.node.us.id, self.node.us.uri)
        chosen = self.settings
        return tender_papers.catalogue(us, needs, chosen.incentive, chosen.penalty_gbp_per_kwh, now)

    # ---- to an order

    def _discover(self, message: Message, standing: Standing, now: float) -> Answer:  # noqa: ARG002 - as the others
        return Answer({"catalogs": self.catalogue(now)}, schema_context=papers.SCHEMAS)

    def _select(self, message: Message, standing: Standing, now: float) -> Answer:
        """What of it would be taken."""
        need, asked = self._asked(message, now)
        open_ = self.open_kw(need, standing.transaction_id)
        hours, left = need.wanted.slot_seconds / 3600.0, self.budget(need, standing.transaction_id)
        kw: dict[int, float] = {}
        for at in sorted(asked):
            affordable = (
                left / (self.settings.incentive * hours) if self.settings.incentive else 1e9
            )
            most = math.floor(min(asked[at], open_.get(at, 0.0), affordable) / _KW + _GBP) * _KW
            if most >= min(self.settings.lot_kw, asked[at]):
                kw[at] = most
                left -= most * self.settings.incentive * hours
        if not kw:
            raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "nothing of it is needed any more")
        return self._taken(message, kw, need)

    def _init(self, message: Message, standing: Standing, now: float) -> Answer:
        """Count it, for as long as the draft stands."""
        need, kw = self._asked(message, now)
        txn, deadline = standing.transaction_id, now + self.node.settings.quote_seconds
        open_ = self.open_kw(need, txn)
        if any(value > open_.get(at, 0.0) + _KW for at, value in kw.items()):
            raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "more than is open of the need")
        name = tender_papers.name_of(need.wanted.key)
        lot = Lot(
            txn,
            need.wanted.key,
            standing.peer,
            name,
            name,
            need.wanted.slot_seconds,
            kw,
            dict.fromkeys(kw, self.settings.incentive),
            now,
            at=now,
        )
        if lot.cost_gbp > self.budget(need, txn) + _GBP:
            raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "more than the need's budget pays for")
        self.records.save(lot)
        return replace(self._taken(message, kw, need), deadline=deadline)

    def _confirm(self, message: Message, standing: Standing, now: float) -> Answer:
        lot = self.records.lot(standing.transaction_id)
        if lot is None or lot.state is LotState.LOST:
            raise Refusal(Code.BIZ_QUOTE_EXPIRED_OR_CHANGED, "there is no bid; select again")
        need, kw = self._asked(message, now)
        if set(kw) != set(lot.kw) or any(abs(kw[at] - lot.kw[at]) > _KW for at in kw):
            raise Refusal(Code.BIZ_PRICE_MISMATCH, "not the kW of the bid; init again")
        self.records.move(lot, LotState.ORDERED, now)
        _log.info("a bid is taken", need=need.wanted.words, seller=lot.seller, kw=max(kw.values()))
        return self._taken(message, lot.kw, need, "ACTIVE")

    def _asked(self, message: Message, now: float) -> tuple[Need, dict[int, float]]:
        """The need and kW by slot of a bid. Raises Refusal where it is not for one of ours, on our terms."""
        name = tender_papers.resource_of(message)
        needs = {
            tender_papers.name_of(one.wanted.key): one for one in self._needs.needs(NeedState.OPEN)
        }
        if name not in needs:
            raise Refusal(
                Code.BIZ_OFFER_NOT_FOUND, "there is no such need any more; discover again"
            )
        need = needs[name]
        kw = tender_papers.bid_of(message, need.wanted.slot_seconds)
        if set(kw) - set(need.wanted.starts()):
            raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "slots that are not the need's")
        kw = {at: value for at, value in kw.items() if at > now or message.action.name != "select"}
        if not kw or min(kw) <= now:
            raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "its slots have begun")
        for column, ours in (
            (series.PRICE, self.settings.incentive),
            (series.SHORTFALL_PENALTY, self.settings.penalty_gbp_per_kwh),
        ):
            said = tender_papers.asked_terms(message, column)
            if any(abs(value - ours) > _GBP for value in said):
                raise Refusal(Code.BIZ_PRICE_MISMATCH, f"{column} has changed; discover again")
        return need, kw

    def _taken(
        self, message: Message, kw: Mapping[int, float], need: Need, status: str = "DRAFT"
    ) -> Answer:
        contract = tender_papers.taken(message.plain_contract, kw, need.wanted, status)
        return Answer({"contract": contract}, schema_context=papers.SCHEMAS)

    # ---- an order in force

    def _status(self, message: Message, standing: Standing, now: float) -> Answer:
        """Take what the site tells, and say how we have it."""
        known = json.loads(standing.body or b"null") or message.plain_contract
        lot = self.records.lot(standing.transaction_id)
        told = message.plain_contract.get("performance")
        if lot is None or not told or standing.state not in LIVE:
            return Answer({"contract": known})
        self.records.save(replace(with_told(lot, message, now), at=now))
        return Answer({"contract": {**known, "performance": told}}, schema_context=_SCHEMAS)

    def _update(self, message: Message, standing: Standing, now: float) -> Answer:  # noqa: ARG002 - as the others
        raise Refusal(
            Code.POL_UPDATE_NOT_ALLOWED,
            "tell what will come by status, with USAGE_FORECAST; or cancel, and bid anew",
        )

    def _cancel(self, message: Message, standing: Standing, now: float) -> Answer:
        """Before its first slot."""
        lot = self.records.lot(standing.transaction_id)
        if lot is None:
            raise Refusal(Code.BIZ_ORDER_NOT_FOUND, "nothing was won in this transaction")
        if now >= min(lot.kw):
            raise Refusal(Code.POL_CANCELLATION_NOT_ALLOWED, "the first slot has begun")
        contract = message.plain_contract
        if message.envelope.try_:
            return Answer({"contract": contract})
        why = str(contract.get("descriptor", {}).get("shortDesc", ""))[:200]
        self.records.move(lot, LotState.LOST, now, f"cancelled by the site: {why or 'no reason'}")
        closed = [
            {**one, "status": {"descriptor": {"code": "CLOSED"}}} for one in contract["commitments"]
        ]
        return Answer({"contract": {**contract, "commitments": closed}})

    def _track(self, message: Message, standing: Standing, now: float) -> Answer:  # noqa: ARG002 - as the others
        raise Refusal(Code.BIZ_TRACKING_NOT_SUPPORTED, "its progress is told by on_status")

    def _rate(self, message: Message, standing: Standing, now: float) -> Answer:  # noqa: ARG002 - as the others
        return Answer({"ratings": message.plain["message"]["ratingInputs"]})

    def _support(self, message: Message, standing: Standing, now: float) -> Answer:  # noqa: ARG002 - as the others
        said = {"name": f"Support of {self.node.us.id}", "shortDesc": "no channel is configured"}
        return Answer({"support": {"orderId": standing.contract_id, "descriptor": said}})

    # ---- what it does by itself

    def turn(self, now: float) -> None:
        """Follow what was won, end what is over, publish what is open."""
        for lot in self.records.live():
            if lot.state is LotState.ORDERED:
                with self.node.journal.transaction():
                    self._follow(lot, now)
        self._publish(now)

    def _follow(self, lot: Lot, now: float) -> None:
        late = now > lot.end + lot.slot_seconds + self.settings.confirm_seconds
        if now >= lot.end and (late or set(lot.told) >= set(lot.kw)):
            self._complete(lot, now)
        elif lot.why != UNTOLD and untold(lot, now, self.settings.silent_seconds):
            self.records.save(not_counted(lot, UNTOLD))
            _log.warning("a bid is not counted with", seller=lot.seller, why=UNTOLD)

    def _complete(self, lot: Lot, now: float) -> None:
        standing = self.node.journal.contracts.get(lot.transaction_id)
        if standing is None or standing.state is not State.ACTIVE:
            return
        contract = json.loads(standing.body)
        contract = tender_papers.settled(contract, lot, self.settings.penalty_gbp_per_kwh)
        contract["status"] = {"code": "COMPLETE"}
        closed = {"descriptor": {"code": "CLOSED"}}
        contract["commitments"] = [{**one, "status": closed} for one in contract["commitments"]]
        rating = 1 + int(
            4 * lot.share + 0.5
        )  # for ourselves: in this direction a BPP cannot say it
        self.records.save(replace(lot, state=LotState.DONE, at=now, rating=rating))
        self.node.push("on_status", lot.transaction_id, {"contract": contract}, now)

    def call_off(self, transaction_id: str, now: float) -> str:
        """Cancel what was won; what keeps it from that, empty for nothing."""
        lot = self.records.lot(transaction_id)
        standing = self.node.journal.contracts.get(transaction_id)
        if lot is None or standing is None or standing.is_ended:
            return "the order has ended already"
        if now >= min(lot.kw):
            return "its first slot has begun"
        contract = {**json.loads(standing.body), "status": {"code": "ACTIVE"}}
        contract["descriptor"] = {"code": "GRID_CANCELLED", "shortDesc": "not needed any more"}
        try:
            with self.node.journal.transaction():
                self.records.move(lot, LotState.LOST, now, "cancelled by an operator")
                self.node.push("on_cancel", transaction_id, {"contract": contract}, now)
        except LocalViolation as error:
            return str(error)
        return ""

    def _publish(self, now: float) -> None:
        """Give the needs out where they have changed, and as a heartbeat."""
        place, names = self._place, self.settings.publish_to
        if place is None or not names:
            self._to = ()
            return
        shown = {need.wanted.key: kw for need, kw, _ in self._open(now)}
        late = shown and now - self._published >= PUBLISH_EVERY
        if shown == self._shown and names == self._to and not late:
            return
        us = (self.node.us.id, self.node.us.uri)
        catalogs = self.catalogue(now) or tender_papers.withdrawn(us, now)
        directives = [
            {"catalogId": one["id"], "catalogType": "REGULAR", "updateMode": "FULL"}
            for one in catalogs
        ]
        body = {"catalogs": catalogs, "publishDirectives": directives}
        known = {one.id: one for one in place.peers(Role.BAP, now)}
        for name in names:
            if name not in known:
                _log.warning("needs not published: no BAP of the trust file", to=name)
                continue
            self.node.ask(
                "catalog/publish",
                known[name],
                str(uuid.uuid4()),
                body,
                now,
                schema_context=papers.SCHEMAS,
            )
        self._shown, self._to, self._published = shown, names, now
