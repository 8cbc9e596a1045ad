"""What users submit in the window's demo: two steady streams that keep the GPUs busy, the same in every run.

Law: pure; the same seed gives the same submissions. Nothing here knows of the window but when to stop. Each
stream offers a steady amount of work: the next job comes when the last one's GPU-seconds are due, moved by a
seeded jitter. The plain stream alone stays below what the window leaves, and the two together are about as
much as the machine does, so that it stays full. Who can wait lets others go first (--nice): else plain jobs
would wait as well, and take every GPU that deferral frees. Jobs run 1 to 1.9 slots. Seconds from the begin of
the demo; the time limit is in Slurm's whole minutes.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo_lib.workload import OPT_IN_PARTITION, USERS, Kind, Submission

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 2026
GPUS = 12  # three nodes of four
PLAIN_SHARE = 0.44  # of the GPUs, jobs without consent alone
FLEXIBLE_SHARE = 0.52
PATIENCE = 30  # slots that a flexible job may wait: notice, window and what comes back after it
_NICE = 1000
_JITTER = 0.35  # of the gap to the next job
_HELD_AT = (4.3, 5.6)  # slots; of the jobs that their users hold


@dataclass(frozen=True, slots=True)
class Timing:
    """The demo in slots: it fills up, is observed, gets the order, gives notice, keeps the window."""

    slot_seconds: int
    warm_up: int = 3
    observed: int = 6
    notice: int = 2  # whole slots, besides the one in which the order comes
    window: int = 6

    @property
    def order(self) -> int:
        """The slot in whose first seconds the order comes."""
        return self.warm_up + self.observed

    @property
    def begin(self) -> int:
        """The window's first slot."""
        return self.order + 1 + self.notice

    @property
    def end(self) -> int:
        """The first slot after it."""
        return self.begin + self.window

    @property
    def minutes(self) -> int:
        """The jobs' time limit: the longest run in Slurm's whole minutes, and some seconds."""
        return math.ceil((1.9 * self.slot_seconds + 5) / 60)

    def clock(self, slots: float) -> str:
        """So many slots as Slurm writes a duration."""
        seconds = round(slots * self.slot_seconds)
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@dataclass(frozen=True, slots=True)
class _Stream:
    name: str
    share: float  # of all GPUs
    double: float  # share of jobs with two GPUs


_PLAIN = _Stream("plain", PLAIN_SHARE, 0.0)
_FLEXIBLE = _Stream("flex", FLEXIBLE_SHARE, 0.25)


def window_load(
    timing: Timing, *, requeue: bool = False, seed: int = SEED
) -> tuple[Submission, ...]:
    """Everything that is submitted, in order of time. `requeue`: flexible jobs consent to it as well."""
    draw = random.Random(seed)
    jobs = [
        *_plain_jobs(draw, timing),
        *_flexible_jobs(draw, timing, requeue=requeue),
        *_held_jobs(timing),
    ]
    return tuple(sorted(jobs, key=lambda job: (job.at, job.name)))


def _plain_jobs(draw: random.Random, timing: Timing) -> Iterator[Submission]:
    """Every fifth of them is in the partition that the site opts in, and opts out."""
    for number, (at, gpus, runtime) in enumerate(_stream(draw, timing, _PLAIN)):
        out = number % 5 == 4
        yield Submission(
            name=f"{_PLAIN.name}-{number + 1}",
            at=at,
            user=draw.choice(USERS),
            kind=Kind.OPTED_OUT if out else Kind.PLAIN,
            cpus=draw.choice((2, 4)),
            runtime=runtime,
            gpus=gpus,
            minutes=timing.minutes,
            comment="flex: off" if out else "",
            partition=OPT_IN_PARTITION if out else "",
        )


def _flexible_jobs(draw: random.Random, timing: Timing, *, requeue: bool) -> Iterator[Submission]:
    for number, (at, gpus, runtime) in enumerate(_stream(draw, timing, _FLEXIBLE)):
        yield Submission(
            name=f"{_FLEXIBLE.name}-{number + 1}",
            at=at,
            user=draw.choice(USERS),
            kind=Kind.ANNOTATED,
            cpus=draw.choice((2, 4)),
            runtime=runtime,
            gpus=gpus,
            minutes=timing.minutes,
            comment=_directive(number, timing, requeue=requeue),
            nice=_NICE,
        )


def _directive(number: int, timing: Timing, *, requeue: bool) -> str:
    """Most may wait long; one in five has a deadline, one in ten one that comes soon."""
    limit = timing.minutes * 60
    seconds = timing.slot_seconds
    if number % 10 == 7:
        words = f"deadline=now+{limit + 6 * seconds}seconds"
    elif number % 5 == 3:
        words = f"deadline=now+{limit + PATIENCE * seconds}seconds"
    else:
        words = f"max-delay={timing.clock(PATIENCE)}"
    if requeue and number % 10 != 7:
        words += f" preempt=requeue min-run={timing.clock(0.25)}"
    return f"flex: {words}"


def _held_jobs(timing: Timing) -> Iterator[Submission]:
    """Two that their users hold themselves, one of them with a directive: nobody may touch them."""
    for number, slots in enumerate(_HELD_AT):
        yield Submission(
            name=f"held-{number + 1}",
            at=round(slots * timing.slot_seconds, 1),
            user=USERS[number],
            kind=Kind.ANNOTATED if number else Kind.PLAIN,
            cpus=2,
            runtime=timing.slot_seconds,
            gpus=1,
            minutes=timing.minutes,
            comment=f"flex: max-delay={timing.clock(PATIENCE)}" if number else "",
            held=True,
        )


def _stream(
    draw: random.Random, timing: Timing, stream: _Stream
) -> Iterator[tuple[float, int, int]]:
    """(at, GPUs, runtime) of each job until the window's end.

    The first ones come at once, as many as the stream keeps running, with the rest of a run before them.
    """
    seconds, rate = timing.slot_seconds, stream.share * GPUS

    def gpus() -> int:
        return 2 if draw.random() < stream.double else 1

    running = 0
    while running < round(rate):
        count = min(gpus(), round(rate) - running)
        running += count
        yield 0.0, count, round(seconds * draw.uniform(0.4, 1.9))
    due = 0.0
    while due < timing.end * seconds:
        count, runtime = gpus(), round(seconds * draw.uniform(1.0, 1.9))
        gap = count * runtime / rate
        yield round(max(0.0, due + gap * draw.uniform(-_JITTER, _JITTER)), 1), count, runtime
        due += gap
