"""What a buyer would take of the listings that it has, and why: the question to the split and its answer.

Law: pure but for the solver's child, which blocks for seconds: call `choose` in a thread. A listing that lost
a lot of the same need is out until a newer catalogue has it again, a seller that lost three is out for that
need. Nothing is taken above the value of a kWh, whatever the weights. kW, GBP, epoch seconds. Source: our own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.agents.grid.listings import Listing, on_slots
from flexlond.agents.grid.records import Lot, LotState
from flexlond.planning import market_offers
from flexlond.planning.market_offers import Offers, Weights
from flexlond.planning.market_rank import Rank, rank
from flexlond.solver.split import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from flexlond.agents.grid.needs import Wanted
    from flexlond.model.buy_settings import BuySettings
    from flexlond.solver.linear import Answer

MOST_LOSSES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is to be split."""

    wanted: Wanted
    open_kw: Sequence[float]  # by slot of `wanted`
    budget_gbp: float
    listings: Sequence[Listing]
    now: float
    carbon: NDArray[np.float64]  # (T,) g per kWh from the need's first slot on


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The listings from best to worst, and what is taken of each."""

    listings: tuple[Listing, ...]
    rank: Rank  # of `listings`, in their order
    kw: NDArray[np.float64]  # (O, S)
    proven: bool
    cost_gbp: float
    open_kw: NDArray[np.float64]  # (S,) what nobody gives

    def taken(self, row: int, starts: Sequence[int]) -> dict[int, float]:
        """KW by slot of one listing, without zeros."""
        return {
            at: round(float(kw), 3) for at, kw in zip(starts, self.kw[row], strict=True) if kw > 0.0
        }


def usable(
    listings: Iterable[Listing], lots: Iterable[Lot], sellers: Iterable[str], certainty: float
) -> list[Listing]:
    """Those that may be asked for a need with these lots."""
    lost: dict[tuple[str, str], float] = {}
    losses: dict[str, int] = {}
    for lot in lots:
        if lot.state in {LotState.LOST, LotState.DOUBTFUL}:
            key = lot.seller, lot.offer
            lost[key] = max(lost.get(key, 0.0), lot.at)
            losses[lot.seller] = losses.get(lot.seller, 0) + 1
    known = set(sellers)
    return [
        one
        for one in sorted(listings, key=lambda one: one.key)
        if one.seller in known
        and one.certainty >= certainty
        and losses.get(one.seller, 0) < MOST_LOSSES
        and one.received > lost.get(one.key, -1.0)
    ]


def left_of(listings: Iterable[Listing], lots: Sequence[Lot]) -> list[Listing]:
    """The listings without what we have asked for since their catalogue came; steps of one resource share."""
    left = []
    for one in listings:
        kw = dict(one.kw)
        for lot in lots:
            ours = (lot.seller, lot.resource) == (one.seller, one.resource)
            if ours and lot.state is not LotState.LOST and lot.created >= one.received:
                for at, taken in lot.kw.items():
                    if at in kw:
                        kw[at] = max(0.0, kw[at] - taken)
        left.append(replace(one, kw=kw))
    return left


def choose(
    question: Question,
    settings: BuySettings,
    solve: Callable[..., Answer | None] | None = None,
) -> Choice:
    """The best split of what is open; slots that begin before an order can be made are left out.

    `solve` is the exact solver, in a child process where none is given.
    """
    wanted, now = question.wanted, question.now
    soonest = now + settings.lead_seconds
    open_ = np.array(question.open_kw)
    amounts = np.where(np.array(wanted.starts()) >= soonest, open_, 0.0)
    offers = on_slots(wanted, question.listings, now, settings.lead_seconds, question.carbon)
    offers = _not_above(offers, settings.value_gbp_per_kwh)
    chosen = settings.weights_of(wanted.goal)
    weights = Weights(chosen.price, chosen.carbon_gbp_per_kg, chosen.shortfall_gbp_per_kwh)
    need = market_offers.Need(
        kw=np.where(amounts >= settings.lot_kw, amounts, 0.0),
        hours=wanted.slot_seconds / 3600.0,
        budget_gbp=max(0.0, question.budget_gbp),
        # What is worth nothing more than its risk would else not be bought at the goal "stress".
        value_gbp_per_kwh=settings.value_gbp_per_kwh + chosen.shortfall_gbp_per_kwh,
        lot_kw=settings.lot_kw,
    )
    found = split(need, offers, weights, solve=solve)
    return Choice(
        tuple(question.listings),
        rank(need, offers, weights),
        found.kw,
        found.proven,
        market_offers.cost_gbp(need, offers, found.kw),
        np.maximum(open_ - found.bought(), 0.0),
    )


def _not_above(offers: Offers, value: float) -> Offers:
    return replace(offers, kw=np.where(offers.price <= value, offers.kw, 0.0))
