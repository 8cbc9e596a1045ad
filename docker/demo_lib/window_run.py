"""The window's demo from the first job to the last: watch, order at the right moment, watch until all is done.

Law: orders one window and lets the users cancel the jobs that they hold; else it only watches. It ends by
itself: when the window is over and no job is left in the queue, at the latest `DRAIN` slots after it, which is
a failure. Times are epoch seconds (UTC).
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.live import Live

from demo_lib import product, records, window_live
from demo_lib.metering import mean_kw, read_samples
from demo_lib.product import DemoError
from demo_lib.run import LINE_SECONDS, Observer
from demo_lib.setup import run
from demo_lib.watch import Watch
from demo_lib.window_order import METER_FILE, order
from demo_lib.window_report import Phase, phase_of

if TYPE_CHECKING:
    from rich.console import Console

    from demo_lib.day import Day
    from demo_lib.users import Users
    from demo_lib.window_load import Timing
    from demo_lib.window_report import Ordered

DRAIN = 20  # slots after the window
_ORDER_AFTER = 1.0  # seconds into the slot: then the meter has the slot before it whole


@dataclass(slots=True)
class WindowObserver(Observer):
    """Asks for the plan, the modelled power and Slurm's own records besides."""

    records: records.RecordWatch = field(default_factory=records.RecordWatch)
    plan: dict[int, float] = field(default_factory=dict)  # kW by slot, the last answer
    planned: dict[int, float] = field(default_factory=dict)  # as it was when the slot began
    modelled: dict[int, float] = field(default_factory=dict)

    def _ask(self) -> None:
        Observer._ask(self)  # noqa: SLF001 -- super() does not know a class with slots
        self.records.observe(records.read())
        self.plan = product.planned_kw()
        if self.plan:
            now = min(self.plan)
            self.planned.setdefault(now, self.plan[now])
        for slot in self.status.power.slots if self.status.power else ():
            if slot.modelled_kw is not None:
                self.modelled[slot.epoch] = slot.modelled_kw


@dataclass(slots=True)
class WindowRun:
    """One run of the demo; `ordered` is there once the window is."""

    day: Day
    timing: Timing
    users: Users
    reduction: float
    observer: WindowObserver
    baseline_kw: float = math.nan
    ordered: Ordered | None = None
    said: list[str] = field(default_factory=list)
    _cancelled: bool = False

    def slot_start(self, slot: int) -> int:
        """The first second of a slot of the demo."""
        return self.day.start + slot * self.day.slot_seconds

    def watch(self, console: Console) -> None:
        """Let it run. Raises DemoError."""
        self.observer.begin()
        self.users.begin()
        try:
            if console.is_terminal:
                with Live(console=console, screen=True, auto_refresh=False) as view:
                    while self._step():
                        view.update(window_live.screen(self._scene(), console.width), refresh=True)
                        time.sleep(0.5)
            else:
                self._lines()
        finally:
            self.users.stop.set()
            self.observer.stop.set()

    def _lines(self) -> None:
        following = time.monotonic()
        while self._step():
            if time.monotonic() >= following:
                following += LINE_SECONDS
                print(window_live.line(self._scene()))
                for lines in (self.said, self.observer.events):
                    while lines:
                        print(f"    {lines.pop(0)}")
                sys.stdout.flush()
            time.sleep(0.5)

    def _step(self) -> bool:
        """Do what is due; False at the end. Raises DemoError."""
        for failed in (self.users.failed, self.observer.failed):
            if failed:
                raise DemoError(failed)
        now = time.time()
        if self.ordered is None:
            if now >= self.slot_start(self.timing.order) + _ORDER_AFTER:
                self._order()
            return True
        if now < self.slot_start(self.timing.end) or not self.users.done.is_set():
            return True
        held = {job.job_id for job in self.users.accepted if job.submission.held}
        if self.observer.queued - held:
            if now > self.slot_start(self.timing.end + DRAIN):
                left = len(self.observer.queued)
                raise DemoError(f"{left} jobs have not ended {DRAIN} slots after the window")
            return True
        if not self._cancelled:
            self._cancel()
            return True
        # One whole slot after the window at least, so that its power is seen too.
        return bool(self.observer.queued) or now < self.slot_start(self.timing.end + 1)

    def _order(self) -> None:
        """The cap from the meter's mean of the observed slots; two whole slots' notice."""
        first, last = self.slot_start(self.timing.warm_up), self.slot_start(self.timing.order)
        self.baseline_kw = mean_kw(read_samples(METER_FILE), first, last)
        if math.isnan(self.baseline_kw):
            raise DemoError(
                f"the meter's file {METER_FILE} does not cover the slots before the order"
            )
        cap = self.baseline_kw * (1.0 - self.reduction)
        begin, end = self.slot_start(self.timing.begin), self.slot_start(self.timing.end)
        self.ordered = order(begin, end, cap)
        if time.time() > self.slot_start(self.timing.order + 1):
            raise DemoError("the order took longer than its slot: there was less than the notice")
        self.said.append(
            f"the operator ordered window {self.ordered.window_id}: {cap:.2f} kW for "
            f"{self.timing.window} slots, {self.reduction:.0%} below the {self.baseline_kw:.2f} kW of the "
            f"last {self.timing.observed}"
        )

    def _cancel(self) -> None:
        """Who holds a job of the own cancels it."""
        for job in self.users.accepted:
            if job.submission.held:
                run(["runuser", "-u", job.submission.user, "--", "scancel", str(job.job_id)])
        self._cancelled = True

    def _scene(self) -> window_live.Scene:
        now = int(time.time())
        observer, seconds = self.observer, self.day.slot_seconds
        slot = self.day.slot_of(now)
        samples = read_samples(METER_FILE)
        bars = []
        for number in range(max(slot + 1, self.timing.end + 4)):
            at = self.slot_start(number)
            over = number < slot
            kw = mean_kw(samples, at, at + seconds if over else now, enough=0.5)
            place = number - self.timing.begin
            caps = self.ordered.caps if self.ordered else ()
            cap = caps[place] if 0 <= place < len(caps) else math.nan
            bars.append(window_live.Bar(kw, observer.plan.get(at, math.nan), cap))
        return window_live.Scene(
            now=now,
            slot=slot,
            slot_start=self.slot_start(slot),
            seconds=seconds,
            phase=phase_of(self.timing, slot) if slot >= 0 else Phase.FILLING,
            bars=tuple(bars),
            kw=samples[-1].kw if samples else math.nan,
            status=observer.status,
            jobs=observer.jobs,
            watch=observer.watch,
            events=(*self.said, *observer.events),
            ended=len(observer.known - observer.queued),
        )


def watch_of(users: Users) -> WindowObserver:
    """The observer of a run."""
    return WindowObserver(Watch(users.names))
