"""The statement as one HTML page that needs nothing else and prints on A4.

Law: pure; shows a Statement and computes nothing. Every text is escaped; no script, no address, no image.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.settlement.statement import Avoided, Statement

_STYLE = """
:root { color-scheme: light; }
body { font: 10.5pt/1.45 system-ui, sans-serif; color: #1b1f24; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem; }
p.sub { color: #57606a; margin: .2rem 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #d0d7de; padding: .3rem .5rem; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .6rem; }
.cards div { border: 1px solid #d0d7de; border-radius: .4rem; padding: .6rem .8rem; }
.cards b { display: block; font-size: 1.35rem; }
.warn { border-left: 3px solid #bf8700; padding-left: .8rem; }
small { color: #57606a; }
@page { size: A4; margin: 15mm; }
@media print { body { margin: 0; max-width: none; } h2, tr, .cards div { break-inside: avoid; } }
"""


def page(one: Statement, site: str = "") -> str:
    """The page; `site` is a name for people."""
    title = f"Flexibility statement {one.month}" + (f", {site}" if site else "")
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        (
            f'<p class="sub">{len(one.orders)} orders on {len(one.event_days)} event days;'
            f" {_mwh(one.metered_wh)} MWh metered</p>"
        ),
        _cards(one),
        "<h2>Orders</h2>",
        _orders(one),
        "<h2>Avoided on event days</h2>",
        _avoided(one),
    ]
    if one.units:
        parts += ["<h2>Per unit of work</h2>", _units(one)]
    if one.problems or one.not_settled:
        parts += ["<h2>What is not in it</h2>", _lacking(one)]
    parts += ["<h2>How it was made</h2>", _made(one), "</body></html>\n"]
    return "\n".join(parts)


def _cards(one: Statement) -> str:
    cards = [("Revenue", f"{amount} {currency}") for currency, amount in one.revenue.items()]
    cards = cards or [("Revenue", "none")]
    cards += [
        ("Avoided cost of supply", f"{one.avoided_cost.net} GBP"),
        ("Avoided carbon, average", f"{one.avoided_carbon_kg.net} kg CO2"),
    ]
    if one.avoided_carbon_marginal_kg is not None:
        cards.append(("Avoided carbon, marginal", f"{one.avoided_carbon_marginal_kg.net} kg CO2"))
    shown = "".join(f"<div>{escape(name)}<b>{escape(what)}</b></div>" for name, what in cards)
    return f'<div class="cards">{shown}</div>'


def _orders(one: Statement) -> str:
    rows = [
        (
            line.order,
            line.product,
            f"{line.periods - line.incomplete} of {line.periods}",
            _mwh(line.offered_wh),
            _mwh(line.delivered_wh),
            _mwh(line.claimed_wh),
            f"{line.net} {line.currency}",
            f"{line.site} {line.currency}",
        )
        for line in one.orders
    ]
    head = (
        *("Order", "Product", "Periods settled", "Offered MWh", "Delivered MWh", "Paid for MWh"),
        *("Net", "To the site"),
    )
    return _table(head, rows)


def _avoided(one: Statement) -> str:
    rows = [_avoided_row("Cost of supply, GBP", one.avoided_cost)]
    rows.append(_avoided_row("Carbon, kg CO2, location-based average", one.avoided_carbon_kg))
    if one.avoided_carbon_marginal_kg is not None:
        name = "Carbon, kg CO2, marginal (consequential)"
        rows.append(_avoided_row(name, one.avoided_carbon_marginal_kg))
    head = ("", "Turned down", "Rebound", "Net", "Periods", "Left out")
    note = (
        "<p><small>Baseline less metered, the rebound of the same days counted against it. Average and marginal"
        " are two ways to count the same energy; neither is revenue.</small></p>"
    )
    return _table(head, rows) + note


def _avoided_row(name: str, one: Avoided) -> tuple[str, ...]:
    return (name, one.less, one.rebound, one.net, str(one.periods), str(one.left_out))


def _units(one: Statement) -> str:
    rows = [
        (
            line.unit,
            line.amount,
            _mwh(line.wh),
            line.cost_per_unit or "not known",
            line.sci_g_per_unit or "not known",
            line.embodied_g,
        )
        for line in one.units
    ]
    head = (
        "Unit",
        "Work",
        "MWh",
        "GBP per unit",
        "SCI, g CO2 per unit",
        "of which embodied, g in all",
    )
    guessed = sum(line.estimated_wh for line in one.units)
    note = (
        f"<p><small>{_mwh(guessed)} MWh of it is estimated by flexlond: Slurm's accounting of the jobs, or the"
        " model.</small></p>"
        if guessed
        else ""
    )
    return _table(head, rows) + note


def _lacking(one: Statement) -> str:
    lines = [f"{day}: not settled" for day in one.not_settled] + list(one.problems)
    shown = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="warn">{shown}</ul>'


def _made(one: Statement) -> str:
    readings = ", ".join(f"{count} {quality}" for quality, count in one.readings.items() if count)
    again = [f"{day} (version {version})" for day, version in one.versions.items() if version > 1]
    lines = [
        f"Baseline: {one.baseline}",
        f"Readings, by period and point: {readings or 'none'}",
        f"Rounding: {one.rounding}; each order's money is rounded once",
        f"Terms: {one.terms}",
        f"Settled again since: {', '.join(again) or 'none'}",
    ]
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _mwh(wh: int) -> str:
    return f"{wh / 1_000_000:.3f}"
