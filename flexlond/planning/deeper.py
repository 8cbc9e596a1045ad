"""How a window is kept deeper than deferral reaches: the queue bent as far as it goes, then jobs stopped.

Law: pure. As in a window of that depth whoever may be deferred is, and `choose` (stopping.py) covers what is
still above the cap, with its laws: consent, nobody late, nothing where others take the room. The planner itself
is asked, so that what is offered is what a window does: the jobs around a window alone would promise what the
plan of a crowded queue does not keep. So it is asked up to MOST jobs only, where a plan takes no seconds, and
no more plans are made than allowed. Who is late anyway is made no later. The price is that of the best placing
known beside the stops; by what the plan's own costs more it is uncertain. Who is to be stopped by the plan in
force is no candidate: the caller leaves them out. Shapes: J jobs, S slots, C constraints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.capacity import Timeline, blocks_of
from flexlond.planning.carbon_room import newly_passed
from flexlond.planning.certainty import drawn_left
from flexlond.planning.instance import NOWHERE
from flexlond.planning.planner import plan
from flexlond.planning.rebound import under
from flexlond.planning.reshape import SITE
from flexlond.planning.stop_samples import stopped_drops
from flexlond.planning.stopping import choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.moments import Terms
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.reshape import Placed, Reshape, Scene
    from flexlond.planning.steps import Terms as Asked
    from flexlond.planning.stopped import Candidate
    from flexlond.planning.stopping import Stopping

MOST = 200
"""Pending and running jobs up to which the planner is asked."""
_OF_JOBS = (
    *("job_id", "earliest", "latest", "duration", "tasks", "throttle", "kw", "demand", "pool"),
    *("movable", "order", "max_price", "max_carbon", "delay_weight", "current"),
)


@dataclass(frozen=True, slots=True)
class Stoppables:
    """The running jobs that may be stopped, and on what terms."""

    candidates: tuple[Candidate, ...]
    terms: Terms
    plans: int = 32  # for all windows together; a choice that is begun is finished


@dataclass(frozen=True, slots=True, eq=False)
class Deep:
    """An answer with stops, and what it does to the queue."""

    placed: Placed  # of the jobs that may be deferred, beside the stops: what is priced
    dearest_gbp: float  # that they cost in the plan that is made in the end
    stopping: Stopping
    changes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    """As of Reshape.changes: job, start before, start after."""
    soonest: int  # start, before or after, of those who draw in the window; its begin for nobody
    change: NDArray[np.float64]  # (S,) kW more (below 0: less) than the plan in force
    again: NDArray[np.int64]  # start of each requeued job, in the order of the stops that requeue
    given: Problem  # with how its runtimes scatter, where that is known
    saves: float  # share of its power that a suspended job does not draw
    passed: (
        str  # name of a carbon cap that its plan passes by more than the plan in force; "" for none
    )

    def ends(self, asked: Asked) -> NDArray[np.float64]:
        """(M, n) when the stopped jobs would end by themselves, in sampled worlds."""
        rng = np.random.default_rng([asked.seed, len(self._rows)])
        left = drawn_left(self.given, self._rows, asked.samples, rng)
        ends: NDArray[np.float64] = self.given.now + left
        return ends

    def drops(self, ends: NDArray[np.float64], window: slice) -> NDArray[np.float64]:
        """(M, W) kW less in the slots of `window` by the stopped jobs, which would end at `ends` (M, n)."""
        return stopped_drops(
            self.given.grid,
            self.stopping.stops,
            ends,
            window,
            kw=self.given.running.kw[self._rows],
            again=self.again,
            saves=self.saves,
        )

    @property
    def _rows(self) -> NDArray[np.int64]:
        return np.array([stop.candidate.row for stop in self.stopping.stops], np.int64)


class Deeper:
    """Answers with stops for one window."""

    def __init__(self, scene: Scene, reshape: Reshape, stoppables: Stoppables) -> None:
        self._scene, self._reshape, self._stoppables = scene, reshape, stoppables
        # No plan is made from how runtimes scatter.
        given, nothing = scene.given, np.zeros((0, 0))
        self._problem = replace(
            given, runtimes=nothing, running=replace(given.running, left=nothing)
        )
        self._plans = 0

    def answer(self, depth: float, hint: Placed) -> Deep | None:
        """`depth` kW less in the window, with stops; None where none help, or no plan may be made any more."""
        scene, reshape = self._scene, self._reshape
        if self._plans >= self._stoppables.plans or crowded(self._problem):
            return None
        last, jobs, saves = scene.last, self._problem.jobs, self._stoppables.terms.saves
        caps = np.full(last.grid.count, np.inf)
        caps[reshape.window] = np.maximum(0.0, last.kw[reshape.window] - depth)
        problem = under(self._problem, caps)
        found = self._plan(problem, last)
        stopping = choose(
            problem,
            found,
            caps,
            self._stoppables.candidates,
            settings=scene.settings,
            terms=self._stoppables.terms,
            replan=lambda asked: self._plan(asked, found),
        )
        answer = stopping.plan
        slot = answer.slot[reshape.jobs]
        later = (answer.start[:jobs] > last.start) & (answer.start[:jobs] > self._problem.latest)
        if not stopping.stops or (slot >= last.grid.count).any():
            return None
        if (later & self._problem.movable).any():
            return None
        more = self._more(stopping.problem)
        planned = replace(hint, slot=slot, cost_gbp=reshape.cost(slot))
        best = reshape.relieved(depth - more[SITE, reshape.window], more, planned)
        bound = min(best.bound_gbp, planned.cost_gbp)
        worse = (best.slot == NOWHERE).any() or best.cost_gbp > planned.cost_gbp
        if worse or self._reshape.passed(best.slot):
            best = planned
        changed = np.flatnonzero(answer.start[:jobs] != last.start)
        changes = changed, last.start[changed], answer.start[changed]
        return Deep(
            placed=replace(best, bound_gbp=bound),
            dearest_gbp=planned.cost_gbp,
            stopping=stopping,
            changes=changes,
            soonest=self._soonest(changes),
            change=answer.kw - last.kw,
            again=answer.start[jobs:],
            given=scene.given,
            saves=saves,
            passed=newly_passed(last.carbon_caps, answer.carbon_caps),
        )

    def _plan(self, asked: Problem, last: Plan) -> Plan:
        self._plans += 1
        return plan(asked, self._scene.settings, last=last)

    def _soonest(
        self, changes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    ) -> int:
        """When the first of them starts, before or after, that draws in the window; a plan moves others too."""
        grid, window = self._scene.problem.grid, self._reshape.window
        begin, end = grid.slot_start(window.start), grid.slot_start(window.stop)
        span = self._scene.blocks.span[changes[0]]
        starts = np.concatenate(changes[1:])
        inside = (starts < end) & (starts + np.concatenate([span, span]) > begin)
        return int(starts[inside].min(initial=begin))

    def _more(self, asked: Problem) -> NDArray[np.float64]:
        """(C, S) room that what runs leaves more than it does without stops; 0 where there is no bound."""
        free, before = self._room_of(asked), self._room_of(self._problem)
        return np.subtract(free, before, out=np.zeros(free.shape), where=np.isfinite(free))

    def _room_of(self, asked: Problem) -> NDArray[np.float64]:
        """(C, S) that what runs leaves."""
        nobody = _only(asked, np.zeros(0, np.int64), self._scene.problem.site_kw)
        return Timeline(nobody, blocks_of(nobody)).free


def crowded(problem: Problem) -> bool:
    """Whether there are too many jobs for the planner to be asked."""
    return problem.jobs + len(problem.running.end) > MOST


def _only(problem: Problem, rows: NDArray[np.int64], site_kw: NDArray[np.float64]) -> Problem:
    """The same room for the jobs `rows` alone, under `site_kw` (S,)."""
    parts = {name: getattr(problem, name)[rows] for name in _OF_JOBS}
    for name in ("occupancy", "limit", "promised", "may_wait"):
        values = getattr(problem, name)
        parts[name] = values[rows] if len(values) else values
    return replace(
        problem,
        **parts,
        site_kw=site_kw,
        depends=np.zeros((0, 2), np.int64),
        carbon_caps=(),
        carbon_extra=np.zeros((0, 0)),
        extra_group=np.zeros(0, np.int64),
    )
