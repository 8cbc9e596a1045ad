"""Whether a plan keeps its word: every constraint kept, every figure true, by other code than made it.

Law: independent of the placements it judges; trusts only the problem, and of the plan only what it recomputes.
Answers with sentences, none for a plan that may be used. Room is counted in whole slots for as long as a job's
room is kept; what was there before us, and the schedule as soon as possible, may exceed the room, a plan may
not add to that. Tolerances: 1e-6 of a figure, 1e-6 of an amount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.account import slot_power
from flexlond.planning.capacity import Blocks, blocks_of, columns_of
from flexlond.planning.check_signals import signals
from flexlond.planning.dependencies import backward
from flexlond.planning.ranking import run_costs
from flexlond.planning.spread import WINDOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.instance import Instance
    from flexlond.planning.problem import Plan, Problem

_NEAR = 1e-6
_PER_JOB = ("slot", "moved", "asap", "span", "reason", "cost_gbp", "cost_asap_gbp", "co2_kg")


def check(problem: Problem, settings: PlanningSettings, plan: Plan) -> tuple[str, ...]:
    """What is wrong with `plan` as an answer to `problem`; empty when nothing is."""
    jobs, slots = problem.jobs, problem.grid.count
    wrong = [
        f"{name} has shape {getattr(plan, name).shape}"
        for name in ("start", *_PER_JOB, "co2_asap_kg")
        if getattr(plan, name).shape != (jobs,)
    ]
    wrong += [
        f"{name} has shape {getattr(plan, name).shape}"
        for name in ("kw", "kw_asap")
        if getattr(plan, name).shape != (slots,)
    ]
    if wrong:
        return tuple(wrong)
    blocks = blocks_of(problem)
    latest, movable = backward(blocks.latest, blocks.longest, problem.movable, problem.depends)
    return (
        *_times(problem, plan, latest, movable),
        *_room(problem, blocks, plan),
        *_order(problem, blocks, plan),
        *_ramp(problem, settings, blocks, plan),
        *signals(problem, settings, plan, blocks, (latest, movable)),
        *_figures(problem, blocks, plan),
        *_totals(problem, plan, movable),
        *_proof(plan),
    )


def check_instance(instance: Instance, slot: NDArray[np.int64]) -> tuple[str, ...]:
    """What is wrong with a placement (n,) of the core question; empty when nothing is."""
    if slot.shape != (instance.jobs,):
        return (f"slots of shape {slot.shape} for {instance.jobs} jobs",)
    everyone, placed = np.arange(instance.jobs), slot >= 0
    wrong = []
    if (slot < -1).any() or (slot >= instance.slots).any():
        return ("a slot outside the grid",)
    own = (instance.special == slot[:, None]).any(axis=1)
    inside = (slot >= instance.first) & (slot <= instance.last)
    if (placed & ~own & ~inside).any():
        wrong.append("a job outside its window")
    if not np.isfinite(instance.cost_at(everyone, slot)).all():
        wrong.append("a job where it may not start")
    over = instance.usage(everyone, slot) - np.maximum(instance.free, 0.0)
    if (over[np.isfinite(instance.free)] > _NEAR * _scale(instance.free)).any():
        wrong.append("more than fits")
    if instance.capped:
        kg = float(instance.co2_at(everyone, slot).sum())
        if kg > instance.co2_cap * (1 + _NEAR):
            wrong.append("more carbon than the cap")
    return tuple(wrong)


def _scale(values: NDArray[np.float64]) -> float:
    known = np.abs(values[np.isfinite(values)])
    return max(1.0, float(known.max(initial=0.0)))


def _times(
    problem: Problem, plan: Plan, latest: NDArray[np.int64], movable: NDArray[np.bool_]
) -> list[str]:
    """Earliest and latest starts, slots, consent."""
    grid, start = problem.grid, plan.start
    earliest = np.maximum(problem.earliest, problem.now)
    on = plan.slot < grid.count
    begins = grid.start + plan.slot * grid.slot_seconds
    ends = np.where(on, begins + grid.slot_seconds, np.iinfo(np.int64).max)
    rules = (
        ("starts before it may", start < earliest),
        ("has a slot that is none", (plan.slot < 0) | (plan.slot > grid.count)),
        ("starts outside its slot", (start < begins) | (start >= ends)),
        ("is late for a saving", (start > latest) & (plan.asap <= latest)),
        ("is held past its latest start", plan.moved & (start > latest)),
        ("is moved without consent", plan.moved & ~movable),
        ("is bound by the power cap and not by a plan", _unbound(problem, plan, movable)),
        ("is held without being later", plan.moved & (start <= earliest)),
        ("comes as soon as possible before it may", plan.asap < earliest),
        ("is not held and yet waits inside its slot", _dawdles(problem, plan, earliest, begins)),
    )
    return [f"job {_first(problem, mask)} {what}" for what, mask in rules if mask.any()]


def _unbound(problem: Problem, plan: Plan, movable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(J,) jobs that a plan cannot hold, counted among those whom the cap binds."""
    if not np.isfinite(problem.site_kw).any() or not len(plan.uncapped):
        return np.zeros(problem.jobs, np.bool_)
    return ~plan.uncapped & ~movable


