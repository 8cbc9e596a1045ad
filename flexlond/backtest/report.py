"""Policies side by side: means over seeds with their range, and the table for a terminal.

Law: counts and divides, nothing else; where a figure is unknown it says "-". A change is against the policy
`asap` on the same seed, in percent, negative is less; without such a run it is unknown. Mean, least and most
are over the seeds of a policy and its parameter; a range is no confidence interval and is not called one.
A signal known before its time is labelled wherever a saving is shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from flexlond.backtest.results import Outcome, Results

BASELINE = "asap"
FORESIGHT = "perfect foresight"
SIGNIFICANT = -4  # as `digits` of a column: that many significant digits
_PER = "gbp_per_"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the comparison: which figure, how it is shown."""

    figure: str
    title: str
    unit: str
    digits: int
    factor: float = 1.0  # shown = figure x factor
    change: bool = False  # percent against asap instead of the figure itself
    words: str = ""  # what it is, for the page


COLUMNS = (
    Column("cost_gbp", "cost", "GBP", 0, words="electricity above idle, at the settled price"),
    Column("cost_gbp", "cost", "% of asap", 1, change=True),
    Column("co2_kg", "CO2", "t", 2, factor=1e-3, words="of that electricity, as measured"),
    Column("co2_kg", "CO2", "% of asap", 1, change=True),
    Column(
        "wait_mean_s",
        "wait mean",
        "h",
        2,
        factor=1 / 3600,
        words="from submission to start, of all jobs; median and 95th percentile likewise",
    ),
    Column("wait_median_s", "median", "h", 2, factor=1 / 3600),
    Column("wait_p95_s", "P95", "h", 1, factor=1 / 3600),
    Column(
        "slowdown_flexible",
        "slowdown flexible",
        "",
        1,
        words="bounded: (wait + run) / max(run, 10 s), never below 1",
    ),
    Column("slowdown_other", "slowdown other", "", 1),
    Column("late", "late", "jobs", 0, words="flexible jobs that started after their latest start"),
    Column(
        "latency_late",
        "latency",
        "late jobs",
        0,
        words="jobs that started after the latency that the trace says for them",
    ),
    Column("peak_kw", "peak", "kW", 0, words="the highest power of the site, idle power included"),
    Column("ramp_kw", "ramp", "kW", 0, words="the largest rise or fall of power within 5 minutes"),
    Column("moved", "moved", "jobs", 0, words="jobs that were given a later begin time"),
    Column("plan_seconds", "plan", "s", 2, words="the longest planning"),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, least and most over the seeds; NaN where unknown."""

    mean: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Over the finite values."""
        known = [value for value in values if math.isfinite(value)]
        if not known:
            return cls(math.nan, math.nan, math.nan, 0)
        return cls(sum(known) / len(known), min(known), max(known), len(known))


@dataclass(frozen=True, slots=True)
class Line:
    """One policy with one parameter, over its seeds."""

    name: str
    policy: str
    parameter: str
    style: int  # of svg.py: the same for all parameters of a policy
    outcomes: tuple[Outcome, ...]
    baseline: dict[int, Outcome]  # asap by seed

    def spread(self, figure: str) -> Spread:
        """A figure over the seeds."""
        return Spread.of(one.figures.get(figure, math.nan) for one in self.outcomes)

    def change(self, figure: str) -> Spread:
        """A figure's change against asap on the same seed, percent."""
        return Spread.of(self._change(one, figure) for one in self.outcomes)

    def shown(self, column: Column) -> Spread:
        """What `column` shows of this line, in the column's unit."""
        if column.change:
            return self.change(column.figure)
        value = self.spread(column.figure)
        factor = column.factor
        return Spread(value.mean * factor, value.low * factor, value.high * factor, value.count)

    def _change(self, outcome: Outcome, figure: str) -> float:
        asap = self.baseline.get(outcome.task.seed)
        before = asap.figures.get(figure, math.nan) if asap else math.nan
        now = outcome.figures.get(figure, math.nan)
        return 100.0 * (now - before) / before if before else math.nan


def lines(results: Results) -> tuple[Line, ...]:
    """One line for each policy and parameter, in the order of the study."""
    baseline = {
        one.task.seed: one
        for one in results.outcomes
        if one.task.policy == BASELINE and not one.task.parameter
    }
    grouped: dict[tuple[str, str], list[Outcome]] = {}
    for one in results.outcomes:
        grouped.setdefault((one.task.policy, one.task.parameter), []).append(one)
    others = list(dict.fromkeys(policy for policy, _ in grouped if policy != BASELINE))
    return tuple(
        Line(
            members[0].task.name,
            policy,
            parameter,
            0 if policy == BASELINE else 1 + others.index(policy),
            tuple(members),
            baseline,
        )
        for (policy, parameter), members in grouped.items()
    )


def present(table: Sequence[Line]) -> tuple[Column, ...]:
    """The columns that any line knows something for."""
    columns = (*COLUMNS, *_per_unit(table))
    return tuple(column for column in columns if any(line.shown(column).count for line in table))


def _per_unit(table: Sequence[Line]) -> Iterator[Column]:
    """Two columns for each unit of work of the trace: its cost, and the change of that."""
    names = {name for line in table for one in line.outcomes for name in one.figures}
    for name in sorted(name for name in names if name.startswith(_PER)):
        unit = name.removeprefix(_PER)
        words = f"electricity of the jobs with work in {unit}, over that work"
        yield Column(name, "cost per unit", f"GBP/{unit}", SIGNIFICANT, words=words)
        yield Column(name, f"per {unit}", "% of asap", 2, change=True)


def show(out: Console, results: Results) -> None:
    """The comparison on a terminal; a second row holds the range where there are several seeds."""
    facts, all_lines = results.facts, lines(results)
    out.print(
        Text(
            f"{facts.trace}: {facts.jobs} jobs, {facts.nodes:.4g} nodes, {facts.begin} to "
            f"{facts.end}, signals {facts.signals}" + (f" ({FORESIGHT})" if facts.foresight else "")
        )
    )
    columns = present(all_lines)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("policy", no_wrap=True)
    for column in columns:
        table.add_column(f"{column.title}\n{column.unit}", justify="right", overflow="fold")
    for line in all_lines:
        table.add_row(Text(line.name), *(Text(cell(line, column)) for column in columns))
        if len(line.outcomes) > 1:
            ranges = (Text(span(line, column), style="dim") for column in columns)
            table.add_row(Text("  [least, most]", style="dim"), *ranges)
    out.print(table)
    for note in footnotes(results):
        out.print(Text(note))


def cell(line: Line, column: Column) -> str:
    """A line's mean in a column."""
    value = line.shown(column).mean
    if column.change and line.policy == BASELINE:
        return ""
    return number(value, column.digits, sign=column.change)


def span(line: Line, column: Column) -> str:
    """A line's range in a column; empty where all seeds agree, and where none is shown.

    Of the changes and the mean wait only: with all ranges the table fits no screen (results.csv has all).
    """
    if not (column.change or column.figure == "wait_mean_s"):
        return ""
    value = line.shown(column)
    low, high = (number(v, column.digits, sign=column.change) for v in (value.low, value.high))
    return "" if low == high or (column.change and line.policy == BASELINE) else f"[{low}, {high}]"


def number(value: float, digits: int, *, sign: bool = False) -> str:
    """A figure; "-" when it is not known, never "-0"."""
    if not math.isfinite(value):
        return "-"
    if digits < 0:
        return f"{value:.{-digits}g}"
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    return text if any(char in "123456789" for char in text) else text.lstrip("+-")


def footnotes(results: Results) -> list[str]:
    """What a reader of the table must know beside it."""
    seeds = sorted({one.task.seed for one in results.outcomes})
    notes = []
    if len(seeds) > 1:
        notes.append(f"means over the seeds {', '.join(map(str, seeds))}, with [least, most]")
    if results.facts.foresight:
        notes.append(
            f"{FORESIGHT}: the plans saw prices and carbon as they turned out; a forecast saves less"
        )
    if not any(one.task.policy == BASELINE for one in results.outcomes):
        notes.append(f"no change is shown: the study has no policy {BASELINE}")
    rules = results.facts.policies
    notes += [f"{name}: {rules[name]}" for name in results.facts.bounds]
    for line in lines(results):
        said = dict.fromkeys(note for one in line.outcomes for note in one.notes)
        notes += [f"{line.name}: {note}" for note in said]
    notes += [f"not run: {task.name}, seed {task.seed}" for task in results.missing]
    notes += [f"FAILED: {task.name}, seed {task.seed}: {why}" for task, why in results.failed]
    return notes
