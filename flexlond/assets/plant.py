"""What a battery or a chilled store is, what was read of it, and how it goes from one slot to the next.

Law: pure. kW are electric, at the site's side of the plant, positive when they are imported into the asset; a
discharge is negative. Energy is kWh, temperature degrees C, heat kW of heat. Efficiencies are one-way. A
reading has a time: what is older than the asset's `max_age` is no reading, and such an asset is not planned
with. Nothing here generates: what a battery gives was charged before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Battery:
    """A store of electricity."""

    name: str
    charge_kw: float  # the most it takes
    discharge_kw: float  # the most it gives, as a positive number
    capacity_kwh: float
    reserve_kwh: float = 0.0  # kept back for others (an outage, say): never planned with
    charge_efficiency: float = 0.95  # kWh stored per kWh taken
    discharge_efficiency: float = 0.95  # kWh given per kWh out of the store
    wear_gbp_per_kwh: float = (
        0.0  # for each kWh charged and for each kWh discharged, at its terminals
    )
    max_age: float = 120.0  # s after which a reading is stale

    @property
    def lowest_kw(self) -> float:
        """The least it can import: what it gives, as a negative number."""
        return -self.discharge_kw

    @property
    def absent_kw(self) -> float:
        """What counts for it under the site's cap while it is not planned with: it rests."""
        return 0.0

    def after(self, level: float, kw: float, hours: float) -> float:
        """The kWh stored after `hours` at `kw`, from `level`."""
        stored = kw * self.charge_efficiency if kw > 0 else kw / self.discharge_efficiency
        return level + stored * hours

    def least_kwh(self, level: float) -> float:
        """The kWh it is never taken below, from `level`: one below its reserve is not discharged further."""
        return min(self.reserve_kwh, level)

    def most_kwh(self, level: float) -> float:
        """The kWh it is never charged above, from `level`."""
        return max(self.capacity_kwh, level)


@dataclass(frozen=True, slots=True, eq=False)
class Chiller:
    """A chiller on a thermal store (chilled water, a hall's air and walls): first order, one temperature.

    inertia x dT/dt = heat load + conductance x (ambient - T) - COP x kW. Within a slot the temperature goes one
    way, so limits that hold at the slots' ends hold between.
    """

    name: str
    max_kw: float
    inertia_kwh_per_k: float  # heat that warms the store by one degree
    low_c: float
    high_c: float
    cop: float = 4.0  # kW of heat moved per kW of electricity
    min_kw: float = 0.0  # the least at which it runs; below it is off
    conductance_kw_per_k: float = 0.0  # to the ambient
    ambient_c: float = 25.0
    heat_kw: tuple[float, ...] = (0.0,)  # load by slot from the plan's first; the last one goes on
    max_age: float = 120.0

    @property
    def lowest_kw(self) -> float:
        """Off."""
        return 0.0

    @property
    def absent_kw(self) -> float:
        """What counts for it under the site's cap while it is not planned with: as much as it may draw."""
        return self.max_kw

    def heat(self, slots: int) -> NDArray[np.float64]:
        """(S,) kW of heat."""
        given = np.asarray(self.heat_kw[:slots] or (0.0,), np.float64)
        return np.concatenate([given, np.full(slots - len(given), given[-1])])

    def step(
        self, hours: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """(a, b, c), each (S,): T after = a T before - b kW + c, exact for constant inputs in a slot."""
        heat = self.heat(len(hours))
        if self.conductance_kw_per_k <= 0:
            per_kw = hours / self.inertia_kwh_per_k
            return np.ones(len(hours)), self.cop * per_kw, heat * per_kw
        stays = np.exp(-self.conductance_kw_per_k * hours / self.inertia_kwh_per_k)
        gain = (1 - stays) / self.conductance_kw_per_k
        return stays, self.cop * gain, gain * heat + (1 - stays) * self.ambient_c


Asset = Battery | Chiller


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of an asset."""

    at: int  # epoch s
    level: float  # kWh stored, or degrees C
    kw: float  # imported into the asset


def usable(
    assets: Sequence[Asset], readings: Mapping[str, Reading], now: int
) -> tuple[list[Asset], list[str]]:
    """The assets that can be planned with, and why the others cannot, in words."""
    good: list[Asset] = []
    words: list[str] = []
    for asset in assets:
        reading = readings.get(asset.name)
        if reading is None:
            words.append(f"{asset.name} is left out: it was never read")
        elif not (np.isfinite(reading.level) and np.isfinite(reading.kw)):
            words.append(f"{asset.name} is left out: its reading is no number")
        elif now - reading.at > asset.max_age or reading.at > now + asset.max_age:
            words.append(
                f"{asset.name} is left out: its reading is {now - reading.at} s old, "
                f"more than {asset.max_age:g} s"
            )
        else:
            good.append(asset)
    return good, words


def follow(
    asset: Asset, level: float, kw: NDArray[np.float64], hours: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(S,) the level at each slot's end when `asset` follows `kw` (S,) from `level`."""
    found = np.empty(len(kw))
    if isinstance(asset, Battery):
        for slot, power in enumerate(kw.tolist()):
            level = found[slot] = asset.after(level, power, float(hours[slot]))
        return found
    stays, per_kw, drift = asset.step(hours)
    for slot, power in enumerate(kw.tolist()):
        level = found[slot] = float(stays[slot] * level - per_kw[slot] * power + drift[slot])
    return found
