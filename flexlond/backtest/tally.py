"""From runs to results: every run's figures over the same jobs, and the curves that the report plots.

Law: adds nothing up itself (metrics.py does) and chooses only what is shown: two weeks in the middle of the
trace, whole days (UTC), and quantiles of waits. Money and CO2 of one seed are over the jobs that are known
in all its runs, so that policies are compared on the same work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.backtest import metrics, roster
from flexlond.backtest.results import Facts, Outcome, Results, Shown
from flexlond.backtest.study import BASELINE
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.account import slot_power
from flexlond.signals.rows import format_utc_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import Run, Trace
    from flexlond.backtest.parts import Task
    from flexlond.backtest.study import Case

DAY = 86400
SHOWN_DAYS = 14
QUANTILES = 201


def tally(
    case: Case,
    runs: Mapping[Task, Run],
    missing: Sequence[Task] = (),
    failed: Sequence[tuple[Task, str]] = (),
) -> Results:
    """The results of `runs`, in the order of the study's tasks. Raises ValueError without any run."""
    if not runs:
        raise ValueError("no run has finished: there is nothing to report")
    study, trace = case.study, case.trace
    grid = metrics.study_grid(trace, list(runs.values()), study.slot_seconds)
    shown = shown_grid(trace, grid)
    price, carbon = case.signals.actual(shown)
    names = list(dict.fromkeys(task.policy for task in runs))
    outcomes: dict[Task, Outcome] = {}
    shares = []
    for seed in dict.fromkeys(task.seed for task in runs):
        flexible = case.flexibility(seed)
        node_seconds = np.minimum(trace.runtime, trace.limit) * trace.nodes
        shares.append(float(node_seconds[flexible.flexible].sum() / max(node_seconds.sum(), 1e-9)))
        against = metrics.Case(trace, flexible, case.signals, study.power, grid, case.nodes)
        members = {task: run for task, run in runs.items() if task.seed == seed}
        figures = _figures(against, list(members.values()))
        for (task, run), one in zip(members.items(), figures, strict=True):
            outcomes[task] = _outcome(case, task, run, one, flexible=flexible.flexible, shown=shown)
    return Results(
        identity=case.identity,
        facts=Facts(
            trace=trace.name,
            jobs=trace.jobs,
            nodes=case.nodes,
            begin=format_utc_seconds(int(trace.submit[0])),
            end=format_utc_seconds(int(trace.submit[-1])),
            flexible=float(np.mean(shares)),
            signals=case.signals.name,
            foresight=case.signals.foresight,
            notes=case.signals.notes,
            problems=case.problems,
            policies={name: roster.ROSTER[name].rule for name in names},
            bounds=tuple(name for name in names if roster.ROSTER[name].bound),
        ),
        shown=Shown(
            shown.start,
            shown.slot_seconds,
            tuple(price.tolist()),
            tuple(carbon.tolist()),
            study.idle_kw_per_node * case.nodes,
        ),
        outcomes=tuple(outcomes[task] for task in study.tasks if task in outcomes),
        missing=tuple(missing),
        failed=tuple(failed),
    )


def shown_grid(trace: Trace, grid: TimeGrid) -> TimeGrid:
    """Two weeks around the middle submission, in whole days, inside the days of `grid`."""
    first = grid.start - grid.start % DAY
    last = -(-grid.end // DAY) * DAY
    middle = int(trace.submit[trace.jobs // 2])
    begin = middle - middle % DAY - SHOWN_DAYS // 2 * DAY
    begin = max(first, min(begin, last - SHOWN_DAYS * DAY))
    end = min(last, begin + SHOWN_DAYS * DAY)
    return TimeGrid(begin, grid.slot_seconds, (end - begin) // grid.slot_seconds)


def _figures(against: metrics.Case, runs: list[Run]) -> list[dict[str, float]]:
    """Each run's figures; over the jobs known in all where there is a run to compare with."""
    if any(run.policy == BASELINE for run in runs):
        found = [row.metrics for row in metrics.compare(against, runs)]
    else:
        found = [metrics.measure(against, run) for run in runs]
    return [
        {name: value for name, value in one.figures().items() if name != "seed"} for one in found
    ]


def _outcome(
    case: Case,
    task: Task,
    run: Run,
    figures: dict[str, float],
    *,
    flexible: NDArray[np.bool_],
    shown: TimeGrid,
) -> Outcome:
    trace = case.trace
    started = run.start > 0
    kw = case.study.kw_per_node * trace.nodes
    power = slot_power(
        shown,
        run.start[started].astype(np.float64),
        run.end[started].astype(np.float64),
        kw[started],
    )
    wait_h = (run.start - trace.submit) / 3600.0
    return Outcome(
        task=task,
        figures=figures,
        power_kw=tuple(np.maximum(power, 0.0).round(3).tolist()),
        wait_flexible_h=_quantiles(wait_h[started & flexible]),
        wait_other_h=_quantiles(wait_h[started & ~flexible]),
        notes=run.notes,
    )


def _quantiles(values: NDArray[np.float64]) -> tuple[float, ...]:
    if not len(values):
        return ()
    found: list[float] = np.quantile(values, np.linspace(0.0, 1.0, QUANTILES)).round(5).tolist()
    return tuple(found)
