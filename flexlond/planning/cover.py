"""Which of a few stops cover what is missing, at the least cost.

Law: pure, and knows nothing of jobs. Each slot that needs relief gets as much as it needs, or as much as all
options together give; among the selections that do, one of least cost. Exact by branch and bound where that
takes few steps; where it does not, the best one found, with a bound that says how far it may be from the best.
No option is chosen without which the rest is enough. kW by slot, GBP.

The bound of a node: a selection that covers slot s has sum_j min(relief_js, need_s) x_j >= need_s, and so has
the sum over all slots; the fractional knapsack of either costs no more than any selection that covers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NODES = 4000  # of the search; a few tenths of a second
_NEAR = 1e-6  # kW


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """A selection, what it costs, and what the best one costs at least."""

    chosen: NDArray[np.bool_]  # (n,)
    cost: float
    bound: float

    @property
    def gap(self) -> float:
        """The share by which it may at most be dearer than the best one; 0 where it is known to be the best."""
        over = self.cost - self.bound
        return over / max(abs(self.bound), 1e-9) if over > 1e-9 else 0.0


def cover(
    relief: NDArray[np.float64], need: NDArray[np.float64], cost: NDArray[np.float64]
) -> Cover:
    """Choose among the rows of `relief` (n, S), of `cost` (n,) >= 0 each, for `need` (S,) >= 0."""
    need = np.minimum(np.maximum(need, 0.0), relief.sum(axis=0))
    relief = np.where(need > _NEAR, relief, 0.0)
    useful = (np.minimum(relief, need) > _NEAR).any(axis=1)
    rows = np.flatnonzero(useful)
    best = _improved(relief[rows], need, cost[rows], _greedy(relief[rows], need, cost[rows]))
    search = _Search(relief[rows], need, cost[rows], best)
    root = search.bound(np.ones(len(rows), np.bool_), need)
    search.run()
    chosen = np.zeros(len(cost), np.bool_)
    chosen[rows] = _improved(relief[rows], need, cost[rows], search.best)
    total = float(cost[chosen].sum())
    return Cover(chosen, total, total if search.nodes < _NODES else min(root, total))


def _covers(relief: NDArray[np.float64], need: NDArray[np.float64]) -> bool:
    return bool((relief.sum(axis=0) >= need - _NEAR).all())


def _greedy(
    relief: NDArray[np.float64], need: NDArray[np.float64], cost: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Always the one that gives most of what is still missing for its cost."""
    chosen = np.zeros(len(cost), np.bool_)
    left = need.copy()
    while (left > _NEAR).any():
        gain = np.minimum(relief, np.maximum(left, 0.0)).sum(axis=1)
        gain[chosen] = 0.0
        if not (gain > _NEAR).any():
            break
        one = int((gain / (cost + 1e-12)).argmax())
        chosen[one] = True
        left -= relief[one]
    return chosen


def _improved(
    relief: NDArray[np.float64],
    need: NDArray[np.float64],
    cost: NDArray[np.float64],
    chosen: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Without those that are not needed, and with cheaper ones in the place of dearer ones."""
    chosen = chosen.copy()
    better = True
    while better:
        better = False
        for out in sorted(np.flatnonzero(chosen).tolist(), key=lambda j: (-cost[j], j)):
            chosen[out] = False
            if _covers(relief[chosen], need):
                better = True
                continue
            left = need - relief[chosen].sum(axis=0)
            fits = (relief >= left - _NEAR).all(axis=1) & ~chosen & (cost < cost[out] - 1e-12)
            if fits.any():
                into = int(np.where(fits, cost, np.inf).argmin())
                chosen[into] = better = True
            else:
                chosen[out] = True
    return chosen


class _Search:
    """Depth first: with the option that gives most for its cost, then without it."""

    def __init__(
        self,
        relief: NDArray[np.float64],
        need: NDArray[np.float64],
        cost: NDArray[np.float64],
        best: NDArray[np.bool_],
    ) -> None:
        self.best, self.nodes = best, 0
        self._relief, self._need, self._cost = relief, need, cost
        self._least = float(cost[best].sum())
        gain = np.minimum(relief, need).sum(axis=1)
        self._order = np.lexsort((np.arange(len(cost)), cost / np.maximum(gain, _NEAR))).tolist()

    def run(self) -> None:
        """Until nothing better is possible, or the steps are used up."""
        jobs = len(self._cost)
        stack = [(0, np.zeros(jobs, np.bool_), self._need, 0.0)]
        while stack and self.nodes < _NODES:
            self.nodes += 1
            depth, chosen, left, spent = stack.pop()
            if not (left > _NEAR).any():
                if spent < self._least - 1e-12:
                    self._least, self.best = spent, chosen
                continue
            free = np.zeros(jobs, np.bool_)
            free[self._order[depth:]] = True
            if spent + self.bound(free, left) >= self._least - 1e-12:
                continue
            one = self._order[depth]
            stack.append((depth + 1, chosen, left, spent))
            with_it = chosen.copy()
            with_it[one] = True
            stack.append(
                (depth + 1, with_it, left - self._relief[one], spent + float(self._cost[one]))
            )

    def bound(self, free: NDArray[np.bool_], left: NDArray[np.float64]) -> float:
        """GBP that covering `left` with `free` options costs at least; inf where they cannot."""
        left = np.maximum(left, 0.0)
        slots = np.flatnonzero(left > _NEAR)
        if not len(slots):
            return 0.0
        gain = np.minimum(self._relief[free][:, slots], left[slots])
        if (gain.sum(axis=0) < left[slots] - _NEAR).any():
            return float("inf")
        cost = self._cost[free]
        worst = int(left[slots].argmax())
        return max(
            _fraction(gain[:, worst], cost, float(left[slots][worst])),
            _fraction(gain.sum(axis=1), cost, float(left[slots].sum())),
        )


def _fraction(gain: NDArray[np.float64], cost: NDArray[np.float64], need: float) -> float:
    """The least cost of `need` where each option may be taken in part."""
    some = gain > _NEAR
    gain, cost = gain[some], cost[some]
    order = np.argsort(cost / gain, kind="stable")
    gain, cost = gain[order], cost[order]
    before = np.concatenate([[0.0], np.cumsum(gain)[:-1]])
    taken = np.clip((need - before) / gain, 0.0, 1.0)
    return float((taken * cost).sum())
