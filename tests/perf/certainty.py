"""How often a window delivers what the envelope calls certain: python -m tests.perf.certainty [--windows N].

KTH-SP2 of the Parallel Workloads Archive (../shared/data/jobs; not part of the project). Runtimes are learned
from the first part of the trace; on the rest FlexLon plans every half-hour, as in a backtest, and at each of
these moments one window is drawn (its begin, length and depth) and priced. Then everything that runs or waits
is replayed twice with its real runtimes, with Slurm's backfill: as planned, and with the step. Delivered is the
difference of power; it counts if it is at least the certain kW in every slot of the window.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from flexlond.backtest.case import Flexibility, PowerCoefficients, Trace
from flexlond.backtest.engine import replay
from flexlond.backtest.flexible import flexibility
from flexlond.backtest.ours import Flexlon
from flexlond.backtest.trace import load_trace, shift_trace, window
from flexlond.planning.account import slot_power
from flexlond.planning.envelope import envelope
from flexlond.planning.steps import Curve, Direction, Step, Terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.policy import State
    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.problem import Plan, Problem

KTH = Path(__file__).resolve().parents[3] / "shared" / "data" / "jobs" / "KTH-SP2-1996-2.2.swf.gz"
LEVEL = 0.9
SLOT = 1800
SETTLED = 86400  # s from an empty cluster to a full one
EXACT = 0.3  # s of the exact solver for each step
SHARE = 0.6  # of the node-hours that are flexible
AHEAD, LENGTHS = (1, 9), (2, 5)  # slots until a window begins, and its slots: from, below
FAR = 30 * 86400  # s: a latest start that binds nothing
TOLD = 10  # windows between two lines of progress
SEEN = 1e-6  # kW


class Found(NamedTuple):
    """One window: what was said and what came of it, kW."""

    direction: Direction
    kw: float
    certain: float
    delivered: float


class Enough(Exception):  # noqa: N818 - no error: the windows that were wanted are there
    """Ends the replay."""


class Day:
    """A price with two peaks a day and some noise, known in advance; carbon alike."""

    name, foresight = "made", True

    def known_at(self, now: int, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(price, carbon) on `grid`."""
        del now
        return self.actual(grid)

    def actual(self, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(price, carbon) on `grid`; the same slot is always the same."""
        hours = grid.starts() / 3600.0
        noise = np.sin(hours * 12.9898) * 43758.5453
        noise = noise - np.floor(noise) - 0.5
        turn = 2 * np.pi * hours / 24
        price = 80 - 30 * np.cos(2 * turn - 1.0) - 20 * np.cos(turn) + 20 * noise
        return price, 180 - 60 * np.cos(turn - 0.5) + 30 * noise


class Fixed:
    """Begin times as they are given."""

    name, calls = "fixed", ("arrive",)

    def __init__(self, begin: Mapping[int, int]) -> None:
        self._begin = begin

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """What was given."""
        del now, state
        return {job: self._begin.get(job, 0) for job in jobs}

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        """Nothing changes."""
        del now, state
        return {}


class Watched(Flexlon):
    """FlexLon, which draws, prices and replays a window at each tick."""

    asked: Problem
    with_quantiles = True

    def prepare(self, wanted: int, terms: Terms, seed: int, begin: int) -> None:
        """Measure `wanted` windows from `begin` on."""
        self._from = begin
        self.found: list[Found] = []
        self.silent = 0
        self._wanted_windows, self._terms = wanted, terms
        self._rng = np.random.default_rng(seed)

    def learn_from(self, trace: Trace) -> None:
        """Learn every run of `trace`, in the order of their ends."""
        took = np.minimum(trace.runtime, trace.limit)
        ended = trace.submit + took.astype(np.int64)
        for job in np.argsort(ended, kind="stable").tolist():
            self.believed.learn(job, trace, float(took[job]), int(ended[job]))
        self.believed.forget_features()

    def problem(self, now: int, pending: Sequence[int], state: State) -> Problem:
        """As ever, and remembered."""
        self.asked = super().problem(now, pending, state)
        return self.asked

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        """Plan, then measure one window."""
        wanted = super().tick(now, state)
        if len(self.found) >= self._wanted_windows:
            raise Enough
        if now >= self._from and self._last is not None:
            self._measure(state, self.asked, self._last)
        return wanted

    def _measure(self, state: State, problem: Problem, plan: Plan) -> None:
        first = int(self._rng.integers(*AHEAD))
        final = first + int(self._rng.integers(*LENGTHS)) - 1
        depth = (float(self._rng.uniform(0.05, 0.5)),)
        down = bool(self._rng.random() < 0.5)
        terms = replace(self._terms, down=depth if down else (), up=() if down else depth)
        curves = envelope(problem, self.settings, plan, [(first, final)], terms)
        steps = [
            (curve, step) for curve in curves for step in curve.steps if step.certain_kw > SEEN
        ]
        if not steps:
            self.silent += 1
            return
        curve, step = steps[-1]
        delivered = self._delivered(state, problem, plan, (curve, step))
        self.found.append(Found(curve.direction, step.kw, step.certain_kw, delivered))
        if len(self.found) % TOLD == 0:
            kept = sum(one.delivered >= one.certain - SEEN for one in self.found)
            print(
                f"{kept} of {len(self.found)} delivered, {self.silent} without an offer", flush=True
            )

    def _delivered(
        self, state: State, problem: Problem, plan: Plan, offer: tuple[Curve, Step]
    ) -> float:
        curve, step = offer
        begin = {job: at for job, at, held in zip(*_lists(plan), strict=True) if held}
        with_it = dict(begin)
        moves = dict(zip(step.jobs.tolist(), step.start.tolist(), strict=True))
        opens = problem.grid.slot_start(curve.window[0])
        for job, at, movable in zip(
            plan.job_id.tolist(), plan.start.tolist(), problem.movable.tolist(), strict=True
        ):
            if movable and job in moves:
                with_it[job] = moves[job]
            elif movable and at >= opens and curve.direction is Direction.DOWN:
                with_it[job] = at  # whom the window binds does not slip into it
        before = self._drawn(state, problem, begin)
        after = self._drawn(state, problem, with_it)
        inside = slice(curve.window[0], curve.window[1] + 1)
        drop = (before - after)[inside]
        return float((drop if curve.direction is Direction.DOWN else -drop).min())

    def _drawn(
        self, state: State, problem: Problem, begin: Mapping[int, int]
    ) -> NDArray[np.float64]:
        """(S,) kW of all that runs or waits now, with real runtimes, by Slurm's own rules."""
        trace, now = state.trace, problem.now
        running = list(state.running)
        jobs = np.array([*running, *problem.job_id.tolist()], np.int64)
        gone = np.zeros(len(jobs), np.int64)
        gone[: len(running)] = [now - state.running[job] for job in running]
        took = np.minimum(trace.runtime, trace.limit)[jobs]
        part = replace(
            trace,
            job_id=trace.job_id[jobs],
            submit=np.full(len(jobs), now, np.int64),
            runtime=np.maximum(1.0, took - gone),
            limit=np.maximum(1.0, trace.limit[jobs] - gone),
            demand=trace.demand[jobs],
            pool=trace.pool[jobs],
            nodes=trace.nodes[jobs],
            user=trace.user[jobs],
            account=trace.account[jobs],
            label=trace.label[jobs],
            energy_kwh=trace.energy_kwh[jobs],
        )
        place = {job: row for row, job in enumerate(jobs.tolist())}
        held = {place[job]: at for job, at in begin.items()}
        flexible = np.zeros(len(jobs), np.bool_)
        flexible[list(held)] = True
        slack = np.where(flexible, float(FAR), 0.0)
        may = Flexibility(flexible, part.submit + slack.astype(np.int64), slack)
        run = replay(part, may, Fixed(held), slot_seconds=SLOT)
        start, end = run.start.astype(np.float64), run.end.astype(np.float64)
        return slot_power(problem.grid, start, end, part.nodes * self._power.kw_per_node)


def _lists(plan: Plan) -> tuple[list[int], list[int], list[bool]]:
    return plan.job_id.tolist(), plan.start.tolist(), plan.moved.tolist()


def shown(found: Sequence[Found], console: Console) -> None:
    """The share that was delivered, by direction."""
    table = Table(title=f"delivered in every slot what was certain at {LEVEL:.0%}")
    for name in ("direction", "windows", "delivered", "certain / kW", "median delivered / certain"):
        table.add_column(name, justify="right")
    for direction in (*Direction, None):
        rows = [one for one in found if direction in (None, one.direction)]
        if rows:
            certain = np.array([one.certain for one in rows])
            got = np.array([one.delivered for one in rows])
            kw = np.array([one.kw for one in rows])
            table.add_row(
                direction or "both",
                str(len(rows)),
                f"{(got >= certain - SEEN).sum()} = {np.mean(got >= certain - SEEN):.1%}",
                f"{certain.sum() / kw.sum():.0%}",
                f"{np.median(got / certain):.2f}",
            )
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learned", type=float, default=0.5, help="share of the jobs learned from")
    given = parser.parse_args()
    console = Console(width=120)
    if not KTH.is_file():
        console.print(f"{KTH.name} is not there: nothing measured")
        return
    whole = shift_trace(load_trace(KTH), 1_767_571_200)
    cut = int(whole.submit[int(given.learned * whole.jobs)])
    first, rest = (
        window(whole, int(whole.submit[0]), cut),
        window(whole, cut, int(whole.submit[-1])),
    )
    policy = Watched(Day(), PowerCoefficients())
    policy.prepare(
        given.windows, Terms(level=LEVEL, exact_seconds=EXACT), given.seed, cut + SETTLED
    )
    policy.learn_from(first)
    began = time.perf_counter()
    with contextlib.suppress(Enough):
        replay(rest, flexibility(rest, share=SHARE, seed=given.seed), policy, slot_seconds=SLOT)
    shown(policy.found, console)
    console.print(
        f"{policy.silent} windows without an offer; {time.perf_counter() - began:.0f} s, learned from "
        f"{first.jobs:,} runs"
    )


if __name__ == "__main__":
    main()
