"""A site on the market: it sells as BPP, bids as BAP, or both; and what people may ask of it, at one place.

Law: implements port.MarketAgent. Both sides promise of the same works, in one account. A fault of the works in
one turn is logged and the next turn tries again; a fault of a journal leaves `run` and the places are made
anew. Nothing here waits while a transaction is open. Epoch seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from flexlond.agents.bidding.bidder import Bidder
from flexlond.agents.bidding.turn import Turns
from flexlond.agents.market import shown
from flexlond.agents.market.account import Account
from flexlond.agents.market.keeper import Keeper
from flexlond.agents.market.publishing import Publisher
from flexlond.agents.market.sales import SaleState
from flexlond.agents.market.seller import Seller
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flexlond.agents.market.port import Place
    from flexlond.agents.market.side import Side
    from flexlond.agents.market.works import Works
    from flexlond.agents.market_ports import OffersView, OrderView
    from flexlond.agents.witness import Notary
    from flexlond.beckn.node.desk import Business
    from flexlond.model.settings import Settings

TURN_SECONDS = 1.0


class SellerAgent:
    """A seller that keeps what it sells by `works`."""

    def __init__(
        self,
        settings: Settings,
        works: Works,
        clock: Callable[[], float] = time.time,
        *,
        notary: Notary | None = None,
    ) -> None:
        """`notary` is the ledger, where one is kept: its newest checkpoint goes along with a status."""
        account = Account(works)
        self.seller = Seller(works, settings.market.sell, notary, account)
        self.bidder = Bidder(works, settings.market.sell, settings.market.bid, account)
        self.keeper = Keeper(self.seller)
        self._account = account
        self._clock = clock
        self._places: Mapping[Role, Place] = {}
        self._bids: Turns | None = None
        self._keepers: list[Keeper] = []
        self._woken = asyncio.Event()

    def business(self, role: Role) -> Business:
        """The seller's as BPP, the bidder's as BAP."""
        return self.seller if role is Role.BPP else self.bidder

    def join(self, places: Mapping[Role, Place]) -> None:
        """Take the places: either or both."""
        self._places = places
        if Role.BPP in places:
            self.seller.join(places[Role.BPP].node)
            self.seller.publisher = Publisher(self.seller, places[Role.BPP], self._clock())
            self._keepers.append(self.keeper)
        if Role.BAP in places:
            self.bidder.join(places[Role.BAP].node)
            self._bids = Turns(self.bidder, places[Role.BAP])
            self._keepers.append(Keeper(self.bidder))

    @property
    def sides(self) -> Sequence[Side]:
        """Those that have a place."""
        return self._account.sides

    async def run(self) -> None:
        """Turn until cancelled; the envelope is asked for beside, for it may take minutes."""
        for keeper in self._keepers:
            await keeper.restore(self._clock())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._refresh())
            group.create_task(self._turns())

    async def _refresh(self) -> None:
        while True:
            await self.seller.works.refresh(self._clock())
            await asyncio.sleep(self.seller.sell.refresh)

    async def _turns(self) -> None:
        while True:
            self._woken.clear()
            if await self.turn():
                self._wake()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), TURN_SECONDS)

    async def turn(self) -> bool:
        """Everything that is next on both sides; whether something was written for a node."""
        done = False
        for keeper in self._keepers:
            done |= await keeper.turn(self._clock())
        if self._bids is not None:
            done |= self._bids.turn(self._clock())
        return self.publish() or done

    def publish(self) -> bool:
        """Give the catalogue out where that is due; whether something was written for the node."""
        found = self.seller.publisher
        return found is not None and found.turn(self._clock())

    def take(self, settings: Settings) -> None:
        """Take over [market.sell] and [market.bid]."""
        self.seller.sell = self.bidder.sell = settings.market.sell
        self.seller.works.sell = settings.market.sell
        self.bidder.bid = settings.market.bid

    # ---- what people ask

    def offers(self) -> OffersView:
        """What is for sale."""
        return shown.offers(self.seller.works, self._account, self._clock())

    def orders(self) -> tuple[OrderView, ...]:
        """Every order, won or sold, without its slots and events."""
        found = (one for side in self.sides for one in shown.orders(side, self._clock()))
        return tuple(sorted(found, key=lambda one: one.created))

    def unbid(self) -> tuple[str, ...]:
        """Needs that were published and why there is no bid into them."""
        if self._bids is None:
            return ()
        needs = self.bidder.needs
        return tuple(
            f"{needs[key].name} of {key[0]}: {why}"
            for key, why in self._bids.why_not.items()
            if key in needs
        )

    def order(self, order_id: str) -> OrderView | None:
        """One order, by its id or the beginning of it."""
        found = shown.find(self.sides, order_id)
        return None if found is None else shown.order(*found, self._clock())

    def decide(self, order_id: str, *, accept: bool, by: str) -> tuple[bool, str]:
        """Accept or reject a pending order; whether it was done, and what is in force now."""
        found = shown.find(self.sides, order_id)
        if found is None:
            return False, f"there is no order {order_id}: flexlonctl orders has those there are"
        side, sale = found
        if sale.state is not SaleState.PENDING:
            return False, f"the order is {sale.state.value}, not pending: nothing was changed"
        if accept:
            try:
                side.accept(sale, self._clock())
            except Refusal as refusal:
                return False, f"it cannot be kept any more ({refusal}): nothing was changed"
            self._wake()
            self._woken.set()
            if side.kind == "bid":
                return True, f"accepted by {by}: the bid is confirmed to the grid"
            return True, f"accepted by {by}: it is put into force, then the buyer is told"
        side.refuse(sale, Code.POL_ENGAGEMENT_REFUSED, "the site refused the order")
        self._wake()
        if side.kind == "bid":
            return True, f"rejected by {by}: the bid is let go"
        return True, f"rejected by {by}: the buyer is told"

    def _wake(self) -> None:
        for place in self._places.values():
            place.wake()
