"""The Grid Orchestrator's turn: look at the needs, ask the sellers, buy what is open, follow what was bought.

Law: level-triggered: every turn compares what is wanted with what covers it and does the next thing, so a
restart at any point goes on where it was. One split at a time; what it found is bought only if the need is
still open as it was, in one transaction with the requests. Never above the budget of a need, counting orders
in doubt as spent. A lot in doubt is asked about, and what becomes surplus is cancelled. Nothing here may wait
within a transaction. Epoch seconds. Source: our own.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

import structlog

from flexlond.agents.grid import papers
from flexlond.agents.grid.choosing import Choice, Question, choose, left_of, usable
from flexlond.agents.grid.needs import Wanted, of_notices, open_kw
from flexlond.agents.grid.records import (
    COVERING,
    LIVE,
    UNREACHABLE,
    UNTOLD,
    Lot,
    LotState,
    Need,
    NeedState,
)
from flexlond.agents.grid.told import not_counted, untold
from flexlond.beckn.contract.machine import LocalViolation
from flexlond.beckn.contract.table import State
from flexlond.model.buy_settings import StressKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from flexlond.agents.grid.buyer import Buyer
    from flexlond.agents.grid.listings import Listing
    from flexlond.beckn.node.node import Node
    from flexlond.model.buy_settings import BuySettings
    from flexlond.signals.stress import Notice

SOURCES = frozenset(get_args(StressKind))  # of notices
SURPLUS = 0.05  # share of a lot that may be too much before it is cancelled
INTENT = {"intent": {"textSearch": "flexibility"}}

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Orchestrator:
    """One buyer at work. `carbon`: g per kWh from a moment on, by slot; NaN where unknown."""

    node: Node
    buyer: Buyer
    settings: BuySettings
    slot_seconds: int
    carbon: Callable[[int, int, int], NDArray[np.float64]]
    choose: Callable[..., Choice] = choose
    won: Callable[[str], list[Lot]] | None = None  # by bids for a need, where needs are published
    _asked: dict[str, tuple[float, int]] = field(default_factory=dict)  # last discover, silences
    _nothing: dict[str, tuple[Any, ...]] = field(
        default_factory=dict
    )  # the question that bought nothing
    _called_off: dict[str, float] = field(default_factory=dict)  # by transaction, when last

    # ---- one turn

    async def turn(
        self, now: float, notices: Sequence[Notice] = (), *, known: bool = False
    ) -> None:
        """Do what is next for every need; `known`: there are no other notices than these."""
        self.take(notices, now)
        if known:
            self._stand_down({one.key for one in notices}, now)
        self.follow(now)
        for need in self.buyer.records.needs(NeedState.OPEN):
            await self._buy(need, now)

    def lots(self, key: str) -> list[Lot]:
        """All that covers a need: bought of sellers, or won by bids."""
        return [*self.buyer.records.lots(key), *(self.won(key) if self.won else ())]

    def _bids_until(self, need: Need) -> float:
        """Until then a need is open to bids alone: half of the time that it leaves at most."""
        if self.won is None:
            return 0.0
        half = max(0.0, need.wanted.start - need.created) / 2.0
        return need.created + min(self.settings.bids_first_seconds, half)

    def take(self, notices: Sequence[Notice], now: float) -> None:
        """New notices become needs."""
        records = self.buyer.records
        standing = [one.wanted for one in records.needs()]
        for wanted in of_notices(notices, standing, self.settings, self.slot_seconds, int(now)):
            self.add(wanted, now)

    def _stand_down(self, keys: set[str], now: float) -> None:
        """A notice that was withdrawn buys no more; what was bought for it stays."""
        records = self.buyer.records
        for need in records.needs(NeedState.OPEN):
            wanted = need.wanted
            if wanted.source not in SOURCES or wanted.key in keys or now >= wanted.end:
                continue
            bought = bought_kw(self.lots(wanted.key))
            kw = tuple(
                min(one, bought.get(at, 0.0))
                for at, one in zip(wanted.starts(), wanted.kw, strict=True)
            )
            if kw != wanted.kw:
                with self.node.journal.transaction():
                    records.want(wanted.key, kw, "the notice was withdrawn")

    def add(self, wanted: Wanted, now: float) -> bool:
        """A need of whoever; False where it is known already."""
        with self.node.journal.transaction():
            added = self.buyer.records.add_need(wanted, now)
        if added:
            _log.info("need", source=wanted.source, words=wanted.words, kw=max(wanted.kw))
        return added

    # ---- what was bought

    def follow(self, now: float) -> None:
        """Ask about what is in doubt, cancel what is too much, close what is over."""
        for lot in self.buyer.records.live():
            with self.node.journal.transaction():
                self._look_after(lot, now)
        for need in self.buyer.records.needs(NeedState.OPEN):
            lots = self.lots(need.wanted.key)
            with self.node.journal.transaction():
                self._surplus(need, lots, now)
                if now >= need.wanted.end and not any(lot.state in LIVE for lot in lots):
                    self.buyer.records.note(need.wanted.key, _summary(need, lots), NeedState.CLOSED)

    def _look_after(self, lot: Lot, now: float) -> None:
        standing = self.node.journal.contracts.get(lot.transaction_id)
        if standing is None or (standing.state is State.CANCELLED):
            self.buyer.records.move(lot, LotState.LOST, now, lot.why or "it was never sent")
            return
        waited = now - lot.at
        confirming = standing.state is State.CONFIRMING
        if confirming and lot.state is LotState.ASKED and waited > self.settings.confirm_seconds:
            lot = self.buyer.records.move(
                lot, LotState.DOUBTFUL, now, "the seller does not answer the confirm"
            )
            self._ask_about(lot, now)
        elif (
            confirming and lot.state is LotState.DOUBTFUL and waited > self.settings.silent_seconds
        ):
            self._ask_about(lot, now)
        elif lot.state is LotState.ORDERED and now <= lot.end:
            self._keep_in_touch(lot, now)
        elif lot.state is LotState.ORDERED and now > lot.end + lot.slot_seconds:
            self.buyer.reach.forget(lot.transaction_id)
            patience = max(self.settings.silent_seconds, lot.slot_seconds)
            if waited > patience:
                self._ask_about(lot, now)

    def _keep_in_touch(self, lot: Lot, now: float) -> None:
        """From a slot before it begins a seller is asked; what it does not answer for is not counted with.

        So is one that answers and has told nothing of a slot that is over for another one.
        """
        reach = self.buyer.reach
        open_ = [at for at in lot.kw if at not in lot.told]
        why = ""
        if reach.silent(lot.seller, now):
            why = UNREACHABLE
        elif untold(lot, now, self.settings.silent_seconds):
            why = UNTOLD
        if why and any(lot.covers(at) for at in open_):
            lot = not_counted(lot, why)
            self.buyer.records.save(lot)
            _log.warning("an order is not counted with", seller=lot.seller, why=why)
        begun = now >= min(lot.kw) - lot.slot_seconds
        if open_ and begun and reach.due(lot.seller, lot.transaction_id, now):
            self._ask_about(lot, now)
            reach.asked(lot.seller, lot.transaction_id, now)

    def _ask_about(self, lot: Lot, now: float) -> None:
        standing = self.node.journal.contracts.get(lot.transaction_id)
        peer = self.buyer.sellers.get(lot.seller)
        self.buyer.records.save(replace(lot, at=now))
        if standing is not None and peer is not None:
            self.node.ask_again(peer, standing, now)

    def _surplus(self, need: Need, lots: list[Lot], now: float) -> None:
        """A lot that others cover too (it was in doubt and stands after all) is cancelled, the newest first."""
        wanted = dict(zip(need.wanted.starts(), need.wanted.kw, strict=True))
        bought = bought_kw(lots)
        for lot in sorted(lots, key=lambda one: -one.created):
            if self.buyer.records.lot(lot.transaction_id) is None:
                continue  # it was won by a bid
            last = self._called_off.get(lot.transaction_id, -math.inf)
            if now - last < self.settings.silent_seconds:
                return  # what it comes to is not known yet, or it was refused
            if lot.state is not LotState.ORDERED or min(lot.kw) <= now:
                continue
            over = [bought.get(at, 0.0) - wanted.get(at, 0.0) for at in lot.kw]
            if (
                min(
                    extra - kw * (1 - SURPLUS)
                    for extra, kw in zip(over, lot.kw.values(), strict=True)
                )
                >= 0.0
            ):
                self.cancel(lot.transaction_id, now)
                return

    def cancel(self, transaction_id: str, now: float) -> str:
        """Begin to cancel an order (the preview); what keeps it from that, empty for nothing."""
        lot = self.buyer.records.lot(transaction_id)
        standing = self.node.journal.contracts.get(transaction_id)
        if lot is None or standing is None:
            return "there is no such order"
        peer = self.buyer.sellers.get(lot.seller)
        if peer is None:
            return f"{lot.seller} is not in the trust file"
        if standing.is_ended:
            return f"the order is {standing.state.value} already"
        asked = self.buyer.cancels.get(transaction_id, -math.inf)
        if now - asked < self.settings.silent_seconds or standing.state is State.CANCELLING:
            return ""  # under way; the digest of a second preview would not be the one that is confirmed
        body = papers.again(standing)
        try:
            self.node.ask("cancel", peer, transaction_id, body, now, try_=True)
        except LocalViolation as error:
            return str(error)
        self.buyer.cancels[transaction_id] = self._called_off[transaction_id] = now
        self.buyer.records.save(replace(lot, at=now))
        return ""

    # ---- buying

    async def _buy(self, need: Need, now: float) -> None:
        wanted, records = need.wanted, self.buyer.records
        lots = self.lots(wanted.key)
        open_ = open_kw(wanted, bought_kw(lots))
        if now < self._bids_until(need):
            return
        soonest = now + self.settings.lead_seconds
        if not any(
            kw >= self.settings.lot_kw and at >= soonest
            for at, kw in zip(wanted.starts(), open_, strict=True)
        ):
            return
        lost_at = max((lot.at for lot in lots if lot.state not in COVERING), default=0.0)
        if not self.discover(now, since=lost_at):
            return
        listings = usable(
            left_of(self.buyer.listings.values(), records.lots()),
            lots,
            self.buyer.reachable(now),
            self.settings.min_certainty,
        )
        signature = (tuple(open_), tuple((one.key, one.received) for one in listings))
        if self._nothing.get(wanted.key) == signature:
            return
        left = wanted.budget_gbp - spent_gbp(lots)
        question = Question(wanted, open_, left, listings, now, self._carbon(wanted))
        choice = await asyncio.to_thread(self.choose, question, self.settings)
        if not self._take(wanted, open_, choice, now):
            self._nothing[wanted.key] = signature

    def _take(self, wanted: Wanted, open_: list[float], choice: Choice, now: float) -> bool:
        """Ask for what was chosen, if the need is still as open as it was; False for nothing to ask for."""
        starts, records = wanted.starts(), self.buyer.records
        with self.node.journal.transaction():
            if open_kw(wanted, bought_kw(self.lots(wanted.key))) != open_:
                return True
            asked = 0
            for row, listing in enumerate(choice.listings):
                kw = choice.taken(row, starts)
                if kw and listing.seller in self.buyer.sellers:
                    self._select(wanted, listing, kw, now)
                    asked += 1
            open_now = float(choice.open_kw.max(initial=0.0))
            note = f"asked {asked} seller(s) for {choice.cost_gbp:.2f} GBP"
            if open_now >= self.settings.lot_kw:
                note += f"; up to {open_now:.2f} kW of a slot are with nobody"
            records.note(wanted.key, note)
        return asked > 0

    def _select(self, wanted: Wanted, listing: Listing, kw: dict[int, float], now: float) -> None:
        transaction_id = str(uuid.uuid4())
        price = {at: listing.price[at] for at in kw}
        lot = Lot(
            transaction_id,
            wanted.key,
            listing.seller,
            listing.resource,
            listing.offer,
            listing.slot_seconds,
            kw,
            price,
            now,
            at=now,
        )
        self.buyer.records.save(lot)
        body = papers.selection(self.node.us.id, listing, kw, self.settings.penalty_gbp_per_kwh)
        peer = self.buyer.sellers[listing.seller]
        self.node.ask("select", peer, transaction_id, body, now, schema_context=papers.SCHEMAS)
        self.buyer.limit(transaction_id, now)

    def discover(self, now: float, *, since: float = 0.0) -> bool:
        """Ask sellers whose catalogue is old, or older than `since`; whether all answered, or had their time.

        A seller that does not answer is waited for once, and asked less and less often.
        """
        waiting = False
        settings = self.settings
        longest = max(settings.refresh_seconds, 8.0 * settings.discover_seconds)
        for name, peer in self.buyer.sellers.items():
            silent = self.buyer.reach.silent(name, now)
            heard = self.buyer.heard_from.get(name, -1.0)
            if heard > since and now - heard < settings.refresh_seconds:
                continue
            asked, silences = self._asked.get(name, (-math.inf, 0))
            if heard >= asked:
                silences = 0
            if now - asked >= min(settings.discover_seconds * 2.0 ** min(silences, 8), longest):
                self.node.ask("discover", peer, str(uuid.uuid4()), INTENT, now)
                self._asked[name] = (now, silences + 1)
                waiting |= silences == 0 and not silent
            else:
                late = now - asked >= settings.discover_seconds
                waiting |= heard < asked and silences <= 1 and not late and not silent
        return not waiting

    def _carbon(self, wanted: Wanted) -> NDArray[np.float64]:
        return self.carbon(wanted.start, wanted.slot_seconds, 2 * len(wanted.kw) + 48)


def bought_kw(lots: Sequence[Lot]) -> dict[int, float]:
    """KW by slot that lots are counted with."""
    total: dict[int, float] = {}
    for lot in lots:
        for at in lot.kw:
            total[at] = total.get(at, 0.0) + lot.covers(at)
    return total


def spent_gbp(lots: Sequence[Lot]) -> float:
    """What lots cost at most: those in doubt whole, of lost ones what was delivered."""
    total = 0.0
    for lot in lots:
        if lot.state is not LotState.LOST:
            total += lot.cost_gbp
        else:
            hours = lot.slot_seconds / 3600.0
            total += sum(lot.kw[at] * lot.price[at] for at in lot.told if at in lot.kw) * hours
    return total


def _summary(need: Need, lots: Sequence[Lot]) -> str:
    starts = need.wanted.starts()
    given = [
        sum(
            min(lot.kw[at], max(0.0, lot.told[at].delivered))
            for lot in lots
            if at in lot.kw and at in lot.told
        )
        for at in starts
    ]
    hours = need.wanted.slot_seconds / 3600.0
    return (
        f"{sum(given) * hours:.3f} of {sum(need.wanted.kw) * hours:.3f} kWh wanted were delivered, in"
        f" {sum(lot.state is LotState.DONE for lot in lots)} order(s)"
    )
