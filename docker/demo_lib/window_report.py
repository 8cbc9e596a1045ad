"""The account of a window that was ordered and watched: kW by slot against the cap, and what else was promised.

Law: pure arithmetic on facts that others measured; only the meter says whether a slot was kept: its mean is at
most 5 % above the cap. What the plan and the model said stands beside it and decides nothing. NaN: not known; a
slot whose power is not known is not kept. kW at the site's supply, epoch seconds (UTC).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from demo_lib.report import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from demo_lib.metering import Sample
    from demo_lib.report import JobFacts
    from demo_lib.window_load import Timing

from demo_lib.metering import mean_kw

ALLOWED = 0.05  # above the cap
LEAST_LOAD = 0.9
LEAST_FLEXIBLE = 0.5
REBOUND = 1.1  # the highest slot after the window, in highest slots before it


class Phase(StrEnum):
    """What a slot is for."""

    FILLING = "filling"
    BEFORE = "before"
    NOTICE = "notice"
    WINDOW = "window"
    AFTER = "after"


def phase_of(timing: Timing, slot: int) -> Phase:
    """The phase of a slot of the demo."""
    for first_after, phase in (
        (timing.warm_up, Phase.FILLING),
        (timing.order, Phase.BEFORE),
        (timing.begin, Phase.NOTICE),
        (timing.end, Phase.WINDOW),
    ):
        if slot < first_after:
            return phase
    return Phase.AFTER


@dataclass(frozen=True, slots=True)
class Ordered:
    """The window as flexlond took it: caps by slot from `start`; the first `ramp_slots` are the ramp-in."""

    window_id: int
    start: int
    caps: tuple[float, ...]
    ramp_slots: int
    ordered_kw: float


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One slot of the demo. `cap_kw` NaN: no window; `planned_kw` as the plan had it when the slot began."""

    start: int
    phase: Phase
    cap_kw: float
    ramp_in: bool
    planned_kw: float
    modelled_kw: float
    metered_kw: float

    @property
    def judged(self) -> bool:
        """Whether it has to be kept."""
        return self.phase is Phase.WINDOW and not self.ramp_in and math.isfinite(self.cap_kw)

    @property
    def kept(self) -> bool:
        """Whether the meter's mean is within 5 % of the cap or below it; an unknown power is not kept."""
        return self.metered_kw <= self.cap_kw * (1.0 + ALLOWED)


