"""Work that goes to another site of the same owner: which pending jobs, from when, and why.

Law: a job goes only where its owner's `sites=` and Slurm's federation both let it, only from the site that it
was submitted on, by a plan of this moment, at most `most` in a cycle, and only for a benefit. Before it goes
its begin time is the start that was weighed, and it has `stay` seconds after it at the other site before it
gets all its sites back, which is at the latest at its latest start. The helper judges all of it again and keeps
the time to bring it back; a job that is away is not ours to plan. Epoch seconds, GBP.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from flexlond.agents.decide import intent
from flexlond.model.action import Action, Verb
from flexlond.model.directive import Directive
from flexlond.model.job import JobState
from flexlond.model.series import Kind, Quality, Series
from flexlond.planning.elsewhere import Run, Start, cheapest, costs_at
from flexlond.planning.ranking import score_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from flexlond.agents.consent import FlexJob
    from flexlond.agents.state import LoopState
    from flexlond.model.settings import SiteSettings
    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.problem import Plan, Problem

SOON = 30  # s until the earliest start that is weighed: a hold and a move are sent before it
_USABLE = (Quality.GOOD, Quality.PARTIAL)


class SiteHub(Protocol):
    """The signals of another site (flexlond/signals/feeds.py)."""

    def series(self, kind: Kind, grid: TimeGrid, now: int) -> Series:
        """The series on `grid` with its quality."""
        ...


def moves(
    state: LoopState, hubs: Mapping[str, SiteHub], now: int
) -> list[tuple[Action | None, Action]]:
    """The jobs that go now: for each the hold that comes first (None where it stands), and the move."""
    problem, plan, here = state.problem, state.last_plan, state.cluster
    if not hubs or problem is None or plan is None or here is None or state.planned_at != now:
        return []
    signals = {
        name: (
            hub.series(Kind.PRICE, problem.grid, now),
            hub.series(Kind.CARBON, problem.grid, now),
        )
        for name, hub in hubs.items()
    }
    found: list[tuple[float, Action | None, Action]] = []
    for job_id, known in state.flex.items():
        row = state.rows.get(job_id)
        if row is None or not _may_go(known, here.name):
            continue
        best = _best(state, known, signals, row=row, problem=problem, plan=plan, now=now)
        if best is not None:
            found.append((best[0], *_actions(known, *best[1:])))
    found.sort(key=lambda one: -one[0])
    most = max((site.most for site in state.settings.sites), default=0)
    return [(hold, move) for _, hold, move in found[:most]]


def returns(state: LoopState, asked: Collection[int]) -> list[Action]:
    """Jobs that are away and get all their sites back now: drained, or consent is gone.

    Not those `asked` before. Whether it was us who moved them the helper knows, and does nothing where not.
    """
    found = []
    for job in state.snapshot.jobs if state.snapshot else ():
        record = state.actuator.records.get(job.job_id)
        if job.state is not JobState.AWAY or record is None or job.job_id in asked:
            continue
        reading = state.consents.read(job, record.first_submit)
        agreed = isinstance(reading, Directive) and set(job.sites) <= set(reading.sites)
        if state.draining or not agreed:
            why = "drain: FlexLon is being removed" if state.draining else "consent is gone"
            found.append(intent(job, Verb.WIDEN, 0, why))
    return found


def _may_go(known: FlexJob, here: str) -> bool:
    job, directive = known.job, known.directive
    alone = not (job.array_job_id or job.het_job_id or job.dependency or job.licenses)
    return (
        known.movable
        and alone
        and job.state is JobState.PENDING
        and directive is not None
        and here in directive.sites
        and here in job.sites
    )


def _best(
    state: LoopState,
    known: FlexJob,
    signals: Mapping[str, tuple[Series, Series]],
    *,
    row: int,
    problem: Problem,
    plan: Plan,
    now: int,
) -> tuple[float, SiteSettings, Start, str] | None:
    """Benefit (GBP), site, start and why, of the best site that is worth it."""
    directive, latest, record = known.directive, known.latest, known.record
    if directive is None or latest is None or latest.at is None or record is None:
        return None
    earliest = max(now + SOON, record.original_begin)
    weight = float(problem.delay_weight[row])
    run = Run(
        kw=state.kw.get(known.job.job_id, 0.0),
        seconds=float(problem.duration[row]),
        earliest=earliest,
        latest=latest.at,
        delay_gbp_per_second=state.settings.planning.delay_price * weight / 86400.0,
    )
    at = np.array([max(int(plan.start[row]), earliest)])
    planning, none = state.settings.planning, np.zeros(problem.grid.count)
    best: tuple[float, SiteSettings, Start, str] | None = None
    for site in state.settings.sites:
        if site.cluster not in directive.sites or site.cluster not in known.job.sites:
            continue
        price, carbon = signals[site.cluster]
        # Carbon counts where both sites are to know it: else one of them would look clean.
        both = bool(site.carbon and state.settings.signals.carbon)
        if price.quality not in _USABLE or (both and carbon.quality not in _USABLE):
            continue
        score = score_of(problem.price, problem.carbon if both else none, planning)
        stays = float(costs_at(run, at, problem.grid, score)[0])
        there = cheapest(
            replace(run, latest=latest.at - site.stay),
            problem.grid,
            price.values,
            carbon.values if both else none,
            planning,
        )
        if there is None or not np.isfinite(stays):
            continue
        benefit = stays - there.gbp
        if benefit >= site.min_benefit and (best is None or benefit > best[0]):
            why = (
                f"to {site.cluster}: {there.gbp:.4f} GBP there instead of {stays:.4f} GBP here,"
                " with carbon and delay"
            )
            best = (benefit, site, there, why)
    return best


def _actions(
    known: FlexJob, site: SiteSettings, start: Start, why: str
) -> tuple[Action | None, Action]:
    job = known.job
    hold = intent(job, Verb.HOLD_UNTIL, start.at, why) if job.begin != start.at else None
    begins = replace(job, begin=start.at)
    move = intent(begins, Verb.ROUTE, start.at + site.stay, why)
    return hold, replace(move, site=site.cluster)
