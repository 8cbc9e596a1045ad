"""Re-plans of the jobs around a window: the plan in force, bent down under a cap or up by a bonus.

Law: pure, and nothing but the jobs chosen here moves. Who may move: consent, pending, in time, not tied by
dependencies, at a known cost; of those as many as can be asked about (chosen.py). Running jobs are not moved.
Everyone else stands where the plan in force has him, and his room and power are taken whatever the cap. So the
cap binds the movable jobs alone: in the window they get what the planner counts for them now, less the depth.
Where the site has a cap already (windows sold before) the plan in force is under it and so is every re-plan:
nothing is sold twice. After a window of less power the site stays under a cap of its own, a share above the
peak of the plan in force: the rebound.
Up is a bonus on energy in the window, not a floor: at any bonus the least-cost answer is also the cheapest way
to the power that it reaches (Everett), and least cost less bonus is a bound for any floor, so no new kind of
constraint is needed. Costs are GBP of energy, carbon price and delay; `min_benefit` is no cost and is left out.
Caps on carbon are kept as the plan in force keeps them (carbon_room.py).
A bound is one of this question: these jobs, this room. Shapes: n jobs, S slots, C constraints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace as altered

from flexlond.planning.account import slot_power
from flexlond.planning.backfill import Backfill
from flexlond.planning.capacity import Timeline, blocks_of
from flexlond.planning.carbon_room import CarbonRoom, grouped
from flexlond.planning.check import check_instance
from flexlond.planning.chosen import chosen
from flexlond.planning.coverage import coverage
from flexlond.planning.dependencies import backward, chains
from flexlond.planning.instance import NOWHERE, Prices
from flexlond.planning.milp import solve_whole
from flexlond.planning.problem import PlanningError
from flexlond.planning.question import Question, ask
from flexlond.planning.rehearsal import Rehearsal
from flexlond.planning.room import Placement
from flexlond.planning.solve import Budget, Solution, solve
from flexlond.planning.spread import spread_time

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.exact_time import ExactTime
    from flexlond.planning.instance import Instance
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.steps import Terms

SITE = -2
"""The row of the site's power in the order of capacity.columns_of."""
_UNCAPPED = 1e9  # kW: binds nobody; finite, because the solver leaves out rows that are not
_FEW = 64  # jobs up to which the search is made from nothing as well as from the answer before
_CLOSED = 1e-5  # share of the cost at which a certified gap is nothing
_REHEARSED = 500  # pending and running jobs up to which the queue is played with other runtimes
_PLAYED = 10_000  # jobs times sets of runtimes, at most so many sets and at least so many
_SAMPLES = (40, 100)
_EPSILON = 1e-6
_FAR = 0.5  # of the depth: the search may miss places that it finds when it is asked for more


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """An answer to the question about a window."""

    slot: NDArray[np.int64]  # (n,)
    cost_gbp: float  # a bonus not counted
    bound_gbp: float  # of the objective, bonus counted: no answer to this question has less
    prices: Prices


