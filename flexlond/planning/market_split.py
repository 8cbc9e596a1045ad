"""Which offers to take for a need, and how many kW of each in each slot: quick, and good enough to begin with.

Law: pure. What it returns breaks no rule (`market_offers.violations`) and is never worse than buying nothing.
Offer by offer, best score first, each takes the run of slots that is worth most of what is still open; one
that the budget cannot pay whole is taken thinner, never beyond it. The exact answer is `flexlond.solver.split`,
which begins from this one. Shapes: O offers, S slots. Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.market_offers import TOLERANCE_KW, Need, Offers, Split, Weights, cost_gbp
from flexlond.planning.market_rank import rank, scores

if TYPE_CHECKING:
    from numpy.typing import NDArray


def worth_gbp(need: Need, offers: Offers, weights: Weights, kw: NDArray[np.float64]) -> float:
    """What a split is worth: the value of its kWh less their scores. Buying nothing is worth 0."""
    gain = need.value_gbp_per_kwh - scores(offers, weights)
    return float((kw * np.where(kw > 0, gain, 0.0)).sum()) * need.hours


def greedy(need: Need, offers: Offers, weights: Weights) -> Split:
    """Take one offer after the other."""
    taken = np.zeros_like(offers.kw)
    gain = (need.value_gbp_per_kwh - scores(offers, weights)) * need.hours  # (O, S) GBP per kW
    open_kw = need.kw.copy()
    left = need.budget_gbp
    for offer in rank(need, offers, weights).order:
        room = np.minimum(offers.kw[offer], open_kw)
        rivals = (offers.group == offers.group[offer]) & (np.arange(len(offers)) != offer)
        room = np.where((taken[rivals] > 0.0).any(axis=0), 0.0, room)
        room = np.where(room >= need.lot_kw, room, 0.0)
        run = _best_run(
            gain[offer] * room, room > 0.0, offers.shortest[offer], offers.longest[offer]
        )
        if run is None:
            continue
        here = np.zeros(offers.slots)
        here[run[0] : run[1]] = room[run[0] : run[1]]
        here = _afford(need, here, offers.price[offer], left)
        if not here.any():
            continue
        taken[offer] = here
        open_kw = np.maximum(open_kw - here, 0.0)
        left -= float((here * offers.price[offer])[here > 0].sum()) * need.hours
    return Split(taken, proven=False)


def _best_run(
    value: NDArray[np.float64], possible: NDArray[np.bool_], shortest: int, longest: int
) -> tuple[int, int] | None:
    """(first, end) of the run of possible slots that is worth most; None where none is worth anything."""
    slots = len(value)
    sums = np.concatenate([[0.0], np.cumsum(np.where(possible, value, 0.0))])
    blocked = np.concatenate([[0], np.cumsum(~possible)])
    first, end = np.triu_indices(slots + 1, k=max(1, int(shortest)))
    fits = (end - first <= longest) & (blocked[end] == blocked[first])
    worth = np.where(fits, sums[end] - sums[first], -np.inf)
    if not len(worth) or worth.max() <= 0.0:
        return None
    best = int(np.argmax(worth))
    return int(first[best]), int(end[best])


def _afford(
    need: Need, kw: NDArray[np.float64], price: NDArray[np.float64], left: float
) -> NDArray[np.float64]:
    """`kw` thinned evenly until what is left pays for it; nothing where that is below the least lot."""
    costs = float((kw * np.where(kw > 0, price, 0.0)).sum()) * need.hours
    if costs <= max(left, 0.0):
        return kw
    thin = kw * (max(left, 0.0) / costs)
    return thin if thin[kw > 0].min() >= need.lot_kw else np.zeros_like(kw)


def rounded(need: Need, offers: Offers, kw: NDArray[np.float64]) -> NDArray[np.float64]:
    """`kw` in whole watts, rounded down, and what fell below the least lot by that lifted to it."""
    watts = np.floor(kw * 1000.0 + TOLERANCE_KW) / 1000.0
    lot = np.where(kw > 0.0, np.ceil(need.lot_kw * 1000.0 - TOLERANCE_KW) / 1000.0, 0.0)
    made: NDArray[np.float64] = np.maximum(watts, np.minimum(lot, offers.kw))
    return made


def spent_gbp(need: Need, offers: Offers, split: Split) -> float:
    """What a split costs."""
    return cost_gbp(need, offers, split.kw)
