"""What is shown of the market: the part of the port that speaks of offers and orders.

Law: as ports.py: plain frozen records with the fields of admin.proto. Times are epoch seconds, 0 is "none"; an
unknown figure is NaN. kW positive, money GBP. A transaction id is a secret of the two sides and is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OfferSlotView:
    """What is for sale in one slot (proto: OfferSlot)."""

    start: int
    kw: float
    left_kw: float
    gbp_per_kwh: float
    order_by: int


@dataclass(frozen=True, slots=True)
class OffersView:
    """What is for sale (proto: OffersReply)."""

    made_at: int  # 0: nothing is offered
    slot_seconds: int
    why_none: str
    notice_seconds: float
    shortest_seconds: int
    longest_seconds: int
    certainty: float
    slots: tuple[OfferSlotView, ...]


@dataclass(frozen=True, slots=True)
class OrderSlotView:
    """One slot of an order (proto: OrderSlot)."""

    start: int
    sold_kw: float
    gbp_per_kwh: float
    baseline_kw: float
    planned_kw: float  # less than the baseline by the plan in force
    delivered_kw: float  # NaN before it is known
    source: str  # metered | modelled


@dataclass(frozen=True, slots=True)
class OrderEventView:
    """A step of the life cycle, or a message (proto: OrderEvent)."""

    at: int
    kind: str  # step | in | out
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order (proto: Order)."""

    order_id: str
    kind: str  # sale | bid
    buyer: str
    contract: str  # the contract's state
    state: str  # of the sale
    start: int
    end: int
    slot_seconds: int
    created: int
    decide_by: int  # of a pending one
    kept_by: str  # the window, say
    gbp: float
    sold_kwh: float
    delivered_kwh: float
    rating: float
    detail: str
    slots: tuple[OrderSlotView, ...] = ()
    events: tuple[OrderEventView, ...] = ()