class Scene:
    """The plan in force as a room in which some jobs may move; made once for all windows."""

    _rehearsed: Rehearsal | None = None

    def __init__(self, problem: Problem, settings: PlanningSettings, last: Plan) -> None:
        """`last` is the plan in force of this very problem; PlanningError when its jobs are others."""
        if not np.array_equal(last.job_id, problem.job_id) or last.grid != problem.grid:
            raise PlanningError("the plan in force is not of this problem: plan it first")
        own = problem.site_kw if len(problem.site_kw) else np.full(problem.grid.count, np.inf)
        self.problem = replace(problem, site_kw=np.where(np.isfinite(own), own, _UNCAPPED))
        self.settings, self.last = settings, last
        self.open = (
            False  # the exact solver has found all jobs together too many, for another window
        )
        blocks = blocks_of(problem)
        latest, movable = backward(blocks.latest, blocks.longest, problem.movable, problem.depends)
        self.blocks = replace(blocks, latest=latest)
        grid = problem.grid
        self.begin = np.where(last.moved, grid.start + last.slot * grid.slot_seconds, last.start)
        """(J,) from when each job's room is taken: its slot's start where the begin time is spread."""
        timeline = Timeline(self.problem, self.blocks)
        timeline.add_many(
            np.arange(problem.jobs),
            last.slot,
            timeline.widths(np.arange(problem.jobs), self.begin),
        )
        tied = chains(problem.jobs, problem.depends) >= 0
        may = movable & ~tied & (self.blocks.kw > 0)
        may &= (last.slot < grid.count) & (last.start <= latest)
        plain_cost = altered(settings, min_benefit=0.0)
        jobs = np.flatnonzero(may)
        capped = grouped(self.problem) if problem.carbon_caps else self.problem
        whole = ask(capped, plain_cost, self.blocks, jobs, timeline.free)
        slot, instance = last.slot[jobs], whole.instance
        inside = (slot >= instance.first) & (slot <= instance.last)
        inside |= (instance.special == slot[:, None]).any(axis=1)
        inside &= np.isfinite(instance.cost_at(np.arange(instance.jobs), slot))
        self.whole = whole.part(np.flatnonzero(inside), timeline.free)
        price = last.proof.room_price
        there = price.shape == timeline.free.shape
        self.prices = Prices(price if there else np.zeros(timeline.free.shape))
        self.backfill = Backfill(problem, self.blocks, last, ~problem.movable & ~tied)
        self.counted = self.problem.site_kw - timeline.free[SITE]
        """(S,) kW as the planner counts room: base, running and all jobs, in whole slots."""
        self.given = problem

    def carbon_room(self, question: Question) -> CarbonRoom | None:
        """What the caps on carbon leave to the jobs of `question`; None where there is no cap."""
        if not self.given.carbon_caps or not len(question.jobs):
            return None
        return CarbonRoom(self.given, self.blocks, self.last, question)

    def rehearsal(self, seed: int) -> Rehearsal | None:
        """The plan in force with other runtimes; None where there are too many jobs to play it. Made once."""
        count = self.given.jobs + len(self.given.running.end)
        if self._rehearsed is None and count <= _REHEARSED:
            samples = int(np.clip(_PLAYED // max(1, count), *_SAMPLES))
            self._rehearsed = Rehearsal(
                self.given, self.blocks, self.last, samples=samples, seed=seed
            )
        return self._rehearsed


class Reshape:
    """The question about one window in one direction, and its answers."""

    def __init__(
        self,
        scene: Scene,
        window: tuple[int, int],
        *,
        up: bool,
        terms: Terms,
        budget: Budget,
        most: int,
        depth: float,
        exact: ExactTime | None,
    ) -> None:
        """`window` is its first and last slot; `most` jobs are reconsidered, all where there are fewer.

        `depth`: kW that they should be able to give in every slot of it. `exact`: what the exact solver may
        take, for it to be asked as well.
        """
        self._scene, self._budget = scene, budget
        self.window = slice(window[0], window[1] + 1)
        rows = chosen(scene, self.window, up=up, most=most, depth=depth)
        self._exact = exact if len(rows) else None
        question = scene.whole.part(rows, scene.whole.instance.free)
        self.carbon = scene.carbon_room(question)
        self.jobs = question.jobs
        self.slot = scene.last.slot[self.jobs]
        self.used = question.instance.usage(np.arange(len(rows)), self.slot)
        self.backfill = scene.backfill.around(window)
        room = np.maximum(self.backfill.free, 0.0) + self.used
        own = np.maximum(question.instance.free[SITE], 0.0) + self.used[SITE]
        # More than all of them together take binds nobody, and keeps the solver's units in proportion.
        room[SITE] = np.minimum(own, question.instance.amount[:, -1].sum() + self.used[SITE].max())
        self.question = question.part(np.arange(len(rows)), room)
        self.before = self._solved(self.question, scene.prices, self.slot)
        left = terms.rebound * scene.counted.max() - scene.counted
        self._after = np.maximum(left, 0.0) + self.used[SITE]
        # Depths (W,) that were asked for, whether they were by far not reached, and the answers.
        self._asked: list[tuple[NDArray[np.float64], bool, Placed]] = []

    @property
    def closed(self) -> bool:
        """Whether the placement without the window is the best one, for certain."""
        return self.before.cost_gbp - self.before.bound_gbp <= _CLOSED * abs(self.before.cost_gbp)

    def down(self, depth: NDArray[np.float64], hint: Placed) -> Placed:
        """Under a cap `depth` kW (W,) below what the jobs take now; what cannot leave stays, over the cap.

        What one slot cannot give the others need not: a step is what every slot gives. What was by far not to
        be had at a depth is not to be had deeper: the answer to that one is given again.
        """
        depth = np.minimum(depth, self.used[SITE, self.window].min())
        for known, far, answer in self._asked:
            if (depth == known).all() or (far and (depth >= known).all()):
                return answer
        placed = self._solved(self._capped(depth), hint.prices, hint.slot)
        far = False
        if (placed.slot == NOWHERE).any():
            slot, given = self._retreated(placed)
            reached = np.minimum(depth, given)
            far = bool((reached < _FAR * depth).any())
            placed = self._solved(self._capped(reached), placed.prices, slot)
        self._asked.append((depth, far, placed))
        return placed

    def relieved(
        self, depth: NDArray[np.float64], more: NDArray[np.float64], hint: Placed
    ) -> Placed:
        """As `down` where stops leave `more` room (C, S); who finds no place is NOWHERE.

        `depth` (W,) is what the jobs must give beside the stops; below 0 they may take as much more.
        """
        free = self._capped(depth).instance.free
        taken = more.copy()
        taken[SITE] = 0.0
        free = np.maximum(free + taken, 0.0)
        after = slice(self.window.stop, None)
        free[SITE, after] = np.minimum(
            self.question.instance.free[SITE, after],
            np.maximum(self._after[after] + more[SITE, after], 0.0),
        )
        question = self.question.part(np.arange(len(self.jobs)), free)
        return self._solved(question, hint.prices, hint.slot)

    def up(self, bonus: NDArray[np.float64], hint: Placed) -> Placed:
        """With `bonus` (W,) GBP per MWh on what the jobs draw in the window, by their expected runtimes."""
        instance = self.question.instance
        earned, own = self._coverage(self.question, bonus)
        bent = replace(
            instance, rate=instance.rate - earned, special_cost=instance.special_cost - own
        )
        question = replace(self.question, instance=bent)
        return self._solved(question, hint.prices, hint.slot, roughly=True)

    def up_to(self, kw: float, hint: Placed) -> Placed | None:
        """The cheapest answer with `kw` more in every slot, by the exact solver; None where it finds none."""
        seconds = self._exact.allowed() if self._exact else 0.0
        if self._exact is None or not seconds:
            return None
        instance = self.question.instance
        least = self._drawn(np.arange(len(self.jobs)), self.starts(self.slot)).sum(axis=0) + kw

        def gives(rows: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.float64]:
            return self._drawn(rows, self._starts_of(rows, slot))

        most = np.full(len(least), np.inf)
        rows = [(gives, least - _EPSILON, most)] + ([self.carbon.rows()] if self.carbon else [])
        slot, bound, spent = solve_whole(instance, hint.slot, hint.prices, seconds, rows)
        self._exact.spent(spent)
        if slot is None or check_instance(instance, slot) or self.passed(slot):
            return None
        return Placed(slot, self.cost(slot), bound - self.question.offset, hint.prices)

    def trimmed(self, placed: Placed, kw: float) -> NDArray[np.int64]:
        """(n,) `placed` less the moves not needed for `kw` more in every slot, the dearest first."""
        instance, everyone = self.question.instance, np.arange(len(self.jobs))
        there, home = placed.slot, self.before.slot
        saved = instance.cost_at(everyone, there) - instance.cost_at(everyone, home)
        placement = Placement(instance, placed.prices)
        placement.adopt(there)
        spare = self.change(there)[self.window] - kw
        held, at_home = (self._drawn(everyone, self.starts(slot)) for slot in (there, home))
        for row in np.argsort(-saved, kind="stable").tolist():
            if saved[row] <= 0:
                break
            less = held[row] - at_home[row]
            if (less > spare + _EPSILON).any():
                continue
            placement.out(row)
            back = placement.fits(row, int(home[row]))
            placement.put(row, int(home[row] if back else there[row]))
            spare = spare - less if back else spare
        return placement.slot

    def _drawn(self, rows: NDArray[np.int64], start: NDArray[np.int64]) -> NDArray[np.float64]:
        """(m, W) kW that the jobs `rows` (m,) draw in the window's slots when they begin at `start` (m,)."""
        grid, blocks = self._scene.problem.grid, self._scene.blocks
        jobs, begin = self.jobs[rows], grid.starts()[self.window]
        end = (start + blocks.span[jobs])[:, None]
        run = np.minimum(end, begin + grid.slot_seconds) - np.maximum(start[:, None], begin)
        kw: NDArray[np.float64] = blocks.kw[jobs, None] * np.maximum(run, 0.0)
        return kw / grid.slot_seconds

    def cost(self, slot: NDArray[np.int64]) -> float:
        """GBP of the jobs at `slot` (n,)."""
        return self.question.instance.objective(slot) - self.question.offset

    def passed(self, slot: NDArray[np.int64]) -> str:
        """The name of a carbon cap that is not kept with the jobs at `slot` (n,); "" for none."""
        return self.carbon.passed(slot) if self.carbon else ""

    def starts(self, slot: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) begin times at `slot`: in force where it stays, the earliest moment or spread where not."""
        return self._starts_of(np.arange(len(self.jobs)), slot)

    def _starts_of(self, rows: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.int64]:
        """(m,) begin times of the jobs `rows` (m,) at `slot` (m,)."""
        scene, question = self._scene, self.question
        grid, start = scene.problem.grid, scene.last.start[self.jobs[rows]].copy()
        for at in np.flatnonzero(slot != self.slot[rows]).tolist():
            row, into = int(rows[at]), int(slot[at])
            job = int(self.jobs[row])
            if into == question.first[row]:
                start[at] = question.earliest[row]
                continue
            bounds = (grid.slot_start(into), int(scene.blocks.latest[job]))
            job_id = int(scene.problem.job_id[job])
            start[at] = spread_time(grid, scene.settings.spread, job_id, into, bounds)
        return start

    def changes(
        self, slot: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(job, start before, start after) of all that start otherwise with the jobs at `slot` (n,).

        The jobs without consent that Slurm then starts in the room left free are among them.
        """
        start = self.starts(slot)
        moved = np.flatnonzero(slot != self.slot)
        others, was, becomes = self.backfill.started(
            self.jobs[moved], self.slot[moved], slot[moved]
        )
        return (
            np.concatenate([self.jobs[moved], others]),
            np.concatenate([self._scene.last.start[self.jobs[moved]], was]),
            np.concatenate([start[moved], becomes]),
        )

    def change(self, slot: NDArray[np.int64]) -> NDArray[np.float64]:
        """(S,) kW more (below 0: less) than the plan in force draws, by slot, with the jobs at `slot` (n,)."""
        jobs, before, after = self.changes(slot)
        grid, blocks = self._scene.problem.grid, self._scene.blocks
        span, kw = blocks.span[jobs], blocks.kw[jobs]
        more = slot_power(grid, after.astype(np.float64), after + span, kw)
        less = slot_power(grid, before.astype(np.float64), before + span, kw)
        result: NDArray[np.float64] = more - less
        return result

    def drawn(self) -> NDArray[np.float64]:
        """(S,) kW that the jobs draw in the plan in force."""
        grid, blocks = self._scene.problem.grid, self._scene.blocks
        start = self._scene.last.start[self.jobs].astype(np.float64)
        span = blocks.span[self.jobs]
        return slot_power(grid, start, start + span, blocks.kw[self.jobs])

    def _solved(
        self,
        question: Question,
        prices: Prices,
        hint: NDArray[np.int64],
        *,
        roughly: bool = False,
    ) -> Placed:
        """The best answer found; `roughly`: without the exact solver."""

        def answer(instance: Instance) -> Solution:
            found = solve(instance, self._budget, prices, hint)
            if instance.jobs > _FEW:
                return found
            cold = solve(instance, self._budget)
            bound = max(found.bound, cold.bound)
            return replace(min(found, cold, key=lambda one: one.objective), bound=bound)

        if self.carbon is None:
            found = answer(question.instance)
        else:
            found = self.carbon.cheapest(question.instance, answer, hint)
        near = found.objective - found.bound <= _CLOSED * abs(
            found.objective - self.question.offset
        )
        if self._exact is not None and not roughly and (not near or self.passed(found.slot)):
            found = self._bettered(question.instance, found, self._exact)
        offset = self.question.offset
        return Placed(found.slot, self.cost(found.slot), found.bound - offset, found.prices)

    def _bettered(self, instance: Instance, found: Solution, exact: ExactTime) -> Solution:
        """`found`, or the exact solver's answer where it is better and fits, with the better bound."""
        seconds = exact.allowed()
        if not seconds:
            return found
        rows = [self.carbon.rows()] if self.carbon else []
        slot, bound, spent = solve_whole(instance, found.slot, found.prices, seconds, rows)
        exact.spent(spent)
        found = replace(found, bound=max(found.bound, bound))
        if slot is None or check_instance(instance, slot) or self.passed(slot):
            return found
        objective = instance.objective(slot)
        if objective < found.objective or self.passed(found.slot):
            return replace(found, slot=slot, objective=objective)
        return found

    def _retreated(self, placed: Placed) -> tuple[NDArray[np.int64], float]:
        """(n,) slots where who has no place keeps his own, and the kW that every slot of the window then gives.

        A latest start goes before a sold window: the depth shrinks.
        """
        instance = self.question.instance
        placement = Placement(instance, placed.prices)
        placement.adopt(placed.slot)
        placement.retreat(self.slot)
        left = instance.usage(np.arange(instance.jobs), placement.slot)[SITE, self.window]
        gives = np.maximum(self.used[SITE, self.window] - left, 0.0)
        return placement.slot, float(gives.min())

    def _capped(self, depth: NDArray[np.float64]) -> Question:
        """The question under the cap of the window, and under that of the rebound after it."""
        free = self.question.instance.free.copy()
        cap = self.used[SITE, self.window] - depth
        free[SITE, self.window] = np.maximum(np.minimum(free[SITE, self.window], cap), 0.0)
        after = slice(self.window.stop, None)
        free[SITE, after] = np.minimum(free[SITE, after], self._after[after])
        return self.question.part(np.arange(len(self.jobs)), free)

    def _coverage(
        self, question: Question, weight: NDArray[np.float64] | float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """MWh x `weight` (W,) in the window, as of `coverage`."""
        inside = np.zeros(self._scene.problem.grid.count)
        inside[self.window] = weight
        return coverage(self._scene.problem.grid, self._scene.blocks, question, inside)
