"""Caps on the CO2 of a day: kept by a price of carbon of their own, which is their shadow price.

Law: `keep_caps` plans again and again, each time with a price (GBP per kg) on what the jobs of a cap emit in
its slots, until every cap is kept at about the least such price, or no price keeps it. Like jobs answer a price
all at once; so where that is too much or too little, each job pays more or less than the price, as its id
draws, and they answer one by one. It plans through the function it is given; without caps nobody calls it.
A cap counts what the jobs that it names emit in its slots, also of those that nobody can move any more; an
unknown intensity counts as none. Where a cap cannot be kept the plan is the cleanest found, and says so: a kg
above one cap counts as much as a kg above another. The bound is a priced plan's, less the price
of all that the caps allow: weak duality, so it holds for any price that all pay. Each plan costs as much as one
without caps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.capacity import blocks_of
from flexlond.planning.problem import CapKept

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import CarbonCap, Plan, Problem
    from flexlond.planning.solve import Budget

_PLANS = 10  # at most, to find the prices
_UNEVEN = 8  # at most, with prices that are not the same for all
_LEVELS = 8  # of such prices
_WIDE = 0.5  # how far they are from the price, at most
_SECONDS = 2.0  # for all of them but the first two, where the budget has a clock
_FADES = 0.25  # of what was too low in the last cycle: the queue has changed since
_FIRST = 0.25  # of the price at which the carbon of energy costs as much as the energy
_STEP = 4.0  # by which a price that is too low is raised
_MOST = 64.0  # of that price: what is not kept there is not to be kept
_NEAR = 1e-6
_LITTLE = 1e-5  # kg
_CLOSE = 1.2  # a price is known when what is too low and what is enough are within this ratio
_FULL = 0.97  # of a cap: nothing better is looked for
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: neighbouring ids land far apart


@dataclass(slots=True)
class _Search:
    """The price of one cap: too low at `low`, enough at `high` (0: not known)."""

    price: float
    low: float = 0.0
    high: float = 0.0
    settled: bool = False

    @classmethod
    def after(cls, before: tuple[float, float, float], unit: float) -> _Search:
        """The search where the last cycle left it."""
        price, low, high = (min(one, _MOST * unit) for one in before)
        return cls(price, low * _FADES, high)

    def learn(self, kg: float, cap: float, unit: float) -> None:
        """The next price, after a plan at this one that emits `kg`."""
        most = _MOST * unit
        self.settled = False
        if kg > cap * (1 + _NEAR) + _LITTLE:
            self.settled = self.price >= most
            self.low = max(self.low, self.price)
            if self.high <= self.low:  # not known, or other prices have changed meanwhile
                self.high = 0.0
                self.price = min(most, max(_STEP * self.price, _FIRST * unit))
            else:
                self._between(unit)
        elif self.price == 0 or kg >= _FULL * cap:
            self.settled = True
        else:
            self.high = self.price
            self._between(unit)

    def wider(self, most: float) -> _Search:
        """The same search for prices that are not the same for all."""
        low, high = self.low / (1 + _WIDE), self.high / (1 - _WIDE)
        price = float(np.sqrt(self.low * self.high)) if self.low and self.high else self.price
        return _Search(min(price, most), low, high)

    def _between(self, unit: float) -> None:
        low = max(self.low, self.high / _STEP**2)
        self.settled = self.high <= _CLOSE * low or self.high <= _FIRST * unit / _STEP
        if not self.settled:
            self.price = float(np.sqrt(low * self.high))


@dataclass(slots=True)
class _Caps:
    """The caps of one problem, and the best plan so far."""

    problem: Problem
    plan_once: Callable[[Problem, Plan | None], Plan]
    last: Plan | None
    best: Plan | None = None
    rank: tuple[float, float] = (np.inf, np.inf)
    bound: float = -np.inf  # GBP, of all plans that keep the caps
    blocks: Blocks = field(init=False)
    group: NDArray[np.int64] = field(init=False)  # (J,) jobs under the same caps
    applies: NDArray[np.bool_] = field(init=False)  # (G, caps)
    level: NDArray[np.int64] = field(init=False)  # (J,) by job id

    def __post_init__(self) -> None:
        self.blocks = blocks_of(self.problem)
        masks = np.array([cap.jobs for cap in self.problem.carbon_caps], np.bool_).T
        self.applies, group = np.unique(masks, axis=0, return_inverse=True)
        self.group = group.ravel().astype(np.int64)
        mixed = self.problem.job_id.astype(np.uint64) * _GOLDEN
        self.level = (mixed >> np.uint64(61)).astype(np.int64)  # the upper three bits: 8 levels

    def try_at(self, prices: NDArray[np.float64], *, uneven: bool = False) -> NDArray[np.float64]:
        """Plan at `prices` (caps,), about which the jobs' own are spread if `uneven`; (caps,) kg emitted."""
        caps = self.problem.carbon_caps
        own = prices * (_factors(len(caps)) if uneven else np.ones((_LEVELS, 1)))
        priced = self._priced(own)
        found = self.plan_once(priced, self.last)
        each = [emitted_kg(self.problem, self.blocks, cap, found.start) for cap in caps]
        kg = np.array([one.sum() for one in each])
        movable = self.problem.movable  # nobody else's cost is in the objective
        paid = sum(
            float(one[movable] @ own[self.level[movable], row]) for row, one in enumerate(each)
        )
        room = np.array([cap.kg for cap in caps])
        if not uneven:
            self.bound = max(self.bound, found.proof.bound_gbp - float(prices @ room))
        objective = found.proof.objective_gbp - paid
        over = float(np.maximum(0.0, kg - room).sum())
        rank = (over if over > _LITTLE else 0.0, round(objective, 9))
        if rank <= self.rank:  # of equals the later: at a lower price
            self.rank = rank
            self.best = self._told(found, priced, objective, kg, prices)
        self.last = found
        return kg

    def _priced(self, own: NDArray[np.float64]) -> Problem:
        """The problem with prices on carbon in place of its caps; `own` is (levels, caps)."""
        problem = self.problem
        if not own.any():
            return replace(problem, carbon_caps=())
        pattern = self.applies[:, None, :] * own[None, :, :]
        distinct, place = np.unique(pattern[self.group, self.level], axis=0, return_inverse=True)
        extra = np.zeros((len(distinct), problem.grid.count))
        for row, cap in enumerate(problem.carbon_caps):
            extra[:, cap.first : cap.end] += distinct[:, [row]]
        group = place.ravel().astype(np.int64)
        return replace(problem, carbon_caps=(), carbon_extra=extra, extra_group=group)

    def is_good(self) -> bool:
        """The best plan keeps every cap, and no room under one that binds is left unused."""
        assert self.best is not None  # noqa: S101 - asked after a first plan; tells mypy
        return all(
            one.is_within and (one.price_gbp_kg == 0 or one.planned_kg >= _FULL * cap.kg)
            for one, cap in zip(self.best.carbon_caps, self.problem.carbon_caps, strict=True)
        )

    def _told(
        self,
        found: Plan,
        priced: Problem,
        objective: float,
        kg: NDArray[np.float64],
        prices: NDArray[np.float64],
    ) -> Plan:
        """The plan with what became of the caps; bound and words are put in at the end."""
        caps = self.problem.carbon_caps
        kept = tuple(
            CapKept(cap.name, cap.total_kg, cap.spent_kg, cap.expected_kg, one, price)
            for cap, one, price in zip(caps, kg.tolist(), prices.tolist(), strict=True)
        )
        proof = replace(found.proof, objective_gbp=objective)
        return replace(
            found,
            proof=proof,
            carbon_caps=kept,
            carbon_extra=priced.carbon_extra,
            extra_group=priced.extra_group,
        )


