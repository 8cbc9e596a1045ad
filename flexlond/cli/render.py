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
from flexlond.cli.plan_chart import sparkline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PLAIN_WIDTH = 200  # columns where the output is no terminal: nothing is cut for a pipe


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
    if reply.HasField("power"):
        rows += _power(reply.power)
    if reply.prediction:
        rows.append(("prediction", reply.prediction))
    rows += [("warning", text) for text in reply.warnings]
    if reply.config_error:
        rows += [("RELOAD REFUSED", line.strip()) for line in reply.config_error.splitlines()]
    pairs(out, rows)


def jobs(out: Console, lines: Sequence[Any]) -> None:
    """One row for each job."""
    listed = table(
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
        row(
            listed,
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
    out.print(listed)
    out.print(Text(f"{len(lines)} jobs"))


def signals(out: Console, reply: Any) -> None:
    """The feeds, then their curves."""
    listed = table("SIGNAL", "QUALITY", "SOURCE", "FETCHED", "FROM", "TO", "DETAIL")
    for signal in reply.signals:
        start = getattr(signal, "from")
        row(
            listed,
            f"{signal.name} ({signal.unit})",
            signal.quality,
            signal.source,
            moment(signal.fetched_at),
            moment(start),
            moment(signal.to),
            signal.detail,
        )
    out.print(listed)
    if reply.slots:
        out.print(sparkline("price £/MWh", [slot.price_gbp_mwh for slot in reply.slots]))
        out.print(sparkline("carbon g/kWh", [slot.carbon_g_kwh for slot in reply.slots]))
        out.print(
            Text(
                f"from {moment(reply.slots[0].start)} to {moment(reply.slots[-1].start)}, one mark a slot"
            )
        )


def release(out: Console, lines: Iterable[Any]) -> None:
    """What became of each job."""
    listed = table("JOB", "RELEASED", "DETAIL")
    for line in lines:
        row(listed, str(line.job_id), "yes" if line.released else "no", line.detail)
    out.print(listed)


def check(out: Console, reply: Any) -> None:
    """How a directive was read."""
    out.print(Text(safe(reply.message)))
    pairs(out, [(pair.key, pair.value) for pair in reply.values])


def _power(power: Any) -> list[tuple[str, str]]:
    """The site's power with its source, and the model beside the meter."""
    observed = f"{number(power.observed_kw)} kW, {power.source}"
    if not power.meter:
        return [("site's power", f"{observed} (no meter is configured)")]
    if power.detail:
        observed += f": {power.detail}"
    rows = [("site's power", observed), ("meter", _meter(power))]
    if math.isfinite(power.ratio):
        advice = ""
        if math.isfinite(power.other_kw):
            advice = (
                f"; without jobs {number(power.base_kw)} kW by the meter, {number(power.modelled_base_kw)} kW "
                f"by the model: power.other_kw = {power.other_kw:.1f} would fit"
            )
        rows.append(
            (
                "calibration",
                f"the meter reads {power.ratio:.3f} of the model, last day, {power.pairs} readings{advice}",
            )
        )
    return rows


def _meter(power: Any) -> str:
    seen = "nothing yet"
    if power.metered_at:
        seen = f"{number(power.metered_kw)} kW at {moment(power.metered_at)}"
    return f"{power.quality}: {power.meter}, read {seen}"


def _signal(signal: Any) -> str:
    detail = f" ({signal.detail})" if signal.detail else ""
    known = f"fetched {moment(signal.fetched_at)}, known to {moment(signal.to)}"
    return f"{signal.quality}{detail}: {signal.source}, {known}"


def table(*columns: str) -> Table:
    """A table for `row`."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def row(to: Table, *cells: str) -> None:
    """Add a line of plain text."""
    to.add_row(*(Text(safe(cell)) for cell in cells))


def pairs(out: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Names with their texts."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, text in rows:
        made.add_row(Text(safe(name)), Text(safe(text)))
    out.print(made)
