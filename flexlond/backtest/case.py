"""The nouns of a backtest: a trace of jobs, the cluster they ran on, signals with their vintages, one run.

Law: pure data; arrays in one order (the trace's, by submission). Epoch seconds (UTC), seconds, kW, GBP/MWh,
gCO2/kWh. A value that is not known is NaN, never zero. What a decision at time t may see of the signals is
decided by `Signals.known_at` alone; what a run cost, by `Signals.actual`.
Shapes: J jobs, P pools (partitions), R resources, G groups of pools that share nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.pools import Room


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What jobs say of their work and of their start, as the directive's keys do; shapes (J,)."""

    work: NDArray[np.float64]  # of the whole job, in `unit`; NaN where none
    unit: NDArray[np.str_]  # "" where none
    latency: NDArray[np.float64]  # s from submission to the latest start; NaN where none

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Said:
        """The jobs of those positions in that order, or where a mask is true."""
        return Said(self.work[which], self.unit[which], self.latency[which])


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Jobs as they were submitted and as they ran; shapes (J,), demand (J, R)."""

    name: str
    job_id: NDArray[np.int64]
    submit: NDArray[np.int64]
    runtime: NDArray[
        np.float64
    ]  # s it needs; above `limit` it is ended at its limit, as Slurm does
    limit: NDArray[np.float64]  # s asked for (Slurm's time limit)
    demand: NDArray[np.float64]  # (J, R), resources as in room.resources
    pool: NDArray[np.int64]  # (J,) index into room.partitions
    nodes: NDArray[np.float64]  # node equivalents, for node-hours and power; may be fractional
    user: NDArray[np.str_]
    account: NDArray[np.str_]
    label: NDArray[np.str_]  # job name, or the trace's executable/application number
    energy_kwh: NDArray[np.float64]  # measured, NaN where the trace has none
    room: Room
    problems: tuple[str, ...] = ()  # what was left out, with line numbers and what to do
    said: Said | None = None  # None: no job says anything

    @property
    def jobs(self) -> int:
        """J."""
        return len(self.submit)


@dataclass(frozen=True, slots=True, eq=False)
class Flexibility:
    """Which jobs may wait, and until when; shapes (J,)."""

    flexible: NDArray[np.bool_]
    latest: NDArray[np.int64]  # latest start: submit + slack; submit where not flexible
    slack: NDArray[np.float64]  # s; 0 where not flexible


class Signals(Protocol):
    """Price and carbon, as published and as they turned out."""

    name: str
    foresight: bool  # True: `known_at` shows the future as it will be; reports must say so

    def known_at(self, now: int, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(price, carbon), each (S,) on `grid`: what had been published by `now`; NaN where nothing."""
        ...

    def actual(self, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(price, carbon), each (S,) on `grid`: as settled and measured; NaN where unknown."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PowerCoefficients:
    """Site power of the replayed cluster, PUE included."""

    kw_per_node: float = 0.3  # added by a busy node-equivalent above idle
    idle_kw_per_node: float = 0.15  # drawn by a node that is on, busy or not


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One policy's outcome on one case; shapes (J,) in the trace's order."""

    policy: str
    seed: int
    start: NDArray[np.int64]  # 0: never started
    end: NDArray[np.int64]
    begin: NDArray[np.int64]  # the last begin time it was given; its submission where none was
    plan_seconds: NDArray[np.float64] = field()  # (plans,) s each planning took
    parameter: str = ""  # "delay_price=0.03", "alpha=4": a point of a policy's frontier
    notes: tuple[str, ...] = ()
