"""The power of a job in site kW, from its directive or else from what it asks of Slurm.

Law: decides what one job (one task of an array) adds to the site's load while it runs; it measures nothing
and knows no tariff. A power that the user stated goes before the model. Watts below are IT power; the result
is multiplied by the site's PUE and given in kW:

    directive:  watts x (1 | nodes | gpus | cpus)
    model:      cpus x cpu_watts + sum over gpu types (count x gpu_watts)
                + min(cpus / cpus_per_node, nodes) x idle_watts x idle_share

Idle watts are shared by the part of the nodes' CPUs that a job takes, because all that is reserved for it
counts as its own (SCI specification). They are not saved by moving the job while its node stays on: that part
is given beside the whole, so that a plan can leave it out (marginal power) and count the idle nodes once, as
the site's base power. A stated power has no idle part: it counts as stated.
Source: the site's [power] settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flexlond.model.settings import NodeType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.model.directive import PowerSpec
    from flexlond.model.job import Job, Pool
    from flexlond.model.settings import PowerSettings

WATTS_PER_KW = 1000.0


def job_kw(job: Job, spec: PowerSpec | None, settings: PowerSettings) -> float:
    """Site kW of `job` while it runs, PUE included; of one task when it is an array.

    A stated power per GPU on a job without GPUs says nothing, so the model answers instead.
    """
    stated = _stated_watts(job, spec)
    watts = _model_watts(job, node_type(job.partition, settings)) if stated is None else stated
    return watts * settings.pue / WATTS_PER_KW


class JobsPower(NamedTuple):
    """Site kW of some jobs, PUE included; shapes (n,). The marginal power is `whole - idle`."""

    whole: NDArray[np.float64]
    idle: NDArray[np.float64]  # the idle share of its nodes in it; 0 where the power was stated
    stated: NDArray[np.bool_]  # by the directive


def jobs_kw(
    jobs: Sequence[Job], specs: Sequence[PowerSpec | None], settings: PowerSettings
) -> NDArray[np.float64]:
    """Shape (len(jobs),): `job_kw` of each job with its spec. Raises ValueError on unequal lengths."""
    return jobs_power(jobs, specs, settings).whole


def jobs_power(
    jobs: Sequence[Job], specs: Sequence[PowerSpec | None], settings: PowerSettings
) -> JobsPower:
    """The power of each job with its spec, and its idle part. Raises ValueError on unequal lengths."""
    if len(jobs) != len(specs):
        raise ValueError(f"{len(jobs)} jobs but {len(specs)} power specifications")
    types: dict[str, NodeType] = {}
    for partition in {job.partition for job in jobs}:
        types[partition] = node_type(partition, settings)
    kinds = [types[job.partition] for job in jobs]
    count = len(jobs)
    cpus = np.fromiter((job.cpus for job in jobs), np.float64, count)
    nodes = np.fromiter((max(1, job.nodes) for job in jobs), np.float64, count)
    cpu_watts = np.fromiter((kind.cpu_watts for kind in kinds), np.float64, count)
    per_node = np.fromiter((max(1, kind.cpus_per_node) for kind in kinds), np.float64, count)
    charged = np.fromiter((kind.idle_watts * kind.idle_share for kind in kinds), np.float64, count)
    gpus = np.fromiter(
        (_gpu_watts(job, kind.gpu_watts) for job, kind in zip(jobs, kinds, strict=True)),
        np.float64,
        count,
    )
    idle = np.minimum(cpus / per_node, nodes) * charged
    watts = cpus * cpu_watts + gpus + idle
    known = np.zeros(count, np.bool_)
    for at, (job, spec) in enumerate(zip(jobs, specs, strict=True)):
        stated = None if spec is None else _stated_watts(job, spec)
        if stated is not None:
            watts[at], idle[at], known[at] = stated, 0.0, True
    factor = settings.pue / WATTS_PER_KW
    return JobsPower(watts * factor, idle * factor, known)


def base_kw(pools: Sequence[Pool], settings: PowerSettings, *, power_saving: bool) -> float:
    """Site kW that is drawn whatever is planned: idle power that no job is charged with, and `other_kw`.

    Each node counts once, at the largest idle power of its partitions' types. Where nodes stay on
    (`power_saving` false) that is all of it; where Slurm switches them off, what `idle_share` leaves.
    """
    watts: dict[str, float] = {}
    for pool in pools:
        kind = node_type(pool.partition, settings)
        idle = kind.idle_watts * (1.0 - kind.idle_share if power_saving else 1.0)
        for name in pool.node_names:
            watts[name] = max(watts.get(name, 0.0), idle)
    return sum(watts.values()) * settings.pue / WATTS_PER_KW + settings.other_kw


def node_type(partition: str, settings: PowerSettings) -> NodeType:
    """The node type of a job's partition, the first of a list ("gpu,long").

    A type that names the partition, else the first that names none, else the built-in coefficients.
    """
    first = partition.split(",", 1)[0].strip()
    for kind in settings.node_types.values():
        if first in kind.partitions:
            return kind
    for kind in settings.node_types.values():
        if not kind.partitions:
            return kind
    return NodeType()


def _stated_watts(job: Job, spec: PowerSpec | None) -> float | None:
    """IT watts by the directive; None when there is none or it cannot apply."""
    if spec is None:
        return None
    if spec.per == "gpu":
        return spec.watts * job.gpu_count if job.gpu_count else None
    units = {"job": 1, "node": max(1, job.nodes), "cpu": job.cpus}[spec.per]
    return spec.watts * units


def _model_watts(job: Job, kind: NodeType) -> float:
    share = min(job.cpus / max(1, kind.cpus_per_node), float(max(1, job.nodes)))
    idle = share * kind.idle_watts * kind.idle_share
    return job.cpus * kind.cpu_watts + _gpu_watts(job, kind.gpu_watts) + idle


def _gpu_watts(job: Job, watts: Mapping[str, float]) -> float:
    """By type, else the "" entry, else the largest one known: an unknown GPU is never free."""
    if not job.gpus:
        return 0.0
    fallback = watts.get("", max(watts.values(), default=0.0))
    return sum(count * watts.get(kind, fallback) for kind, count in job.gpus)