def _dawdles(
    problem: Problem, plan: Plan, earliest: NDArray[np.int64], begins: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(J,) jobs left to Slurm that would start neither at once nor where their slot begins."""
    after, before = problem.depends.T
    soonest = np.maximum(earliest, begins)
    waits = np.zeros(problem.jobs, np.bool_)
    waits[after] = True
    ends = soonest.copy()
    np.maximum.at(ends, after, plan.start[before] + np.ceil(plan.span[before]).astype(np.int64))
    # Who waits for others may start at their end, in the middle of a slot, but not after it.
    wrong = np.where(waits, plan.start > ends, plan.start != soonest)
    result: NDArray[np.bool_] = ~plan.moved & (plan.slot < problem.grid.count) & wrong
    return result


def _first(problem: Problem, mask: NDArray[np.bool_]) -> int:
    return int(problem.job_id[int(mask.argmax())])


def _taken(
    problem: Problem, blocks: Blocks, start: NDArray[np.int64], uncapped: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(C, S) what the jobs take from their slots' begins (their earliest moment in their first slot).

    Of the site's power, the last constraint, only what the cap binds counts.
    """
    grid = problem.grid
    columns, total = columns_of(problem)
    first = (start - grid.start) // grid.slot_seconds
    earliest = np.maximum(problem.earliest, problem.now)
    begin = np.maximum(grid.start + first * grid.slot_seconds, earliest)
    last = np.ceil((begin + blocks.hold - grid.start) / grid.slot_seconds).astype(np.int64)
    on = first < grid.count
    step = np.zeros((len(total), grid.count + 1))
    chosen = columns[problem.pool]
    for column in range(chosen.shape[1]):
        amount = blocks.amount[on, column]
        if column == chosen.shape[1] - 1:
            amount = np.where(uncapped[on], 0.0, amount)
        np.add.at(step, (chosen[on, column], first[on]), amount)
        np.subtract.at(step, (chosen[on, column], np.minimum(last[on], grid.count)), amount)
    used: NDArray[np.float64] = np.cumsum(step, axis=1)[:-1, : grid.count]
    return used


def _before_us(problem: Problem) -> NDArray[np.float64]:
    """(C, S) what runs or is reserved takes; without the unbounded constraint."""
    grid, running = problem.grid, problem.running
    pools, resources = problem.capacity.shape
    groups = len(problem.group_capacity)
    used = np.zeros((pools * resources + groups * resources + 1, grid.count))
    begins = running.begin if len(running.begin) else np.full(len(running.end), grid.start)
    for row in range(len(running.end)):
        first = int(np.clip((begins[row] - grid.start) // grid.slot_seconds, 0, grid.count))
        last = -(-(int(running.end[row]) - grid.start) // grid.slot_seconds)
        last = max(last, 1) if begins[row] < grid.end else first
        share = running.share[row]
        own = (share[:, None] * running.demand[row]).ravel()
        shared = np.array(
            [share[problem.pool_group == group].max(initial=0.0) for group in range(groups)]
        )
        together = (shared[:, None] * running.demand[row]).ravel()
        used[:, first:last] += np.concatenate([own, together, [running.kw[row]]])[:, None]
    return used


def _room(problem: Problem, blocks: Blocks, plan: Plan) -> list[str]:
    """No slot is given to more than fits."""
    total = columns_of(problem)[1][:-1]
    room = np.repeat(total[:, None], problem.grid.count, axis=1)
    if len(problem.site_kw):
        room[-1] = problem.site_kw - problem.base_kw
    room = np.maximum(room - _before_us(problem), 0.0)
    capped = np.isfinite(problem.site_kw).any() and len(plan.uncapped)
    uncapped = plan.uncapped if capped else np.zeros(problem.jobs, np.bool_)
    taken, asap = (_taken(problem, blocks, start, uncapped) for start in (plan.start, plan.asap))
    asap[-1] = (
        0.0  # Slurm knows of no cap on power: what would start without us excuses no more of it
    )
    bounded = np.isfinite(total)[:, None]
    near = _NEAR * (1 + np.where(bounded, total[:, None], 0.0))
    over = bounded & np.isfinite(room) & (taken > np.maximum(room, asap) + near)
    if not over.any():
        return []
    row, slot = (int(index) for index in np.argwhere(over)[0])
    return [f"slot {slot} has more than fits of constraint {row}"]


def _order(problem: Problem, blocks: Blocks, plan: Plan) -> list[str]:
    """Who waits for another starts after it, where either is moved."""
    if not len(problem.depends):
        return []
    after, before = problem.depends.T
    early = plan.start[after] < plan.start[before] + np.ceil(blocks.span[before]) - 1
    early &= plan.moved[after] | plan.moved[before]
    if not early.any():
        return []
    return [f"job {int(problem.job_id[after[early.argmax()]])} starts before what it waits for"]


def _ramp(problem: Problem, settings: PlanningSettings, blocks: Blocks, plan: Plan) -> list[str]:
    """What we start in any five minutes stays under the ramp cap; a single job above it starts alone."""
    cap, held = settings.ramp_kw_per_5min, plan.moved
    if not cap or not held.any():
        return []
    start = np.concatenate([plan.start[held], problem.recent[:, 0].astype(np.int64)])
    power = np.concatenate([blocks.step_kw[held], problem.recent[:, 1]])
    ours = np.arange(len(start)) < held.sum()  # the others have started already
    order = np.argsort(start, kind="stable")
    order = order[power[order] > _NEAR]
    start, power, ours = start[order], power[order], ours[order]
    since = np.searchsorted(start, start, side="left")
    until = np.searchsorted(start, start + WINDOW, side="left")
    total, held_by = (np.concatenate([[0.0], np.cumsum(values)]) for values in (power, ours))
    over = (total[until] - total[since] > cap + _NEAR * (1 + cap)) & (until - since > 1)
    over &= held_by[until] > held_by[since]
    return [f"more than {cap:g} kW start within five minutes"] if over.any() else []


def _figures(problem: Problem, blocks: Blocks, plan: Plan) -> list[str]:
    """Costs, carbon, spans and power are what they are said to be."""
    grid = problem.grid
    pairs = [("span", plan.span, blocks.span)]
    for name, start in (("", plan.start), ("_asap", plan.asap)):
        for kind, values in (("cost", problem.price), ("co2", problem.carbon)):
            unit = "gbp" if kind == "cost" else "kg"
            field = f"{kind}{name}_{unit}"
            true = run_costs(grid, values, blocks.kw, start, blocks.span)
            pairs.append((field, getattr(plan, field), true))
        mean, highest = _power(problem, blocks, start)
        pairs.append((f"kw{name}", getattr(plan, f"kw{name}"), mean))
        said = np.array([getattr(plan.totals, f"peak{name}_kw")])
        pairs.append((f"peak{name}_kw", said, np.array([highest])))
    return [
        f"{name} is not what it is"
        for name, said, true in pairs
        if not np.allclose(said, true, rtol=_NEAR, atol=1e-9, equal_nan=True)
    ]


def _power(
    problem: Problem, blocks: Blocks, start: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """(S,) mean kW of the site, and the highest at any moment."""
    running, grid = problem.running, problem.grid
    since = np.full(len(running.end), grid.start)
    if len(running.begin):
        since = np.maximum(since, running.begin)
    begin = np.concatenate([since, start])
    end = np.concatenate([running.end, start + np.ceil(blocks.span).astype(np.int64)])
    end, kw = np.maximum(begin, end), np.concatenate([running.kw, blocks.kw])
    curve = slot_power(grid, begin.astype(np.float64), end.astype(np.float64), kw)
    moments, place = np.unique(np.concatenate([begin, end]), return_inverse=True)
    steps = np.bincount(place.ravel(), np.concatenate([kw, -kw]), len(moments))
    highest = float(np.cumsum(steps).max(initial=0.0))
    return problem.base_kw + curve, problem.base_kw + highest


def _totals(problem: Problem, plan: Plan, movable: NDArray[np.bool_]) -> list[str]:
    """The sums over the jobs whose costs are known at both starts."""
    priced = np.isfinite(plan.cost_gbp) & np.isfinite(plan.cost_asap_gbp)
    counted = np.isfinite(plan.co2_kg) & np.isfinite(plan.co2_asap_kg)
    delay = (plan.start - plan.asap)[plan.moved]
    totals = plan.totals
    true = {
        "jobs": problem.jobs,
        "movable": int(movable.sum()),
        "moved": int(plan.moved.sum()),
        "cost_gbp": plan.cost_gbp[priced].sum(),
        "cost_asap_gbp": plan.cost_asap_gbp[priced].sum(),
        "co2_kg": plan.co2_kg[counted].sum(),
        "co2_asap_kg": plan.co2_asap_kg[counted].sum(),
        "mean_delay_s": delay.mean() if len(delay) else 0.0,
    }
    return [
        f"the total {name} is not what it is"
        for name, value in true.items()
        # Delays are whole seconds: one second of one job of many is seen.
        if not np.isclose(
            getattr(totals, name), value, rtol=1e-12 if name == "mean_delay_s" else _NEAR, atol=1e-9
        )
    ]


def _proof(plan: Plan) -> list[str]:
    """The bound is one."""
    proof = plan.proof
    if not (np.isfinite(proof.objective_gbp) and np.isfinite(proof.bound_gbp)):
        return ["the proof has no figures"]
    if any(not np.isfinite(stage.seconds) or stage.steps < 0 for stage in proof.stages):
        return ["a stage of the proof has no figures"]
    slack = _NEAR * (1 + abs(proof.objective_gbp))
    above = proof.bound_gbp > proof.objective_gbp + slack
    return ["the bound is above the objective"] if above else []
