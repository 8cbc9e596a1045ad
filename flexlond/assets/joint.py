"""Jobs and assets together under the site's cap on import.

Law: pure but for the solver it is given. The jobs' plan is always one of planner.plan's, checked there, under
a cap that leaves the assets their power; the dispatch is checked here (check.py). Several divisions of the
cap are tried: the assets' own wish first, then what is left after the jobs, then the division of a model that
has both (exact where few jobs make it small, and then its starts too). The best of them stands: the fewest
late, the least above the cap, then the least cost. Without a dispatch that passes, the assets keep to their
neutral and the jobs' plan leaves them that. An asset with a stale reading is left out, and said so; the cap
then leaves it what it may draw.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.assets.check import check_dispatch
from flexlond.assets.dispatch import Dispatch, Site, dispatch
from flexlond.assets.model import Division, divide
from flexlond.assets.plant import usable
from flexlond.planning.capacity import blocks_of
from flexlond.planning.check import check_instance
from flexlond.planning.instance import NOWHERE
from flexlond.planning.planner import plan
from flexlond.planning.ranking import run_costs, score_of
from flexlond.planning.room import Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.assets.dispatch import Solver
    from flexlond.assets.plant import Asset, Reading
    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.question import Question
    from flexlond.planning.solve import Budget, Solution

    Improve = Callable[[Solution, Question], Solution]

_AGAIN = 5  # times that the exact model is asked
_ROUNDS = 2  # in which jobs and assets give way to each other
_LEAST = 0.2  # s for any call of the solver
_PART = 0.125  # of the time: the most for one dispatch
_SAME = 1e-9  # GBP
_LOOSE = 1e9  # kW, kg: a cap that binds nobody
_OVER = 1e-3  # kWh above the cap that count as none


@dataclass(frozen=True, slots=True)
class Stage:
    """What one division of the cap came to."""

    name: str  # "assets first", "in turn", "relaxed", "exact"
    cost_gbp: float
    over_kwh: float


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """The jobs' plan and the assets' dispatch that belong together."""

    plan: Plan
    dispatch: Dispatch
    cost_gbp: float  # energy, carbon and delay of the jobs; energy, carbon and wear of the assets
    stages: tuple[Stage, ...]
    problems: tuple[str, ...]  # of the assets and the cap; the jobs' own are in the plan
    proven: bool = False  # the exact model was solved to its end and its answer was taken
    room_kw: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(S,) the cap that the jobs were planned under; empty: none."""


def high_kw(problem: Problem, start: NDArray[np.int64]) -> NDArray[np.float64]:
    """(S,) kW that may be drawn: base, running, jobs from `start` (J,); whole slots while room is kept."""
    grid, blocks, running = problem.grid, blocks_of(problem), problem.running
    placed = (start > 0) & (start < grid.end)
    first = (start[placed] - grid.start) // grid.slot_seconds
    earliest = np.maximum(problem.earliest[placed], problem.now)
    begin = np.maximum(grid.start + first * grid.slot_seconds, earliest)
    last = np.ceil((begin + blocks.hold[placed] - grid.start) / grid.slot_seconds).astype(np.int64)
    since = np.full(len(running.end), grid.start)
    if len(running.begin):
        since = np.maximum(since, running.begin)
    from_slot = (since - grid.start) // grid.slot_seconds
    # What overruns its end takes the first slot still.
    until = np.ceil((running.end - grid.start) / grid.slot_seconds).astype(np.int64)
    until = np.maximum(until, np.minimum(from_slot + 1, 1))
    begins = np.clip(np.concatenate([first, from_slot]), 0, grid.count)
    ends = np.maximum(np.clip(np.concatenate([last, until]), 0, grid.count), begins)
    kw = np.concatenate([blocks.step_kw[placed], running.kw])
    size = grid.count + 1
    step = np.bincount(begins, kw, size) - np.bincount(ends, kw, size)
    power: NDArray[np.float64] = problem.base_kw + np.cumsum(step)[: grid.count]
    return power


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """An answer, and what it is judged by."""

    joint: Joint
    late: int  # jobs past their latest start
    over_kwh: float
    gbp: NDArray[np.float64]  # (J,) of the jobs, NaN unknown

    def beats(self, other: _Tried) -> bool:
        """Fewer late, less above the cap, cheaper: in this order; of jobs whose cost both know."""
        if self.late != other.late:
            return self.late < other.late
        if abs(self.over_kwh - other.over_kwh) > _OVER:
            return self.over_kwh < other.over_kwh
        jobs = self.gbp - other.gbp
        assets = self.joint.dispatch.cost_gbp - other.joint.dispatch.cost_gbp
        return float(jobs[np.isfinite(jobs)].sum()) + assets < -_SAME


