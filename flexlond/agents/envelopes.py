"""The envelope of the plan in force: which windows are asked, who computes it, how it is shown.

Law: reads the state, changes none. It is computed in a process of its own, one at a time, so the loop's beats
go on; an answer is kept as long as its plan is in force, and all who ask the same share it. What is committed
is not offered again: the plan in force is the one under the windows in force, and whom it stops is stopped for
nothing else. Epoch seconds, kW, GBP.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flexlond.agents import stopper
from flexlond.agents.envelope_ports import (
    EnvelopeCurveView,
    EnvelopeSlotView,
    EnvelopeStepView,
    EnvelopeView,
    NoEnvelope,
)
from flexlond.agents.scatter import with_scatter
from flexlond.model.slurmtime import format_moment
from flexlond.model.window import covering
from flexlond.planning.deeper import MOST, Stoppables, crowded
from flexlond.planning.steps import Direction, Terms
from flexlond.solver import envelope_child
from flexlond.solver.envelope_child import EnvelopeError

if TYPE_CHECKING:
    from flexlond.agents.state import LoopState
    from flexlond.model.settings import EnvelopeSettings
    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.steps import Curve, Step

_TIED = "jobs tied by dependencies stay where they are"
_RUNNING = "running jobs are not counted: none is stopped"
_MANY = f"running jobs are not counted: there are more than {MOST} pending and running jobs"
_STOPPED = (
    "running jobs whose owners agreed to it count where deferral alone does not reach; what stopping them costs"
    " is in the price"
)
_CARBON = "each step keeps the caps on carbon that the plan keeps"
_ALONE = "each step stands alone: taking one changes all others"


class _Asked(NamedTuple):
    plan: Plan  # compared by identity
    windows: tuple[tuple[int, int], ...]
    settings: EnvelopeSettings
    running: Stoppables | None  # of this plan
    many: bool  # jobs: nobody is counted who might be stopped


class Envelopes:
    """The last envelope, and the one that is being computed."""

    def __init__(self) -> None:
        self._asked: _Asked | None = None
        self._task: asyncio.Task[EnvelopeView] | None = None
        self._one = asyncio.Lock()

    async def get(
        self, state: LoopState, span: tuple[int, int] | None, now: int
    ) -> EnvelopeView | NoEnvelope:
        """The envelope of one window from `span`'s begin to its end, or of the windows of interest for None."""
        problem, plan, settings = state.problem, state.last_plan, state.settings.envelope
        if problem is None or plan is None or state.planned_from is None:
            return NoEnvelope("there is no plan yet: the first cycle is not complete; try again")
        windows = windows_of_interest(settings, plan.grid, now)
        if span is not None:
            if why := _why_not(span, plan.grid, now):
                return NoEnvelope(why)
            windows = (_window(span, plan.grid, now),)
        if not windows:
            return NoEnvelope(
                "the plan reaches no further than this slot: raise grid.horizon_slots"
            )
        many = bool(state.candidates) and crowded(problem)
        asked = _Asked(plan, windows, settings, stoppables(state), many)
        if self._task is None or not self._same(asked) or _failed(self._task):
            self._asked = asked
            # The models are the event loop's: read here, before anybody waits.
            problem = with_scatter(problem, state.rows, state.planned_from, state.outlook)
            self._task = asyncio.create_task(self._make(state, problem, asked))
            self._task.add_done_callback(_failed)
        task = self._task
        # Whoever stops waiting does not take the answer from the others.
        await asyncio.wait({task})
        try:
            return task.result()
        except EnvelopeError as error:
            return NoEnvelope(str(error))

    def _same(self, asked: _Asked) -> bool:
        before = self._asked
        return (
            before is not None
            and before.plan is asked.plan
            and before.windows == asked.windows
            and before.settings == asked.settings
        )

    async def _make(self, state: LoopState, problem: Problem, asked: _Asked) -> EnvelopeView:
        made_at, planning = state.planned_at, state.settings.planning
        terms = terms_of(asked.settings)
        async with self._one:
            began = time.perf_counter()
            curves = await envelope_child.ask(
                (problem, planning, asked.plan, asked.windows, terms, asked.running),
                asked.settings.seconds,
            )
            seconds = time.perf_counter() - began
            notes = _notes(problem, asked)
            return view(
                problem, asked.plan, curves, terms, made_at=made_at, seconds=seconds, notes=notes
            )


def stoppables(state: LoopState) -> Stoppables | None:
    """Who may be stopped besides those that the plan in force stops; None for nobody."""
    plans = state.settings.envelope.stop_plans
    taken = {stop.candidate.job_id for stop in state.stopping.stops} if state.stopping else set()
    left = tuple(one for one in state.candidates if one.job_id not in taken and not one.asked)
    if not left or not plans or state.problem is None or crowded(state.problem):
        return None
    return Stoppables(left, stopper.terms_of(state), plans)


def terms_of(settings: EnvelopeSettings) -> Terms:
    """The configuration as the planner is asked."""
    return Terms(
        down=settings.depths,
        up=settings.depths,
        margin=settings.margin,
        level=settings.level,
        most=settings.most_jobs,
        exact_seconds=settings.exact_seconds,
        exact_jobs=settings.exact_jobs,
        rebound=settings.rebound_cap,
    )


