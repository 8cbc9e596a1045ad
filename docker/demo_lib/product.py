"""What the product says of itself, asked as an operator would: `flexlonctl ... --json`.

Law: read only. Numbers come as flexlonctl prints them; nothing is corrected here. flexlonctl prints moments
in ISO 8601 and null for none; here they are epoch seconds (UTC) and 0. Source of the fields:
protos/flexlon/admin/v1/admin.proto.
"""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

PREFIX = Path("/opt/flexlon/bin")


class DemoError(RuntimeError):
    """The demo cannot go on; the text says what failed and where to look."""


class JobLine(msgspec.Struct, frozen=True):
    """One job as FlexLon sees it (proto: JobLine); fields that the demo does not use are left out."""

    job_id: int
    array: str = ""  # "12_[3-9]" or "12_4"
    user: str = ""
    state: str = ""
    flexible: bool = False
    consent: str = ""
    begin: int = 0
    planned_start: int = 0
    latest_start: int = 0
    deadline: int = 0
    held_by_us: bool = False
    kw: float = 0.0
    reason: str = ""
    comment: str = ""
    opted_out: bool = False
    submit: int = 0
    eligible: int = 0
    asap_start: int = 0
    touched: bool = False

    @property
    def array_job_id(self) -> int:
        """The array's id; 0: no array."""
        return int(self.array.partition("_")[0] or 0)


class Status(msgspec.Struct, frozen=True):
    """The state of the loop (proto: StatusReply)."""

    mode: str = ""
    slurm_version: str = ""
    reader: str = ""
    helper_answering: bool = False
    helper_detail: str = ""
    last_cycle_at: int = 0
    last_cycle: str = ""
    jobs_held: int = 0
    heartbeat_fresh: bool = False
    config_error: str = ""
    warnings: tuple[str, ...] = ()


def _ask(what: str, timeout: float = 20.0) -> bytes:
    """Standard output of `flexlonctl WHAT --json`. Raises DemoError with its error text."""
    argv = [str(PREFIX / "flexlonctl"), what, "--json"]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"flexlonctl {what} did not answer in {timeout:.0f} s") from error
    if done.returncode != 0:
        detail = done.stderr.decode(errors="replace").strip() or "no error text"
        raise DemoError(f"flexlonctl {what} ended with {done.returncode}: {detail}")
    return done.stdout


_MOMENTS = frozenset(
    {
        "asap_start", "begin", "deadline", "eligible", "last_cycle_at", "latest_start", "planned_start",
        "submit",
    }
)  # fmt: skip


def _with_epochs(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with every moment as epoch seconds."""
    return {name: _epoch(value) if name in _MOMENTS else value for name, value in fields.items()}


def _epoch(value: Any) -> int:
    return int(datetime.fromisoformat(value).timestamp()) if value else 0


def decode_jobs(text: bytes) -> tuple[JobLine, ...]:
    """Read `flexlonctl jobs --json`: `{"jobs": [...]}`. Raises ValueError, TypeError or KeyError."""
    lines = msgspec.json.decode(text)["jobs"]
    return tuple(msgspec.convert(_with_epochs(line), JobLine) for line in lines)


def decode_status(text: bytes) -> Status:
    """Read `flexlonctl status --json`. Raises ValueError or TypeError."""
    return msgspec.convert(_with_epochs(msgspec.json.decode(text)), Status)


def jobs() -> tuple[JobLine, ...]:
    """Every job that FlexLon sees now. Raises DemoError."""
    try:
        return decode_jobs(_ask("jobs"))
    except (ValueError, TypeError, KeyError) as error:
        raise DemoError(f"flexlonctl jobs --json cannot be read: {error}") from error


def status() -> Status:
    """The state of the loop now. Raises DemoError."""
    try:
        return decode_status(_ask("status"))
    except (ValueError, TypeError) as error:
        raise DemoError(f"flexlonctl status --json cannot be read: {error}") from error
