"""The envelope's bars: prices beside exact ones on small queues, and the time of a large envelope.

Run in the project's directory: python -m tests.perf.envelope [--only prices|time] [--queues N] [--exact S]

Prices: per queue, each step (offered or withheld) against HiGHS on the whole question: the cost of giving the
same kW less the cost of giving none; and the curves that do not rise in kW and price from step to step. The
exact solver has the shipped seconds for each queue's envelope, or as many as `--exact` says. Of the steps that
are offered are counted those within 2 %, and those whose price is smaller than the uncertainty beside it: none
may be.
Time: 8 windows x 4 depths with 10,000 pending jobs as shipped, in processes of its own and with the exact
solver; gaps and the machine's load beside, since the bar is meant for a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from flexlond.model.settings import EnvelopeSettings, PlanningSettings
from flexlond.planning.deeper import Stoppables
from flexlond.planning.envelope import Curve, Direction, Terms, envelope
from flexlond.planning.moments import Terms as StopTerms
from flexlond.planning.planner import plan
from flexlond.solver import envelope_child
from tests.perf.planning_instances import instance
from tests.perf.stopping import busy
from tests.unit.planning.envelope_cases import (
    SETTINGS,
    Exact,
    busiest,
    own_swing,
    planned,
    small_queue,
)

if TYPE_CHECKING:
    from flexlond.planning.steps import Step

NEAR = 0.02  # of the exact price
PENNY = 1e-4  # GBP, or kW, below which it is nothing
LENGTH = 4  # slots of a window
SHIPPED = EnvelopeSettings().exact_seconds


def errors(
    queues: int, terms: Terms
) -> tuple[list[tuple[int, Direction, Step | None, float, float]], dict[Direction, list[bool]]]:
    """(queue, direction, the step if offered, price, exact price) of every step, and which curves rise."""
    import highspy  # noqa: PLC0415 - only where it is asked for

    found = []
    rising: dict[Direction, list[bool]] = {direction: [] for direction in Direction}
    for seed in range(queues):
        problem = small_queue(seed)
        last = planned(problem)
        exact = Exact.of(problem, last, highspy)
        base = exact.cost()
        window = busiest(problem, last)
        for curve in envelope(problem, SETTINGS, last, [window], terms):
            some = curve.steps
            rising[curve.direction].append(
                all(
                    one.kw < more.kw and one.price_gbp <= more.price_gbp
                    for one, more in pairwise(some)
                )
            )
            everything: list[tuple[Step, Step | None]] = [(step, step) for step in curve.steps]
            everything += [(step, None) for step, _ in curve.withheld if step.kw > PENNY]
            for step, offered in everything:
                swing = own_swing(problem, last, curve, step)
                price = exact.cost(window, swing) - base
                found.append((seed, curve.direction, offered, step.price_gbp, price))
    return found, rising


def prices(console: Console, queues: int, terms: Terms, words: str) -> None:
    """Print the distribution of the error."""
    began = time.perf_counter()
    found, rising = errors(queues, terms)
    table = Table(title=f"{queues} small queues, {words}: price of a step against the exact one")
    for name in (
        "direction",
        "steps",
        "within 2 %",
        "median",
        "90 %",
        "worst",
        "offered",
        "of them within 2 %",
        "below uncertainty",
        "curves",
        "rise",
    ):
        table.add_column(name, justify="left" if name == "direction" else "right")
    for direction in Direction:
        rows = [row for row in found if row[1] is direction]
        error = np.array([abs(ours - true) / max(true, PENNY) for *_, ours, true in rows])
        error[[abs(ours - true) < PENNY for *_, ours, true in rows]] = 0.0
        table.add_row(
            direction,
            str(len(rows)),
            f"{int((error <= NEAR).sum())}",
            *(f"{value:.2%}" for value in np.quantile(error, [0.5, 0.9, 1.0])),
            str(sum(row[2] is not None for row in rows)),
            str(
                sum(
                    row[2] is not None and off <= NEAR for row, off in zip(rows, error, strict=True)
                )
            ),
            str(
                sum(
                    step is not None and step.price_gbp < step.uncertainty_gbp - PENNY
                    for _, _, step, _, _ in rows
                )
            ),
            str(len(rising[direction])),
            str(sum(rising[direction])),
        )
        for (seed, _, _, ours, true), one in zip(rows, error, strict=True):
            if one > NEAR:
                console.print(f"queue {seed} {direction}: {ours:.4f} GBP, exactly {true:.4f}")
    console.print(table, f"{time.perf_counter() - began:.1f} s")


def timed(console: Console, jobs: int, exact: float) -> None:
    """Print the envelope of 8 windows x 4 depths."""
    settings = PlanningSettings()
    problem = instance(jobs, 96, 0.5)
    windows = [(first, first + LENGTH - 1) for first in range(8, 88, 10)]
    shipped = Terms(exact_seconds=exact)
    crowded, candidates = busy(problem, 200, 1)
    room = problem.capacity + crowded.running.demand.sum()
    crowded = replace(
        crowded, capacity=room, group_capacity=room, site_kw=np.full(problem.grid.count, np.inf)
    )
    for asked, terms, words, running in (
        (problem, shipped, "down and up", None),
        (problem, replace(shipped, up=()), "down", None),
        (problem, replace(shipped, down=()), "up", None),
        (crowded, replace(shipped, up=()), "down, 100 running jobs may be stopped", candidates),
    ):
        last = plan(asked, settings)
        stoppables = Stoppables(tuple(running), StopTerms()) if running else None
        wall, cpu = time.perf_counter(), _spent()
        question = (asked, settings, last, tuple(windows), terms, stoppables)
        curves = asyncio.run(envelope_child.ask(question, 600.0))
        spent = time.perf_counter() - wall, _spent() - cpu
        console.print(_shown(curves, words))
        console.print(
            f"{words}: {len(windows)} windows x 4 depths, {jobs:,} pending jobs: {spent[0]:.1f} s, "
            f"{spent[1]:.1f} s of processor, load {os.getloadavg()[0]:.1f} on {os.cpu_count()}; "
            f"gap of the whole plan in force {last.proof.gap:.2%}"
        )


def _spent() -> float:
    """Seconds of processor of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _shown(curves: tuple[Curve, ...], words: str) -> Table:
    """A row per step."""
    table = Table(title=f"envelope {words}")
    for name in (
        *("slots", "kW", "certain", "GBP", "+-", "GBP/MWh", "gap without", "gap with", "notice"),
        *("rebound kW", "jobs", "stopped", "offered"),
    ):
        table.add_column(name, justify="right")
    for curve in curves:
        steps = [(step, "yes") for step in curve.steps] + list(curve.withheld)
        for step, offered in steps:
            table.add_row(
                f"{curve.window[0]}-{curve.window[1]}",
                f"{step.kw:.0f}",
                f"{step.certain_kw:.0f}",
                f"{step.price_gbp:.2f}",
                f"{step.uncertainty_gbp:.2f}",
                f"{step.gbp_per_mwh:.1f}",
                f"{curve.gap:.2%}",
                f"{step.gap:.2%}",
                f"{step.notice_s // 60} min",
                f"{step.rebound_kw:.0f}",
                str(step.moved_jobs),
                str(step.stopped_jobs),
                offered,
            )
        if not steps:
            table.add_row(f"{curve.window[0]}-{curve.window[1]}", *["-"] * 11, "nothing")
    return table


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=("prices", "time"))
    parser.add_argument("--queues", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument(
        "--exact", type=float, default=SHIPPED, help="s of the exact solver for an envelope"
    )
    given = parser.parse_args()
    console = Console(width=140)
    if given.only != "time":
        prices(console, given.queues, Terms(), "search alone")
        words = f"the exact solver has {given.exact:g} s"
        prices(console, given.queues, Terms(exact_seconds=given.exact), words)
    if given.only != "prices":
        timed(console, given.jobs, given.exact)


if __name__ == "__main__":
    main()
