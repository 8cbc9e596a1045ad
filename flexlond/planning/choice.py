"""Which slot one job takes, of those it may and can.

Law: the cheapest with room, if it saves at least the least share of the job's cost against the first slot with
room; the first slot otherwise. An unknown cost there means no deferral; the job's own limit means waiting.
A slot near the latest start that would be nearly full is left for an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.problem import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

TIGHT_SLOTS = 2
"""A slot this near the latest start is avoided when the pool is nearly full there."""


@dataclass(slots=True)
class Choice:
    """The slots one job can choose from, by cost."""

    cost: NDArray[np.float32]  # (S,) GBP, inf where not allowed
    options: NDArray[np.float32]  # (S,) cost where there is room as well
    fits: NDArray[np.bool_]  # (S,) room, without the margin
    soonest: int  # the first slot with room
    above: Reason  # why the soonest slot may be masked: the job's own limit, or no signal
    last: int  # the last slot before the latest start
    least: float  # the share of the cost that a move must save
    typical: float  # GBP of this job's energy at the mean score: the floor for shares
    crowded: Callable[[int], bool]  # whether a slot would be nearly full
    in_force: bool  # it has a begin time of ours: its place was found when there was room
    ramp_full: bool = False

    def pick(self) -> tuple[int, Reason]:
        """The slot to take, and why."""
        soonest, options = self.soonest, self.options
        best = int(options.argmin())
        if not np.isfinite(options[best]):
            if np.isfinite(self.cost).any():
                return soonest, Reason.CAPACITY
            return soonest, Reason.LATEST_START if self.last <= soonest else Reason.NO_SIGNAL
        if self.ramp_full:
            return best, Reason.RAMP
        if best == soonest:
            first = int(self.cost.argmin())
            return soonest, Reason.CHEAPEST_NOW if first == soonest else Reason.CAPACITY
        if not np.isfinite(self.cost[soonest]) and self.above is Reason.NO_SIGNAL:
            return soonest, Reason.NO_SIGNAL
        if not self._pays(soonest, best):
            return soonest, Reason.BELOW_BENEFIT
        near_end = self.last - best < TIGHT_SLOTS and not self.in_force
        if near_end and self.crowded(best):
            return self._earlier(), Reason.LATEST_START
        if not np.isfinite(self.cost[soonest]):
            return best, self.above
        first = int(self.cost.argmin())
        return best, Reason.PRICE if first == best else Reason.CAPACITY

    def refuse(self, slot: int) -> bool:
        """The ramp cap leaves no room in `slot`: strike it; False when no other slot is left."""
        self.options[slot] = np.inf
        self.ramp_full = True
        return bool(np.isfinite(self.options).any())

    def not_worth(self, kept: int, target: int, reason: Reason) -> bool:
        """Whether leaving slot `kept` for `target` saves less than the least share."""
        if reason is Reason.NO_SIGNAL:
            return True
        if reason is Reason.LATEST_START or not np.isfinite(self.cost[kept]):
            return False
        return not self._pays(kept, target)

    def _earlier(self) -> int:
        """The best slot away from the latest start; the soonest where none of them pays."""
        early = self.options[: max(0, self.last - TIGHT_SLOTS + 1)]
        if early.size:
            best = int(early.argmin())
            if np.isfinite(early[best]) and self._pays(self.soonest, best):
                return best
        return self.soonest

    def _pays(self, from_slot: int, to_slot: int) -> bool:
        here, there = float(self.cost[from_slot]), float(self.cost[to_slot])
        scale = max(abs(there), 0.1 * self.typical)
        if np.isfinite(here):
            scale = max(abs(here), scale)
        return here - there >= self.least * scale and here > there
