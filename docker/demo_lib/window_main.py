"""The demo of a window: a full cluster gets an order with two slots' notice.

Law: exit code 0 only when the meter says that every slot was kept, no promise was broken because of the window
and no job without consent was changed; 1 otherwise, with the reasons on stderr.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo_lib import setup, window_order, window_summary
from demo_lib.facts import Evidence, collect
from demo_lib.metering import GpuRun, load, read_samples
from demo_lib.product import DemoError
from demo_lib.users import Users
from demo_lib.window_load import GPUS, PATIENCE, Timing, window_load
from demo_lib.window_report import WindowReport, rows
from demo_lib.window_run import WindowRun, watch_of

if TYPE_CHECKING:
    from rich.console import Console

    from demo_lib.day import Day
    from demo_lib.report import Report

_LEAD_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for: the share of the metered mean to take off, and whether jobs may be requeued for it."""

    slot_seconds: int
    reduction: float
    requeue: bool
    seed: int


def prepare(timing: Timing, *, requeue: bool) -> Day:
    """The meter runs, FlexLon acts; the day begins at the next slot border. Raises DemoError."""
    seconds = timing.slot_seconds
    slots = timing.end + PATIENCE
    window_order.start_meter()
    window_order.write_feed(window_order.flat_day(int(time.time()), seconds, slots))
    setup.configure(window_order.configuration(seconds, requeue=requeue))
    status = setup.wait_until_ready()
    print(
        f"FlexLon acts: Slurm {status.slurm_version}, reader {status.reader}: {status.last_cycle}"
    )
    return window_order.flat_day(int(time.time()) + _LEAD_SECONDS, seconds, slots)


def run_window(order: Order, console: Console) -> WindowReport:
    """The whole demo. Raises DemoError."""
    timing = Timing(order.slot_seconds)
    print(
        f"slots of {order.slot_seconds} s: {timing.warm_up} to fill up, {timing.observed} observed, then "
        f"the order, {timing.notice} whole slots of notice, {timing.window} of the window"
    )
    day = prepare(timing, requeue=order.requeue)
    users = Users(window_load(timing, requeue=order.requeue, seed=order.seed), float(day.start))
    run = WindowRun(day, timing, users, order.reduction, watch_of(users))
    time.sleep(max(0.0, day.start - time.time()))
    run.watch(console)
    return report(run)


def report(run: WindowRun) -> WindowReport:
    """From the evidence of a finished run. Raises DemoError when something is missing."""
    if run.ordered is None:
        raise DemoError("no window was ordered")
    timing, observer = run.timing, run.observer
    submitted = [done for done in run.users.accepted if not done.submission.held]
    facts = collect(Evidence(run.day, tuple(submitted), observer.watch))
    before = load(
        _gpu_runs(run, facts), GPUS, run.slot_start(timing.warm_up), run.slot_start(timing.order)
    )
    silent = {job.job_id for job in facts.jobs if not job.consents}
    silent |= {done.job_id for done in run.users.accepted if done.submission.held}
    return WindowReport(
        slurm=facts.slurm,
        slot_seconds=timing.slot_seconds,
        reduction=run.reduction,
        baseline_kw=run.baseline_kw,
        ordered=run.ordered,
        slots=rows(
            timing,
            run.day.start,
            int(time.time()),
            run.ordered,
            read_samples(window_order.METER_FILE),
            planned=observer.planned,
            modelled=observer.modelled,
        ),
        load=before[0],
        flexible=before[1],
        jobs=facts.jobs,
        without_consent=len(silent),
        changed=(*observer.records.of(silent), *_stopped_unasked(run)),
        requeued=len(observer.records.with_changed("Restarts")),
    )


def _stopped_unasked(run: WindowRun) -> tuple[str, ...]:
    """Flexible jobs that were requeued and had not agreed to that."""
    again = run.observer.records.with_changed("Restarts")
    return tuple(
        f"job {done.job_id} was requeued and had agreed to wait only"
        for done in run.users.accepted
        if done.job_id in again
        and done.submission.kind.consents
        and "preempt=requeue" not in done.submission.comment
    )


def _gpu_runs(run: WindowRun, facts: Report) -> list[GpuRun]:
    gpus = {done.job_id: done.submission.gpus for done in run.users.accepted}
    return [
        GpuRun(gpus[job.job_id], job.start, job.end, job.consents)
        for job in facts.jobs
        if job.start is not None and job.end is not None
    ]


def show(found: WindowReport, console: Console) -> int:
    """Print it; the exit code."""
    window_summary.show(found, console)
    failures = found.failures()
    for failure in failures:
        print(f"NOT KEPT: {failure}", file=sys.stderr)
    return 1 if failures else 0
