"""What does holding one job do to the others? Each hold alone, by a whole replay.

Law: everyone else as soon as possible, in Slurm's order with backfill; the one job is held to a quarter, a
half, three quarters and the whole of its slack. So what is counted is what the hold did: whether the job itself
starts past its latest start, how many more flexible jobs do, and how many jobs without consent start more than
ten minutes later. Taken are the flexible jobs with the most node-seconds, for they carry what can be saved. A
trace does not react: its jobs come as they came. Epoch seconds; runtimes are the true ones.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.progress import track

from flexlond.backtest.engine import replay
from flexlond.backtest.flexible import flexibility
from flexlond.backtest.peers import AsSoonAsPossible
from flexlond.backtest.trace import Site, load_trace, window
from tests.perf.hindsight_holds import Begins, late

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flexlond.backtest.case import Flexibility, Trace

DAY, HOUR, LATER = 86400, 3600, 600
PARTS: Final = (0.25, 0.5, 0.75, 1.0)
BUCKETS: Final = (0, 3, 6, 12, 24)  # h


@dataclass(frozen=True, slots=True)
class Hold:
    """What one hold did."""

    job: int
    hours: float  # from its submission to its begin time
    missed: bool  # it starts past its latest start
    late: int  # flexible jobs past their latest start, itself included, more than without the hold
    later: int  # jobs without consent that start more than ten minutes later


def holds(trace: Trace, wait: Flexibility, largest: int) -> Iterator[Hold]:
    """Of the `largest` flexible jobs that start in time as soon as possible, each hold alone."""
    asap = replay(trace, wait, AsSoonAsPossible())
    late_anyway = late(wait, asap)
    weight = trace.nodes * np.minimum(trace.runtime, trace.limit)
    in_time = wait.flexible & (asap.start <= wait.latest) & (wait.slack > 0)
    jobs = [job for job in np.argsort(-weight, kind="stable").tolist() if in_time[job]]
    for job in jobs[:largest]:
        for part in PARTS:
            given = np.zeros(trace.jobs, np.int64)
            given[job] = trace.submit[job] + int(part * wait.slack[job])
            run = replay(trace, wait, Begins(given))
            later = ~wait.flexible & (run.start > asap.start + LATER)
            yield Hold(
                job,
                float(given[job] - trace.submit[job]) / HOUR,
                bool(run.start[job] > wait.latest[job]),
                late(wait, run) - late_anyway,
                int(later.sum()),
            )


def table(found: Sequence[Hold]) -> str:
    """By how long they were held: part that missed, late starts and jobs without consent later, per hold."""
    lines = [
        f"{'held, h':>10}{'holds':>8}{'itself late':>13}{'late each':>11}{'without consent later each':>28}"
    ]
    for low, high in [*pairwise(BUCKETS), (BUCKETS[0], BUCKETS[-1])]:
        of = [one for one in found if low < one.hours <= high]
        if of:
            missed, more, later = (
                float(np.mean([getattr(one, name) for one in of]))
                for name in ("missed", "late", "later")
            )
            lines.append(
                f"{f'{low}-{high}':>10}{len(of):>8}{missed:>13.1%}{more:>11.2f}{later:>28.2f}"
            )
    return "\n".join(lines)


def main() -> None:
    """Print the table of one trace."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("trace", help="SWF, sacct or CSV, as for flexlond backtest")
    parser.add_argument("--days", type=int, default=84, help="the first days of the trace")
    parser.add_argument("--nodes", type=int, default=0)
    parser.add_argument("--cpus-per-node", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1, help="draws the flexible jobs")
    parser.add_argument("--largest", type=int, default=300)
    args = parser.parse_args()
    whole = load_trace(args.trace, site=Site(nodes=args.nodes, cpus_per_node=args.cpus_per_node))
    first = int(whole.submit[0]) // DAY * DAY
    trace = window(whole, first, first + args.days * DAY)
    wait = flexibility(trace, seed=args.seed)
    print(table(list(track(holds(trace, wait, args.largest), "holds", args.largest * len(PARTS)))))


if __name__ == "__main__":
    main()
