"""One model of jobs and assets, from the planner's core question: how the cap is divided between them.

Law: pure but for the solver, and decides nothing: the division is tried by whoever asked. Whole slots, the
question's own options and costs (instance.py): few jobs have all their slots, many those of least reduced
cost. Relaxed, jobs may be broken; exact, they are whole, within the seconds given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.assets.dispatch import Builder, build, mended, tidy
from flexlond.planning.account import slot_power
from flexlond.planning.capacity import blocks_of
from flexlond.planning.instance import Prices
from flexlond.planning.milp import OPTIONS, Options, options

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.assets.dispatch import Plant, Site, Solver
    from flexlond.assets.plant import Asset, Reading
    from flexlond.planning.instance import Instance
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.question import Question
    from flexlond.solver.linear import Model

_ALL = 20_000  # jobs x slots up to which every slot of a job is an option
_MOST = 1500  # jobs above which only the relaxation is asked for
_GAP = 1e-3  # at which the exact model is good enough


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """How the model divides the cap."""

    kw: NDArray[np.float64]  # (A, S) of the assets
    slots: Mapping[
        int, int
    ]  # job (index of the problem) -> slot, -1 for nowhere; empty when relaxed
    proven: bool


def divide(
    problem: Problem,
    question: Question,
    site: Site,
    assets: Sequence[Asset],
    readings: Mapping[str, Reading],
    *,
    plan: Plan,
    incumbent: NDArray[np.int64],
    solver: Solver,
    seconds: float,
    exact: bool,
    barred: Collection[tuple[int, int]] = (),
) -> Division | None:
    """The division of the cap between the question's jobs and the assets.

    `barred` are (job of the problem, slot) that the planner does not take. `plan` is one of these jobs' plans,
    `site` what the assets stood beside in it; `incumbent` (J,) are slots to begin from. None without an
    answer, or where there are too many jobs.
    """
    instance = question.instance
    jobs = instance.jobs
    if not jobs or (exact and jobs > _MOST):
        return None
    slot = np.where(incumbent[question.jobs] < instance.slots, incumbent[question.jobs], -1)
    allowed = np.isfinite(instance.cost_at(np.arange(jobs), slot))
    slot = np.where(allowed, slot, -1)
    most = instance.slots if jobs * instance.slots <= _ALL else OPTIONS
    prices = Prices(_room_prices(plan, instance.free.shape), plan.proof.carbon_price)
    chosen = options(instance, slot, prices, most)
    if barred:
        keep = [
            (job, slot) not in barred
            for job, slot in zip(
                question.jobs[chosen.job].tolist(), chosen.slot.tolist(), strict=True
            )
        ]
        chosen = Options(chosen.job[keep], chosen.slot[keep], chosen.cost[keep])
    into = Builder()
    x = into.add(chosen.cost, 0.0, 1.0, whole=True)
    once = into.rows_of(1.0, 1.0, jobs)
    into.put(once[chosen.job], x, 1.0)
    low = site.low_kw - _mean_kw(problem, question.jobs, plan)
    placed = np.where(plan.slot < instance.slots, plan.slot, -1)[question.jobs]
    power = instance.usage(np.arange(jobs), placed)[
        -2
    ]  # the site's row is the last but the unbounded one
    beside = replace(site, high_kw=site.high_kw - power, low_kw=low)
    plant = build(beside, assets, readings, into)
    _jobs_rows(instance, chosen, into, x, plant.cap_rows)
    _floor_rows(problem, question, chosen, into, (x, plant.floor_rows))
    model = into.model(whole=exact)
    start = None
    if exact:
        here = (chosen.slot == slot[chosen.job]).astype(np.float64)
        start = _complete(model, plant, assets, (x, here), (solver, seconds))
    found = solver(model, seconds, gap=_GAP, start=start)
    if found is None:
        return None
    slots: dict[int, int] = {}
    if exact:
        taken = found.x[x] > 0.5  # 0 or 1 but for tolerances
        if not np.array_equal(chosen.job[taken], np.arange(jobs)):
            return None
        slots = dict(zip(question.jobs.tolist(), chosen.slot[taken].tolist(), strict=True))
    return Division(tidy(plant, assets, found.x), slots, found.optimal)


def _complete(
    model: Model,
    plant: Plant,
    assets: Sequence[Asset],
    jobs: tuple[NDArray[np.int64], NDArray[np.float64]],
    limits: tuple[Solver, float],
) -> NDArray[np.float64] | None:
    """All columns of the answer in which the `jobs` have these values; None where there is none."""
    (x, here), (solver, seconds) = jobs, limits
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[x] = upper[x] = here
    fixed = replace(model, lower=lower, upper=upper)
    relaxed = solver(replace(fixed, whole=np.zeros_like(model.whole)), seconds)
    if relaxed is None:
        return None
    whole = mended(fixed, plant, assets, relaxed.x, limits)
    return None if whole is None else whole.x


def _room_prices(plan: Plan, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return plan.proof.room_price if plan.proof.room_price.shape == shape else np.zeros(shape)


def _mean_kw(problem: Problem, jobs: NDArray[np.int64], plan: Plan) -> NDArray[np.float64]:
    """(S,) mean kW of `jobs` in `plan`."""
    blocks = blocks_of(problem)
    begin = plan.start[jobs].astype(np.float64)
    return slot_power(problem.grid, begin, begin + np.ceil(blocks.span[jobs]), blocks.kw[jobs])


def _spread(
    begin: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For runs of `length` slots from `begin`: (which run, which slot, how many slots into it)."""
    run = np.repeat(np.arange(len(begin)), length)
    within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    return run, begin[run] + within, within


