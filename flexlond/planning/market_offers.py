"""What a buyer of flexibility needs and what sellers offer it, as arrays on the need's own slots.

Law: pure data. kW are positive and mean less draw (or more, for a need of turn-up; one need has one
direction). Prices are GBP per kWh delivered, money is GBP. An offer is taken as one unbroken run of slots,
between its shortest and its longest activation, with at least `lot_kw` in each; two offers of one group
(steps of one curve) are never taken in the same slot. Shapes: O offers, S slots.
Source: our own; the terms are those of the ComputeFlexOffer pack and of ENA's flexibility products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.problem import PlanningError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE_KW = 1e-3  # a watt: what is sold is counted in whole watts


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """How many kW are still wanted by slot, and what may be spent on them."""

    kw: NDArray[np.float64]  # (S,) at least 0
    hours: float  # of one slot
    budget_gbp: float  # inf: none
    value_gbp_per_kwh: float  # what a kWh is worth to the buyer; above it nothing is bought
    lot_kw: float = 0.1  # least kW of one seller in one slot

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not (np.isfinite(self.kw).all() and (self.kw >= 0.0).all()):
            raise PlanningError("a need has a slot without a number of kW of at least 0")
        if not (self.hours > 0.0 and self.lot_kw > 0.0 and np.isfinite(self.value_gbp_per_kwh)):
            raise PlanningError("hours and lot_kw of a need are above 0, its value is a number")

    @property
    def kwh(self) -> float:
        """The energy of all slots."""
        return float(self.kw.sum()) * self.hours


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """What is for sale. A slot with 0 kW is not on offer."""

    kw: NDArray[np.float64]  # (O, S) at most
    price: NDArray[np.float64]  # (O, S) GBP per kWh
    avoided: NDArray[
        np.float64
    ]  # (O, S) kg CO2 that a kWh avoids, what is caught up with taken off
    certainty: NDArray[np.float64]  # (O,) of delivery, 0 to 1
    shortest: NDArray[np.int64]  # (O,) slots of one activation, at least 1
    longest: NDArray[np.int64]  # (O,) at most
    group: NDArray[np.int64]  # (O,) offers of one number exclude each other slot by slot

    def __len__(self) -> int:
        """O."""
        return len(self.kw)

    @property
    def slots(self) -> int:
        """S."""
        return int(self.kw.shape[1])


@dataclass(frozen=True, slots=True)
class Weights:
    """What makes an offer good, all in GBP per kWh: one score adds them up."""

    price: float = 1.0  # GBP that a GBP of price counts
    carbon_gbp_per_kg: float = 0.0  # what an avoided kg of CO2 is worth
    shortfall_gbp_per_kwh: float = (
        0.0  # what a kWh that does not come costs; times what is uncertain
    )


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """What to buy: `kw` (O, S), 0 where nothing is taken."""

    kw: NDArray[np.float64]
    proven: bool  # whether nothing better exists, within the solver's gap

    def bought(self) -> NDArray[np.float64]:
        """(S,) kW of all sellers."""
        total: NDArray[np.float64] = self.kw.sum(axis=0)
        return total


def cost_gbp(need: Need, offers: Offers, kw: NDArray[np.float64]) -> float:
    """What `kw` (O, S) costs at the offers' prices."""
    return float((kw * np.where(kw > 0, offers.price, 0.0)).sum()) * need.hours


def violations(need: Need, offers: Offers, kw: NDArray[np.float64]) -> list[str]:
    """Every rule that `kw` (O, S) breaks, in words; empty for a purchase that may be made."""
    found = []
    if kw.shape != offers.kw.shape:
        return [f"the split has the shape {kw.shape}, the offers {offers.kw.shape}"]
    on = kw > 0.0
    if (kw < 0.0).any() or (kw > offers.kw + TOLERANCE_KW).any():
        found.append("more is taken of an offer than it has, or less than nothing")
    if (kw[on] < need.lot_kw - TOLERANCE_KW).any():
        found.append("less than the least lot is taken in a slot")
    if (kw.sum(axis=0) > need.kw + TOLERANCE_KW).any():
        found.append("more is bought in a slot than is needed")
    length = on.sum(axis=1)
    starts = (np.diff(on.astype(np.int64), axis=1, prepend=0) > 0).sum(axis=1)
    if (starts > 1).any():
        found.append("an offer is taken in more than one run of slots")
    taken = length > 0
    if (taken & ((length < offers.shortest) | (length > offers.longest))).any():
        found.append("a run is shorter than the shortest activation, or longer than the longest")
    groups = np.unique(offers.group[taken])
    if any((on[offers.group == group].sum(axis=0) > 1).any() for group in groups):
        found.append("two offers that exclude each other are taken in one slot")
    spent = cost_gbp(need, offers, kw)
    if spent > need.budget_gbp + 1e-6:
        found.append(f"{spent:.4f} GBP are spent of {need.budget_gbp:.4f}")
    return found
