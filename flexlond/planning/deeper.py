"""How a window is kept deeper than deferral reaches: the queue bent as far as it goes, then jobs stopped.

Law: pure. As in a window of that depth whoever may be deferred is, and `choose` (stopping.py) covers what is
still above the cap, with its laws: consent, nobody late, nothing where others take the room. Up to two hundred
jobs the planner itself is asked, so that what is offered is what a window does. Above, where a plan takes
seconds, those around the window move, who waits for room comes into what a stop frees (backfill.py), and
whoever stands in the way of what ends later gives way. The price is that of the best placement known beside the
stops; by what the plan's own costs more it is uncertain. For one window no more plans are made than allowed.
Who is to be stopped by the plan in force is no candidate: the caller leaves them out. Shapes: J jobs, S slots,
C constraints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.account import slot_power
from flexlond.planning.capacity import Timeline, blocks_of
from flexlond.planning.certainty import drawn_left
from flexlond.planning.instance import NOWHERE
from flexlond.planning.listing import Listing
from flexlond.planning.planner import plan
from flexlond.planning.rebound import under
from flexlond.planning.reshape import SITE
from flexlond.planning.stop_samples import stopped_drops
from flexlond.planning.stopping import choose, excess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.moments import Terms
    from flexlond.planning.problem import Plan, Problem, Running
    from flexlond.planning.reshape import Placed, Reshape, Scene
    from flexlond.planning.steps import Terms as Asked
    from flexlond.planning.stopped import Candidate
    from flexlond.planning.stopping import Replan, Stopping

_NEAR = 1e-6  # kW
_PLANNED = 200  # pending and running jobs up to which the planner itself is asked
_WHOLE = 3  # plans of the jobs around a window that one of the whole queue counts as
_OF_JOBS = (
    *("job_id", "earliest", "latest", "duration", "tasks", "throttle", "kw", "demand", "pool"),
    *("movable", "order", "max_price", "max_carbon", "delay_weight", "current"),
)
_LEAST_PLANS = 3  # that one choice needs: what deferral leaves, one round, what is carried out


@dataclass(frozen=True, slots=True)
class Stoppables:
    """The running jobs that may be stopped, and on what terms."""

    candidates: tuple[Candidate, ...]
    terms: Terms
    plans: int = 24  # made for one window at the most


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


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The queue with some placement and some stops."""

    changes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    again: NDArray[np.int64]
    change: NDArray[np.float64]
    plan: Plan


