"""The Flexibility Orchestrator at its two places: a seller to the grid, a buyer of the sites.

Law: implements port.MarketAgent; two identities, two journals, and between them only keys of promises. What is
bought for a promise that nobody holds any more is given back at the next turn, whatever happened in between.
Warnings and the needs file are not its own: it buys what it has sold, nothing else. Epoch seconds.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from flexlond.agents.grid.agent import GridAgent
from flexlond.agents.market.agent import SellerAgent
from flexlond.agents.market.sales import SaleState
from flexlond.agents.portfolio.works import PortfolioWorks
from flexlond.beckn.wire.actions import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flexlond.agents.inquiry import Hub
    from flexlond.agents.market.port import Place
    from flexlond.beckn.node.desk import Business
    from flexlond.model.settings import Settings

TURN_SECONDS = 1.0
_HELD = (SaleState.QUOTED, SaleState.PENDING, SaleState.SOLD, SaleState.KEPT, SaleState.OVER)


class FlexAgent:
    """Several sites as one."""

    def __init__(
        self, settings: Settings, hub: Hub, clock: Callable[[], float] = time.time
    ) -> None:
        self.buying = GridAgent(settings, hub, clock, watches=False)
        self._works = PortfolioWorks(self.buying, settings.market.sell)
        self.selling = SellerAgent(settings, self._works, clock)

    def business(self, role: Role) -> Business:
        """The seller's as BPP, the buyer's as BAP."""
        agent = self.selling if role is Role.BPP else self.buying
        return agent.business(role)

    def join(self, places: Mapping[Role, Place]) -> None:
        """Take both places; it never buys of itself."""
        self.buying.but = frozenset({places[Role.BPP].node.us.id})
        self.buying.join({Role.BAP: places[Role.BAP]})
        self.selling.join({Role.BPP: places[Role.BPP]})  # as BAP it buys, it does not bid

    async def run(self) -> None:
        """Buy, sell and give back until cancelled; a fault of one ends all three."""
        async with asyncio.TaskGroup() as together:
            together.create_task(self.buying.run())
            together.create_task(self.selling.run())
            together.create_task(self._give_back())

    def take(self, settings: Settings) -> None:
        """Take over [market.sell] and [market.buy]."""
        self.buying.take(settings)
        self.selling.take(settings)

    async def _give_back(self) -> None:
        while True:
            self._works.forget({sale.key for sale in self.selling.seller.sales.of(*_HELD)})
            await asyncio.sleep(TURN_SECONDS)
