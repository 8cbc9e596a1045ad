"""A study small enough for a test: two days of jobs on two nodes, a price that falls at night."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from flexlond.signals.rows import format_utc

if TYPE_CHECKING:
    from pathlib import Path

MONDAY = 1767571200  # 2026-01-05T00:00Z


def write_trace(folder: Path, jobs: int = 40) -> Path:
    draw = random.Random(7)
    lines = ["submit,runtime,limit,cpus,user,name"]
    for _ in range(jobs):
        at = MONDAY + draw.randrange(2 * 86400)
        runtime = draw.randrange(600, 7200)
        lines.append(f"{format_utc(at)},{runtime},{2 * runtime},{draw.choice((4, 8))},alice,fold")
    path = folder / "jobs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_signals(folder: Path, days: int = 5) -> Path:
    lines = ["utc,price,carbon"]
    for slot in range(48 * days):
        day = 16 <= slot % 48 < 42
        lines.append(
            f"{format_utc(MONDAY + 1800 * slot)},{120 if day else 40},{200 if day else 90}"
        )
    path = folder / "gb.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
