"""What must hold in [[assets]], beyond the type of each value.

Law: as in config_checks.py, of which this is a part: pure, every problem is found, none is raised. What may be
written to a real plant is asked for twice: `write`, and how the plant falls back when nobody writes any more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flexlond.daemon.config_problem import Problem, problem_of, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.model.settings import AssetSettings, Settings

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_HOURS = 24
_LONGEST = 300.0  # s
_CYCLES = 2  # that a set-point must outlast


def assets(settings: Settings) -> Iterator[Problem]:
    """[[assets]], and the keys of [planning] that are theirs."""
    seconds, cycle = settings.planning.assets_seconds, settings.daemon.cycle_seconds
    yield from within("planning.assets_seconds", seconds, 0.1, _LONGEST, "seconds")
    if settings.assets and seconds >= cycle / 2:
        yield problem_of(
            "planning.assets_seconds",
            f"{seconds:g} s is half of daemon.cycle_seconds ({cycle:g} s) or more: cycles would be late",
            "planning.assets_seconds below half of daemon.cycle_seconds",
            "daemon",
            "assets",
        )
    seen: set[str] = set()
    for number, asset in enumerate(settings.assets, start=1):
        key = f"assets#{number}"
        if not _NAME.fullmatch(asset.name):
            yield problem_of(
                f"{key}.name", f'"{asset.name}" is no name', "1 to 32 of A-Z a-z 0-9 _ . -"
            )
        if asset.name in seen:
            yield problem_of(
                f"{key}.name", f'"{asset.name}" stands twice', "a name of its own for each asset"
            )
        seen.add(asset.name)
        yield from within(f"{key}.max_age", asset.max_age, 1, 86_400, "seconds")
        least = _CYCLES * settings.daemon.cycle_seconds
        if not least <= asset.lease_seconds <= 3600:
            yield problem_of(
                f"{key}.lease_seconds",
                f"{asset.lease_seconds:g} s is out of range: a set-point is renewed once in "
                f"daemon.cycle_seconds ({settings.daemon.cycle_seconds:g} s)",
                f"{least:g} to 3600 seconds",
                "daemon",
            )
        yield from (_battery if asset.kind == "battery" else _chiller)(key, asset)
        yield from (_modbus if asset.driver == "modbus" else _simulated)(key, asset)


def _battery(key: str, asset: AssetSettings) -> Iterator[Problem]:
    for name in ("charge_kw", "discharge_kw", "capacity_kwh"):
        if getattr(asset, name) <= 0:
            yield problem_of(
                f"{key}.{name}",
                f"{getattr(asset, name):g} is out of range: a battery needs it",
                "more than 0",
            )
    yield from within(f"{key}.reserve_kwh", asset.reserve_kwh, 0, max(asset.capacity_kwh, 0), "kWh")
    for name in ("charge_efficiency", "discharge_efficiency"):
        yield from within(f"{key}.{name}", getattr(asset, name), 0.5, 1)
    yield from within(f"{key}.wear_gbp_per_kwh", asset.wear_gbp_per_kwh, 0, 10)


def _chiller(key: str, asset: AssetSettings) -> Iterator[Problem]:
    for name in ("max_kw", "inertia_kwh_per_k"):
        if getattr(asset, name) <= 0:
            yield problem_of(
                f"{key}.{name}",
                f"{getattr(asset, name):g} is out of range: a chiller needs it",
                "more than 0",
            )
    yield from within(f"{key}.min_kw", asset.min_kw, 0, max(asset.max_kw, 0), "kW")
    yield from within(f"{key}.cop", asset.cop, 0.5, 20)
    yield from within(f"{key}.conductance_kw_per_k", asset.conductance_kw_per_k, 0)
    yield from within(f"{key}.ambient_c", asset.ambient_c, -50, 60, "C")
    yield from within(f"{key}.low_c", asset.low_c, -40, 60, "C")
    if asset.high_c <= asset.low_c:
        yield problem_of(
            f"{key}.high_c",
            f"{asset.high_c:g} C is not above low_c ({asset.low_c:g} C)",
            "low_c below high_c",
        )
    if len(asset.heat_kw) not in {1, _HOURS}:
        yield problem_of(
            f"{key}.heat_kw",
            f"has {len(asset.heat_kw)} figures",
            "one figure, or 24: one for each hour of the day in UTC",
        )
    for number, heat in enumerate(asset.heat_kw, start=1):
        yield from within(f"{key}.heat_kw#{number}", heat, 0, unit="kW")


def _simulated(key: str, asset: AssetSettings) -> Iterator[Problem]:
    low, high = (
        (0.0, asset.capacity_kwh) if asset.kind == "battery" else (asset.low_c, asset.high_c)
    )
    yield from within(f"{key}.start_level", asset.start_level, low, max(high, low))


def _modbus(key: str, asset: AssetSettings) -> Iterator[Problem]:
    if not asset.host:
        yield problem_of(
            f"{key}.host", 'is missing: driver = "modbus" needs it', "the device's address"
        )
    yield from within(f"{key}.port", asset.port, 1, 65_535)
    yield from within(f"{key}.unit", asset.unit, 0, 255)
    yield from within(f"{key}.timeout", asset.timeout, 0.1, 10, "seconds")
    needed = ["level", "power", *(["setpoint"] if asset.write else [])]
    for name in ("level", "power", "setpoint", "lease"):
        register = getattr(asset, name)
        yield from within(f"{key}.{name}.address", register.address, -1, 65_535)
        if register.address < 0 and name in needed:
            yield problem_of(
                f"{key}.{name}.address", "is missing: the driver needs it", "the register's address"
            )
        if register.scale == 0:
            yield problem_of(f"{key}.{name}.scale", "0 loses every value", "any other number")
        if register.table == "input" and name in {"setpoint", "lease"}:
            yield problem_of(
                f"{key}.{name}.table", "input registers cannot be written", '"holding"'
            )
    if asset.write and asset.lease.address < 0 and not asset.falls_back:
        yield problem_of(
            f"{key}.write",
            "set-points would stand for ever if flexlond died",
            "a lease register, or falls_back = true once the asset's own time-out is set",
        )
    if asset.write and asset.kind == "chiller" and asset.neutral_kw <= 0:
        yield problem_of(
            f"{key}.neutral_kw",
            "a chiller that is left at 0 kW does not cool",
            "the set-point at which its own controller takes over, for example its max_kw",
        )
