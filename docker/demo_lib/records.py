"""Slurm's records of the jobs that nobody may touch: what each had first, and what became different.

Law: what `scontrol show job` prints, compared by itself; FlexLon is not asked. Only fields are compared that
Slurm does not change by itself while a job waits and runs. A begin time that is not set yet is no change.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from demo_lib.product import DemoError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FIELDS = (
    "EligibleTime", "TimeLimit", "Nice", "Requeue", "Restarts", "Partition", "Dependency", "ReqTRES", "Comment",
)  # fmt: skip
_UNSET = frozenset({"", "Unknown", "N/A"})


def parse(text: str) -> dict[int, dict[str, str]]:
    """Job id to the compared fields, from `scontrol --oneliner show jobs`; a field that is not there is ""."""
    found: dict[int, dict[str, str]] = {}
    for line in text.splitlines():
        job = re.search(r"(?:^|\s)JobId=(\d+)", line)
        if job is None:
            continue
        values = {}
        for name in FIELDS:
            value = re.search(rf"\s{name}=(.*?)(?=\s\w+(?:[:/]\w+)*=|$)", line)
            values[name] = value[1].strip() if value else ""
        found[int(job[1])] = values
    return found


def read() -> dict[int, dict[str, str]]:
    """All job records that slurmctld has now. Raises DemoError."""
    argv = ["scontrol", "--oneliner", "show", "jobs"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise DemoError(f"scontrol ended with {done.returncode}: {done.stderr.strip()}")
    return parse(done.stdout)


class RecordWatch:
    """The first record of each job, and every difference from it."""

    def __init__(self) -> None:
        self._first: dict[int, dict[str, str]] = {}
        self.changes: dict[tuple[int, str], str] = {}

    def observe(self, seen: Mapping[int, Mapping[str, str]]) -> None:
        """Take over what slurmctld has now."""
        for job_id, record in seen.items():
            first = self._first.setdefault(job_id, dict(record))
            for name, value in record.items():
                if first[name] in _UNSET:
                    first[name] = value
                elif value != first[name]:
                    self.changes[job_id, name] = (
                        f"{name} from {first[name]} to {value or 'nothing'}"
                    )

    def with_changed(self, field: str) -> frozenset[int]:
        """The jobs in whose record this field became different."""
        return frozenset(job_id for job_id, name in self.changes if name == field)

    def of(self, job_ids: Collection[int]) -> tuple[str, ...]:
        """What became different in the records of these jobs."""
        return tuple(
            f"job {job_id}: {text}"
            for (job_id, _), text in sorted(self.changes.items())
            if job_id in job_ids
        )
