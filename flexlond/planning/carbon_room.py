"""The caps on the CO2 of a day in the questions about a window: what they leave to the jobs that may move.

Law: pure. A step of the envelope keeps the caps that the plan in force keeps, and passes none by more than that
plan does: what everyone else emits stays, the rest of each cap is the jobs'. As in a plan (carbon_caps.py) they
are kept by a price of carbon, which is no cost of the step: its price is what energy, carbon price and delay
rise by. The search is for the least such prices, from those of the plan in force on. What no price keeps is the
answer that passes them by least, and the caller is told so. The bound is a priced question's, less the price of
all that the caps leave: weak duality. Kg are counted where costs are: from the slot's start, in a job's first
slot from its earliest moment. Shapes: n jobs, K classes, S slots, L caps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.carbon_caps import emitted_kg
from flexlond.planning.check import check_instance
from flexlond.planning.coverage import coverage
from flexlond.planning.instance import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from flexlond.planning.capacity import Blocks
    from flexlond.planning.instance import Instance
    from flexlond.planning.milp import Bounds
    from flexlond.planning.problem import CapKept, Plan, Problem
    from flexlond.planning.question import Question
    from flexlond.planning.solve import Solution

_TRIES = (6, 3)  # prices at most: for the first question, and for each that begins where it ended
_STEP = 4.0  # by which a price that is too low is raised, and one that is too high lowered
_CLOSE = 1.1  # a price is known when what is too low and what is enough are within this ratio
_FULL = 0.98  # of what a cap leaves: no lower price is looked for
_NEAR = 1e-6
_LITTLE = 1e-6  # kg that nobody minds
_SMALL = 1e-3  # of the first price tried: as good as none


def grouped(problem: Problem) -> Problem:
    """`problem` in whose core questions no class mixes jobs of different caps; nothing else is changed."""
    masks = np.array([cap.jobs for cap in problem.carbon_caps], np.bool_).T
    _, group = np.unique(masks, axis=0, return_inverse=True)
    group = group.ravel().astype(np.int64)
    extra = np.zeros((int(group.max(initial=0)) + 1, problem.grid.count))
    return replace(problem, carbon_extra=extra, extra_group=group)


class CarbonRoom:
    """What the caps leave to the jobs of one question."""

    def __init__(self, problem: Problem, blocks: Blocks, last: Plan, question: Question) -> None:
        """`question` is one about a `grouped` problem, whose plan in force is `last`."""
        caps, instance, jobs = problem.carbon_caps, question.instance, question.jobs
        self._names = [cap.name for cap in caps]
        meters, room = [], []
        slots, none = np.arange(problem.grid.count), np.zeros(instance.jobs)
        for cap in caps:
            inside = (slots >= cap.first) & (slots < cap.end)
            values = np.where(inside, np.nan_to_num(problem.carbon), 0.0)
            rate, own = coverage(problem.grid, blocks, question, values)
            counts = cap.jobs[jobs]
            classes = np.zeros(len(rate), np.bool_)
            classes[instance.cls[counts]] = True
            rate, own = rate * classes[:, None], own * counts[:, None]
            meter = replace(instance, rate=rate, special_cost=own, beyond=none)
            meters.append(meter)
            emitted = emitted_kg(problem, blocks, cap, last.start)
            others = float(emitted.sum() - emitted[jobs].sum())
            room.append(max(cap.kg - others, meter.objective(last.slot[jobs])))
        self._meters: tuple[Instance, ...] = tuple(meters)
        self._room = np.array(room)
        kept = {one.name: one.price_gbp_kg for one in last.carbon_caps}
        self._price = np.array([kept.get(name, 0.0) for name in self._names])
        self._tries, self._later = _TRIES
        known = np.isfinite(problem.price) & (np.nan_to_num(problem.carbon) > 0)
        ratio = (
            np.abs(problem.price[known]).mean() / problem.carbon[known].mean()
            if known.any()
            else 0.1
        )
        self._unit = max(float(ratio), 1e-3)
        """GBP per kg at which the carbon of energy costs about what the energy does."""

    def kg(self, slot: NDArray[np.int64]) -> NDArray[np.float64]:
        """(L,) kg that the jobs at `slot` (n,) emit under each cap."""
        return np.array([meter.objective(slot) for meter in self._meters])

    def passed(self, slot: NDArray[np.int64]) -> str:
        """The name of a cap that the jobs at `slot` (n,) do not keep; "" for none."""
        over = np.flatnonzero(self._over(self.kg(slot)))
        return self._names[int(over[0])] if len(over) else ""

    def rows(self) -> Bounds:
        """The caps as rows for the exact solver."""

        def gives(jobs: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.float64]:
            return np.column_stack([meter.cost_at(jobs, slot) for meter in self._meters])

        return gives, np.full(len(self._room), -np.inf), self._room * (1 + _NEAR / 2)

    def cheapest(
        self,
        instance: Instance,
        answer: Callable[[Instance], Solution],
        hint: NDArray[np.int64],
    ) -> Solution:
        """The best of what `answer` says to `instance` at several prices, and of `hint` (n,), under the caps.

        Its objective and its bound are those of `instance`: the prices of carbon are not in them.
        """
        price = self._price.copy()
        low, high = np.zeros(len(price)), np.full(len(price), np.inf)
        found: list[Solution] = []
        prices = []
        bound = -np.inf
        for _ in range(self._tries):
            one = answer(self._priced(instance, price))
            bound = max(bound, one.bound - float(price @ self._room))
            found.append(replace(one, objective=instance.objective(one.slot)))
            prices.append(price)
            kg = self.kg(one.slot)
            over = self._over(kg)
            slack = ~over & (price > 0) & (kg < _FULL * self._room)
            if not (over | slack).any():
                break
            low, high = np.where(over, price, low), np.where(over, high, np.minimum(price, high))
            if (high[over | slack] <= _CLOSE * low[over | slack]).all():
                break
            price = self._next(price, low, high, over=over, slack=slack)
        best = min(range(len(found)), key=lambda at: self._rank(found[at]))
        if not self.passed(found[best].slot):
            self._price, self._tries = prices[best], self._later
        if (hint != NOWHERE).all() and not check_instance(instance, hint):
            found.append(replace(found[0], slot=hint, objective=instance.objective(hint)))
        return replace(min(found, key=self._rank), bound=bound)

    def _next(
        self,
        price: NDArray[np.float64],
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        *,
        over: NDArray[np.bool_],
        slack: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """The prices to try after these: between what is too low and what is enough, where both are known."""
        raised = np.maximum(_STEP * price, self._unit / _STEP)
        lowered = np.where(price > _SMALL * self._unit, price / _STEP, 0.0)
        known = np.isfinite(high)
        between = np.sqrt(np.maximum(low, high / _STEP**2) * np.where(known, high, 1.0))
        up = np.where(known, between, raised)
        down = np.where(low > 0, between, lowered)
        result: NDArray[np.float64] = np.where(over, up, np.where(slack, down, price))
        return result

    def _priced(self, instance: Instance, price: NDArray[np.float64]) -> Instance:
        """`instance` with prices (L,) on what the caps count; nowhere is as dirty as the dirtiest slot."""
        if not price.any():
            return instance
        rate, own, beyond = instance.rate, instance.special_cost, instance.beyond
        for meter, one in zip(self._meters, price.tolist(), strict=True):
            rate = rate + one * meter.rate
            own = own + one * meter.special_cost
            most = (meter.rate.max(axis=1)[meter.cls] * meter.scale)[:, None]
            beyond = beyond + one * np.column_stack([most, meter.special_cost]).max(axis=1)
        return replace(instance, rate=rate, special_cost=own, beyond=beyond)

    def _over(self, kg: NDArray[np.float64]) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = kg > self._room * (1 + _NEAR) + _LITTLE
        return result

    def _rank(self, one: Solution) -> tuple[float, float]:
        """Less is better: what is above the caps goes before what it costs."""
        kg = self.kg(one.slot)
        above = np.where(self._over(kg), kg - self._room, 0.0).sum()
        return round(float(above), 6), one.objective


def newly_passed(before: tuple[CapKept, ...], after: tuple[CapKept, ...]) -> str:
    """The name of a cap that the plan `after` passes by more than the one `before`; "" for none."""
    was = {one.name: one.planned_kg for one in before}
    for one in after:
        if not one.is_within and one.planned_kg > was.get(one.name, 0.0) * (1 + _NEAR) + _LITTLE:
            return one.name
    return ""
