"""What one answer to a window does, and the step of the envelope that is made of it.

Law: pure. A step says what the answer does in every slot of the window, what it costs more than the best
placement found without the window, and by how much that can be wrong at most, from the bounds of both. What is
certain of it comes from sampled worlds; only what is priced, and so may be offered, is played there. GBP, kW,
seconds, slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from flexlond.planning.certainty import certain_kw, delivered_samples
from flexlond.planning.reshape import SITE
from flexlond.planning.steps import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.deeper import Deep
    from flexlond.planning.reshape import Placed, Reshape, Scene
    from flexlond.planning.steps import Terms

EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Point:
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


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Makes steps of the answers to one window."""

    scene: Scene
    reshape: Reshape
    terms: Terms
    up: bool

    def step(self, point: Point, base: float) -> Step:
        """The figures of a point, against `base` GBP without the window."""
        scene, reshape, terms = self.scene, self.reshape, self.terms
        grid, window = scene.problem.grid, reshape.window
        hours = (window.stop - window.start) * grid.slot_seconds / 3600.0
        cost, floor = point.placed.cost_gbp, min(point.floor, point.placed.cost_gbp)
        price = point.cost_gbp - base
        dearest = point.deep.dearest_gbp if point.deep else cost
        uncertainty = (dearest - floor) + max(0.0, base - reshape.before.bound_gbp)
        stops = point.deep.stopping.stops if point.deep else ()
        changes = point.deep.changes if point.deep else reshape.changes(point.placed.slot)
        if point.deep is not None:
            uncertainty += point.deep.stopping.uncertainty_gbp
        jobs, was, start = changes
        priced = price >= uncertainty - EPSILON and point.kw > 0
        samples = self._samples(changes, point.deep, priced=priced)
        drop = point.change if self.up else -point.change
        samples = -samples if self.up else samples
        certain = min(max(0.0, certain_kw(samples, terms.level)), max(point.kw, 0.0))
        offered = certain * (1.0 - terms.margin)
        mwh = offered * hours / 1000.0
        swing = -drop[window.stop :]
        after = (scene.last.kw + point.change)[window.stop :]
        peak = int(after.argmax()) if after.size else -1
        back = int(swing.argmax()) if swing.size and swing.max() > EPSILON else -1
        kept = drop[window.start :] >= point.kw - EPSILON
        soonest = int(np.minimum(was, start).min(initial=grid.slot_start(window.start)))
        if point.deep is not None:
            soonest = min(point.deep.soonest, *(stop.at for stop in stops))
        cap = np.full(grid.count, np.inf)
        if not self.up:
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
            gap=gap(cost, floor),
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
        scene, window, terms = self.scene, self.reshape.window, self.terms
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
        if not self.up:
            # Whom the window binds does not slip into it when others end sooner.
            bound = movable & (scene.last.start >= grid.slot_start(window.start))
            begin[bound] = scene.last.start[bound]
        ours = movable[jobs]
        begin[jobs[ours]] = start[ours]
        if deep is None:
            return rehearsal.drops(begin, window)
        stops = deep.stopping.stops
        return rehearsal.drops(begin, window, stops) + deep.drops(rehearsal.ends(stops), window)


def gap(cost: float, bound: float) -> float:
    """The share of the bound by which `cost` can be above the best."""
    return max(0.0, cost - bound) / max(abs(bound), 1e-9)
