"""What a run cost and what its users felt, and runs side by side.

Law: counts what happened, never what was planned; money and CO2 by the signals as they turned out. Two sums:
what the jobs add above idle, and with the idle power of all nodes over the whole grid, which is the same for
every policy. A job whose price or carbon is unknown over its run is left out of both sums, and counted;
`compare` leaves the same jobs out of every run. Waits and slowdowns are of the jobs that started; bounded
slowdown is max(1, (wait + run) / max(run, 10 s)) (Feitelson). Classes by how long a job would run:
short under an hour, long from six hours on. What a unit of work costs is the money of the jobs with work in
that unit over their work; units are never added. A late start is a flexible job that started after its latest
start. Peak power is exact by the second, idle included; a ramp is the largest rise or fall inside any
5 minutes. GBP, kg CO2, kW, kWh, s.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.timegrid import TimeGrid
from flexlond.planning.account import account

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import Flexibility, PowerCoefficients, Run, Signals, Trace

BASELINE = "asap"
BOUND_S = 10.0
RAMP_S = 300
SHORT_S, LONG_S = 3600.0, 21600.0
NODES = "nodes"
"""The name of the room's resource that counts nodes, where a trace has it."""


@dataclass(frozen=True, slots=True)
class Felt:
    """What a group of jobs felt; NaN where none of them started."""

    jobs: int
    wait_mean_s: float
    wait_median_s: float
    wait_p95_s: float
    slowdown: float  # mean bounded slowdown


@dataclass(frozen=True, slots=True)
class PerUnit:
    """What a unit of work cost, over the jobs counted that say work in it."""

    unit: str
    work: float
    gbp: float  # per unit
    co2_g: float  # per unit


@dataclass(frozen=True, slots=True)
class Metrics:
    """One run's figures."""

    policy: str
    parameter: str
    seed: int
    jobs: int
    never_started: int
    unknown: int  # jobs left out of money and CO2
    energy_kwh: float  # above idle, of the jobs counted
    cost_gbp: float
    co2_kg: float
    site_cost_gbp: float  # with idle power
    site_co2_kg: float
    all: Felt
    flexible: Felt
    other: Felt
    short: Felt
    medium: Felt
    long: Felt
    late: int
    latency_late: float  # jobs that started after the latency they say; NaN where none says one
    units: tuple[PerUnit, ...]
    moved: int  # given a begin time after their submission
    peak_kw: float
    ramp_up_kw: float
    ramp_down_kw: float
    plans: int
    plan_mean_seconds: float
    plan_worst_seconds: float

    def figures(self) -> dict[str, float]:
        """All numbers by name, flat: "wait_mean_s", "wait_mean_s_flexible", "slowdown_other"; for files."""
        flat: dict[str, float] = {}
        for name, value in asdict(self).items():
            if isinstance(value, dict):
                suffix = "" if name == "all" else f"_{name}"
                flat |= {
                    f"{key}{suffix}": float(one) for key, one in value.items() if key != "jobs"
                }
                if suffix:
                    flat[f"jobs{suffix}"] = float(value["jobs"])
            elif not isinstance(value, str | list | tuple):
                flat[name] = float(value)
        for one in self.units:
            flat |= {
                f"work_{one.unit}": one.work,
                f"gbp_per_{one.unit}": one.gbp,
                f"co2_g_per_{one.unit}": one.co2_g,
            }
        flat["ramp_kw"] = max(self.ramp_up_kw, self.ramp_down_kw)
        flat["plan_seconds"] = self.plan_worst_seconds
        return flat


@dataclass(frozen=True, slots=True)
class Row:
    """One run beside the baseline; changes in parts of 1, negative is less; NaN where the baseline is 0."""

    metrics: Metrics
    cost_change: float
    co2_change: float
    site_cost_change: float
    site_co2_change: float
    wait_change_s: float  # of the mean wait


@dataclass(frozen=True, slots=True)
class Case:
    """What a run's figures are taken against.

    `grid` covers every run to its last end (`study_grid`); `nodes` is how many draw idle power.
    """

    trace: Trace
    flexibility: Flexibility
    signals: Signals
    power: PowerCoefficients
    grid: TimeGrid
    nodes: float


