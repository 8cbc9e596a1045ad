"""What the planner is asked and what it answers: arrays in, plans out.

Law: pure data. Times are epoch seconds (UTC, int64), durations seconds, power kW at the site's meter, price
GBP/MWh, carbon gCO2/kWh, memory MiB. NaN is an unknown signal or an absent limit, never a number to plan
with. Shapes: J jobs, S slots, P pools (partitions), G groups (pools that share nodes), R resources, N running
jobs, D dependencies. A job is one Slurm record: an array's unsplit remainder is one job with `tasks` > 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid

NEVER = 1 << 60
"""A latest start that binds nothing (jobs that are not movable, or have none)."""


class PlanningError(ValueError):
    """The arrays of a problem do not belong together; the text names the field and both shapes."""


class Reason(IntEnum):
    """Why a job's planned start is what it is (the binding reason, for `explain`)."""

    NOT_MOVABLE = 0  # no consent, held by others, UNLIMITED: left alone, placed as Slurm would
    PRICE = 1  # deferred to a cheaper or cleaner slot
    CHEAPEST_NOW = 2  # its first possible slot is the best one
    CAPACITY = 3  # a better slot is full, or it waits for room in any case
    LATEST_START = 4  # must start now: no slot before the latest start leaves room to wait
    BELOW_BENEFIT = 5  # a move would save less than `min_benefit`
    MAX_PRICE = 6  # waits for a slot below its own max-price
    MAX_CARBON = 7  # waits for a slot below its own max-carbon
    NO_SIGNAL = 8  # price or carbon unknown where they are needed: not deferred
    RAMP = 9  # placed elsewhere than its best slot because of the ramp cap
    KEPT = 10  # keeps the begin time it has: a change would save too little
    POWER_CAP = 11  # its better slots have no room under the site's power cap
    CARBON_CAP = 12  # placed elsewhere than its cheapest slot to keep the carbon cap

    @property
    def word(self) -> str:
        """The reason as users read it: "below-benefit"."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """What is taken already: running jobs, reservations to come; shapes (N,), (N, P), (N, R).

    A block takes its room in [begin, end); `begin` at or before now for what runs. kW is the marginal power
    (above what the nodes draw anyway), 0 for a reservation.
    """

    share: NDArray[np.float64]  # (N, P): part of the job's nodes that belongs to each pool, 0..1
    demand: NDArray[np.float64]  # (N, R): the whole allocation
    end: NDArray[np.int64]  # (N,): start + time limit (or a predicted end)
    kw: NDArray[np.float64]  # (N,)
    begin: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(N,) or empty: everything runs now."""
    left: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    """(N, Q) s that may be left at evenly spaced quantiles from 0 to 1, or empty: for how certain a plan is."""

    @classmethod
    def none(cls, pools: int, resources: int) -> Running:
        """An idle cluster."""
        return cls(
            np.zeros((0, pools)), np.zeros((0, resources)), np.zeros(0, np.int64), np.zeros(0)
        )

    @classmethod
    def in_pools(
        cls,
        pool: NDArray[np.int64],
        demand: NDArray[np.float64],
        end: NDArray[np.int64],
        kw: NDArray[np.float64],
        pools: int,
    ) -> Running:
        """Running jobs each wholly in one pool: `pool` (N,) is its index, -1 for none we know."""
        share = (pool[:, None] == np.arange(pools)[None, :]).astype(np.float64)
        return cls(share, demand, end, kw)


@dataclass(frozen=True, slots=True, eq=False)
class CarbonCap:
    """The most that some jobs may emit in some slots (a day of the site or of an account)."""

    name: str  # "carbon cap of 2026-11-28 (site)"
    jobs: NDArray[np.bool_]  # (J,) who counts
    first: int  # slots [first, end)
    end: int
    total_kg: float  # of the whole day
    spent_kg: float = 0.0  # emitted already, or by runs under way
    expected_kg: float = 0.0  # kept for jobs that will be submitted yet

    @property
    def kg(self) -> float:
        """What is left for the jobs."""
        return max(0.0, self.total_kg - self.spent_kg - self.expected_kg)


