"""The report as one page: self-contained, readable without a script, with plots that also print in grey.

Law: shows what report.py says and nothing else; loads nothing, runs nothing. Every text that comes from
outside is escaped. Every plot has its figures in a table of the page too, or says in words what it shows.
A saving stands beside the wait that it cost, and beside "perfect foresight" where it had that.
"""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from flexlond.backtest import plots, report, svg
from flexlond.backtest.plots import section
from flexlond.backtest.style import STYLE
from flexlond.signals.rows import format_utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.backtest.report import Line
    from flexlond.backtest.results import Results

MOMENTS = ("begin", "end", "shift_to")


def page(results: Results) -> str:
    """The whole page."""
    table = report.lines(results)
    title = f"Backtest of {results.facts.trace}"
    sections = [
        _comparison(results, table),
        plots.frontiers(table),
        plots.waits(table),
        plots.power(results, table),
        plots.idle(table),
        _method(results, table),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(title)}</h1>\n{_lead(results)}</header>\n<main>\n"
        + "\n".join(filter(None, sections))
        + f"\n</main>\n<footer>FlexLon {escape(results.identity.version)}, flexlond backtest; "
        "the same figures as data: results.csv, results.json</footer>\n</body>\n</html>\n"
    )


def _lead(results: Results) -> str:
    facts = results.facts
    words = (
        f"{facts.jobs:,} jobs on {facts.nodes:,.4g} nodes, submitted {_day(facts.begin)} to "
        f"{_day(facts.end)}; {facts.flexible:.0%} of the node-hours may wait. "
        f"Signals: {escape(facts.signals)}; {escape('; '.join(facts.notes))}."
    )
    parts = [f'<p class="lead">{words}</p>\n']
    if facts.foresight:
        parts.append(
            f'<p class="label"><strong>{report.FORESIGHT}</strong> The plans saw prices and carbon as '
            "they turned out. A forecast saves less: these savings are an upper bound.</p>\n"
        )
    incomplete = [f"{task.name}, seed {task.seed}: not run" for task in results.missing]
    incomplete += [f"{task.name}, seed {task.seed}: {why}" for task, why in results.failed]
    if incomplete:
        parts.append(f'<div class="label"><strong>incomplete</strong>{_list(incomplete)}</div>\n')
    return "".join(parts)


def _comparison(results: Results, table: Sequence[Line]) -> str:
    columns = report.present(table)
    head = "".join(
        f'<th scope="col">{escape(c.title)}<small>{escape(c.unit)}</small></th>' for c in columns
    )
    rows = []
    for line in table:
        cells = "".join(
            f"<td>{escape(report.cell(line, c))}{_range(report.span(line, c))}</td>"
            for c in columns
        )
        rows.append(
            f'<tr><th scope="row">{svg.swatch(line.style)} {escape(line.name)}</th>{cells}</tr>'
        )
    notes = _list(report.footnotes(results), "notes")
    return section(
        "Policies side by side",
        '<div class="wide" tabindex="0" role="region" aria-label="Policies side by side">'
        f"<table><thead><tr><th scope='col'>policy</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>{notes}",
    )


def _range(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""


def _method(results: Results, table: Sequence[Line]) -> str:
    facts, identity = results.facts, results.identity
    rules = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(rule)}</dd>" for name, rule in facts.policies.items()
    )
    words = "".join(
        f"<dt>{escape(c.title)}</dt><dd>{escape(c.words)}</dd>"
        for c in report.present(table)
        if c.words
    )
    inputs = "".join(
        f"<tr><td>{escape(one.path)}</td><td>{one.size:,}</td>"
        f"<td><code>{one.sha256}</code></td></tr>"
        for one in identity.inputs
    )
    options = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(_shown(name, value))}</dd>"
        for name, value in (identity.options | identity.options.get("site", {})).items()
        if name != "site" and value not in (None, 0, (), [])
    )
    problems = (
        f"<details open><summary>Left out or changed in reading: {len(facts.problems)}</summary>"
        f"{_list(facts.problems)}</details>"
        if facts.problems
        else "<p>Every line of the inputs was used.</p>"
    )
    return section(
        "How it was measured",
        f"<h3>Policies</h3><dl>{rules}</dl><h3>Figures</h3><dl>{words}</dl><h3>Inputs</h3>{problems}"
        '<div class="wide" tabindex="0" role="region" aria-label="Inputs"><table class="plain"><thead><tr>'
        "<th scope='col'>file</th><th scope='col'>bytes</th><th scope='col'>SHA-256</th></tr></thead>"
        f"<tbody>{inputs}</tbody></table></div><h3>Options</h3><dl>{options}</dl>",
    )


def _list(items: Sequence[str], kind: str = "plain") -> str:
    return (
        f"<ul class='{kind}'>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
        if items
        else ""
    )


def _shown(name: str, value: object) -> str:
    if name in MOMENTS and isinstance(value, int):
        return format_utc(value)
    return value if isinstance(value, str) else json.dumps(value)


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%-d %B %Y}"