class _Search:
    """Tries divisions of the cap and keeps the best."""

    def __init__(
        self,
        problem: Problem,
        settings: PlanningSettings,
        assets: Sequence[Asset],
        readings: Mapping[str, Reading],
        *,
        cap_kw: NDArray[np.float64],
        export_kw: float,
        solver: Solver,
        until: Callable[[], float],
        budget: Budget | None,
        last: Plan | None,
    ) -> None:
        self.left, self.seconds = until, until()
        self.problem, self.settings = problem, settings
        self.assets, self.readings = assets, readings
        self.cap_kw, self.export_kw = cap_kw, export_kw
        self.solver = solver
        self.budget, self.last = budget, last
        self.capped = bool(np.isfinite(cap_kw).any())
        self.score = score_of(problem.price, problem.carbon, settings)
        grid = problem.grid
        hours = np.full(grid.count, grid.slot_seconds / 3600.0)
        hours[0] = max(grid.start + grid.slot_seconds - problem.now, 1) / 3600.0
        self.hours = hours
        self.stages: list[Stage] = []
        self.best: _Tried | None = None
        self.question: Question | None = None

    def site(self, high: NDArray[np.float64], low: NDArray[np.float64]) -> Site:
        """The assets' site beside a load."""
        return Site(self.hours, self.score, self.cap_kw, high, low, self.export_kw)

    def attempt(
        self,
        name: str,
        kw: NDArray[np.float64] | None,
        slots: Mapping[int, int] | None = None,
    ) -> Joint | None:
        """Jobs under what assets at `kw` (A, S) leave, then the assets beside them; keeps the better one.

        `kw` None: the jobs are not capped, so that the question has all of them; `slots` then are the model's,
        which keeps the cap by itself.
        """
        room = np.zeros(0)
        if self.capped:
            loose = np.full(self.problem.grid.count, _LOOSE)
            room = loose if kw is None else self.cap_kw - kw.sum(axis=0)

        def improve(solution: Solution, question: Question) -> Solution:
            if kw is None:
                self.question = question
            return solution if slots is None else _placed(solution, question, slots)

        asked = replace(self.problem, site_kw=room)
        if slots is not None:
            # What keeps a cap may cost more than as soon as possible: the planner asks less only without one.
            asked = replace(asked, co2_cap_kg=min(self.problem.co2_cap_kg, _LOOSE))
        found = plan(
            asked,
            self.settings,
            budget=self.budget,
            last=self.best.joint.plan if self.best else self.last,
            improve=improve,
        )
        site = self.beside(found)
        made = self.dispatch(site)
        if made is None or check_dispatch(site, self.assets, self.readings, made):
            return None
        late, gbp = self._jobs_cost(found)
        cost = float(gbp[np.isfinite(gbp)].sum()) + made.cost_gbp
        over = float((made.over_kw * self.hours).sum())
        self.stages.append(Stage(name, cost, over))
        joint = Joint(found, made, cost, (), made.problems, room_kw=room)
        tried = _Tried(joint, late, over, gbp)
        if self.best is None or tried.beats(self.best):
            self.best = tried
        return joint

    def beside(self, found: Plan) -> Site:
        """The assets' site beside a plan of the jobs."""
        high = high_kw(self.problem, found.start)
        # A start that is spread inside its slot ends a little after the slots that are counted for it.
        return self.site(high, np.minimum(found.kw, high))

    def stands(self, joint: Joint) -> bool:
        """Whether `joint` is the best so far."""
        return self.best is not None and self.best.joint is joint

    def alone(self) -> Dispatch | None:
        """The assets beside what cannot be moved: what they would like to do."""
        none = np.zeros(self.problem.jobs, np.int64)
        load = high_kw(self.problem, none)
        return self.dispatch(self.site(load, load))

    def dispatch(self, site: Site) -> Dispatch | None:
        """The assets beside a load, in a small part of the time."""
        seconds = max(_LEAST, min(self.seconds * _PART, self.left()))
        return dispatch(site, self.assets, self.readings, self.solver, seconds)

    def exactly(self, loose: Joint) -> bool:
        """Try the model's own starts; whether the answer that stands is one that was proven.

        A start that the planner moves (for its margins, say) is barred, and the model asked again.
        """
        barred: set[tuple[int, int]] = set()
        for _ in range(_AGAIN):
            if self.left() <= 0:
                return False
            division = self.divide(loose, exact=True, barred=barred)
            made = None if division is None else self.attempt("exact", None, division.slots)
            if division is None or made is None:
                return False
            slot = made.plan.slot.tolist()
            refused = {(job, at) for job, at in division.slots.items() if slot[job] != at}
            if not refused:
                return division.proven and not barred and self.stands(made)
            barred |= refused
        return False

    def divide(
        self, loose: Joint, *, exact: bool, barred: Collection[tuple[int, int]] = ()
    ) -> Division | None:
        """The division of the model that has jobs and assets; `loose` is the plan that had no cap."""
        if self.question is None:
            return None
        return divide(
            self.problem,
            self.question,
            self.beside(loose.plan),
            self.assets,
            self.readings,
            plan=loose.plan,
            incumbent=loose.plan.slot if self.best is None else self.best.joint.plan.slot,
            solver=self.solver,
            seconds=max(_LEAST, self.left()),
            exact=exact,
            barred=barred,
        )

    def _jobs_cost(self, found: Plan) -> tuple[int, NDArray[np.float64]]:
        """How many jobs are late, and (J,) GBP of energy, carbon and delay of each; NaN unknown."""
        problem, blocks = self.problem, blocks_of(self.problem)
        gbp = run_costs(problem.grid, self.score, blocks.kw, found.start, blocks.span)
        delay = self.settings.delay_price * problem.delay_weight / 86400.0
        gbp += delay * (found.start - np.maximum(problem.earliest, problem.now))
        return int((found.start > blocks.latest).sum()), gbp


