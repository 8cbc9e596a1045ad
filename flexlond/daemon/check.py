"""How one directive is read: `flexlonctl check`, in the daemon or without it.

Law: the same reading as at submission (flexlond/model/directive.py), told for people; it changes nothing
and looks at no job. Moments are given in UTC, ISO 8601.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flexlond.model.directive import UNKNOWN, Directive, Rejected, read_directive
from flexlond.model.slurmtime import format_duration

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from flexlond.model.settings import DirectiveSettings

MAX_COMMENT = 1024  # bytes; Slurm's own limit


@dataclass(frozen=True, slots=True)
class Submission:
    """What would be submitted. `time_limit` in seconds; 0: not given."""

    comment: str
    time_limit: int = 0
    partition: str = ""
    account: str = ""
    qos: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of it: a message for people and the values as key and text."""

    accepted: bool
    message: str
    values: tuple[tuple[str, str], ...] = ()


def check(
    submission: Submission, settings: DirectiveSettings, *, now: int, tz: ZoneInfo
) -> Reading:
    """Read the directive as if it were submitted at `now` (epoch seconds) in the zone `tz`."""
    if (size := len(submission.comment.encode(errors="replace"))) > MAX_COMMENT:
        return Reading(
            accepted=False,
            message=f"flexlon: the comment has {size} bytes, Slurm takes {MAX_COMMENT}",
        )
    read = read_directive(
        submission.comment,
        settings,
        now=now,
        tz=tz,
        partition=submission.partition,
        qos=submission.qos,
        account=submission.account,
        time_limit=submission.time_limit or UNKNOWN,
    )
    if isinstance(read, Rejected):
        return Reading(accepted=False, message=read.line)
    if not isinstance(read, Directive):
        return Reading(accepted=True, message=f"accepted, and not flexible: {read.reason}")
    by = f"class {read.flex_class}" if read.flex_class else "no class"
    return Reading(
        accepted=True,
        message=f"accepted: flexible by {read.source} ({by})",
        values=tuple((key, text) for key, text in _values(read, now) if text),
    )


def _values(read: Directive, now: int) -> list[tuple[str, str]]:
    """Every key of the directive as a user would write it, "" where nothing was said."""
    power = read.power and f"{read.power.watts:g}W" + (
        "" if read.power.per == "job" else f"/{read.power.per}"
    )
    return [
        ("class", read.flex_class),
        ("deadline", _moment(read.deadline)),
        ("start-by", _moment(read.start_by)),
        ("max-delay", "" if read.max_delay is None else format_duration(read.max_delay)),
        ("latency", format_duration(read.latency - now) if read.latency else ""),
        ("preempt", str(read.preempt)),
        ("checkpoint", f"{read.checkpoint[0]}@{read.checkpoint[1]}" if read.checkpoint else ""),
        ("min-run", format_duration(read.min_run) if read.min_run else ""),
        ("max-preempts", str(read.max_preempts) if read.max_preempts else ""),
        ("power", power or ""),
        ("max-price", "" if read.max_price is None else f"{read.max_price:g} GBP/MWh"),
        ("max-carbon", "" if read.max_carbon is None else f"{read.max_carbon:g} g/kWh"),
        ("work", f"{read.work:g}" if read.work else ""),
        ("unit", read.unit),
    ]


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" if at else ""
