"""Ends of windows on a queue that runs: planned again after every change, as the daemon does; peak and ramp.

Run by hand: `python -m tests.perf.window_ends FILE [STREAMS [FIRST]]`; FILE has a line of JSON for each stream
and is continued where it ended, with 0 streams it is only read. A stream is eight days of random jobs
(window_stream.py), some of which may wait, that run other than is expected. It is replayed once without windows
and six times with one every six hours or later (window_operated.py). Of each window that is not refused, from
its end to the next order, two things are counted, and of each it is said as well what it would be by another
rule, so that the rule can be judged:

- the ramp: any 300 s that have a start that we commanded in that time, against the ramp cap, all commanded
  starts of the replay counted. Told apart, not left out, are those of which the last to be decided was a latest
  start: the ramp cap gives way to it, and who was to start then has been told so. Beside it: the same for the
  moments at which those jobs did start, when Slurm had room.
- the peak: the highest slot, against the highest slot of the replay without windows from a day before the end
  to the next order, which had the same submissions to cope with. Beside it: against its highest slot in all
  these days (as far as looked at: never too high a yardstick), against the peak that was known
  when the window was ordered, and how often the replay without windows is itself more than 1.1 times that.

Nothing is timed or asserted.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from rich.console import Console

from flexlond.backtest.engine import replay
from flexlond.backtest.flexible import flexibility
from flexlond.model.settings import PlanningSettings
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.account import slot_power
from flexlond.planning.spread import WINDOW
from tests.perf.window_operated import EVERY, HORIZON, Operated, Start
from tests.perf.window_stream import BEGIN, DAY, DAYS, POWER, SLOT, Day, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import Run, Trace

RUNS: Final = 6  # with windows, for one without
_NEAR: Final = 1e-6


class End(msgspec.Struct, frozen=True):
    """One window and what came after it; no figures where it was refused."""

    seed: int
    run: int
    number: int
    refused: bool
    cap_kw: float = 0.0  # its rebound cap
    peak_kw: float = 0.0  # highest slot after it
    usual_kw: float = 0.0  # highest slot of the replay without windows
    commanded: int = 0  # starts
    over_ramp: int = 0  # of them, those after which more than the ramp cap starts within 300 s
    late: int = 0  # of them, those that a latest start was added to, decided after all the others
    together: int = 0  # of the jobs, those after whose real start more than that starts
    without_kw: float = 0.0  # highest slot without windows in the same time
    plain_kw: float = 0.0  # of the highest slot, what jobs without consent draw
    held_kw: float = 0.0  # of it, what we held until then


def ends(seed: int) -> list[End]:
    """All windows of one stream."""
    trace = stream(seed)
    rng = np.random.default_rng([seed, 1])
    wait = flexibility(trace, share=float(rng.uniform(0.3, 0.8)), seed=seed)
    ramp = float(rng.uniform(0.05, 0.5) * trace.room.capacity.sum())
    grid = _grid()
    plain = Operated(Day(seed), ramp, None, trace)
    usual = _power(grid, replay(trace, wait, plain, slot_seconds=SLOT), trace, trace.job_id >= 0)
    found = []
    for run in range(RUNS):
        policy = Operated(Day(seed), ramp, np.random.default_rng([seed, 2, run]), trace)
        played = replay(trace, wait, policy, slot_seconds=SLOT)
        kw = _power(grid, played, trace, trace.job_id >= 0)
        others = _power(grid, played, trace, ~wait.flexible)
        held = _power(grid, played, trace, wait.flexible & (played.begin > trace.submit))
        starts = sorted(policy.starts)
        for number, one in enumerate(policy.ordered):
            if one.refused:
                found.append(End(seed, run, number, refused=True))
                continue
            first, stop = grid.slot_of(one.window.end), grid.slot_of(one.at) + EVERY
            top = first + int(kw[first:stop].argmax())
            span = grid.slot_start(first), grid.slot_start(stop)
            over = _over_ramp(starts, ramp, span)
            real = sorted(replace(one, at=int(played.start[one.job])) for one in starts)
            found.append(
                End(
                    seed,
                    run,
                    number,
                    refused=False,
                    cap_kw=one.window.rebound_kw,
                    peak_kw=float(kw[top]),
                    usual_kw=float(usual[max(0, first - HORIZON) : stop].max()),
                    commanded=sum(span[0] <= one.at < span[1] for one in starts),
                    over_ramp=len(over),
                    late=sum(_last_decided(starts, one).forced for one in over),
                    together=len(_over_ramp(real, ramp, span)),
                    without_kw=float(usual[first:stop].max()),
                    plain_kw=float(others[top]),
                    held_kw=float(held[top]),
                )
            )
    return found


def _grid() -> TimeGrid:
    return TimeGrid.covering(BEGIN, SLOT, (DAYS + 4) * DAY // SLOT)


def _power(grid: TimeGrid, run: Run, trace: Trace, which: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(S,) kW of those jobs."""
    return slot_power(
        grid,
        run.start[which].astype(np.float64),
        run.end[which].astype(np.float64),
        trace.nodes[which] * POWER.kw_per_node,
    )


