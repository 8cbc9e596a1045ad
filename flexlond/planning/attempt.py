"""One attempt at a plan: the movable jobs around everyone else, who keep their place.

Law: everyone has a place at every moment, so whoever moves leaves the others theirs. First those whose signals
are gone keep the begin time they have, then those that are let through the power cap get theirs, then jobs tied
by dependencies, in order, then all others together. What is listed again at the end only comes sooner.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.answer import Outcome
from flexlond.planning.capped import Standing, is_capped
from flexlond.planning.dependencies import chains, levels
from flexlond.planning.instance import FIRST, KEPT, NOWHERE, Prices
from flexlond.planning.problem import Plan, Problem, Proof, Reason
from flexlond.planning.question import Question, ask
from flexlond.planning.realise import Realiser
from flexlond.planning.solve import Budget, Solution, solve
from flexlond.planning.spread import RampBook, ramp_book, spread_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.capacity import Blocks
    from flexlond.planning.capped import Share
    from flexlond.planning.listing import Listing

    Improve = Callable[[Solution, Question], Solution]


def in_order(problem: Problem, jobs: NDArray[np.int64]) -> list[int]:
    """Predecessors first, then Slurm's priority order."""
    level = levels(problem.jobs, problem.depends)[jobs]
    chosen: list[int] = jobs[np.lexsort((jobs, problem.order[jobs], level))].tolist()
    return chosen


