"""Promises kept by batteries: a site without Slurm that discharges what it sold.

Law: offers no more than the batteries can give above their reserve, by readings that are fresh, also when all
that is offered is taken: the energy is shared out over the slots on offer. A set-point is sent each cycle with
its lease; nothing sold, nothing set. Only batteries, only discharge; what was sold is charged again by the
site's own controller. Usage is what readings prove (I6): between two of them the lesser discharge, and unknown
where two are too far apart. kW at the site's meter, positive into the asset; kWh; epoch seconds.
"""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from typing import TYPE_CHECKING

import structlog

from flexlond.agents.asset_ports import AssetsView, AssetView
from flexlond.agents.market.offering import Offering, OfferSlot, Step
from flexlond.agents.market.works import Kept, Slot, Unkept
from flexlond.assets.configured import plant_of
from flexlond.assets.drivers.port import DriverError
from flexlond.assets.plant import Battery, usable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.market.works import Promise
    from flexlond.assets.drivers.port import AssetDriver
    from flexlond.assets.plant import Reading
    from flexlond.model.market_settings import SellSettings
    from flexlond.model.settings import AssetSettings

_KEPT = 2 * 86_400  # seconds of readings
_GAP, _LONGEST_GAP = (
    0.25,
    300.0,
)  # share of a slot, and seconds, that two readings are apart at most
_log = structlog.get_logger()


