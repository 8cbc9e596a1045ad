"""Small traces, scripted policies and made signals for the tests of the replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.backtest.case import Flexibility, Trace
from flexlond.planning.pools import Room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.policy import State
    from flexlond.model.timegrid import TimeGrid

SLOT = 1800
T0 = 1_700_000_000 // SLOT * SLOT  # a slot's start


def one_pool(*capacity: float) -> Room:
    room = np.array([capacity], float)
    return Room(room, np.zeros(1, np.int64), room, ("main",), ("nodes", "gpus")[: len(capacity)])


def trace_of(jobs: Sequence[Sequence[Any]], room: Room | float = 4.0, **given: Any) -> Trace:
    """Jobs as (seconds after T0, runtime, need, limit); the limit may be left out. Need: one or (R,)."""
    count = len(jobs)
    room = room if isinstance(room, Room) else one_pool(room)
    demand = np.array([np.atleast_1d(job[2]) for job in jobs], float)
    demand = demand.reshape(count, len(room.capacity[0]))
    runtime = np.array([job[1] for job in jobs], float)
    blank = np.full(count, "")
    return Trace(
        name="made",
        job_id=np.arange(count) + 100,
        submit=T0 + np.array([job[0] for job in jobs], np.int64),
        runtime=runtime,
        limit=np.array([job[3] if len(job) > 3 else job[1] for job in jobs], float),
        demand=demand,
        pool=np.array(given.pop("pool", [0] * count), np.int64),
        nodes=np.array(given.pop("nodes", demand[:, 0]), float),
        user=blank,
        account=blank,
        label=blank,
        energy_kwh=np.full(count, np.nan),
        room=room,
        **given,
    )


def flexible(trace: Trace, slack: Mapping[int, float]) -> Flexibility:
    """Job index: seconds that it may start later than it was submitted."""
    amounts = np.zeros(trace.jobs)
    for job, seconds in slack.items():
        amounts[job] = seconds
    chosen = np.isin(np.arange(trace.jobs), list(slack))
    return Flexibility(chosen, trace.submit + amounts.astype(np.int64), amounts)


def rigid(trace: Trace) -> Flexibility:
    return flexible(trace, {})


class Scripted:
    """Answers by table: begin times (s after T0) by job at arrival, by moment (s after T0) at ticks."""

    name = "scripted"

    def __init__(
        self,
        arrive: Mapping[int, int] | None = None,
        tick: Mapping[int, Mapping[int, int]] | None = None,
    ) -> None:
        self._arrive, self._tick = arrive or {}, tick or {}
        self.arrived: list[tuple[int, list[int]]] = []
        self.ticked: list[int] = []
        self.seen: list[tuple[dict[int, int], list[int], dict[int, int]]] = []

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        self.arrived.append((now - T0, list(jobs)))
        self.seen.append((dict(state.held), state.queued, dict(state.running)))
        return {job: T0 + self._arrive[job] for job in jobs if job in self._arrive}

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        self.ticked.append(now - T0)
        return {job: T0 + at for job, at in self._tick.get(now - T0, {}).items()}


class Made:
    """Signals by slot from T0; unknown elsewhere. `published` gives how many slots are known at a moment."""

    name = "made"

    def __init__(
        self, carbon: Sequence[float], price: Sequence[float] = (), published: int = 1 << 40
    ) -> None:
        self._carbon, self._price = np.array(carbon, float), np.array(price, float)
        self._published = published
        self.foresight = True

    def known_at(self, now: int, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        price, carbon = self.actual(grid)
        hidden = grid.starts() >= now + self._published
        return np.where(hidden, np.nan, price), np.where(hidden, np.nan, carbon)

    def actual(self, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _on(self._price, grid), _on(self._carbon, grid)


def _on(values: NDArray[np.float64], grid: TimeGrid) -> NDArray[np.float64]:
    at = (grid.starts() - T0) // grid.slot_seconds
    known = (at >= 0) & (at < len(values))
    padded = np.append(values, np.nan)
    return padded[np.where(known, at, len(values))]
