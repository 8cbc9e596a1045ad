"""What the product says of itself, asked as an operator would: `flexlonctl ... --json`.

Law: read only. Numbers come as flexlonctl prints them; nothing is corrected here. Times are epoch seconds
(UTC), 0 means "none". Source of the fields: protos/flexlon/admin/v1/admin.proto.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

PREFIX = Path("/opt/flexlon/bin")


class DemoError(RuntimeError):
    """The demo cannot go on; the text says what failed and where to look."""


class JobLine(msgspec.Struct, frozen=True):
    """One job as FlexLon sees it (proto: JobLine); fields that the demo does not use are left out."""

    job_id: int
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


class _Jobs(msgspec.Struct, frozen=True):
    jobs: tuple[JobLine, ...] = ()


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


def decode_jobs(text: bytes) -> tuple[JobLine, ...]:
    """Read `flexlonctl jobs --json`: `{"jobs": [...]}`, integers as numbers or (protobuf's way) strings.

    Raises msgspec.ValidationError when it is something else.
    """
    return msgspec.json.decode(text, type=_Jobs, strict=False).jobs


def jobs() -> tuple[JobLine, ...]:
    """Every job that FlexLon sees now. Raises DemoError."""
    try:
        return decode_jobs(_ask("jobs"))
    except msgspec.DecodeError as error:
        raise DemoError(f"flexlonctl jobs --json cannot be read: {error}") from error


def status() -> Status:
    """The state of the loop now. Raises DemoError."""
    try:
        return msgspec.json.decode(_ask("status"), type=Status, strict=False)
    except msgspec.DecodeError as error:
        raise DemoError(f"flexlonctl status --json cannot be read: {error}") from error
