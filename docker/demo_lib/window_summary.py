"""The end of the window's demo: kW by slot against the cap, and who was late or touched.

Law: every number comes from the report.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from demo_lib.watch import clock
from demo_lib.window_report import Phase

if TYPE_CHECKING:
    from rich.console import Console

    from demo_lib.window_report import SlotRow, WindowReport


def slots(report: WindowReport) -> Table:
    """Every slot, what was planned, modelled and metered in it, and whether the window was kept."""
    table = Table(
        title=Text("kW by slot (UTC), as the independent meter read it", style="bold"),
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
    )
    for name in ("slot", "", "cap", "planned", "modelled", "metered", "of the cap", "kept"):
        words = name in ("slot", "", "kept")
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    for slot in report.slots:
        figures = (slot.cap_kw, slot.planned_kw, slot.modelled_kw, slot.metered_kw)
        table.add_row(
            clock(slot.start),
            slot.phase.value,
            *(_kw(value) for value in figures),
            f"{slot.metered_kw / slot.cap_kw - 1:+.1%}" if math.isfinite(slot.cap_kw) else "",
            _kept(slot),
        )
    return table


def _kw(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _kept(slot: SlotRow) -> str:
    if slot.ramp_in:
        return "ramp-in"
    return ("yes" if slot.kept else "NO") if slot.judged else ""


def sentences(report: WindowReport) -> list[str]:
    """What the table does not say."""
    judged = [slot for slot in report.slots if slot.judged]
    late = sum(job.late for job in report.jobs)
    ordered = report.ordered.ordered_kw
    before, after = report.peak(Phase.BEFORE), report.peak(Phase.AFTER)
    return [
        f"ordered: {ordered:.2f} kW, {report.reduction:.0%} below {report.baseline_kw:.2f} kW",
        f"(the mean of the slots before the order; of those right before the window {report.notice_kw:.2f} kW)",
        f"kept within 5 %: {sum(slot.kept for slot in judged)} of {len(judged)} slots",
        f"load before the order: {report.load:.1%} of the GPUs, {report.flexible:.1%} of it flexible",
        f"latest starts and deadlines missed: {late}, because of the window: {len(report.missed)}",
        f"jobs: {len(report.jobs)}, of which FlexLon moved {report.moved} and requeued {report.requeued}",
        f"jobs without consent: {report.without_consent}, records changed: {len(report.changed)}",
        f"highest slot: before the order {before:.2f} kW, after the window {after:.2f} kW",
        f"Slurm {report.slurm}, slots of {report.slot_seconds} s; the meter asks the nodes, not FlexLon",
    ]


def show(report: WindowReport, console: Console) -> None:
    """Print the end."""
    console.print()
    console.print(slots(report))
    console.print()
    for line in sentences(report):
        console.print(Text(line))
