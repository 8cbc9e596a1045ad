"""Compute-Flex: the loop, and what people may ask of it.

Law: implements ports.AgentView. What shows reads memory only; what steers takes its turn between two beats,
and what it promises is stored before it is done, so that a kill in between leaves fewer holds. Times are
epoch seconds (UTC).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from flexlond.agents import (
    adjusting,
    plan_views,
    slow_views,
    slower,
    stop_views,
    stopper,
    views,
    window_power,
    windows,
)
from flexlond.agents.asset_ports import AssetsView
from flexlond.agents.consent import ConsentReader
from flexlond.agents.decide import is_held, release, within_ramp
from flexlond.agents.explaining import explain
from flexlond.agents.loop import Loop
from flexlond.agents.ports import DrainView, ReleaseView
from flexlond.agents.sentence import because
from flexlond.agents.window_ports import AddedView, refused
from flexlond.model.action import Outcome
from flexlond.model.timegrid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.envelope_ports import EnvelopeView, NoEnvelope
    from flexlond.agents.planning_step import Trial
    from flexlond.agents.ports import ExplainView, JobView, PlanView, SignalsView, StatusView
    from flexlond.agents.window_ports import WindowOrder, WindowView
    from flexlond.model.action import Result
    from flexlond.model.settings import Settings
    from flexlond.model.window import Window
    from flexlond.planning.problem import Plan


class ComputeFlex(Loop):
    """The loop as others see it (ports.AgentView)."""

    def status(self) -> StatusView:
        """The state of the loop."""
        return views.status(self, self._clock())

    def jobs(self) -> Sequence[JobView]:
        """Every job of the last snapshot."""
        return views.jobs(self, self._clock())

    def explain(self, job_id: int) -> ExplainView | None:
        """Why this job starts when it starts."""
        return explain(self, self._store, job_id, self._clock())

    def plan(self) -> PlanView | None:
        """The last plan."""
        return plan_views.plan_view(self)

    def signals(self) -> SignalsView:
        """The feeds and their values."""
        return plan_views.signals_view(self)

    def show_assets(self) -> AssetsView:
        """The assets."""
        if self.assets is None:
            return AssetsView((), 0, math.nan, proven=False, problems=())
        return self.assets.view(self._clock())

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
            if await self._bring_back(now) and not await self._look(now):
                return DrainView(0, -1, self.sentence)
            actions = [
                release(known, "drain: FlexLon is being removed")
                for known in self.flex.values()
                if is_held(known, now)
            ]
            actions += stopper.resumes(self, now)
            kw = {**self.kw, **{one.job_id: one.kw for one in self.stops}}
            send, later = within_ramp(actions, kw, self._room(now))
            results = [*await self._send(send, now)]
            wide = slower.restores(self, now)
            actions += wide
            send, more = within_ramp(wide, slower.step_kw(self), self._room(now))
            results += await self._send(send, now)
            later = (*later, *more)
            restored = sum(1 for r in results if r.outcome in (Outcome.APPLIED, Outcome.ALREADY_SO))
            left = len(actions) - restored
            detail = "nothing of ours is left"
            if later:
                detail = "the ramp cap lets the rest go in the next minutes: call again"
            elif left:
                detail = f"not all could be restored ({self.actuator.detail}): call again"
            if self.settings.licence.taking_part and (
                reserved := await self._reservations.nothing("drain: FlexLon is being removed")
            ):
                left += reserved
                detail = (
                    f"reservations of the kw licence are left ({self.actuator.detail}): call again"
                )
            return DrainView(restored, left, detail)

    # ---- windows

    def list_windows(self) -> Sequence[WindowView]:
        """Every window, without its slots."""
        views = (self._window_view(one) for one in self.windows)
        return [replace(view, slots=(), stops=(), slows=()) for view in views]

    def show_window(self, window_id: int) -> WindowView | None:
        """One window with its slots."""
        found = self._window(window_id)
        return self._window_view(found) if found else None

    async def add_window(self, order: WindowOrder, *, dry_run: bool) -> AddedView:
        """What it costs and moves; stored, then in force with the next plan, unless `dry_run`."""
        async with self._lock:
            now = self._clock()
            if made_before := self.window_of(order.order_id):
                return self._made_before(made_before)
            grid = self.settings.grid
            ahead = TimeGrid.covering(now, grid.slot_seconds, grid.horizon_slots)
            if why := windows.why_not(order, ahead, now):
                return refused(why)
            if self.snapshot is None or self.cluster is None:
                return refused("the first cycle is not complete, nothing is planned yet: try again")
            replaced = self._window(order.replaces)
            if order.replaces and (replaced is None or not replaced.binds(now)):
                return refused(
                    f"window {order.replaces} is not in force: order a new one without --replace"
                )
            others = tuple(one for one in self.windows if one is not replaced)
            made: list[Window] = []
            profile = adjusting.profile_of(self.settings.settlement)

            def make(without: Plan) -> Window:
                peak_kw, planning = self._peaks.highest(now), self.settings.planning
                window = windows.make(order, without, planning, now, peak_kw=peak_kw)
                made.append(adjusting.guarded(window, without, profile))
                return made[0]

            trial = await self._planning.trial(
                self,
                self.snapshot,
                self.cluster,
                now,
                self._ramp.recent(now),
                windows=others,
                make=make,
            )
            window = made[0]
            if order.order_id and (why := self._unkept(order, window, trial)):
                return refused(why)
            above = windows.comes_back(order, window, trial, now)
            if above and not dry_run:
                return refused(above)
            if not dry_run:
                window = self._store.add_window(window, order.replaces)
                ended = () if replaced is None else (replace(replaced, cancelled=now),)
                self.windows = (*others, *ended, window)
            shown = windows.view(
                window,
                (),
                trial.problem,
                trial.under,
                now,
                power={},
                tail=stop_views.tail(self.settings, trial.stopping),
                stops=stop_views.planned(trial.stopping.stops),
                slows=slow_views.planned(trial.slowing.slows, window.end),
            )
            held = "" if self._may_hold() else f"; for now nothing is held for it: {because(self)}"
            fixed = (
                f"nothing was changed{held}"
                if dry_run
                else f"window {window.window_id} is in force{held}"
            )
            if above:
                fixed += f"; it would be refused: {above}"
            if self.settings.licence.taking_part and not held:
                fixed += "; Slurm itself keeps it for jobs with the kw licence"
            return AddedView(
                shown,
                not dry_run,
                *windows.rise(trial, self.settings.planning),
                moves=windows.moves(trial),
                stops=shown.stops,
                stops_gbp=trial.stopping.cost_gbp,
                detail=fixed,
            )

    async def cancel_window(self, window_id: int) -> WindowView | None:
        """End it; the next plan gives back what it held."""
        async with self._lock:
            now = self._clock()
            found = self._window(window_id)
            if found is None:
                return None
            if found.binds(now):
                self._store.cancel_window(window_id, now)
                ended = replace(found, cancelled=now)
                self.windows = tuple(ended if one is found else one for one in self.windows)
                found = ended
            return self._window_view(found)

    def window_of(self, order_id: str) -> Window | None:
        """The window that keeps an order of the market."""
        return next((one for one in self.windows if order_id and one.order_id == order_id), None)

    def why_not_keeping(self) -> str:
        """Why no window could be kept now; "" when one could."""
        if self.draining:
            return "draining"
        return "" if self._may_hold() and self.actuator.answering else because(self)

    def _unkept(self, order: WindowOrder, window: Window, trial: Trial) -> str:
        """Why an order of the market is refused after the trial; "" when it is kept."""
        if why := self.why_not_keeping():
            return f"for now nothing is held for it: {why}"
        shown = windows.view(
            window,
            (),
            trial.problem,
            trial.under,
            self._clock(),
            power={},
            tail=stop_views.tail(self.settings, trial.stopping),
        )
        if why := windows.unkept(order, window, shown):
            return why
        profile = adjusting.profile_of(self.settings.settlement)
        standing = [one for one in (*self.windows, window) if one.binds(self._clock())]
        return adjusting.raises(standing, trial.without, trial.under, profile)

    def _made_before(self, window: Window) -> AddedView:
        """The answer to an order that has its window already."""
        return AddedView(
            self._window_view(window),
            added=not window.cancelled,
            cost_gbp=0.0,
            carbon_gbp=0.0,
            delay_gbp=0.0,
            moves=(),
            detail=f"window {window.window_id} is there already",
        )

    async def envelope(self, span: tuple[int, int] | None) -> EnvelopeView | NoEnvelope:
        """What the queue can give and take, from the plan in force; takes no turn, the beats go on."""
        return await self._envelopes.get(self, span, self._clock())

    def _window(self, window_id: int) -> Window | None:
        return next((one for one in self.windows if one.window_id == window_id), None)

    def _window_view(self, window: Window) -> WindowView:
        now = self._clock()
        samples = self._store.samples(window.window_id)
        power = window_power.slots_of(self, self._store.power, window, now)
        return windows.view(
            window,
            samples,
            self.problem,
            self.last_plan,
            now,
            power=power,
            tail=stop_views.tail(self.settings, self.stopping),
            stops=stop_views.of_window(self, window, now),
            slows=slow_views.of_window(self, window, now),
        )

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
            if settings.assets != self.settings.assets:
                fixed.append("[[assets]]")
            self.settings = settings
            self.consents = ConsentReader(settings.directive, self._tz)
            if self.learner is not None:
                self.learner.settings = settings
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
