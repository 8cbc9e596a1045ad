"""Ends of windows on a queue that runs: planned again in every slot, as the daemon does; the peak and the ramp.

Run by hand: `python -m tests.perf.window_ends FILE [STREAMS [FIRST]]`; FILE (of JSON lines) is continued where
it ended. A stream is eight days of random jobs, some of which may wait, that run other than is expected. It is
replayed once without windows and six times with one every six hours or later: ordered, priced, refused and kept
by the product's own code (`agents.windows`, `plan_with_rebound`), one cycle a slot. Of each window that is not
refused two things are counted: the starts that we commanded, any 300 s of them, from its end to the next order,
against the ramp cap; and the highest slot in that time against the highest slot of the replay without windows
from a day before the end to the next order. Nothing is timed or asserted.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from rich.console import Console

from flexlond.agents import windows
from flexlond.agents.newcomers import Expected, Newcomers, with_newcomers
from flexlond.agents.peaks import PeakWatch, usual_part
from flexlond.agents.planning_step import Trial
from flexlond.agents.window_ports import WindowOrder
from flexlond.backtest.case import PowerCoefficients, Trace
from flexlond.backtest.engine import replay
from flexlond.backtest.flexible import flexibility
from flexlond.backtest.ours import INSERTION, Flexlon
from flexlond.daemon.store import SqliteStore
from flexlond.model.settings import PlanningSettings
from flexlond.model.timegrid import TimeGrid
from flexlond.model.window import caps_on, softer_on
from flexlond.planning.account import slot_power
from flexlond.planning.planner import place, plan
from flexlond.planning.pools import Room
from flexlond.planning.rebound import plan_with_rebound, under
from flexlond.planning.slowing import Slowing
from flexlond.planning.solve import Budget
from flexlond.planning.spread import WINDOW
from flexlond.planning.stopping import Stopping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import Run
    from flexlond.backtest.policy import State
    from flexlond.model.window import Window
    from flexlond.planning.problem import Plan, Problem

SLOT: Final = 1800
DAY: Final = 86400
DAYS: Final = 8
EVERY: Final = 12  # slots from one order to the next, at least
HORIZON: Final = 48
RUNS: Final = 6  # with windows, for one without
BEGIN: Final = 1_790_035_200  # a midnight (UTC)
POWER: Final = PowerCoefficients(kw_per_node=1.0)
BUDGET: Final = Budget(dual_steps=10, search_steps=20)
_NEAR: Final = 1e-6


class End(msgspec.Struct, frozen=True):
    """One window and what came after it."""

    seed: int
    run: int
    number: int
    refused: bool
    cap_kw: float = math.nan  # its rebound cap
    peak_kw: float = math.nan  # highest slot after it
    usual_kw: float = math.nan  # highest slot of the replay without windows
    commanded: int = 0  # starts
    over_ramp: int = 0  # of them, those after which more than the ramp cap starts within 300 s
    late: int = 0  # of them, those whose latest start forced them
    plain_kw: float = math.nan  # of the highest slot, what jobs without consent draw
    held_kw: float = math.nan  # of it, what we held until then


class Day:
    """Price and carbon by the hour with noise; known in advance."""

    name = "daily shape"
    foresight = True

    def __init__(self, seed: int) -> None:
        self._noise = np.random.default_rng(seed).normal(0, 1, (2, 1 << 12))

    def known_at(self, now: int, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """All of it."""
        del now
        return self.actual(grid)

    def actual(self, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(price, carbon)."""
        turn = grid.starts() % DAY / DAY * 2 * np.pi
        noise = self._noise[:, (grid.starts() - BEGIN) // SLOT % self._noise.shape[1]]
        return 80 + 35 * np.sin(turn) + 8 * noise[0], 180 + 70 * np.sin(turn + 0.5) + 15 * noise[1]


def stream(seed: int) -> Trace:
    """Eight days of 60 to 180 random jobs, more by day than by night, that fill 10 to 45 % of the nodes."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(60, 181))
    size = rng.integers(0, int(rng.integers(3, 7)), count)
    nodes = (2**size).astype(np.float64)
    limit = rng.choice([2, 4, 8, 12, 16], count).astype(np.float64) * SLOT
    runtime = limit * rng.uniform(0.3, 1.0, count)
    total = float((nodes * runtime).sum()) / (DAYS * DAY * float(rng.uniform(0.1, 0.45)))
    # They come in bursts, as users submit them.
    moments = rng.integers(0, DAYS * DAY, count)
    weight = 1.3 + np.sin((moments % DAY / DAY - 0.3) * 2 * np.pi)
    submit = BEGIN + np.sort(
        rng.choice(moments[: count // 2], count, p=_share(weight[: count // 2]))
    )
    kind = rng.integers(0, 6, count).astype("U8")
    room = np.array([[max(np.ceil(total), 2.0 * nodes.max())]])
    return Trace(
        name=f"stream {seed}",
        job_id=np.arange(count),
        submit=submit,
        runtime=runtime,
        limit=limit,
        demand=nodes[:, None],
        pool=np.zeros(count, np.int64),
        nodes=nodes,
        user=kind,
        account=kind,
        label=kind,
        energy_kwh=np.full(count, np.nan),
        room=Room(room, np.zeros(1, np.int64), room.copy(), ("all",), ("cpus",)),
    )


def _share(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = weight / weight.sum()
    return share


@dataclass(slots=True)
class Ordered:
    """One order and what became of it."""

    at: int
    window: Window
    refused: bool


class Operated(Flexlon):
    """FlexLon with an operator who orders windows; without one where `rng` is None."""

    def __init__(
        self, day: Day, ramp: float, rng: np.random.Generator | None, trace: Trace
    ) -> None:
        settings = PlanningSettings(ramp_kw_per_5min=ramp)
        super().__init__(day, POWER, horizon_slots=HORIZON, settings=settings)
        self.ordered: list[Ordered] = []
        self.starts: list[tuple[int, float, bool]] = []  # commanded: (epoch, kW, forced)
        self._rng, self._whole, self._ramp = rng, trace, ramp
        self._promised: dict[int, int] = {}  # held jobs: the begin time that we commanded
        self._newcomers = Newcomers()
        self._peaks = PeakWatch(SqliteStore(Path(":memory:")), SLOT)
        self._noted, self._draws = BEGIN, 0.0

    # ---- what the engine asks

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """Place new jobs around the plan, under the caps in force."""
        self._come_due(now, state)
        self._trace = state.trace
        problem, rebound, _ = self._asked(now, [*state.queued, *state.held, *jobs], state)
        fixed = np.array([state.held.get(job, 0) for job in problem.job_id.tolist()], np.int64)
        subset = np.flatnonzero(np.isin(problem.job_id, jobs))
        waiting = np.setdiff1d(np.flatnonzero(fixed == 0), subset)
        fixed[waiting] = self._expected_start(problem, waiting)
        found = place(
            under(problem, rebound), self.settings, fixed, subset, budget=INSERTION, last=self._last
        )
        return self._commanded(found, jobs, state, now)

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        """One cycle, and perhaps an order."""
        self._come_due(now, state)
        self._trace = state.trace
        self._note_waits(now, state)
        problem, rebound, expected = self._asked(now, [*state.queued, *state.held], state)
        problem, found = self._answer(problem, rebound)
        since = self.ordered[-1].at if self.ordered else BEGIN + DAY - EVERY * SLOT
        due = since + EVERY * SLOT <= now < BEGIN + DAYS * DAY
        if self._rng is not None and due:
            found = self._order(now, problem, found, expected, rebound) or found
            problem, rebound, _ = self._asked(now, [*state.queued, *state.held], state)
            self._last = found
            problem, found = self._answer(problem, rebound)
        later: dict[int, int] = {}
        while new := self._later(found, problem, later, now):
            # The daemon has planned again before that moment.
            later |= new
            more = [(at, float(self._whole.nodes[job])) for job, at in new.items()]
            problem = replace(problem, recent=np.concatenate([problem.recent, np.array(more)]))
            problem, found = self._answer(problem, rebound)
        self._last = found
        return self._commanded(found, problem.job_id[problem.movable].tolist(), state, now, later)

    def started(self, now: int, job: int) -> None:
        """Also the power."""
        super().started(now, job)
        self._note(now, float(self._whole.nodes[job]))

    def ended(self, now: int, job: int) -> None:
        """Also the power."""
        super().ended(now, job)
        self._note(now, -float(self._whole.nodes[job]))

    # ---- windows

    @property
    def _kept(self) -> list[Window]:
        return [one.window for one in self.ordered if not one.refused]

    def _asked(
        self, now: int, pending: Sequence[int], state: State
    ) -> tuple[Problem, NDArray[np.float64], Expected]:
        problem = replace(self.problem(now, pending, state), recent=self._recent(now))
        flexible = state.flexibility.flexible
        runs = ~flexible[np.array(list(state.running), np.int64)]
        self._newcomers.see(now, float(problem.running.kw[runs].sum()), SLOT)
        expected = Expected(runs, ~flexible[problem.job_id], self._newcomers.usual_kw(SLOT))
        kept = self._kept
        caps = caps_on(problem.grid, kept, now)
        problem = with_newcomers(under(problem, caps), caps, expected)
        return problem, softer_on(problem.grid, kept, now), expected

    def _answer(self, problem: Problem, rebound: NDArray[np.float64]) -> tuple[Problem, Plan]:
        planner = partial(plan, settings=self.settings, budget=BUDGET, last=self._last)
        return plan_with_rebound(problem, rebound, planner)

    def _order(
        self,
        now: int,
        problem: Problem,
        without: Plan,
        expected: Expected,
        rebound: NDArray[np.float64],
    ) -> Plan | None:
        """Order a window; the plan under it, None where it is refused."""
        assert self._rng is not None
        first = int(self._rng.integers(1, 4))
        last = first + int(self._rng.integers(2, 7))
        mean = float(without.kw[first:last].mean())
        cap = max(0.1, float(self._rng.uniform(0.5, 0.9)) * mean)
        order = WindowOrder(now + first * SLOT, now + last * SLOT, cap, math.nan, "operator")
        self._note(now, 0.0)
        peak = self._peaks.highest(now)
        assert math.isfinite(peak)
        window = windows.make(order, without, self.settings, now, peak_kw=peak)
        grid = problem.grid
        caps = caps_on(grid, (window,), now)
        asked = with_newcomers(under(problem, caps), caps, expected)
        softer = np.minimum(rebound, softer_on(grid, (window,), now))
        answered, found = self._answer(asked, softer)
        trial = Trial(
            answered,
            without,
            found,
            Stopping((), answered, found),
            Slowing((), answered, found),
        )
        refused = bool(windows.comes_back(order, window, trial, now))
        self.ordered.append(Ordered(now, window, refused))
        return None if refused else found

    def _note(self, now: int, kw: float) -> None:
        for at in range(
            self._noted, now, SLOT // 2
        ):  # the daemon looks more often than anything happens
            self._peaks.note(at, usual_part(self._kept, self.settings, at, self._draws))
        self._draws += kw
        self._peaks.note(now, usual_part(self._kept, self.settings, now, self._draws))
        self._noted = now

    # ---- the ramp

    def _later(
        self, found: Plan, problem: Problem, known: Mapping[int, int], now: int
    ) -> dict[int, int]:
        """Jobs besides `known` that are to be released, for which the ramp cap has no room now: when it has.

        As `within_ramp`, by the starts that were commanded of late; at the begin time in force at the latest.
        """
        room = [(at, kw) for at, kw, _ in self.starts]
        room += [(at, float(self._whole.nodes[job])) for job, at in known.items()]
        later = {}
        for row in np.flatnonzero(problem.movable & ~found.moved).tolist():
            job = int(found.job_id[row])
            if job not in self._promised or job in known:
                continue
            kw, until, at = float(self._whole.nodes[job]), self._promised[job], now
            while at < until:
                near = sum(each for when, each in room if abs(when - at) < WINDOW)
                if near + kw <= self._ramp or not near:
                    break
                at += 30
            room.append((min(at, until), kw))
            if at > now:
                later[job] = min(at, until)
        return later

    def _commanded(
        self,
        found: Plan,
        jobs: Sequence[int],
        state: State,
        now: int,
        later: Mapping[int, int] | None = None,
    ) -> Mapping[int, int]:
        """What is sent: holds and releases; of these the `later` ones when the ramp cap has room for them."""
        wanted = dict(self._wanted(found, jobs))
        for job, begin in list(wanted.items()):
            if begin > now and job not in (later or {}):
                self._promised[job] = begin
            elif later and job in later:
                wanted[job] = self._promised[job] = self._begun[job] = later[job]
            elif job in self._promised:
                self._start(job, now, state, forced=False)
        return wanted

    def _come_due(self, now: int, state: State) -> None:
        for job, at in list(self._promised.items()):
            if job not in state.held and at <= now:
                self._start(job, at, state, forced=at >= int(state.flexibility.latest[job]))

    def _start(self, job: int, at: int, state: State, *, forced: bool) -> None:
        del self._promised[job]
        margin = at >= int(state.flexibility.latest[job]) - 2 * SLOT
        self.starts.append((at, float(self._whole.nodes[job]), forced or margin))

    def _recent(self, now: int) -> NDArray[np.float64]:
        rows = [(at, kw) for at, kw, _ in self.starts if now - WINDOW < at <= now]
        return np.array(rows, np.float64).reshape(-1, 2)


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
            inside = [
                one for one in starts if grid.slot_start(first) <= one[0] < grid.slot_start(stop)
            ]
            over = _over_ramp(inside, ramp)
            found.append(
                End(
                    seed,
                    run,
                    number,
                    refused=False,
                    cap_kw=one.window.rebound_kw,
                    peak_kw=float(kw[top]),
                    usual_kw=float(usual[max(0, first - HORIZON) : stop].max()),
                    commanded=len(inside),
                    over_ramp=len(over),
                    late=sum(forced for _, _, forced in over),
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


def _over_ramp(
    starts: Sequence[tuple[int, float, bool]], cap: float
) -> list[tuple[int, float, bool]]:
    """The starts from which on more than `cap` kW start within 300 s; one job alone may."""
    found = []
    for at, kw, forced in starts:
        near = [each for when, each, _ in starts if at <= when < at + WINDOW]
        if sum(near) > cap + _NEAR and len(near) > 1:
            found.append((at, kw, forced))
    return found


def main() -> None:
    """Go on with the file, then say what it has."""
    path = Path(sys.argv[1])
    streams = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    begin = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    lines = path.read_bytes().splitlines() if path.exists() else []
    rows = [msgspec.json.decode(line, type=End) for line in lines]
    done = {row.seed for row in rows}
    with path.open("ab") as file:
        for seed in range(begin, begin + streams):
            if seed not in done:
                new = ends(seed)
                file.write(b"".join(msgspec.json.encode(row) + b"\n" for row in new))
                file.flush()
                rows += new
    Console(width=120).print(said(rows))


def said(rows: Sequence[End]) -> str:
    """The figures in words."""
    kept = [row for row in rows if not row.refused]
    ratio = np.array([row.peak_kw / row.usual_kw for row in kept])
    return (
        f"{len(rows)} orders in {len({row.seed for row in rows})} streams, "
        f"{len(rows) - len(kept)} refused; {len(kept)} ends; ramp broken in "
        f"{sum(row.over_ramp > 0 for row in kept)} "
        f"({sum(row.over_ramp > row.late for row in kept)} not by latest starts), with "
        f"{sum(row.commanded for row in kept)} "
        f"commanded starts; peak above 1.1: {int((ratio > 1.1 + _NEAR).sum())}, quantiles "
        + " ".join(f"{q:g}: {np.quantile(ratio, q):.3f}" for q in (0.5, 0.9, 0.99, 0.999, 1.0))
    )


if __name__ == "__main__":
    main()
