"""Pay and penalty of a DEG demand-flex contract, from what both sides see in `on_status`.

Law: pure; Decimal; exact until the total. For each slot: delivered is the sum over meters of baseline less
usage, none below zero; pay is what was delivered up to the offer at the slot's price, penalty the rest of the
offer at the slot's shortfall penalty. The flows of buyer and seller sum to zero. With anything missing there
are violations and no flows: a push of baselines alone would otherwise charge the whole penalty. Per-meter
clamping is DEG's; these are no P415 volumes. Source: the contract policy of DEG's demand-flex kit (its
example: 436.25).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from flexlond.settlement.terms import Rounding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class DegSlot:
    """What was agreed for one interval; kW, and currency per kWh."""

    number: int
    hours: Decimal
    offered_kw: Decimal
    price: Decimal
    penalty: Decimal


@dataclass(frozen=True, slots=True)
class MeterKw:
    """One meter in one interval; None: not said."""

    baseline: Decimal | None
    usage: Decimal | None


@dataclass(frozen=True, slots=True)
class SlotOutcome:
    """What became of one interval, exactly."""

    number: int
    delivered_kw: Decimal
    paid: Decimal
    penalty: Decimal

    @property
    def net(self) -> Decimal:
        """Pay less penalty."""
        return self.paid - self.penalty


@dataclass(frozen=True, slots=True)
class DegOutcome:
    """The contract's settlement; `seller` is None while there are violations."""

    slots: tuple[SlotOutcome, ...]
    seller: Decimal | None  # what the seller receives, rounded; the buyer pays as much
    violations: tuple[str, ...]

    def flows(self, currency: str) -> list[dict[str, str | Decimal]]:
        """Revenue flows by role; empty while there are violations."""
        if self.seller is None:
            return []
        return [
            {"role": "buyer", "value": -self.seller, "currency": currency},
            {"role": "seller", "value": self.seller, "currency": currency},
        ]


def settle(
    slots: Sequence[DegSlot],
    meters: Mapping[str, Sequence[MeterKw]],
    rounding: Rounding | None = None,
) -> DegOutcome:
    """The outcome of a contract; each meter has one entry per slot, in order."""
    violations = [] if slots and meters else ["there are no slots or no meters"]
    for name, entries in meters.items():
        if len(entries) != len(slots):
            violations.append(f"meter {name} has {len(entries)} of {len(slots)} intervals")
            continue
        for slot, entry in zip(slots, entries, strict=True):
            if entry.baseline is None or entry.usage is None:
                lacking = "baseline" if entry.baseline is None else "usage"
                violations.append(f"meter {name} has no {lacking} in interval {slot.number}")
    if violations:
        return DegOutcome((), None, tuple(violations))
    outcomes = tuple(
        _slot(slot, [entries[at] for entries in meters.values()]) for at, slot in enumerate(slots)
    )
    total = sum((one.net for one in outcomes), ZERO)
    return DegOutcome(outcomes, (rounding or Rounding()).money(total), ())


def _slot(slot: DegSlot, entries: Sequence[MeterKw]) -> SlotOutcome:
    delivered = sum(
        (max(ZERO, (one.baseline or ZERO) - (one.usage or ZERO)) for one in entries), ZERO
    )
    paid = min(delivered, slot.offered_kw) * slot.hours * slot.price
    short = max(ZERO, slot.offered_kw - delivered) * slot.hours * slot.penalty
    return SlotOutcome(slot.number, delivered, paid, short)
