"""What users submit in the market's demo: plain jobs, and an evening's batch that can wait; always the same.

Law: pure. What can be sold of a queue is what the queue has: the flexible batch is submitted early with a begin
time of its users' own (--begin), so the plan knows what it would draw in the window, and each of its jobs runs
longer than the window, so what its delay gives is certain. Until then other flexible jobs keep the same GPUs
busy; plain ones run from the begin to after the window, and no more come: FlexLon counts with as many plain
jobs as it saw of late, so what they draw cannot be sold. Seconds; time limits are in Slurm's whole minutes.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from demo_lib.window_load import GPUS
from demo_lib.workload import USERS, Kind, Submission

if TYPE_CHECKING:
    from demo_lib.window_load import Timing

PLAIN = 5  # GPUs, for as long as the demo lasts
BATCH = GPUS - PLAIN  # jobs of one GPU each
EARLY = 3  # slots before the window at which the batch may begin, and that it lasts beyond it
LIMIT = 50  # slots, the time limit of one of the batch
PATIENCE = 45  # slots that one of the batch may wait
_GAP = 0.2  # seconds between two submissions


def market_load(timing: Timing) -> tuple[Submission, ...]:
    """Everything that is submitted, in order of time."""
    jobs = [*_plain(timing), *_before(timing), *_batch(timing)]
    return tuple(replace(job, at=round(at * _GAP, 2)) for at, job in enumerate(jobs))


def _plain(timing: Timing) -> list[Submission]:
    lasting = (timing.end + 8) * timing.slot_seconds
    return [
        Submission(
            name=f"plain-{number + 1}",
            at=0.0,
            user=USERS[number % len(USERS)],
            kind=Kind.PLAIN,
            cpus=2,
            runtime=lasting,
            gpus=1,
            minutes=math.ceil((lasting + 30) / 60),
        )
        for number in range(PLAIN)
    ]


def _batch(timing: Timing) -> list[Submission]:
    """Each runs through the window and some slots more; its time limit is generous, as users' limits are.

    What is not known of its runtime counts against what is certain: it could end at any time before its limit.
    """
    lasting = (timing.window + 2 * EARLY) * timing.slot_seconds
    return [
        Submission(
            name=f"batch-{number + 1}",
            at=0.0,
            user=USERS[number % len(USERS)],
            kind=Kind.ANNOTATED,
            cpus=2,
            runtime=lasting,
            gpus=1,
            minutes=math.ceil(LIMIT * timing.slot_seconds / 60),
            comment=f"flex: max-delay={timing.clock(PATIENCE)}",
            begin=(timing.begin - EARLY) * timing.slot_seconds,
        )
        for number in range(BATCH)
    ]


def _before(timing: Timing) -> list[Submission]:
    """On the GPUs of the batch until it begins; their time limits end there as well."""
    limit = (timing.begin - EARLY) * timing.slot_seconds // 60
    return [
        Submission(
            name=f"before-{number + 1}",
            at=0.0,
            user=USERS[number % len(USERS)],
            kind=Kind.ANNOTATED,
            cpus=2,
            runtime=limit * 60 - draw,
            gpus=1,
            minutes=limit,
            comment=f"flex: max-delay={timing.clock(PATIENCE)}",
        )
        for number, draw in enumerate(range(8, 8 + BATCH))
    ]
