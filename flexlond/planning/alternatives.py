"""What else one job could have done: other starts, what they cost, and why the plan does not have them.

Law: explains a plan, decides nothing. Every alternative is judged in the plan as it is: all others stay at
their planned starts, and room counts as in capacity.py. Cost is electricity; delay is the price of delay since
the job's earliest moment; room is what the slots it would take are worth to others at the prices that the
plan's proof found (GBP each), carbon kg CO2. NaN where a signal is not known over the run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.capacity import Blocks, Timeline, blocks_of, columns_of
from flexlond.planning.dependencies import backward
from flexlond.planning.problem import NEVER, Reason
from flexlond.planning.ranking import group_of, rank, run_costs, scores_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.problem import Plan, Problem

_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Alternative:
    """One start of one job."""

    name: str  # "now", "soonest", "planned", "cheapest", "latest"
    start: int  # epoch seconds
    cost_gbp: float
    co2_kg: float
    delay_gbp: float
    room_gbp: float
    why_not: str  # "" for the planned one


def alternatives(
    problem: Problem,
    settings: PlanningSettings,
    plan: Plan,
    row: int,
    resources: Sequence[str] = (),
) -> tuple[Alternative, ...]:
    """Now, as soon as there is room, planned, cheapest in its window, latest: each start once, by time.

    `row` is the job's index in `problem`, whose plan is `plan`; `resources` are the names of the columns of
    its capacity. Empty where the plan has no start for the job inside the grid.
    """
    if not 0 <= plan.slot[row] < problem.grid.count:
        return ()
    judge = _Judge(problem, settings, plan, row, resources)
    found = [judge.of(name, start) for name, start in judge.starts()]
    return tuple(sorted(found, key=lambda one: one.start))


class _Judge:
    """Everything about one row that does not depend on the start."""

    def __init__(
        self,
        problem: Problem,
        settings: PlanningSettings,
        plan: Plan,
        row: int,
        resources: Sequence[str],
    ) -> None:
        self._problem, self._settings, self._plan, self._row = problem, settings, plan, row
        self._resources = resources
        blocks = blocks_of(problem)
        latest, _ = backward(blocks.latest, blocks.longest, problem.movable, problem.depends)
        self._blocks = replace(blocks, latest=latest)
        self._timeline = _room_of_others(problem, self._blocks, plan, row)
        self._columns = columns_of(problem)[0][problem.pool[row]]
        self._earliest = max(int(problem.earliest[row]), problem.now)
        self._latest = int(latest[row])
        priced = replace(problem, carbon_extra=plan.carbon_extra, extra_group=plan.extra_group)
        self._score = scores_of(priced, settings)[group_of(priced, np.array([row]))[0]]
        self._planned_total = self._total(self._figures("planned", int(plan.start[row])))

    def starts(self) -> list[tuple[str, int]]:
        """The names and starts to judge; what falls together is named once, the plan's own first."""
        problem, plan, row = self._problem, self._plan, self._row
        grid, planned = problem.grid, int(plan.start[row])
        chosen = [("planned", planned)]
        asap = int(plan.asap[row])
        costs = rank(problem, self._settings, self._blocks, np.array([row])).cost[0]
        best = int(np.argmin(costs))
        cheapest = max(self._earliest, grid.slot_start(best))
        wanted = [("now", self._earliest), ("soonest", asap if asap < grid.end else 0)]
        if np.isfinite(costs[best]) and best != plan.slot[row]:
            wanted.append(("cheapest", cheapest))
        if self._latest < NEVER:
            wanted.append(("latest", self._latest))
        for name, start in wanted:
            inside = self._earliest <= start < grid.end
            if inside and all(start != other for _, other in chosen):
                chosen.append((name, start))
        return chosen

    def of(self, name: str, start: int) -> Alternative:
        """The figures of a start, with the reason why the plan does not have it."""
        figures = self._figures(name, start)
        return figures if name == "planned" else replace(figures, why_not=self._why_not(figures))

    def _figures(self, name: str, start: int) -> Alternative:
        problem, blocks, row = self._problem, self._blocks, self._row
        kw, span = blocks.kw[[row]], blocks.span[[row]]
        at = np.array([start])
        cost, co2 = (
            float(run_costs(problem.grid, values, kw, at, span)[0])
            for values in (problem.price, problem.carbon)
        )
        rate = self._settings.delay_price * float(problem.delay_weight[row]) / 86400.0
        delay = rate * (start - self._earliest)
        return Alternative(name, start, cost, co2, delay, self._worth(start), "")

    def _window(self, start: int) -> slice:
        """The slots that the job would take."""
        grid = self._problem.grid
        slot = grid.slot_of(start)
        # Later starts are spread inside their slot, which the plan does not count (capacity.py).
        first = grid.slot_of(self._earliest) == slot
        at = start if first else grid.slot_start(slot)
        return slice(slot, min(slot + self._timeline.width(self._row, slot, at), grid.count))

    def _worth(self, start: int) -> float:
        """GBP of the room from `start` on."""
        price = self._plan.proof.room_price
        if len(price) <= self._columns.max():
            return 0.0
        window = price[self._columns, self._window(start)].sum(axis=1)
        return float(window @ self._blocks.amount[self._row])

    def _total(self, one: Alternative) -> float:
        """GBP as the plan weighs it: energy, carbon price, delay, room and the carbon cap."""
        blocks, row = self._blocks, self._row
        energy = run_costs(
            self._problem.grid,
            self._score,
            blocks.kw[[row]],
            np.array([one.start]),
            blocks.span[[row]],
        )
        carbon = (
            self._plan.proof.carbon_price * one.co2_kg if self._plan.proof.carbon_price else 0.0
        )
        return float(energy[0]) + one.delay_gbp + one.room_gbp + carbon

    def _why_not(self, one: Alternative) -> str:
        problem, row = self._problem, self._row
        slot = problem.grid.slot_of(one.start)
        total = self._total(one)
        checks = (
            (one.start > self._latest, "after its latest start"),
            (one.start < self._after(), "what it waits for has not ended by then"),
            (problem.price[slot] > problem.max_price[row], "above its own max-price"),
            (problem.carbon[slot] > problem.max_carbon[row], "above its own max-carbon"),
            (math.isnan(total), "price or carbon is not known over the whole run"),
        )
        known = next((why for applies, why in checks if applies), "")
        return known or self._no_room(one.start) or self._dearer(one, total)

    def _after(self) -> int:
        """When the last of what it depends on has ended in the plan; 0 when there is none."""
        depends = self._problem.depends
        before = depends[depends[:, 0] == self._row, 1]
        ends = self._plan.start[before] + self._blocks.span[before]
        return int(ends.max(initial=0))

    def _no_room(self, start: int) -> str:
        """What there is not enough of; "" where the job fits."""
        amount = self._blocks.amount[self._row]
        free = self._timeline.free[self._columns, self._window(start)]
        short = np.flatnonzero((free < (amount - _EPSILON)[:, None]).any(axis=1) & (amount > 0))
        if not len(short):
            return ""
        if short[0] == len(amount) - 1:
            return "no room under the site's power cap"
        count = self._problem.capacity.shape[1]
        names = dict.fromkeys(int(at) % count for at in short if at < len(amount) - 1)
        words = ", ".join(self._resources[at] for at in names if at < len(self._resources))
        return f"no room{': ' if words else ''}{words}"

    def _dearer(self, one: Alternative, total: float) -> str:
        """The words for a start that would be possible."""
        more = total - self._planned_total
        if more <= _EPSILON:
            threshold = self._settings.min_benefit * abs(self._planned_total)
            if -more <= threshold + _EPSILON:
                return "a change would save less than the site's threshold"
            ramp = self._plan.reason[self._row] == Reason.RAMP
            why = "the ramp cap is reached" if ramp else "the search ended before it was tried"
            return f"{-more:.4f} GBP cheaper, but {why}"
        if one.room_gbp - self._room_of_planned() > more:
            return f"its room is worth more to others: {more:.4f} GBP dearer with it"
        return f"{more:.4f} GBP dearer, carbon, delay and room counted"

    def _room_of_planned(self) -> float:
        return self._worth(int(self._plan.start[self._row]))


def _room_of_others(problem: Problem, blocks: Blocks, plan: Plan, row: int) -> Timeline:
    """The room that all but `row` leave at their planned starts."""
    timeline = Timeline(problem, blocks)
    slot = plan.slot
    others = np.flatnonzero((slot < problem.grid.count) & (plan.start > 0))
    others = others[others != row]
    at = problem.grid.start + slot * problem.grid.slot_seconds
    start = np.where(plan.moved, at, plan.start)[others]
    timeline.add_many(others, slot[others], timeline.widths(others, start))
    return timeline
