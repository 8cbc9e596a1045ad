"""An asset that is not there: the plant model, run forward in the daemon's own time.

Law: integrates in steps of at most STEP from one call to the next; a clock that goes back changes nothing.
Nothing is kept over a restart. Like a real plant it protects itself: a battery neither overfills nor empties,
a chiller runs at its upper limit and stops at its lower one. Without a set-point in force a battery rests and
a chiller holds the middle of its band.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.assets.drivers.port import DriverError, plausible, within_rating
from flexlond.assets.plant import Asset, Battery, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = 10.0  # s


class SimulatedDriver:
    """AssetDriver on a plant model; `level` is where it begins, `lease` the seconds a set-point lasts."""

    def __init__(
        self,
        asset: Asset,
        level: float,
        *,
        lease: float = 120.0,
        heat: Callable[[float], float] | None = None,
    ) -> None:
        """`heat` is the load (kW) at an epoch second; None: the asset's own first figure."""
        self._heat = heat
        self._asset, self._level, self._lease = asset, level, lease
        self._at: float | None = None
        self._setpoint, self._until = 0.0, 0.0
        self._kw = 0.0

    @property
    def writes(self) -> bool:
        """Always: there is nothing to harm."""
        return True

    async def read(self, now: int) -> Reading:
        """The state at `now`."""
        self._advance(now)
        reading = Reading(now, self._level, self._kw)
        return plausible(self._asset, reading, "the simulation")

    async def send(self, kw: float, now: int) -> None:
        """Set `kw` until the lease is over."""
        if not np.isfinite(kw):
            raise DriverError(f"{self._asset.name}: a set-point of {kw} kW was not sent")
        self._advance(now)
        self._setpoint, self._until = within_rating(self._asset, kw), now + self._lease

    async def release(self, now: int) -> None:
        """Its own controller again."""
        self._advance(now)
        self._until = 0.0

    async def close(self) -> None:
        """Nothing to close."""

    def _advance(self, now: int) -> None:
        at = self._at if self._at is not None else float(now)
        while at < now:
            # A step ends where a set-point does.
            end = min(at + STEP, float(now))
            if at < self._until < end:
                end = self._until
            self._one(at, (end - at) / 3600.0)
            at = end
        self._at = max(at, float(now))

    def _one(self, at: float, hours: float) -> None:
        asset, wanted = self._asset, self._setpoint if at < self._until else None
        if isinstance(asset, Battery):
            kw = wanted or 0.0
            room = max(asset.capacity_kwh - self._level, 0.0) / asset.charge_efficiency / hours
            there = max(self._level, 0.0) * asset.discharge_efficiency / hours
            self._kw = min(max(kw, -there), room)
            self._level = asset.after(self._level, self._kw, hours)
            return
        if self._heat is not None:
            asset = replace(asset, heat_kw=(self._heat(at),))
        stays, per_kw, drift = (float(part[0]) for part in asset.step(np.array([hours])))
        off = stays * self._level + drift
        goal = (asset.low_c + asset.high_c) / 2
        kw = (off - goal) / per_kw if wanted is None else wanted
        # Its own protection: never past its limits by what it does.
        kw = min(max(kw, (off - asset.high_c) / per_kw), (off - asset.low_c) / per_kw)
        self._kw = min(max(kw, 0.0), asset.max_kw)
        self._level = off - per_kw * self._kw
