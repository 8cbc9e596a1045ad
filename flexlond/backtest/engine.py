"""The replay: one trace, one policy, as a Slurm cluster would have run it.

Law: discrete events, by the second and deterministic: ends, begin times that come due, submissions, then the
policy's tick where a slot begins (or its look, a cycle after newcomers came who wait, after jobs ended, or
after any change), then the scheduler (easy.py). A held job keeps its place by submission, as with Slurm's
ACCRUE_ALWAYS. It ends after min(runtime, limit). The policy holds flexible jobs only, and none past its latest
start: what it asks beyond that is cut, counted and told in the run's notes. The one clock read here measures
how long the policy thinks; nothing depends on it.
"""

from __future__ import annotations

import heapq
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from flexlond.backtest.case import Run
from flexlond.backtest.easy import lanes_of
from flexlond.backtest.policy import ARRIVE, TICK, Observer, State, Watcher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.backtest.case import Flexibility, Trace
    from flexlond.backtest.easy import Lane
    from flexlond.backtest.policy import Policy

DEPTH = 500
"""Jobs behind the first that backfill looks at (Slurm's bf_max_job_test)."""
LOOK_SECONDS = 30
"""Until a policy that watches the queue sees a newcomer, or an end (daemon.cycle_seconds)."""


def replay(
    trace: Trace,
    flexibility: Flexibility,
    policy: Policy,
    *,
    slot_seconds: int = 1800,
    depth: int = DEPTH,
    seed: int = 0,
) -> Run:
    """Replay `trace` under `policy`, asking it to tick every `slot_seconds` (UTC multiples).

    `seed` is only recorded. Raises ValueError where the trace cannot be replayed; the text names the job.
    """
    _check(trace, flexibility)
    engine = _Engine(trace, flexibility, policy, slot_seconds, depth)
    engine.run()
    return Run(
        policy=policy.name,
        seed=seed,
        start=np.array(engine.start, np.int64),
        end=np.array(engine.end, np.int64),
        begin=np.array(engine.begin, np.int64),
        plan_seconds=np.array(engine.plan_seconds, np.float64),
        parameter=getattr(policy, "parameter", ""),
        notes=engine.notes(),
    )


