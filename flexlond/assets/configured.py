"""[[assets]] of the configuration as plant models.

Law: pure; the checks of the configuration have been passed. A heat load of 24 figures is by hour of the day
in UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.assets.plant import Asset, Battery, Chiller

if TYPE_CHECKING:
    from flexlond.model.settings import AssetSettings
    from flexlond.model.timegrid import TimeGrid

_HOUR, _DAY = 3600, 86_400


def heat_at(chosen: AssetSettings, at: float) -> float:
    """The heat load (kW) at an epoch second."""
    figures = chosen.heat_kw
    return figures[int(at % _DAY // _HOUR) % len(figures)]


def plant_of(chosen: AssetSettings, grid: TimeGrid | None = None) -> Asset:
    """The plant model; with a grid its heat load is by slot."""
    if chosen.kind == "battery":
        return Battery(
            chosen.name,
            charge_kw=chosen.charge_kw,
            discharge_kw=chosen.discharge_kw,
            capacity_kwh=chosen.capacity_kwh,
            reserve_kwh=chosen.reserve_kwh,
            charge_efficiency=chosen.charge_efficiency,
            discharge_efficiency=chosen.discharge_efficiency,
            wear_gbp_per_kwh=chosen.wear_gbp_per_kwh,
            max_age=chosen.max_age,
        )
    starts = grid.starts().tolist() if grid is not None else [0]
    return Chiller(
        chosen.name,
        max_kw=chosen.max_kw,
        inertia_kwh_per_k=chosen.inertia_kwh_per_k,
        low_c=chosen.low_c,
        high_c=chosen.high_c,
        cop=chosen.cop,
        min_kw=chosen.min_kw,
        conductance_kw_per_k=chosen.conductance_kw_per_k,
        ambient_c=chosen.ambient_c,
        heat_kw=tuple(heat_at(chosen, start) for start in starts),
        max_age=chosen.max_age,
    )
