"""Reads the metering points of the configuration: the places where settlement's data are.

Law: composes and decides nothing: signals and slurm bring samples and records, settlement makes readings of
them. A point that cannot be read is a problem in words and gives no reading; the others are read all the
same. Measured readings come from meters only: Slurm's accounting and the model give estimates, whatever they
say.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from flexlond.model.settlement_period import LENGTH, day_end, day_start
from flexlond.settlement.estimated import JobEnergy, from_jobs, from_model
from flexlond.settlement.readings import Reading, best_of, summed
from flexlond.settlement.sampled import Limits, from_counter, from_power
from flexlond.signals.energy_prometheus import read_samples
from flexlond.signals.rows import SignalError
from flexlond.slurm.accounting import read_accounting
from flexlond.slurm.command import SlurmCommandError

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from flexlond.model.settings import Settings
    from flexlond.model.settlement_settings import PointSettings

TIMEOUT = 30.0  # seconds of one request
_WH = {"Wh": 1.0, "kWh": 1000.0, "MWh": 1e6, "J": 1 / 3600}
_KW = {"W": 0.001, "kW": 1.0, "MW": 1000.0}


@dataclass(frozen=True, slots=True)
class MeterReport:
    """What was read, and what could not be."""

    readings: tuple[Reading, ...]
    problems: tuple[str, ...]


async def read_points(
    settings: Settings,
    first: dt.date,
    last: dt.date,
    daemon_store: Path,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> MeterReport:
    """The readings of every point that is not fed by files, from the first to the last date.

    Of a point with several sources the best reading of each period stands, of equals the earlier source's.
    """
    starts = range(day_start(first), day_end(last), LENGTH)
    readings: list[Reading] = []
    problems: list[str] = []
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
        for point in settings.settlement.points:
            try:
                if point.source == "prometheus":
                    readings += await _prometheus(client, point, starts)
                elif point.source == "slurm":
                    readings += _slurm(settings, point, starts)
                elif point.source == "model":
                    readings += _model(point, starts, daemon_store)
            except (SignalError, SlurmCommandError, sqlite3.Error) as error:
                problems.append(f"{point.name}: {error}")
    return MeterReport(tuple(best_of(readings)), tuple(problems))


async def _prometheus(
    client: httpx.AsyncClient, point: PointSettings, starts: range
) -> list[Reading]:
    edge = math.ceil(point.max_gap)
    found = await read_samples(
        client,
        point.url,
        point.query,
        starts.start - edge,
        starts.stop + edge,
        series=point.series,
    )
    limits = Limits(point.max_kw, point.max_gap)
    source = f"Prometheus at {point.url}: {point.query}"
    parts = []
    for samples in found:
        if point.kind == "counter":
            made = from_counter(
                point.name, samples, starts, limits, source=source, wh_per_unit=_WH[point.unit]
            )
        else:
            made = from_power(
                point.name, samples, starts, limits, source=source, kw_per_unit=_KW[point.unit]
            )
        parts.append({one.start: one for one in made})
    return summed(point.name, parts, source)


def _slurm(settings: Settings, point: PointSettings, starts: range) -> list[Reading]:
    records = read_accounting(
        settings.slurm, since=starts.start, until=starts.stop, duplicates=True
    )
    # Without an energy plugin Slurm says 0 J, which no job took.
    jobs = [
        JobEnergy(str(one.job_id), one.start, one.end or starts.stop, one.energy_joules or None)
        for one in records
        if one.start
    ]
    return from_jobs(point.name, jobs, starts, site_factor=point.site_factor, base_kw=point.base_kw)


def _model(point: PointSettings, starts: range, daemon_store: Path) -> list[Reading]:
    """What the daemon has kept of it (two days); its file is only read."""
    db = sqlite3.connect(f"file:{daemon_store}?mode=ro", uri=True)
    try:
        rows = db.execute(
            "SELECT at, kw FROM modelled_power WHERE at>=? AND at<? ORDER BY at",
            (starts.start - math.ceil(point.max_gap), starts.stop),
        ).fetchall()
    finally:
        db.close()
    samples = [(float(at), float(kw)) for at, kw in rows]
    return from_model(point.name, samples, starts, Limits(point.max_kw, point.max_gap))
