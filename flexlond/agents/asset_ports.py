"""What is shown of assets: the part of the port (ports.py) that speaks of them.

Law: as ports.py: plain frozen records with the fields of admin.proto. Times are epoch seconds, 0 is "none"; an
unknown figure is NaN. kW positive into the asset; a level is kWh stored or degrees C, as `unit` says.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AssetSlotView:
    """What is planned for one slot (proto: AssetSlot)."""

    start: int
    kw: float
    level: float  # at its end


@dataclass(frozen=True, slots=True)
class AssetView:
    """One asset (proto: AssetLine)."""

    name: str
    kind: str  # battery | chiller
    driver: str  # simulated | modbus
    unit: str  # kWh | C
    read_at: int
    level: float
    kw: float
    planned_kw: float  # NaN: not planned with
    setpoint_kw: float  # in force by us; NaN: none
    setpoint_at: int
    writes: bool  # the configuration allows set-points
    detail: str  # why it is left out, or has no set-point
    slots: tuple[AssetSlotView, ...]


@dataclass(frozen=True, slots=True)
class AssetsView:
    """All assets and what their plan comes to (proto: AssetsReply)."""

    assets: tuple[AssetView, ...]
    planned_at: int
    cost_gbp: float  # of the assets over the horizon: energy, carbon and wear; NaN before a plan
    proven: bool  # jobs and assets together are within 0.1 % of the best
    problems: tuple[str, ...]
