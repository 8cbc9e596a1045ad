"""What the product says of itself, asked as an operator would: by flexlonctl's client, in its JSON fields.

Law: read only. Numbers come as flexlonctl prints them; nothing is corrected here. flexlonctl prints moments
in ISO 8601 and null for none; here they are epoch seconds (UTC) and 0. Source of the fields:
protos/flexlon/admin/v1/admin.proto.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from flexlond._pb import admin_pb2 as pb
from flexlond.cli.client import CtlError, Endpoint
from flexlond.cli.plain import as_data

if TYPE_CHECKING:
    from google.protobuf.message import Message

PREFIX = Path("/opt/flexlon/bin")
_SECONDS = 15.0


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
    must_start_by: int = 0
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


class PowerSlot(msgspec.Struct, frozen=True):
    """What FlexLon observed in one slot (proto: ObservedSlot); `start` as flexlonctl prints it."""

    start: str = ""
    modelled_kw: float | None = None

    @property
    def epoch(self) -> int:
        """The slot's first second."""
        return _epoch(self.start)


class Power(msgspec.Struct, frozen=True):
    """The site's power as FlexLon sees it (proto: Power)."""

    source: str = ""
    slots: tuple[PowerSlot, ...] = ()


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
    power: Power | None = None


def _ask(method: str, request: Message) -> dict[str, Any]:
    """What `flexlonctl --json` would print, without a new process each time. Raises DemoError."""
    try:
        return as_data(Endpoint().call(method, request, timeout=_SECONDS))
    except CtlError as error:
        raise DemoError(f"flexlonctl: {error}") from error


_MOMENTS = frozenset(
    {
        "asap_start", "begin", "deadline", "eligible", "last_cycle_at", "latest_start", "must_start_by",
        "planned_start",
        "submit",
    }
)  # fmt: skip


def _with_epochs(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with every moment as epoch seconds."""
    return {name: _epoch(value) if name in _MOMENTS else value for name, value in fields.items()}


def _epoch(value: Any) -> int:
    return int(datetime.fromisoformat(value).timestamp()) if value else 0


def read_jobs(reply: dict[str, Any]) -> tuple[JobLine, ...]:
    """The lines of `flexlonctl jobs --json`. Raises DemoError when it is something else."""
    try:
        return tuple(msgspec.convert(_with_epochs(line), JobLine) for line in reply["jobs"])
    except (ValueError, TypeError, KeyError) as error:
        raise DemoError(f"flexlonctl jobs --json cannot be read: {error!r}") from error


def read_status(reply: dict[str, Any]) -> Status:
    """The fields of `flexlonctl status --json`. Raises DemoError when it is something else."""
    try:
        return msgspec.convert(_with_epochs(reply), Status)
    except (ValueError, TypeError) as error:
        raise DemoError(f"flexlonctl status --json cannot be read: {error!r}") from error


def jobs() -> tuple[JobLine, ...]:
    """Every job that FlexLon sees now. Raises DemoError."""
    return read_jobs(_ask("Jobs", pb.JobsRequest()))


def status() -> Status:
    """The state of the loop now. Raises DemoError."""
    return read_status(_ask("Status", pb.Empty()))


def planned_kw() -> dict[int, float]:
    """What the plan in force draws, by the first second of each slot. Raises DemoError."""
    reply = _ask("Plan", pb.PlanRequest())
    try:
        return {_epoch(slot["start"]): float(slot["kw"]) for slot in reply["slots"]}
    except (ValueError, TypeError, KeyError) as error:
        raise DemoError(f"flexlonctl plan --json cannot be read: {error!r}") from error
