"""The driver of each configured asset.

Law: opens nothing and reads nothing; the checks of the configuration have been passed.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from flexlond.assets.configured import heat_at, plant_of
from flexlond.assets.drivers.modbus import Device, ModbusDriver, Register
from flexlond.assets.drivers.simulated import SimulatedDriver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.assets.drivers.port import AssetDriver
    from flexlond.model.settings import AssetRegister, AssetSettings


def drivers_of(assets: Sequence[AssetSettings]) -> dict[str, AssetDriver]:
    """One driver for each asset, by its name."""
    return {chosen.name: _driver(chosen) for chosen in assets}


def _driver(chosen: AssetSettings) -> AssetDriver:
    asset = plant_of(chosen)
    if chosen.driver == "simulated":
        return SimulatedDriver(
            asset,
            chosen.start_level,
            lease=chosen.lease_seconds,
            heat=functools.partial(heat_at, chosen),
        )
    return ModbusDriver(
        asset,
        Device(
            chosen.host,
            level=_known(chosen.level),
            power=_known(chosen.power),
            port=chosen.port,
            unit=chosen.unit,
            timeout=chosen.timeout,
            write=chosen.write,
            setpoint=_register(chosen.setpoint),
            lease=_register(chosen.lease),
            lease_seconds=chosen.lease_seconds,
            neutral_kw=chosen.neutral_kw,
        ),
    )


def _register(chosen: AssetRegister) -> Register | None:
    return _known(chosen) if chosen.address >= 0 else None


def _known(chosen: AssetRegister) -> Register:
    return Register(
        chosen.address,
        chosen.type,
        chosen.scale,
        chosen.offset,
        chosen.table,
        chosen.word_order,
    )
