"""The planner: who waits, until when, at what proven distance from the best.

Law: `plan` answers one Problem; the same problem, settings, budget (in steps) and start prices give the same
plan. In the planner's model of the room (capacity.py), no slot is given to more than fits, and no job starts
after its latest start that would not have as soon as possible. A plan that the check refuses is not used:
begin times in force stay as far as they are in time, and nobody else is held. Unknown signals mean no new
deferral. It begins with the schedule in which all start as soon as possible. Jobs without consent, and those
that are late even so, keep their place in it; jobs tied by dependencies are planned next, in order; all
others together (solve.py), for whom that schedule is a placement that is known to fit. Then everyone else is
listed again, since what was deferred leaves room sooner. A cap on the site's power binds those alone that may
be held (capped.py): it is divided first, and again where others come sooner than was thought.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.answer import Outcome, answer, no_worse
from flexlond.planning.attempt import Attempt, in_order
from flexlond.planning.capacity import Blocks, Timeline, blocks_of
from flexlond.planning.capped import excess, is_capped, powerless, share
from flexlond.planning.carbon_caps import keep_caps
from flexlond.planning.check import check
from flexlond.planning.dependencies import backward
from flexlond.planning.listing import Listing
from flexlond.planning.overtaken import overtaken
from flexlond.planning.rescue import rescued
from flexlond.planning.solve import Budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.attempt import Improve
    from flexlond.planning.problem import Plan, Problem

_DIVISIONS = 3  # of the power cap
_LITTLE = 1e-3  # kW x slots above the cap for which it is not divided again


def budget_of(settings: PlanningSettings, clock: Callable[[], float] | None = None) -> Budget:
    """The site's budget; without a clock it is counted in steps alone."""
    if clock is None:
        return Budget(dual_steps=settings.dual_steps, search_steps=settings.search_steps)
    return Budget(
        dual_steps=settings.dual_steps,
        search_steps=settings.search_steps,
        seconds=settings.search_seconds,
        clock=clock,
    )


def plan(
    problem: Problem,
    settings: PlanningSettings,
    *,
    budget: Budget | None = None,
    last: Plan | None = None,
    improve: Improve | None = None,
) -> Plan:
    """Plan every job of `problem`; `last` is the plan before this one: the search begins from it."""
    given = budget or budget_of(settings)
    again = replace(given, dual_steps=0, passes=0)  # from the plan's own slots and prices

    def once(asked: Problem, before: Plan | None) -> Plan:
        found = all_of(asked, before, given)
        back = overtaken(asked, blocks_of(asked), found.start, found.moved)
        if not back.any():
            return found
        rest = replace(asked, latest=np.where(back, asked.now, asked.latest))
        return all_of(rest, found, again)

    def all_of(asked: Problem, before: Plan | None, budget: Budget) -> Plan:
        return place(
            asked,
            settings,
            np.zeros(asked.jobs, np.int64),
            np.zeros(0, np.int64),
            everything=True,
            budget=budget,
            last=before,
            improve=improve,
        )

    if not problem.carbon_caps:
        return once(problem, last)
    found = keep_caps(problem, settings, once, last, given)
    # Each plan was checked as it was made, but for the caps, in whose place it had prices.
    wrong = check(problem, settings, found)
    return replace(found, problems=(*found.problems, *wrong[:1])) if wrong else found


