"""What is shown and asked of windows: the part of the port (ports.py) that speaks of them.

Law: as ports.py: plain frozen records with the fields of admin.proto. Times are epoch seconds, 0 is "none"; an
unknown figure is NaN. Observed power says whether it is metered or modelled; foreseen is by the plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WindowOrder:
    """What an operator asks for: a cap, or a reduction against the plan of this moment; the other is NaN."""

    start: int
    end: int
    cap_kw: float
    down_kw: float
    by: str
    replaces: int = 0  # the window that it takes the place of
    order_id: str = (
        ""  # of the market: asked for again it is the same window, and it is kept or refused
    )
    by_slot: tuple[
        float, ...
    ] = ()  # the reduction slot by slot from `start` on, instead of `down_kw`
    allow_rebound: bool = False  # also where what comes back after it is above the rebound cap


@dataclass(frozen=True, slots=True)
class WindowSlotView:
    """One slot of a window (proto: WindowSlot)."""

    start: int
    cap_kw: float
    planned_kw: float
    observed_kw: float  # NaN before it was looked at
    shortfall_kw: float  # above the cap: observed where the slot is over, foreseen else
    ramp_in: bool
    observed_source: str = ""  # metered | modelled; "" before it was looked at
    metered_share: float = 0.0  # the part of it that a usable reading covers
    baseline_kw: float = math.nan  # planned without the window, where it keeps an order


@dataclass(frozen=True, slots=True)
class StopView:
    """A running job that a window stops (proto: WindowStop)."""

    job_id: int
    verb: str  # requeue-until | suspend
    at: int  # when it is ordered
    until: int  # held until then, or resumed then
    kw: float
    cost_gbp: float
    state: str  # planned, or how its intent ended; open while that is not known
    detail: str


@dataclass(frozen=True, slots=True)
class SlowView:
    """An array that a window slows (proto: WindowSlow)."""

    job_id: int
    width: int  # tasks at once
    own: int  # its owner's throttle; 0: none
    until: int  # when it gets its own back
    kw: float  # that it draws less while it runs
    state: str  # planned | slowed


@dataclass(frozen=True, slots=True)
class WindowView:
    """One window with its progress (proto: Window)."""

    window_id: int
    start: int
    end: int
    slot_seconds: int
    state: str  # planned | active | ended | cancelled
    cap_kw: float
    down_kw: float
    ramp_slots: int
    created: int
    created_by: str
    cancelled: int
    rebound_kw: float  # inf: no cap after it
    rebound_end: int
    shortfall_kw: float  # the largest of its slots
    short_slots: int
    detail: str  # why it is not kept, or what it does
    slots: tuple[WindowSlotView, ...]
    stops: tuple[StopView, ...] = ()
    order_id: str = ""  # of the market, if it keeps one
    slows: tuple[SlowView, ...] = ()


@dataclass(frozen=True, slots=True)
class MoveView:
    """A job that a window moves (proto: WindowMove)."""

    job_id: int
    before: int
    after: int
    kw: float


@dataclass(frozen=True, slots=True)
class AddedView:
    """What a window costs and whether it is in force (proto: AddWindowReply).

    The costs are the rise of each part of the objective against the plan without it, over the jobs whose costs
    are known in both.
    """

    window: WindowView | None  # None: refused
    added: bool
    cost_gbp: float
    carbon_gbp: float
    delay_gbp: float
    moves: tuple[MoveView, ...]
    detail: str  # what is in force, or why it is refused and what to do
    stops: tuple[StopView, ...] = ()
    stops_gbp: float = 0.0  # what they cost, beside the rise of the objective


def refused(why: str) -> AddedView:
    """Nothing was changed."""
    return AddedView(None, added=False, cost_gbp=0, carbon_gbp=0, delay_gbp=0, moves=(), detail=why)
