"""The end of the demo: one table of what it cost, and who was left alone.

Law: every number comes from the report. The demo's energy is tiny because its slots last seconds; what a
half-hour would have been is shown only beside it, under that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from demo_lib.live import fixed_columns
from demo_lib.report import deadlines_kept, saved, scale
from demo_lib.watch import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from demo_lib.report import JobFacts, Report


def amounts(report: Report) -> Table:
    """Money, carbon and peak power, both ways."""
    total = report.summary()
    factor = scale(report.slot_seconds)
    table = _table("the same jobs as soon as possible, and with FlexLon")
    for name, least in (
        ("", 16),
        ("asap", 10),
        ("FlexLon", 10),
        ("saved", 17),
        (f"x {factor:.0f} *", 10),
    ):
        table.add_column(name, justify="right" if name else "left", min_width=least, no_wrap=True)
    for name, now, before, unit in (
        ("electricity, GBP", total.cost_gbp, total.cost_asap_gbp, "GBP"),
        ("carbon, kg CO2", total.co2_kg, total.co2_asap_kg, "kg"),
    ):
        table.add_row(
            name,
            f"{before:.6f}",
            f"{now:.6f}",
            f"{before - now:.6f} {saved(now, before):5.1f} %",
            f"{(before - now) * factor:.2f} {unit}",
        )
    table.add_row("peak power, kW", f"{total.peak_asap_kw:.2f}", f"{total.peak_kw:.2f}", "", "")
    return table


def jobs(report: Report, width: int) -> Table:
    """Every job that was moved, with what it was promised."""
    table = _table("the jobs that FlexLon moved (times in UTC)")
    names = ("asap", "planned", "started", "latest", "ended", "deadline")
    narrow = [("job", "", 5), ("user", "", 5), *((name, "", 8) for name in names)]
    left = max(8, width - sum(size + 1 for *_, size in narrow))
    fixed_columns(table, [*narrow, ("the user wrote", "", left)])
    for job in report.jobs:
        if job.touched:
            moments = (
                job.asap_start, job.planned_start, job.start, job.latest_start, job.end, job.deadline,
            )  # fmt: skip
            times = (clock(moment or 0) for moment in moments)
            table.add_row(job.shown, job.user, *times, Text(job.comment))
    return table


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def sentences(report: Report) -> list[str]:
    """Deadlines, touched and untouched, and what the numbers mean."""
    total = report.summary()
    kept, promised = deadlines_kept(report.jobs)
    plain = [job for job in report.jobs if not job.consents]
    moved = total.touched - _count_touched(plain)
    return [
        f"deadlines and latest starts kept: {kept} of {promised}",
        f"jobs: {total.jobs}, flexible: {total.annotated}, of which FlexLon moved {moved}",
        f"jobs without consent: {len(plain)}, of which touched: {_count_touched(plain)}",
        f"* one slot of {report.slot_seconds} s stands for a half-hour: the saving, were each slot that long",
        f"Slurm {report.slurm}, reader {report.reader}; starts and ends as sacct has them",
        "prices are those of the real day, known in advance here: a forecast saves less",
    ]


def _count_touched(jobs_: Sequence[JobFacts]) -> int:
    return sum(job.touched for job in jobs_)


def show(report: Report, said: Sequence[str], console: Console) -> None:
    """Print the end."""
    for line in said:
        console.print(Text(line))
    console.print()
    console.print(jobs(report, console.width))
    console.print()
    console.print(amounts(report))
    console.print()
    for line in sentences(report):
        console.print(Text(line))
