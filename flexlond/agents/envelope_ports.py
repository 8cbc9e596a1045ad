"""What is shown of the flexibility envelope: the part of the port (ports.py) that speaks of it.

Law: as ports.py: plain frozen records with the fields of admin.proto. Times are epoch seconds, 0 is "none"; an
unknown figure is NaN. kW are positive in both directions; money is GBP.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnvelopeStepView:
    """One step of a curve (proto: EnvelopeStep)."""

    kw: float
    certain_kw: float
    offered_kw: float  # 0: not offered
    price_gbp: float
    uncertainty_gbp: float
    gbp_per_mwh: float
    gap: float
    order_by: int
    longest_seconds: int
    rebound_kw: float
    rebound_at: int
    peak_kw: float
    peak_at: int
    jobs: int
    why_not: str
    stopped_jobs: int = 0


@dataclass(frozen=True, slots=True)
class EnvelopeCurveView:
    """The steps of one window in one direction (proto: EnvelopeCurve)."""

    start: int
    end: int
    direction: str  # down | up
    planned_kw: float
    jobs: int
    gap: float
    improvable_gbp: float
    steps: tuple[EnvelopeStepView, ...]


@dataclass(frozen=True, slots=True)
class EnvelopeSlotView:
    """One slot of the windows together (proto: EnvelopeSlot)."""

    start: int
    planned_kw: float
    down_kw: float
    up_kw: float
    cap_kw: float


@dataclass(frozen=True, slots=True)
class EnvelopeView:
    """The whole envelope (proto: EnvelopeReply)."""

    made_at: int
    slot_seconds: int
    level: float
    margin: float
    rebound_cap: float
    plan_gap: float
    seconds: float
    curves: tuple[EnvelopeCurveView, ...]
    slots: tuple[EnvelopeSlotView, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoEnvelope:
    """Why there is none, and what to do."""

    why: str
