"""Compute-Flex as a seller on the market: business, keeper and what people may ask of it, at one place.

Law: implements port.MarketAgent. A fault of the works in one turn is logged and the next turn tries again; a
fault of the journal leaves `run` and the place is made anew. Nothing here waits while a transaction is open.
Epoch seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from flexlond.agents.market import shown
from flexlond.agents.market.keeper import Keeper
from flexlond.agents.market.publishing import Publisher
from flexlond.agents.market.sales import SaleState
from flexlond.agents.market.seller import Seller
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flexlond.agents.market.port import Place
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
        self.seller = Seller(works, settings.market.sell, notary)
        self.keeper = Keeper(self.seller)
        self._clock = clock
        self._place: Place | None = None
        self._woken = asyncio.Event()

    def business(self, role: Role) -> Business:  # noqa: ARG002 - it has one
        """The seller's."""
        return self.seller

    def join(self, places: Mapping[Role, Place]) -> None:
        """Take the place."""
        self._place = places[Role.BPP]
        self.seller.join(self._place.node)
        self.seller.publisher = Publisher(self.seller, self._place, self._clock())

    async def run(self) -> None:
        """Turn until cancelled; the envelope is asked for beside, for it may take minutes."""
        await self.keeper.restore(self._clock())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._refresh())
            group.create_task(self._turn())

    async def _refresh(self) -> None:
        while True:
            await self.seller.works.refresh(self._clock())
            await asyncio.sleep(self.seller.sell.refresh)

    async def _turn(self) -> None:
        while True:
            self._woken.clear()
            if await self.keeper.turn(self._clock()) | self.publish():
                self._wake()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), TURN_SECONDS)

    def publish(self) -> bool:
        """Give the catalogue out where that is due; whether something was written for the node."""
        found = self.seller.publisher
        return found is not None and found.turn(self._clock())

    def take(self, settings: Settings) -> None:
        """Take over [market.sell]."""
        self.seller.sell = settings.market.sell
        self.seller.works.sell = settings.market.sell

    # ---- what people ask

    def offers(self) -> OffersView:
        """What is for sale."""
        return shown.offers(self.seller, self._clock())

    def orders(self) -> tuple[OrderView, ...]:
        """Every order, without its slots and events."""
        return shown.orders(self.seller, self._clock())

    def order(self, order_id: str) -> OrderView | None:
        """One order, by its id or the beginning of it."""
        return shown.order(self.seller, order_id, self._clock())

    def decide(self, order_id: str, *, accept: bool, by: str) -> tuple[bool, str]:
        """Accept or reject a pending order; whether it was done, and what is in force now."""
        sale = shown.find(self.seller, order_id)
        if sale is None:
            return False, f"there is no order {order_id}: flexlonctl orders has those there are"
        if sale.state is not SaleState.PENDING:
            return False, f"the order is {sale.state.value}, not pending: nothing was changed"
        if accept:
            self.seller.accept(sale, self._clock())
            self._woken.set()
            return True, f"accepted by {by}: it is put into force, then the buyer is told"
        self.seller.refuse(sale, Code.POL_ENGAGEMENT_REFUSED, "the site refused the order")
        self._wake()
        return True, f"rejected by {by}: the buyer is told"

    def _wake(self) -> None:
        if self._place is not None:
            self._place.wake()
