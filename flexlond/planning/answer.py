"""A placement as a Plan: what it costs, what power it draws, what it could not satisfy.

Law: decides nothing but whether a placement is worth having at all. GBP, kg CO2, kW at the site's meter; a
cost is NaN where a signal is unknown over the run, and such jobs are left out of the totals.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.account import peak_kw, slot_power
from flexlond.planning.problem import Plan, Problem, Proof, Reason, Totals
from flexlond.planning.ranking import run_costs, score_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.capacity import Blocks
    from flexlond.planning.listing import Listing

_NAMED = 5  # job ids named in a problem's words


@dataclass(slots=True, eq=False)
class Outcome:
    """A schedule of all jobs of a problem, shapes (J,), on its way to become a Plan."""

    start: NDArray[np.int64]
    slot: NDArray[np.int64]
    moved: NDArray[np.bool_]
    reason: NDArray[np.int8]
    proof: Proof
    over_ramp: list[int] = field(default_factory=list)
    let_go: list[int] = field(
        default_factory=list
    )  # over the power cap, where they may not be held
    uncapped: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    @classmethod
    def empty(cls, problem: Problem) -> Outcome:
        """Nobody placed, nothing proven."""
        jobs = problem.jobs
        return cls(
            np.zeros(jobs, np.int64),
            np.full(jobs, problem.grid.count, np.int64),
            np.zeros(jobs, np.bool_),
            np.full(jobs, Reason.NOT_MOVABLE, np.int8),
            Proof(0.0, 0.0, (), np.zeros((0, problem.grid.count)), 0.0, 0),
        )

    @classmethod
    def as_soon_as_possible(
        cls, problem: Problem, asap: Listing, movable: NDArray[np.int64], proof: Proof
    ) -> Outcome:
        """All as soon as possible, because waiting would cost more."""
        result = cls.empty(problem)
        result.start, result.slot = asap.start, asap.slot
        # What was proven is of another plan: only its prices stay, and what was tried.
        result.proof = replace(proof, objective_gbp=0.0, bound_gbp=0.0, jobs=0)
        result.reason[movable] = Reason.BELOW_BENEFIT
        if np.isfinite(problem.site_kw).any():
            result.uncapped = np.ones(problem.jobs, np.bool_)
        return result

    @classmethod
    def as_it_stands(
        cls,
        problem: Problem,
        blocks: Blocks,
        asap: Listing,
        movable: NDArray[np.int64],
        proof: Proof,
    ) -> Outcome:
        """All as soon as possible but for begin times in force that are in time: no plan is to be had.

        Giving all of those back at once would be a step in power, and they end by themselves.
        """
        result = cls.as_soon_as_possible(problem, asap, movable, proof)
        current = problem.current[movable]
        stay = movable[
            (current > problem.now)
            & (current <= blocks.latest[movable])
            & (current < problem.grid.end)
        ]
        result.start, result.slot = result.start.copy(), result.slot.copy()
        result.start[stay] = problem.current[stay]
        result.slot[stay] = (
            problem.current[stay] - problem.grid.start
        ) // problem.grid.slot_seconds
        result.moved[stay] = problem.current[stay] > np.maximum(problem.earliest[stay], problem.now)
        result.reason[stay] = Reason.KEPT
        return result


def answer(problem: Problem, blocks: Blocks, result: Outcome, asap: Listing) -> Plan:
    """The plan of two schedules: the one to carry out, and as soon as possible."""
    grid, kw, span = problem.grid, blocks.kw, blocks.span
    cost, cost_asap, co2, co2_asap = (
        run_costs(grid, values, kw, start, span)
        for values in (problem.price, problem.carbon)
        for start in (result.start, asap.start)
    )
    power, peak = _power(problem, blocks, result.start)
    power_asap, peak_asap = _power(problem, blocks, asap.start)
    priced = np.isfinite(cost) & np.isfinite(cost_asap)
    counted = np.isfinite(co2) & np.isfinite(co2_asap)
    delay = (result.start - asap.start)[result.moved]
    totals = Totals(
        jobs=problem.jobs,
        movable=int(problem.movable.sum()),
        moved=int(result.moved.sum()),
        cost_gbp=float(cost[priced].sum()),
        cost_asap_gbp=float(cost_asap[priced].sum()),
        co2_kg=float(co2[counted].sum()),
        co2_asap_kg=float(co2_asap[counted].sum()),
        peak_kw=peak,
        peak_asap_kw=peak_asap,
        mean_delay_s=float(delay.mean()) if len(delay) else 0.0,
    )
    return Plan(
        start=result.start,
        slot=result.slot,
        moved=result.moved,
        asap=asap.start,
        span=span,
        reason=result.reason,
        cost_gbp=cost,
        cost_asap_gbp=cost_asap,
        co2_kg=co2,
        co2_asap_kg=co2_asap,
        kw=power,
        kw_asap=power_asap,
        totals=totals,
        problems=(*_words(problem, blocks, result), *_above(problem, power)),
        proof=result.proof,
        grid=grid,
        job_id=problem.job_id,
        uncapped=result.uncapped,
    )


def no_worse(
    problem: Problem,
    settings: PlanningSettings,
    blocks: Blocks,
    new: NDArray[np.int64],
    old: NDArray[np.int64],
) -> bool:
    """Whether starting at `new` costs no more than at `old` (J,): energy, carbon and delay together."""
    score = score_of(problem.price, problem.carbon, settings)
    rate = settings.delay_price * problem.delay_weight / 86400.0
    one, other = (
        run_costs(problem.grid, score, blocks.kw, start, blocks.span) + rate * start
        for start in (new, old)
    )
    known = np.isfinite(one) & np.isfinite(other)
    return bool((one - other)[known].sum() <= 0)


def _power(
    problem: Problem, blocks: Blocks, start: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Mean kW per slot and the highest kW at any moment, running jobs included."""
    running, grid = problem.running, problem.grid
    placed = start > 0
    since = np.full(len(running.end), grid.start)
    if len(running.begin):
        since = np.maximum(since, running.begin)
    begin = np.concatenate([since, start[placed]])
    end = np.concatenate(
        [running.end, start[placed] + np.ceil(blocks.span[placed]).astype(np.int64)]
    )
    end = np.maximum(end, begin)
    kw = np.concatenate([running.kw, blocks.kw[placed]])
    mean = slot_power(grid, begin.astype(np.float64), end.astype(np.float64), kw)
    return problem.base_kw + mean, problem.base_kw + peak_kw(begin, end, kw)


