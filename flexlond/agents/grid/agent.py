"""The Grid Orchestrator at its place on the market: whom it knows, when it looks, what it answers to people.

Law: everything durable is in the journal's file; this holds the clockwork only. Warnings and the needs file are
looked at beside the turns, so a service that hangs delays no order. A fault of one turn is logged and the next
comes all the same. People ask for what it would pick (nothing is bought by asking), give needs, and cancel.
Epoch seconds; kW; GBP. Source: our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from flexlond.agents.grid import papers
from flexlond.agents.grid.buyer import Buyer
from flexlond.agents.grid.choosing import Choice, Question, choose, left_of, usable
from flexlond.agents.grid.needs import NeedError, Wanted, of_file, of_operator
from flexlond.agents.grid.orchestrator import Orchestrator
from flexlond.agents.grid.records import Lot, Need, Records
from flexlond.agents.grid.tender import Tender
from flexlond.agents.grid.views import DiscoverView, NeedView, discover_view, need_view
from flexlond.beckn.contract.machine import LocalViolation
from flexlond.beckn.wire.actions import Role
from flexlond.model.series import Kind
from flexlond.model.timegrid import TimeGrid
from flexlond.signals.stress import StressHub
from flexlond.signals.stress_sources import make_stress_source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from flexlond.agents.inquiry import Hub
    from flexlond.agents.market.port import Place
    from flexlond.beckn.node.desk import Business
    from flexlond.model.settings import Settings

EVERY = 1.0  # seconds between two turns
LOOK_EVERY = 2.0  # between two looks at who is due to be asked for warnings
MOST_NEED_BYTES = 1024 * 1024

_log = structlog.get_logger(__name__)


class GridAgent:
    """One buyer of flexibility for a grid."""

    def __init__(
        self,
        settings: Settings,
        hub: Hub,
        clock: Callable[[], float] = time.time,
        *,
        watches: bool = True,
    ) -> None:
        """`watches`: whether warnings and the needs file make needs."""
        self._watches = watches
        self.but: frozenset[str] = frozenset()  # sellers of whom it does not buy
        self._settings = settings
        self._hub = hub
        self._clock = clock
        self._buyer = Buyer(
            settings.market.buy.silent_seconds, takes_published=settings.market.buy.take_published
        )
        self.tender = Tender(settings.market.buy)
        self._stress = StressHub(settings.market.buy, make_stress_source)
        self._place: Place | None = None
        self._work: Orchestrator | None = None
        self._wakes: list[Callable[[], None]] = []
        self._file_seen: tuple[int, int] = (0, 0)
        self.file_error = ""

    # ---- the port of the market

    def business(self, role: Role) -> Business:
        """The buyer's as BAP; as BPP it publishes its needs."""
        return self._buyer if role is Role.BAP else self.tender

    def join(self, places: Mapping[Role, Place]) -> None:
        """Its place is ready, or both."""
        place = places[Role.BAP]
        self._buyer.open(place.node, Records(place.node.journal.database))
        self._place = place
        self._work = Orchestrator(
            place.node,
            self._buyer,
            self._settings.market.buy,
            self._settings.grid.slot_seconds,
            carbon=self.carbon,
        )
        if Role.BPP in places:
            self.tender.join(places[Role.BPP], self._buyer.records)
            self.but |= {places[Role.BPP].node.us.id}
            self._work.won = self.tender.won
            self._wakes.append(places[Role.BPP].wake)
        self._wakes.append(place.wake)
        self._know()

    async def run(self) -> None:
        """Look and buy until cancelled."""
        looking = asyncio.create_task(self._look())
        try:
            while True:
                await self._turn()
                await asyncio.sleep(EVERY)
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
            await self._stress.close()

    def take(self, settings: Settings) -> None:
        """Take over checked settings: weights, budgets, levels; other warnings are asked from now on."""
        if settings.market.buy != self._settings.market.buy:
            self._stress = StressHub(settings.market.buy, make_stress_source)
        self._settings = settings
        self._buyer.silent = settings.market.buy.silent_seconds
        self.tender.settings = settings.market.buy
        self._buyer.takes_published = settings.market.buy.take_published
        self._buyer.reach.patience = settings.market.buy.silent_seconds
        if self._work is not None:
            self._work.settings = settings.market.buy
            self._work.slot_seconds = settings.grid.slot_seconds
        self._file_seen = (0, 0)

    # ---- what it does by itself

    async def _turn(self) -> None:
        now = self._clock()
        try:
            self._know()
            known = self._watches and not self._stress.unknown()
            await self.work.turn(now, self._stress.notices(int(now)), known=known)
            if self.tender.is_open:
                self.tender.turn(now)
        except Exception:  # noqa: BLE001 - a full disk, say; nothing was promised, so the next turn tries again
            _log.error("buying turn failed", exc_info=True)
        for wake in self._wakes:
            wake()

    def _know(self) -> None:
        """The sellers are those of the trust file, as it is now."""
        found = self.place.peers(Role.BPP, self._clock())
        self._buyer.sellers = {one.id: one for one in found if one.id not in self.but}

    async def _look(self) -> None:
        while self._watches:
            now = self._clock()
            try:
                await self._stress.refresh(int(now))
                self._read_file(now)
            except Exception:  # noqa: BLE001 - as above
                _log.error("warnings not looked at", exc_info=True)
            await asyncio.sleep(LOOK_EVERY)

    def _read_file(self, now: float) -> None:
        """New needs of the file; what is wrong with it is said once."""
        name = self._settings.market.buy.needs_file
        if not name:
            return
        path = Path(name)
        try:
            stat = path.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
            if seen == self._file_seen:
                return
            raw = path.read_bytes() if stat.st_size <= MOST_NEED_BYTES else b"too large"
            found = of_file(raw, self._settings.market.buy, self._settings.grid.slot_seconds)
        except (OSError, NeedError) as error:
            self._say(f"{name}: {error}")
            return
        self._file_seen = seen
        self._say("")
        for wanted in found:
            if wanted.end > now:
                self.work.add(wanted, now)

    def _say(self, error: str) -> None:
        if error and error != self.file_error:
            _log.error("needs file not read", error=error)
        self.file_error = error

    # ---- what people ask

    async def would_pick(
        self, goal: str, kw: float, start: int, end: int, budget_gbp: float
    ) -> DiscoverView:
        """What it would take now, from catalogues as they are now; nothing is bought.

        `kw` 0: as much as there is; `start` and `end` 0: every slot that is on offer. Raises NeedError.
        """
        settings, now = self._settings.market.buy, self._clock()
        until = now + settings.discover_seconds
        while not self.work.discover(self._clock(), since=now) and self._clock() < until:
            self.place.wake()
            await asyncio.sleep(0.1)
        now = self._clock()
        listings = left_of(self._buyer.listings.values(), self._buyer.records.lots())
        listings = usable(listings, (), self._buyer.reachable(now), settings.min_certainty)
        seconds = self._settings.grid.slot_seconds
        slots = sorted(
            {at for one in listings for at, much in one.kw.items() if much > 0 and at > now}
        )
        if not (start and end):
            if not slots:
                return DiscoverView(
                    (), 0, seconds, math.nan, proven=False, goal=goal, skipped=self._why_not()
                )
            start, end = slots[0], min(slots[-1], slots[0] + 95 * seconds) + seconds
        start, end = start - start % seconds, end + -end % seconds
        most = sum(max(one.kw.values(), default=0.0) for one in listings)
        budget = settings.budget_gbp if budget_gbp < 0 else budget_gbp
        wanted = of_operator(
            "", kw or max(most, settings.lot_kw), start, end, budget, goal, seconds
        )
        question = Question(wanted, wanted.kw, budget, listings, now, self._series(wanted))
        choice: Choice = await asyncio.to_thread(choose, question, settings)
        return discover_view(wanted, choice, settings, self._why_not())

    def add_need(self, kw: float, start: int, end: int, budget_gbp: float, goal: str) -> NeedView:
        """A need of an operator's, widened to whole slots. Raises NeedError."""
        settings, now = self._settings.market.buy, self._clock()
        seconds = self._settings.grid.slot_seconds
        wanted = of_operator(
            f"operator:{uuid.uuid4()}",
            kw,
            start - start % seconds,
            end + -end % seconds,
            settings.budget_gbp if budget_gbp < 0 else budget_gbp,
            goal or settings.goal,
            seconds,
        )
        if wanted.start <= now + settings.lead_seconds:
            raise NeedError(
                f"it begins in {wanted.start - now:.0f} s; an order takes {settings.lead_seconds:g} s"
                " (market.buy.lead_seconds), so expected a later begin"
            )
        self.work.add(wanted, now)
        return need_view(Need(wanted, now), [], {})

    def needs(self) -> list[NeedView]:
        """All needs with what became of them, the earliest first."""
        found = []
        for need in self._buyer.records.needs():
            lots = self.work.lots(need.wanted.key)
            ids = {lot.transaction_id: self._order_id(lot) for lot in lots}
            found.append(need_view(need, lots, ids))
        return found

    def cancel(self, order_id: str) -> str:
        """Begin to cancel an order, by the contract's id; why not, empty for nothing."""
        lot = self._lot(order_id)
        if lot is None:
            return f"there is no order {order_id}: flexlonctl market needs has those there are"
        if self._buyer.records.lot(lot.transaction_id) is None:
            why = self.tender.call_off(lot.transaction_id, self._clock())
        else:
            why = self.work.cancel(lot.transaction_id, self._clock())
        for wake in self._wakes:
            wake()
        return why

    async def ask_seller(self, order_id: str, question: str) -> str:
        """What the seller of an order answers to `support` or `track`, in words. Raises NeedError."""
        lot = self._lot(order_id)
        if lot is None:
            raise NeedError(
                f"there is no order {order_id}: flexlonctl market needs has those there are"
            )
        if self._buyer.records.lot(lot.transaction_id) is None:
            raise NeedError("it was won by a bid: in that direction the site asks, and we answer")
        peer, now = self._buyer.sellers.get(lot.seller), self._clock()
        standing = self.place.node.journal.contracts.get(lot.transaction_id)
        if peer is None or standing is None:
            raise NeedError(f"{lot.seller} is not in the trust file")
        body = papers.question(question, standing, self.place.node.us.uri)
        try:
            asked = self.place.node.ask(question, peer, lot.transaction_id, body, now)
        except LocalViolation as error:
            raise NeedError(str(error)) from None
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._buyer.asked[asked] = answer.set_result
        self.place.wake()
        patience = self._settings.market.buy.discover_seconds
        try:
            async with asyncio.timeout(patience):
                return await answer
        except TimeoutError:
            return f"{lot.seller} did not answer within {patience:g} s"
        finally:
            self._buyer.asked.pop(asked, None)

    def unknown(self) -> tuple[str, ...]:
        """What of the warnings is not known now, and why."""
        return (*self._stress.unknown(), *((self.file_error,) if self.file_error else ()))

    def _why_not(self) -> tuple[str, ...]:
        silent = [name for name in self._buyer.sellers if name not in self._buyer.heard_from]
        return (
            *self._buyer.skipped,
            *(f"{name}: no catalogue yet" for name in silent),
        )

    def _lot(self, order_id: str) -> Lot | None:
        """Bought or won."""
        lots = self._buyer.records.lots()
        if self.tender.is_open:
            lots += self.tender.records.lots()
        for lot in reversed(lots):
            if order_id and self._order_id(lot) == order_id:
                return lot
        return None

    def _order_id(self, lot: Lot) -> str:
        nodes = [self.place.node, *([self.tender.node] if self.tender.is_open else [])]
        found = (node.journal.contracts.get(lot.transaction_id) for node in nodes)
        return next((one.contract_id for one in found if one is not None), "")

    # ---- parts

    def carbon(self, start: int, slot_seconds: int, count: int) -> NDArray[np.float64]:
        """(count,) g per kWh by slot from `start`; NaN where unknown."""
        grid = TimeGrid(start, slot_seconds, count)
        return self._hub.series(Kind.CARBON, grid, int(self._clock())).values

    def _series(self, wanted: Wanted) -> NDArray[np.float64]:
        return self.carbon(wanted.start, wanted.slot_seconds, 2 * len(wanted.kw) + 48)

    @property
    def place(self) -> Place:
        """Its place; there after `join`."""
        if self._place is None:
            raise RuntimeError("it has not joined the market yet")
        return self._place

    @property
    def work(self) -> Orchestrator:
        """The turns; there after `join`."""
        if self._work is None:
            raise RuntimeError("it has not joined the market yet")
        return self._work
