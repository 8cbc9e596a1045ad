"""A job trace from a plain CSV: the form for sites whose log is none of the others.

Law: columns submit, runtime, limit, cpus; as far as known start, nodes, gpus, memory_mib, partition, user,
account, name, energy_kwh, job_id, and what a directive says: work with unit, latency; others are ignored.
Moments are epoch seconds or ISO 8601 (without an offset in the site's zone); runtime, limit and latency are
seconds; an empty cell is "not known". Jobs that never ran (runtime or cpus 0) are left out and counted.
Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.backtest.columns import Row, jobs_of, moment, zone_of
from flexlond.backtest.jobs_in import assemble
from flexlond.backtest.notes import Notes
from flexlond.backtest.site import Site, TraceError
from flexlond.backtest.table import read_table

if TYPE_CHECKING:
    from datetime import tzinfo

    from flexlond.backtest.case import Trace

_NEEDED = ("submit", "runtime", "limit", "cpus")


def parse_csv_trace(text: str, name: str, site: Site | None = None) -> Trace:
    """The trace in a CSV text; `name` stands in messages. Raises TraceError."""
    site = site or Site()
    zone = zone_of(site.zone)
    notes = Notes(name)
    table = read_table(text, name)
    header = [cell.casefold() for cell in table.header]
    missing = [column for column in _NEEDED if column not in header]
    if missing:
        raise TraceError(
            f"{name}: no column {', '.join(missing)} in the header {','.join(header)[:120]!r}; "
            f"a job trace needs {','.join(_NEEDED)}"
        )
    notes.many(table.bad)
    rows: list[Row] = []
    idle = 0
    for line, cells in zip(table.lines, table.rows, strict=True):
        try:
            row = _row(line, dict(zip(header, cells, strict=True)), zone)
        except (ValueError, OverflowError) as error:
            notes.line(line, f"cannot be read ({error})")
            continue
        if row.runtime > 0 and row.cpus > 0:
            rows.append(row)
        else:
            idle += 1
    if idle:
        notes.say(f"{idle} jobs never ran (no runtime or no CPUs), left out")
    return assemble(jobs_of(rows), site, notes, nodes_as_said=True)


def _row(line: int, cell: dict[str, str], zone: tzinfo) -> Row:
    start = cell.get("start", "").strip()
    return Row(
        line=line,
        job=cell.get("job_id", "").strip() or f"line {line}",
        submit=moment(cell["submit"], zone),
        start=moment(start, zone) if start else None,
        runtime=_amount(cell, "runtime") or 0.0,
        limit=_amount(cell, "limit"),
        cpus=_amount(cell, "cpus") or 0.0,
        memory_mib=_amount(cell, "memory_mib"),
        gpus=_amount(cell, "gpus"),
        nodes=_amount(cell, "nodes"),
        energy_kwh=_amount(cell, "energy_kwh"),
        partition=cell.get("partition", "").strip(),
        user=cell.get("user", "").strip(),
        account=cell.get("account", "").strip(),
        label=cell.get("name", "").strip(),
        work=_amount(cell, "work"),
        unit=cell.get("unit", "").strip().lower(),
        latency=_amount(cell, "latency"),
    )


def _amount(cell: dict[str, str], column: str) -> float | None:
    """A number; None where the cell is empty. Raises ValueError."""
    text = cell.get(column, "").strip()
    return float(text) if text else None