def _words(problem: Problem, blocks: Blocks, result: Outcome) -> tuple[str, ...]:
    """What could not be satisfied."""
    words: list[str] = []
    for name, values in (("price", problem.price), ("carbon intensity", problem.carbon)):
        holes = int((~np.isfinite(values)).sum())
        if holes:
            words.append(
                f"{name} is unknown in {holes} of {len(values)} slots: no deferral into them"
            )
    room = np.minimum(
        problem.capacity[problem.pool],
        problem.group_capacity[problem.pool_group[problem.pool]],
    )
    tall = np.flatnonzero((problem.demand > room).any(axis=1))
    if len(tall):
        words.append(f"more than their pool has is asked for by {_named(problem, tall)}")
    late = np.flatnonzero(problem.movable & (result.start > blocks.latest))
    if len(late):
        words.append(
            f"no room before the latest start, even as soon as possible, for {_named(problem, late)}"
        )
    if np.isfinite(problem.co2_cap_kg):
        start = result.start[problem.movable]
        kg = run_costs(
            problem.grid,
            problem.carbon,
            blocks.kw[problem.movable],
            start,
            blocks.span[problem.movable],
        )
        emitted = float(kg[np.isfinite(kg)].sum())
        if emitted > problem.co2_cap_kg * (1 + 1e-6):
            words.append(
                f"the carbon cap of {problem.co2_cap_kg:g} kg cannot be kept: "
                f"the cleanest plan found emits {emitted:.4g} kg"
            )
    if result.over_ramp:
        over = np.array(result.over_ramp, np.int64)
        words.append(f"the ramp cap gives way to the latest start of {_named(problem, over)}")
    return tuple(words)


def _above(problem: Problem, power: NDArray[np.float64]) -> tuple[str, ...]:
    """The slots in which the cap on power is not kept."""
    if not len(problem.site_kw):
        return ()
    over = power - problem.site_kw
    slots = int((over > 1e-6 * (1 + np.abs(power))).sum())
    if not slots:
        return ()
    most = f"the power cap is not kept in {slots} slots, by up to {float(over.max()):.4g} kW"
    return (f"{most}: what runs, what has no consent and latest starts need it",)


def _named(problem: Problem, jobs: NDArray[np.int64]) -> str:
    ids = ", ".join(str(job) for job in problem.job_id[jobs[:_NAMED]].tolist())
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    return f"{len(jobs)} jobs ({ids}{more})" if len(jobs) > 1 else f"job {ids}"