class _Engine:
    """The events and the books; jobs are indices of the trace."""

    def __init__(
        self,
        trace: Trace,
        flexibility: Flexibility,
        policy: Policy,
        slot_seconds: int,
        depth: int,
    ) -> None:
        self._policy = policy
        self._slot = slot_seconds
        calls = getattr(policy, "calls", (ARRIVE, TICK))
        self._arrives, self._ticks = ARRIVE in calls, TICK in calls
        self._observer = policy if isinstance(policy, Observer) else None
        self._watcher = policy if isinstance(policy, Watcher) else None
        self._sees_all = bool(getattr(policy, "sees_every_change", False))
        self._looks: list[int] = []  # heap: when newcomers that wait, and ends, are seen
        jobs = trace.jobs
        lanes, possible = lanes_of(trace, depth)
        group = trace.room.pool_group[trace.pool].tolist()
        self._lane: list[Lane] = [lanes[number] for number in group]
        self._possible: list[bool] = possible.tolist()
        self._impossible = int((~possible).sum())
        self._flexible: list[bool] = flexibility.flexible.tolist()
        self._latest: list[int] = flexibility.latest.tolist()
        self._submit: list[int] = trace.submit.tolist()
        length = np.maximum(np.ceil(np.minimum(trace.runtime, trace.limit)), 1)
        self._length: list[int] = length.astype(np.int64).tolist()
        self._next = 0  # the next job to be submitted
        self._ends: list[tuple[int, int]] = []  # heap
        self._begins: list[tuple[int, int]] = []  # heap; true only where `held` says the same
        self._held: dict[int, int] = {}
        self._running: dict[int, int] = {}
        self._queued: set[int] = set()  # flexible jobs that wait for room
        self._touched: dict[Lane, None] = {}
        self._state = State(
            trace,
            flexibility,
            slot_seconds,
            held=self._held,
            running=self._running,
            lanes=lanes.values(),
        )
        self._cut = self._refused = 0
        self.start = [0] * jobs
        self.end = [0] * jobs
        self.begin = self._submit.copy()
        self.plan_seconds: list[float] = []

    def run(self) -> None:
        """All events to the last end."""
        now = -1
        while (upcoming := self._upcoming(now)) is not None:
            now = upcoming
            self._state.now = now
            ended = self._end(now)
            self._come_due(now)
            # What arrives now is decided as it arrives: by itself it is no reason to tick.
            tick = self._ticks and now % self._slot == 0 and bool(self._held or self._queued)
            new = self._arrive(now)
            look = self._seen(now)
            if tick:
                started = perf_counter()
                answer = self._policy.tick(now, self._state)
                self.plan_seconds.append(perf_counter() - started)
                self._apply(answer, now, set())
            elif look and self._watcher is not None:
                self._apply(self._watcher.look(now, self._state), now, set())
            started_any = self._schedule(now)
            if self._watcher is not None and (
                (self._sees_all and (ended or started_any or new))
                or any(job in self._lane[job].waiting for job in new)
                or (ended and self._held and not self._looks and self._watcher.watches_room())
            ):
                heapq.heappush(self._looks, now + LOOK_SECONDS)

    def _seen(self, now: int) -> bool:
        """Whether newcomers are seen at `now`."""
        found = False
        while self._looks and self._looks[0] <= now:
            heapq.heappop(self._looks)
            found = True
        return found

    def notes(self) -> tuple[str, ...]:
        """What a reader of the run must know."""
        found = [
            (self._impossible, "jobs ask for more than the cluster has and never start"),
            (
                self._cut,
                "begin times beyond a job's latest start, cut to it: a defect of the policy",
            ),
            (
                self._refused,
                "begin times for jobs it may not hold, left out: a defect of the policy",
            ),
        ]
        return tuple(f"{count} {text}" for count, text in found if count)

    def _upcoming(self, now: int) -> int | None:
        """The next moment at which something happens; None at the end."""
        times = []
        if self._next < len(self._submit):
            times.append(self._submit[self._next])
        if self._ends:
            times.append(self._ends[0][0])
        if self._begins:
            times.append(self._begins[0][0])
        if self._looks:
            times.append(self._looks[0])
        if not times:
            return None
        if self._ticks and (self._held or self._queued):
            times.append(now - now % self._slot + self._slot)
        return min(times)

    def _end(self, now: int) -> bool:
        """Whether a job ended."""
        found = False
        while self._ends and self._ends[0][0] == now:
            job = heapq.heappop(self._ends)[1]
            lane = self._lane[job]
            lane.finish(job, self._running.pop(job))
            self._touched[lane] = None
            if self._observer is not None:
                self._observer.ended(now, job)
            found = True
        return found

    def _come_due(self, now: int) -> None:
        while self._begins and self._begins[0][0] <= now:
            at, job = heapq.heappop(self._begins)
            if self._held.get(job) == at:
                del self._held[job]
                self._queue(job)

    def _arrive(self, now: int) -> list[int]:
        """Those that were submitted at `now`."""
        submit, first = self._submit, self._next
        while self._next < len(submit) and submit[self._next] == now:
            self._next += 1
        new = [job for job in range(first, self._next) if self._possible[job]]
        if not new:
            return new
        asked = [job for job in new if self._flexible[job]] if self._arrives else []
        if asked:
            started = perf_counter()
            answer = self._policy.arrive(now, asked, self._state)
            self.plan_seconds.append(perf_counter() - started)
            self._apply(answer, now, set(asked))
        for job in new:
            if job not in self._held:
                self._queue(job)
        return new

    def _apply(self, answer: Mapping[int, int], now: int, arriving: set[int]) -> None:
        """Hold and release as the policy says, within what it may."""
        for job, wanted in answer.items():
            if job not in self._held and job not in self._queued and job not in arriving:
                self._refused += 1
                continue
            begin = min(int(wanted), self._latest[job])
            self._cut += begin < wanted
            if begin > now:
                self._hold(job, begin)
            elif job in self._held:
                del self._held[job]
                self.begin[job] = now
                self._queue(job)

    def _hold(self, job: int, begin: int) -> None:
        if self._held.get(job) == begin:
            return
        if job in self._queued:
            self._queued.remove(job)
            self._lane[job].withdraw(job)
            self._touched[self._lane[job]] = None
        self._held[job] = self.begin[job] = begin
        heapq.heappush(self._begins, (begin, job))

    def _queue(self, job: int) -> None:
        lane = self._lane[job]
        lane.add(job)
        self._touched[lane] = None
        if self._flexible[job]:
            self._queued.add(job)

    def _schedule(self, now: int) -> bool:
        """Whether a job started."""
        found = False
        for lane in self._touched:
            for job in lane.start(now):
                end = now + self._length[job]
                self.start[job], self.end[job] = now, end
                self._running[job] = now
                self._queued.discard(job)
                heapq.heappush(self._ends, (end, job))
                if self._observer is not None:
                    self._observer.started(now, job)
                found = True
        self._touched.clear()
        return found


def _check(trace: Trace, flexibility: Flexibility) -> None:
    """Refuse what would give a wrong replay without a word."""
    jobs = trace.jobs
    if flexibility.flexible.shape != (jobs,) or flexibility.latest.shape != (jobs,):
        raise ValueError(
            f"{trace.name}: flexibility is for {flexibility.flexible.shape} jobs, the trace has {jobs}"
        )
    if jobs == 0:
        return
    rules = [
        (trace.submit <= 0, "was submitted at or before 1970: give the trace its epoch"),
        (np.diff(trace.submit, prepend=trace.submit[0]) < 0, "is not in order of submission: sort"),
        (~(trace.limit > 0), "has no time limit: give it one, or leave the job out"),
        (
            ~(trace.runtime >= 0) | np.isinf(np.minimum(trace.runtime, trace.limit)),
            "has no runtime: leave the job out",
        ),
        ((trace.pool < 0) | (trace.pool >= len(trace.room.capacity)), "is in no known pool"),
    ]
    for wrong, text in rules:
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"{trace.name}: job {trace.job_id[at]} (index {at}) {text}")