@dataclass(frozen=True, slots=True)
class CapKept:
    """What became of a carbon cap."""

    name: str
    total_kg: float
    spent_kg: float
    expected_kg: float  # kept for jobs that will be submitted yet
    planned_kg: float  # by the planned runs, besides what is spent
    price_gbp_kg: float  # its shadow price; 0 where it does not bind
    search: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the search for the price stands (GBP per kg): what to try next, too low, enough."""

    @property
    def is_within(self) -> bool:
        """Whether the plan asks for no more than is left: of what is spent nothing comes back."""
        room = max(0.0, self.total_kg - self.spent_kg - self.expected_kg)
        return self.planned_kg <= room * (1 + 1e-6) + 1e-6

    @property
    def kept(self) -> bool:
        """Whether the cap is kept by the plan and by what is spent."""
        return self.is_within and self.spent_kg <= self.total_kg * (1 + 1e-6) + 1e-6

    @property
    def above_kg(self) -> float:
        """By how much what is spent, kept for others and planned is above the cap; 0 where it is not."""
        return max(0.0, self.spent_kg + self.expected_kg + self.planned_kg - self.total_kg)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """One planning question: the pending jobs, the signals and the room there is.

    `pool_group` maps each pool to a group of pools that share nodes; a job needs room in its pool and in
    its pool's group, so shared nodes are not counted twice. (pools.py makes the four from the cluster.)
    """

    grid: TimeGrid
    now: int
    price: NDArray[np.float64]  # (S,) GBP/MWh, NaN unknown
    carbon: NDArray[np.float64]  # (S,) g/kWh, NaN unknown
    job_id: NDArray[np.int64]  # (J,)
    earliest: NDArray[np.int64]  # (J,) max of now, own --begin, a foreign predecessor's end
    latest: NDArray[np.int64]  # (J,) latest safe start, margins included; NEVER where nothing binds
    duration: NDArray[np.float64]  # (J,) s of one task as expected (P50; the time limit unlearned)
    tasks: NDArray[np.int64]  # (J,) tasks of an array remainder; 1 else
    throttle: NDArray[np.int64]  # (J,) tasks at once (%N); 0 none
    kw: NDArray[np.float64]  # (J,) one task
    demand: NDArray[np.float64]  # (J, R) one task
    pool: NDArray[np.int64]  # (J,) index of the pool
    movable: NDArray[np.bool_]  # (J,) consent, and nothing else forbids a deferral
    order: NDArray[np.int64]  # (J,) Slurm's priority order, lower first
    max_price: NDArray[np.float64]  # (J,) NaN none
    max_carbon: NDArray[np.float64]  # (J,) NaN none
    delay_weight: NDArray[np.float64]  # (J,) kWh that settings.delay_price is paid for (delay.py)
    current: NDArray[np.int64]  # (J,) begin time in force that is ours; 0 none
    capacity: NDArray[np.float64]  # (P, R)
    pool_group: NDArray[np.int64]  # (P,) index of the group
    group_capacity: NDArray[np.float64]  # (G, R) over the distinct nodes of the group's pools
    running: Running
    depends: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    """(D, 2): (successor, predecessor) as indices of this problem's jobs."""
    occupancy: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(J,) s for which one task's room is kept (a higher quantile, P90); empty: its duration."""
    limit: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(J,) s of its time limit, by which latest starts run backwards; empty: its occupancy."""
    promised: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(J,) the latest start itself, without margins, NEVER where there is none; empty: nobody makes way."""
    may_wait: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(J,) latest starts before caution brought them forward (in_the_way.py, overrun.py); empty: it did not."""
    site_kw: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(S,): cap of base, running and planned power together, inf where none; empty: no cap. It binds flexible
    jobs alone, as far as their latest starts allow: they share what all others leave."""
    base_kw: float = 0.0  # what the site draws whatever we do (idle nodes); counts under `site_kw`
    co2_cap_kg: float = float("inf")  # of the planned jobs' runs together
    runtimes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    """(J, Q) s of one task at evenly spaced quantiles from 0 to 1, or empty. No plan is made from it: it says
    how certain one is."""
    carbon_caps: tuple[CarbonCap, ...] = ()  # of days; kept by carbon_caps.py
    carbon_extra: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    """(G, S) GBP per kg on top of the carbon price, by group of jobs and slot; empty: none."""
    extra_group: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(J,) each job's group in carbon_extra; empty: none."""
    recent: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    """(M, 2): (epoch, kW) of starts we commanded in the last 5 minutes; they count against the ramp cap."""

    def __post_init__(self) -> None:
        """Check that the shapes belong together."""
        jobs, pools, resources = self.jobs, *self.capacity.shape
        groups = self.group_capacity.shape[0]
        per_job = (
            *("earliest", "latest", "duration", "tasks", "throttle", "kw", "pool", "movable"),
            *("order", "max_price", "max_carbon", "delay_weight", "current"),
        )
        running = len(self.running.end)
        optional = ("occupancy", "limit", "promised", "may_wait")
        expected: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
            *((name, getattr(self, name).shape, (jobs,)) for name in per_job),
            ("price", self.price.shape, (self.grid.count,)),
            ("carbon", self.carbon.shape, (self.grid.count,)),
            ("demand", self.demand.shape, (jobs, resources)),
            ("pool_group", self.pool_group.shape, (pools,)),
            ("group_capacity", self.group_capacity.shape, (groups, resources)),
            ("running.share", self.running.share.shape, (running, pools)),
            ("running.demand", self.running.demand.shape, (running, resources)),
            ("running.kw", self.running.kw.shape, (running,)),
            *(
                (name, getattr(self, name).shape, (jobs,))
                for name in optional
                if len(getattr(self, name))
            ),
            ("depends", self.depends.shape, (len(self.depends), 2)),
            ("carbon_extra", self.carbon_extra.shape[1:], (self.grid.count,))
            if len(self.carbon_extra)
            else ("carbon_extra", (), ()),
            (
                "extra_group",
                self.extra_group.shape,
                (jobs if len(self.carbon_extra) else len(self.extra_group),),
            ),
            ("recent", self.recent.shape, (len(self.recent), 2)),
            ("runtimes", self.runtimes.shape[:1], (jobs if len(self.runtimes) else 0,)),
            (
                "running.left",
                self.running.left.shape[:1],
                (running if len(self.running.left) else 0,),
            ),
            ("site_kw", self.site_kw.shape, (self.grid.count if len(self.site_kw) else 0,)),
            (
                "running.begin",
                self.running.begin.shape,
                (running if len(self.running.begin) else 0,),
            ),
        ]
        for name, shape, wanted in expected:
            if shape != wanted:
                raise PlanningError(f"problem.{name} has shape {shape}, expected {wanted}")
        bounded = [
            ("pool", self.pool, pools),
            ("pool_group", self.pool_group, groups),
            ("depends", self.depends, jobs),
        ]
        for name, index, limit in bounded:
            if index.size and (index.min() < 0 or index.max() >= limit):
                raise PlanningError(f"problem.{name} has an index outside 0..{limit - 1}")

    @property
    def jobs(self) -> int:
        """J."""
        return len(self.job_id)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A start for each job of the problem, in the problem's order.

    `moved` marks the jobs to be held: movable, and planned later than the first moment they could start
    in this plan. Every other job is left to Slurm; its `start` is where it is expected to begin.
    Cost is energy only (no price of delay); NaN where a signal is unknown over the run.
    """

    start: NDArray[np.int64]  # (J,) planned begin time, spread inside its slot where we command it
    slot: NDArray[np.int64]  # (J,) slot of the start; grid.count: beyond the horizon
    moved: NDArray[np.bool_]  # (J,)
    asap: NDArray[np.int64]  # (J,) start if nothing were deferred, in the same capacity model
    span: NDArray[np.float64]  # (J,) s from start to end of the last task, as modelled
    reason: NDArray[np.int8]  # (J,) Reason
    cost_gbp: NDArray[np.float64]  # (J,) at start; price and carbon price together are the score,
    cost_asap_gbp: NDArray[np.float64]  # (J,) but the cost here is electricity alone
    co2_kg: NDArray[np.float64]  # (J,)
    co2_asap_kg: NDArray[np.float64]  # (J,)
    kw: NDArray[np.float64]  # (S,) mean power of each slot, running jobs included
    kw_asap: NDArray[np.float64]  # (S,)
    totals: Totals
    problems: tuple[str, ...]  # what could not be satisfied, in words
    proof: Proof
    grid: TimeGrid
    job_id: NDArray[np.int64]  # (J,)
    uncapped: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(J,) the site's power cap gives way to it: no consent, or its latest start; empty: no cap."""
    carbon_caps: tuple[CapKept, ...] = ()  # in the problem's order
    carbon_extra: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    extra_group: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """As in the problem: the prices of carbon at which the caps are kept."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the search for a plan: how long it took, and the objective after it."""

    name: str  # "bound", "passes", "search", "milp"
    seconds: float
    objective_gbp: float  # NaN where the stage makes no plan
    steps: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """How good the plan is, for certain: over the movable jobs, in GBP.

    The objective is energy, carbon price and delay together, and `min_benefit` of a job's cost for each job
    that is moved. No plan that keeps the constraints has one below `bound_gbp`.
    """

    objective_gbp: float
    bound_gbp: float
    stages: tuple[Stage, ...]
    room_price: NDArray[
        np.float64
    ]  # (C, S) GBP per amount and slot, in the order of capacity.columns_of
    carbon_price: float  # GBP per kg: the shadow price of the carbon cap, 0 where it does not bind
    jobs: int  # movable jobs that were optimised

    @property
    def gap(self) -> float:
        """The share by which the plan can at most be above the best one; 0 where nothing was to choose."""
        if self.objective_gbp - self.bound_gbp <= 1e-9:
            return 0.0
        return (self.objective_gbp - self.bound_gbp) / max(abs(self.bound_gbp), 1e-9)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the jobs whose costs are known at both starts."""

    jobs: int
    movable: int
    moved: int
    cost_gbp: float
    cost_asap_gbp: float
    co2_kg: float
    co2_asap_kg: float
    peak_kw: float
    peak_asap_kw: float
    mean_delay_s: float  # of the moved jobs against asap; negative when they overtake
