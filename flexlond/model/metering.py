"""The site's power as a meter reads it: one reading, the mean of a slot, and how far the model is off.

Law: pure; knows no clock. A reading counts from its own time on, until the next one or until it is stale
(`hold` seconds later), so a mean never rests on what nobody measured. A slot of which less than half is covered
is not metered: the modelled estimate stands for it, and says so. Where neither is known there is no figure.
Power is kW of the site's import, never negative; times are epoch seconds (UTC), 0 is "none", slots are half
open. Only the meter judges what was delivered (invariant I6).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

ENOUGH = 0.5  # the share of a slot that the meter must cover
AHEAD = 30  # seconds by which the clocks of meter and daemon may differ
FEWEST_PAIRS = 10  # for a calibration
DAY = 86_400
SCALED = "estimate:"  # so begins the source of a reading that was computed up to the site: no claim rests on it


class ReadingQuality(StrEnum):
    """What a reading is worth; only a good one is used."""

    GOOD = "good"
    STALE = "stale"
    ABSURD = "absurd"
    ABSENT = "absent"


class Source(StrEnum):
    """Where a figure of the site's power comes from."""

    METERED = "metered"
    MODELLED = "modelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one meter said. `kw` is NaN where it said nothing; `detail` is why it is not good, "" when it is."""

    at: int  # the meter's own time
    kw: float
    source: str  # which meter, for people
    quality: ReadingQuality
    detail: str = ""

    @property
    def good(self) -> bool:
        """Whether it may be used."""
        return self.quality is ReadingQuality.GOOD

    @property
    def measured(self) -> bool:
        """Whether a claim may rest on it (I6)."""
        return not self.source.startswith(SCALED)


@dataclass(frozen=True, slots=True)
class Modelled:
    """What the model says that the site draws at a moment, and what the running jobs have of it."""

    at: int
    kw: float
    jobs_kw: float


@dataclass(frozen=True, slots=True)
class Observed:
    """The site's power of a moment; `detail` is why it is not metered, "" when it is or there is no meter."""

    at: int
    kw: float  # NaN: unknown
    source: Source
    detail: str = ""

    @property
    def by(self) -> str:
        """Its source as the end of a phrase."""
        return {
            Source.METERED: "by the meter",
            Source.MODELLED: "by the model",
            Source.UNKNOWN: "as far as is known",
        }[self.source]


@dataclass(frozen=True, slots=True)
class SlotPower:
    """The site's mean power in one slot. `coverage` is the share of it (so far) with a usable reading."""

    start: int
    kw: float
    source: Source
    coverage: float
    metered_kw: float  # NaN where no reading covers it
    modelled_kw: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the model compares with the meter; NaN with fewer than FEWEST_PAIRS pairs."""

    pairs: int
    ratio: float  # metered energy over modelled, where both are known
    base_kw: (
        float  # what the site draws without jobs: the median of metered less modelled jobs, >= 0
    )


class _Point(Protocol):
    @property
    def at(self) -> int: ...

    @property
    def kw(self) -> float: ...


def absent(source: str, why: str) -> Reading:
    """No reading."""
    return Reading(0, math.nan, source, ReadingQuality.ABSENT, why)


def judge(at: int, kw: float, source: str, *, now: int, max_age: float, max_kw: float) -> Reading:
    """The reading of `at` as it is worth at `now`; `max_kw` is the most that the site can draw."""
    quality, detail = ReadingQuality.GOOD, ""
    if not math.isfinite(kw):
        quality, detail = ReadingQuality.ABSURD, "the reading is no number"
    elif kw < 0:
        quality, detail = ReadingQuality.ABSURD, f"the reading of {kw:.6g} kW is negative"
    elif kw > max_kw:
        quality = ReadingQuality.ABSURD
        detail = f"the reading of {kw:.6g} kW is above meter.max_kw ({max_kw:g} kW)"
    elif at > now + AHEAD:
        quality = ReadingQuality.ABSURD
        detail = f"the reading is {at - now} s ahead of this machine's clock: check both clocks"
    elif now - at > max_age:
        quality = ReadingQuality.STALE
        detail = f"the last reading is {now - at} s old (meter.max_age is {max_age:g} s)"
    return Reading(at, kw, source, quality, detail)


def mean_kw(points: Sequence[_Point], start: int, end: int, hold: float) -> tuple[float, float]:
    """The time-weighted mean in [start, end) and the share of it that is covered; (NaN, 0.0) where none is.

    `points` are in order of time; each holds until the next one, `hold` seconds at most.
    """
    if end <= start:
        return math.nan, 0.0
    energy = covered = 0.0
    for number, point in enumerate(points):
        follows = points[number + 1].at if number + 1 < len(points) else math.inf
        seconds = min(follows, point.at + hold, end) - max(point.at, start)
        if seconds > 0:
            energy += point.kw * seconds
            covered += seconds
    return (energy / covered, covered / (end - start)) if covered else (math.nan, 0.0)


def slot_power(
    readings: Sequence[_Point],
    modelled: Sequence[_Point],
    start: int,
    end: int,
    *,
    hold: float,
    model_hold: float,
) -> SlotPower:
    """The power of the slot [start, end), or of what is over of it: metered or else modelled."""
    metered, coverage = mean_kw(readings, start, end, hold)
    model, _ = mean_kw(modelled, start, end, model_hold)
    if coverage >= ENOUGH:
        kw, source = metered, Source.METERED
    elif math.isfinite(model):
        kw, source = model, Source.MODELLED
    else:
        kw, source = math.nan, Source.UNKNOWN
    return SlotPower(start, kw, source, coverage, metered, model)


def calibrate(readings: Sequence[_Point], modelled: Sequence[Modelled], hold: float) -> Calibration:
    """Compares each modelled moment with the reading in force then; both in order of time."""
    pairs: list[tuple[float, Modelled]] = []
    number = -1
    for moment in modelled:
        while number + 1 < len(readings) and readings[number + 1].at <= moment.at:
            number += 1
        if number >= 0 and moment.at - readings[number].at <= hold:
            pairs.append((readings[number].kw, moment))
    if len(pairs) < FEWEST_PAIRS:
        return Calibration(len(pairs), math.nan, math.nan)
    model = math.fsum(moment.kw for _, moment in pairs)
    ratio = math.fsum(kw for kw, _ in pairs) / model if model > 0 else math.nan
    base = statistics.median(kw - moment.jobs_kw for kw, moment in pairs)
    return Calibration(len(pairs), ratio, max(0.0, base))