def rows(
    timing: Timing,
    start: int,
    end: int,
    ordered: Ordered,
    samples: Sequence[Sample],
    *,
    planned: Mapping[int, float],
    modelled: Mapping[int, float],
) -> tuple[SlotRow, ...]:
    """Every whole slot from `start` to `end`; `planned` and `modelled` are by the slot's first second."""
    found = []
    seconds = timing.slot_seconds
    for number, at in enumerate(range(start, end - seconds + 1, seconds)):
        place = (at - ordered.start) // seconds
        inside = 0 <= place < len(ordered.caps)
        found.append(
            SlotRow(
                start=at,
                phase=phase_of(timing, number),
                cap_kw=ordered.caps[place] if inside else math.nan,
                ramp_in=inside and place < ordered.ramp_slots,
                planned_kw=planned.get(at, math.nan),
                modelled_kw=modelled.get(at, math.nan),
                metered_kw=mean_kw(samples, at, at + seconds),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class WindowReport:
    """Everything that the demo of a window says at its end."""

    slurm: str
    slot_seconds: int
    reduction: float  # ordered, of the mean before the order
    baseline_kw: float  # that mean, by the meter
    ordered: Ordered
    slots: tuple[SlotRow, ...]
    load: float  # of the GPUs, in the six slots before the order
    flexible: float  # share of it
    jobs: tuple[JobFacts, ...]
    without_consent: int  # jobs, those that their users hold among them
    changed: tuple[str, ...]  # what was changed in their records
    requeued: int = 0  # jobs that were stopped for the window and ran again
    least_flexible: float = LEAST_FLEXIBLE  # of the load before the order, for the run to count

    def peak(self, *phases: Phase) -> float:
        """The highest metered slot of these phases; 0 when there is none."""
        return max(
            (
                slot.metered_kw
                for slot in self.slots
                if slot.phase in phases and slot.metered_kw > 0
            ),
            default=0.0,
        )

    @property
    def notice_kw(self) -> float:
        """The mean of the six slots right before the window, the notice among them."""
        first = next(at for at, slot in enumerate(self.slots) if slot.phase is Phase.WINDOW)
        before = [slot.metered_kw for slot in self.slots[max(0, first - 6) : first]]
        return math.fsum(before) / len(before)

    @property
    def missed(self) -> tuple[JobFacts, ...]:
        """Jobs whose promise was broken, and would have been kept had nobody waited."""
        return tuple(job for job in self.jobs if job.late and not would_be_late(job))

    @property
    def moved(self) -> int:
        """Jobs that FlexLon held."""
        return sum(job.touched for job in self.jobs)

    def failures(self) -> list[str]:
        """Why the run does not show what it is for; empty when it does."""
        found = []
        if not self.load > LEAST_LOAD:
            found.append(f"before the order only {self.load:.1%} of the GPUs were busy")
        if not self.flexible >= self.least_flexible:
            found.append(f"only {self.flexible:.1%} of the load was flexible")
        found += [
            f"slot {iso(slot.start)}: {slot.metered_kw:.2f} kW, which is more than 5 % above the cap of "
            f"{slot.cap_kw:.2f} kW"
            for slot in self.slots
            if slot.judged and not slot.kept
        ]
        found += [f"job {job.job_id} of {job.user} was late" for job in self.missed]
        found += [f"without consent: {text}" for text in self.changed]
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
        before, after = self.peak(Phase.BEFORE), self.peak(Phase.AFTER)
        if after > REBOUND * before:
            found.append(
                f"the peak after the window, {after:.2f} kW, is above 1.1 times {before:.2f} kW"
            )
        return found

    def as_data(self) -> dict[str, Any]:
        """The same as plain data for JSON: ISO 8601 UTC times, None where a thing is not known."""
        return {
            "slurm": self.slurm,
            "slot_seconds": self.slot_seconds,
            "reduction": self.reduction,
            "baseline_kw": self.baseline_kw,
            "before_window_kw": _known(self.notice_kw),
            "cap_kw": self.ordered.ordered_kw,
            "window_id": self.ordered.window_id,
            "load": self.load,
            "flexible": self.flexible,
            "peak_before_kw": self.peak(Phase.BEFORE),
            "peak_after_kw": self.peak(Phase.AFTER),
            "jobs": len(self.jobs),
            "moved": self.moved,
            "requeued": self.requeued,
            "late": [job.job_id for job in self.jobs if job.late],
            "late_because_of_the_window": [job.job_id for job in self.missed],
            "without_consent": self.without_consent,
            "changed_without_consent": list(self.changed),
            "slots": [
                {
                    "start": iso(slot.start),
                    "phase": slot.phase.value,
                    "cap_kw": _known(slot.cap_kw),
                    "ramp_in": slot.ramp_in,
                    "planned_kw": _known(slot.planned_kw),
                    "modelled_kw": _known(slot.modelled_kw),
                    "metered_kw": _known(slot.metered_kw),
                    "kept": slot.kept if slot.judged else None,
                }
                for slot in self.slots
            ],
            "failures": self.failures(),
        }


def would_be_late(job: JobFacts) -> bool:
    """Whether its promise would have been broken, had it started as soon as possible."""
    run = job.asap_run
    if run is None:
        return False
    late = job.latest_start is not None and run[0] > job.latest_start
    return late or (job.deadline is not None and run[1] > job.deadline)


def _known(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
