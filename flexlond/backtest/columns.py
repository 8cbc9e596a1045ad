"""Job columns row by row, for logs with a header line (sacct, CSV).

Law: a row that cannot be read is said with its line number and left out; the rest goes on. Moments are epoch
seconds or ISO 8601; without an offset they are in the site's zone. Source: our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from flexlond.backtest.site import Jobs, TraceError

_LARGEST = 1e15
_WIDEST = 64  # characters of a name; the columns are as wide as the longest
_AMOUNTS = (
    "submit",
    "runtime",
    "cpus",
    "start",
    "limit",
    "memory_mib",
    "gpus",
    "nodes",
    "energy_kwh",
    "work",
    "latency",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One job; None: not known. Raises ValueError for a number that is negative or beyond measure."""

    line: int
    job: str  # as shown; ids of array tasks and het components ("12_3", "12+1") are numbered later
    submit: int
    runtime: float
    cpus: float
    start: float | None = None
    limit: float | None = None
    memory_mib: float | None = None
    gpus: float | None = None
    nodes: float | None = None
    energy_kwh: float | None = None
    partition: str = ""
    user: str = ""
    account: str = ""
    label: str = ""
    work: float | None = None
    unit: str = ""
    latency: float | None = None

    def __post_init__(self) -> None:
        for name in _AMOUNTS:
            value = getattr(self, name)
            if value is not None and not 0 <= value < _LARGEST:
                raise ValueError(f"{name} is {value:g}, not a number from 0 to {_LARGEST:g}")
        if bool(self.work) != bool(self.unit):
            raise ValueError("work and unit go together: give both or neither")


def zone_of(name: str) -> tzinfo:
    """The time zone `name`. Raises TraceError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise TraceError(f"site: no time zone {name!r}; give one like Europe/London") from None


def moment(text: str, zone: tzinfo) -> int:
    """Epoch seconds of a moment as written. Raises ValueError."""
    text = text.strip()
    if text.isdecimal():
        return int(text)
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp())


def jobs_of(rows: list[Row]) -> Jobs:
    """The columns of `rows`; ids that are no plain number are numbered after the largest one."""
    plain = [int(row.job) for row in rows if _is_plain(row.job)]
    following = max(plain, default=0) + 1
    given: dict[str, int] = {}
    ids = [
        int(row.job) if _is_plain(row.job) else given.setdefault(row.job, following + len(given))
        for row in rows
    ]

    def number(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([getattr(row, name) for row in rows], np.float64)  # None becomes NaN

    def text(name: str) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
        return np.array([getattr(row, name)[:_WIDEST] for row in rows], np.str_)

    return Jobs(
        line=np.array([row.line for row in rows], np.int64),
        job_id=np.array(ids, np.int64),
        submit=np.array([row.submit for row in rows], np.int64),
        start=number("start"),
        runtime=number("runtime"),
        limit=number("limit"),
        cpus=number("cpus"),
        memory_mib=number("memory_mib"),
        gpus=number("gpus"),
        nodes=number("nodes"),
        partition=text("partition"),
        user=text("user"),
        account=text("account"),
        label=text("label"),
        energy_kwh=number("energy_kwh"),
        work=number("work"),
        unit=text("unit"),
        latency=number("latency"),
    )


def _is_plain(job: str) -> bool:
    return job.isdecimal() and len(job) < 18
