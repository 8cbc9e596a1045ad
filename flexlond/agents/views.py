"""What people see of the loop: the port's records, filled from its state.

Law: reads memory only, never Slurm; invents nothing: a figure that is not known is 0 for a time and NaN for a
price, a cost or an amount. Times are epoch seconds (UTC), kW at the site's meter, GBP, kg CO2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flexlond.agents.decide import is_held
from flexlond.agents.ports import (
    ExplainView,
    HistoryView,
    JobView,
    PlanSlotView,
    PlanView,
    SignalLine,
    SignalsView,
    StatusView,
)
from flexlond.model.directive import Directive
from flexlond.model.job import Job, JobState
from flexlond.model.power import job_kw
from flexlond.model.series import UNITS, Kind, Series
from flexlond.planning.problem import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.consent import FlexJob
    from flexlond.agents.records import JobRecord, Store
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
        signals=_signal_lines(agent),
        slot_seconds=agent.settings.grid.slot_seconds,
        warnings=tuple(warnings),
        started_at=agent.started_at,
    )


def _signal_lines(agent: LoopState) -> tuple[SignalLine, ...]:
    return tuple(_signal_line(kind, series) for kind, series in agent.series.items())


def _signal_line(kind: Kind, series: Series) -> SignalLine:
    known = np.flatnonzero(~np.isnan(series.values))
    grid = series.grid
    first = grid.slot_start(int(known[0])) if known.size else 0
    last = grid.slot_start(int(known[-1]) + 1) if known.size else 0
    return SignalLine(
        kind.value,
        series.source,
        UNITS[kind],
        series.fetched_at,
        first,
        last,
        series.quality.value,
        series.detail,
    )


def jobs(agent: LoopState, now: int) -> Sequence[JobView]:
    """Every job of the last snapshot."""
    if agent.snapshot is None:
        return ()
    return [_view(agent, job, now) for job in agent.snapshot.jobs]


def _view(agent: LoopState, job: Job, now: int) -> JobView:
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
    power = directive.power if directive else None
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
        kw=agent.kw.get(job.job_id) or job_kw(job, power, agent.settings.power) * job.task_count,
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
    )


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
    return _WORDS[Reason(int(agent.last_plan.reason[row]))]


def explain(agent: LoopState, store: Store, job_id: int, now: int) -> ExplainView | None:
    """Why this job starts when it starts, what it saves, until when at the latest."""
    job = (
        next((j for j in agent.snapshot.jobs if j.job_id == job_id), None)
        if agent.snapshot
        else None
    )
    if job is None:
        return None
    view = _view(agent, job, now)
    known = agent.flex.get(job_id)
    record = agent.actuator.records.get(job_id)
    history = store.history(job_id, record.first_submit) if record else ()
    return ExplainView(
        job=view,
        summary=_summary(view),
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
    )


def _summary(view: JobView) -> str:
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


def plan_view(agent: LoopState) -> PlanView | None:
    """The last plan, slot by slot."""
    found = agent.last_plan
    if found is None:
        return None
    return PlanView(
        made_at=agent.planned_at,
        slot_seconds=agent.settings.grid.slot_seconds,
        slots=_slots(agent),
        cost_gbp=found.totals.cost_gbp,
        cost_asap_gbp=found.totals.cost_asap_gbp,
        co2_kg=found.totals.co2_kg,
        co2_asap_kg=found.totals.co2_asap_kg,
    )


def signals_view(agent: LoopState) -> SignalsView:
    """The feeds with their values by slot."""
    return SignalsView(_signal_lines(agent), _slots(agent))


def _slots(agent: LoopState) -> tuple[PlanSlotView, ...]:
    found, price, carbon = (
        agent.last_plan,
        agent.series.get(Kind.PRICE),
        agent.series.get(Kind.CARBON),
    )
    series = price or carbon
    if found is None or series is None:
        return ()
    grid = series.grid
    unknown = np.full(grid.count, np.nan)
    starts = np.bincount(found.slot[found.slot < grid.count], minlength=grid.count)
    return tuple(
        PlanSlotView(
            grid.slot_start(slot),
            float((price.values if price else unknown)[slot]),
            float((carbon.values if carbon else unknown)[slot]),
            float(found.kw[slot]),
            float(found.kw_asap[slot]),
            int(starts[slot]),
        )
        for slot in range(grid.count)
    )
