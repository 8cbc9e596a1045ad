"""A shipped GB day as a CSV feed of today: the same values, new moments, slots of any length.

Law: values are never changed, only the time they stand at. The product has no time warp: whoever wants a
day to pass in minutes gives the grid short slots and the feed re-stamped rows. Units: GBP/MWh, gCO2/kWh,
epoch seconds. Source of the days: flexlond/data/README.md (attribution there and in the files' heads).

As a program: python -m flexlond.signals.restamp --start EPOCH --slot-seconds 7 --output FILE [--day NAME]
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from flexlond.signals.rows import SignalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DAYS = ("typical", "windy", "tight")
ATTRIBUTION = (
    "Contains BMRS data \N{COPYRIGHT SIGN} Elexon Limited copyright and database right 2026. "
    "Carbon intensity: National Energy System Operator (NESO), generation mix, ODC-By."
)


@dataclass(frozen=True, slots=True)
class DayRow:
    """One half-hour of a shipped day: GBP/MWh and gCO2/kWh."""

    price: float
    carbon: float


@dataclass(frozen=True, slots=True)
class StampedRow:
    """One slot: its first second (epoch) and its values."""

    start: int
    price: float
    carbon: float


def load_day(name: str = "typical", *, first: int = 0, count: int = 48) -> tuple[DayRow, ...]:
    """`count` half-hours of a shipped day from its half-hour `first` (0: midnight UTC), in order.

    The file holds the day after as well, so that 24 hours can begin at any hour of the day: `first` 32
    begins at 16:00. Raises SignalError for an unknown name or a stretch outside the 96 half-hours.
    """
    if name not in DAYS:
        raise SignalError(f"there is no day {name!r}; there are {', '.join(DAYS)}")
    text = files("flexlond.data").joinpath(f"gb-day-{name}.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    rows = tuple(DayRow(float(row["price"]), float(row["carbon"])) for row in csv.DictReader(lines))
    if first < 0 or count < 1 or first + count > len(rows):
        raise SignalError(
            f"day {name} has half-hours 0 to {len(rows) - 1}, not {count} from {first}"
        )
    return rows[first : first + count]


def restamp(
    rows: Sequence[DayRow], start_epoch: int, slot_seconds: int, repeat: int = 1
) -> tuple[StampedRow, ...]:
    """`rows` one after the other from `start_epoch`, one per `slot_seconds`, `repeat` times over."""
    if slot_seconds < 1 or repeat < 1 or not rows:
        raise SignalError("restamp needs rows, slot_seconds >= 1 and repeat >= 1")
    return tuple(
        StampedRow(start_epoch + position * slot_seconds, row.price, row.carbon)
        for position, row in enumerate(tuple(rows) * repeat)
    )


def write_feed(path: Path, rows: Iterable[StampedRow]) -> None:
    """Writes a file that serves `[[signals.price]]` (column price) and `[[signals.carbon]]` (carbon).

    Written beside `path` and renamed, so a reader sees the old file or the new one. Raises OSError.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(f"# {ATTRIBUTION}\n# Values of a real GB day, times re-stamped.\n")
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("utc", "price", "carbon"))
            for row in rows:
                moment = datetime.fromtimestamp(row.start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                writer.writerow((moment, row.price, row.carbon))
        Path(temporary).chmod(0o644)  # mkstemp makes it private; the daemon has another user
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit status."""
    parser = argparse.ArgumentParser(description="Re-stamp a shipped GB day as a CSV feed.")
    parser.add_argument("--start", type=int, required=True, help="epoch seconds of the first slot")
    parser.add_argument("--slot-seconds", type=int, default=1800)
    parser.add_argument("--first", type=int, default=0, help="half-hour of the day to begin with")
    parser.add_argument("--count", type=int, default=48, help="half-hours; the file has 96")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--day", choices=DAYS, default="typical")
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    try:
        day = load_day(chosen.day, first=chosen.first, count=chosen.count)
        rows = restamp(day, chosen.start, chosen.slot_seconds, chosen.repeat)
        write_feed(chosen.output, rows)
    except (SignalError, OSError) as error:
        parser.exit(1, f"restamp: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
