"""The plan for people: how good it certainly is, the picture, the slots.

Law: as in render.py: times in the user's own zone, unknown figures are "-", nothing from outside is markup.
A gap is the share by which the plan can at most be above the best one; 0 means that none is better.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.text import Text

from flexlond.cli.plain import safe
from flexlond.cli.plan_chart import Curves, draw
from flexlond.cli.render import moment, number, row, table

if TYPE_CHECKING:
    from rich.console import Console

_CLEAR = 10.0  # a larger gap says only that the bound is near zero: the money is told instead


def plan(out: Console, reply: Any) -> None:
    """What it costs, how good it is, the curves, then the slots."""
    slots = reply.slots
    out.print(
        Text(
            f"plan of {moment(reply.made_at)}: £{number(reply.cost_gbp)} instead of "
            f"£{number(reply.cost_asap_gbp)}, {number(reply.co2_kg)} kg CO2 "
            f"instead of {number(reply.co2_asap_kg)} kg"
        )
    )
    out.print(Text(quality(reply)))
    for line in (*_scarce(reply), *reply.problems):
        out.print(Text(safe(line)))
    if not slots:
        return
    for text in draw(_curves(reply), width=out.width):
        out.print(text, no_wrap=True, crop=False, overflow="ignore")
    lines = table("SLOT", "£/MWH", "G/KWH", "KW", "KW ASAP", "STARTS")
    for slot in slots:
        row(
            lines,
            moment(slot.start),
            number(slot.price_gbp_mwh),
            number(slot.carbon_g_kwh, 0),
            number(slot.kw),
            number(slot.kw_asap),
            str(slot.starts) if slot.starts else "",
        )
    out.print(lines)


def quality(reply: Any) -> str:
    """How far from the best possible plan, and how long it took: one line."""
    stages = ", ".join(f"{stage.name} {stage.seconds:.2f} s" for stage in reply.stages)
    took = f"planned in {reply.seconds:.2f} s" + (f": {stages}" if stages else "")
    if not reply.optimised:
        return f"no movable job waits: nothing to choose; {took}"
    above = max(0.0, reply.objective_gbp - reply.bound_gbp)
    within = f"within {100 * reply.gap:.1f} % of" if reply.gap <= _CLEAR else f"£{above:.4f} above"
    if above <= 1e-9:
        return f"the best possible plan (bound £{reply.bound_gbp:,.4f}), {took}"
    return f"{within} the best possible plan (bound £{reply.bound_gbp:,.4f}), {took}"


def _scarce(reply: Any) -> list[str]:
    """What binds, and what more of it would be worth."""
    lines = []
    prices = [slot.room_price_gbp_mwh for slot in reply.slots if slot.room_price_gbp_mwh > 0]
    if prices:
        lines.append(
            f"the power cap binds in {len(prices)} slots: room under it is worth up to "
            f"£{max(prices):,.2f}/MWh"
        )
    if reply.carbon_shadow_gbp_t > 0:
        worth = f"£{reply.carbon_shadow_gbp_t:,.2f}/t"
        lines.append(f"the CO2 cap binds: room under it is worth {worth} (shadow price)")
    lines += [carbon_cap(one) for one in reply.carbon_caps]
    lines += [unit_cost(one) for one in reply.units]
    return lines


def carbon_cap(one: Any) -> str:
    """A carbon cap of a day, what is planned of it, and what more of it would be worth."""
    total = number(one.spent_kg + one.planned_kg)
    words = f"{one.name}: {total} of {number(one.cap_kg)} kg ({number(one.spent_kg)} emitted or under way)"
    if one.expected_kg > 0:
        words += f", {number(one.expected_kg)} kept for jobs yet to come"
    if not one.kept:
        return f"{words}: it is not kept, this is the least that was found"
    if one.shadow_gbp_t > 0:
        return (
            f"{words}; it binds: room under it is worth £{one.shadow_gbp_t:,.2f}/t (shadow price)"
        )
    return words


def unit_cost(one: Any) -> str:
    """What a unit of work costs as planned and as soon as possible."""
    return (
        f"per {one.unit}: £{one.gbp:.4g} instead of £{one.gbp_asap:.4g}, {one.co2_g:.4g} g CO2 instead of "
        f"{one.co2_asap_g:.4g} g ({one.jobs} jobs, {one.work:.4g} {one.unit})"
    )


def _curves(reply: Any) -> Curves:
    slots = reply.slots
    rows = [
        ("£/MWh", [slot.price_gbp_mwh for slot in slots]),
        ("gCO2/kWh", [slot.carbon_g_kwh for slot in slots]),
    ]
    if any(slot.room_price_gbp_mwh > 0 for slot in slots):
        rows.append(("cap £/MWh", [slot.room_price_gbp_mwh for slot in slots]))
    return Curves(
        start=slots[0].start,
        slot_seconds=reply.slot_seconds,
        kw=[slot.kw for slot in slots],
        kw_asap=[slot.kw_asap for slot in slots],
        # A daemon that knows no cap says 0; no site has a cap of 0.
        cap_kw=[slot.cap_kw if slot.cap_kw > 0 else math.nan for slot in slots],
        rows=rows,
        base_kw=reply.base_kw,
    )