class Attempt:
    """Plans the movable jobs around everyone else."""

    _start: Prices | None = None
    _ramp: RampBook | None = None

    def __init__(
        self,
        problem: Problem,
        settings: PlanningSettings,
        blocks: Blocks,
        asap: Listing,
        *,
        subset: NDArray[np.int64],
        budget: Budget,
        part: Share | None = None,
        bare: Listing | None = None,
    ) -> None:
        """`asap` is where all fit; `part` is the share of a power cap, `bare` then the listing without it."""
        self.budget, self.asap, self.subset = budget, asap, subset
        self._problem, self._settings, self._blocks = problem, settings, blocks
        self._division, self._bare = part, asap if bare is None else bare
        self._chain = chains(problem.jobs, problem.depends)
        candidates = subset[problem.movable[subset]]
        self._question = ask(problem, settings, blocks, candidates, asap.timeline.free)
        self._hint = np.full(problem.jobs, NOWHERE)

    def remember(self, last: Plan | None) -> None:
        """Begin from the slots and the prices of an earlier plan, as far as they are about the same."""
        grid = self._problem.grid
        if last is None or last.grid.slot_seconds != grid.slot_seconds:
            return
        place = {job: at for at, job in enumerate(last.job_id.tolist())}
        rows = [place.get(job, -1) for job in self._problem.job_id.tolist()]
        known = np.array(rows, np.int64)
        slot = (last.start[known] - grid.start) // grid.slot_seconds if len(last.start) else known
        there = (known >= 0) & (slot >= 0) & (slot < grid.count)
        self._hint = np.where(there, slot, NOWHERE)
        # Of the same slot and the same carbon prices: what cost least then costs about the least now.
        same = last.grid.start == grid.start and not len(self._problem.carbon_extra)
        self.budget = replace(self.budget, mend=same)
        passed = (grid.start - last.grid.start) // grid.slot_seconds
        price = last.proof.room_price
        if price.shape == self._question.instance.free.shape and 0 <= passed < grid.count:
            moved = np.pad(price[:, passed:], ((0, 0), (0, passed)), mode="edge")
            self._start = Prices(moved, last.proof.carbon_price)

    def standing(self, fixed: NDArray[np.int64]) -> Standing:
        """Who could be deferred, and who keeps a begin time for want of signals."""
        core, stuck, _ = self._sorted_out()
        may, kept = (np.zeros(self._problem.jobs, np.bool_) for _ in range(2))
        may[self._question.jobs[core]] = True
        kept[self._question.jobs[stuck]] = True
        row = np.full(self._problem.jobs, -1, np.int64)
        row[self._question.jobs] = np.arange(len(self._question.jobs))
        return Standing(may, kept, self._chain, fixed, self._question, row)

    def run(self, fixed: NDArray[np.int64], improve: Improve | None) -> Outcome:
        """The plan; `fixed` are jobs (indices) that stand where they are, and were not to be placed."""
        problem, question = self._problem, self._question
        core, stuck, unknown = self._sorted_out()
        outcome = Outcome.empty(problem)
        outcome.reason[question.jobs] = Reason.LATEST_START
        outcome.reason[question.jobs[unknown]] = Reason.NO_SIGNAL
        # Everyone has a place in `listing` at every moment, so whoever moves leaves the others theirs.
        listing = self.asap.copy()
        self._ramp = self._ramp_book(fixed, listing)
        self._count_in_force(self._given_back(core | stuck))
        held = self._keep(listing, question.jobs[stuck])
        outcome.reason[held] = Reason.KEPT
        outcome.moved[held] = listing.start[held] > np.maximum(problem.earliest[held], problem.now)
        pressed = self._press(listing, outcome)
        tied = self._chain[question.jobs]
        for number in np.unique(tied[core & (tied >= 0)]).tolist():
            self._move_chain(listing, outcome, np.flatnonzero(core & (tied == number)))
        rows = np.flatnonzero(core & (tied < 0))
        listing.take_out(question.jobs[rows])
        self._optimise(listing, outcome, rows, improve)
        planned = np.concatenate([question.jobs[core], np.array(held, np.int64), pressed])
        listing.again(in_order(problem, np.setdiff1d(self.subset, planned)))
        outcome.start, outcome.slot = listing.start, listing.slot
        return outcome

    def _keep(self, listing: Listing, stuck: NDArray[np.int64]) -> list[int]:
        """Put jobs whose signals are gone back to the begin time they have, where there is room."""
        held = []
        for job in in_order(self._problem, stuck):
            before = (int(listing.slot[job]), int(listing.start[job]))
            at, power = int(self._problem.current[job]), float(self._blocks.step_kw[job])
            listing.take_out(np.array([job]))
            in_ramp = self._ramp is None or (
                at < self._problem.grid.end and self._ramp.allows(at, power)
            )
            if in_ramp and listing.hold((job,)):
                held.append(job)
                if self._ramp is not None:
                    self._ramp.commit(at, power)
            else:
                listing.place(job, *before)
                self._count_in_force([job])
        return held

    def _press(self, listing: Listing, outcome: Outcome) -> NDArray[np.int64]:
        """Begin times of those that are let through the power cap, each in its slot."""
        if self._division is None:
            return np.zeros(0, np.int64)
        problem, grid = self._problem, self._problem.grid
        capped = np.isfinite(problem.site_kw)
        for job in self._division.pressed.tolist():
            slot, power = int(listing.slot[job]), float(self._blocks.step_kw[job])
            current, soonest = int(problem.current[job]), int(self._bare.start[job])
            first, floor = listing.floor(job)
            if not capped[first:slot].any():
                first = grid.slot_of(
                    soonest
                )  # under a cap room may not come sooner than is thought
            bounds = max(floor, grid.slot_start(slot)), int(self._blocks.latest[job])
            outcome.reason[job] = Reason.POWER_CAP
            at: int | None
            if grid.slot_of(current) == slot and bounds[0] <= current <= bounds[1]:
                at = current
            elif slot <= first and current <= problem.now:
                outcome.reason[job] = Reason.LATEST_START
                continue
            elif self._ramp is None:
                at = spread_time(
                    grid, self._settings.spread, int(problem.job_id[job]), slot, bounds
                )
            else:
                at = self._ramp.fit(slot, power, bounds)
            if at is None or (self._ramp is not None and not self._ramp.allows(at, power)):
                outcome.reason[job] = Reason.RAMP
                self._count_in_force([job])
                continue
            listing.take_out(np.array([job]))
            listing.place(job, slot, at)
            outcome.moved[job] = at > floor
            if self._ramp is not None:
                self._ramp.commit(at, power)
            if at <= floor:
                self._count_in_force([job])
        return self._division.pressed

    def _sorted_out(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Rows of the question: to optimise, to keep where they are, to start at once for want of signals."""
        problem, question, asap = self._problem, self._question, self.asap
        jobs, instance = question.jobs, question.instance
        in_time = (asap.start[jobs] <= self._blocks.latest[jobs]) & (
            asap.slot[jobs] < problem.grid.count
        )
        in_force = problem.current[jobs] > problem.now
        waits = question.has_choice()
        masked = question.limited & (instance.special[:, FIRST] < 0)
        unknown = ~np.isfinite(question.first_cost) & ~masked & ~in_force
        stuck = in_force & (instance.special[:, KEPT] < 0) & ~waits & in_time
        priced = np.isfinite(instance.cost_at(np.arange(len(jobs)), asap.slot[jobs])) | masked
        core = in_time & ~unknown & ~stuck & (priced | in_force)
        core &= waits | (instance.special >= 0).any(axis=1)
        if self._division is not None:  # the others have what they need, or are let through
            core &= ~self._division.uncapped[jobs]
        # Of jobs tied together all are planned or none: else one would be listed before what it waits for.
        chain = self._chain[jobs]
        broken = (chain >= 0) & np.isin(chain, chain[~core])
        return core & ~broken, stuck & ~broken, unknown & in_time

    def _move_chain(self, listing: Listing, outcome: Outcome, rows: NDArray[np.int64]) -> None:
        """Move jobs tied by dependencies, predecessors first, each to where it costs least after those."""
        problem = self._problem
        row_of = {int(self._question.jobs[row]): row for row in rows.tolist()}
        order = in_order(problem, self._question.jobs[rows])
        before = [(job, int(listing.slot[job]), int(listing.start[job])) for job in order]
        ramp = deepcopy(self._ramp)
        listing.take_out(np.array(order))
        for number, job in enumerate(order):
            if not self._place_alone(listing, outcome, job, row_of[job]):
                listing.take_out(np.array(order[:number], np.int64))
                for other, slot, start in before:
                    listing.place(other, slot, start)
                outcome.moved[order] = False
                outcome.reason[order] = Reason.CAPACITY
                self._ramp = ramp
                self._count_in_force(order)
                return

    def _place_alone(self, listing: Listing, outcome: Outcome, job: int, row: int) -> bool:
        """Place one job of a chain; False where nothing in its window has room."""
        question = self._part(np.array([row]), listing)
        slot, floor = listing.floor(job)
        if floor > int(question.earliest[0]):
            question = question.not_before(slot, floor)
        solution = solve(question.instance, self.budget)
        begins = Realiser(
            self._problem,
            self._settings,
            self._blocks,
            question,
            placement=solution.placement,
            ramp=self._ramp,
        ).run(awaited=listing.awaited(job))
        at = int(begins.start[0])
        if not at or at > self._blocks.latest[job]:
            return False
        listing.place(job, int(begins.slot[0]), at)
        outcome.moved[job], outcome.reason[job] = begins.moved[0], begins.reason[0]
        outcome.let_go += [job] * len(begins.let_go)
        return True

    def _optimise(
        self,
        listing: Listing,
        outcome: Outcome,
        rows: NDArray[np.int64],
        improve: Improve | None,
    ) -> None:
        """All rows together; those that find no place are listed behind."""
        problem, settings, blocks = self._problem, self._settings, self._blocks
        question = self._part(rows, listing)
        hint = self._hint[question.jobs]
        safe = self.asap.slot[question.jobs]
        if not is_capped(problem):  # under a cap on power who comes by himself may be held for it
            soonest = np.minimum(safe, self._bare.slot[question.jobs])
            question = question.from_by_itself(soonest, settings.min_benefit)
        question = replace(question, instance=question.instance.with_safe(safe))
        if settings.capacity_margin:
            # What the schedule as soon as possible takes of the reserve may be taken.
            used = question.instance.usage(np.arange(len(rows)), safe)
            room = np.maximum(question.instance.free, used)
            question = replace(question, instance=replace(question.instance, free=room))
        solution = solve(question.instance, self.budget, self._start, hint, safe)
        if improve is not None and len(rows):
            solution = improve(solution, question)
        reserve = None
        if settings.capacity_margin:
            bounded = np.isfinite(question.instance.free)
            reserve = np.where(bounded, listing.timeline.free, 0.0)
            reserve -= np.where(bounded, question.instance.free, 0.0)
        realiser = Realiser(
            problem,
            settings,
            blocks,
            question,
            placement=solution.placement,
            ramp=self._ramp,
            asap=self._bare.slot[question.jobs],
        )
        begins = realiser.run(reserve)
        placed = begins.start > 0
        jobs = question.jobs
        listing.place_all(jobs[placed], begins.slot[placed], begins.start[placed])
        outcome.moved[jobs], outcome.reason[jobs] = begins.moved, begins.reason
        outcome.over_ramp = [int(jobs[row]) for row in begins.over_ramp]
        outcome.let_go = [int(jobs[row]) for row in begins.let_go]
        listing.first_fit(in_order(problem, jobs[~placed]))
        placed_at = solution.placement
        # A job that goes as soon as possible may go where its cost is unknown.
        costs = np.where(np.isfinite(placed_at.cost), placed_at.cost, question.instance.beyond)
        objective = float(costs.sum())
        # Who goes earlier may use the reserve, who is let through the cap more: the bound knows of neither.
        outside = settings.capacity_margin or begins.let_go or begins.over_ramp
        bound = min(solution.bound, objective) if outside else solution.bound
        if question.instance.capped:
            # A cap that is not kept proves nothing: this is the bound under a cap of what is emitted.
            emitted = question.instance.co2_at(np.arange(len(rows)), placed_at.slot).sum()
            over = max(0.0, float(emitted) - question.instance.co2_cap)
            bound -= solution.prices.carbon * over
        outcome.proof = Proof(
            objective - question.offset,
            bound - question.offset,
            solution.stages,
            solution.prices.room,
            solution.prices.carbon,
            len(rows),
        )

    def _ramp_book(self, fixed: NDArray[np.int64], listing: Listing) -> RampBook | None:
        """The starts that are commanded already, of jobs that were placed before."""
        problem, settings = self._problem, self._settings
        ramp = ramp_book(problem.grid, settings.ramp_kw_per_5min, settings.spread, problem.recent)
        if ramp is not None:
            for job in fixed[problem.current[fixed] > problem.now].tolist():
                ramp.commit(int(listing.start[job]), float(self._blocks.step_kw[job]))
        return ramp

    def _given_back(self, planned: NDArray[np.bool_]) -> list[int]:
        """Jobs with a begin time in force that no part of this attempt plans: `planned` (n,) are the others."""
        jobs = self._question.jobs
        pressed = np.zeros(0, np.int64) if self._division is None else self._division.pressed
        chosen: list[int] = jobs[~planned & ~np.isin(jobs, pressed)].tolist()
        return chosen

    def _count_in_force(self, jobs: Iterable[int]) -> None:
        """Count the begin times of who is given back: the ramp cap may leave no room for that before them."""
        if self._ramp is None:
            return
        for job in jobs:
            at = int(self._problem.current[job])
            if at > self._problem.now:
                self._ramp.commit(at, float(self._blocks.step_kw[job]))

    def _reserve(self) -> NDArray[np.float64]:
        """(C, S) the room that deferred jobs leave free: none in the present slot, where nobody is deferred."""
        total = self._question.instance.total
        share = np.where(np.isfinite(total), self._settings.capacity_margin * total, 0.0)
        reserve = np.repeat(share[:, None], self._problem.grid.count, axis=1)
        reserve[:, 0] = 0.0
        return reserve

    def _part(self, rows: NDArray[np.int64], listing: Listing) -> Question:
        """The question about `rows` in the room that `listing` leaves."""
        free = listing.timeline.free.copy()
        if self._settings.capacity_margin:
            free -= self._reserve()
        return self._question.part(rows, free)
