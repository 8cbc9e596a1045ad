"""Why one job starts when it starts: the reason that binds, what is expected of it, what else it could do.

Law: reads memory and the store, never Slurm; decides nothing. The alternatives are those of the plan in force
(planning/alternatives.py), so they are shown only for a job that is in it. Epoch seconds, kW, GBP, kg CO2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.agents import slower
from flexlond.agents.outlook import STATED
from flexlond.agents.ports import AlternativeView, ExplainView, HistoryView, OutlookView
from flexlond.agents.views import job_view
from flexlond.model.directive import Directive
from flexlond.model.job import JobState
from flexlond.model.power import jobs_power
from flexlond.planning.alternatives import alternatives
from flexlond.planning.pools import room_of
from flexlond.planning.problem import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.ports import JobView
    from flexlond.agents.records import Store
    from flexlond.agents.state import LoopState
    from flexlond.model.job import Job


def explain(agent: LoopState, store: Store, job_id: int, now: int) -> ExplainView | None:
    """Why this job starts when it starts, what it saves, until when at the latest."""
    job = (
        next((j for j in agent.snapshot.jobs if j.job_id == job_id), None)
        if agent.snapshot
        else None
    )
    if job is None:
        return None
    view = job_view(agent, job, now)
    known = agent.flex.get(job_id)
    record = agent.actuator.records.get(job_id)
    history = store.history(job_id, record.first_submit) if record else ()
    return ExplainView(
        job=view,
        summary=_summary(view, job.sites) + slower.said(agent, job_id),
        steps=known.latest.steps if known and known.latest else (),
        history=tuple(
            HistoryView(
                line.created,
                line.action.verb.value,
                line.action.not_before,
                line.outcome.value if line.outcome else "open",
                line.detail or line.action.reason,
            )
            for line in history
        ),
        binding=_binding(agent, job_id),
        outlook=_outlook(agent, job),
        alternatives=_alternatives(agent, view),
    )


def _binding(agent: LoopState, job_id: int) -> str:
    """The plan's reason as one word; "" for a job that it does not have."""
    row = agent.rows.get(job_id)
    if row is None or agent.last_plan is None:
        return ""
    return Reason(int(agent.last_plan.reason[row])).word


def _outlook(agent: LoopState, job: Job) -> OutlookView:
    """What is expected of one task, and what that rests on."""
    known = agent.flex.get(job.job_id)
    directive = known.directive if known else None
    if directive is None:  # it runs, perhaps: what it had agreed to
        record = agent.actuator.records.get(job.job_id)
        reading = agent.consents.read(job, record.first_submit if record else job.submit)
        directive = reading if isinstance(reading, Directive) else None
    spec = directive.power if directive else None
    saving = agent.cluster is not None and agent.cluster.power_saving
    run, ratio = agent.outlook.run_of(job), agent.outlook.ratio_of(job)
    drawn = agent.outlook.draw([job], [spec], agent.settings.power, power_saving=saving)
    stated = bool(jobs_power([job], [spec], agent.settings.power).stated[0])
    return OutlookView(
        p50_seconds=run.p50,
        mean_seconds=run.mean,
        p90_seconds=run.p90,
        limit_seconds=float(job.time_limit or 0),
        basis=run.basis,
        runs=run.samples,
        kw=float(drawn.whole[0]),
        counted_kw=float(drawn.counted[0]),
        power_basis=STATED if stated else ratio.basis,
        power_runs=0 if stated else ratio.samples,
    )


def _alternatives(agent: LoopState, view: JobView) -> tuple[AlternativeView, ...]:
    """Other starts of a flexible pending job in the plan that is shown."""
    problem, plan, row = agent.problem, agent.last_plan, agent.rows.get(view.job_id)
    pending = view.state == JobState.PENDING.value
    if problem is None or plan is None or row is None or not (view.flexible and pending):
        return ()
    resources = room_of(agent.cluster.pools).resources if agent.cluster else ()
    return tuple(
        AlternativeView(
            one.name,
            one.start,
            one.cost_gbp,
            one.co2_kg,
            one.delay_gbp,
            one.room_gbp,
            one.why_not,
        )
        for one in alternatives(problem, agent.settings.planning, plan, row, resources)
    )


def _summary(view: JobView, sites: Sequence[str] = ()) -> str:
    if view.state == JobState.AWAY.value:
        return (
            f"It waits or runs at another of its sites: `squeue -M {','.join(sites)}` shows it. If FlexLon"
            " moved it, it gets all its sites back in time where it has not started."
        )
    if view.state != JobState.PENDING.value:
        moved = "after FlexLon had moved its begin time" if view.touched else "untouched by FlexLon"
        return f"It has started ({view.state}), {moved}."
    if not view.flexible:
        return f"FlexLon leaves it to Slurm: {view.consent}."
    start = "It is held by its begin time" if view.held_by_us else "It is not held by FlexLon"
    saving = ""
    if not math.isnan(view.cost_gbp) and not math.isnan(view.cost_asap_gbp):
        saving = (
            f" Against starting as soon as possible it saves"
            f" {view.cost_asap_gbp - view.cost_gbp:.4f} GBP and"
            f" {view.co2_asap_kg - view.co2_kg:.4f} kg CO2."
        )
    return (
        f"{start}: {view.reason}.{saving} Nothing of ours is needed for it to start: Slurm starts it by"
        f" itself; `scontrol update JobId={view.job_id} StartTime=now` takes it out of FlexLon for good."
    )
