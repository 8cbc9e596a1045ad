"""Windows for people: what one costs and moves, how it goes slot by slot.

Law: as in render.py: times in the user's own zone, unknown figures are "-", nothing from outside is markup.
Observed power is metered or modelled, and the table says which.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.text import Text

from flexlond.cli.plain import safe
from flexlond.cli.render import moment, number, row, table
from flexlond.cli.render_explain import span

if TYPE_CHECKING:
    from rich.console import Console

_MOVES = 20  # jobs that are named; --json has all


def added(out: Console, reply: Any) -> None:
    """What it costs, which jobs move, what is in force."""
    window = reply.window
    out.print(Text(f"{_head(window)}: {safe(reply.detail)}"))
    parts = (reply.cost_gbp, reply.carbon_gbp, reply.delay_gbp)
    out.print(
        Text(
            f"it costs £{number(math.fsum(parts), 4)}: electricity £{number(parts[0], 4)}, carbon "
            f"£{number(parts[1], 4)}, delay £{number(parts[2], 4)}"
        )
    )
    _short(out, window)
    if window.ramp_slots:
        out.print(
            Text(
                f"the first {window.ramp_slots} slots are the ramp-in: above the order for the ramp cap"
            )
        )
    if math.isfinite(window.rebound_kw):
        out.print(
            Text(
                f"what comes back stays under {number(window.rebound_kw)} kW until {moment(window.rebound_end)}"
            )
        )
    if reply.stops:
        _stops(out, reply.stops)
        out.print(Text(f"they cost £{number(reply.stops_gbp, 4)} more: work lost, restart, delay"))
    if window.slows:
        _slows(out, window.slows)
    if not reply.moves:
        out.print(Text("no job moves"))
        return
    lines = table("JOB", "KW", "START WITHOUT", "START WITH", "BY")
    for move in reply.moves[:_MOVES]:
        by = move.after - move.before
        row(
            lines,
            str(move.job_id),
            number(move.kw),
            moment(move.before),
            moment(move.after),
            f"{'later' if by > 0 else 'earlier'} {span(abs(by))}",
        )
    out.print(lines)
    more = len(reply.moves) - _MOVES
    out.print(Text(f"{len(reply.moves)} jobs move" + (f", {more} not shown" if more > 0 else "")))


def listed(out: Console, reply: Any) -> None:
    """One row for each window."""
    lines = table("ID", "STATE", "FROM", "TO", "ORDER", "BY", "SHORTFALL KW")
    for window in reply.windows:
        row(
            lines,
            str(window.window_id),
            window.state,
            moment(window.start),
            moment(window.end),
            _order(window),
            window.created_by,
            number(window.shortfall_kw) if window.shortfall_kw else "",
        )
    out.print(lines)
    out.print(Text(f"{len(reply.windows)} windows"))


def shown(out: Console, window: Any) -> None:
    """The slots of one window."""
    out.print(Text(f"{_head(window)}: {window.state}"))
    out.print(Text(f"ordered {moment(window.created)} by {safe(window.created_by)}"))
    if window.order_id:
        out.print(
            Text(f"it keeps the market's order {safe(window.order_id)}: flexlonctl order shows it")
        )
    if window.cancelled:
        out.print(Text(f"cancelled {moment(window.cancelled)}"))
    _short(out, window)
    lines = table("SLOT", "CAP KW", "PLANNED KW", "OBSERVED KW", "BY", "SHORTFALL KW", "")
    for slot in window.slots:
        row(
            lines,
            moment(slot.start),
            number(slot.cap_kw),
            number(slot.planned_kw),
            number(slot.observed_kw),
            slot.observed_source,
            number(slot.shortfall_kw) if slot.shortfall_kw else "",
            "ramp-in" if slot.ramp_in else "",
        )
    out.print(lines)
    if window.stops:
        _stops(out, window.stops)
    if window.slows:
        _slows(out, window.slows)
    if any(slot.observed_source == "modelled" for slot in window.slots):
        out.print(
            Text(
                "modelled: the modelled estimate of what runs, where no meter covers half of the slot"
            )
        )


def _stops(out: Console, stops: Any) -> None:
    """Running jobs that are stopped, or were."""
    lines = table("JOB", "STOP", "AT", "UNTIL", "KW", "GBP", "STATE")
    for stop in stops[:_MOVES]:
        row(
            lines,
            str(stop.job_id),
            "requeue" if stop.verb == "requeue-until" else safe(stop.verb),
            moment(stop.at),
            moment(stop.until),
            number(stop.kw),
            number(stop.cost_gbp, 4),
            safe(stop.state),
        )
    out.print(lines)
    for stop in stops[:_MOVES]:
        if stop.detail and stop.state not in {"planned", "applied", "open"}:
            out.print(Text(f"job {stop.job_id}: {safe(stop.detail)}"))
    more = len(stops) - _MOVES
    jobs = f"{len(stops)} running job{'s' * (len(stops) > 1)} stopped"
    out.print(Text(jobs + (f", {more} not shown" if more > 0 else "")))


def _slows(out: Console, slows: Any) -> None:
    """Arrays whose throttle is set for it, or would be."""
    lines = table("ARRAY", "TASKS AT ONCE", "OWN THROTTLE", "UNTIL", "KW LESS", "STATE")
    for slow in slows[:_MOVES]:
        row(
            lines,
            str(slow.job_id),
            str(slow.width),
            str(slow.own) if slow.own else "none",
            moment(slow.until),
            number(slow.kw),
            safe(slow.state),
        )
    out.print(lines)
    more = len(slows) - _MOVES
    arrays = f"{len(slows)} array{'s' * (len(slows) > 1)} slowed"
    out.print(Text(arrays + (f", {more} not shown" if more > 0 else "")))


def cancelled(out: Console, window: Any) -> None:
    """What is in force now."""
    if window.state == "cancelled":
        out.print(Text(f"{_head(window)}: cancelled; the next plan gives back what it held"))
    else:
        out.print(Text(f"{_head(window)}: {window.state} before, nothing to cancel"))


def _head(window: Any) -> str:
    name = f"window {window.window_id}" if window.window_id else "a window"
    return f"{name} from {moment(window.start)} to {moment(window.end)}, {_order(window)}"


def _order(window: Any) -> str:
    if math.isnan(window.cap_kw):
        return f"down {number(window.down_kw)} kW"
    return f"cap {number(window.cap_kw)} kW"


def _short(out: Console, window: Any) -> None:
    if window.detail:
        out.print(Text(f"it {safe(window.detail)}"))
    elif window.shortfall_kw:
        out.print(
            Text(
                f"it fell short by up to {number(window.shortfall_kw)} kW in {window.short_slots} slots"
            )
        )
