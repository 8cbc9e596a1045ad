"""The report's plots, each with its caption: saving against waiting, waits, power over time, idle power.

Law: chooses what is plotted and says it in words below the plot and in the plot's description; every number
is report.py's. Where one line for each policy is enough it is the first parameter's and the first seed's, and
the caption says so. kW, hours, percent against asap.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from flexlond.backtest import report, svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.backtest.report import Line
    from flexlond.backtest.results import Results

DAY = 86400
IDLE = (("cost_gbp", "site_cost_gbp", "cost"), ("co2_kg", "site_co2_kg", "CO2"))


def frontiers(table: Sequence[Line]) -> str:
    """Saving against wait: a policy with several parameters is a trail."""
    plots = []
    for figure, name in (("cost_gbp", "cost"), ("co2_kg", "CO2")):
        trails = _trails(table, figure)
        if trails:
            title = f"Saving of {name} against the mean wait"
            words = "; ".join(tip for trail in trails for tip in trail.tips)
            plots.append(
                svg.trails(title, words, trails, "mean wait, h", f"{name} saved against asap, %")
            )
    if not plots:
        return ""
    return section(
        "What a saving costs in waiting",
        _pair(plots)
        + _caption(
            "Up is saved, right is waited: up and to the left is better. A line joins one policy's "
            "parameters. Means over the seeds."
        )
        + _legend(table),
    )


def _trails(table: Sequence[Line], figure: str) -> list[svg.Series]:
    grouped: dict[str, list[Line]] = {}
    for line in table:
        grouped.setdefault(line.policy, []).append(line)
    series = []
    for policy, members in grouped.items():
        points = []
        for line in members:
            wait = line.spread("wait_mean_s").mean / 3600
            saved = 0.0 - line.change(figure).mean
            if math.isfinite(wait) and math.isfinite(saved):
                points.append((wait, saved, f"{line.name}: {saved:.1f} % at {wait:.2f} h"))
        points.sort()
        if points:
            x, y, tips = zip(*points, strict=True)
            series.append(svg.Series(policy, members[0].style, x, y, tips))
    return series


def waits(table: Sequence[Line]) -> str:
    """How many of the jobs had started after so many hours; the first seed, the first parameter."""
    firsts = _firsts(table)
    plots = []
    for kind in ("flexible", "other"):
        series, middle = [], []
        for line in firsts:
            one = line.outcomes[0]
            hours = one.wait_flexible_h if kind == "flexible" else one.wait_other_h
            share = [100.0 * i / max(1, len(hours) - 1) for i in range(len(hours))]
            # Without the last percent: one job's wait must not squeeze all the others'.
            shown = [(a, b) for a, b in zip(hours, share, strict=True) if b <= 99.0]
            if shown:
                x, y = zip(*shown, strict=True)
                series.append(svg.Series(line.name, line.style, x, y))
                middle.append(f"{line.name}: half within {hours[len(hours) // 2]:.2f} h")
        if series:
            title = f"Waits of {kind} jobs"
            half = "; ".join(middle)
            plots.append(svg.lines(title, half, series, "wait, h", f"{kind} jobs started, %"))
    if not plots:
        return ""
    return section(
        "Who waits, and how long",
        _pair(plots)
        + _caption(
            f"The share of jobs that had started after so many hours, up to 99 % ({_of(firsts)}). "
            "Jobs that are not flexible are never given a begin time: they wait for room only."
        )
        + _legend(firsts),
    )


def power(results: Results, table: Sequence[Line]) -> str:
    """Power over two weeks, under the price and the carbon that it met."""
    shown = results.shown
    firsts = [line for line in _firsts(table) if line.outcomes[0].power_kw]
    if not firsts or not shown.price:
        return ""
    reference = next(
        (line.outcomes[0].power_kw for line in firsts if line.policy == report.BASELINE), ()
    )
    panels = [
        svg.Panel("price", "GBP/MWh", -1, shown.price),
        svg.Panel("carbon intensity", "gCO2/kWh", -1, shown.carbon),
    ]
    panels += [
        svg.Panel(
            line.name,
            "kW above idle",
            line.style,
            line.outcomes[0].power_kw,
            () if line.policy == report.BASELINE else reference,
            area=True,
        )
        for line in firsts
    ]
    slots = len(shown.price)
    days = [
        (
            float((at - shown.start) / shown.slot_seconds),
            f"{datetime.fromtimestamp(at, UTC):%a %d %b}",
        )
        for at in range(-(-shown.start // DAY) * DAY, shown.start + slots * shown.slot_seconds, DAY)
    ]
    words = "; ".join(
        f"{line.name}: highest {max(line.outcomes[0].power_kw):,.0f} kW" for line in firsts
    )
    plot = svg.stack("Power over time, with price and carbon", words, panels, days)
    return section(
        "Power over two weeks",
        f'<div class="wide" tabindex="0" role="region" aria-label="Power over time">'
        f'<figure class="full">{plot}</figure></div>'
        + _caption(
            f"Power above idle by slot ({_of(firsts)}); the line of dots is {report.BASELINE}. "
            f"Nodes that are on draw {shown.idle_kw:,.0f} kW more at all times."
        ),
    )


def idle(table: Sequence[Line]) -> str:
    """The same change with and without the power that is drawn anyway."""
    plots = []
    for above, with_idle, name in IDLE:
        rows = [
            (line.name, line.style, line.change(above).mean, line.change(with_idle).mean)
            for line in table
            if line.policy != report.BASELINE and line.change(with_idle).count
        ]
        if rows:
            title = f"Change of {name}, idle power counted and not counted"
            words = "; ".join(f"{r[0]}: {r[2]:+.1f} % without, {r[3]:+.1f} % with" for r in rows)
            plots.append(svg.dumbbells(title, words, rows, f"change of {name} against asap, %"))
    if not plots:
        return ""
    return section(
        "Idle power counted and not counted",
        _pair(plots)
        + _caption(
            "Filled: of the energy above idle, which is what a plan can move. Hollow: of all that the "
            "nodes draw, which is what a bill shows."
        ),
    )


def _firsts(table: Sequence[Line]) -> list[Line]:
    """The first line of each policy: what is plotted where one line for each is enough."""
    return list({line.policy: line for line in reversed(table)}.values())[::-1]


def _of(table: Sequence[Line]) -> str:
    seeds = sorted({line.outcomes[0].task.seed for line in table})
    return f"seed {', '.join(map(str, seeds))}; each policy's first parameter"


def _legend(table: Sequence[Line]) -> str:
    items = {line.policy: line.style for line in table}
    names = "".join(f"<li>{svg.swatch(s)} {escape(name)}</li>" for name, s in items.items())
    return f'<ul class="legend" aria-label="Legend">{names}</ul>'


def _pair(plots: Sequence[str]) -> str:
    return f'<div class="pair">{"".join(f"<figure>{plot}</figure>" for plot in plots)}</div>'


def _caption(text: str) -> str:
    return f'<p class="caption">{escape(text)}</p>'


def section(title: str, body: str) -> str:
    """A part of the page."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>"
