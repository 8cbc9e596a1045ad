"""One thing wrong with a plan at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from flexlond.planning.problem import Plan, Problem

FIELDS = ("cost_gbp", "cost_asap_gbp", "co2_kg", "co2_asap_kg", "kw", "kw_asap", "span")
KINDS = (
    *FIELDS,
    *("seconds", "slots", "slot", "moved", "early", "late", "asap", "swap"),
    *("total", "bound", "count"),
)


def corrupted(problem: Problem, plan: Plan, rng: np.random.Generator) -> tuple[str, Plan | None]:
    """A kind of corruption at random, and the plan with it; None where it would change nothing."""
    kind = str(rng.choice(KINDS))
    job = int(rng.integers(problem.jobs))
    start, changes = plan.start.copy(), {}
    waits = (problem.depends[:, 0] == job).any()  # may start at any moment until the others' end
    if kind == "seconds" and (plan.moved[job] or waits):
        return kind, None  # another second of the same slot is another good plan
    if kind in FIELDS:
        values = getattr(plan, kind).copy()
        at = int(rng.integers(len(values)))
        if not np.isfinite(values[at]):
            return kind, None
        values[at] += max(1e-3, 0.1 * abs(values[at]))
        changes = {kind: values}
    elif kind in {"seconds", "slots", "early", "late"}:
        by = {
            "seconds": int(rng.integers(1, 600)),
            "slots": 1800 * int(rng.integers(1, 5)),
            "early": -int(rng.integers(1, 4000)),
            "late": 10**7,
        }[kind]
        start[job] += by
        changes = {"start": start}
    elif kind == "asap" and plan.asap[job] >= problem.grid.end:
        return kind, None  # what lies beyond the horizon has no figures
    elif kind in {"slot", "moved", "asap"}:
        changes = {kind: _other(plan, kind, job)}
    elif kind == "swap":
        other = int(rng.integers(problem.jobs))
        if start[job] == start[other] or _alike(problem, job, other):
            return kind, None
        start[[job, other]] = start[[other, job]]
        changes = {"start": start}
    elif kind == "total":
        name = str(rng.choice(["cost_gbp", "cost_asap_gbp", "co2_kg", "co2_asap_kg"]))
        value = getattr(plan.totals, name)
        changes = {"totals": replace(plan.totals, **{name: value + 0.01 * abs(value) + 1e-3})}
    elif kind == "bound":
        proof = plan.proof
        changes = {"proof": replace(proof, bound_gbp=proof.objective_gbp + 0.01)}
    else:
        changes = {"totals": replace(plan.totals, moved=plan.totals.moved + 1)}
    return kind, _changed(problem, plan, changes)


def _other(plan: Plan, kind: str, job: int) -> Any:
    values = getattr(plan, kind).copy()
    values[job] = (
        not values[job] if kind == "moved" else values[job] + (1 if kind == "slot" else 7200)
    )
    return values


def _alike(problem: Problem, one: int, other: int) -> bool:
    """Whether an exchange of the two would be as good a plan."""
    return bool(
        problem.kw[one] == problem.kw[other] and problem.duration[one] == problem.duration[other]
    )


def _changed(problem: Problem, plan: Plan, changes: dict[str, Any]) -> Plan | None:
    """The plan with `changes`; None where only what cannot be seen changes (all beyond the horizon)."""
    start = changes.get("start")
    if start is not None:
        seen = np.minimum(np.minimum(start, plan.start), problem.grid.end)
        moved = start != plan.start
        if (seen[moved] >= problem.grid.end).all():
            return None
    return replace(plan, **changes)
