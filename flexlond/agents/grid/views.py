"""What is shown of a buyer: offers with what would be taken and why, needs with what became of them.

Law: plain frozen records with the fields of admin.proto; pure. Times are epoch seconds; an unknown figure is
NaN. Delivered is what sellers told, counted up to what was bought; what nobody told is not delivered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.agents.grid.orchestrator import bought_kw, spent_gbp
from flexlond.agents.grid.records import COVERING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.grid.choosing import Choice
    from flexlond.agents.grid.needs import Wanted
    from flexlond.agents.grid.records import Lot, Need
    from flexlond.model.buy_settings import BuySettings


@dataclass(frozen=True, slots=True)
class OfferView:
    """One listing (proto: RankedOffer), best first."""

    seller: str
    offer: str
    name: str
    kwh: float  # that it could give
    price: float  # GBP per kWh, mean
    avoided: float  # kg CO2 per kWh, mean
    certainty: float
    notice_seconds: int
    score: float  # GBP per kWh, lower is better; inf: it could give nothing
    picked_kwh: float
    picked_kw: tuple[float, ...]  # by slot
    why: str


@dataclass(frozen=True, slots=True)
class DiscoverView:
    """What would be bought (proto: DiscoverReply)."""

    offers: tuple[OfferView, ...]
    start: int  # of the first slot; 0: nothing is on offer
    slot_seconds: int
    cost_gbp: float
    proven: bool
    goal: str
    open_kw: tuple[float, ...] = ()  # by slot: what nobody gives
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LotView:
    """One order of a need (proto: Purchase)."""

    order_id: str
    seller: str
    state: str
    kw: tuple[float, ...]  # by slot of the need; 0 outside
    delivered_kw: tuple[float, ...]  # NaN: nobody told
    cost_gbp: float
    rating: int
    why: str


@dataclass(frozen=True, slots=True)
class NeedView:
    """One need (proto: BuyingNeed)."""

    key: str
    source: str
    words: str
    state: str
    note: str
    goal: str
    start: int
    slot_seconds: int
    wanted_kw: tuple[float, ...]
    bought_kw: tuple[float, ...]
    delivered_kw: tuple[float, ...]  # NaN: not over, or nobody told
    budget_gbp: float
    spent_gbp: float
    orders: tuple[LotView, ...]


def discover_view(
    wanted: Wanted, choice: Choice, settings: BuySettings, skipped: tuple[str, ...]
) -> DiscoverView:
    """The ranking in words."""
    rank, hours = choice.rank, wanted.slot_seconds / 3600.0
    offers = []
    for row in rank.order.tolist():
        listing, kw = choice.listings[row], choice.kw[row]
        offers.append(
            OfferView(
                listing.seller,
                listing.offer,
                listing.name,
                float(rank.kwh[row]),
                float(rank.price[row]),
                float(rank.avoided[row]),
                listing.certainty,
                int(min(listing.notice, 2**32 - 1)),
                float(rank.score[row]),
                float(kw.sum()) * hours,
                tuple(round(float(one), 3) for one in kw),
                _why(choice, row, settings),
            )
        )
    return DiscoverView(
        tuple(offers),
        wanted.start,
        wanted.slot_seconds,
        choice.cost_gbp,
        choice.proven,
        wanted.goal,
        tuple(float(one) for one in choice.open_kw),
        skipped,
    )


def _why(choice: Choice, row: int, settings: BuySettings) -> str:
    rank = choice.rank
    if not rank.kwh[row] > 0:
        if (
            choice.listings[row].price
            and min(choice.listings[row].price.values()) > settings.value_gbp_per_kwh
        ):
            return "above the value of a kWh"
        return "nothing in these slots: other slots, or its notice has run out"
    if choice.kw[row].any():
        return f"rank {int((rank.order == row).argmax()) + 1}"
    better = rank.order[: int((rank.order == row).argmax())]
    if any(choice.kw[other].any() for other in better):
        return "better ones cover the need, or the budget"
    return "does not fit: activation limits, least lot or budget"


def need_view(need: Need, lots: Sequence[Lot], ids: Mapping[str, str]) -> NeedView:
    """A need, its lots, and its slots."""
    wanted = need.wanted
    starts = wanted.starts()
    bought = bought_kw(lots)
    return NeedView(
        wanted.key,
        wanted.source,
        wanted.words,
        need.state.value,
        need.note,
        wanted.goal,
        wanted.start,
        wanted.slot_seconds,
        wanted.kw,
        tuple(bought.get(at, 0.0) for at in starts),
        tuple(_delivered(lots, at) for at in starts),
        wanted.budget_gbp,
        spent_gbp(lots),
        tuple(
            LotView(
                ids.get(lot.transaction_id, ""),
                lot.seller,
                lot.state.value,
                tuple(lot.kw.get(at, 0.0) for at in starts),
                tuple(lot.told[at].delivered if at in lot.told else math.nan for at in starts),
                lot.cost_gbp,
                lot.rating,
                lot.why,
            )
            for lot in lots
        ),
    )


def _delivered(lots: Sequence[Lot], at: int) -> float:
    told = [
        min(lot.kw[at], max(0.0, lot.told[at].delivered))
        for lot in lots
        if at in lot.kw and at in lot.told and lot.state in COVERING
    ]
    return sum(told) if told else math.nan
