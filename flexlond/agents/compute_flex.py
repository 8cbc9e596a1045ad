"""Compute-Flex: the loop beside the scheduler.

Law: each cycle is one snapshot -> plan -> actions, level-triggered. Intents are stored before they are sent,
results after; what took effect is what the next snapshot shows. Whatever fails (the queue cannot be read, a
feed is stale, the helper is silent) leads to fewer holds: nothing new is held, what is held ends by itself
at its planned start, because the plan lives in Slurm. Each cycle ends with one sentence that says what it
did and why. Times are epoch seconds (UTC).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from flexlond.agents import views
from flexlond.agents.actuator import Actuator, Helper
from flexlond.agents.build import build
from flexlond.agents.consent import ConsentReader, FlexJob, judge
from flexlond.agents.decide import Wanted, decide, is_held, release, within_ramp
from flexlond.agents.margin import DAY, WaitWatch
from flexlond.agents.ports import DrainView, ReleaseView
from flexlond.agents.ramp import RampLog
from flexlond.agents.reconcile import Standing, split_arrays
from flexlond.agents.sentence import sentence
from flexlond.agents.state import LoopState
from flexlond.model.action import Action, Outcome, Result
from flexlond.model.job import Cluster, JobState
from flexlond.model.series import Kind, Quality, Series
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.planner import plan
from flexlond.planning.pools import room_of
from flexlond.planning.problem import Reason
from flexlond.slurm.command import SlurmCommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from flexlond.agents.ports import ExplainView, JobView, PlanView, SignalsView, StatusView
    from flexlond.agents.records import JobRecord, Store
    from flexlond.model.settings import Settings
    from flexlond.slurm.reader import QueueReader

_log = structlog.get_logger()
_KEPT_DAYS = 90  # cycles, waits and records of jobs that are gone; intents are kept for good


class Hub(Protocol):
    """The signal hub (flexlond/signals/feeds.py)."""

    def series(self, kind: Kind, grid: TimeGrid, now: int) -> Series:
        """The series on `grid` with its quality."""
        ...


class ComputeFlex(LoopState):
    """The loop's state and its steps; implements ports.AgentView."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        reader: QueueReader,
        reader_reason: str,
        helper: Helper,
        hub: Hub,
        read_cluster: Callable[[], Cluster],
        tz: ZoneInfo,
        clock: Callable[[], int],
        version: str,
    ) -> None:
        """Nothing is read or sent before the first tick or cycle."""
        super().__init__(
            settings=settings,
            reader=reader,
            reader_reason=reader_reason,
            version=version,
            started_at=clock(),
            actuator=Actuator(store, helper),
            consents=ConsentReader(settings.directive, tz),
            paused=store.get("paused") == "yes",
            draining=store.get("draining") == "yes",
        )
        self._store = store
        self._hub = hub
        self._read_cluster = read_cluster
        self._tz = tz
        self._clock = clock
        self._waits = WaitWatch(store, self.started_at)
        self._ramp = RampLog()
        self._pruned_at = 0
        self._complete = False
        self._lock = asyncio.Lock()

    # ---- the two beats

    async def tick(self, now: int) -> None:
        """See new jobs and place them inside their decision window; repair lost changes."""
        async with self._lock:
            began = time.monotonic()
            self._complete = False
            known = set(self.flex)
            if not await self._look(now):
                return
            fresh = {
                job_id
                for job_id, job in self.flex.items()
                if job.movable
                and (job_id not in known or (job.seen and job.seen.standing is Standing.LOST))
            }
            results: Sequence[Result] = ()
            if fresh and self._may_plan():
                await self._plan(now)
                results = await self._carry_out(now, only=fresh)
            else:
                results = await self._carry_out(now, only=())
            if any(result.outcome is Outcome.APPLIED for result in results):
                self._say(now, began, results)
            self._complete = await self._helper_answers()

    async def cycle(self, now: int) -> str:
        """One full cycle. Returns the sentence that says what it did and why."""
        async with self._lock:
            began = time.monotonic()
            self._complete = False
            await self._look_at_cluster()
            results: Sequence[Result] = ()
            if await self._look(now):
                if self._may_plan():
                    await self._plan(now)
                results = await self._carry_out(now, only=None)
                self._complete = await self._helper_answers()
                self._say(now, began, results)
            self._store.add_cycle(now, self.sentence, self.cycle_seconds)
            if now - self._pruned_at >= DAY:
                self._store.prune(now - _KEPT_DAYS * DAY)
                if self.snapshot is not None:
                    self.actuator.forget({job.job_id for job in self.snapshot.jobs}, now - DAY)
                self._pruned_at = now
            return self.sentence

    def may_delay(self) -> bool:
        """Whether the plugin may give new jobs a decision window."""
        return (
            self._complete and self.actuator.answering and self._acting() and self._signals_usable()
        )

    def _acting(self) -> bool:
        return self.settings.daemon.mode == "act" and not self.paused and not self.draining

    # ---- seeing

    async def _look_at_cluster(self) -> None:
        try:
            self.cluster = await asyncio.to_thread(self._read_cluster)
        except SlurmCommandError as error:
            _log.warning("cluster not read", error=str(error))

    async def _look(self, now: int) -> bool:
        """Read the queue, settle what is open, judge every job. False when it cannot be read."""
        try:
            snapshot = await asyncio.to_thread(self.reader.read)
        except SlurmCommandError as error:
            self.sentence = f"changed nothing: the queue could not be read ({error})"
            self.cycle_at = now
            _log.warning("queue not read", error=str(error))
            return False
        self._waits.watch(self.snapshot, snapshot, now)
        self.snapshot = snapshot
        released = self.actuator.settle(snapshot, now)
        split = split_arrays(snapshot.jobs)
        flex: dict[int, FlexJob] = {}
        seen: list[JobRecord] = []
        for job in snapshot.jobs:
            if job.state is not JobState.PENDING:
                continue
            record = self.actuator.records.get(job.job_id)
            known = judge(
                job,
                record,
                self.consents,
                now=now,
                margin=self._margin(job.partition),
                split=split,
                released=released.get(job.job_id, frozenset()),
            )
            if known.directive is not None or known.record is not None:
                flex[job.job_id] = known
            if known.record is not None:
                seen.append(known.record)
        self.actuator.keep_seen(seen)
        self.flex = flex
        return True

    def _margin(self, partition: str) -> int:
        """Seconds kept before the latest start: the site's, the predicted wait, the scheduler's."""
        planning = self.settings.planning
        wait = self._waits.predicted(partition, planning.default_queue_wait)
        cluster = self.cluster
        interval = cluster.sched_interval if cluster else 60
        # Rule 10: while it waits for its begin time it gains no age priority.
        age = 0 if cluster and cluster.accrue_always else planning.default_queue_wait
        return planning.margin_seconds + wait + interval + age

    # ---- planning

    def _signals_usable(self) -> bool:
        return bool(self.series) and all(
            series.quality in (Quality.GOOD, Quality.PARTIAL) for series in self.series.values()
        )

    def _may_plan(self) -> bool:
        return self.cluster is not None and self.snapshot is not None

    async def _plan(self, now: int) -> None:
        assert self.cluster is not None  # noqa: S101  # _may_plan
        assert self.snapshot is not None  # noqa: S101  # _may_plan
        grid = TimeGrid.covering(
            now, self.settings.grid.slot_seconds, self.settings.grid.horizon_slots
        )
        configured = {
            Kind.PRICE: self.settings.signals.price,
            Kind.CARBON: self.settings.signals.carbon,
        }
        self.series = {
            kind: self._hub.series(kind, grid, now) for kind, feeds in configured.items() if feeds
        }
        question = build(
            self.snapshot.jobs,
            self.flex,
            room_of(self.cluster.pools),
            price=self.series.get(Kind.PRICE),
            carbon=self.series.get(Kind.CARBON),
            settings=self.settings,
            grid=grid,
            now=now,
            recent=self._ramp.recent(now),
        )
        self.last_plan = await asyncio.to_thread(plan, question.problem, self.settings.planning)
        self.rows = question.rows
        self.planned_at = now
        self.kw = {
            job_id: float(question.problem.kw[row] * question.problem.tasks[row])
            for job_id, row in question.rows.items()
        }

    def _wanted(self, now: int) -> Mapping[int, Wanted]:
        """What the last plan wants of each movable job; empty when it is not of this moment."""
        found = self.last_plan
        if found is None or self.planned_at != now or not self._signals_usable():
            return {}
        return {
            job_id: Wanted(
                int(found.start[row]) if found.moved[row] else 0,
                Reason(int(found.reason[row])).word,
            )
            for job_id, row in self.rows.items()
            if job_id in self.flex
        }

    # ---- acting

    def _may_hold(self) -> bool:
        return (
            self._acting()
            and self.snapshot is not None
            and self.snapshot.complete
            and self._signals_usable()
        )

    async def _carry_out(self, now: int, only: Collection[int] | None) -> Sequence[Result]:
        if self.settings.daemon.mode != "act" or self.paused:
            return ()
        actions = decide(
            self.flex,
            {} if self.draining else self._wanted(now),
            now=now,
            may_hold=self._may_hold(),
            only=only,
            backoff=self.actuator.backoff,
        )
        return await self._send(actions, now)

    async def _send(self, actions: Sequence[Action], now: int) -> Sequence[Result]:
        results = await self.actuator.send(actions, self.flex, now)
        self._ramp.learn(actions, results, self.kw, now)
        return results

    async def _helper_answers(self) -> bool:
        """Whether the helper is there; in observe mode it is not needed."""
        return self.settings.daemon.mode != "act" or await self.actuator.ask()

    def _say(self, now: int, began: float, results: Sequence[Result]) -> None:
        self.cycle_at = now
        self.cycle_seconds = time.monotonic() - began
        self.sentence = sentence(self, results, now)
        _log.info("cycle", sentence=self.sentence, seconds=round(self.cycle_seconds, 3))

    # ---- what people ask (ports.AgentView)

    def status(self) -> StatusView:
        """The state of the loop."""
        return views.status(self, self._clock())

    def jobs(self) -> Sequence[JobView]:
        """Every job of the last snapshot."""
        return views.jobs(self, self._clock())

    def explain(self, job_id: int) -> ExplainView | None:
        """Why this job starts when it starts."""
        return views.explain(self, self._store, job_id, self._clock())

    def plan(self) -> PlanView | None:
        """The last plan."""
        return views.plan_view(self)

    def signals(self) -> SignalsView:
        """The feeds and their values."""
        return views.signals_view(self)

    async def pause(self) -> str:
        """No new action from now on."""
        async with self._lock:
            self.paused = True
            self._store.put("paused", "yes")
            return "paused: planning and reporting go on, nothing is changed; holds stay until their start"

    async def resume(self) -> str:
        """Undo pause and drain."""
        async with self._lock:
            self.paused = self.draining = False
            self._store.put("paused", "")
            self._store.put("draining", "")
            return f"resumed: mode {self.settings.daemon.mode}"

    async def release(
        self, job_ids: Sequence[int] | None, *, uid: int, operator: bool
    ) -> Sequence[ReleaseView]:
        """Release these jobs for good, or all that are held by us for None."""
        async with self._lock:
            now = self._clock()
            if not await self._look(now):
                return [ReleaseView(j, released=False, detail=self.sentence) for j in job_ids or ()]
            who = "an operator" if operator else f"its owner (uid {uid})"
            held = [job_id for job_id, known in self.flex.items() if is_held(known, now)]
            chosen = held if job_ids is None else job_ids
            mine = [self.flex[job_id] for job_id in chosen if job_id in self.flex]
            # Marked before it is sent: a kill in between leaves fewer holds.
            self.actuator.keep(
                replace(known.record, opted_out=now, opted_out_why=f"released by {who}")
                for known in mine
                if known.record is not None
            )
            actions = [
                release(known, f"released by {who}") for known in mine if is_held(known, now)
            ]
            results = {result.action_id: result for result in await self._send(actions, now)}
            sent = {action.job_id: action.action_id for action in actions}
            return [
                _answer(job_id, job_id in self.flex, sent, results, self.actuator.detail)
                for job_id in chosen
            ]

    async def drain(self) -> DrainView:
        """Restore what we changed, hold nothing more; under the ramp cap, call again until none is left."""
        async with self._lock:
            now = self._clock()
            self.draining = True
            self._store.put("draining", "yes")
            if not await self._look(now):
                return DrainView(0, -1, self.sentence)
            actions = [
                release(known, "drain: FlexLon is being removed")
                for known in self.flex.values()
                if is_held(known, now)
            ]
            cap = self.settings.planning.ramp_kw_per_5min or float("inf")
            room = self._ramp.room(cap, now)
            send, later = within_ramp(actions, self.kw, cap_kw=cap, room_kw=room)
            results = await self._send(send, now)
            restored = sum(1 for r in results if r.outcome in (Outcome.APPLIED, Outcome.ALREADY_SO))
            left = len(actions) - restored
            detail = "nothing of ours is left"
            if later:
                detail = "the ramp cap lets the rest go in the next minutes: call again"
            elif left:
                detail = f"not all could be restored ({self.actuator.detail}): call again"
            return DrainView(restored, left, detail)

    async def reload(self, settings: Settings) -> str:
        """Take over checked settings; what belongs to the process needs a restart."""
        async with self._lock:
            fixed = [
                name
                for name in ("state_dir", "admin_socket", "helper_socket", "heartbeat_file")
                if getattr(settings.daemon, name) != getattr(self.settings.daemon, name)
            ]
            if settings.slurm != self.settings.slurm:
                fixed.append("[slurm]")
            self.settings = settings
            self.consents = ConsentReader(settings.directive, self._tz)
            if fixed:
                return f"taken over; needs a restart to change: {', '.join(fixed)}"
            return "taken over"


def _answer(
    job_id: int,
    known: bool,  # noqa: FBT001  # one of three plain cases
    sent: Mapping[int, str],
    results: Mapping[str, Result],
    helper_detail: str,
) -> ReleaseView:
    if not known:
        return ReleaseView(
            job_id, released=False, detail="not a pending flexible job; nothing to do"
        )
    if job_id not in sent:
        return ReleaseView(
            job_id, released=True, detail="not held by us; it will not be held again"
        )
    result = results.get(sent[job_id])
    if result is None:
        return ReleaseView(job_id, released=False, detail=f"not sent: {helper_detail}")
    done = result.outcome in (Outcome.APPLIED, Outcome.ALREADY_SO)
    return ReleaseView(job_id, released=done, detail=result.detail or result.code)
