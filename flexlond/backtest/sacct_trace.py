"""A job trace from Slurm's accounting: the output of `sacct --parsable2` with its header line.

Law: reads only the allocations (job steps, ids with ".", are skipped); columns in any order. A job that never
ran, or still runs (its runtime is not known yet), is left out and counted. Resources are those allocated,
else those asked for. sacct prints local time without an offset: the site's zone says which. Energy is
ConsumedEnergyRaw (J); 0 is what Slurm prints where nothing is measured. Values as flexlond.slurm.fields.
Export it so: sacct -a -X --parsable2 --format=JobIDRaw,Submit,Start,ElapsedRaw,TimelimitRaw,AllocTRES,\
User,Account,Partition,JobName,State,ConsumedEnergyRaw -S 2026-01-01 -E 2026-02-01
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flexlond.backtest.columns import Row, jobs_of, moment, zone_of
from flexlond.backtest.jobs_in import assemble
from flexlond.backtest.notes import Notes
from flexlond.backtest.site import Site, TraceError
from flexlond.backtest.table import read_table
from flexlond.slurm import fields

if TYPE_CHECKING:
    from datetime import tzinfo

    from flexlond.backtest.case import Trace

_UNFINISHED = frozenset({"RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "RESIZING"})
_NONE = frozenset({"", "Unknown", "None", "N/A", "NONE"})
_NEEDED = (
    ("JobIDRaw", "JobID"),
    ("Submit",),
    ("ElapsedRaw", "Elapsed", "End"),
    ("AllocTRES", "ReqTRES", "AllocCPUS", "NCPUS", "ReqCPUS"),
)


def parse_sacct(text: str, name: str, site: Site | None = None) -> Trace:
    """The trace in the text of `sacct --parsable2`; `name` stands in messages. Raises TraceError."""
    site = site or Site()
    zone = zone_of(site.zone)
    notes = Notes(name)
    table = read_table(text, name, "|")
    for names in _NEEDED:
        if table.index(*names) < 0:
            raise TraceError(
                f"{name}: no column {' or '.join(names)} in the header "
                f"{'|'.join(table.header)[:120]!r}; export it with --format"
            )
    notes.many(table.bad)
    skipped: Counter[str] = Counter()
    rows: list[Row] = []
    header = [name.casefold() for name in table.header]
    for line, cells in zip(table.lines, table.rows, strict=True):
        try:
            row = _row(line, dict(zip(header, cells, strict=True)), zone)
        except (ValueError, OverflowError) as error:
            notes.line(line, f"cannot be read ({error})")
            continue
        if isinstance(row, Row):
            rows.append(row)
        elif row:
            skipped[row] += 1
    for why, count in skipped.items():
        notes.say(f"{count} jobs {why}, left out")
    return assemble(jobs_of(rows), site, notes)


def _row(line: int, cell: dict[str, str], zone: tzinfo) -> Row | str:
    """The job of one line, or why it is not one ("" for a step). Raises ValueError."""

    def get(column: str) -> str:
        return cell.get(column.casefold(), "")

    job = get("JobIDRaw") or get("JobID")
    if "." in job or "." in get("JobID"):
        return ""
    if get("State").split(" ", 1)[0] in _UNFINISHED:
        return "still run"
    start = _moment(get("Start"), zone)
    runtime = _runtime(cell, start, zone)
    resources = _known(get("AllocTRES")) or _known(get("ReqTRES"))
    amounts = fields.tres(resources)
    cpus = fields.count(amounts.get("cpu", "")) or _count(cell, "AllocCPUS", "NCPUS", "ReqCPUS")
    if not runtime or not cpus:
        return "never ran"
    gpus = sum(number for _, number in fields.gpus(resources, "", "", "", "", 1, 1))
    nodes = fields.count(amounts.get("node", "")) or _count(cell, "AllocNodes", "NNodes")
    energy = get("ConsumedEnergyRaw")
    submit = _moment(get("Submit"), zone)
    if submit is None:
        raise ValueError("Submit is empty")
    return Row(
        line=line,
        job=job,
        submit=submit,
        start=start,
        runtime=runtime,
        limit=_limit(cell),
        cpus=cpus,
        memory_mib=fields.memory_mib(resources) or None,
        gpus=gpus or None,
        nodes=nodes or None,
        energy_kwh=int(energy) / 3.6e6 if energy.isdecimal() and int(energy) else None,
        partition=get("Partition"),
        user=get("User"),
        account=get("Account"),
        label=get("JobName"),
    )


def _known(text: str) -> str:
    return "" if text in _NONE else text


def _moment(text: str, zone: tzinfo) -> int | None:
    return moment(text, zone) if _known(text) else None


def _runtime(cell: dict[str, str], start: int | None, zone: tzinfo) -> float:
    """Seconds the job ran; 0 where it did not."""
    if cell.get("elapsedraw"):
        return float(cell["elapsedraw"])
    if cell.get("elapsed"):
        return float(fields.minutes_text(cell["elapsed"]) or 0)
    end = _moment(cell.get("end", ""), zone)
    return float(end - start) if start is not None and end is not None else 0.0


def _limit(cell: dict[str, str]) -> float | None:
    raw = cell.get("timelimitraw", "")
    if raw.isdecimal():
        return int(raw) * 60.0
    return fields.minutes_text(cell.get("timelimit", ""))


def _count(cell: dict[str, str], *names: str) -> int:
    return next(
        (count for name in names if (count := fields.count(cell.get(name.casefold(), "")))), 0
    )
