"""The live view of the window's demo: kW by slot against the cap, the queue, what moved and why.

Law: shows what it is given and asks nobody. Bars are the meter's means of slots that are over (of the slot of
now so far), and what the plan draws in those to come; the line is the cap. On a terminal a rich screen,
elsewhere one plain line now and then. Text that users wrote is data: it is escaped, never markup.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo_lib.live import fixed_columns
from demo_lib.watch import PENDING, clock

if TYPE_CHECKING:
    from rich.console import RenderableType

    from demo_lib.product import JobLine, Status
    from demo_lib.watch import Watch
    from demo_lib.window_report import Phase

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ROWS = 10
_HEAD = 9  # columns left of the bars
_MAX_QUEUE = 14
_MAX_EVENTS = 8
_RUNNING = ("R", "RUNNING", "CF", "CG")
_WORDS = {
    "filling": "the cluster fills up",
    "before": "the meter is read before the order",
    "notice": "the order is in: notice",
    "window": "the window",
    "after": "after the window",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One slot: kW by the meter and by the plan, and its cap; NaN where there is none."""

    metered: float
    planned: float
    cap: float


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of the demo."""

    now: int
    slot: int
    slot_start: int
    seconds: int
    phase: Phase
    bars: tuple[Bar, ...]
    kw: float  # the meter's last reading
    status: Status
    jobs: tuple[JobLine, ...]
    watch: Watch
    events: tuple[str, ...]
    ended: int

    @property
    def running(self) -> list[JobLine]:
        """Jobs that run now."""
        return [job for job in self.jobs if job.state in _RUNNING]

    @property
    def pending(self) -> list[JobLine]:
        """Jobs that wait, the next planned start first."""
        waiting = [job for job in self.jobs if job.state in PENDING]
        return sorted(waiting, key=lambda job: (job.planned_start or job.submit, job.job_id))

    @property
    def current(self) -> Bar:
        """The slot of now."""
        at = min(max(self.slot, 0), len(self.bars) - 1)
        return self.bars[at]


def chart(scene: Scene, width: int) -> Text:
    """The bars with the cap's line, the newest slots as far as `width` columns reach."""
    wide = 3
    shown = max(1, (width - _HEAD) // wide)
    first = max(0, len(scene.bars) - shown)
    bars = scene.bars[first:]
    finite = [
        value
        for bar in bars
        for value in (bar.metered, bar.planned, bar.cap)
        if math.isfinite(value)
    ]
    top = max(finite, default=1.0) * 1.05
    text = Text(no_wrap=True)
    for row in reversed(range(_ROWS)):
        text.append(f"{top * (row + 1) / _ROWS:5.1f} kW ", style="dim")
        for number, bar in enumerate(bars, first):
            text.append(*_cell(bar, row, top, wide=wide, current=number == scene.slot))
        text.append("\n")
    marker = _HEAD + (min(max(scene.slot, first), first + len(bars) - 1) - first) * wide
    text.append(" " * marker + f"▲ now, slot {scene.slot + 1}", style="bold")
    return text


def _cell(bar: Bar, row: int, top: float, *, wide: int, current: bool) -> tuple[str, str]:
    """One slot's part of one line of the chart, and its style."""
    value = bar.metered if math.isfinite(bar.metered) else bar.planned
    eighths = round(value / top * _ROWS * 8) if math.isfinite(value) else 0
    block = _BLOCKS[min(8, max(0, eighths - 8 * row))]
    if math.isfinite(bar.cap) and int(bar.cap / top * _ROWS) == row:
        filled = block != " "
        return "━" * wide, "bold red" if filled and value > bar.cap else "bold yellow"
    tone = "green" if math.isfinite(bar.metered) else "dim cyan"
    if math.isfinite(bar.metered) and bar.metered > bar.cap:
        tone = "red"
    if current and math.isfinite(bar.metered):
        tone += " bold"
    return block * (wide - 1) + " ", tone


def _queue(scene: Scene, width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    narrow = (
        ("job", "", 14), ("user", "", 6), ("state", "", 5), ("planned", "cyan", 8), ("latest", "", 8),
    )  # fmt: skip
    left = max(16, width - 4 - sum(size + 1 for *_, size in narrow) - 2)
    fixed_columns(
        table, [*narrow, ("the user wrote", "dim", left * 2 // 5), ("why", "", left * 3 // 5)]
    )
    rows = [*scene.running, *scene.pending]
    for job in rows[:_MAX_QUEUE]:
        seen = scene.watch.of(job.job_id, job.array_job_id)
        state = "runs" if job in scene.running else "held" if job.held_by_us else "waits"
        table.add_row(
            Text(f"{job.job_id} {scene.watch.name(job)}"),
            Text(job.user),
            Text(state),
            Text(clock(seen.held if seen else 0)),
            Text(clock(seen.latest_start if seen else 0)),
            Text(job.comment),
            Text(seen.why if seen else ""),
        )
    if len(rows) > _MAX_QUEUE:
        table.add_row(Text(f"and {len(rows) - _MAX_QUEUE} more", style="dim"))
    return table


def screen(scene: Scene, width: int) -> RenderableType:
    """The whole view for a terminal of `width` columns."""
    events = Text("\n".join(scene.events[-_MAX_EVENTS:]), no_wrap=True, overflow="ellipsis")
    title = (
        f"kW by slot of {scene.seconds} s: metered, planned for slots to come, ━ the cap; Slurm "
        f"{scene.status.slurm_version}, {clock(scene.now)} UTC: {_WORDS[scene.phase]}"
    )
    return Group(
        Panel(chart(scene, width - 4), title=Text(title), title_align="left"),
        Panel(_queue(scene, width), title=Text(counts(scene)), title_align="left"),
        Panel(events, title="what moved and why", title_align="left"),
        Text(scene.status.last_cycle, style="bold", no_wrap=True, overflow="ellipsis"),
    )


def counts(scene: Scene) -> str:
    """`9 run, 14 wait (11 held until a planned start), 31 ended`."""
    held = sum(job.held_by_us for job in scene.pending)
    return (
        f"{len(scene.running)} run, {len(scene.pending)} wait ({held} held until a planned start), "
        f"{scene.ended} ended"
    )


def line(scene: Scene) -> str:
    """The same in one plain line, for a log."""
    bar = scene.current
    cap = f" of {bar.cap:.2f}" if math.isfinite(bar.cap) else ""
    head = (
        f"{clock(scene.now)} slot {scene.slot + 1:2} {scene.phase.value:7} {scene.kw:5.2f} kW{cap}"
    )
    return f"{head}  {counts(scene)}. {scene.status.last_cycle}"