def plan_jointly(
    problem: Problem,
    settings: PlanningSettings,
    assets: Sequence[Asset],
    readings: Mapping[str, Reading],
    *,
    solver: Solver,
    seconds: float = 5.0,
    clock: Callable[[], float] = lambda: 0.0,
    export_kw: float = 0.0,
    exact: bool = True,
    budget: Budget | None = None,
    last: Plan | None = None,
) -> Joint:
    """Plan jobs and assets; `problem.site_kw` is the site's cap on import, assets included.

    The solver has `seconds` of `clock` together, and _LEAST for each call that must be; without a clock each
    call has that long, which is repeatable. `exact` allows the model with whole jobs.
    """
    began = clock()
    good, words = usable(assets, readings, problem.now)
    absent = sum(asset.absent_kw for asset in assets if asset not in good)
    own = problem.site_kw if len(problem.site_kw) else np.full(problem.grid.count, np.inf)
    search = _Search(
        problem,
        settings,
        good,
        readings,
        cap_kw=own - absent,
        export_kw=export_kw,
        solver=solver,
        until=lambda: began + seconds - clock(),
        budget=budget,
        last=last,
    )
    wish = search.alone()
    proven = False
    if wish is not None and not (search.capped and good):
        search.attempt("assets first", wish.kw)
    elif wish is not None:
        loose = search.attempt("jobs first", None)
        turn = search.attempt("assets first", wish.kw)
        for _ in range(_ROUNDS):
            if turn is None or not search.stands(turn) or search.left() <= 0:
                break
            turn = search.attempt("in turn", turn.dispatch.kw)
        if loose is not None:
            relaxed = search.divide(loose, exact=False)
            if relaxed is not None:
                search.attempt("relaxed", relaxed.kw)
            proven = exact and search.exactly(loose)
    if search.best is None:
        return _without(search, words)
    best = search.best.joint
    return replace(
        best,
        stages=tuple(search.stages),
        problems=(*words, *best.problems),
        proven=proven,
    )


def _placed(solution: Solution, question: Question, slots: Mapping[int, int]) -> Solution:
    """The model's own starts, where they fit; else `solution`."""
    instance = question.instance
    wanted = np.array([slots.get(job, NOWHERE) for job in question.jobs.tolist()], np.int64)
    if check_instance(instance, wanted):
        return solution
    placement = Placement(instance, solution.prices)
    placement.adopt(wanted)
    return replace(
        solution,
        slot=placement.slot,
        objective=instance.objective(wanted),
        placement=placement,
    )


def _without(search: _Search, words: Sequence[str]) -> Joint:
    """The jobs alone, the assets at their neutral: there is no dispatch that passes."""
    slots = search.problem.grid.count
    neutral = sum(asset.absent_kw for asset in search.assets)
    room = search.cap_kw - neutral if search.capped else np.zeros(0)
    found = plan(
        replace(search.problem, site_kw=room),
        search.settings,
        budget=search.budget,
        last=search.last,
    )
    nothing = Dispatch(
        (), np.zeros((0, slots)), np.zeros((0, slots)), 0.0, np.zeros(slots), np.zeros(slots)
    )
    said = "no dispatch of the assets was found that passes its check: they keep to their neutral"
    return Joint(found, nothing, float("nan"), (), (*words, said), room_kw=room)
