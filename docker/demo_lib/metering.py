"""The independent meter's readings by slot, and what Slurm says of the load: the demo's judges.

Law: pure arithmetic on what others measured. The meter's file has one line a second: its own time and kW. A
slot's power is the mean of the readings in it; with fewer than `ENOUGH` of its seconds read it is not known
(NaN), never guessed. The load is GPU-seconds of jobs by Slurm's accounting over those that the machine has.
kW, epoch s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

ENOUGH = 0.8
"""Readings a second that a slot needs for its mean to count."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading."""

    at: float
    kw: float


@dataclass(frozen=True, slots=True)
class GpuRun:
    """A job that held `gpus` from `start` to `end`; `flexible`: its user consents."""

    gpus: int
    start: int
    end: int
    flexible: bool


def read_samples(path: Path) -> tuple[Sample, ...]:
    """All readings of the meter's file; a last line that is still being written is left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    found = []
    for line in text[: text.rfind("\n") + 1].splitlines():
        moment, _, kw = line.partition(",")
        found.append(Sample(datetime.fromisoformat(moment).timestamp(), float(kw)))
    return tuple(found)


def mean_kw(
    samples: Iterable[Sample], start: float, end: float, *, enough: float = ENOUGH
) -> float:
    """The mean of the readings in [start, end); NaN with too few of them."""
    values = [sample.kw for sample in samples if start <= sample.at < end]
    if not values or len(values) < enough * (end - start):
        return math.nan
    return math.fsum(values) / len(values)


def load(runs: Sequence[GpuRun], gpus: int, start: int, end: int) -> tuple[float, float]:
    """(share of `gpus` that jobs held in [start, end), share of that which was flexible)."""
    busy = flexible = 0.0
    for run in runs:
        used = run.gpus * max(0, min(run.end, end) - max(run.start, start))
        busy += used
        flexible += used if run.flexible else 0.0
    return busy / (gpus * (end - start)), flexible / busy if busy else 0.0
