"""What the daemon asks of an asset's driver.

Law: kW positive into the asset. A reading is plausible or it is an error: never a guess, never an old value
with a new time. A set-point has an end: the asset falls back by itself when it is not renewed, so a daemon
that dies leaves it to its own controller within the lease. `release` does that at once. Errors say what,
where, what next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from flexlond.assets.plant import Battery

if TYPE_CHECKING:
    from flexlond.assets.plant import Asset, Reading

_COLDEST, _WARMEST = -50.0, 90.0  # C: outside them a thermometer is broken
_SLACK = 0.02  # share of the capacity by which a battery's reading may be out
_ABOVE = 1.2  # times its rating, what an asset may draw for a moment


class DriverError(Exception):
    """The asset cannot be read or set; the text says what, where, and what to do next."""


class AssetDriver(Protocol):
    """One asset."""

    @property
    def writes(self) -> bool:
        """Whether the configuration allows set-points."""
        ...

    async def read(self, now: int) -> Reading:
        """What the asset says of itself at `now` (epoch s). Raises DriverError."""
        ...

    async def send(self, kw: float, now: int) -> None:
        """Set `kw` until the lease is over or the next call. Raises DriverError, also when not allowed."""
        ...

    async def release(self, now: int) -> None:
        """Leave the asset to its own controller; nothing where it may not be set. Raises DriverError."""
        ...

    async def close(self) -> None:
        """Give up connections; never raises."""
        ...


def plausible(asset: Asset, reading: Reading, where: str) -> Reading:
    """`reading`, or DriverError where it cannot be of `asset`."""
    if isinstance(asset, Battery):
        slack = _SLACK * asset.capacity_kwh
        low, high, unit = -slack, asset.capacity_kwh + slack, "kWh"
        least, most = -_ABOVE * asset.discharge_kw, _ABOVE * asset.charge_kw
    else:
        low, high, unit = _COLDEST, _WARMEST, "C"
        least, most = -0.1 * asset.max_kw, _ABOVE * asset.max_kw
    if not (np.isfinite(reading.level) and low <= reading.level <= high):
        raise DriverError(
            f"{asset.name}: {where} says {reading.level:g} {unit}, outside {low:g} to {high:g}: "
            "check the level register's address, type and scale"
        )
    if not (np.isfinite(reading.kw) and least <= reading.kw <= most):
        raise DriverError(
            f"{asset.name}: {where} says {reading.kw:g} kW, outside {least:g} to {most:g}: "
            "check the power register's address, type, scale and sign"
        )
    return reading


def within_rating(asset: Asset, kw: float) -> float:
    """`kw`, or DriverError where `asset` cannot do it."""
    most = asset.charge_kw if isinstance(asset, Battery) else asset.max_kw
    near = 1e-6 * (1 + most)
    if not asset.lowest_kw - near <= kw <= most + near:
        raise DriverError(
            f"{asset.name}: a set-point of {kw:g} kW is outside {asset.lowest_kw:g} to {most:g}: "
            "it was not sent"
        )
    return min(max(kw, asset.lowest_kw), most)
