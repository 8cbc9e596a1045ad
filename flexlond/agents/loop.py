"""The loop beside the scheduler: its beats, what it sees, what it does.

Law: each cycle is one snapshot -> plan -> actions, level-triggered. Intents are stored before they are sent,
results after; what took effect is what the next snapshot shows. Whatever fails (the queue cannot be read, a
feed is stale, the helper is silent) leads to fewer holds: nothing new is held, what is held ends by itself
at its planned start, because the plan lives in Slurm. Each cycle ends with one sentence that says what it
did and why. Times are epoch seconds (UTC).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from flexlond.agents import keeping, slower, stopper, window_power, windows
from flexlond.agents.actuator import Actuator, Helper
from flexlond.agents.carbon_days import CarbonDays
from flexlond.agents.consent import ConsentReader, FlexJob, judge
from flexlond.agents.decide import Wanted, decide, is_held, within_ramp
from flexlond.agents.envelopes import Envelopes
from flexlond.agents.inquiry import Hub, Inquiry, emitters, outlook_of
from flexlond.agents.margin import DAY, WaitWatch
from flexlond.agents.moving import moves, returns
from flexlond.agents.newest import KeptNewest
from flexlond.agents.peaks import PeakWatch, usual_part
from flexlond.agents.planning_step import PlanningStep
from flexlond.agents.power_log import PowerLog
from flexlond.agents.ramp import RampLog
from flexlond.agents.reconcile import Standing, split_arrays
from flexlond.agents.sentence import sentence
from flexlond.agents.state import LoopState
from flexlond.model.action import Action, Outcome, Result
from flexlond.model.job import Cluster, JobState
from flexlond.model.series import Kind, Quality
from flexlond.planning.aside import STEP
from flexlond.planning.carbon_days import caps_wanted
from flexlond.planning.problem import Reason
from flexlond.slurm.command import SlurmCommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from flexlond.agents.assets import AssetDesk
    from flexlond.agents.learning import Learner
    from flexlond.agents.moving import SiteHub
    from flexlond.agents.power_log import Meter
    from flexlond.agents.ramp import RampRoom
    from flexlond.agents.records import JobRecord, Store
    from flexlond.agents.witness import Witness
    from flexlond.model.job import Job
    from flexlond.model.settings import Settings
    from flexlond.slurm.reader import QueueReader

_log = structlog.get_logger()
_KEPT_DAYS = 90  # cycles, waits and records of jobs that are gone; intents are kept for good


class Loop(LoopState):
    """The loop's state and its steps; what people ask of it is in compute_flex.py."""

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
        learner: Learner | None = None,
        assets: AssetDesk | None = None,
        meter: Meter | None = None,
        witness: Witness | None = None,
        sites: Mapping[str, SiteHub] | None = None,
    ) -> None:
        """Nothing is read or sent before the first tick or cycle."""
        super().__init__(
            settings=settings,
            reader=reader,
            reader_reason=reader_reason,
            version=version,
            started_at=clock(),
            actuator=Actuator(store, helper, witness),
            consents=ConsentReader(settings.directive, tz),
            paused=store.get("paused") == "yes",
            draining=store.get("draining") == "yes",
            learner=learner,
            assets=assets,
            power=PowerLog(store.power, meter, clock()),
            windows=tuple(store.windows()),
        )
        self._store = store
        self._carbon = CarbonDays(store, tz)
        newest = KeptNewest(store, settings.planning.newcomer_days)
        self._planning = PlanningStep(Inquiry(hub, self._carbon, newest))
        self._envelopes = Envelopes()
        self._sites = sites or {}
        self._asked_back: set[int] = (
            set()
        )  # away: the helper has done it, or said that it is not ours
        self._read_cluster = read_cluster
        self._tz = tz
        self._clock = clock
        self._waits = WaitWatch(store, self.started_at)
        self._peaks = PeakWatch(store, settings.grid.slot_seconds)
        self._ramp = RampLog()
        self._pruned_at = 0
        self._complete = False
        self._reservations = keeping.Reservations(self, self._send)
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
            if self.assets is not None:
                await self.assets.look(now)
            results: Sequence[Result] = ()
            if await self._look(now):
                self._note_carbon(now)
                if self._may_plan():
                    await self._plan(now, exact=True)
                if self.assets is not None:
                    await self.assets.act(now, allowed=self._acting())
                results = await self._carry_out(now, only=None)
                await self._reservations.keep(now, acting=self._acting())
                self._complete = await self._helper_answers()
                modelled = self.modelled if self.planned_at == now else None
                self.power.see(modelled, now)
                self._say(now, began, results)
                windows.store_all(self, self._store, now)
                if modelled is not None:
                    planning = self.settings.planning
                    self._peaks.note(now, usual_part(self.windows, planning, now, modelled.kw))
            else:
                self.power.see(None, now)
            window_power.record(self, self._store.power, now)
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
            self._complete
            and self.actuator.answering
            and self._acting()
            and self._signals_usable()
            and not self.actuator.unwitnessed
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
        slowed = self.actuator.slowed  # older than the snapshot: what it says was set must be seen
        try:
            snapshot = await asyncio.to_thread(self.reader.read)
        except SlurmCommandError as error:
            self.sentence = f"changed nothing: the queue could not be read ({error})"
            self.cycle_at = now
            _log.warning("queue not read", error=str(error))
            return False
        self._waits.watch(self.snapshot, snapshot, now)
        if self.cluster is not None:
            self._waits.note(self.cluster, snapshot, outlook_of(self), now)
        self.snapshot, self.slowed = snapshot, slowed
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
                margin=self._margin(job),
                split=split,
                released=released.get(job.job_id, frozenset()),
            )
            if known.directive is not None or known.record is not None:
                flex[job.job_id] = known
            if known.record is not None:
                seen.append(known.record)
        self.actuator.keep_seen(seen)
        self.flex = flex
        self._look_at_stops(now)
        return True

    def _look_at_stops(self, now: int) -> None:
        """What was stopped, and who may be."""
        self.stops = self._store.stops(now - stopper.REMEMBERED)
        self.stoppable = stopper.look(self, now, self._margin)

    def _margin(self, job: Job) -> int:
        """Seconds kept before the latest start: the site's, the predicted wait, the scheduler's."""
        planning, cluster = self.settings.planning, self.cluster
        keeps_age = cluster is not None and cluster.accrue_always
        wait = self._waits.predicted(job, planning.default_queue_wait, keeps_age=keeps_age)
        interval = cluster.sched_interval if cluster else 60
        # Rule 10: while it waits for its begin time it gains no age priority.
        age = 0 if keeps_age else planning.default_queue_wait
        return planning.margin_seconds + wait + interval + age

    # ---- planning

    def _signals_usable(self) -> bool:
        return bool(self.series) and all(
            series.quality in (Quality.GOOD, Quality.PARTIAL) for series in self.series.values()
        )

    def _may_plan(self) -> bool:
        return self.cluster is not None and self.snapshot is not None

    async def _plan(self, now: int, *, exact: bool = False) -> None:
        assert self.cluster is not None  # noqa: S101 - the caller asked _may_plan; tells mypy
        assert self.snapshot is not None  # noqa: S101 - as above
        recent = self._ramp.recent(now)
        await self._planning.run(self, self.snapshot, self.cluster, now, recent, exact=exact)

    def _note_carbon(self, now: int) -> None:
        """What flexible jobs emitted since the last cycle, where a cap of a day counts it."""
        carbon, snapshot = self.series.get(Kind.CARBON), self.snapshot
        if carbon is None or snapshot is None or not caps_wanted(self.settings.planning):
            return
        if not carbon.grid.start <= now < carbon.grid.end:
            return
        running = emitters(self, snapshot, self.kw, self.outlook, now)
        self._carbon.note(now, running, float(carbon.values[carbon.grid.slot_of(now)]))

    def _wanted(self, now: int) -> Mapping[int, Wanted]:
        """What the last plan wants of each movable job; empty when it is not of this moment.

        Of a job in a partition without one usable node it wants nothing: such a job cannot start, so that a
        release would gain it nothing, and all of them would start at once when the nodes are back.
        """
        found, problem = self.last_plan, self.problem
        if found is None or problem is None or self.planned_at != now or not self._signals_usable():
            return {}
        has_room = [bool(room.any()) for room in problem.capacity]
        wanted = {
            job_id: Wanted(
                int(found.start[row]) if found.moved[row] else 0,
                Reason(int(found.reason[row])).word,
            )
            for job_id, row in self.rows.items()
            if job_id in self.flex and has_room[problem.pool[row]]
        }
        if self.aside in wanted:
            record = self.flex[self.aside].record
            held = record.hold if record and record.hold > now + STEP // 2 else now + STEP
            wanted[self.aside] = Wanted(held, "steps aside for jobs that fit now")
        return wanted

    # ---- acting

    def _may_hold(self) -> bool:
        return (
            self._acting()
            and self.snapshot is not None
            and self.snapshot.complete
            and self._signals_usable()
            and not self.actuator.unwitnessed
        )

    async def _carry_out(self, now: int, only: Collection[int] | None) -> Sequence[Result]:
        self.over_ramp = ()
        if self.settings.daemon.mode != "act" or self.paused:
            return ()
        stopped = await self._stop_and_resume(now)
        slowed = await self._slow(now) if only is None else ()
        wait = slower.waiting_to_be_slowed(self, now)
        wanted = {} if self.draining else self._wanted(now)
        room = self._room(now) if self.settings.planning.ramp_kw_per_5min else None
        actions = decide(
            self.flex,
            {job_id: want for job_id, want in wanted.items() if job_id not in wait},
            now=now,
            may_hold=self._may_hold(),
            only=only,
            backoff=self.actuator.backoff,
            room=room,
            kw=self.kw,
        )
        if room is not None:
            self.over_ramp = room.turned_away
        decided = await self._send(actions, now)
        if only is None:
            decided = [*decided, *await self._bring_back(now), *await self._move(now)]
        # Last: what a window's end holds back is held before it gets its own pace again.
        return [*stopped, *slowed, *decided, *await self._unslow(now)]

    async def _bring_back(self, now: int) -> Sequence[Result]:
        """Jobs that nothing keeps at another site any more."""
        actions = returns(self, self._asked_back)
        results = await self._send(actions, now)
        ids = {action.action_id: action.job_id for action in actions}
        done = {Outcome.APPLIED, Outcome.ALREADY_SO}
        self._asked_back |= {ids[one.action_id] for one in results if one.outcome in done}
        return results

    async def _move(self, now: int) -> Sequence[Result]:
        """Jobs that go to another site: held until the start that was weighed, then narrowed to it."""
        chosen = moves(self, self._sites, now) if self._may_hold() and not self.draining else []
        results: list[Result] = []
        for hold, move in chosen:
            held = await self._send([hold], now) if hold is not None else ()
            results += held
            if all(one.outcome in {Outcome.APPLIED, Outcome.ALREADY_SO} for one in held):
                results += await self._send([move], now)
        return results

    def _may_act_for_windows(self, now: int) -> bool:
        """As for new holds, by a plan that is not old."""
        return now - self.planned_at <= 2 * self.settings.daemon.cycle_seconds and self._may_hold()

    def _may_stop(self, now: int) -> bool:
        """Only where the site wants it."""
        return self.settings.windows.stop_running and self._may_act_for_windows(now)

    async def _slow(self, now: int) -> Sequence[Result]:
        """Arrays whose moment to be slowed has come."""
        actions = slower.due(self, now) if self._may_act_for_windows(now) else ()
        return await self._send(actions, now)

    async def _unslow(self, now: int) -> Sequence[Result]:
        """Slowed arrays that nothing keeps so any more, as fast as the ramp cap lets them go."""
        actions = slower.restores(self, now)
        if not actions:
            return ()
        ready, _ = within_ramp(actions, slower.step_kw(self), self._room(now))
        return await self._send(ready, now)

    async def _stop_and_resume(self, now: int) -> Sequence[Result]:
        """Stops whose moment has come, and suspended jobs that nothing keeps any more."""
        stops = stopper.due(self, now) if self._may_stop(now) else []
        back, _ = self._resumes(now)
        if not stops and not back:
            return ()
        chosen = [self.stoppable[record.job_id].record for _, record in stops]
        self.actuator.keep(chosen)
        self._store.add_stops([record for _, record in stops])
        results = await self._send([*(action for action, _ in stops), *back], now)
        self._look_at_stops(now)
        return results

    def _resumes(self, now: int) -> tuple[Sequence[Action], Sequence[Action]]:
        """Those that go now, and those that the ramp cap lets go later."""
        kw = {one.job_id: one.kw for one in self.stops}
        return within_ramp(stopper.resumes(self, now), kw, self._room(now))

    def _room(self, now: int) -> RampRoom:
        """What the ramp cap lets start now, beside the begin times in force."""
        held = {
            job_id: (known.record.hold, self.kw.get(job_id, 0.0))
            for job_id, known in self.flex.items()
            if is_held(known, now) and known.record is not None
        }
        return self._ramp.room(self.settings.planning.ramp_kw_per_5min, now, held)

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