def _jobs_rows(
    instance: Instance,
    chosen: Options,
    into: Builder,
    x: NDArray[np.int64],
    cap_rows: NDArray[np.int64],
) -> None:
    """What the options take of each constraint; of the site's power in the assets' own rows."""
    placed = np.flatnonzero(chosen.slot >= 0)
    job, slot = chosen.job[placed], chosen.slot[placed]
    run, when, _ = _spread(slot, instance.reach(job, slot) - slot)
    site_row = len(instance.free) - 2
    cells, columns, values = [], [], []
    for which in range(instance.index.shape[1]):
        row = instance.index[instance.cls[job], which][run]
        amount = instance.amount[job, which][run]
        power = (row == site_row) & (amount > 0)
        into.put(cap_rows[when[power]], x[placed[run[power]]], amount[power])
        other = np.isfinite(instance.free[row, when]) & (row != site_row) & (amount > 0)
        cells.append((row * instance.slots + when)[other])
        columns.append(x[placed[run[other]]])
        values.append(amount[other])
    cell, column, value = (np.concatenate(part) for part in (cells, columns, values))
    names, row = np.unique(cell, return_inverse=True)
    rows = into.rows_of(-np.inf, np.maximum(instance.free.ravel()[names], 0.0), len(names))
    into.put(rows[row.ravel()], column, value)
    if instance.capped:
        total = into.rows_of(-np.inf, instance.co2_cap, 1)
        into.put(np.repeat(total, len(placed)), x[placed], instance.co2_at(job, slot))


def _floor_rows(
    problem: Problem,
    question: Question,
    chosen: Options,
    into: Builder,
    at: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """The mean power of the options, which a discharge may serve; `at`: their columns, the rows by slot."""
    x, floor_rows = at
    blocks = blocks_of(problem)
    placed = np.flatnonzero(chosen.slot >= 0)
    job, slot = question.jobs[chosen.job[placed]], chosen.slot[placed]
    length = blocks.span[job] / problem.grid.slot_seconds
    slots = np.minimum(np.ceil(length - 1e-9).astype(np.int64), problem.grid.count - slot)
    run, when, within = _spread(slot, slots)
    part = np.clip(length[run] - within, 0.0, 1.0)
    into.put(floor_rows[when], x[placed[run]], blocks.kw[job][run] * part)
