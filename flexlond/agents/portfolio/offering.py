"""What sites offer, added up: one offer whose price rises with its kW.

Law: pure. A slot's steps are the sites' kW by rising price; a step's price is the mean of what it is made of,
with the portfolio's margin on it, so it covers what the sites are paid. Terms are the strictest of the sites',
notice besides what a purchase takes. No site is named. kW positive, GBP per kWh, seconds, epoch seconds.
Source: our own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.agents.market.offering import Offering, OfferSlot, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.grid.listings import Listing
    from flexlond.model.market_settings import SellSettings


def added_up(
    listings: Sequence[Listing], sell: SellSettings, slot_seconds: int, lead: float, now: float
) -> Offering:
    """The sites' offers as one; it may have no slots."""
    usable = [one for one in listings if one.slot_seconds == slot_seconds and any(one.kw.values())]
    notice = max((one.notice for one in usable), default=0.0) + lead
    notice = max(notice, sell.notice, sell.gate_closure)
    slots = []
    for at in sorted({at for one in usable for at in one.kw}):
        those = [one for one in usable if one.kw.get(at, 0.0) > 0.0 and one.until - lead > now]
        steps = _steps([(one.kw[at], one.price[at]) for one in those], sell)
        if steps and at - notice > now:
            last = min(at - notice, min(one.until for one in those) - lead)
            slots.append(OfferSlot(at, steps, last))
    shortest = max((one.shortest for one in usable), default=0.0)
    longest = min((one.longest for one in usable), default=0.0)
    rebound = max((one.rebound for one in usable), default=0.0)
    return Offering(
        made_at=math.ceil(now),
        slot_seconds=slot_seconds,
        slots=tuple(slots),
        notice=notice,
        shortest=max(math.ceil(shortest / slot_seconds), sell.min_slots) * slot_seconds,
        longest=min(int(min(longest, 1e9) // slot_seconds), sell.max_slots) * slot_seconds,
        deferral=int(rebound),
        rebound=int(rebound),
        certainty=min((one.certainty for one in usable), default=0.0),
        rated_kw=math.ceil(max((slot.steps[-1].kw for slot in slots), default=0.0)),
        floor_kw=0.0,
        curtailment=(),
    )


def _steps(parts: list[tuple[float, float]], sell: SellSettings) -> tuple[Step, ...]:
    """The cheapest first, each step with all before it."""
    made = []
    total = paid = 0.0
    for kw, price in sorted(parts, key=lambda part: part[1]):
        total += kw
        paid += kw * price
        mean = max(paid / total * (1.0 + sell.margin), sell.least_price)
        size = math.floor(total * 1000.0 + 1e-6) / 1000.0
        if size >= sell.least_kw:
            made.append(Step(size, round(mean, 6)))
    return tuple(made)
