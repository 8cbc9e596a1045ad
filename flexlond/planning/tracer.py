"""One curve of the envelope: the answers to one window in one direction, deeper and deeper.

Law: pure. Deeper is never cheaper: a step that another beats in kW and price is dropped. Down is asked for as a
cap, up as a bonus, and what came in besides is given back before the cheapest answer is chosen. What is dearer
to know than to do is not offered, nor what is not certain, nor what draws more afterwards than the rebound cap
allows; each is withheld with its reason. GBP, kW.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.points import EPSILON, Figures, Point, gap
from flexlond.planning.steps import Curve, Direction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.planning.deeper import Deeper
    from flexlond.planning.reshape import Placed, Reshape, Scene
    from flexlond.planning.steps import Step, Terms

_BONUSES = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 20.0)  # times the spread of the score over the slots
_EVEN = 1.0  # share by which the bonus of a slot rises that gets nothing while others get all
_SURE = 1e-5  # share of the cost at which a certified gap is nothing
_WATTS = 6  # digits of a kW to which two steps give the same


class Tracer:
    """Makes one curve."""

    def __init__(self, scene: Scene, reshape: Reshape, terms: Terms, direction: Direction) -> None:
        """Of the `reshape` of one window, in one direction."""
        self._scene, self._reshape, self._terms = scene, reshape, terms
        self._up = direction is Direction.UP
        self._direction = direction
        self._window = reshape.window
        self._figures = Figures(scene, reshape, terms, self._up)

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
            (self._figures.step(point, base), f"the {name} would not be kept")
            for point in points
            if (name := reshape.passed(point.placed.slot))
        ]
        for point in _undominated(kept):
            step = self._figures.step(point, base)
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
            gap(base, before.bound_gbp),
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
                    Point(depth, deep.placed, deep.change, kw, deep.placed.bound_gbp, deep)
                )
        points = [point for point in points if point.kw > reached + EPSILON]
        found = []
        for point in _undominated(points):
            step, name = self._figures.step(point, base), point.deep.passed if point.deep else ""
            why = f"the {name} would not be kept" if name else self._why_not(step, ())
            found.append((step, why))
        return found

    def _why_not(self, step: Step, offered: Sequence[Step]) -> str:
        """Why `step` is not offered after those before it; "" when it is."""
        last = self._scene.last
        if step.kw <= EPSILON:
            return "it gives nothing in some slot of the window"
        if step.price_gbp < step.uncertainty_gbp - EPSILON:
            return "its price is smaller than its uncertainty"
        if step.offered_kw <= EPSILON:
            return f"nothing of it is certain at {self._terms.level:.0%}"
        if offered and step.offered_kw <= offered[-1].offered_kw + EPSILON:
            return "no more of it is certain than of a cheaper step"
        if not self._up and step.peak_kw > self._terms.rebound * float(last.kw.max()) + EPSILON:
            return "the power after it would be above the rebound cap"
        return ""

    def _point(self, asked: float, placed: Placed, floor: float) -> Point:
        change = self._reshape.change(placed.slot)
        swing = change[self._window] if self._up else -change[self._window]
        return Point(asked, placed, change, float(swing.min()), floor)

    def _downs(self, depths: Sequence[float]) -> list[Point]:
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
            if point.kw > EPSILON and short.max() > EPSILON * depth:
                again = reshape.down(asked + short, hint)
                better = self._point(depth, again, floor)
                if better.kw > point.kw and not reshape.passed(again.slot):
                    point, hint = better, again
            points.append(point)
        return points

    def _ups(self, depths: Sequence[float]) -> list[Point]:
        """At rising bonuses, more where less came in, until all fits; the cheapest that reaches each depth."""
        reshape, hint = self._reshape, self._reshape.before
        found: list[tuple[NDArray[np.float64], Point]] = []
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
            made = [point for _, point in found if point.kw >= depth - EPSILON]
            made = made or [max((one for _, one in found), key=lambda one: one.kw)]
            # What came in besides is given back before the cheapest is chosen.
            trimmed = [self._trimmed(point, depth) for point in made if point.kw > EPSILON]
            if trimmed:
                point = min(trimmed, key=self._dearness)
                points.append(self._exactly(replace(point, floor=floor_of(point.kw)), depth))
        return points

    def _exactly(self, point: Point, depth: float) -> Point:
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
            beaten = point.kw >= kw - EPSILON and point.placed.cost_gbp <= placed.cost_gbp
            beaten = beaten and not passed
            if exact.kw < kw - EPSILON or beaten:
                floor = max(point.floor, placed.bound_gbp if point.kw >= kw - EPSILON else 0.0)
                return replace(point, floor=floor)
            return exact
        return point

    def _trimmed(self, point: Point, depth: float) -> Point:
        """The point with no more moves than its depth needs."""
        slot = self._reshape.trimmed(point.placed, min(depth, point.kw))
        placed = replace(point.placed, slot=slot, cost_gbp=self._reshape.cost(slot))
        made = self._point(depth, placed, point.floor)
        # Slurm may start others in what was given back: then the point stays as it is.
        short = made.kw < min(depth, point.kw) - EPSILON
        return replace(point, asked=depth) if short or self._reshape.passed(slot) else made

    def _dearness(self, point: Point) -> tuple[bool, float]:
        """Less is better: a cap on carbon goes before what it costs."""
        return bool(self._reshape.passed(point.placed.slot)), point.placed.cost_gbp

    def _spread(self) -> float:
        """GBP/MWh by which slots differ in price and carbon price together."""
        problem, settings = self._scene.problem, self._scene.settings
        score = problem.price + settings.carbon_price * np.nan_to_num(problem.carbon) / 1000.0
        known = score[np.isfinite(score)]
        return max(float(np.std(known)) if known.size else 0.0, 1.0)


def _undominated(points: Sequence[Point]) -> list[Point]:
    """By rising kW; each costs more than the one before it, and none is beaten in both."""
    chosen: list[Point] = []
    for point in sorted(points, key=lambda one: (-round(one.kw, _WATTS), one.cost_gbp)):
        if not chosen or point.cost_gbp < chosen[-1].cost_gbp - EPSILON:
            chosen.append(point)
    return chosen[::-1]
