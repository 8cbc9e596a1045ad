"""A simulated Slurm at the loop's two ports (queue reader, helper), in virtual time.

It keeps to what was measured on real ones: a pending job starts when its begin time has come and there are
CPUs, in order of priority; an accepted change can be forgotten by a crash; the owner may edit a job.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from flexlond.agents.compute_flex import ComputeFlex
from flexlond.daemon.store import SqliteStore
from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.model.job import Cluster, Job, JobState, Pool, Reservation, Snapshot
from flexlond.model.licence import Reserved, StretchResult, kw_of, without_kw
from flexlond.model.series import Kind, Quality, Series
from flexlond.model.settings import Feed, Settings
from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.helper_client import HelperStatus, HelperUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from flexlond.agents.power_log import Meter
    from flexlond.model.licence import Stretch
    from flexlond.model.timegrid import TimeGrid

START = 1_795_000_200 - 1_795_000_200 % 1800
SLOT = 1800


@dataclass
class SimSlurm:
    """slurmctld's queue in memory; `now` is the only clock."""

    now: int = START
    cpus: int = 64
    jobs: dict[int, Job] = field(default_factory=dict)
    runtime: dict[int, int] = field(default_factory=dict)
    started: dict[int, int] = field(default_factory=dict)
    saved: dict[int, Job] = field(default_factory=dict)
    reader_down: bool = False
    helper_down: bool = False
    helper_starts: int = 1
    complete: bool = True
    answers_lost: bool = False
    refuses: str = ""  # the code with which stops are refused
    taken_back: frozenset[int] = frozenset()  # their owners start them the moment they are held
    strict: bool = False  # whoever waits first keeps the room from those behind
    checkpointing: bool = False  # stops have given the signal only
    stopped: dict[int, tuple[int, int]] = field(default_factory=dict)  # suspended: since, due
    effects: list[Action] = field(default_factory=list)
    reserved: list[tuple[Stretch, ...]] = field(default_factory=list)
    licences: int = 1000
    next_id: int = 1
    name: str = "squeue"

    def submit(self, comment: str = "", *, cpus: int = 4, minutes: int = 60, **more: Any) -> int:
        job_id = self.next_id
        self.next_id += 1
        values: dict[str, Any] = {
            "job_id": job_id,
            "state": JobState.PENDING,
            "reason": "Priority",
            "user": "alice",
            "uid": 1000,
            "account": "research",
            "qos": "normal",
            "partition": "main",
            "name": "sim",
            "nodes": 1,
            "cpus": cpus,
            "memory_mib": 0,
            "gpus": (),
            "licenses": "",
            "time_limit": minutes * 60,
            "submit": self.now,
            "begin": self.now,
            "start": 0,
            "end": 0,
            "deadline": 0,
            "priority": 1000,
            "requeue": True,
            "restarts": 0,
            "reservation": "",
            "dependency": "",
            "batch": True,
            "node_list": "",
            "comment": comment,
        }
        self.jobs[job_id] = Job(**(values | more))
        self.runtime[job_id] = minutes * 60
        return job_id

    def edit(self, job_id: int, **changes: Any) -> None:
        self.jobs[job_id] = replace(self.jobs[job_id], **changes)

    def crash(self) -> None:
        """SIGKILL and restart: what was changed since the last save is forgotten."""
        for job_id, job in self.saved.items():
            if self.jobs[job_id].state is JobState.PENDING:
                self.jobs[job_id] = job

    def save(self) -> None:
        self.saved = dict(self.jobs)

    def advance(self, seconds: int, step: int = 10) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self._schedule()

    def _schedule(self) -> None:
        for job_id, (_, due) in list(self.stopped.items()):
            if self.now >= due:  # the timer of its own
                self.resume(job_id)
        for job in list(self.jobs.values()):
            if job.state is JobState.RUNNING and self.now >= job.start + self.runtime[job.job_id]:
                self.edit(job.job_id, state=JobState.ENDED, end=self.now)
        used = sum(j.cpus for j in self.jobs.values() if j.state is JobState.RUNNING)
        waiting = [
            j
            for j in self.jobs.values()
            if j.state is JobState.PENDING and 0 < j.begin <= self.now and not j.held
        ]
        for job in sorted(waiting, key=lambda j: (-j.priority, j.job_id)):
            if used + job.cpus <= self.cpus:
                used += job.cpus
                self.edit(job.job_id, state=JobState.RUNNING, start=self.now)
                self.started[job.job_id] = self.now
            elif self.strict:
                break

    # ---- the loop's ports

    def read(self, job_ids: Sequence[int] | None = None) -> Snapshot:
        if self.reader_down:
            raise SlurmCommandError(("squeue",), 1, "Unable to contact slurm controller", "")
        alive = [j for j in self.jobs.values() if j.state is not JobState.ENDED]
        return Snapshot(self.now, tuple(alive), "squeue", "24.11.5", complete=self.complete)

    async def status(self) -> HelperStatus:
        if self.helper_down:
            raise HelperUnavailable("no socket")
        return HelperStatus("test", "24.11.5", (), 1000, f"start {self.helper_starts}")

    async def reserve(self, wanted: Sequence[Stretch], reason: str) -> Reserved:  # the port's
        if self.helper_down:
            raise HelperUnavailable("no socket")
        self.reserved.append(tuple(wanted))
        results = tuple(StretchResult(one, Outcome.APPLIED, "applied", "") for one in wanted)
        running = (j for j in self.jobs.values() if j.state is JobState.RUNNING)
        used = sum(kw_of(j.licenses) or 0 for j in running)
        return Reserved(results, tuple(wanted), self.licences, used)

    async def apply(self, actions: Sequence[Action]) -> Sequence[Result]:
        if self.helper_down:
            raise HelperUnavailable("no socket")
        results = [self._apply(action) for action in actions]
        if self.answers_lost:
            raise HelperUnavailable("the connection broke before the answer came")
        return results

    def _apply(self, action: Action) -> Result:
        job = self.jobs[action.job_id]

        def end(outcome: Outcome, code: str) -> Result:
            seen = self.jobs[action.job_id]
            return Result(action.action_id, outcome, code, "", seen.begin, seen.state.value)

        if action.verb in {Verb.REQUEUE_UNTIL, Verb.SUSPEND, Verb.RESUME}:
            return self._stop(action, job, end)
        if action.verb is Verb.WIDEN:
            self.effects.append(action)
            self.edit(action.job_id, state=JobState.PENDING, sites=("sim", "south"))
            return end(Outcome.APPLIED, "applied")
        if job.state is not JobState.PENDING:
            return end(Outcome.REFUSED, "not-pending")
        if job.begin != action.expected_begin:
            return end(Outcome.REFUSED, "begin-changed")
        self.effects.append(action)
        if action.verb is Verb.HOLD_UNTIL:
            if action.job_id in self.taken_back:  # seen by the helper when it looks again
                self.edit(action.job_id, begin=self.now)
                return end(Outcome.REFUSED, "opted-out")
            self.edit(action.job_id, begin=action.not_before)
        elif action.verb is Verb.ROUTE:
            self.edit(action.job_id, state=JobState.AWAY, sites=(action.site,))
        elif action.verb is Verb.LET_OFF:
            self.edit(action.job_id, licenses=without_kw(job.licenses) or "")
        elif action.verb is Verb.RELEASE:
            self.edit(action.job_id, begin=max(self.now, action.not_before))
        return end(Outcome.APPLIED, "applied")

    def _stop(self, action: Action, job: Job, end: Callable[[Outcome, str], Result]) -> Result:
        """As the helper: what runs is requeued until then, suspended, or resumed."""
        if job.restarts != action.restarts or job.state.value != action.expected_state:
            return end(Outcome.REFUSED, "state-changed")
        if self.refuses:
            return end(Outcome.REFUSED, self.refuses)
        self.effects.append(action)
        if self.checkpointing:
            return end(Outcome.UNKNOWN, "checkpointing")
        if action.verb is Verb.REQUEUE_UNTIL:
            self.requeue(job.job_id, action.not_before)
        elif action.verb is Verb.SUSPEND:
            self.edit(job.job_id, state=JobState.SUSPENDED)
            self.stopped[job.job_id] = (self.now, action.not_before)
        else:
            self.resume(job.job_id)
        return end(Outcome.APPLIED, "applied")

    def requeue(self, job_id: int, begin: int) -> None:
        job = self.jobs[job_id]
        again = {"submit": self.now, "restarts": job.restarts + 1, "begin": begin}
        self.edit(job_id, state=JobState.PENDING, start=0, **again)

    def resume(self, job_id: int) -> None:
        since, _ = self.stopped.pop(job_id)
        self.runtime[job_id] += self.now - since
        self.edit(job_id, state=JobState.RUNNING)

    def read_cluster(self) -> Cluster:
        names = tuple(f"n{i}" for i in range(2))
        pool = Pool("main", 2, self.cpus, 0, (), names, None, 3600, is_default=True)
        found = Cluster("sim", "24.11.5", (pool,), 30, accrue_always=True, kill_wait=30)
        windows = (
            Reservation(
                one.name, one.start, one.end, "", f"kw:{one.kw}", ("ANY_NODES",), active=True
            )
            for one in (self.reserved[-1] if self.reserved else ())
        )
        return replace(found, reservations=tuple(windows))


