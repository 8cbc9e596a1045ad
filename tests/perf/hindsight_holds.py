"""Could a carbon cap be kept by holding jobs with consent and nothing else? A search with all known, by replay.

Law: it only finds. What it keeps could have been kept by who knew all jobs and runtimes from the start and only
chose begin times: each try is a whole replay in Slurm's order with backfill, nobody is held past his latest
start, and more late jobs than as soon as possible count as 0.5 kg each. What it does not keep proves nothing
(clairvoyant.py proves the other way round). Begin times of one to three jobs change at a time, the larger ones
more often, about a day that is above the cap; a try that is a little worse is taken at first, as in simulated
annealing. The same seed gives the same answer. Kg CO2, epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from flexlond.backtest.engine import replay
from flexlond.backtest.policy import ARRIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import Flexibility, Run
    from flexlond.backtest.metrics import Case
    from flexlond.backtest.policy import State

    Days = Callable[[Case, Run], NDArray[np.float64]]

_DAY: Final = 86400
_LATE: Final = 0.5  # kg that one late job too many counts as
_ENOUGH: Final = 0.05  # kg
_HOT: Final = 0.18  # kg by which a try may be worse at the beginning, on the mean
_COLD: Final = 0.02  # of it at the end


class Begins:
    """A policy: these begin times, whatever happens."""

    name = "begins"
    calls: ClassVar[tuple[str, ...]] = (ARRIVE,)

    def __init__(self, begin: NDArray[np.int64]) -> None:
        """`begin` is (J,) epoch seconds; not later than the submission: at once."""
        self._begin = begin

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """As given, and no later than the latest start."""
        latest = state.flexibility.latest
        return {
            job: int(min(self._begin[job], latest[job])) for job in jobs if self._begin[job] > now
        }

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        """Nothing changes."""
        return {}


@dataclass(frozen=True, slots=True)
class Found:
    """The best try."""

    kg: float  # above the cap, of all days together
    late: int  # jobs that start past their latest start
    days: NDArray[np.float64]  # (D,) kg
    replays: int


def search(
    case: Case, runs: tuple[Run, Run], cap: float, *, by_day: Days, replays: int, seed: int = 1
) -> Found:
    """The least kg above `cap` found in at most `replays` tries, from the second of `runs` on.

    `runs` are as soon as possible, which says how many may be late, and the run to begin from.
    """
    trace, wait = case.trace, case.flexibility
    allowed = late(wait, runs[0])
    begin_day = case.grid.start // _DAY * _DAY
    span = np.minimum(trace.runtime, trace.limit)
    weight = trace.nodes * span
    slot = case.grid.slot_seconds

    def play(begin: NDArray[np.int64]) -> tuple[float, Run, NDArray[np.float64]]:
        run = replay(trace, wait, Begins(begin), slot_seconds=slot)
        days = by_day(case, run)
        return _above(days, cap) + _LATE * max(0, late(wait, run) - allowed), run, days

    rng = np.random.default_rng(seed)
    begin = runs[1].begin.copy()
    worth, run, days = play(begin)
    tried = 1
    while tried < replays and worth > _ENOUGH:
        over = np.flatnonzero(days > cap)
        day = int(rng.choice(over)) if len(over) else int(rng.integers(len(days)))
        first = begin_day + (day - 1) * _DAY
        near = wait.flexible & (run.start > 0) & (run.start < first + 3 * _DAY) & (run.end > first)
        may = np.flatnonzero(near & (wait.latest > trace.submit))
        share = weight[may] ** rng.choice([0.3, 0.7, 1.0])
        changed = begin.copy()
        for job in rng.choice(
            may, min(len(may), int(rng.choice([1, 1, 1, 2, 3]))), p=share / share.sum()
        ):
            soonest, latest = int(trace.submit[job]), int(wait.latest[job])
            next_day = min(max(begin_day + (day + 1) * _DAY, soonest), latest)
            anywhere = int(rng.uniform(soonest, latest))
            changed[job] = rng.choice(
                [soonest, latest, next_day, anywhere], p=[0.25, 0.15, 0.15, 0.45]
            )
        other, played, its_days = play(changed)
        tried += 1
        heat = _HOT * max(_COLD, 1 - tried / replays)
        if other < worth + heat * rng.exponential():
            worth, run, days, begin = other, played, its_days, changed
    return Found(_above(days, cap), late(wait, run), days, tried)


def _above(days: NDArray[np.float64], cap: float) -> float:
    return float(np.maximum(days - cap, 0.0).sum())


def late(wait: Flexibility, run: Run) -> int:
    """How many flexible jobs start past their latest start."""
    return int((wait.flexible & (run.start > wait.latest)).sum())
