"""The demo's account: what the jobs cost and emitted, what they would have as soon as possible, who was late.

Law: pure arithmetic on facts that others measured. Start, end and state are Slurm's (sacct), the planned and
the latest start FlexLon's, the counterfactual start the list schedule's; nothing is estimated here. Costs are
exact integrals of a step function: kW x seconds x GBP/MWh / 3.6e6, and g/kWh likewise for kilograms. A value
outside the series is an error, never a guess. Times are epoch seconds (UTC); None means "does not apply".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# kW x s x (GBP/MWh) -> GBP, and kW x s x (g/kWh) -> kg: both 3600 s/h x 1000.
_PER_UNIT = 3_600_000.0
HALF_HOUR = 1800


@dataclass(frozen=True, slots=True)
class Curve:
    """A step function: `values[i]` holds from start + i * step for `step` seconds."""

    start: int
    step: int
    values: tuple[float, ...]

    @property
    def end(self) -> int:
        """The first second after the last value."""
        return self.start + self.step * len(self.values)

    def at(self, moment: int) -> float:
        """The value in force. Raises ValueError outside the curve."""
        if not self.start <= moment < self.end:
            raise ValueError(
                f"{iso(moment)} is outside the series {iso(self.start)} to {iso(self.end)}"
            )
        return self.values[(moment - self.start) // self.step]

    def integral(self, begin: int, end: int) -> float:
        """Value x seconds over [begin, end). Raises ValueError when it leaves the curve."""
        total = 0.0
        moment = begin
        while moment < end:
            until = min(end, moment + self.step - (moment - self.start) % self.step)
            total += self.at(moment) * (until - moment)
            moment = until
        return total


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job as sacct, FlexLon and the counterfactual know it. `start` None: it never started."""

    job_id: int
    user: str
    comment: str
    consents: bool
    touched: bool
    submit: int
    eligible: int | None
    planned_start: int | None
    start: int | None
    end: int | None
    latest_start: int | None
    deadline: int | None
    state: str
    kw: float
    asap_start: int | None
    shown: str = ""  # the job as Slurm shows it to people: "12_3"

    @property
    def late(self) -> bool:
        """Started after its latest start, ended after its deadline, or promised and never run."""
        if self.latest_start is None and self.deadline is None:
            return False
        if self.start is None or self.end is None or self.state != "COMPLETED":
            return True
        after_latest = self.latest_start is not None and self.start > self.latest_start
        return after_latest or (self.deadline is not None and self.end > self.deadline)

    @property
    def wrongly_touched(self) -> bool:
        """Changed by us although nobody consented."""
        return self.touched and not self.consents

    @property
    def run(self) -> tuple[int, int] | None:
        """When it ran."""
        return None if self.start is None or self.end is None else (self.start, self.end)

    @property
    def asap_run(self) -> tuple[int, int] | None:
        """When it would have run, for as long as it really took."""
        if self.run is None or self.asap_start is None:
            return None
        return self.asap_start, self.asap_start + self.run[1] - self.run[0]


