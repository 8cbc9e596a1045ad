"""What a buyer may order of an offering, and for how much: the checks of a quote.

Law: pure. An order is one run of slots of the offering's own length, as long as the offer says; a slot that is
not on offer has no price. What does not fit is refused with what would. Watts, GBP per kWh, epoch seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.agents.market import papers
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.agents.market.offering import Offering
    from flexlond.beckn.wire.messages import Message


def wanted(message: Message, offering: Offering) -> dict[int, int]:
    """Watts by slot that a message asks for. Raises Refusal."""
    found, seconds = papers.asked(message)
    if seconds != offering.slot_seconds:
        raise Refusal(
            Code.BIZ_GENERIC_ERROR,
            f"slots of {seconds} s; expected {offering.slot_seconds} s, as in the catalogue",
        )
    if not found:
        raise Refusal(Code.BIZ_QUANTITY_UNAVAILABLE, "no kW are asked for")
    return found


def check_run(wanted: Mapping[int, int], offering: Offering) -> None:
    """Raises Refusal where it is not one run of slots as the offer has it."""
    span = max(wanted) - min(wanted) + offering.slot_seconds
    if span != len(wanted) * offering.slot_seconds:
        raise Refusal(Code.BIZ_GENERIC_ERROR, "slots with a gap; order each run of slots by itself")
    if not offering.shortest <= span <= offering.longest:
        raise Refusal(
            Code.BIZ_GENERIC_ERROR,
            f"{span} s; expected {offering.shortest} to {offering.longest} s, as in the offer",
        )


def prices(
    offering: Offering, watts: Mapping[int, int], agreed: Mapping[int, float] | None = None
) -> dict[int, float]:
    """By slot; of a slot that is not on offer any more what was agreed before."""
    found = {}
    for at, value in watts.items():
        slot = offering.at(at)
        if slot is None:
            if agreed and at in agreed:
                found[at] = agreed[at]
                continue
            raise Refusal(
                Code.BIZ_QUANTITY_UNAVAILABLE, f"nothing is offered in the slot from {at}"
            )
        found[at] = slot.price(value / 1000.0)
    return found


def longest_run(watts: Mapping[int, int], slot_seconds: int, most: int) -> dict[int, int]:
    """The run of slots without a gap, of at most `most`, that has the most energy; the first of equals."""
    best: list[int] = []
    run: list[int] = []
    for at in sorted(watts):
        run = [*run, at] if run and at == run[-1] + slot_seconds else [at]
        run = run[-most:]
        if sum(watts[one] for one in run) > sum(watts[one] for one in best):
            best = run
    return {at: watts[at] for at in best}
