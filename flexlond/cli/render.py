"""Replies as tables for people.

Law: times in the user's own zone (TZ), money in GBP, power in kW; an unknown figure is "-". Everything that
comes from outside passes `safe` and is printed as text, never as markup. Nothing here asks the daemon.
"""

from __future__ import annotations

import math
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flexlond.cli.plain import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PLAIN_WIDTH = 200  # columns where the output is no terminal: nothing is cut for a pipe
_BARS = "▁▂▃▄▅▆▇█"


def console() -> Console:
    """Where replies go: no markup, no emoji, no highlighting."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(
        width=width, markup=False, emoji=False, highlight=False, soft_wrap=width is not None
    )


def moment(at: int) -> str:
    """An epoch second in the user's zone; "-" for none. Without the date when it is today."""
    if not at:
        return "-"
    when = datetime.fromtimestamp(at).astimezone()
    today = when.date() == datetime.now().astimezone().date()
    return f"{when:%H:%M:%S}" if today else f"{when:%Y-%m-%d %H:%M:%S}"


def number(value: float, digits: int = 2) -> str:
    """A figure; "-" when it is not known."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "-"


def status(out: Console, reply: Any) -> None:
    """The state of the loop."""
    mode = (
        reply.mode + (", paused" if reply.paused else "") + (", draining" if reply.draining else "")
    )
    detail = reply.helper_detail
    silent = "not needed to observe" if reply.mode == "observe" else "NOT ANSWERING"
    helper = "answering" if reply.helper_answering else silent
    counts = (
        f"{reply.jobs_seen} seen, {reply.jobs_flexible} flexible, {reply.jobs_held} held until a later "
        f"begin time, {reply.opted_out} opted out"
    )
    cycle = reply.last_cycle or "none yet"
    rows = [
        ("flexlond", f"{reply.version}, mode {mode}, since {moment(reply.started_at)}"),
        (
            "Slurm",
            f"{reply.slurm_version or 'not read yet'}, read by {reply.reader} ({reply.reader_reason})",
        ),
        ("helper", helper + (f" ({detail})" if detail and not reply.helper_answering else "")),
        (
            "jobs",
            counts,
        ),
        (
            "last cycle",
            f"{moment(reply.last_cycle_at)}, {reply.last_cycle_seconds:.2f} s: {cycle}",
        ),
        (
            "new jobs",
            "get a decision window" if reply.heartbeat_fresh else "are not delayed at submission",
        ),
        ("slots", f"{reply.slot_seconds} s"),
        ("configuration", reply.config_path),
    ]
    rows += [(f"{signal.name} signal", _signal(signal)) for signal in reply.signals]
    rows += [("warning", text) for text in reply.warnings]
    if reply.config_error:
        rows += [("RELOAD REFUSED", line.strip()) for line in reply.config_error.splitlines()]
    _pairs(out, rows)


def jobs(out: Console, lines: Sequence[Any]) -> None:
    """One row for each job."""
    table = _table(
        "JOB", "USER", "PARTITION", "ST", "FLEX", "BEGIN", "PLANNED", "LATEST", "KW", "SAVES", "WHY"
    )
    for job in lines:
        saves = job.cost_asap_gbp - job.cost_gbp
        flex = (
            "held"
            if job.held_by_us
            else "opted out"
            if job.opted_out
            else "yes"
            if job.flexible
            else "no"
        )
        _row(
            table,
            job.array or str(job.job_id),
            job.user,
            job.partition,
            job.state,
            flex,
            moment(job.begin),
            moment(job.planned_start),
            moment(job.latest_start),
            number(job.kw),
            f"£{number(saves)}" if job.flexible and math.isfinite(saves) else "-",
            job.reason if job.flexible else job.consent,
        )
    out.print(table)
    out.print(Text(f"{len(lines)} jobs"))


def explain(out: Console, reply: Any) -> None:
    """Why a job starts when it starts."""
    job = reply.job
    out.print(Text(safe(reply.summary)))
    _pairs(
        out,
        [
            ("job", f"{job.array or job.job_id} of {job.user} in {job.partition}, {job.state}"),
            ("comment", job.comment or "-"),
            ("consent", job.consent),
            ("submitted", moment(job.submit)),
            ("could start at", moment(job.asap_start)),
            ("planned start", moment(job.planned_start)),
            ("latest start", moment(job.latest_start)),
            ("must start by", f"{moment(job.must_start_by)} (the latest start without its margin)"),
            ("deadline", moment(job.deadline)),
            ("power", f"{number(job.kw)} kW for {job.duration_seconds / 3600:.2f} h"),
            ("cost", f"£{number(job.cost_gbp)}, as soon as possible £{number(job.cost_asap_gbp)}"),
            (
                "carbon",
                f"{number(job.co2_kg)} kg, as soon as possible {number(job.co2_asap_kg)} kg",
            ),
        ],
    )
    if reply.steps:
        out.print(Text("latest start:"))
        for step in reply.steps:
            out.print(Text(f"  {safe(step)}"))
    if reply.history:
        table = _table("AT", "ACTION", "NOT BEFORE", "OUTCOME", "DETAIL")
        for line in reply.history:
            _row(
                table,
                moment(line.at),
                line.verb,
                moment(line.not_before),
                line.outcome,
                line.detail,
            )
        out.print(table)


def plan(out: Console, reply: Any) -> None:
    """The curves, then the slots."""
    slots = reply.slots
    out.print(
        Text(
            f"plan of {moment(reply.made_at)}: £{number(reply.cost_gbp)} instead of "
            f"£{number(reply.cost_asap_gbp)}, {number(reply.co2_kg)} kg CO2 "
            f"instead of {number(reply.co2_asap_kg)} kg"
        )
    )
    chart(
        out,
        ("price £/MWh", [slot.price_gbp_mwh for slot in slots]),
        ("carbon g/kWh", [slot.carbon_g_kwh for slot in slots]),
        ("kW planned", [slot.kw for slot in slots]),
        ("kW asap", [slot.kw_asap for slot in slots]),
    )
    table = _table("SLOT", "£/MWH", "G/KWH", "KW", "KW ASAP", "STARTS")
    for slot in slots:
        _row(
            table,
            moment(slot.start),
            number(slot.price_gbp_mwh),
            number(slot.carbon_g_kwh, 0),
            number(slot.kw),
            number(slot.kw_asap),
            str(slot.starts) if slot.starts else "",
        )
    out.print(table)


def signals(out: Console, reply: Any) -> None:
    """The feeds, then their curves."""
    table = _table("SIGNAL", "QUALITY", "SOURCE", "FETCHED", "FROM", "TO", "DETAIL")
    for signal in reply.signals:
        start = getattr(signal, "from")
        _row(
            table,
            f"{signal.name} ({signal.unit})",
            signal.quality,
            signal.source,
            moment(signal.fetched_at),
            moment(start),
            moment(signal.to),
            signal.detail,
        )
    out.print(table)
    if reply.slots:
        chart(
            out,
            ("price £/MWh", [slot.price_gbp_mwh for slot in reply.slots]),
            ("carbon g/kWh", [slot.carbon_g_kwh for slot in reply.slots]),
        )
        out.print(
            Text(
                f"from {moment(reply.slots[0].start)} to {moment(reply.slots[-1].start)}, one mark a slot"
            )
        )


def release(out: Console, lines: Iterable[Any]) -> None:
    """What became of each job."""
    table = _table("JOB", "RELEASED", "DETAIL")
    for line in lines:
        _row(table, str(line.job_id), "yes" if line.released else "no", line.detail)
    out.print(table)


def check(out: Console, reply: Any) -> None:
    """How a directive was read."""
    out.print(Text(safe(reply.message)))
    _pairs(out, [(pair.key, pair.value) for pair in reply.values])


def chart(out: Console, *curves: tuple[str, Sequence[float]]) -> None:
    """One line for each curve, one mark for each slot, lowest and highest beside it."""
    for name, values in curves:
        known = [value for value in values if math.isfinite(value)]
        if not known:
            out.print(Text(f"{name:>12}  not known"))
            continue
        low, high = min(known), max(known)
        marks = "".join(_mark(value, low, high) for value in values)
        out.print(Text(f"{name:>12}  {marks}  {number(low)} to {number(high)}"))


def _mark(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return " "
    share = (value - low) / (high - low) if high > low else 0.0
    return _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]


def _signal(signal: Any) -> str:
    detail = f" ({signal.detail})" if signal.detail else ""
    known = f"fetched {moment(signal.fetched_at)}, known to {moment(signal.to)}"
    return f"{signal.quality}{detail}: {signal.source}, {known}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(safe(cell)) for cell in cells))


def _pairs(out: Console, rows: Iterable[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(Text(safe(name)), Text(safe(text)))
    out.print(table)
