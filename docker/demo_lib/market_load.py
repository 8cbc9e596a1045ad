"""What users submit in the market's demo: long plain jobs beside a backlog of flexible ones, always the same.

Law: pure; the same seed gives the same submissions. What can be sold of a queue is what the queue has: the jobs
are there before the order, and enough of them for the window and the time after it, so the machine is full all
the time but for what the window takes. Plain jobs run from the begin to after the window. Seconds; time limits
are in Slurm's whole minutes.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from demo_lib.window_load import GPUS
from demo_lib.workload import USERS, Kind, Submission

if TYPE_CHECKING:
    from demo_lib.window_load import Timing

PLAIN = 5  # GPUs
AFTER = 6  # slots that the backlog lasts beyond the window
_LONG = (2.4, 3.4)  # slots that a flexible job runs
PATIENCE = 45  # slots that it may wait
_NICE = 1000
_FIRST_SECONDS = 6.0  # within which all of it is submitted


def market_load(timing: Timing, *, seed: int) -> tuple[Submission, ...]:
    """Everything that is submitted, in order of time."""
    draw = random.Random(seed)
    seconds = timing.slot_seconds
    lasting = timing.end + AFTER
    jobs = [
        Submission(
            name=f"plain-{number + 1}",
            at=0.0,
            user=USERS[number % len(USERS)],
            kind=Kind.PLAIN,
            cpus=2,
            runtime=lasting * seconds,
            gpus=1,
            minutes=math.ceil((lasting * seconds + 30) / 60),
        )
        for number in range(PLAIN)
    ]
    # Seven GPUs for so long, less what the window will take of them.
    work = (GPUS - PLAIN) * lasting - 4 * timing.window
    done, number = 0.0, 0
    while done < work:
        slots = draw.uniform(*_LONG)
        done += slots
        number += 1
        jobs.append(
            Submission(
                name=f"flex-{number}",
                at=0.5,
                user=draw.choice(USERS),
                kind=Kind.ANNOTATED,
                cpus=2,
                runtime=round(slots * seconds),
                gpus=1,
                minutes=math.ceil((_LONG[1] * seconds + 5) / 60),
                comment=f"flex: max-delay={timing.clock(PATIENCE)}",
                nice=_NICE,
            )
        )
    gap = _FIRST_SECONDS / len(jobs)
    return tuple(replace(job, at=round(at * gap, 2)) for at, job in enumerate(jobs))
