"""Promises kept by sites: what was sold to the grid is bought of them, and bought again where one falls short.

Law: implements works.Works. A promise is in force when every kW of it is ordered, so a confirm is never
answered with what is not there yet; from then on it stays, and what a site does not deliver is open: it is
bought elsewhere while that is possible, and told as a shortfall at once. Usage of a slot is the sum of what
sites' meters told; of a site that does not answer, or has not told a slot after it was over for another one,
nothing counts, until its meter proves it: so long, and market.sell.proof_seconds at most, the order is not
over. kW; epoch seconds. Source: our own; the buying is the Grid Orchestrator's.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from flexlond.agents.grid.choosing import left_of, usable
from flexlond.agents.grid.needs import Wanted, open_kw
from flexlond.agents.grid.orchestrator import bought_kw
from flexlond.agents.grid.records import COVERING, LIVE, UNREACHABLE, Lot, LotState, NeedState
from flexlond.agents.market.settled import METERED
from flexlond.agents.market.works import Kept, NotYet, Slot, Unkept
from flexlond.agents.portfolio.offering import added_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.grid.agent import GridAgent
    from flexlond.agents.grid.listings import Listing
    from flexlond.agents.market.offering import Offering
    from flexlond.agents.market.works import Promise
    from flexlond.model.market_settings import SellSettings

SOURCE = "portfolio"
_TINY = 1e-6


class PortfolioWorks:
    """What several sites can give, through a buyer."""

    def __init__(self, buying: GridAgent, sell: SellSettings) -> None:
        self.sell = sell
        self._buying = buying
        self._since: dict[str, float] = {}

    # ---- the port of the market

    @property
    def meter_seconds(self) -> float:
        """So long a site may prove later what it delivered."""
        return max(self.sell.proof_seconds, float(self._buying.work.slot_seconds))

    async def refresh(self, now: float) -> None:
        """Ask for catalogues that have become old."""
        self._buying.work.discover(now)
        self._buying.place.wake()

    def offering(self, now: float) -> Offering | None:
        """What the catalogues have, less what was bought of them since."""
        buyer, settings = self._buying.work.buyer, self._buying.work.settings
        fresh = [
            one
            for one in left_of(buyer.listings.values(), buyer.records.lots())
            if now - one.received <= self.sell.stale
        ]
        fresh = usable(fresh, (), buyer.reachable(now), settings.min_certainty)
        if not fresh:
            return None
        lead = settings.lead_seconds
        free = without(fresh, self._open())
        return added_up(free, self.sell, self._buying.work.slot_seconds, lead, now)

    def _open(self) -> dict[int, float]:
        """What promises still need, in kW by slot: it comes before new orders."""
        records = self._buying.work.buyer.records
        total: dict[int, float] = {}
        for need in records.needs(NeedState.OPEN):
            bought = bought_kw(records.lots(need.wanted.key))
            missing = open_kw(need.wanted, bought)
            for at, kw in zip(need.wanted.starts(), missing, strict=True):
                total[at] = total.get(at, 0.0) + kw
        return total

    def why_none(self) -> str:
        """Why nothing is for sale."""
        return "no site has offered anything of late"

    def keeps_since(self, key: str) -> float:
        """Since when its kW are not in the offering any more."""
        return self._since.get(key, math.inf)

    async def make(self, promise: Promise, now: float) -> Kept | Unkept:
        """Buy it of the sites; in force when all of it is ordered."""
        if promise.replaces:
            return Unkept("an order of several sites is not changed; cancel it and order anew")
        key = _key(promise.key)
        self._buying.work.add(_wanted(promise, self._buying), now)
        lots = self._buying.work.buyer.records.lots(key)
        ordered: dict[int, float] = {}
        for lot in lots:
            if lot.state is LotState.ORDERED:
                for at, kw in lot.kw.items():
                    ordered[at] = ordered.get(at, 0.0) + kw
        lot_kw = self._buying.work.settings.lot_kw
        open_ = {
            at: watts / 1000.0 - ordered.get(at, 0.0)
            for at, watts in promise.watts.items()
            if watts / 1000.0 - ordered.get(at, 0.0) > min(lot_kw, 0.05 * watts / 1000.0) + _TINY
        }
        if open_:
            raise NotYet(f"up to {max(open_.values()):.3g} kW of a slot are not ordered yet")
        self._since.setdefault(promise.key, now)
        sites = len({lot.seller for lot in lots if lot.state is LotState.ORDERED})
        return Kept(f"{sites} site(s)")

    async def restore(self, promise: Promise, now: float) -> None:
        """The buyer's journal has it."""
        self._since.setdefault(promise.key, now)

    async def release(self, key: str, now: float) -> None:  # noqa: ARG002 - the port's
        """Nothing of it is wanted any more: what was bought is cancelled."""
        self._since.pop(key, None)
        self.withdraw(_key(key), "released")

    def progress(self, promise: Promise, now: float) -> Sequence[Slot]:
        """The sums of what the sites told, and of what they are counted with."""
        lots = self._buying.work.buyer.records.lots(_key(promise.key))
        return [
            _slot(at, watts / 1000.0, lots, promise.slot_seconds, now)
            for at, watts in sorted(promise.watts.items())
        ]

    def why_short(self, key: str, now: float) -> str:  # noqa: ARG002 - the port's
        """How many sites fall short."""
        lots = self._buying.work.buyer.records.lots(_key(key))
        short = {
            lot.seller
            for lot in lots
            if lot.state not in COVERING or any(lot.covers(at) < kw for at, kw in lot.kw.items())
        }
        return f"{len(short)} of the sites fall(s) short" if short else ""

    # ---- what nobody keeps any more

    def withdraw(self, key: str, why: str) -> None:
        """What is bought for a need becomes surplus, and is cancelled."""
        work = self._buying.work
        for need in work.buyer.records.needs(NeedState.OPEN):
            if need.wanted.key == key and any(need.wanted.kw):
                with work.node.journal.transaction():
                    work.buyer.records.want(key, (0.0,) * len(need.wanted.kw), why)

    def forget(self, wanted: set[str]) -> None:
        """Withdraw every need whose promise is not among the keys `wanted`."""
        keys = {_key(one) for one in wanted}
        for need in self._buying.work.buyer.records.needs(NeedState.OPEN):
            if need.wanted.source == SOURCE and need.wanted.key not in keys:
                self.withdraw(need.wanted.key, "the order was refused or has ended")


