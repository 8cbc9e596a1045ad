"""COAST's rule: carbon, delay and congestion, each job for itself against what others have taken.

Law: re-derived from the paper and its published description, not its code. Source: W. Feng et al., "COAST:
Congestion-Aware Start-Time Recommendations for Carbon-Aware HPC Jobs", arXiv 2609.05443. Over whole slots,
job i of length l and size r started in slot t costs

    J_i(t) = alpha x carbon / carbon_ref + beta x delay / 1 h + gamma x congestion / congestion_ref

carbon: its energy spread evenly over l slots, times their intensity (g). delay: from its submission to the
start of slot t. congestion: the sum over its slots of (L + r)^2 - L^2 with L the load committed by others.
carbon_ref and congestion_ref are medians over the jobs, of energy x mean carbon and of r^2 x l, as its
calibration does. With the square this is an exact potential game: jobs of one moment answer in turn until none
moves. Its objective contains no price and no capacity, its load only what it has placed itself; it starts jobs
at slot starts only, and not again. Jobs submitted in the same second are one batch (the paper: five minutes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flexlond.backtest.policy import ARRIVE, requested
from flexlond.model.timegrid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import PowerCoefficients, Signals
    from flexlond.backtest.policy import Duration, State

SWEEPS = 50
"""Rounds of answers in one batch at most."""
_STRICT = 1e-12  # a move must make the cost less by more than rounding


@dataclass(frozen=True, slots=True)
class Weights:
    """The paper's weights, and the scales that make the three terms comparable."""

    alpha: float = 4.0
    beta: float = 1.0
    gamma: float = 0.0005
    carbon_ref: float = 1.0  # gCO2
    congestion_ref: float = 1.0  # size^2 x slots


@dataclass(frozen=True, slots=True)
class Player:
    """One job of a batch; slots count from the batch's first slot."""

    first: int  # the first and the last slot in which it may start
    last: int
    length: int  # slots
    size: float  # node equivalents
    energy: float  # kWh
    delay_h: float  # from its submission to the start of slot 0


def costs(
    player: Player,
    carbon: NDArray[np.float64],
    load: NDArray[np.float64],
    weights: Weights,
    slot_hours: float,
) -> NDArray[np.float64]:
    """(n,) J of each start from `player.first` to `player.last`; inf where carbon is unknown.

    `carbon` (S,) g/kWh, `load` (S,) what others have taken.
    """
    starts = np.arange(player.first, player.last + 1)
    if not len(starts):
        return np.zeros(0)
    window = slice(player.first, player.last + player.length)
    view = np.lib.stride_tricks.sliding_window_view
    intensity = view(carbon[window], player.length).sum(axis=1)
    taken = view(load[window], player.length).sum(axis=1)
    congestion = 2.0 * player.size * taken + player.size**2 * player.length
    cost = (
        weights.alpha * player.energy / player.length * intensity / weights.carbon_ref
        + weights.beta * (player.delay_h + starts * slot_hours)
        + weights.gamma * congestion / weights.congestion_ref
    )
    result: NDArray[np.float64] = np.where(np.isnan(cost), np.inf, cost)
    return result


def solve(
    players: Sequence[Player],
    carbon: NDArray[np.float64],
    load: NDArray[np.float64],
    weights: Weights,
    slot_hours: float,
    *,
    sweeps: int = SWEEPS,
) -> list[int]:
    """The start slot of each player, -1 for one that has none.

    They choose in order against `load` (S,) and each other; then each in turn moves where that makes its
    own cost strictly less, until none does.
    """
    load = load.copy()
    chosen = []
    for player in players:
        cost = costs(player, carbon, load, weights, slot_hours)
        best = int(np.argmin(cost)) if len(cost) else 0
        slot = player.first + best if len(cost) and np.isfinite(cost[best]) else -1
        chosen.append(slot)
        if slot >= 0:
            load[slot : slot + player.length] += player.size
    for _ in range(sweeps if len(players) > 1 else 0):
        moved = False
        for at, player in enumerate(players):
            slot = chosen[at]
            if slot < 0:
                continue
            load[slot : slot + player.length] -= player.size
            cost = costs(player, carbon, load, weights, slot_hours)
            best = int(np.argmin(cost))
            if cost[best] < cost[slot - player.first] - _STRICT:
                chosen[at] = slot = player.first + best
                moved = True
            load[slot : slot + player.length] += player.size
        if not moved:
            break
    return chosen


