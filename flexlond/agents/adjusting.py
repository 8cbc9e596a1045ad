"""The guard of the in-day adjustment: before an order nothing is drawn to raise the baseline that pays for it.

Law: pure. Where what the market sells is settled with the adjustment, the plan of the moment of the sale is a
cap in the periods that the adjustment is taken from; it gives way as the rebound cap does, to latest starts
above all. An order under which the plan would draw more there all the same is refused, be it in its own window
or in an earlier order's. What comes above the plan without any doing of ours (jobs without consent) stays so.
Whether and from where on is the site's configuration, for sources differ (settlement/adjustment.py). kW; epoch
seconds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.settlement_period import LENGTH
from flexlond.model.slurmtime import format_moment
from flexlond.settlement.adjustment import raised_within, window_of
from flexlond.settlement.configured import terms_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flexlond.model.settlement_settings import SettlementSettings
    from flexlond.model.window import Window
    from flexlond.planning.problem import Plan
    from flexlond.settlement.baseline import Profile


def profile_of(settings: SettlementSettings) -> Profile | None:
    """The adjustment's constants, where what the market sells is settled with it; None where it is not."""
    terms = terms_of(settings)
    product = terms.products.get(settings.market_product)
    if product is None or not product.adjusted:
        return None
    return terms.profile if (product.baseline or terms.baseline) == "bl01" else None


def guarded(window: Window, plan: Plan, profile: Profile | None) -> Window:
    """A window of the market with its guard: what `plan` draws in the periods of its adjustment to come."""
    if profile is None or not window.order_id:
        return window
    wanted, grid = window_of(_event(window), profile), plan.grid
    first = max(0, grid.slot_of(wanted.start))
    last = min(grid.slot_of(wanted.stop - 1) + 1, grid.slot_of(window.start))
    if last <= first:
        return window
    start = grid.start + first * grid.slot_seconds
    return replace(window, guard_start=start, guard=tuple(plan.kw[first:last].tolist()))


def raises(windows: Iterable[Window], without: Plan, under: Plan, profile: Profile | None) -> str:
    """Why an order is refused for what its plan draws in any window's adjustment; "" when it is not."""
    if profile is None:
        return ""
    events = [_event(window) for window in windows if window.guard]
    raised = raised_within(_by_period(without), _by_period(under), events, profile)
    if not raised:
        return ""
    return (
        f"the plan for it draws more from {format_moment(raised[0])} on than the plan without it, in"
        f" {len(raised)} settlement period{'s' * (len(raised) > 1)} that a baseline is adjusted by"
    )


def _event(window: Window) -> int:
    """The start of the settlement period in which it begins."""
    return window.start - window.start % LENGTH


def _by_period(plan: Plan) -> dict[int, float]:
    """Whole Wh by settlement period, of what the plan reaches of each."""
    grid = plan.grid
    starts = grid.start + np.arange(grid.count) * grid.slot_seconds
    found: dict[int, float] = {}
    for start, kw in zip(starts.tolist(), plan.kw.tolist(), strict=True):
        for period in range(start - start % LENGTH, start + grid.slot_seconds, LENGTH):
            seconds = min(start + grid.slot_seconds, period + LENGTH) - max(start, period)
            found[period] = found.get(period, 0.0) + kw * seconds / 3.6
    return {period: float(round(wh)) for period, wh in found.items()}
