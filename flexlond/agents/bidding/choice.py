"""What a site bids into a need: kW by slot, where it pays; or why it does not.

Law: pure. A slot is bid with the most kW whose price the incentive covers, with the margin and with the penalty
times the chance that they do not come; never more than is wanted, than is left, nor than the slot's own last
moment admits. What is left of a slot that others have a part of counts at the price of the whole. A bid is one
run of slots as long as the offering says. Watts, GBP per kWh, epoch seconds. Source: our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.agents.market.quotes import longest_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.agents.bidding.needs import Published
    from flexlond.agents.market.offering import Offering, OfferSlot

_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Terms:
    """How a site bids."""

    margin: float  # GBP per kWh
    least_kw: float
    lead: float  # seconds that an order takes


@dataclass(frozen=True, slots=True)
class Bid:
    """So much, by slot."""

    watts: Mapping[int, int]
    price: Mapping[int, float]
    penalty: Mapping[int, float]
    notice: float


@dataclass(frozen=True, slots=True)
class NoBid:
    """Nothing, and why."""

    why: str


def decide(
    need: Published,
    offering: Offering,
    left: Mapping[int, int],
    terms: Terms,
    *,
    now: float,
    ours: Mapping[int, int] | None = None,
) -> Bid | NoBid:
    """The bid into one need. `left` is what nobody has of the offering; `ours` what we have bid into it."""
    if need.why_not:
        return NoBid(need.why_not)
    if now + terms.lead > need.until:
        return NoBid("its offer ends before an order could be made")
    if need.slot_seconds != offering.slot_seconds:
        return NoBid(
            f"its slots are of {need.slot_seconds} s; expected {offering.slot_seconds} s, as planned here"
        )
    open_ = {one.start: one for one in offering.open(now + terms.lead)}
    there = [open_[at] for at in need.kw if at in open_]
    if not there:
        return NoBid("none of its slots is on offer here, or their notice has begun")
    already = ours or {}
    watts = {
        slot.start: most
        for slot in there
        if (most := _most(need, slot, offering, left, terms, already.get(slot.start, 0))) > 0
    }
    if not watts:
        return NoBid("no kW is left whose price, margin and risk its incentive covers")
    run = longest_run(watts, offering.slot_seconds, offering.longest // offering.slot_seconds)
    if len(run) * offering.slot_seconds < offering.shortest:
        return NoBid(f"it pays for no run of slots of {offering.shortest} s, the shortest here")
    return Bid(
        run,
        {at: need.price[at] for at in run},
        {at: need.penalty[at] for at in run},
        max(at - open_[at].order_by for at in run),
    )


def _most(  # noqa: PLR0917 - the parts of one slot
    need: Published,
    slot: OfferSlot,
    offering: Offering,
    left: Mapping[int, int],
    terms: Terms,
    already: int,
) -> int:
    """The most watts of a slot that pay; 0 for none."""
    at = slot.start
    risk = (1.0 - offering.certainty) * need.penalty[at]
    worth = need.price[at] - terms.margin - risk
    wanted = min(int(need.kw[at] * 1000.0 + _TINY) - already, left.get(at, 0))
    taken = max(0, slot.watts - left.get(at, 0))  # by others, at the cheaper end
    for step in reversed(slot.steps):
        most = min(wanted, int(step.kw * 1000.0 + _TINY) - taken)
        if most >= max(1, int(terms.least_kw * 1000.0)) and (
            slot.price((taken + most) / 1000.0) <= worth + _TINY
        ):
            return most
    return 0