class Deeper:
    """Answers with stops for one window."""

    def __init__(self, scene: Scene, reshape: Reshape, stoppables: Stoppables) -> None:
        self._scene, self._reshape, self._stoppables = scene, reshape, stoppables
        # No plan is made from how runtimes scatter.
        given, nothing = scene.given, np.zeros((0, 0))
        self._problem = replace(
            given, runtimes=nothing, running=replace(given.running, left=nothing)
        )
        self._room = self._room_of(self._problem)
        self._plans = 0

    def answer(self, depth: float, hint: Placed) -> Deep | None:
        """`depth` kW less in the window, with stops; None where none help, or no plan may be made any more."""
        if self._plans + _LEAST_PLANS > self._stoppables.plans:
            return None
        scene, window = self._scene, self._reshape.window
        caps = np.full(scene.problem.grid.count, np.inf)
        caps[window] = np.maximum(0.0, scene.last.kw[window] - depth)
        whole = self._problem.jobs + len(self._problem.running.end) <= _PLANNED
        return self._planned(depth, hint, caps) if whole else self._reshaped(depth, hint, caps)

    def _planned(self, depth: float, hint: Placed, caps: NDArray[np.float64]) -> Deep | None:
        """By the planner itself, as a window is kept."""
        scene, reshape = self._scene, self._reshape
        problem, last = under(self._problem, caps), scene.last
        found = self._plan(problem, last)
        stopping = self._chosen(problem, found, caps, lambda asked: self._plan(asked, found))
        if stopping is None:
            return None
        answer, jobs = stopping.plan, scene.problem.jobs
        slot = answer.slot[reshape.jobs]
        if (slot >= scene.problem.grid.count).any():
            return None
        kept = replace(hint, slot=slot, cost_gbp=reshape.cost(slot))
        more = self._more(stopping.problem)
        better = reshape.relieved(depth - more[SITE, reshape.window], more, kept)
        start = answer.start[:jobs]
        changed = np.flatnonzero(start != last.start)
        changes = changed, last.start[changed], start[changed]
        bound = min(better.bound_gbp, kept.cost_gbp)
        placed = replace(kept, bound_gbp=bound)
        if (better.slot != NOWHERE).all() and better.cost_gbp < kept.cost_gbp:
            seen = self._seen(better.slot, stopping.problem).plan
            if excess(seen, caps).sum() <= excess(answer, caps).sum() + _NEAR:
                placed = better
        return Deep(
            placed,
            kept.cost_gbp,
            stopping,
            changes,
            self._soonest(changes),
            answer.kw - last.kw,
            answer.start[jobs:],
            scene.given,
            self._stoppables.terms.saves,
        )

    def _plan(self, asked: Problem, last: Plan) -> Plan:
        self._plans += _WHOLE
        return plan(asked, self._scene.settings, last=last)

    def _reshaped(self, depth: float, hint: Placed, caps: NDArray[np.float64]) -> Deep | None:
        """By the jobs around the window alone, where the whole queue takes too long."""
        scene, reshape = self._scene, self._reshape
        count = reshape.window.stop - reshape.window.start
        placed = reshape.down(np.full(count, depth), hint, even=False)
        found, still = (self._seen(slot, self._problem) for slot in (placed.slot, reshape.slot))
        deferred = excess(found.plan, caps).sum() <= excess(still.plan, caps).sum() + _NEAR
        slot = placed.slot if deferred else reshape.slot
        if not deferred:
            # As the planner: where deferral does not lower the power, nobody is deferred.
            held_off = np.ones(scene.problem.jobs, np.bool_)
            found = replace(still, plan=replace(still.plan, uncapped=held_off))

        def replan(asked: Problem) -> Plan:
            self._plans += 1
            return self._seen(slot, asked).plan

        self._plans += 1
        stopping = self._chosen(self._problem, found.plan, caps, replan)
        if stopping is None:
            return None
        best, seen = self._brought_back(depth, placed, slot, stopping, caps)
        saves = self._stoppables.terms.saves
        return Deep(
            best,
            best.cost_gbp,
            stopping,
            seen.changes,
            self._soonest(seen.changes),
            seen.change,
            seen.again,
            scene.given,
            saves,
        )

    def _chosen(
        self,
        problem: Problem,
        found: Plan,
        caps: NDArray[np.float64],
        replan: Replan,
    ) -> Stopping | None:
        """Whom a window with `caps` stops; None for nobody."""
        stopping = choose(
            problem,
            found,
            caps,
            self._stoppables.candidates,
            settings=self._scene.settings,
            terms=self._stoppables.terms,
            replan=replan,
        )
        return stopping if stopping.stops else None

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

    def _brought_back(
        self,
        depth: float,
        placed: Placed,
        slot: NDArray[np.int64],
        stopping: Stopping,
        caps: NDArray[np.float64],
    ) -> tuple[Placed, _Seen]:
        """With the jobs placed again beside the stops, which may give more than was missing."""
        reshape = self._reshape
        kept = replace(placed, slot=slot, cost_gbp=reshape.cost(slot))
        seen = self._seen(slot, stopping.problem)
        more = self._more(stopping.problem)
        self._plans += 1
        missing = depth - more[SITE, reshape.window]
        better = reshape.relieved(missing, more, kept)
        if (better.slot == NOWHERE).any():
            return replace(kept, bound_gbp=better.bound_gbp), seen
        again = self._seen(better.slot, stopping.problem)
        limit = excess(seen.plan, caps).sum() + _NEAR
        if better.cost_gbp > kept.cost_gbp or excess(again.plan, caps).sum() > limit:
            return replace(kept, bound_gbp=better.bound_gbp), seen
        return better, again

    def _seen(self, slot: NDArray[np.int64], asked: Problem) -> _Seen:
        """The queue with the jobs at `slot` (n,); `asked` is the question with stops (or without)."""
        scene, reshape, blocks = self._scene, self._reshape, self._scene.blocks
        grid, last = scene.problem.grid, scene.last
        moved = np.flatnonzero(slot != reshape.slot)
        jobs = reshape.jobs[moved]
        more = self._more(asked)
        around = reshape.backfill
        listing = around.after(jobs, reshape.slot[moved], slot[moved], more)
        other = listing.start != around.listing.start
        other[jobs] = False
        others = np.flatnonzero(other)
        changed = np.concatenate([jobs, others])
        was = np.concatenate([last.start[jobs], around.listing.start[others]])
        start = np.concatenate([reshape.starts(slot)[moved], listing.start[others]])
        site = scene.problem.site_kw - scene.counted + more[SITE]
        site -= reshape.question.instance.usage(np.arange(len(slot)), slot)[SITE]
        room = np.concatenate([listing.timeline.free[:SITE], [site + reshape.used[SITE]]])
        again, again_slot = self._again(asked, room)
        kw, span = blocks.kw[changed], blocks.span[changed]
        change = np.zeros(grid.count)
        change += slot_power(grid, start.astype(np.float64), start + span, kw)
        change -= slot_power(grid, was.astype(np.float64), was + span, kw)
        change += self._power(asked.running) - self._power(self._problem.running)
        extra = blocks_of(asked) if len(again) else None
        spans = extra.span[scene.problem.jobs :] if extra else np.zeros(0)
        if extra:
            new = again.astype(np.float64)
            change += slot_power(grid, new, new + spans, extra.kw[scene.problem.jobs :])
        starts, slots, held = last.start.copy(), last.slot.copy(), last.moved.copy()
        starts[changed] = start
        slots[changed] = np.clip((start - grid.start) // grid.slot_seconds, 0, grid.count)
        held[jobs] = True
        plan = replace(
            last,
            start=np.concatenate([starts, again]),
            slot=np.concatenate([slots, again_slot]),
            span=np.concatenate([last.span, spans]),
            moved=np.concatenate([held, np.ones(len(again), np.bool_)]),
            job_id=asked.job_id,
            kw=last.kw + change,
            uncapped=np.zeros(0, np.bool_),
        )
        return _Seen((changed, was, start), again, change, plan)

    def _again(
        self, asked: Problem, free: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Start and slot of each requeued job, in the room (C - 1, S) that all others leave."""
        rows = np.arange(self._scene.problem.jobs, asked.jobs)
        alone = _only(asked, rows, self._scene.problem.site_kw)
        blocks = blocks_of(alone)
        room = Timeline(alone, blocks)
        room.free[: len(free)] = free
        placed = Listing(alone, blocks, room)
        placed.first_fit(range(len(rows)))
        return placed.start, placed.slot

    def _more(self, asked: Problem) -> NDArray[np.float64]:
        """(C, S) room that what runs leaves more than it does without stops; 0 where there is no bound."""
        free = self._room_of(asked)
        known = np.isfinite(free)
        return np.subtract(free, self._room, out=np.zeros(free.shape), where=known)

    def _room_of(self, asked: Problem) -> NDArray[np.float64]:
        """(C, S) that what runs leaves."""
        nobody = _only(asked, np.zeros(0, np.int64), self._scene.problem.site_kw)
        return Timeline(nobody, blocks_of(nobody)).free

    def _power(self, running: Running) -> NDArray[np.float64]:
        """(S,) mean kW of what runs."""
        grid, now = self._scene.problem.grid, self._scene.problem.now
        begin = running.begin if len(running.begin) else np.full(len(running.end), now)
        begin = begin.astype(np.float64)
        return slot_power(grid, begin, np.maximum(running.end, begin), running.kw)


def _only(problem: Problem, rows: NDArray[np.int64], site_kw: NDArray[np.float64]) -> Problem:
    """The same room for the jobs `rows` alone, under `site_kw` (S,)."""
    parts = {name: getattr(problem, name)[rows] for name in _OF_JOBS}
    for name in ("occupancy", "limit"):
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