def study_grid(trace: Trace, runs: Sequence[Run], slot_seconds: int = 1800) -> TimeGrid:
    """The slots from the first submission to the last end of any of `runs`."""
    first = int(trace.submit.min())
    last = max(int(run.end.max(initial=first)) for run in runs)
    start = first - first % slot_seconds
    return TimeGrid(start, slot_seconds, max(1, -(-(last - start) // slot_seconds)))


def node_count(trace: Trace) -> float:
    """Node equivalents of the cluster: its nodes, or its first resource at the jobs' nodes per unit of it."""
    total = trace.room.group_capacity.sum(axis=0)
    if NODES in trace.room.resources:
        return float(total[trace.room.resources.index(NODES)])
    asked = trace.demand[:, 0] > 0
    if not asked.any():
        raise ValueError(f"{trace.name}: no job tells how many nodes a unit is; give the nodes")
    return float(total[0] * np.median(trace.nodes[asked] / trace.demand[asked, 0]))


def measure(case: Case, run: Run, counted: NDArray[np.bool_] | None = None) -> Metrics:
    """The figures of one run; money and CO2 over the jobs `counted` (J,), all that are known when None."""
    trace, power = case.trace, case.power
    cost, co2, energy = _bills(case, run)
    counted = _known(run, cost, co2) if counted is None else counted
    started = run.start > 0
    idle_kw = power.idle_kw_per_node * case.nodes
    idle_cost, idle_co2 = _idle(case, idle_kw)
    wait = (run.start - trace.submit).astype(np.float64)
    length = (run.end - run.start).astype(np.float64)
    slowdown = np.maximum(1.0, (wait + length) / np.maximum(length, BOUND_S))
    needs = np.minimum(trace.runtime, trace.limit)
    flexible = case.flexibility.flexible

    def felt(members: NDArray[np.bool_]) -> Felt:
        return _felt(wait, slowdown, started & members)

    times, level = _levels(run, power.kw_per_node * trace.nodes)
    up, down = ramps(times, level)
    sums = [float(values[counted].sum()) for values in (energy, cost, co2)]
    plans = len(run.plan_seconds)
    return Metrics(
        policy=run.policy,
        parameter=run.parameter,
        seed=run.seed,
        jobs=trace.jobs,
        never_started=int((~started).sum()),
        unknown=int((started & ~counted).sum()),
        energy_kwh=sums[0],
        cost_gbp=sums[1],
        co2_kg=sums[2],
        site_cost_gbp=sums[1] + idle_cost,
        site_co2_kg=sums[2] + idle_co2,
        all=felt(started),
        flexible=felt(flexible),
        other=felt(~flexible),
        short=felt(needs < SHORT_S),
        medium=felt((needs >= SHORT_S) & (needs < LONG_S)),
        long=felt(needs >= LONG_S),
        late=int((started & flexible & (run.start > case.flexibility.latest)).sum()),
        latency_late=_latency_late(trace, run),
        units=_per_unit(trace, cost, co2, counted),
        moved=int((run.begin > trace.submit).sum()),
        peak_kw=idle_kw + float(level.max(initial=0.0)),
        ramp_up_kw=up,
        ramp_down_kw=down,
        plans=plans,
        plan_mean_seconds=float(run.plan_seconds.mean()) if plans else 0.0,
        plan_worst_seconds=float(run.plan_seconds.max(initial=0.0)),
    )


def compare(case: Case, runs: Sequence[Run]) -> list[Row]:
    """Each run beside the run "asap", over the jobs whose money and CO2 are known in all of them.

    Raises ValueError when there is no run "asap" among them.
    """
    counted = np.ones(case.trace.jobs, np.bool_)
    for run in runs:
        cost, co2, _ = _bills(case, run)
        counted &= _known(run, cost, co2)
    figures = [measure(case, run, counted) for run in runs]
    base = next((one for one in figures if one.policy == BASELINE), None)
    if base is None:
        raise ValueError(
            f"nothing to compare with: no run of the policy {BASELINE!r} among the runs"
        )
    return [
        Row(
            one,
            _change(one.cost_gbp, base.cost_gbp),
            _change(one.co2_kg, base.co2_kg),
            _change(one.site_cost_gbp, base.site_cost_gbp),
            _change(one.site_co2_kg, base.site_co2_kg),
            one.all.wait_mean_s - base.all.wait_mean_s,
        )
        for one in figures
    ]


def ramps(times: NDArray[np.int64], level: NDArray[np.float64]) -> tuple[float, float]:
    """(up, down) kW: the largest rise and fall of power inside any 5 minutes.

    `level[i]` (N,) holds from `times[i]` (ascending) to the next; before the first it is what it is then.
    """
    return _rise(times, level), _rise(times, -level)


def _rise(times: NDArray[np.int64], level: NDArray[np.float64]) -> float:
    """The largest level less the lowest one of the 5 minutes before it."""
    at, values = times.tolist(), level.tolist()
    lowest: deque[int] = deque()  # indices with rising levels: the first is the window's lowest
    most = 0.0
    for index, value in enumerate(values):
        # A level holds until the next change, so it leaves the window only when that has.
        while lowest and at[lowest[0] + 1] <= at[index] - RAMP_S:
            lowest.popleft()
        if lowest:
            most = max(most, value - values[lowest[0]])
        while lowest and values[lowest[-1]] >= value:
            lowest.pop()
        lowest.append(index)
    return most


def _levels(run: Run, kw: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(moments, kW above idle from each on), one moment for each second at which something changes."""
    ran = run.end > run.start
    moments = np.concatenate([run.start[ran], run.end[ran]])
    steps = np.concatenate([kw[ran], -kw[ran]])
    times, where = np.unique(moments, return_inverse=True)
    change = np.bincount(where, weights=steps, minlength=len(times))
    level: NDArray[np.float64] = np.cumsum(change, dtype=np.float64)
    return times, level


def _bills(
    case: Case, run: Run
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(J,) GBP, kg and kWh of each job above idle; NaN where a signal is unknown."""
    price, carbon = case.signals.actual(case.grid)
    kw = case.power.kw_per_node * case.trace.nodes
    done = account(run.start, run.end, kw, case.grid, price=price, carbon=carbon)
    return done.cost_gbp, done.co2_kg, done.energy_kwh


def _latency_late(trace: Trace, run: Run) -> float:
    if trace.said is None or not np.isfinite(trace.said.latency).any():
        return np.nan
    over = run.start - trace.submit > trace.said.latency  # NaN: never
    return float(((run.start > 0) & over).sum())


def _per_unit(
    trace: Trace,
    cost: NDArray[np.float64],
    co2: NDArray[np.float64],
    counted: NDArray[np.bool_],
) -> tuple[PerUnit, ...]:
    """By unit, in alphabetical order."""
    if trace.said is None:
        return ()
    work, unit = trace.said.work, trace.said.unit
    found = []
    for name in np.unique(unit[unit != ""]).tolist():
        mine = counted & (unit == name)
        total = float(work[mine].sum())
        if total > 0:
            gbp, kg = float(cost[mine].sum()), float(co2[mine].sum())
            found.append(PerUnit(name, total, gbp / total, 1000.0 * kg / total))
    return tuple(found)


def _known(run: Run, cost: NDArray[np.float64], co2: NDArray[np.float64]) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = (run.start > 0) & np.isfinite(cost) & np.isfinite(co2)
    return known


def _idle(case: Case, idle_kw: float) -> tuple[float, float]:
    """GBP and kg of idle power over the grid, slots with an unknown signal left out."""
    mwh = idle_kw * case.grid.slot_seconds / 3.6e6
    price, carbon = case.signals.actual(case.grid)
    return float(np.nansum(price)) * mwh, float(np.nansum(carbon)) * mwh


def _felt(
    wait: NDArray[np.float64], slowdown: NDArray[np.float64], members: NDArray[np.bool_]
) -> Felt:
    if not members.any():
        return Felt(0, np.nan, np.nan, np.nan, np.nan)
    waits = wait[members]
    middle, high = np.percentile(waits, [50, 95]).tolist()
    return Felt(len(waits), float(waits.mean()), middle, high, float(slowdown[members].mean()))


def _change(value: float, base: float) -> float:
    return (value - base) / base if base else np.nan
