"""[buying] of the configuration: what a buyer of flexibility wants, what it is worth, and who says so.

Law: only the shape, as settings.py (it is a part of it). Money in GBP, power in kW, durations in seconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class StressFeed(_Base, frozen=True):
    """[[buying.stress]]: one source of warnings."""

    source: Literal["elexon-warnings", "elexon-demand-control", "openadr"]
    url: str = ""  # openadr: the VTN; else overrides Elexon's address
    program: str = ""  # openadr: only events of this program id; empty: all
    client_id: str = ""  # openadr: OAuth2 client credentials; empty: the VTN asks for none
    secret_file: str = ""  # openadr: the file with the client's secret
    refresh: float = 300.0


class BuyingSettings(_Base, frozen=True):
    """[buying]: the Grid Orchestrator, and the splitting of orders by the Flexibility Orchestrator."""

    goal: Literal["price", "carbon", "stress"] = "stress"
    price_weight: float = 1.0
    carbon_gbp_per_kg: float = 0.1
    shortfall_gbp_per_kwh: float = 0.5
    value_gbp_per_kwh: float = 1.0
    penalty_gbp_per_kwh: float = 0.0
    budget_gbp: float = 100.0
    lot_kw: float = 0.1
    min_certainty: float = 0.0
    watch_kw: float = 0.0
    tight_kw: float = 0.0
    emergency_kw: float = 0.0
    notice_hours: float = 4.0
    lead_seconds: float = 60.0
    discover_seconds: float = 15.0
    refresh_seconds: float = 300.0
    silent_seconds: float = 60.0
    needs_file: str = ""
    stress: tuple[StressFeed, ...] = ()
    timeout: float = 20.0
