"""One score for every offer in every slot: price, carbon and the risk that it does not come, added up.

Law: pure, vectorised, and in GBP per kWh, so scores can be summed and compared with what a kWh is worth;
lower is better: price weight x price - carbon weight x CO2 avoided + shortfall weight x (1 - certainty).
What is caught up with after the activation is emitted then: the avoided CO2 of a kWh is the intensity of its
slot less the mean intensity of the time in which it is caught up with; unknown intensity is no benefit.
Shapes: O offers, S slots. Source: our own; the sum of weighted price and carbon is the usual score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.market_offers import Need, Offers, Weights


@dataclass(frozen=True, slots=True, eq=False)
class Rank:
    """The offers from best to worst, with the means over the kWh that each could give to the need."""

    order: NDArray[np.int64]  # (O,) offers, best first; those that could give nothing come last
    score: NDArray[np.float64]  # (O,) GBP per kWh; inf for one that could give nothing
    price: NDArray[np.float64]  # (O,) GBP per kWh, NaN as above
    avoided: NDArray[np.float64]  # (O,) kg per kWh, NaN as above
    kwh: NDArray[np.float64]  # (O,) that it could give


def scores(offers: Offers, weights: Weights) -> NDArray[np.float64]:
    """(O, S) GBP per kWh."""
    risk = weights.shortfall_gbp_per_kwh * (1.0 - offers.certainty)
    made: NDArray[np.float64] = (
        weights.price * offers.price - weights.carbon_gbp_per_kg * offers.avoided + risk[:, None]
    )
    return made


def rank(need: Need, offers: Offers, weights: Weights) -> Rank:
    """Best first; of equal ones the larger, then the earlier in the list."""
    useful = np.minimum(offers.kw, need.kw) * need.hours  # (O, S) kWh
    kwh = useful.sum(axis=1)
    some = kwh > 0.0
    share = np.divide(useful, kwh[:, None], out=np.zeros_like(useful), where=some[:, None])
    score = np.where(some, (share * scores(offers, weights)).sum(axis=1), np.inf)
    price, avoided = (
        np.where(some, (share * column).sum(axis=1), np.nan)
        for column in (offers.price, offers.avoided)
    )
    order = np.lexsort((np.arange(len(offers)), -kwh, score))
    return Rank(order.astype(np.int64), score, price, avoided, kwh)


def avoided_kg(
    intensity: NDArray[np.float64], caught_up: NDArray[np.int64], slots: int
) -> NDArray[np.float64]:
    """(O, S) kg CO2 that a kWh less in each of the first `slots` slots avoids.

    `intensity` (T,) g per kWh, T >= slots, NaN where unknown; `caught_up` (O,) slots within which each offer's
    energy is drawn after all, 0: never.
    """
    known = np.isfinite(intensity)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, intensity, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    begin = np.minimum(np.arange(slots) + 1, len(intensity))
    end = np.minimum(begin[None, :] + caught_up[:, None], len(intensity))  # (O, S)
    many = counts[end] - counts[begin]
    later = np.divide(
        sums[end] - sums[begin], many, out=np.zeros((len(caught_up), slots)), where=many > 0
    )
    now = np.where(known[:slots], np.where(known, intensity, 0.0)[:slots], 0.0)
    # Caught up with in slots of unknown intensity: as if at the intensity of the slot itself.
    unknown = (caught_up[:, None] > 0) & (many == 0)
    avoided = np.where(unknown, 0.0, now[None, :] - later)
    return np.asarray(np.where(known[:slots], avoided, 0.0) / 1000.0)
