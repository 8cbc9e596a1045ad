"""What can be sold: kW by slot with their price, and on which terms. Made from the envelope.

Law: pure. Only what the envelope offers with its margin is for sale, downwards (a window can lower the site's
power, not raise it), and only where it rests on enough jobs: nobody's single job can be read from it. No name,
no user, no count leaves this module. A slot's sale ends its notice before it begins. kW positive, GBP per kWh,
epoch seconds; watts are whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.agents.envelope_ports import EnvelopeCurveView, EnvelopeView
    from flexlond.model.market_settings import SellSettings


@dataclass(frozen=True, slots=True)
class Step:
    """So many kW for so much."""

    kw: float
    gbp_per_kwh: float


@dataclass(frozen=True, slots=True)
class OfferSlot:
    """What one slot can give; `steps` from the fewest kW up."""

    start: int
    steps: tuple[Step, ...]
    order_by: float  # the last moment

    @property
    def watts(self) -> int:
        """The most."""
        return int(self.steps[-1].kw * 1000.0)

    def price(self, kw: float) -> float:
        """GBP per kWh for `kw`: of the smallest step that has as much, of the largest for more."""
        found = next((step for step in self.steps if step.kw >= kw - 1e-9), self.steps[-1])
        return found.gbp_per_kwh


@dataclass(frozen=True, slots=True)
class Offering:
    """All that can be sold now."""

    made_at: int  # the moment of the plan that it was made from
    slot_seconds: int
    slots: tuple[OfferSlot, ...]  # by start
    notice: float  # the shortest of its slots; each slot has its own last moment
    shortest: int  # seconds
    longest: int
    deferral: int  # the longest that work is put off, seconds
    rebound: int  # within it the work is done
    certainty: float
    rated_kw: float
    floor_kw: float
    curtailment: tuple[str, ...] = ("HOLD_PENDING",)

    def at(self, start: int) -> OfferSlot | None:
        """One slot."""
        return next((one for one in self.slots if one.start == start), None)

    def open(self, now: float) -> tuple[OfferSlot, ...]:
        """The slots whose sale has not ended."""
        return tuple(one for one in self.slots if now < one.order_by)


def from_envelope(
    view: EnvelopeView,
    sell: SellSettings,
    *,
    horizon: int,
    rebound: int,
    curtailment: tuple[str, ...],
) -> Offering:
    """The offering of an envelope; it may have no slots.

    Work is put off within the plan's `horizon`, and comes back under a cap for `rebound` (seconds both).
    """
    slots: dict[int, OfferSlot] = {}
    notices = []
    for curve in view.curves:
        if curve.direction != "down":
            continue
        steps = _steps(curve, sell)
        if not steps:
            continue
        needed = max(curve.start - min(steps.values()), sell.notice, sell.gate_closure)
        notices.append(needed)
        for start in range(curve.start, curve.end, view.slot_seconds):
            slots[start] = OfferSlot(
                start, tuple(sorted(steps, key=lambda step: step.kw)), start - needed
            )
    planned = {slot.start: slot.planned_kw for slot in view.slots if slot.start in slots}
    return Offering(
        made_at=view.made_at,
        slot_seconds=view.slot_seconds,
        slots=tuple(slots[start] for start in sorted(slots)),
        notice=min(notices, default=0.0),
        shortest=sell.min_slots * view.slot_seconds,
        longest=sell.max_slots * view.slot_seconds,
        deferral=horizon,
        rebound=min(rebound, horizon),
        certainty=view.level,
        rated_kw=math.ceil(max(planned.values(), default=0.0)),
        floor_kw=math.floor(
            max(
                0.0,
                min((planned[start] - slots[start].steps[-1].kw for start in planned), default=0.0),
            )
        ),
        curtailment=curtailment,
    )


def _steps(curve: EnvelopeCurveView, sell: SellSettings) -> dict[Step, int]:
    """The steps of a curve that may be offered, each with the last moment to order it for its first slot."""
    found: dict[Step, int] = {}
    for step in curve.steps:
        price = step.gbp_per_mwh / 1000.0 * (1.0 + sell.margin)
        kw = math.floor(step.offered_kw * 1000.0) / 1000.0
        if kw < sell.least_kw or not math.isfinite(price) or step.jobs < sell.least_jobs:
            continue
        found[Step(kw, round(max(price, sell.least_price), 6))] = step.order_by
    return found


def capacity(offering: Offering, kept: Mapping[int, int], now: float) -> dict[int, int]:
    """Watts by slot against which promises are counted: what is open, and what is `kept` and in the plan."""
    return dict(kept) | {
        one.start: one.watts + kept.get(one.start, 0) for one in offering.open(now)
    }
