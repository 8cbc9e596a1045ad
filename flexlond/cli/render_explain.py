"""One job's explanation for people: what binds, what is expected, what else it could have done.

Law: as in render.py: times in the user's own zone, unknown figures are "-", nothing from outside is markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from flexlond.cli.plain import safe
from flexlond.cli.render import moment, number, pairs, row, table

if TYPE_CHECKING:
    from rich.console import Console

_NAMES = {
    "now": "now",
    "soonest": "as soon as there is room",
    "planned": "planned",
    "cheapest": "cheapest in its window",
    "latest": "latest start",
}
_DAY, _HOUR, _MINUTE = 86_400, 3600, 60


def explain(out: Console, reply: Any) -> None:
    """Why a job starts when it starts."""
    job = reply.job
    out.print(Text(safe(reply.summary)))
    rows = [
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
    ]
    if reply.binding:
        rows.append(("binding reason", reply.binding))
    if reply.HasField("outlook"):
        rows += [("runtime", runtime(reply.outlook)), ("counted power", power(reply.outlook))]
    pairs(out, rows)
    _alternatives(out, reply)
    if reply.steps:
        out.print(Text("latest start:"))
        for step in reply.steps:
            out.print(Text(f"  {safe(step)}"))
    if reply.history:
        lines = table("AT", "ACTION", "NOT BEFORE", "OUTCOME", "DETAIL")
        for line in reply.history:
            row(
                lines,
                moment(line.at),
                line.verb,
                moment(line.not_before),
                line.outcome,
                line.detail,
            )
        out.print(lines)


def runtime(outlook: Any) -> str:
    """The forecast with what it rests on."""
    limit = (
        f"time limit {span(outlook.limit_seconds)}" if outlook.limit_seconds else "no time limit"
    )
    if not outlook.runs:
        return f"no like run is known: counted with {span(outlook.p90_seconds)} ({limit})"
    return (
        f"P50 {span(outlook.p50_seconds)}, mean {span(outlook.mean_seconds)}, "
        f"P90 {span(outlook.p90_seconds)} "
        f"({outlook.basis}: {_runs(outlook.runs)}); {limit}"
    )


def power(outlook: Any) -> str:
    """The power that the plan counts, with what it rests on."""
    basis = outlook.power_basis + (f": {_runs(outlook.power_runs)}" if outlook.power_runs else "")
    text = f"{number(outlook.counted_kw, 3)} kW a task ({basis})"
    if outlook.kw - outlook.counted_kw > 1e-9:
        text += f"; of {number(outlook.kw, 3)} kW the idle power is left out: its nodes stay on"
    return text


def span(seconds: float) -> str:
    """A duration in its two largest units: "1 h 40 min"."""
    left = round(seconds)
    if left >= _DAY:
        days, rest = divmod(left, _DAY)
        return f"{days} d" + (f" {rest // _HOUR} h" if rest >= _HOUR else "")
    if left >= _HOUR:
        hours, rest = divmod(left, _HOUR)
        return f"{hours} h" + (f" {rest // _MINUTE} min" if rest >= _MINUTE else "")
    minutes, rest = divmod(left, _MINUTE)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min" + (f" {rest} s" if rest else "")


def _runs(count: int) -> str:
    return f"{count} run" + ("" if count == 1 else "s")


def _alternatives(out: Console, reply: Any) -> None:
    if not reply.alternatives:
        return
    lines = table("START", "WHICH", "COST £", "KG CO2", "DELAY £", "ROOM £", "WHY NOT")
    for one in reply.alternatives:
        row(
            lines,
            moment(one.start),
            _NAMES.get(one.name, one.name),
            number(one.cost_gbp, 4),
            number(one.co2_kg, 3),
            number(one.delay_gbp, 4),
            number(one.room_gbp, 4),
            one.why_not,
        )
    out.print(lines)
