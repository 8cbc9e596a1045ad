"""[market.buy] of the configuration: what a buyer of flexibility wants, what it is worth, and who says so.

Law: only the shape, as settings.py (it is a part of it). Money in GBP, power in kW, durations in seconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


StressKind = Literal["elexon-warnings", "elexon-demand-control", "openadr"]


class StressFeed(_Base, frozen=True):
    """[[market.buy.stress]]: one source of warnings."""

    source: StressKind
    url: str = ""  # openadr: the VTN; else overrides Elexon's address
    program: str = ""  # openadr: only events of this program id; empty: all
    client_id: str = ""  # openadr: OAuth2 client credentials; empty: the VTN asks for none
    secret_file: str = ""  # openadr: the file with the client's secret
    refresh: float = 300.0


class GoalWeights(_Base, frozen=True):
    """[market.buy.weights.GOAL]: what makes an offer good; one score in GBP per kWh adds them up."""

    price: float = 1.0
    carbon_gbp_per_kg: float = 0.0
    shortfall_gbp_per_kwh: float = 0.0


GOALS = {
    "price": GoalWeights(),
    "carbon": GoalWeights(price=0.1, carbon_gbp_per_kg=1.0),
    "stress": GoalWeights(carbon_gbp_per_kg=0.1, shortfall_gbp_per_kwh=1.0),
}


class BuySettings(_Base, frozen=True):
    """[market.buy]: the Grid Orchestrator, and the splitting of orders by the Flexibility Orchestrator."""

    goal: Literal["price", "carbon", "stress"] = "stress"
    weights: dict[str, GoalWeights] = msgspec.field(default_factory=dict)
    value_gbp_per_kwh: float = 1.0  # nothing is bought above it
    penalty_gbp_per_kwh: float = 0.0
    budget_gbp: float = 100.0  # of one need
    lot_kw: float = 0.1
    min_certainty: float = 0.0
    watch_kw: float = 0.0  # 0: the level buys nothing
    tight_kw: float = 0.0
    emergency_kw: float = 0.0
    notice_hours: float = 4.0  # how long a capacity market notice stands that names no end
    lead_seconds: float = 60.0
    discover_seconds: float = 15.0
    refresh_seconds: float = 300.0
    take_published: bool = False  # catalogues that sellers publish unasked
    silent_seconds: float = 60.0
    confirm_seconds: float = 300.0
    needs_file: str = ""
    bid_gbp_per_kwh: float = (
        0.0  # what is paid for bids into published needs; 0: the value of a kWh
    )
    bids_first_seconds: float = 0.0  # a need waits so long for bids before it is bought of sellers
    publish_to: tuple[str, ...] = ()  # sites or catalogue services that get the needs unasked
    stress: tuple[StressFeed, ...] = ()
    timeout: float = 20.0

    @property
    def incentive(self) -> float:
        """GBP per kWh that published needs pay."""
        return self.bid_gbp_per_kwh or self.value_gbp_per_kwh

    def weights_of(self, goal: str) -> GoalWeights:
        """The weights of a goal: the configured ones, else ours."""
        return self.weights.get(goal) or GOALS[goal]
