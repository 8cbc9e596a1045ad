"""From the columns of a job log to a Trace: what becomes a job, in which order, and what is left out.

Law: never invents a job. Every row left out is said with its line number (the first few, then a count), and
what was estimated is said too. Of several lines with one job id the first counts. Units: epoch seconds,
seconds, MiB, kWh. Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.backtest import site as cluster
from flexlond.backtest.case import Said, Trace
from flexlond.backtest.site import Jobs, Site, TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.backtest.notes import Notes


def assemble(
    jobs: Jobs, site: Site, notes: Notes, *, cpus: float = 0.0, nodes_as_said: bool = False
) -> Trace:
    """The trace of `jobs` on the site's cluster; see the module's law. Raises TraceError.

    `cpus` is the cluster's total where the file says it. `nodes_as_said`: the file's own node counts are
    what the jobs took; else they count only where the site's CPUs per node are not known.
    """
    jobs = _without_duplicates(jobs, notes)
    if not len(jobs.submit):
        raise TraceError(
            f"{notes.name}: no job in it ran; give a log of finished jobs{notes.first()}"
        )
    pool = cluster.pools_of(jobs, site, notes)
    jobs, pool = jobs.take(pool >= 0), pool[pool >= 0]
    jobs.limit = _limits(jobs, notes)
    demand = cluster.demand_of(jobs, site, notes)
    room = cluster.room_of(jobs, pool, site, notes, cpus)
    nodes = cluster.node_equivalents(jobs, site, notes, as_said=nodes_as_said)
    order = np.flatnonzero(cluster.fitting(jobs, pool, demand, room, notes))
    if not len(order):
        raise TraceError(
            f"{notes.name}: no job fits a pool; check the sizes and names of the pools{notes.first()}"
        )
    order = order[_by_submission(jobs, order, notes)]
    jobs = jobs.take(order)
    return Trace(
        name=notes.name,
        job_id=jobs.job_id,
        submit=jobs.submit,
        runtime=jobs.runtime,
        limit=jobs.limit,
        demand=demand[order],
        pool=pool[order],
        nodes=nodes[order],
        user=jobs.user,
        account=jobs.account,
        label=jobs.label,
        energy_kwh=jobs.energy_kwh,
        room=room,
        problems=notes.texts(),
        said=_said(jobs),
    )


def _said(jobs: Jobs) -> Said | None:
    """What the jobs say of themselves; None where none says anything."""
    if not (np.isfinite(jobs.work) | np.isfinite(jobs.latency)).any():
        return None
    return Said(jobs.work, jobs.unit, jobs.latency)


def _without_duplicates(jobs: Jobs, notes: Notes) -> Jobs:
    _, first = np.unique(jobs.job_id, return_index=True)
    again = np.ones(len(jobs.job_id), np.bool_)
    again[first] = False
    for position in np.flatnonzero(again).tolist():
        job = jobs.job_id[position]
        notes.line(jobs.line[position], f"job {job} is there already, its first line counts")
    return jobs.take(~again)


def _limits(jobs: Jobs, notes: Notes) -> NDArray[np.float64]:
    unknown = ~(jobs.limit > 0)
    if unknown.any():
        notes.say(f"{int(unknown.sum())} jobs without a time limit: their runtime is taken for it")
    return np.where(unknown, jobs.runtime, jobs.limit)


def _by_submission(jobs: Jobs, order: NDArray[np.intp], notes: Notes) -> NDArray[np.intp]:
    submit = jobs.submit[order]
    earlier = np.flatnonzero(np.diff(submit) < 0)
    if len(earlier):
        where = int(jobs.line[order[earlier[0] + 1]])
        notes.say(f"not in order of submission at {len(earlier)} lines (first {where}): sorted")
    return np.argsort(submit, kind="stable")