class BatteryWorks:
    """The batteries of one site. `look` and `act` once a cycle."""

    def __init__(
        self,
        chosen: Sequence[AssetSettings],
        drivers: Mapping[str, AssetDriver],
        sell: SellSettings,
        slot_seconds: int,
    ) -> None:
        self.sell = sell
        plants = (plant_of(one) for one in chosen)
        self._plants = {plant.name: plant for plant in plants if isinstance(plant, Battery)}
        self._drivers = {name: drivers[name] for name in self._plants}
        self._kinds = {one.name: one.driver for one in chosen}
        self._slot = slot_seconds
        self._readings: dict[str, Reading] = {}
        self._drawn: list[tuple[int, float]] = []  # moment, kW of all of them
        self._promises: dict[str, tuple[Promise, float]] = {}  # by key, with since when
        self._set: dict[str, float] = {}
        self._looked = 0
        self.faults: dict[str, str] = {}

    # ---- once a cycle

    async def look(self, now: int) -> None:
        """Read every battery."""
        await asyncio.gather(*(self._read(name, now) for name in self._drivers))
        self._looked = now
        if len(self._fresh(now)) == len(self._plants):
            self._drawn.append((now, sum(one.kw for one in self._readings.values())))
        self._drawn = [one for one in self._drawn if one[0] > now - _KEPT]

    async def act(self, now: int, *, allowed: bool) -> None:
        """Discharge what is sold now, shared by power; release what has nothing to give."""
        wanted = self.sold_kw(now) if allowed else 0.0
        fresh = [self._plants[name] for name in self._fresh(now) if self._drivers[name].writes]
        total = sum(plant.discharge_kw for plant in fresh)
        for name, driver in self._drivers.items():
            plant = self._plants[name]
            share = plant.discharge_kw / total if plant in fresh and total else 0.0
            kw = -min(plant.discharge_kw, wanted * share)
            try:
                if kw < 0.0:
                    await driver.send(kw, now)
                    self._set[name] = kw
                elif name in self._set:
                    await driver.release(now)
                    del self._set[name]
            except DriverError as error:
                self._fault(name, error)

    async def close(self, now: int) -> None:
        """Leave every battery to itself."""
        await self.act(now, allowed=False)
        for driver in self._drivers.values():
            await driver.close()

    def sold_kw(self, now: int) -> float:
        """What is sold in the slot of `now`."""
        slot = now - now % self._slot
        return sum(one.watts.get(slot, 0) for one, _ in self._promises.values()) / 1000.0

    def set_kw(self) -> float:
        """What is set now, positive into the assets."""
        return sum(self._set.values())

    def view(self, now: int) -> AssetsView:
        """The batteries as read and as set; nothing is planned here."""
        fresh = self._fresh(now)
        return AssetsView(
            tuple(
                AssetView(
                    name=name,
                    kind="battery",
                    driver=self._kinds[name],
                    unit="kWh",
                    read_at=reading.at if (reading := self._readings.get(name)) else 0,
                    level=reading.level if reading else math.nan,
                    kw=reading.kw if reading else math.nan,
                    planned_kw=math.nan,
                    setpoint_kw=self._set.get(name, math.nan),
                    setpoint_at=self._looked if name in self._set else 0,
                    writes=driver.writes,
                    detail=self.faults.get(name, "" if name in fresh else "not read of late"),
                    slots=(),
                )
                for name, driver in self._drivers.items()
            ),
            planned_at=0,
            cost_gbp=math.nan,
            proven=False,
            problems=(),
        )

    # ---- the port of the market

    @property
    def meter_seconds(self) -> float:
        """What was read was read when it was."""
        return 0.0

    async def refresh(self, now: float) -> None:
        """The readings are those of the last cycle."""

    def offering(self, now: float) -> Offering | None:
        """The next slots, each with the same kW: the energy above the reserve shared out over them."""
        plants = [
            self._plants[name] for name in self._fresh(int(now)) if self._drivers[name].writes
        ]
        if not plants:
            return None
        hours = self._slot / 3600.0
        energy = math.fsum(
            max(0.0, self._readings[one.name].level - one.reserve_kwh) * one.discharge_efficiency
            for one in plants
        )
        first = int(now) - int(now) % self._slot + self._slot
        starts = [first + number * self._slot for number in range(self.sell.max_slots)]
        sold = self._sold(int(now))
        energy -= math.fsum(kw * hours for at, kw in sold.items() if at >= first)
        energy -= sold.get(first - self._slot, 0.0) * (first - now) / 3600.0
        power = math.fsum(one.discharge_kw for one in plants)
        price = max(
            self.sell.least_price,
            (1.0 + self.sell.margin) * max(one.wear_gbp_per_kwh for one in plants) * 2.0,
        )
        slots = []
        for at in starts:
            kw = min(power - sold.get(at, 0.0), energy / (hours * len(starts)))
            kw = math.floor(kw * 1000.0) / 1000.0
            if kw >= self.sell.least_kw:
                notice = max(self.sell.notice, self.sell.gate_closure)
                slots.append(OfferSlot(at, (Step(kw, round(price, 6)),), at - notice))
        return Offering(
            made_at=self._looked + 1,  # what was promised until then is taken off above
            slot_seconds=self._slot,
            slots=tuple(slots),
            notice=max(self.sell.notice, self.sell.gate_closure),
            shortest=self.sell.min_slots * self._slot,
            longest=self.sell.max_slots * self._slot,
            deferral=0,
            rebound=0,
            certainty=0.99,
            rated_kw=power,
            floor_kw=0.0,
            curtailment=(),
        )

    def why_none(self) -> str:
        """Why nothing is for sale."""
        if self.faults:
            return "; ".join(self.faults.values())
        return "no battery was read of late that may be set (write = true)"

    def keeps_since(self, key: str) -> float:
        """Since when it is counted."""
        found = self._promises.get(key)
        return math.inf if found is None else found[1]

    async def make(self, promise: Promise, now: float) -> Kept | Unkept:
        """Count it; the set-points follow with each cycle."""
        if promise.key not in self._promises:
            self._promises.pop(promise.replaces, None)
            # Before the next look: what `offering` takes off is what it knows of.
            self._promises[promise.key] = (promise, min(now, float(self._looked)))
        return Kept(", ".join(sorted(self._plants)))

    async def restore(self, promise: Promise, now: float) -> None:
        """The journal has it."""
        await self.make(promise, now)

    async def release(self, key: str, now: float) -> None:  # noqa: ARG002 - the port's
        """Count it no more."""
        self._promises.pop(key, None)

    def progress(self, promise: Promise, now: float) -> Sequence[Slot]:
        """The site rests without the promise: its baseline is 0."""
        if promise.key not in self._promises:
            return ()
        mine = {at: watts / 1000.0 for at, watts in promise.watts.items()}
        total = self._sold(int(now))
        found = []
        for at in sorted(mine):
            usage = self._mean(at)
            share = mine[at] / total[at] if total.get(at) else 1.0
            found.append(
                Slot(
                    at,
                    0.0,
                    planned_kw=-mine[at] if self._able(at, int(now)) else 0.0,
                    usage_kw=usage * share if at + self._slot <= now else math.nan,
                    source="metered",
                )
            )
        return found

    def why_short(self, key: str, now: float) -> str:
        """A battery that cannot be read cannot be set."""
        return (
            "a battery does not answer"
            if key in self._promises and not self._fresh(int(now))
            else ""
        )

    # ---- inside

    async def _read(self, name: str, now: int) -> None:
        try:
            self._readings[name] = await self._drivers[name].read(now)
        except DriverError as error:
            self._fault(name, error)
        else:
            self.faults.pop(name, None)

    def _fault(self, name: str, error: DriverError) -> None:
        if self.faults.get(name) != str(error):
            _log.warning("battery not read or set", asset=name, error=str(error))
        self.faults[name] = str(error)

    def _fresh(self, now: int) -> list[str]:
        return [one.name for one in usable(list(self._plants.values()), self._readings, now)[0]]

    def _sold(self, now: int) -> dict[int, float]:
        """KW by slot of all promises; those long over are forgotten."""
        for key, (promise, _) in list(self._promises.items()):
            if promise.end < now - _KEPT:
                del self._promises[key]
        total: dict[int, float] = {}
        for promise, _ in self._promises.values():
            for at, watts in promise.watts.items():
                total[at] = total.get(at, 0.0) + watts / 1000.0
        return total

    def _able(self, at: int, now: int) -> bool:
        """Whether a slot to come can be served by what is read now."""
        return at + self._slot <= now or bool(self._fresh(now))

    def _mean(self, at: int) -> float:
        """What a slot's readings prove: the lesser discharge between two of them; NaN where one lacks."""
        end, most = at + self._slot, min(self._slot * _GAP, _LONGEST_GAP)
        found = [one for one in self._drawn if at <= one[0] <= end]
        if not found:
            return math.nan
        moments = [at, *(moment for moment, _ in found), end]
        if max(after - before for before, after in pairwise(moments)) > most:
            return math.nan
        powers = [found[0][1], *(kw for _, kw in found), found[-1][1]]
        stretches = zip(pairwise(moments), pairwise(powers), strict=True)
        return math.fsum((b - a) * max(kw) for (a, b), kw in stretches) / self._slot
