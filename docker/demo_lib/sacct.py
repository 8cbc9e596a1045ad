"""Slurm's own account of the demo's jobs: submitted, eligible, started, ended, how.

Law: what sacct says, unchanged. Only fields that no user writes are asked for, so nothing can be forged in
them. Times are epoch seconds (UTC); None: not yet, or never. Source: sacct(1).
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime

from demo_lib.product import DemoError

_FIELDS = ("JobIDRaw", "JobID", "User", "Partition", "State", "Submit", "Eligible", "Start", "End")
ENDED = frozenset(
    {
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
        "PREEMPTED", "TIMEOUT",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """One job, or one task of an array (`array_job_id` is the id that sbatch printed)."""

    job_id: int
    array_job_id: int
    task: int
    user: str
    partition: str
    state: str
    submit: int
    eligible: int | None
    start: int | None
    end: int | None

    @property
    def ended(self) -> bool:
        """Whether nothing about it will change any more."""
        return self.state in ENDED and self.end is not None


def parse(text: str) -> tuple[Account, ...]:
    """Read `sacct --parsable2 --noheader` with this module's fields.

    Tasks that are still one record (`12_[0-3]`) are left out: they have not started. Raises DemoError.
    """
    found: list[Account] = []
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) != len(_FIELDS):
            raise DemoError(f"sacct printed {len(fields)} fields instead of {len(_FIELDS)}: {line}")
        raw, shown, user, partition, state, submit, eligible, start, end = fields
        base, _, task = shown.partition("_")
        if task.startswith("["):
            continue
        submitted = _moment(submit)
        if submitted is None:
            raise DemoError(f"sacct knows no submit time of job {raw}")
        found.append(
            Account(
                job_id=int(raw),
                array_job_id=int(base),
                task=int(task or 0),
                user=user,
                partition=partition,
                state=state.split(" ")[0],  # "CANCELLED by 2001"
                submit=submitted,
                eligible=_moment(eligible),
                start=_moment(start),
                end=_moment(end),
            )
        )
    return tuple(found)


def _moment(text: str) -> int | None:
    if text in ("", "None", "Unknown"):
        return None
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def accounts(job_ids: list[int], since: int) -> tuple[Account, ...]:
    """What sacct says now of these jobs and their tasks. Raises DemoError."""
    argv = [
        "sacct",
        "--allocations",
        "--noheader",
        "--parsable2",
        f"--format={','.join(_FIELDS)}",
        f"--jobs={','.join(str(job_id) for job_id in job_ids)}",
        f"--starttime={datetime.fromtimestamp(since, UTC).strftime('%Y-%m-%dT%H:%M:%S')}",
    ]
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    if done.returncode != 0:
        raise DemoError(f"sacct ended with {done.returncode}: {done.stderr.strip()}")
    return parse(done.stdout)