def keep_caps(
    problem: Problem,
    settings: PlanningSettings,
    plan_once: Callable[[Problem, Plan | None], Plan],
    last: Plan | None,
    budget: Budget,
) -> Plan:
    """The plan of `problem` within its `carbon_caps`; `last` is the plan before this one.

    `plan_once` plans a problem without caps, from an earlier plan. Of the plans that keep all caps the one with
    the least objective is taken; where none does, the one that is least above them.
    """
    names = [cap.name for cap in problem.carbon_caps]
    room = np.array([cap.kg for cap in problem.carbon_caps])
    unit = _unit(problem, settings)
    before = {one.name: one.search for one in last.carbon_caps} if last else {}
    searches = [_Search.after(before.get(name, (0.0, 0.0, 0.0)), unit) for name in names]
    until = budget.clock() + _SECONDS  # never, where the budget's clock stands still
    caps = _Caps(problem, plan_once, last)
    made = 0
    for uneven, plans in ((False, _PLANS), (True, _UNEVEN)):
        for _ in range(plans):
            made += 1
            kg = caps.try_at(np.array([search.price for search in searches]), uneven=uneven)
            for search, one, cap in zip(searches, kg.tolist(), room.tolist(), strict=True):
                search.learn(one, cap, unit)
            late = made > 1 and budget.clock() > until
            if late or all(search.settled for search in searches):
                break
        if late or uneven or caps.is_good():
            break
        searches = [search.wider(_MOST * unit) for search in searches]
    assert caps.best is not None  # noqa: S101 - there is a first plan; tells mypy
    proof = caps.best.proof
    kept = tuple(
        replace(one, search=(search.price, search.low, search.high))
        for one, search in zip(caps.best.carbon_caps, searches, strict=True)
    )
    words = tuple(_not_kept(one, late=late) for one in kept if not one.kept)
    return replace(
        caps.best,
        proof=replace(proof, bound_gbp=min(caps.bound, proof.objective_gbp)),
        carbon_caps=kept,
        problems=(*caps.best.problems, *words),
    )