@dataclass(slots=True)
class Coast:
    """COAST as a policy; `alpha` is the weight of carbon, and draws its frontier.

    `mean_carbon` (g/kWh) sets the scale of carbon; without it, the mean of the first forecast that it
    reads. The medians are taken over the trace's flexible jobs, at the durations it believes in.
    """

    signals: Signals
    power: PowerCoefficients
    alpha: float = 4.0
    duration: Duration = requested
    horizon_slots: int = 96
    mean_carbon: float | None = None
    name: str = "coast"
    calls: ClassVar[tuple[str, ...]] = (ARRIVE,)
    _weights: Weights | None = field(default=None, init=False, repr=False)
    _base: int = field(default=0, init=False, repr=False)  # slot since the epoch of _load[0]
    _load: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False, repr=False)

    @property
    def parameter(self) -> str:
        """The point of its frontier, for reports."""
        return f"alpha={self.alpha:g}"

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """One batch: best responses against what it has placed before."""
        grid = TimeGrid.covering(now, state.slot_seconds, self.horizon_slots)
        _, carbon = self.signals.known_at(now, grid)
        if np.isnan(carbon).all():
            return {}
        if self._weights is None:
            mean = float(np.nanmean(carbon)) if self.mean_carbon is None else self.mean_carbon
            self._weights = self._calibrated(state, mean)
        load = self._taken(grid)
        players = [self._player(job, grid, state) for job in jobs]
        slots = solve(players, carbon, load, self._weights, grid.slot_seconds / 3600.0)
        for player, slot in zip(players, slots, strict=True):
            if slot >= 0:
                load[slot : slot + player.length] += player.size
        return {
            job: grid.slot_start(slot) for job, slot in zip(jobs, slots, strict=True) if slot >= 0
        }

    def tick(self, now: int, state: State) -> Mapping[int, int]:  # noqa: ARG002 - Policy asks
        """It never looks again."""
        return {}

    def _player(self, job: int, grid: TimeGrid, state: State) -> Player:
        length, energy = self._shape(job, state)
        latest = grid.slot_of(int(state.flexibility.latest[job]))
        return Player(
            first=-(-(state.now - grid.start) // grid.slot_seconds),
            last=min(latest, grid.count - length),
            length=length,
            size=float(state.trace.nodes[job]),
            energy=energy,
            delay_h=(grid.start - int(state.trace.submit[job])) / 3600.0,
        )

    def _shape(self, job: int, state: State) -> tuple[int, float]:
        """Length in slots and kWh; a job takes one slot at least."""
        seconds = max(self.duration(job, state), float(state.slot_seconds))
        energy = self.power.kw_per_node * float(state.trace.nodes[job]) * seconds / 3600.0
        return math.ceil(seconds / state.slot_seconds), energy

    def _calibrated(self, state: State, mean_carbon: float) -> Weights:
        sample = np.flatnonzero(state.flexibility.flexible).tolist()
        shapes = np.array([self._shape(job, state) for job in sample])
        carbon = float(np.median(shapes[:, 1])) * mean_carbon
        congestion = float(np.median(state.trace.nodes[sample] ** 2 * shapes[:, 0]))
        return Weights(self.alpha, carbon_ref=carbon or 1.0, congestion_ref=congestion or 1.0)

    def _taken(self, grid: TimeGrid) -> NDArray[np.float64]:
        """(S,) a view of the committed load on `grid`; what is past is let go."""
        first = grid.start // grid.slot_seconds
        past = min(first - self._base, len(self._load))
        kept = self._load[past:]
        self._load = np.concatenate([kept, np.zeros(max(0, grid.count - len(kept)))])
        self._base = first
        return self._load[: grid.count]