def windows_of_interest(
    settings: EnvelopeSettings, grid: TimeGrid, now: int
) -> tuple[tuple[int, int], ...]:
    """First and last slot of each window, one after the other from the next slot on, within the plan."""
    first, length = grid.slot_of(now) + 1, settings.window_slots
    starts = [first + number * length for number in range(settings.windows)]
    return tuple((at, at + length - 1) for at in starts if at + length <= grid.count)


def view(
    problem: Problem,
    plan: Plan,
    curves: tuple[Curve, ...],
    terms: Terms,
    *,
    made_at: int,
    seconds: float,
    notes: tuple[str, ...],
) -> EnvelopeView:
    """The envelope as people are shown it."""
    return EnvelopeView(
        made_at=made_at,
        slot_seconds=plan.grid.slot_seconds,
        level=terms.level,
        margin=terms.margin,
        rebound_cap=terms.rebound,
        plan_gap=plan.proof.gap,
        seconds=seconds,
        curves=tuple(_curve_view(plan, curve) for curve in curves),
        slots=_slots(problem, plan, curves),
        notes=notes,
    )


def _notes(problem: Problem, asked: _Asked) -> tuple[str, ...]:
    """What is not counted, and why."""
    tied = (_TIED,) if len(problem.depends) else ()
    running = _MANY if asked.many else _RUNNING
    carbon = (_CARBON,) if problem.carbon_caps else ()
    return (_STOPPED if asked.running else running, *tied, *carbon, _ALONE)


def _failed(task: asyncio.Task[EnvelopeView]) -> bool:
    """Also told when it is done, so that its error counts as seen though nobody waits any more."""
    return task.done() and (task.cancelled() or task.exception() is not None)


def _why_not(span: tuple[int, int], grid: TimeGrid, now: int) -> str:
    """Why a window is not priced and what to ask instead; "" when it is."""
    start, end = covering(*span, grid.slot_seconds)
    if end <= start:
        return "the window ends before it begins: give a later --to"
    if end <= grid.slot_start(grid.slot_of(now) + 1):
        return f"no slot of the window begins after now, {format_moment(now)}: give a later --to"
    if end > grid.end:
        return (
            f"the plan reaches to {format_moment(grid.end)} and the window to {format_moment(end)}: give an "
            "earlier --to, ask later, or raise grid.horizon_slots"
        )
    return ""


def _window(span: tuple[int, int], grid: TimeGrid, now: int) -> tuple[int, int]:
    """First and last slot; the slot that has begun is not in it."""
    start, end = covering(*span, grid.slot_seconds)
    return max(grid.slot_of(start), grid.slot_of(now) + 1), grid.slot_of(end) - 1


def _curve_view(plan: Plan, curve: Curve) -> EnvelopeCurveView:
    grid, (first, last) = plan.grid, curve.window
    steps = [_step_view(plan, curve, step, "") for step in curve.steps]
    steps += [_step_view(plan, curve, step, why) for step, why in curve.withheld]
    return EnvelopeCurveView(
        start=grid.slot_start(first),
        end=grid.slot_start(last + 1),
        direction=curve.direction.value,
        planned_kw=float(plan.kw[first : last + 1].min()),
        jobs=curve.jobs,
        gap=curve.gap,
        improvable_gbp=curve.improvable_gbp,
        steps=tuple(sorted(steps, key=lambda step: step.kw)),
    )


def _step_view(plan: Plan, curve: Curve, step: Step, why: str) -> EnvelopeStepView:
    grid = plan.grid
    return EnvelopeStepView(
        kw=step.kw,
        certain_kw=step.certain_kw,
        offered_kw=0.0 if why else step.offered_kw,
        price_gbp=step.price_gbp,
        uncertainty_gbp=step.uncertainty_gbp,
        gbp_per_mwh=math.nan if why else step.gbp_per_mwh,
        gap=step.gap,
        order_by=grid.slot_start(curve.window[0]) - step.notice_s,
        longest_seconds=step.longest_slots * grid.slot_seconds,
        rebound_kw=step.rebound_kw,
        rebound_at=_moment(grid, step.rebound_slot),
        peak_kw=step.peak_kw,
        peak_at=_moment(grid, step.peak_slot),
        jobs=step.moved_jobs,
        why_not=why,
        stopped_jobs=step.stopped_jobs,
    )


def _moment(grid: TimeGrid, slot: int) -> int:
    return grid.slot_start(slot) if slot >= 0 else 0


def _slots(problem: Problem, plan: Plan, curves: tuple[Curve, ...]) -> tuple[EnvelopeSlotView, ...]:
    """Every slot of the windows, with the most that is offered over it."""
    grid = plan.grid
    most = {direction: np.zeros(grid.count) for direction in Direction}
    asked = np.zeros(grid.count, np.bool_)
    for curve in curves:
        inside = slice(curve.window[0], curve.window[1] + 1)
        asked[inside] = True
        best = max((step.offered_kw for step in curve.steps), default=0.0)
        most[curve.direction][inside] = np.maximum(most[curve.direction][inside], best)
    cap = problem.site_kw if len(problem.site_kw) else np.full(grid.count, np.inf)
    cap = np.where(np.isfinite(cap), cap, np.nan)
    return tuple(
        EnvelopeSlotView(
            grid.slot_start(slot),
            float(plan.kw[slot]),
            float(most[Direction.DOWN][slot]),
            float(most[Direction.UP][slot]),
            float(cap[slot]),
        )
        for slot in np.flatnonzero(asked).tolist()
    )
