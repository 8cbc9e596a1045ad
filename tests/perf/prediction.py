"""What predicting runtimes gains over the users' requests; run: python tests/perf/prediction.py [TRACE ...]

Replays traces of the Parallel Workloads Archive (../shared/data/jobs; not part of the project) in time order:
a run is learnt when it ends, a forecast is made when its job is submitted, and again when it has run an hour.
Per trace: mean |error| in minutes and mean accuracy min(r, p) / max(r, p) of the time limit, of the mean of
the user's last two runs (Tsafrir's baseline), of our P50 and of our mean, with what each explains of the
variance of processor-hours (1: all; 0: no more than one runtime for all would); how many runs ended within our
P90 and what share of the time limit that P90 is; the time of a forecast and of learning a run.
"""

from __future__ import annotations

import gzip
import heapq
import sys
import time
from collections import defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flexlond.prediction.features import Features, features
from flexlond.prediction.runtime import RuntimeModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

JOBS = Path(__file__).resolve().parents[3] / "shared" / "data" / "jobs"
TRACES = ("KTH-SP2-1996-2.2", "LLNL-Atlas-2006-2.1-cln", "CEA-Curie-sample")
HOUR = 3600.0
YEAR = 366 * 86_400


class Run(NamedTuple):
    """One job of a trace; seconds of the trace's own clock."""

    submit: float
    end: float
    seconds: float
    limit: float
    like: Features


class Guess(NamedTuple):
    """What was forecast of one run."""

    last_two: float
    p50: float
    mean: float
    p90: float
    samples: int


def read(path: Path) -> list[Run]:
    """The jobs of an SWF file that ran and had a time limit, by submission; runtimes end at the limit."""
    runs = []
    with gzip.open(path, "rt", errors="replace") as lines:
        for line in lines:
            if line.startswith(";") or not line.strip():
                continue
            cells = line.split()
            submit, wait, seconds, limit = (float(cells[place]) for place in (1, 2, 3, 8))
            if seconds <= 0 or not 0 < limit < YEAR:  # Atlas has one limit of 23 years
                continue
            took = min(seconds, limit)
            procs = int(cells[7]) if int(cells[7]) > 0 else int(cells[4])
            like = features(
                user=cells[11],
                account=cells[12],
                partition=f"{cells[14]}/{cells[15]}",
                # the archive numbers what was run: kept apart, as names would be
                name="" if cells[13] == "-1" else cells[13].translate(LETTERS),
                limit_seconds=int(limit),
                cpus=procs,
                nodes=0,
                gpus=0,
            )
            runs.append(Run(submit, submit + max(wait, 0) + took, took, limit, like))
    runs.sort(key=lambda run: run.submit)
    return runs


LETTERS = str.maketrans("0123456789", "ghijklmnop")


def replay(runs: list[Run]) -> tuple[list[Guess], list[Guess | None], RuntimeModel, float, float]:
    """Forecasts at submission, after an hour (None: it ended before), the model, microseconds per call."""
    model = RuntimeModel()
    latest: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=2))
    at_submit: list[Guess] = []
    after_hour: list[Guess | None] = [None] * len(runs)
    # (when, what, run): ends before starts of the same moment
    events: list[tuple[float, int, int]] = []
    predicting = learning = 0.0

    def due(now: float) -> None:
        nonlocal learning
        while events and events[0][0] <= now:
            when, what, row = heapq.heappop(events)
            run = runs[row]
            if what == 0:
                began = time.perf_counter()
                model.learn(run.like, run.seconds, int(when))
                learning += time.perf_counter() - began
                latest[run.like.user].append(run.seconds)
            else:
                later = model.predict_end(run.like, HOUR)
                mean = last_two(latest[run.like.user], run.limit)
                after_hour[row] = Guess(
                    max(HOUR, mean), later.p50, later.mean, later.p90, later.samples
                )

    for row, run in enumerate(runs):
        due(run.submit)
        began = time.perf_counter()
        forecast = model.predict(run.like)
        predicting += time.perf_counter() - began
        mean = last_two(latest[run.like.user], run.limit)
        at_submit.append(Guess(mean, forecast.p50, forecast.mean, forecast.p90, forecast.samples))
        heapq.heappush(events, (run.end, 0, row))
        if run.seconds > HOUR:
            heapq.heappush(events, (run.end - run.seconds + HOUR, 1, row))
    due(float("inf"))
    each = 1e6 / len(runs)
    return at_submit, after_hour, model, predicting * each, learning * each


def last_two(latest: deque[float], limit: float) -> float:
    """The baseline: the mean of the user's last two runs, the limit before there is one."""
    return min(limit, sum(latest) / len(latest)) if latest else limit


def explained(
    cpus: NDArray[np.float64], took: NDArray[np.float64], guessed: NDArray[np.float64]
) -> float:
    """The share of the variance of `cpus` times `took`, (N,) each, that `guessed` (N,) explains."""
    flat = (cpus @ took) / cpus.sum()
    return float(1 - ((cpus * (took - guessed)) ** 2).sum() / ((cpus * (took - flat)) ** 2).sum())


def table(title: str, runs: list[Run], guesses: list[Guess]) -> None:
    """Print one line per forecast."""
    took = np.array([run.seconds for run in runs])
    limit = np.array([run.limit for run in runs])
    p90 = np.array([guess.p90 for guess in guesses])
    cpus = np.array([run.like.cpus for run in runs], np.float64)
    print(f"  {title}: {len(runs)} runs")
    for name, guessed in (
        ("time limit", limit),
        ("last two of user", np.array([guess.last_two for guess in guesses])),
        ("our P50", np.array([guess.p50 for guess in guesses])),
        ("our mean", np.array([guess.mean for guess in guesses])),
    ):
        error = np.abs(took - guessed).mean() / 60
        accuracy = (np.minimum(took, guessed) / np.maximum(took, guessed)).mean()
        print(
            f"    {name:17} |error| {error:7.1f} min   accuracy {accuracy:.3f}   "
            f"explains {explained(cpus, took, guessed):+.2f} of processor-hours"
        )
    known = np.array([guess.samples > 0 for guess in guesses])
    within, part = (took <= p90)[known], (p90 / limit)[known]
    print(
        f"    our P90           holds for {within.mean():.1%} of {known.mean():.1%} with history; "
        f"it is {np.median(part):.0%} of the limit (median; mean {part.mean():.0%})"
    )


def main() -> None:
    """Print every trace that is there."""
    for name in sys.argv[1:] or TRACES:
        path = JOBS / f"{name}.swf.gz"
        if not path.exists():
            print(f"{name}: not there ({path}); see tests/perf/prediction.py")
            continue
        runs = read(path)
        at_submit, after_hour, model, predicting, learning = replay(runs)
        print(f"{name}: forecast {predicting:.0f} us, learning {learning:.0f} us a run")
        table("at submission", runs, at_submit)
        table(
            "after an hour",
            [run for run, guess in zip(runs, after_hour, strict=True) if guess],
            [guess for guess in after_hour if guess],
        )
        print(
            f"  at the end: level {model.level:.3f}, observed coverage {model.coverage:.1%},"
            f" {len(model.to_bytes()) / 1024:.0f} kB stored"
        )


if __name__ == "__main__":
    main()
