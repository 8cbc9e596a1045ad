"""What FlexLon said of each job over the run: the last word counts, changes become events.

Law: pure; it only remembers. A job that is gone from the queue keeps what was last said of it while it was
pending, because that is what Slurm was told. Times are epoch seconds (UTC), 0 means "none".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from demo_lib.product import JobLine

PENDING = ("PD", "PENDING")


def clock(moment: int) -> str:
    """HH:MM:SS in UTC, as in Slurm's own output under TZ=UTC; "-" for none."""
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S") if moment else "-"


@dataclass(slots=True)
class Watched:
    """One job record's history in FlexLon's words."""

    last: JobLine
    planned_start: int = 0
    latest_start: int = 0
    must_start_by: int = 0
    deadline: int = 0
    held: int = 0  # the last begin time of ours
    touched: bool = False
    why: str = ""  # the reason given last while it was pending


class Watch:
    """Remembers; `observe` returns what changed, as sentences."""

    def __init__(self, names: dict[int, str] | None = None) -> None:
        self.jobs: dict[int, Watched] = {}
        self.names = names if names is not None else {}

    def observe(self, lines: Iterable[JobLine]) -> list[str]:
        """Take over one answer of `flexlonctl jobs`; return the events in it."""
        events: list[str] = []
        for line in lines:
            seen = self.jobs.get(line.job_id)
            if seen is None:
                seen = self.jobs[line.job_id] = Watched(line)
            else:
                events += self._change_of_state(seen.last, line)
            events += self._new_plan(seen, line)
            seen.last = line
            seen.touched = seen.touched or line.touched
        return events

    def _new_plan(self, seen: Watched, line: JobLine) -> list[str]:
        """While it is pending its plan may change; afterwards the last one stands."""
        if line.state not in PENDING:
            return []
        seen.latest_start = line.latest_start or seen.latest_start
        seen.must_start_by = line.must_start_by or seen.must_start_by
        seen.deadline = line.deadline or seen.deadline
        seen.planned_start = line.planned_start or seen.planned_start
        seen.why = line.reason if line.flexible else line.consent
        if not line.held_by_us or line.begin == seen.held:
            return []
        before, seen.held = seen.held, line.begin
        moved = f"moved from {clock(before)} to" if before else "held until"
        return [f"{self.label(line)}: {moved} {clock(line.begin)}: {line.reason}"]

    def _change_of_state(self, before: JobLine, now: JobLine) -> list[str]:
        if before.state in PENDING and now.state not in PENDING:
            return [f"{self.label(now)}: started"]
        return []

    def name(self, line: JobLine) -> str:
        """What its user called it, as far as the demo submitted it."""
        return self.names.get(line.job_id) or self.names.get(line.array_job_id, "")

    def label(self, line: JobLine) -> str:
        """`12 train (carol)`."""
        name = self.name(line)
        return f"{line.job_id}{f' {name}' if name else ''} ({line.user})"

    def of(self, job_id: int, array_job_id: int) -> Watched | None:
        """What was said of a task: in its own record, or of the array before it was a record.

        The promise (planned and latest start, deadline) of an array is given while it is whole.
        """
        own, whole = self.jobs.get(job_id), self.jobs.get(array_job_id)
        if own is None or whole is None or own is whole:
            return own or whole
        return Watched(
            last=own.last,
            planned_start=own.planned_start or whole.planned_start,
            latest_start=own.latest_start or whole.latest_start,
            must_start_by=own.must_start_by or whole.must_start_by,
            deadline=own.deadline or whole.deadline,
            held=whole.held,
            touched=own.touched or whole.touched,
            why=whole.why,
        )
