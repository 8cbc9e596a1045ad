"""The flexibility envelope: how many kW the planned jobs can give or take in a window, and at what price.

Law: pure; the same question and seed give the same answer, unless the exact solver runs out of time. For each
window and depth the jobs around it are planned again (reshape.py), and a step says only what that re-plan does:
the kW that every slot of the window gets, never the depth that was asked; the price, by which it costs more
(energy, carbon price, delay) than the best placement found for the same jobs without the window, so that what
the plan in force could save anyway is not sold; and by how much that price can be wrong at most, from the
bounds of both. Deeper is never cheaper: a step that another beats in kW and price is dropped. What is dearer to
know than to do is not offered: a step whose price is smaller than its uncertainty is withheld, and so is one of
which nothing is certain, or after which the site would draw more than the rebound cap allows. Under a window
all wait as long as they may (rebound.py, `patient`), so down they do here; up no cap asks for it. What is
offered is the certain part, less a margin. The price is what it costs; what it is sold for is the market's
affair. Down is less power, up is more; kW are positive in both. Running jobs are stopped only where the caller
names who may be, and only for depths that deferral does not reach (deeper.py). Times in seconds, money in GBP.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flexlond.planning.deeper import Deeper
from flexlond.planning.exact_time import ExactTime
from flexlond.planning.points import EPSILON
from flexlond.planning.problem import PlanningError
from flexlond.planning.rebound import patient
from flexlond.planning.reshape import Reshape, Scene
from flexlond.planning.solve import Budget
from flexlond.planning.steps import Curve, Direction, Step, Terms, with_deeper
from flexlond.planning.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.deeper import Stoppables
    from flexlond.planning.problem import Plan, Problem

__all__ = ["Curve", "Direction", "Step", "Terms", "envelope"]

_SEARCHED = 24_000  # steps of search times jobs, of one re-plan
_FEWEST = 4  # jobs: fewer are not worth asking about


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
    waits = patient(problem)
    down = up = Scene(waits, settings, last)
    if terms.up and waits is not problem:
        up = Scene(problem, settings, last)
    scenes = {Direction.DOWN: down, Direction.UP: up}
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
            depths = sorted(depth * least for depth in some if depth * least > EPSILON)
            if some:
                exact.begin()
            if depths:
                window = (first, final)
                maker = _Maker(
                    scenes[direction], terms, budget, window, direction, running, exact, depths
                )
                curves.append(maker.curve())
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
    depths: Sequence[float]  # kW, rising

    def curve(self) -> Curve:
        """The curve at these depths."""
        curve, reshape = self._deferred()
        if self.running is None or not self.running.candidates or self.direction is Direction.UP:
            return curve
        # Only where all may be deferred who can is it known what deferral does not reach.
        jobs, terms = self.scene.whole.instance.jobs, self.terms
        base = reshape.cost(reshape.slot) - curve.improvable_gbp
        if len(reshape.jobs) < min(jobs, terms.most):
            exact = terms.exact_seconds > 0 and jobs <= terms.exact_jobs
            reshape = self._reshape(terms.most, exact=exact)
            base = reshape.before.cost_gbp
        tracer = Tracer(self.scene, reshape, terms, self.direction)
        reached = max((step.kw for step in curve.everything), default=0.0)
        beyond = [depth for depth in self.depths if depth > reached + EPSILON]
        deeper = Deeper(self.scene, reshape, self.running)
        return with_deeper(curve, tracer.deeper(beyond, (reached, base), deeper))

    def _deferred(self) -> tuple[Curve, Reshape]:
        """By deferral alone, with the question that it answers."""
        jobs, terms = self.scene.whole.instance.jobs, self.terms
        if not terms.exact_seconds or not jobs:
            reshape = self._reshape(terms.most, exact=False)
            return self._traced(reshape), reshape
        if jobs > terms.exact_jobs:
            reshape = self._reshape(terms.most, exact=False)
            found = self._traced(reshape)
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
        return self._traced(reshape), reshape

    def _reshape(self, most: int, *, exact: bool) -> Reshape:
        up = self.direction is Direction.UP
        return Reshape(
            self.scene,
            self.window,
            up=up,
            terms=self.terms,
            budget=self.budget,
            most=most,
            depth=self.depths[-1],
            exact=self.time if exact else None,
        )

    def _traced(self, reshape: Reshape) -> Curve:
        return Tracer(self.scene, reshape, self.terms, self.direction).curve(self.depths)