def _over_ramp(starts: Sequence[Start], cap: float, span: tuple[int, int]) -> list[Start]:
    """The starts from which on more than `cap` kW start within 300 s, one of them in `span`; one alone may."""
    found = []
    for one in starts:
        near = [other for other in starts if one.at <= other.at < one.at + WINDOW]
        inside = any(span[0] <= other.at < span[1] for other in near)
        if inside and sum(other.kw for other in near) > cap + _NEAR and len(near) > 1:
            found.append(one)
    return found


def _last_decided(starts: Sequence[Start], first: Start) -> Start:
    """Of the starts in the 300 s from `first` on, the one decided last."""
    near = [one for one in starts if first.at <= one.at < first.at + WINDOW]
    return max(near, key=lambda one: (one.decided, not one.forced))


def main() -> None:
    """Go on with the file, then say what it has."""
    path = Path(sys.argv[1])
    streams = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    begin = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    text = path.read_bytes() if path.exists() else b""
    whole = text[: text.rfind(b"\n") + 1]  # a line that a kill cut off is made again
    if whole != text:
        path.write_bytes(whole)
    rows = [row for line in whole.splitlines() for row in msgspec.json.decode(line, type=list[End])]
    done = {row.seed for row in rows}
    with path.open("ab") as file:
        for seed in range(begin, begin + streams):
            if seed not in done:
                new = ends(seed)
                file.write(msgspec.json.encode(new) + b"\n")
                file.flush()
                rows += new
    Console(width=120).print(said(rows))


def said(rows: Sequence[End]) -> str:
    """The figures in words."""
    kept = [row for row in rows if not row.refused]
    ratio = np.array([row.peak_kw / row.usual_kw for row in kept])
    top: dict[int, float] = {}
    for row in kept:
        top[row.seed] = max(top.get(row.seed, 0.0), row.usual_kw)
    beyond = sum(row.peak_kw > 1.1 * top[row.seed] + _NEAR for row in kept)
    known = np.array([[row.peak_kw, row.without_kw] for row in kept])
    known /= np.array([[row.cap_kw / PlanningSettings().rebound_cap] for row in kept])
    only = int(((known[:, 0] > 1.1 + _NEAR) & (known[:, 1] <= 1.1 + _NEAR)).sum())
    above = (np.column_stack([ratio, known]) > 1.1 + _NEAR).sum(axis=0).tolist()
    quantiles = [f"{q:g}: {np.quantile(ratio, q):.3f}" for q in (0.5, 0.9, 0.99, 0.999, 1.0)]
    return (
        f"{len(rows)} orders in {len({row.seed for row in rows})} streams, "
        f"{len(rows) - len(kept)} refused; {len(kept)} ends\n"
        f"ramp: {sum(row.commanded for row in kept)} commanded starts; broken in "
        f"{sum(row.over_ramp > 0 for row in kept)} ends, in "
        f"{sum(row.over_ramp > row.late for row in kept)} of them not by latest starts alone; by the moments "
        f"at which Slurm started them in {sum(row.together > 0 for row in kept)}\n"
        f"peak: above 1.1 times the queue's without windows in {above[0]} ends; quantiles "
        f"{', '.join(quantiles)}; above 1.1 times its highest slot in all eight days in {beyond}\n"
        f"above 1.1 times the peak that was known at the order in {above[1]}, the queue without windows in "
        f"{above[2]}; the former without the latter in {only}"
    )


if __name__ == "__main__":
    main()
