"""Small random questions of jobs, battery and chiller, and their exact optimum by a model of its own.

The reference shares nothing with flexlond/assets but the records: it is written in HiGHS' own modelling
language from the problem's arrays, with hard limits (no slack anywhere), and solved to 1e-6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np

from flexlond.assets.plant import Battery, Chiller, Reading
from flexlond.model.settings import PlanningSettings
from flexlond.planning.capacity import blocks_of
from flexlond.planning.planner import plan
from flexlond.planning.problem import Running
from flexlond.planning.ranking import run_costs, score_of
from tests.unit.planning.conftest import NOW, SLOT, build

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.problem import Problem

SETTINGS = PlanningSettings(min_benefit=0.0, spread=0.0, delay_price=0.05, carbon_price=60.0)
HOURS = SLOT / 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One question."""

    problem: Problem
    battery: Battery
    chiller: Chiller
    readings: dict[str, Reading]
    export_kw: float

    @property
    def assets(self) -> tuple[Battery, Chiller]:
        return self.battery, self.chiller


def random_case(seed: int) -> Case:
    """Half a day to a day of half-hours; a cap that binds when all want the same cheap hours."""
    rng = np.random.default_rng(seed)
    slots, jobs = int(rng.integers(24, 49)), int(rng.integers(5, 13))
    hour = np.arange(slots) / 2
    price = (
        90
        + 60 * np.sin((hour + rng.uniform(0, 24)) / 24 * 2 * np.pi * 2)
        + rng.normal(0, 12, slots)
    )
    if rng.random() < 0.3:
        price -= 60  # some are negative then
    duration = rng.integers(1, 11, jobs) * SLOT // 2
    nodes = rng.integers(1, 9, jobs).astype(float)
    earliest = NOW + np.where(rng.random(jobs) < 0.6, 0, rng.integers(0, slots // 3, jobs)) * SLOT
    slack = rng.integers(2, slots, jobs) * SLOT
    kw = nodes * rng.uniform(8, 16, jobs)
    running_kw = float(rng.uniform(0, 60))
    base = float(rng.uniform(10, 60))
    heat = tuple((rng.uniform(30, 60) + 0.4 * rng.uniform(0, 100, slots)).tolist())
    chiller = Chiller(
        "chiller",
        max_kw=float(rng.uniform(35, 60)),
        inertia_kwh_per_k=float(rng.uniform(20, 60)),
        low_c=14.0,
        high_c=22.0,
        cop=float(rng.uniform(3, 5)),
        min_kw=float(rng.choice([0.0, 8.0])),
        conductance_kw_per_k=float(rng.choice([0.0, 1.5])),
        ambient_c=28.0,
        heat_kw=heat,
    )
    size = float(rng.uniform(80, 300))
    battery = Battery(
        "battery",
        charge_kw=size / 3,
        discharge_kw=size / 2,
        capacity_kwh=size,
        reserve_kwh=0.1 * size,
        charge_efficiency=0.95,
        discharge_efficiency=0.93,
        wear_gbp_per_kwh=float(rng.uniform(0, 0.02)),
    )
    energy = float((kw * duration / 3600).sum())
    mean = energy / (slots * HOURS) + np.mean(heat) / chiller.cop
    cap = base + running_kw + max(float(rng.uniform(1.2, 2.0)) * mean, 1.1 * float(kw.max()))
    problem = build(
        price.tolist(),
        room=float(rng.integers(14, 40)),
        carbon=np.clip(200 + 1.2 * (price - 90) + rng.normal(0, 15, slots), 30, None),
        earliest=earliest,
        duration=duration.astype(float),
        kw=kw,
        demand=nodes,
        delay_weight=np.ones(jobs),
        running=Running.in_pools(
            np.array([0]),
            np.array([[2.0]]),
            np.array([NOW + int(rng.integers(1, slots)) * SLOT]),
            np.array([running_kw]),
            1,
        ),
        base_kw=base,
    )
    # Deadlines that can be met: some slots after the start that each job would have without us.
    asap = plan(problem, SETTINGS).asap
    latest = np.minimum(asap + slack, NOW + slots * SLOT - duration)
    problem = replace(problem, latest=latest, site_kw=np.full(slots, cap))
    readings = {
        "battery": Reading(NOW - 5, float(rng.uniform(0.1, 0.9)) * size, 0.0),
        "chiller": Reading(NOW - 5, float(rng.uniform(15, 21)), 10.0),
    }
    return Case(problem, battery, chiller, readings, float(rng.choice([0.0, 50.0])))


def exact(case: Case, seconds: float = 120.0) -> float | None:  # noqa: PLR0915 - one model, one place
    """GBP of the best schedule of jobs and assets together; None where there is none, or none proven."""
    problem, battery, chiller = case.problem, case.battery, case.chiller
    grid, slots = problem.grid, problem.grid.count
    score = score_of(problem.price, problem.carbon, SETTINGS) / 1000.0
    library: Any = highspy
    h = library.Highs()
    h.silent()
    h.setOptionValue("mip_rel_gap", 1e-6)
    h.setOptionValue("threads", 1)
    h.setOptionValue("time_limit", seconds)
    used: list[list[Any]] = [[] for _ in range(slots)]
    most: list[list[Any]] = [[] for _ in range(slots)]
    mean: list[list[Any]] = [[] for _ in range(slots)]
    cost: list[Any] = []
    blocks = blocks_of(problem)
    for job in range(problem.jobs):
        choices = []
        for slot in range(slots):
            start = grid.slot_start(slot)
            end = start + float(problem.duration[job])
            if not problem.earliest[job] <= start <= problem.latest[job] or end > grid.end:
                continue
            gbp = run_costs(
                grid, score * 1000, problem.kw[[job]], np.array([start]), problem.duration[[job]]
            )
            wait = (start - problem.earliest[job]) / 86400.0
            gbp = float(gbp[0]) + SETTINGS.delay_price * float(problem.delay_weight[job]) * wait
            x = h.addBinary()
            choices.append(x)
            cost.append(gbp * x)
            length = float(blocks.hold[job]) / SLOT
            for ahead in range(int(np.ceil(length))):
                used[slot + ahead].append(float(problem.demand[job, 0]) * x)
                most[slot + ahead].append(float(problem.kw[job]) * x)
                mean[slot + ahead].append(float(problem.kw[job]) * min(1.0, length - ahead) * x)
        if not choices:
            return None
        h.addConstr(sum(choices[1:], choices[0] * 1) == 1)
    busy = [float(problem.running.end[0]) > grid.slot_start(slot) for slot in range(slots)]
    held: Any = case.readings["battery"].level
    warmth: Any = case.readings["chiller"].level
    first = float(held)
    for slot in range(slots):
        charge = h.addVariable(lb=0, ub=battery.charge_kw)
        give = h.addVariable(lb=0, ub=battery.discharge_kw)
        way = h.addBinary()
        h.addConstr(charge <= battery.charge_kw * way)
        h.addConstr(give + battery.discharge_kw * way <= battery.discharge_kw)
        last = slot == slots - 1
        stored = h.addVariable(
            lb=max(battery.reserve_kwh, first if last else 0), ub=battery.capacity_kwh
        )
        gain = (
            battery.charge_efficiency * HOURS * charge - HOURS / battery.discharge_efficiency * give
        )
        h.addConstr(stored - gain - held == 0 if slot else stored - gain == held)
        held = stored
        cool = h.addVariable(lb=0, ub=chiller.max_kw)
        if chiller.min_kw:
            on = h.addBinary()
            h.addConstr(cool >= chiller.min_kw * on)
            h.addConstr(cool <= chiller.max_kw * on)
        a, b, c = (float(part[slot]) for part in chiller.step(np.full(slots, HOURS)))
        top = min(chiller.high_c, case.readings["chiller"].level) if last else chiller.high_c
        after = h.addVariable(lb=chiller.low_c, ub=top)
        if slot:
            h.addConstr(after + b * cool - a * warmth == c)
        else:
            h.addConstr(after + b * cool == c + a * warmth)
        warmth = after
        net = charge - give + cool
        own = problem.base_kw + (float(problem.running.kw[0]) if busy[slot] else 0.0)
        h.addConstr(sum(most[slot], net) <= float(problem.site_kw[slot]) - own)
        h.addConstr(sum(mean[slot], net) >= -case.export_kw - own)
        room = float(problem.capacity[0, 0]) - (2.0 if busy[slot] else 0.0)
        if used[slot]:
            h.addConstr(sum(used[slot][1:], used[slot][0] * 1) <= room)
        cost.append(HOURS * float(score[slot]) * net)
        cost.append(battery.wear_gbp_per_kwh * HOURS * (charge + give))
    h.minimize(sum(cost[1:], cost[0] * 1))
    if h.getModelStatus() != library.HighsModelStatus.kOptimal:
        return None
    return float(h.getInfo().objective_function_value)


def limits_kept(case: Case, kw: NDArray[np.float64]) -> list[str]:
    """What goes outside the limits when the assets follow `kw` (2, S): by small steps, not by slots."""
    wrong = []
    stored, warm = case.readings["battery"].level, case.readings["chiller"].level
    battery, chiller, near = case.battery, case.chiller, 1e-3
    heat, steps = chiller.heat(kw.shape[1]), 20
    for slot in range(kw.shape[1]):
        power, cool = float(kw[0, slot]), float(kw[1, slot])
        a, b, c = (float(part[slot]) for part in chiller.step(np.full(kw.shape[1], HOURS / steps)))
        assert heat[slot] >= 0
        for _ in range(steps):
            out = power * 0.95 if power > 0 else power / 0.93
            stored += out * HOURS / steps
            warm = a * warm - b * cool + c
            if not battery.reserve_kwh - near <= stored <= battery.capacity_kwh + near:
                wrong.append(f"slot {slot}: {stored} kWh")
            if not chiller.low_c - near <= warm <= chiller.high_c + near:
                wrong.append(f"slot {slot}: {warm} C")
    return wrong
