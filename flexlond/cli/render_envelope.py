"""The flexibility envelope for people: a picture by slot, then the price of each step.

Law: as in render.py: times in the user's own zone, unknown figures are "-", nothing from outside is markup. kW
are positive in both directions. Each step stands alone; what is not offered is listed with the reason.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.text import Text

from flexlond.cli.plain import safe
from flexlond.cli.plan_chart import Curves, draw
from flexlond.cli.render import moment, number, row, table
from flexlond.cli.render_explain import span

if TYPE_CHECKING:
    from rich.console import Console

_LEGEND = "█ stays  ░ can be given (down)  ─ up to here can be taken (up)"
_NONE = 5e-3  # kW that are shown as none
_SIGNS = {"down": "-", "up": "+"}


def envelope(out: Console, reply: Any) -> None:
    """The picture, the steps that are offered, those that are not, what the figures mean."""
    out.print(
        Text(
            f"envelope of the plan of {moment(reply.made_at)}, priced in {reply.seconds:.1f} s; the plan is "
            f"within {100 * reply.plan_gap:.1f} % of the best possible one"
        )
    )
    for text in _picture(reply, out.width):
        out.print(text, no_wrap=True, crop=False, overflow="ignore")
    _offered(out, reply)
    _withheld(out, reply)
    out.print(
        Text(
            f"certain: delivered in every slot of the window in {100 * reply.level:.0f} % of the cases; "
            f"offered: that less {100 * reply.margin:.0f} %"
        )
    )
    out.print(
        Text(
            "£ is what a step costs, ± by how much that can be off for certain; after a step down the site "
            f"draws at most {100 * reply.rebound_cap:.0f} % of the plan's peak"
        )
    )
    for note in reply.notes:
        out.print(Text(safe(note)))


def _picture(reply: Any, width: int) -> list[Text]:
    """Power by slot: what stays, what can be given, up to where more can be taken."""
    slots = reply.slots
    if not slots:
        return []
    curves = Curves(
        start=slots[0].start,
        slot_seconds=reply.slot_seconds,
        kw=[slot.planned_kw - slot.down_kw for slot in slots],
        kw_asap=[slot.planned_kw for slot in slots],
        cap_kw=[slot.planned_kw + slot.up_kw if slot.up_kw > 0 else math.nan for slot in slots],
        rows=[
            ("down kW", [slot.down_kw for slot in slots]),
            ("up kW", [slot.up_kw for slot in slots]),
        ],
        legend=_LEGEND,
    )
    return draw(curves, width=width)


def _offered(out: Console, reply: Any) -> None:
    first = ("FROM", "TO", "KW", "CERTAIN", "OFFERED", "£", "£/MWH", "GAP %")
    lines = table(*first, "ORDER BY", "LONGEST", "REBOUND", "PEAK AFTER", "JOBS")
    count = 0
    for curve in reply.curves:
        sign = _SIGNS.get(curve.direction, "")
        for step in curve.steps:
            if step.why_not:
                continue
            count += 1
            row(
                lines,
                moment(curve.start),
                moment(curve.end),
                f"{sign}{number(step.kw)}",
                number(step.certain_kw),
                f"{sign}{number(step.offered_kw)}",
                f"{number(step.price_gbp)} ±{number(step.uncertainty_gbp)}",
                number(step.gbp_per_mwh),
                f"{100 * curve.gap:.2f} {100 * step.gap:.2f}",
                moment(step.order_by),
                span(step.longest_seconds),
                _at(step.rebound_kw, step.rebound_at, _SIGNS.get(_other(curve.direction), "")),
                _at(step.peak_kw, step.peak_at, ""),
                _jobs(step),
            )
    if count:
        out.print(lines)
    else:
        out.print(Text("nothing is offered in these windows"))


def _withheld(out: Console, reply: Any) -> None:
    """What is not offered, one line a window and direction."""
    for curve in reply.curves:
        where = f"{curve.direction} {moment(curve.start)} to {moment(curve.end)}"
        reasons = {step.why_not for step in curve.steps if step.why_not}
        if not curve.jobs:
            reasons = {"no flexible job can change the power there"}
        elif not curve.steps:
            reasons = {"no step was found"}
        for why in sorted(reasons):
            kw = ", ".join(
                number(step.kw if abs(step.kw) > _NONE else 0.0)
                for step in curve.steps
                if step.why_not == why
            )
            out.print(Text(safe(f"not offered: {where}{f', {kw} kW' if kw else ''}: {why}")))


def _jobs(step: Any) -> str:
    """Who starts at another time, and who is stopped: "3 +2 stopped"."""
    return f"{step.jobs} +{step.stopped_jobs} stopped" if step.stopped_jobs else str(step.jobs)


def _other(direction: str) -> str:
    return "up" if direction == "down" else "down"


def _at(kw: float, at: int, sign: str) -> str:
    """A power and when: "+12.00 at 17:30:00"; "-" for none."""
    return f"{sign}{number(kw)} at {moment(at)}" if at and math.isfinite(kw) else "-"
