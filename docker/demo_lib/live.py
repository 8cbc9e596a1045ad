"""The live view: price and carbon with a marker at now, the queue with planned starts, what moved and why.

Law: shows what it is given and asks nobody. On a terminal a rich screen, elsewhere one plain line now and
then, so that a log stays a log. Text that users wrote is data: it is escaped, never markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo_lib.watch import PENDING, clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from demo_lib.day import Day
    from demo_lib.product import JobLine, Status
    from demo_lib.watch import Watch

_BLOCKS = " ▁▂▃▄▅▆▇█"
_CURVE_ROWS = 3
_MAX_QUEUE = 18
_MAX_EVENTS = 9
_RUNNING = ("R", "RUNNING", "CF", "CG")


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of the demo."""

    now: int
    day: Day
    status: Status
    jobs: tuple[JobLine, ...]
    watch: Watch
    events: tuple[str, ...]
    submitted: int
    to_submit: int
    ended: int

    @property
    def running(self) -> list[JobLine]:
        """Jobs that run now."""
        return [job for job in self.jobs if job.state in _RUNNING]

    @property
    def pending(self) -> list[JobLine]:
        """Jobs that wait, the next planned start first."""
        waiting = [job for job in self.jobs if job.state in PENDING]
        return sorted(
            waiting, key=lambda job: (job.planned_start or job.begin or job.submit, job.job_id)
        )


def columns(values: Sequence[float], rows: int) -> list[str]:
    """A column chart of `rows` text lines, one character per value, from zero (or the lowest below it)."""
    low, high = min(0.0, *values), max(values)
    span = (high - low) or 1.0
    eighths = [max(1, round((value - low) / span * rows * 8)) for value in values]
    return [
        "".join(_BLOCKS[min(8, max(0, height - 8 * row))] for height in eighths)
        for row in reversed(range(rows))
    ]


def _chart(scene: Scene, *, wide: int) -> Text:
    """Both curves over the day, past dimmed, and the marker line with the hours of the real day."""
    day = scene.day
    slot = day.slot_of(scene.now)
    text = Text(no_wrap=True)
    for label, unit, values, style in (
        ("price", "£/MWh", day.shown(day.price), "yellow"),
        ("carbon", "g/kWh", day.shown(day.carbon), "green"),
    ):
        for row, line in enumerate(columns(values, _CURVE_ROWS)):
            head = (f"{label}", f"{unit}", f"{min(values):.0f}-{max(values):.0f}")[row]
            text.append(f"{head:>9} ", style="bold" if row == 0 else "dim")
            for index, char in enumerate(line):
                tone = "reverse" if index == slot else "dim" if index < slot else ""
                text.append(char * wide, style=f"{style} {tone}".strip())
            text.append("\n")
    hours = "".join(f"{day.label(index):<{4 * wide}}" for index in range(0, day.slots, 4))
    text.append(" " * 10 + hours.rstrip() + "\n", style="dim")
    marker = 10 + min(max(slot, 0), day.slots - 1) * wide
    text.append(" " * marker + f"▲ now {day.label(slot)}", style="bold")
    return text


def fixed_columns(table: Table, columns_: Sequence[tuple[str, str, int]]) -> None:
    """Columns (name, style, width) that keep their width; longer text ends in an ellipsis."""
    for name, style, width in columns_:
        table.add_column(name, style=style, width=width, no_wrap=True, overflow="ellipsis")


def _queue(scene: Scene, width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    narrow = (
        ("job", "", 14), ("user", "", 6), ("state", "", 5), ("planned", "cyan", 8), ("for", "cyan", 5),
        ("latest", "", 8),
    )  # fmt: skip
    # What is left beside the frame and the gaps goes to the user's words and the reason.
    left = max(16, width - 4 - sum(size + 1 for *_, size in narrow) - 2)
    fixed_columns(
        table, [*narrow, ("the user wrote", "dim", left * 2 // 5), ("why", "", left * 3 // 5)]
    )
    rows = [*scene.running, *scene.pending]
    for job in rows[:_MAX_QUEUE]:
        seen = scene.watch.of(job.job_id, job.array_job_id)
        runs = job in scene.running
        planned = seen.held if seen else 0
        table.add_row(
            Text(f"{job.job_id} {scene.watch.name(job)}"),
            Text(job.user),
            Text("runs" if runs else "held" if job.held_by_us else "waits"),
            Text(clock(planned)),
            Text(scene.day.label(scene.day.slot_of(planned)) if planned else ""),
            Text(clock(seen.latest_start if seen else 0)),
            Text(job.comment),
            Text(seen.why if seen else ""),
        )
    if len(rows) > _MAX_QUEUE:
        table.add_row(Text(f"and {len(rows) - _MAX_QUEUE} more", style="dim"))
    return table


def screen(scene: Scene, width: int) -> RenderableType:
    """The whole view for a terminal of `width` columns."""
    wide = 2 if width >= 10 + 2 * scene.day.slots + 6 else 1
    events = Text("\n".join(scene.events[-_MAX_EVENTS:]), no_wrap=True, overflow="ellipsis")
    title = (
        f"FlexLon demo, Slurm {scene.status.slurm_version}, mode {scene.status.mode}, "
        f"{clock(scene.now)} UTC stands for {scene.day.label(scene.day.slot_of(scene.now))}"
    )
    return Group(
        Panel(_chart(scene, wide=wide), title=Text(title), title_align="left"),
        Panel(_queue(scene, width), title=Text(counts(scene)), title_align="left"),
        Panel(events, title="what moved and why", title_align="left"),
        Text(scene.status.last_cycle, style="bold", no_wrap=True, overflow="ellipsis"),
    )


def counts(scene: Scene) -> str:
    """`31 of 48 submitted: 6 run, 14 wait (11 held until a planned start), 9 ended`."""
    held = sum(job.held_by_us for job in scene.pending)
    return (
        f"{scene.submitted} of {scene.to_submit} submitted: {len(scene.running)} run, "
        f"{len(scene.pending)} wait ({held} held until a planned start), {scene.ended} ended"
    )


def line(scene: Scene) -> str:
    """The same in one plain line, for a log."""
    day, slot = scene.day, scene.day.slot_of(scene.now)
    price, carbon = day.price.at(scene.now), day.carbon.at(scene.now)
    return (
        f"{clock(scene.now)} = {day.label(slot)}  {price:6.1f} GBP/MWh {carbon:4.0f} g/kWh  "
        f"{counts(scene)}. {scene.status.last_cycle}"
    )
