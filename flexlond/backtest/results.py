"""A study's figures, and the files that hold them.

Law: pure data and its text; computes no figure. NaN is null in JSON and empty in CSV. Figures carry their unit
in their name (metrics.py names them); moments are epoch seconds (UTC) inside and ISO 8601 in the files.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flexlond.backtest.parts import FORMAT, write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.backtest.parts import Identity, Task


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run's figures and curves."""

    task: Task
    figures: dict[str, float]
    power_kw: tuple[float, ...]  # above idle, by slot of the shown stretch
    wait_flexible_h: tuple[float, ...]  # quantiles 0 to 1 in equal steps; empty without such jobs
    wait_other_h: tuple[float, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """The stretch that the plots over time show."""

    start: int
    slot_seconds: int
    price: tuple[float, ...]  # GBP/MWh, as settled
    carbon: tuple[float, ...]  # gCO2/kWh, as measured
    idle_kw: float  # drawn all the time, not in Outcome.power_kw


@dataclass(frozen=True, slots=True)
class Facts:
    """What the runs have in common."""

    trace: str
    jobs: int
    nodes: float  # node equivalents of the cluster
    begin: str  # first submission
    end: str  # last submission
    flexible: float  # share of the node-hours, mean over the seeds
    signals: str
    foresight: bool
    notes: tuple[str, ...]  # how each signal was known
    problems: tuple[str, ...]  # what was left out or changed in reading
    policies: dict[str, str]  # each policy's rule in a sentence
    bounds: tuple[str, ...] = ()  # the policies that know more than anybody could


@dataclass(frozen=True, slots=True)
class Results:
    """A study's outcomes in the order of its tasks, and what is not there."""

    identity: Identity
    facts: Facts
    shown: Shown
    outcomes: tuple[Outcome, ...]
    missing: tuple[Task, ...] = ()  # not run, or its part is not in the folder
    failed: tuple[tuple[Task, str], ...] = ()  # with the reason

    def as_json(self) -> str:
        """Everything as one JSON document."""
        data = {
            "format": FORMAT,
            "key": self.identity.key,
            **asdict(self.identity),
            "facts": asdict(self.facts),
            "shown": asdict(self.shown),
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
            "missing": [asdict(task) for task in self.missing],
            "failed": [asdict(task) | {"reason": reason} for task, reason in self.failed],
        }
        return json.dumps(_plain(data), indent=1, allow_nan=False, ensure_ascii=True) + "\n"

    def as_csv(self) -> str:
        """One row for each outcome: policy, parameter, seed, then every figure."""
        names = list(dict.fromkeys(name for one in self.outcomes for name in one.figures))
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["policy", "parameter", "seed", *names])
        for one in self.outcomes:
            task = one.task
            cells = [_cell(one.figures.get(name, math.nan)) for name in names]
            writer.writerow([task.policy, task.parameter, task.seed, *cells])
        return stream.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all. Raises OSError."""
    write_whole(path, lambda stream: stream.write(text.encode("utf-8")))


def _cell(value: float) -> str:
    return f"{value:.10g}" if math.isfinite(value) else ""


def _plain(value: Any) -> Any:
    """Dataclass data as JSON takes it: lists, and null for what is no number."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value