def place(
    problem: Problem,
    settings: PlanningSettings,
    fixed: NDArray[np.int64],
    subset: NDArray[np.int64],
    *,
    everything: bool = False,
    budget: Budget | None = None,
    last: Plan | None = None,
    improve: Improve | None = None,
) -> Plan:
    """Place only the jobs `subset` (indices) around the given starts of all others.

    `fixed` is (J,) epoch seconds, 0 for jobs that are not planned yet; entries of `subset` are ignored.
    The answer has `fixed` as start and asap of the others, never moved. `improve` may better the solution
    (the exact solver in a process of its own); what it gives is used only if it is better and fits.
    """
    problem, blocks = _prepared(problem)
    subset = np.arange(problem.jobs) if everything else np.unique(subset)
    others = np.setdiff1d(np.arange(problem.jobs), subset)
    others = others[fixed[others] > 0]
    capped = is_capped(problem)
    bare = powerless(blocks, np.ones(problem.jobs, np.bool_)) if capped else blocks
    empty = Listing(problem, bare, Timeline(problem, bare))
    empty.adopt(others, fixed[others])
    asap = empty.copy()
    order = in_order(problem, subset)
    asap.first_fit(order)
    way = None
    if everything and not capped:
        way = rescued(problem, settings, bare, (empty, asap), order)
    attempt = Attempt(
        problem,
        settings,
        bare,
        way or asap,
        subset=subset,
        budget=budget or budget_of(settings),
        bare=asap,
    )
    if capped:
        result = _under_the_cap(
            problem, settings, blocks, attempt, others=others, last=last, improve=improve
        )
    else:
        attempt.remember(last)
        result = attempt.run(others, improve)
    words = ""
    late = (result.start > blocks.latest) & (asap.start <= blocks.latest)
    movable = subset[problem.movable[subset]]
    if late.any():  # the safe answer costs nothing but a saving
        result = Outcome.as_soon_as_possible(problem, asap, movable, result.proof)
        words = "all start as soon as possible: under the power cap a job would be late"
    # Begin times in force are reconsidered one by one; giving them all back at once would be a step in power.
    in_force = (problem.movable & (problem.current > problem.now))[subset].any()
    free = not in_force and not np.isfinite(problem.co2_cap_kg) and not capped
    free = free and not len(problem.carbon_extra) and way is None
    if free and not no_worse(problem, settings, blocks, result.start, asap.start):
        result = Outcome.as_soon_as_possible(problem, asap, movable, result.proof)
    found = answer(problem, blocks, result, asap)
    if words and capped:
        found = replace(found, problems=(*found.problems, words))
    wrong = check(problem, settings, found) if everything else ()
    if wrong:
        result = Outcome.as_it_stands(problem, blocks, asap, movable, result.proof)
        found = answer(problem, blocks, result, asap)
        words = f"the plan was not used, nothing new is held: {wrong[0]}"
        found = replace(found, problems=(*found.problems, words))
    return found


def _under_the_cap(
    problem: Problem,
    settings: PlanningSettings,
    blocks: Blocks,
    bare: Attempt,
    *,
    others: NDArray[np.int64],
    last: Plan | None,
    improve: Improve | None,
) -> Outcome:
    """The best of a few attempts: whoever is deferred leaves room in which those without consent come sooner.

    `bare` knows who may be held at all.
    """
    standing = bare.standing(others)
    start, order = bare.asap.start, in_order(problem, bare.subset)
    best: tuple[float, Outcome] | None = None
    for _ in range(_DIVISIONS):
        part = share(problem, blocks, standing, start=start, order=order)
        attempt = Attempt(
            part.problem,
            settings,
            part.blocks,
            part.safe,
            subset=bare.subset,
            budget=bare.budget,
            part=part,
            bare=bare.asap,
        )
        attempt.remember(last)
        result = attempt.run(others, improve)
        result.uncapped = part.uncapped.copy()
        result.uncapped[[*result.over_ramp, *result.let_go]] = True
        over, avoidable = excess(problem, blocks, part.uncapped, result.start)
        if best is None or over < best[0]:
            best = over, result
        if avoidable <= _LITTLE:
            break
        start = np.where(part.uncapped, result.start, start)
    assert best is not None  # noqa: S101 - there is a first attempt; tells mypy
    if best[0] <= _LITTLE:
        return best[1]
    # Who is deferred may leave room to jobs that draw more: a cap that is not kept must not make it worse.
    bare.remember(last)
    result = bare.run(others, improve)
    result.uncapped = np.ones(problem.jobs, np.bool_)
    # Room comes free sooner than is thought, and who is not held takes it: he counts from his first moment on.
    soonest = np.maximum(problem.earliest, problem.now)
    free = problem.movable & ~result.moved
    expected = np.where(free, np.minimum(result.start, soonest), result.start)
    over, _ = excess(problem, blocks, result.uncapped, expected)
    return result if over < best[0] - _LITTLE else best[1]


def _prepared(problem: Problem) -> tuple[Problem, Blocks]:
    """Blocks, with latest starts and consent run backwards over the dependencies."""
    blocks = blocks_of(problem)
    latest, movable = backward(blocks.latest, blocks.longest, problem.movable, problem.depends)
    return replace(problem, movable=movable), replace(blocks, latest=latest)