@dataclass(frozen=True, slots=True)
class Summary:
    """The table's numbers: money in GBP, carbon in kg CO2, power in kW."""

    jobs: int
    annotated: int
    touched: int
    late: int
    cost_gbp: float
    cost_asap_gbp: float
    co2_kg: float
    co2_asap_kg: float
    peak_kw: float
    peak_asap_kw: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the demo says at its end."""

    slurm: str
    reader: str
    slot_seconds: int
    jobs: tuple[JobFacts, ...]
    price: Curve  # GBP/MWh
    carbon: Curve  # gCO2/kWh

    def summary(self) -> Summary:
        """Add it up. Raises ValueError when a job ran outside the series."""
        real = [(job.kw, job.run) for job in self.jobs if job.run is not None]
        asap = [(job.kw, job.asap_run) for job in self.jobs if job.asap_run is not None]
        return Summary(
            jobs=len(self.jobs),
            annotated=sum(job.consents for job in self.jobs),
            touched=sum(job.touched for job in self.jobs),
            late=sum(job.late for job in self.jobs),
            cost_gbp=sum(amount(kw, run, self.price) for kw, run in real),
            cost_asap_gbp=sum(amount(kw, run, self.price) for kw, run in asap),
            co2_kg=sum(amount(kw, run, self.carbon) for kw, run in real),
            co2_asap_kg=sum(amount(kw, run, self.carbon) for kw, run in asap),
            peak_kw=peak(real),
            peak_asap_kw=peak(asap),
        )

    def failures(self) -> list[str]:
        """Why the run does not keep what FlexLon promises; empty when it does."""
        total = self.summary()
        found = [f"job {job.job_id} of {job.user} was late" for job in self.jobs if job.late]
        found += [
            f"job {job.job_id} of {job.user} was changed without consent"
            for job in self.jobs
            if job.wrongly_touched
        ]
        found += [
            f"job {job.job_id} of {job.user} ended as {job.state}"
            for job in self.jobs
            if job.state != "COMPLETED"
        ]
        if not total.cost_gbp < total.cost_asap_gbp:
            found.append(f"cost {total.cost_gbp:.6f} GBP is not below {total.cost_asap_gbp:.6f}")
        if not total.co2_kg < total.co2_asap_kg:
            found.append(f"{total.co2_kg:.6f} kg CO2 is not below {total.co2_asap_kg:.6f}")
        return found

    def as_data(self) -> dict[str, Any]:
        """The same as plain data for JSON: ISO 8601 UTC times, None where a thing does not apply."""
        total = self.summary()
        return {
            "slurm": self.slurm,
            "reader": self.reader,
            "slot_seconds": self.slot_seconds,
            "summary": {name: getattr(total, name) for name in Summary.__dataclass_fields__},
            "jobs": [self._job_data(job) for job in self.jobs],
        }

    def _job_data(self, job: JobFacts) -> dict[str, Any]:
        return {
            "job_id": job.job_id,
            "user": job.user,
            "comment": job.comment or None,
            "touched": job.touched,
            "submit": iso(job.submit),
            "eligible": _iso_or_none(job.eligible),
            "planned_start": _iso_or_none(job.planned_start),
            "start": _iso_or_none(job.start),
            "end": _iso_or_none(job.end),
            "latest_start": _iso_or_none(job.latest_start),
            "deadline": _iso_or_none(job.deadline),
            "state": job.state,
            "kw": job.kw,
            "cost_gbp": _amount_or_none(job.kw, job.run, self.price),
            "cost_asap_gbp": _amount_or_none(job.kw, job.asap_run, self.price),
            "co2_kg": _amount_or_none(job.kw, job.run, self.carbon),
            "co2_asap_kg": _amount_or_none(job.kw, job.asap_run, self.carbon),
        }


def iso(moment: int) -> str:
    """ISO 8601 in UTC: 2026-11-23T18:00:07Z."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _iso_or_none(moment: int | None) -> str | None:
    return None if moment is None else iso(moment)


def amount(kw: float, run: tuple[int, int] | None, curve: Curve) -> float:
    """GBP (price curve) or kg CO2 (carbon curve) of `kw` drawn during `run`; 0 when it did not run."""
    return 0.0 if run is None else kw * curve.integral(*run) / _PER_UNIT


def _amount_or_none(kw: float, run: tuple[int, int] | None, curve: Curve) -> float | None:
    return None if run is None else amount(kw, run, curve)


def peak(runs: Iterable[tuple[float, tuple[int, int] | None]]) -> float:
    """The highest sum of kW at one moment; a job that ends when another starts does not overlap it."""
    steps: list[tuple[int, float]] = []
    for kw, run in runs:
        if run is not None and run[0] < run[1]:
            steps += [(run[0], kw), (run[1], -kw)]
    highest = level = 0.0
    # Negative steps first at the same second: the end comes before the next start.
    for _, step in sorted(steps):
        level += step
        highest = max(highest, level)
    return highest


def saved(now: float, before: float) -> float:
    """Percent saved against `before`; 0 when there was nothing to save."""
    return 0.0 if before == 0 else 100.0 * (before - now) / before


def scale(slot_seconds: int) -> float:
    """How much longer the half-hour is for which one of the demo's slots stands."""
    return HALF_HOUR / slot_seconds


def deadlines_kept(jobs: Sequence[JobFacts]) -> tuple[int, int]:
    """(kept, promised) over the jobs that have a latest start or a deadline."""
    promised = [job for job in jobs if job.latest_start is not None or job.deadline is not None]
    return sum(not job.late for job in promised), len(promised)
