"""What the flexibility envelope is asked and what it answers: terms, steps and curves.

Law: pure data. kW at the site's meter and positive in both directions: down is less power in the window, up is
more. Money in GBP, times in seconds; slots are indices of the problem's grid. A price is what a step costs, not
what it is sold for. Shapes: S slots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from flexlond.planning.problem import PlanningError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_PENNY = 1e-6  # GBP that make no difference
_LITTLE = 1e-6  # kW that make none
SHARES = (0.1, 0.2, 0.3, 0.4)


class Direction(StrEnum):
    """Which way the power goes in the window."""

    DOWN = "down"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Terms:
    """How an envelope is asked for: depths, what is kept back, and how certain is certain."""

    down: tuple[float, ...] = SHARES
    up: tuple[float, ...] = SHARES
    shares: bool = True
    """Whether depths are shares of the least kW planned in the window; else they are kW."""
    margin: float = 0.1  # share of the kW that is kept back from the offer
    level: float = 0.9  # certainty of `certain_kw`
    samples: int = 256  # replays of sampled runtimes
    seed: int = 20260
    most: int = 400  # jobs that are reconsidered for one window
    exact_seconds: float = 0.0  # of the exact solver for the whole envelope; 0: it is not asked
    exact_jobs: int = 64  # that it is asked about at most
    rebound: float = (
        1.1  # of the peak of the plan in force: the most that the site may draw after a window
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant; PlanningError names the field."""
        if not 0.0 <= self.margin < 1.0:
            raise PlanningError(f"margin is {self.margin}, expected 0 <= margin < 1")
        if not 0.0 < self.level < 1.0:
            raise PlanningError(f"level is {self.level}, expected 0 < level < 1")
        if not self.rebound >= 1.0:
            raise PlanningError(f"rebound is {self.rebound}, expected at least 1")
        if min((*self.down, *self.up), default=1.0) <= 0.0:
            raise PlanningError("a depth is not above 0")
        if self.samples < 1 or self.most < 1:
            raise PlanningError("samples and most are at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One re-plan: what a window gets and what it costs. S slots."""

    asked_kw: float
    kw: float  # in every slot of the window, by expected runtimes
    offered_kw: float  # what is certain of it, the margin taken off
    certain_kw: float  # delivered in every slot at the stated level; never above `kw`
    price_gbp: float
    gbp_per_mwh: float  # of the offered energy
    uncertainty_gbp: float  # by which the price can be off at most, for these jobs: certified
    gap: float  # certified, of the re-plan: share of its bound
    notice_s: int  # before the window's begin, by when the order must have been given
    longest_slots: int  # from the window's first on, for which this re-plan gives `kw`
    rebound_kw: float  # the largest swing the other way after the window
    rebound_slot: int  # its slot; -1 without one
    peak_kw: (
        float  # the most that the site draws after the window; NaN where the horizon ends with it
    )
    peak_slot: int  # its slot; -1 where the horizon ends with the window
    moved_jobs: int
    change_kw: NDArray[np.float64]  # (S,) re-plan less plan in force
    cap_kw: NDArray[np.float64]
    """(S,) the movable jobs' most in this re-plan, as the planner counts room; inf outside, and for up."""
    jobs: NDArray[np.int64]  # (m,) job ids that start otherwise
    start: NDArray[np.int64]  # (m,) when
    stopped: NDArray[np.int64]  # ids of the running jobs that are stopped for it

    @property
    def stopped_jobs(self) -> int:
        """How many."""
        return len(self.stopped)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The steps of one window in one direction, by rising kW."""

    window: tuple[int, int]  # first and last slot
    direction: Direction
    steps: tuple[Step, ...]
    withheld: tuple[tuple[Step, str], ...]  # steps that are not offered, and why
    jobs: int  # that were reconsidered
    gap: float  # certified, of their placement without the window
    improvable_gbp: float  # by which that placement costs less than the plan in force

    @property
    def everything(self) -> tuple[Step, ...]:
        """The steps that are offered, then those that are not."""
        return (*self.steps, *(step for step, _ in self.withheld))


def with_deeper(curve: Curve, found: Sequence[tuple[Step, str]]) -> Curve:
    """The curve with further steps of more kW than all of its own, by rising kW and price; "" where offered.

    A step of the curve that one of them beats in kW and price is dropped.
    """
    steps, withheld = list(curve.steps), list(curve.withheld)
    for step, reason in found:
        left = [
            one
            for one in steps
            if one.price_gbp < step.price_gbp - _PENNY or one.offered_kw > step.offered_kw + _LITTLE
        ]
        as_much = any(one.offered_kw >= step.offered_kw - _LITTLE for one in left)
        why = reason or ("no more of it is certain than of another step" if as_much else "")
        if why:
            withheld.append((step, why))
        else:
            steps = [*left, step]
    return replace(curve, steps=tuple(steps), withheld=tuple(withheld))
