"""What people see of the plan and the signals: the port's records, filled from the loop's state.

Law: reads memory only; invents nothing: a figure that is not known is 0 for a time and NaN for a price, a cost
or an amount. Slots are those of the plan. Epoch seconds (UTC), kW at the site's meter, GBP, kg CO2; what room
is worth in GBP/MWh, what carbon is worth in GBP/t.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.agents.ports import (
    CarbonCapView,
    PlanSlotView,
    PlanView,
    SignalLine,
    SignalsView,
    StageView,
    UnitCostView,
)
from flexlond.model.series import UNITS, Kind, Series
from flexlond.planning.capacity import columns_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.agents.state import LoopState
    from flexlond.planning.problem import Plan


def plan_view(agent: LoopState) -> PlanView | None:
    """The last plan, slot by slot."""
    found = agent.last_plan
    if found is None:
        return None
    proof = found.proof
    return PlanView(
        made_at=agent.planned_at,
        slot_seconds=found.grid.slot_seconds,
        slots=_slots(agent),
        cost_gbp=found.totals.cost_gbp,
        cost_asap_gbp=found.totals.cost_asap_gbp,
        co2_kg=found.totals.co2_kg,
        co2_asap_kg=found.totals.co2_asap_kg,
        objective_gbp=proof.objective_gbp,
        bound_gbp=proof.bound_gbp,
        gap=proof.gap,
        stages=tuple(
            StageView(one.name, one.seconds, one.objective_gbp, one.steps) for one in proof.stages
        ),
        seconds=agent.plan_seconds,
        optimised=proof.jobs,
        base_kw=agent.problem.base_kw if agent.problem else 0.0,
        carbon_shadow_gbp_t=1000.0 * proof.carbon_price,
        problems=found.problems,
        carbon_caps=tuple(
            CarbonCapView(
                one.name,
                one.total_kg,
                one.spent_kg,
                one.expected_kg,
                one.planned_kg,
                1000.0 * one.price_gbp_kg,
                one.kept,
            )
            for one in found.carbon_caps
        ),
        units=unit_costs(agent, found),
    )


def unit_costs(agent: LoopState, plan: Plan) -> tuple[UnitCostView, ...]:
    """What a unit of work costs, planned and as soon as possible, over the waiting jobs that say work in it.

    By unit, units are never added. A job whose costs are not known at both starts is left out.
    """
    rows: dict[str, list[tuple[int, float]]] = {}
    for job_id, row in agent.rows.items():
        known = agent.flex.get(job_id)
        if known is not None and known.directive is not None and known.directive.work:
            work = known.directive.work
            rows.setdefault(known.directive.unit, []).append((row, work))
    figures = np.column_stack([plan.cost_gbp, plan.cost_asap_gbp, plan.co2_kg, plan.co2_asap_kg])
    found = []
    for unit, members in sorted(rows.items()):
        counted = [(row, work) for row, work in members if np.isfinite(figures[row, :2]).all()]
        total = sum(work for _, work in counted)
        if total > 0:
            gbp, gbp_asap, kg, kg_asap = figures[[row for row, _ in counted]].sum(axis=0) / total
            found.append(
                UnitCostView(
                    unit,
                    len(counted),
                    total,
                    float(gbp),
                    float(gbp_asap),
                    1000.0 * float(kg),
                    1000.0 * float(kg_asap),
                )
            )
    return tuple(found)


def signals_view(agent: LoopState) -> SignalsView:
    """The feeds with their values by slot."""
    return SignalsView(signal_lines(agent), _slots(agent))


def _slots(agent: LoopState) -> tuple[PlanSlotView, ...]:
    found, price, carbon = (
        agent.last_plan,
        agent.series.get(Kind.PRICE),
        agent.series.get(Kind.CARBON),
    )
    series = price or carbon
    if found is None or series is None:
        return ()
    grid = found.grid
    unknown = np.full(grid.count, np.nan)
    starts = np.bincount(found.slot[found.slot < grid.count], minlength=grid.count)
    cap, worth = _power_cap(agent, found)
    return tuple(
        PlanSlotView(
            grid.slot_start(slot),
            float((price.values if price else unknown)[slot]),
            float((carbon.values if carbon else unknown)[slot]),
            float(found.kw[slot]),
            float(found.kw_asap[slot]),
            int(starts[slot]),
            float(cap[slot]),
            float(worth[slot]),
        )
        for slot in range(grid.count)
    )


def _power_cap(agent: LoopState, plan: Plan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(S,), (S,): the site's power cap (NaN: none) and what room under it is worth, GBP/MWh."""
    problem, grid = agent.problem, plan.grid
    none = np.full(grid.count, np.nan), np.zeros(grid.count)
    if problem is None or not len(problem.site_kw):
        return none
    cap = np.where(np.isfinite(problem.site_kw), problem.site_kw, np.nan)
    row = len(columns_of(problem)[1]) - 2  # the last but one constraint is the site's power
    price = plan.proof.room_price
    if not np.isfinite(cap).any() or len(price) <= row:
        return cap, none[1]
    return cap, price[row] * 3.6e6 / grid.slot_seconds


def signal_lines(agent: LoopState) -> tuple[SignalLine, ...]:
    """Where the series come from and how good they are."""
    return tuple(signal_line(kind, series) for kind, series in agent.series.items())


def signal_line(kind: Kind, series: Series) -> SignalLine:
    """Where one series comes from and how good it is."""
    known = np.flatnonzero(~np.isnan(series.values))
    grid = series.grid
    first = grid.slot_start(int(known[0])) if known.size else 0
    last = grid.slot_start(int(known[-1]) + 1) if known.size else 0
    return SignalLine(
        kind.value,
        series.source,
        UNITS[kind],
        series.fetched_at,
        first,
        last,
        series.quality.value,
        series.detail,
    )