@dataclass
class SimHub:
    """Price and carbon by slot of the day; quality as told."""

    price: Sequence[float]
    quality: Quality = Quality.GOOD

    def series(self, kind: Kind, grid: TimeGrid, now: int) -> Series:
        values = np.array(
            [
                self.price[(grid.slot_start(i) - START) // SLOT % len(self.price)]
                for i in range(grid.count)
            ]
        )
        return Series(kind, grid, values, "simulated", now, self.quality, "as told")


class Bench:
    """One loop on one simulated Slurm."""

    def __init__(self, path: Path, settings: Settings, price: Sequence[float]) -> None:
        self.slurm = SimSlurm()
        self.hub = SimHub(price)
        self.meter: Meter | None = None
        self.sites: dict[str, SimHub] = {}  # other clusters' signals
        self.settings = settings
        self._path = path
        self.store = SqliteStore(path)
        self.agent = self._agent()

    def _agent(self) -> ComputeFlex:
        return ComputeFlex(
            settings=self.settings,
            store=self.store,
            reader=self.slurm,
            reader_reason="simulated",
            helper=self.slurm,
            hub=self.hub,
            read_cluster=self.slurm.read_cluster,
            tz=ZoneInfo("Europe/London"),
            clock=lambda: self.slurm.now,
            version="test",
            meter=self.meter,
            sites=self.sites,
        )

    def restart(self) -> None:
        """kill -9 and a new daemon on the same store."""
        self.store.close()
        self.store = SqliteStore(self._path)
        self.agent = self._agent()

    async def cycle(self) -> str:
        return await self.agent.cycle(self.slurm.now)

    async def tick(self) -> None:
        await self.agent.tick(self.slurm.now)

    def begin(self, job_id: int) -> int:
        return self.slurm.jobs[job_id].begin


CHEAP_AT_SIX = [200.0] * 6 + [20.0] * 4 + [200.0] * 38
"""Half-hours: dear, cheap from three to five hours after START, dear."""


@pytest.fixture
def settings() -> Settings:
    base = Settings()
    feed = (Feed(source="csv", path="/nowhere"),)
    return Settings(
        daemon=replace_struct(base.daemon, mode="act"),
        signals=replace_struct(base.signals, price=feed),
        planning=replace_struct(base.planning, default_queue_wait=60),
    )


def replace_struct(struct: Any, **changes: Any) -> Any:
    return type(struct)(
        **{name: getattr(struct, name) for name in struct.__struct_fields__} | changes
    )


@pytest.fixture
def bench(tmp_path: Path, settings: Settings) -> Iterator[Bench]:
    made = Bench(tmp_path / "store.db", settings, CHEAP_AT_SIX)
    yield made
    made.store.close()