def without(listings: Sequence[Listing], open_: Mapping[int, float]) -> list[Listing]:
    """The listings less what is kept for open promises, the cheapest first."""
    kw = {one.key: dict(one.kw) for one in listings}
    for at, missing in open_.items():
        left = missing
        for price, key in sorted((one.price.get(at, math.inf), one.key) for one in listings):
            taken = min(left, kw[key].get(at, 0.0))
            if taken > 0.0 and math.isfinite(price):
                kw[key][at] -= taken
                left -= taken
    return [replace(one, kw=kw[one.key]) for one in listings]


def _key(promise: str) -> str:
    return f"{SOURCE}:{promise}"


def _wanted(promise: Promise, buying: GridAgent) -> Wanted:
    settings = buying.work.settings
    kw = tuple(
        promise.watts.get(at, 0) / 1000.0
        for at in range(promise.start, promise.end, promise.slot_seconds)
    )
    words = f"order {promise.key} of the grid"
    return Wanted(
        _key(promise.key),
        SOURCE,
        words,
        promise.start,
        promise.slot_seconds,
        kw,
        settings.budget_gbp,
        settings.goal,
    )


def _slot(at: int, sold: float, lots: Sequence[Lot], seconds: int, now: float) -> Slot:
    ours = [lot for lot in lots if at in lot.kw]
    told = [lot.told[at] for lot in ours if at in lot.told]
    missing = [lot for lot in ours if lot.state in LIVE and at not in lot.told]
    awaited = any(lot.why != UNREACHABLE for lot in missing)
    if at + seconds <= now and (not awaited or now >= at + 2 * seconds):
        baseline = math.fsum(one.baseline for one in told)
        return Slot(
            at,
            baseline,
            planned_kw=baseline - sold,
            usage_kw=math.fsum(one.usage for one in told),
            source=METERED if told else "",
            final=not missing,
        )
    # To come, or not told yet: a site's own baseline is not known here, so the reduction alone is shown.
    return Slot(at, sold, planned_kw=sold - math.fsum(lot.covers(at) for lot in ours))
