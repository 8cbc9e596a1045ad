"""Job traces in: the front door, whatever the format, and the period that is replayed.

Law: the format is told by the name (.swf) or by what stands in the file, never by guessing at values. What
cannot be used is said in Trace.problems; a file with nothing usable is a TraceError. Shifting is by whole
weeks, so that weekday and hour (UTC) of each submission stay. Source: our own.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from flexlond.backtest.csv_trace import parse_csv_trace
from flexlond.backtest.sacct_trace import parse_sacct
from flexlond.backtest.site import Site, TraceError
from flexlond.backtest.swf import parse_swf
from flexlond.backtest.table import InputError, read_text
from flexlond.signals.rows import format_utc

if TYPE_CHECKING:
    from flexlond.backtest.case import Trace

__all__ = ["Site", "TraceError", "load_trace", "shift_trace", "window"]

WEEK = 7 * 86400
_PARSERS = {"swf": parse_swf, "sacct": parse_sacct, "csv": parse_csv_trace}


def load_trace(path: str | Path, *, site: Site | None = None, form: str = "") -> Trace:
    """The trace in a file (.gz or plain), in order of submission. Raises TraceError.

    `form` is "swf", "sacct" or "csv"; "" to tell it from the file. `site` says what the file does not:
    nodes, amounts per node, pools, time zone (see Site).
    """
    path = Path(path)
    if form and form not in _PARSERS:
        raise TraceError(f"no trace format {form!r}; there are {', '.join(_PARSERS)}")
    try:
        text = read_text(path)
        parse = _PARSERS[form or _form_of(path, text)]
        return parse(text, path.name, site)
    except TraceError:
        raise
    except InputError as error:
        raise TraceError(str(error)) from None


def shift_trace(trace: Trace, to_epoch: int) -> Trace:
    """The trace moved by whole weeks, so that its first submission is in the week from `to_epoch` on."""
    if not trace.jobs:
        return trace
    weeks = -((int(trace.submit[0]) - to_epoch) // WEEK)
    return dataclasses.replace(trace, submit=trace.submit + weeks * WEEK)


def window(trace: Trace, begin: int, end: int) -> Trace:
    """The jobs submitted in [begin, end); jobs already running at `begin` are not in it.

    Raises TraceError where there are none.
    """
    inside = (trace.submit >= begin) & (trace.submit < end)
    if not inside.any():
        has = "no jobs"
        if trace.jobs:
            first, last = format_utc(int(trace.submit[0])), format_utc(int(trace.submit[-1]))
            has = f"submissions from {first} to {last}"
        raise TraceError(
            f"{trace.name}: no job submitted from {format_utc(begin)} to {format_utc(end)}; "
            f"it has {has}: choose another period or shift it"
        )
    return dataclasses.replace(
        trace,
        job_id=trace.job_id[inside],
        submit=trace.submit[inside],
        runtime=trace.runtime[inside],
        limit=trace.limit[inside],
        demand=trace.demand[inside],
        pool=trace.pool[inside],
        nodes=trace.nodes[inside],
        user=trace.user[inside],
        account=trace.account[inside],
        label=trace.label[inside],
        energy_kwh=trace.energy_kwh[inside],
        said=trace.said and trace.said.take(inside),
    )


def _form_of(path: Path, text: str) -> str:
    if path.name.casefold().removesuffix(".gz").endswith(".swf"):
        return "swf"
    first = next((s for line in text.split("\n") if (s := line.strip()) and s[0] != "#"), "")
    cells = first.split()
    if first.startswith(";") or (len(cells) >= 18 and _is_number(cells[0])):
        return "swf"
    if "|" in first and "jobid" in first.casefold():
        return "sacct"
    if "submit" in [cell.strip().casefold() for cell in first.split(",")]:
        return "csv"
    raise TraceError(
        f"{path}: not a job trace; expected Standard Workload Format, sacct --parsable2 with its header "
        f"line, or CSV with a header submit,runtime,limit,cpus; it begins {first[:60]!r}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
