"""Works in memory that outlive the seller: 100 kW in each of four slots, kept when told to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.agents.market.offering import Offering, OfferSlot, Step
from flexlond.agents.market.works import Kept, Slot, Unkept
from flexlond.model.market_settings import SellSettings
from tests.unit.agents.conftest import SLOT
from tests.unit.agents.market.kit import FIRST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flexlond.agents.market.works import Promise


class Shop:
    """What is made by key: True while it is kept, False once it was released."""

    def __init__(self) -> None:
        self.sell = SellSettings()
        self.meter_seconds = 0.0
        self.made: dict[str, bool] = {}
        self.refuse = ""
        self.drawn: dict[int, float] = {}  # kW by slot that is over
        self.tick: Callable[[], None] = lambda: None

    async def refresh(self, now: float) -> None:
        """Nothing changes."""

    def offering(self, now: float) -> Offering | None:
        """Four slots."""
        slots = tuple(
            OfferSlot(FIRST + n * SLOT, (Step(100.0, 0.1),), FIRST + n * SLOT - 300.0)
            for n in range(4)
        )
        return Offering(
            made_at=0,
            slot_seconds=SLOT,
            slots=slots,
            notice=300.0,
            shortest=SLOT,
            longest=4 * SLOT,
            deferral=0,
            rebound=0,
            certainty=1.0,
            rated_kw=100.0,
            floor_kw=0.0,
        )

    def why_none(self) -> str:
        return ""

    def keeps_since(self, key: str) -> float:
        return 1.0 if self.made.get(key) else math.inf

    async def make(self, promise: Promise, now: float) -> Kept | Unkept:
        self.tick()
        if self.refuse:
            return Unkept(self.refuse)
        self.made.setdefault(promise.key, True)
        self.tick()
        return Kept("the shop")

    async def restore(self, promise: Promise, now: float) -> None:
        self.made[promise.key] = True

    async def release(self, key: str, now: float) -> None:
        self.tick()
        if key in self.made:
            self.made[key] = False
        self.tick()

    def progress(self, promise: Promise, now: float) -> Sequence[Slot]:
        return [
            Slot(at, 100.0, 100.0 - watts / 1000.0, self.drawn.get(at, math.nan), "metered")
            for at, watts in promise.watts.items()
        ]

    def why_short(self, key: str, now: float) -> str:
        return ""
