"""Readings where no meter was: Slurm's own energy accounting, and the modelled power of what ran.

Law: pure. Both are estimates whatever they say, and support no claim (I6). Slurm counts the energy of a job
as a whole; it is spread evenly over the run, and what no job was charged with (idle nodes, cooling) is not in
it: the caller's `site_factor` (PUE) and `base_kw` say what to add. Times are epoch seconds (UTC); energy is
Wh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import LENGTH
from flexlond.settlement.readings import Quality, Reading, missing
from flexlond.settlement.sampled import Limits, from_power

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class JobEnergy:
    """One run of a job as accounting has it (ConsumedEnergyRaw, in J); None: the plugin did not count."""

    job: str
    begin: int
    end: int
    joules: int | None


def from_jobs(
    point: str,
    jobs: Iterable[JobEnergy],
    starts: Sequence[int],
    *,
    site_factor: float = 1.0,
    base_kw: float = 0.0,
    source: str = "Slurm energy accounting",
) -> list[Reading]:
    """Energy of the periods; a run without a figure makes every period that it touches missing."""
    energy = dict.fromkeys(starts, 0.0)
    uncounted: dict[int, list[str]] = {}
    edges = dict.fromkeys(starts, 0.0)
    for job in jobs:
        if job.end <= job.begin:
            continue
        for start in range(job.begin - job.begin % LENGTH, job.end, LENGTH):
            if start not in energy:
                continue
            if job.joules is None:
                uncounted.setdefault(start, []).append(job.job)
                continue
            inside = min(job.end, start + LENGTH) - max(job.begin, start)
            wh = job.joules / 3600 * inside / (job.end - job.begin)
            energy[start] += wh
            if inside < job.end - job.begin:
                edges[start] += wh
    found = []
    for start in starts:
        if start in uncounted:
            names = ", ".join(uncounted[start][:3])
            why = f"{len(uncounted[start])} runs without counted energy ({names})"
            found.append(missing(point, start, source, why))
            continue
        wh = energy[start] * site_factor + base_kw * 1000 * LENGTH / 3600
        found.append(
            Reading(
                point,
                start,
                math.floor(wh + 0.5),
                Quality.ESTIMATED,
                source,
                math.ceil(edges[start] * site_factor),
                "each run's energy spread evenly over it",
            )
        )
    return found


def from_model(
    point: str,
    samples: Iterable[tuple[float, float]],
    starts: Sequence[int],
    limits: Limits,
    source: str = "modelled power",
) -> list[Reading]:
    """The last resort: kW that the model gave to what ran, integrated."""
    detail = "by the model of what ran"
    return [
        replace(
            one, quality=Quality.ESTIMATED, detail="; ".join(filter(None, (detail, one.detail)))
        )
        if one.known
        else one
        for one in from_power(point, samples, starts, limits, source=source)
    ]
