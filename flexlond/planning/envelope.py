"""The flexibility envelope: how many kW the planned jobs can give or take in a window, and at what price.

Law: pure; the same question and seed give the same answer, unless the exact solver runs out of time. For each
window and depth the jobs around it are planned again (reshape.py), and a step says only what that re-plan does:
the kW that every slot of the window gets, never the depth that was asked; the price, by which it costs more
(energy, carbon price, delay) than the best placement found for the same jobs without the window, so that what
the plan in force could save anyway is not sold; and by how much that price can be wrong at most, from the
bounds of both. Deeper is never cheaper: a step that another beats in kW and price is dropped. What is dearer to
know than to do is not offered: a step whose price is smaller than its uncertainty is withheld, and so is one of
which nothing is certain, or after which the site would draw more than the rebound cap allows. What is offered
is the certain part, less a margin. The price is what it costs; what it is sold for is the market's affair. Down
is less power, up is more; kW are positive in both. Running jobs are stopped only where the caller names who may
be, and only for depths that deferral does not reach (deeper.py). Times in seconds, money in GBP.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.certainty import certain_kw, delivered_samples
from flexlond.planning.deeper import Deeper
from flexlond.planning.exact_time import ExactTime
from flexlond.planning.problem import PlanningError
from flexlond.planning.reshape import SITE, Placed, Reshape, Scene
from flexlond.planning.solve import Budget
from flexlond.planning.steps import Curve, Direction, Step, Terms, with_deeper

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.deeper import Deep, Stoppables
    from flexlond.planning.problem import Plan, Problem

__all__ = ["Curve", "Direction", "Step", "Terms", "envelope"]

_BONUSES = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 20.0)  # times the spread of the score over the slots
_EVEN = 1.0  # share by which the bonus of a slot rises that gets nothing while others get all
_SEARCHED = 24_000  # steps of search times jobs, of one re-plan
_FEWEST = 4  # jobs: fewer are not worth asking about
_SURE = 1e-5  # share of the cost at which a certified gap is nothing
_EPSILON = 1e-6
_WATTS = 6  # digits of a kW to which two steps give the same


def envelope(
    problem: Problem,
    settings: PlanningSettings,
    last: Plan,
    windows: Iterable[tuple[int, int]],
    terms: Terms | None = None,
    *,
    budget: Budget | None = None,
    running: Stoppables | None = None,
) -> tuple[Curve, ...]:
    """The down curve and the up curve of each of `windows`, in this order.

    `last` is the plan in force of this `problem`. A window is its first and last slot, both included.
    `budget` is of one re-plan; `running` are the jobs that may be stopped (None: nobody).
    PlanningError where a window is not on the grid or `last` is the plan of other
    jobs; ImportError where the exact solver is asked for and is not installed.
    """
    terms = Terms() if terms is None else terms
    budget = _budget_of(settings, terms.most) if budget is None else budget
    scene = Scene(problem, settings, last)
    curves, windows = [], tuple(windows)
    if running is not None and windows:
        running = replace(running, plans=-(-running.plans // len(windows)))
    asked = [(Direction.DOWN, terms.down), (Direction.UP, terms.up)]
    count = len(windows) * sum(bool(depths) for _, depths in asked)
    exact = ExactTime(terms.exact_seconds, count)
    for first, final in windows:
        if not 0 <= first <= final < problem.grid.count:
            raise PlanningError(f"window ({first}, {final}) is not in 0..{problem.grid.count - 1}")
        for direction, some in asked:
            least = float(last.kw[first : final + 1].min()) if terms.shares else 1.0
            depths = sorted(depth * least for depth in some if depth * least > _EPSILON)
            if some:
                exact.begin()
            if depths:
                maker = _Maker(scene, terms, budget, (first, final), direction, running, exact)
                curves.append(maker.curve(depths))
    return tuple(curves)


def _budget_of(settings: PlanningSettings, most: int) -> Budget:
    """The site's budget in steps; a small question can bear more of them per job than a whole plan."""
    return Budget(
        dual_steps=settings.dual_steps,
        passes=4,
        blocks=24,
        search_steps=min(settings.search_steps, _SEARCHED // most),
        steps_per_job=40,
        enough=1e-5,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Maker:
    """Chooses how many jobs are reconsidered for one window, and whether the exact solver prices them."""

    scene: Scene
    terms: Terms
    budget: Budget
    window: tuple[int, int]
    direction: Direction
    running: Stoppables | None
    time: ExactTime

    def curve(self, depths: Sequence[float]) -> Curve:
        """The curve at `depths` (kW, rising)."""
        curve, reshape = self._deferred(depths)
        if self.running is None or not self.running.candidates or self.direction is Direction.UP:
            return curve
        # Only where all may be deferred who can is it known what deferral does not reach.
        jobs, terms = self.scene.whole.instance.jobs, self.terms
        base = reshape.cost(reshape.slot) - curve.improvable_gbp
        if len(reshape.jobs) < min(jobs, terms.most):
            exact = terms.exact_seconds > 0 and jobs <= terms.exact_jobs
            reshape = self._reshape(terms.most, exact=exact)
            base = reshape.before.cost_gbp
        tracer = _Tracer(self.scene, reshape, terms, self.direction)
        reached = max((step.kw for step in curve.everything), default=0.0)
        beyond = [depth for depth in depths if depth > reached + _EPSILON]
        deeper = Deeper(self.scene, reshape, self.running)
        return with_deeper(curve, tracer.deeper(beyond, (reached, base), deeper))

    def _deferred(self, depths: Sequence[float]) -> tuple[Curve, Reshape]:
        """By deferral alone, with the question that it answers."""
        jobs, terms = self.scene.whole.instance.jobs, self.terms
        if not terms.exact_seconds or not jobs:
            reshape = self._reshape(terms.most, exact=False)
            return self._traced(reshape, depths), reshape
        if jobs > terms.exact_jobs:
            reshape = self._reshape(terms.most, exact=False)
            found = self._traced(reshape, depths)
            if found.steps:
                return found, reshape
        # What is proved of fewer jobs is worth more than what is only likely of many.
        sizes = [jobs] if jobs <= terms.exact_jobs and not self.scene.open else []
        size = min(jobs - 1, terms.exact_jobs)
        while size >= _FEWEST or not sizes:
            sizes.append(max(1, size))
            size //= 2
        for size in sizes:
            reshape = self._reshape(size, exact=True)
            if reshape.closed:
                break
            self.scene.open = self.scene.open or size == jobs
        return self._traced(reshape, depths), reshape

    def _reshape(self, most: int, *, exact: bool) -> Reshape:
        up = self.direction is Direction.UP
        return Reshape(
            self.scene,
            self.window,
            up=up,
            terms=self.terms,
            budget=self.budget,
            most=most,
            exact=self.time if exact else None,
        )

    def _traced(self, reshape: Reshape, depths: Sequence[float]) -> Curve:
        return _Tracer(self.scene, reshape, self.terms, self.direction).curve(depths)


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """An answer with what it does in the window."""

    asked: float
    placed: Placed
    change: NDArray[np.float64]  # (S,)
    kw: float
    floor: float  # GBP: no answer that gives as much costs less
    deep: Deep | None = None  # with running jobs stopped

    @property
    def cost_gbp(self) -> float:
        """Of the jobs and the stops together."""
        return self.placed.cost_gbp + (self.deep.stopping.cost_gbp if self.deep else 0.0)


class _Tracer:
    """Makes one curve."""

    def __init__(self, scene: Scene, reshape: Reshape, terms: Terms, direction: Direction) -> None:
        self._scene, self._reshape, self._terms = scene, reshape, terms
        self._up = direction is Direction.UP
        self._direction = direction
        window = reshape.window
        self._window = window
        self._hours = (window.stop - window.start) * scene.problem.grid.slot_seconds / 3600.0

    def curve(self, depths: Sequence[float]) -> Curve:
        """The curve at `depths` (kW, rising)."""
        reshape = self._reshape
        points = (self._ups if self._up else self._downs)(depths) if len(reshape.jobs) else []
        before = reshape.before
        # Any answer found is one without the window as well.
        kept = [point for point in points if not reshape.passed(point.placed.slot)]
        base = min([before.cost_gbp, *(point.placed.cost_gbp for point in kept)])
        steps: list[Step] = []
        withheld = [
            (self._step(point, base), f"the {name} would not be kept")
            for point in points
            if (name := reshape.passed(point.placed.slot))
        ]
        for point in _undominated(kept):
            step = self._step(point, base)
            why = self._why_not(step, steps)
            if why:
                withheld.append((step, why))
            else:
                steps.append(step)
        return Curve(
            (self._window.start, self._window.stop - 1),
            self._direction,
            tuple(steps),
            tuple(withheld),
            len(reshape.jobs),
            _gap(base, before.bound_gbp),
            reshape.cost(reshape.slot) - base,
        )

    def deeper(
        self, depths: Sequence[float], known: tuple[float, float], deeper: Deeper
    ) -> list[tuple[Step, str]]:
        """Steps at `depths` with running jobs stopped, with why one is not offered.

        `known` are the kW that deferral reaches, and the GBP of the jobs without the window.
        """
        before, (reached, base) = self._reshape.before, known
        points = []
        for depth in depths:
            deep = deeper.answer(depth, before)
            if deep is not None:
                kw = float((-deep.change[self._window]).min())
                points.append(
                    _Point(depth, deep.placed, deep.change, kw, deep.placed.bound_gbp, deep)
                )
        points = [point for point in points if point.kw > reached + _EPSILON]
        found = []
        for point in _undominated(points):
            step, name = self._step(point, base), point.deep.passed if point.deep else ""
            why = f"the {name} would not be kept" if name else self._why_not(step, ())
            found.append((step, why))
        return found

    def _why_not(self, step: Step, offered: Sequence[Step]) -> str:
        """Why `step` is not offered after those before it; "" when it is."""
        last = self._scene.last
        if step.kw <= _EPSILON:
            return "it gives nothing in some slot of the window"
        if step.price_gbp < step.uncertainty_gbp - _EPSILON:
            return "its price is smaller than its uncertainty"
        if step.offered_kw <= _EPSILON:
            return f"nothing of it is certain at {self._terms.level:.0%}"
        if offered and step.offered_kw <= offered[-1].offered_kw + _EPSILON:
            return "no more of it is certain than of a cheaper step"
        if not self._up and step.peak_kw > self._terms.rebound * float(last.kw.max()) + _EPSILON:
            return "the power after it would be above the rebound cap"
        return ""

    def _point(self, asked: float, placed: Placed, floor: float) -> _Point:
        change = self._reshape.change(placed.slot)
        swing = change[self._window] if self._up else -change[self._window]
        return _Point(asked, placed, change, float(swing.min()), floor)

    def _downs(self, depths: Sequence[float]) -> list[_Point]:
        """Under a cap at each depth; where less is delivered than asked, once more under a lower one."""
        reshape, hint = self._reshape, self._reshape.before
        count = self._window.stop - self._window.start
        points, floor = [], hint.bound_gbp
        for depth in depths:
            asked = np.full(count, depth)
            hint = reshape.down(asked, hint)
            # A deeper cap allows no more than a shallower one.
            floor = max(floor, hint.bound_gbp)
            point = self._point(depth, hint, floor)
            short = np.maximum(depth + point.change[self._window], 0.0)
            if point.kw > _EPSILON and short.max() > _EPSILON * depth:
                again = reshape.down(asked + short, hint)
                better = self._point(depth, again, floor)
                if better.kw > point.kw and not reshape.passed(again.slot):
                    point, hint = better, again
            points.append(point)
        return points

    def _ups(self, depths: Sequence[float]) -> list[_Point]:
        """At rising bonuses, more where less came in, until all fits; the cheapest that reaches each depth."""
        reshape, hint = self._reshape, self._reshape.before
        found: list[tuple[NDArray[np.float64], _Point]] = []
        unit, weight = self._spread(), np.ones(self._window.stop - self._window.start)
        for factor in _BONUSES:
            bonus = unit * factor * weight
            hint = reshape.up(bonus, hint)
            point = self._point(depths[-1], hint, 0.0)
            found.append((bonus, point))
            if point.kw >= depths[-1]:
                break
            swing = point.change[self._window]
            weight = weight * (1.0 + _EVEN * (swing.max() - swing) / max(depths[-1], swing.max()))
            weight /= weight.mean()
        drawn = reshape.drawn()[self._window]
        hours = self._scene.problem.grid.slot_seconds / 3600.0

        def floor_of(kw: float) -> float:
            """The bound of giving `kw` more in every slot."""
            mwh = (drawn + kw) * hours / 1000.0
            bounds = [point.placed.bound_gbp + float(bonus @ mwh) for bonus, point in found]
            return max([reshape.before.bound_gbp, *bounds])

        points = []
        for depth in depths:
            made = [point for _, point in found if point.kw >= depth - _EPSILON]
            made = made or [max((one for _, one in found), key=lambda one: one.kw)]
            # What came in besides is given back before the cheapest is chosen.
            trimmed = [self._trimmed(point, depth) for point in made if point.kw > _EPSILON]
            if trimmed:
                point = min(trimmed, key=self._dearness)
                points.append(self._exactly(replace(point, floor=floor_of(point.kw)), depth))
        return points

    def _exactly(self, point: _Point, depth: float) -> _Point:
        """The exact solver's answer for `depth`, or for what `point` reaches of it, where it has one."""
        cost = point.placed.cost_gbp
        passed = bool(self._reshape.passed(point.placed.slot))
        if cost - point.floor <= _SURE * abs(cost) and not passed:
            return point
        for kw in (depth, min(depth, point.kw)):
            placed = self._reshape.up_to(kw, point.placed)
            if placed is None:
                continue
            exact = self._point(depth, placed, placed.bound_gbp)
            # Slurm may start others in the room that is left, and the solver's time has an end.
            beaten = point.kw >= kw - _EPSILON and point.placed.cost_gbp <= placed.cost_gbp
            beaten = beaten and not passed
            if exact.kw < kw - _EPSILON or beaten:
                floor = max(point.floor, placed.bound_gbp if point.kw >= kw - _EPSILON else 0.0)
                return replace(point, floor=floor)
            return exact
        return point

    def _trimmed(self, point: _Point, depth: float) -> _Point:
        """The point with no more moves than its depth needs."""
        slot = self._reshape.trimmed(point.placed, min(depth, point.kw))
        placed = replace(point.placed, slot=slot, cost_gbp=self._reshape.cost(slot))
        made = self._point(depth, placed, point.floor)
        # Slurm may start others in what was given back: then the point stays as it is.
        short = made.kw < min(depth, point.kw) - _EPSILON
        return replace(point, asked=depth) if short or self._reshape.passed(slot) else made

    def _dearness(self, point: _Point) -> tuple[bool, float]:
        """Less is better: a cap on carbon goes before what it costs."""
        return bool(self._reshape.passed(point.placed.slot)), point.placed.cost_gbp

    def _spread(self) -> float:
        """GBP/MWh by which slots differ in price and carbon price together."""
        problem, settings = self._scene.problem, self._scene.settings
        score = problem.price + settings.carbon_price * np.nan_to_num(problem.carbon) / 1000.0
        known = score[np.isfinite(score)]
        return max(float(np.std(known)) if known.size else 0.0, 1.0)

    def _step(self, point: _Point, base: float) -> Step:
        """The figures of a point, against `base` GBP without the window."""
        scene, reshape, terms = self._scene, self._reshape, self._terms
        grid, window = scene.problem.grid, self._window
        cost, floor = point.placed.cost_gbp, min(point.floor, point.placed.cost_gbp)
        price = point.cost_gbp - base
        dearest = point.deep.dearest_gbp if point.deep else cost
        uncertainty = (dearest - floor) + max(0.0, base - reshape.before.bound_gbp)
        stops = point.deep.stopping.stops if point.deep else ()
        changes = point.deep.changes if point.deep else reshape.changes(point.placed.slot)
        if point.deep is not None:
            uncertainty += point.deep.stopping.uncertainty_gbp
        jobs, was, start = changes
        priced = price >= uncertainty - _EPSILON and point.kw > 0
        samples = self._samples(changes, point.deep, priced=priced)
        drop = point.change if self._up else -point.change
        samples = -samples if self._up else samples
        certain = min(max(0.0, certain_kw(samples, terms.level)), max(point.kw, 0.0))
        offered = certain * (1.0 - terms.margin)
        mwh = offered * self._hours / 1000.0
        swing = -drop[window.stop :]
        after = (scene.last.kw + point.change)[window.stop :]
        peak = int(after.argmax()) if after.size else -1
        back = int(swing.argmax()) if swing.size and swing.max() > _EPSILON else -1
        kept = drop[window.start :] >= point.kw - _EPSILON
        soonest = int(np.minimum(was, start).min(initial=grid.slot_start(window.start)))
        if point.deep is not None:
            soonest = min(point.deep.soonest, *(stop.at for stop in stops))
        cap = np.full(grid.count, np.inf)
        if not self._up:
            taken = reshape.question.instance.usage(np.arange(len(reshape.jobs)), point.placed.slot)
            cap[window] = taken[SITE, window]
        return Step(
            asked_kw=point.asked,
            kw=point.kw,
            offered_kw=offered,
            certain_kw=certain,
            price_gbp=price,
            gbp_per_mwh=price / mwh if mwh > 0 else float("nan"),
            uncertainty_gbp=uncertainty,
            gap=_gap(cost, floor),
            notice_s=grid.slot_start(window.start) - soonest,
            longest_slots=int(len(kept) if kept.all() else kept.argmin()),
            rebound_kw=float(swing[back]) if back >= 0 else 0.0,
            rebound_slot=window.stop + back if back >= 0 else -1,
            peak_kw=float(after[peak]) if after.size else float("nan"),
            peak_slot=window.stop + peak if after.size else -1,
            moved_jobs=len(jobs),
            change_kw=point.change,
            cap_kw=cap,
            jobs=scene.problem.job_id[jobs],
            start=start,
            stopped=np.array([stop.candidate.job_id for stop in stops], np.int64),
        )

    def _samples(
        self,
        changes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
        deep: Deep | None,
        *,
        priced: bool,
    ) -> NDArray[np.float64]:
        """(M, W) kW less in the window, in sampled worlds: the queue played again, or runtimes alone.

        `changes` as of Reshape.changes; what is not `priced` is not offered and not played.
        """
        scene, window, terms = self._scene, self._window, self._terms
        grid = scene.problem.grid
        rehearsal = scene.rehearsal(terms.seed) if priced else None
        if rehearsal is None:
            drops = delivered_samples(
                scene.problem, scene.blocks, changes, window, samples=terms.samples, seed=terms.seed
            )
            return drops if deep is None else drops + deep.drops(deep.ends(terms), window)
        jobs, _, start = changes
        movable = scene.problem.movable
        begin = rehearsal.begin.copy()
        if not self._up:
            # Whom the window binds does not slip into it when others end sooner.
            bound = movable & (scene.last.start >= grid.slot_start(window.start))
            begin[bound] = scene.last.start[bound]
        ours = movable[jobs]
        begin[jobs[ours]] = start[ours]
        if deep is None:
            return rehearsal.drops(begin, window)
        stops = deep.stopping.stops
        return rehearsal.drops(begin, window, stops) + deep.drops(rehearsal.ends(stops), window)


def _undominated(points: Sequence[_Point]) -> list[_Point]:
    """By rising kW; each costs more than the one before it, and none is beaten in both."""
    chosen: list[_Point] = []
    for point in sorted(points, key=lambda one: (-round(one.kw, _WATTS), one.cost_gbp)):
        if not chosen or point.cost_gbp < chosen[-1].cost_gbp - _EPSILON:
            chosen.append(point)
    return chosen[::-1]


def _gap(cost: float, bound: float) -> float:
    """The share of the bound by which `cost` can be above the best."""
    return max(0.0, cost - bound) / max(abs(bound), 1e-9)
