"""The day itself: users submit, FlexLon works, the view shows it, until every job has ended.

Law: this loop only watches; it neither plans nor repairs. It ends by itself: when the day is over and no job
of the demo is left in the queue, at the latest `GRACE_SECONDS` after the day, which is a failure.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.live import Live

from demo_lib import live, product
from demo_lib.product import DemoError
from demo_lib.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from demo_lib.day import Day
    from demo_lib.users import Users

GRACE_SECONDS = 100.0  # after the day, for what started last
POLL_SECONDS = 3.0
LINE_SECONDS = 10.0
_TRIES = 5  # answers that may fail in a row: flexlond may be busy, it may not be gone


@dataclass(slots=True)
class Observer:
    """Asks FlexLon and Slurm every few seconds, in a thread, and keeps the last answers."""

    watch: Watch
    status: product.Status = field(default_factory=product.Status)
    jobs: tuple[product.JobLine, ...] = ()
    queued: frozenset[int] = frozenset()
    known: frozenset[int] = frozenset()  # every job record that was ever queued
    events: list[str] = field(default_factory=list)
    failed: str = ""
    rounds: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Start asking."""
        threading.Thread(target=self._run, name="observer", daemon=True).start()

    def _run(self) -> None:
        failures = 0
        while not self.stop.is_set():
            try:
                self._ask()
                failures = 0
            except DemoError as error:
                failures += 1
                if failures == _TRIES:
                    self.failed = str(error)
                    return
            self.stop.wait(POLL_SECONDS)

    def _ask(self) -> None:
        self.status = product.status()
        self.jobs = product.jobs()
        self.events += self.watch.observe(self.jobs)
        self.queued = queued_jobs()
        self.known |= self.queued
        self.rounds += 1


def queued_jobs() -> frozenset[int]:
    """The job ids that Slurm has pending or active. Raises DemoError."""
    argv = ["squeue", "--noheader", "--array", "--format=%A"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise DemoError(f"squeue ended with {done.returncode}: {done.stderr.strip()}")
    return frozenset(int(word) for word in done.stdout.split())


def run_day(day: Day, users: Users, console: Console) -> Watch:
    """Let the day run past. Returns what FlexLon said of each job. Raises DemoError."""
    observer = Observer(Watch(users.names))
    observer.begin()
    users.begin()
    try:
        if console.is_terminal:
            with Live(console=console, screen=True, auto_refresh=False) as view:
                for scene in _scenes(day, users, observer, pause=0.5):
                    view.update(live.screen(scene, console.width), refresh=True)
        else:
            for scene in _scenes(day, users, observer, pause=LINE_SECONDS):
                print(live.line(scene))
                _print_news(users, observer)
                sys.stdout.flush()
    finally:
        users.stop.set()
        observer.stop.set()
    return observer.watch


def _print_news(users: Users, observer: Observer) -> None:
    """What was refused and what moved since the last line; printed once."""
    for lines in (users.said, observer.events):
        while lines:
            print(f"    {lines.pop(0)}")


def _scenes(day: Day, users: Users, observer: Observer, *, pause: float) -> Iterator[live.Scene]:
    """One scene every `pause` seconds until the day is over. Raises DemoError when it cannot end well."""
    longest = time.monotonic() + day.slots * day.slot_seconds + GRACE_SECONDS
    following = time.monotonic()
    quiet_since = -1  # the observer's round in which the queue was first empty after the day
    while True:
        for failed in (users.failed, observer.failed):
            if failed:
                raise DemoError(failed)
        now = time.time()
        if time.monotonic() >= following:
            following += pause
            yield _scene(int(now), day, users, observer)
        if not (users.done.is_set() and now >= day.end and not observer.queued):
            quiet_since = -1
        elif quiet_since < 0:
            # One whole answer more, so that nothing submitted last is overlooked.
            quiet_since = observer.rounds
        elif observer.rounds > quiet_since + 1:
            return
        if time.monotonic() > longest:
            raise DemoError(
                f"{len(observer.queued)} jobs have not ended {GRACE_SECONDS:.0f} s after the day's end"
            )
        time.sleep(min(pause, 0.5))


def _scene(now: int, day: Day, users: Users, observer: Observer) -> live.Scene:
    return live.Scene(
        now=now,
        day=day,
        status=observer.status,
        jobs=observer.jobs,
        watch=observer.watch,
        events=(*users.said, *observer.events),
        submitted=len(users.accepted),
        to_submit=sum(submission.tasks > 0 for submission in users.workload),
        ended=len(observer.known - observer.queued),
    )
