"""The two sides of a bid as seats (market_sides.py): a site that only bids, a grid that publishes a need."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from flexlond.agents.grid.needs import of_operator
from flexlond.agents.grid.records import Records
from flexlond.agents.grid.tender import Tender
from flexlond.agents.market.agent import SellerAgent
from flexlond.agents.market.port import Place
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.wire.actions import Role
from flexlond.model.buy_settings import BuySettings
from flexlond.model.market_settings import BidSettings
from flexlond.model.settings import Settings
from tests.crash.market_sides import FileShop, Seat
from tests.unit.agents.bidding.kit import Known
from tests.unit.agents.conftest import SLOT, replace_struct
from tests.unit.agents.market.kit import FIRST, market_settings
from tests.unit.beckn.kit import BAP, BPP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WANTED = 30.0  # kW


class BidderSeat(Seat):
    """A site that bids and does not sell, with the shop for works."""

    def __init__(self, folder: Path, tick: Callable[[], None]) -> None:
        self._shop = FileShop(folder / "shop.jsonl")
        self._shop.tick = tick
        made = market_settings(Settings())
        bid = BidSettings(refresh_seconds=20.0, silent_seconds=300.0, hold_seconds=900.0)
        settings = replace_struct(made, market=replace_struct(made.market, bid=bid))
        self._shop.sell = settings.market.sell
        self._now = 0.0
        self._agent = SellerAgent(settings, self._shop, clock=lambda: self._now)
        self._runner = asyncio.Runner()
        super().__init__(BAP, folder, tick)
        place = Place(self.node, Known(BPP), lambda: None)  # type: ignore[arg-type]
        self._agent.join({Role.BAP: place})

    def business(self) -> Any:
        return self._agent.business(Role.BAP)

    def turn(self, now: float) -> None:
        self._now = self._shop.now = now
        self._runner.run(self._agent.turn())

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "sales": [sale.state.value for sale in self._agent.bidder.sales.all()],
            "kinds": [side.kind for side in self._agent.sides],
        }

    def close(self) -> None:
        self._runner.close()
        super().close()


class TenderSeat(Seat):
    """A grid with one need; what it buys of sellers is in a file of its own."""

    def __init__(self, folder: Path, tick: Callable[[], None]) -> None:
        settings = BuySettings(lead_seconds=60.0, silent_seconds=300.0, bid_gbp_per_kwh=0.3)
        self._tender = Tender(settings)
        self._bought = Journal(folder / "bought.db", Role.BAP)
        super().__init__(BPP, folder, tick)
        records = Records(self._bought.database)
        self._tender.join(Place(self.node, Known(BAP), lambda: None), records)  # type: ignore[arg-type]
        end = FIRST + 2 * SLOT
        records.add_need(of_operator("op", WANTED, FIRST, end, 100.0, "price", SLOT), 0.0)

    def business(self) -> Any:
        return self._tender

    def turn(self, now: float) -> None:
        self._tender.turn(now)

    def state(self) -> dict[str, Any]:
        lots = self._tender.records.lots()
        return {
            **super().state(),
            "lots": [lot.state.value for lot in lots],
            "ratings": [lot.rating for lot in lots],
        }

    def close(self) -> None:
        self._bought.close()
        super().close()
