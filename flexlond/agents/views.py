"""What people see of the loop: the port's records, filled from its state.

Law: reads memory only, never Slurm; invents nothing: a figure that is not known is 0 for a time and NaN for a
price, a cost or an amount. Times are epoch seconds (UTC), kW at the site's meter, GBP, kg CO2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.agents import windows
from flexlond.agents.decide import is_held
from flexlond.agents.plan_views import signal_lines
from flexlond.agents.ports import JobView, StatusView
from flexlond.agents.power_views import power_view
from flexlond.agents.sentence import obstacle
from flexlond.model.directive import Directive
from flexlond.model.job import Job, JobState
from flexlond.planning.problem import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.consent import FlexJob
    from flexlond.agents.records import JobRecord
    from flexlond.agents.state import LoopState
    from flexlond.planning.problem import Plan

_WORDS = {
    Reason.PRICE: "the cheapest window of price and carbon that its latest start and the cluster allow",
    Reason.CHEAPEST_NOW: "its first possible start is already the best one",
    Reason.CAPACITY: "better slots are full",
    Reason.LATEST_START: "its latest start leaves no room to wait",
    Reason.BELOW_BENEFIT: "waiting would save less than the site's threshold",
    Reason.MAX_PRICE: "it waits for a slot below its own max-price",
    Reason.MAX_CARBON: "it waits for a slot below its own max-carbon",
    Reason.NO_SIGNAL: "price or carbon is not known for the slots it would need",
    Reason.RAMP: "its best slot is taken by the site's ramp cap",
    Reason.KEPT: "it keeps its begin time: a change would save too little",
    Reason.NOT_MOVABLE: "it is left to Slurm",
    Reason.POWER_CAP: "better slots have no room under the cap on the site's power",
    Reason.CARBON_CAP: "the cap on CO2 keeps it from its cheapest slot",
}


def status(agent: LoopState, now: int) -> StatusView:
    """The state of the loop."""
    snapshot, cluster = agent.snapshot, agent.cluster
    warnings: list[str] = []
    if cluster is not None and not cluster.accrue_always:
        warnings.append(
            "PriorityFlags lacks ACCRUE_ALWAYS: a job gains no age priority while it waits for its begin"
            " time; FlexLon keeps a larger margin for it (slurm.conf: PriorityFlags=ACCRUE_ALWAYS)"
        )
    if snapshot is not None and snapshot.misfits:
        warnings.append(f"queue rows not understood: {'; '.join(snapshot.misfits[:3])}")
    warnings += _power_warnings(agent)
    warnings += windows.warnings(agent, now)
    if (why := obstacle(agent)) and any(window.binds(now) for window in agent.windows):
        warnings.append(f"a window is in force and may fall short: {why}")
    return StatusView(
        version=agent.version,
        mode=agent.settings.daemon.mode,
        paused=agent.paused,
        draining=agent.draining,
        slurm_version=cluster.slurm_version if cluster else "",
        reader=agent.reader.name,
        reader_reason=agent.reader_reason,
        helper_answering=agent.actuator.answering,
        helper_detail=agent.actuator.detail,
        last_cycle_at=agent.cycle_at,
        last_cycle=agent.sentence,
        last_cycle_seconds=agent.cycle_seconds,
        jobs_seen=len(snapshot.jobs) if snapshot else 0,
        jobs_flexible=sum(1 for known in agent.flex.values() if known.directive is not None),
        jobs_held=sum(1 for known in agent.flex.values() if is_held(known, now)),
        opted_out=sum(
            1 for known in agent.flex.values() if known.record and known.record.opted_out
        ),
        signals=signal_lines(agent),
        slot_seconds=agent.settings.grid.slot_seconds,
        warnings=tuple(warnings),
        started_at=agent.started_at,
        prediction=_prediction(agent),
        power=power_view(agent, now),
    )


def _power_warnings(agent: LoopState) -> list[str]:
    """A power cap that leaves no room for any job."""
    cap, problem = agent.settings.planning.site_kw, agent.problem
    if not cap or problem is None or cap > problem.base_kw:
        return []
    base = f"planning.site_kw ({cap:g} kW) is not above what idle nodes draw ({problem.base_kw:.1f} kW)"
    return [f"{base}: no job fits under it (check site_kw, and idle_watts in [power.node_types])"]


def _prediction(agent: LoopState) -> str:
    """One line: what was learnt."""
    if not agent.settings.prediction.enabled:
        return "off ([prediction] enabled = false): time limits and coefficients are used"
    return agent.learner.detail if agent.learner else ""


def jobs(agent: LoopState, now: int) -> Sequence[JobView]:
    """Every job of the last snapshot."""
    if agent.snapshot is None:
        return ()
    return [job_view(agent, job, now) for job in agent.snapshot.jobs]


def job_view(agent: LoopState, job: Job, now: int) -> JobView:
    """One job as the loop sees it."""
    known = agent.flex.get(job.job_id) if job.state is JobState.PENDING else None
    record = known.record if known else agent.actuator.records.get(job.job_id)
    if record is not None and record.first_submit > job.submit:
        record = None
    row = agent.rows.get(job.job_id) if known or job.state is JobState.PENDING else None
    plan = agent.last_plan if row is not None else None
    directive = known.directive if known else None
    consent = known.consent if known else "no directive and no site default"
    if record is not None and known is None:  # it has started: what it had agreed to
        reading = agent.consents.read(job, record.first_submit)
        directive = reading if isinstance(reading, Directive) else None
        consent = directive.source if directive else consent
    whole, counted = _kw(agent, job, directive)
    return JobView(
        uid=job.uid,
        job_id=job.job_id,
        array=_array(job),
        user=job.user,
        partition=job.partition,
        state=job.state.value,
        flexible=directive is not None,
        consent=consent,
        begin=job.begin,
        planned_start=_planned_start(agent, job, row, record),
        latest_start=known.latest.at or 0 if known and known.latest else 0,
        deadline=(directive.deadline if directive else 0) or job.deadline,
        held_by_us=is_held(known, now) if known else False,
        kw=whole,
        cost_gbp=float(plan.cost_gbp[row]) if plan else math.nan,
        cost_asap_gbp=float(plan.cost_asap_gbp[row]) if plan else math.nan,
        co2_kg=float(plan.co2_kg[row]) if plan else math.nan,
        co2_asap_kg=float(plan.co2_asap_kg[row]) if plan else math.nan,
        comment=job.comment,
        reason=_reason(agent, known, row),
        opted_out=bool(record and record.opted_out),
        submit=record.first_submit if record else job.submit,
        eligible=(record.eligible if record else job.begin),
        asap_start=int(plan.asap[row]) if plan and row is not None and _inside(plan, row) else 0,
        duration_seconds=float(job.time_limit or 0),
        touched=bool(record and record.touched),
        must_start_by=known.latest.at + known.margin
        if known and known.latest and known.latest.at
        else 0,
        counted_kw=counted,
    )


def _kw(agent: LoopState, job: Job, directive: Directive | None) -> tuple[float, float]:
    """The whole power of all its tasks, and what the plan counts of it; (kW, kW)."""
    if job.job_id in agent.whole_kw:
        return agent.whole_kw[job.job_id], agent.kw[job.job_id]
    saving = agent.cluster is not None and agent.cluster.power_saving
    spec = directive.power if directive else None
    drawn = agent.outlook.draw([job], [spec], agent.settings.power, power_saving=saving)
    return float(drawn.whole[0]) * job.task_count, float(drawn.counted[0]) * job.task_count


def _array(job: Job) -> str:
    if not job.array_job_id:
        return ""
    task = job.array_task_id
    return f"{job.array_job_id}_{task if task is not None else f'[{job.array_tasks}]'}"


def _planned_start(agent: LoopState, job: Job, row: int | None, record: JobRecord | None) -> int:
    if job.state is not JobState.PENDING:
        return job.start
    if record is not None and record.hold:
        return record.hold
    if row is None or agent.last_plan is None or not _inside(agent.last_plan, row):
        return 0
    return int(agent.last_plan.start[row])


def _inside(plan: Plan, row: int) -> bool:
    """The job's start lies inside the horizon; beyond it nothing is known (it may never fit)."""
    return bool(plan.slot[row] < len(plan.kw))


def _reason(agent: LoopState, known: FlexJob | None, row: int | None) -> str:
    if known is None:
        return ""
    if known.why_not:
        return known.why_not
    if row is None or agent.last_plan is None:
        return "not planned yet"
    if known.job.job_id in agent.over_ramp:
        return "the plan gives it back, as soon as the ramp cap has room and at its begin time at the latest"
    return _WORDS[Reason(int(agent.last_plan.reason[row]))]