def _not_kept(one: CapKept, *, late: bool) -> str:
    so_far = f"{one.spent_kg:.4g} kg are emitted or under way,"
    if one.expected_kg > 0:
        so_far += f" {one.expected_kg:.4g} kg are kept for jobs yet to come,"
    so_far += " and the cleanest plan found adds"
    why = "is not kept yet, the search for its price goes on" if late else "cannot be kept"
    return (
        f"the {one.name}, {one.total_kg:g} kg, {why}: {so_far} {one.planned_kg:.4g} kg, "
        f"so {one.above_kg:.4g} kg too much"
    )


def _factors(caps: int) -> NDArray[np.float64]:
    """(levels, caps) around 1, in another order for each cap: not the same jobs give way to each."""
    spread = 1 + _WIDE * (2 * (np.arange(_LEVELS) + 0.5) / _LEVELS - 1)
    rows = [np.roll(spread if cap % 2 else spread[::-1], cap // 2) for cap in range(caps)]
    return np.array(rows).T


def emitted_kg(
    problem: Problem, blocks: Blocks, cap: CarbonCap, start: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(J,) kg CO2 that the cap's jobs emit in its slots when they start at `start` (J,); 0: not at all."""
    grid = problem.grid
    slots = np.arange(grid.count)
    counted = (slots >= cap.first) & (slots < cap.end)
    rate = np.where(counted, np.nan_to_num(problem.carbon), 0.0) * grid.slot_seconds / 3.6e6
    total = np.concatenate([[0.0], np.cumsum(rate)])
    begin = (start - grid.start) / grid.slot_seconds
    end = begin + blocks.span / grid.slot_seconds
    edges = np.arange(grid.count + 1, dtype=np.float64)
    kg = (np.interp(end, edges, total) - np.interp(begin, edges, total)) * blocks.kw
    return np.where(cap.jobs & (start > 0), kg, 0.0)


def _unit(problem: Problem, settings: PlanningSettings) -> float:
    """GBP per kg at which the carbon of energy costs about what the energy does."""
    price, carbon = np.abs(problem.price), problem.carbon
    known = np.isfinite(price) & np.isfinite(carbon) & (carbon > 0)
    if not known.any():
        return max(settings.carbon_price / 1000.0, 0.1)
    return max(float(price[known].mean() / carbon[known].mean()), 0.01)
