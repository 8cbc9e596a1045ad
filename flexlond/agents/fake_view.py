"""The port's fake: an AgentView in memory, for tests of the shell and for trying the command line.

Law: it keeps the port's promises (flexlond/agents/ports.py) and no more: what is asked of it shows in
what it says afterwards; it touches no Slurm. Failures are scripted with `fail_next`, never random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flexlond.agents.asset_ports import AssetsView
from flexlond.agents.envelope_ports import NoEnvelope
from flexlond.agents.ports import (
    AlternativeView,
    DrainView,
    ExplainView,
    HistoryView,
    JobView,
    OutlookView,
    PlanView,
    ReleaseView,
    SignalsView,
    StatusView,
)
from flexlond.agents.window_ports import AddedView, MoveView, WindowSlotView, WindowView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.envelope_ports import EnvelopeView
    from flexlond.agents.window_ports import WindowOrder
    from flexlond.model.settings import Settings


@dataclass
class FakeAgent:
    """A loop that holds the jobs it is given and does what it is asked.

    `fail_next` is raised by the next tick or cycle, once. `calls` lists what was asked, in order.
    """

    state: StatusView
    held: list[JobView] = field(default_factory=list)
    last_plan: PlanView | None = None
    desk: AssetsView = field(
        default_factory=lambda: AssetsView((), 0, math.nan, proven=False, problems=())
    )
    feeds: SignalsView = field(default_factory=lambda: SignalsView((), ()))
    fail_next: Exception | None = None
    complete: bool = True
    calls: list[str] = field(default_factory=list)
    settings: Settings | None = None
    kept: list[WindowView] = field(default_factory=list)
    flexibility: EnvelopeView | NoEnvelope = field(default_factory=lambda: NoEnvelope("none"))
    answer: AddedView | None = None  # what the next window gets instead; None: it is accepted

    def status(self) -> StatusView:
        """Return the state with counts taken from the jobs."""
        return replace(
            self.state,
            jobs_seen=len(self.held),
            jobs_flexible=sum(job.flexible for job in self.held),
            jobs_held=sum(job.held_by_us for job in self.held),
            opted_out=sum(job.opted_out for job in self.held),
        )

    def jobs(self) -> Sequence[JobView]:
        """Return the jobs."""
        return tuple(self.held)

    def explain(self, job_id: int) -> ExplainView | None:
        """Return what the job's own fields say."""
        job = self._find(job_id)
        if job is None:
            return None
        history: tuple[HistoryView, ...] = ()
        if job.touched:
            history = (
                HistoryView(job.submit, "hold-until", job.planned_start, "applied", job.reason),
            )
        return ExplainView(
            job,
            f"Job {job_id}: {job.reason}",
            (f"latest start {job.latest_start}",),
            history,
            binding="price",
            outlook=OutlookView(
                job.duration_seconds / 2,
                job.duration_seconds * 0.6,
                job.duration_seconds / 1.25,
                job.duration_seconds,
                "user",
                24,
                job.kw,
                0.8 * job.kw,
                "coefficients, not measured",
                0,
            ),
            alternatives=(
                AlternativeView(
                    "now", job.eligible, job.cost_asap_gbp, job.co2_asap_kg, 0.0, 0.0, "dearer"
                ),
                AlternativeView(
                    "planned", job.planned_start, job.cost_gbp, job.co2_kg, 0.01, 0.02, ""
                ),
            ),
        )

    def plan(self) -> PlanView | None:
        """Return the plan it was given."""
        return self.last_plan

    def signals(self) -> SignalsView:
        """Return the feeds it was given."""
        return self.feeds

    def may_delay(self) -> bool:
        """As the port says, from the state."""
        state = self.state
        acting = state.mode == "act" and not state.paused and not state.draining
        return acting and state.helper_answering and self.complete

    async def pause(self) -> str:
        """Remember it."""
        self.calls.append("pause")
        self.state = replace(self.state, paused=True)
        return "paused: no new action; existing holds stay in Slurm"

    def show_assets(self) -> AssetsView:
        """Return the assets."""
        return self.desk

    async def resume(self) -> str:
        """Undo pause and drain."""
        self.calls.append("resume")
        self.state = replace(self.state, paused=False, draining=False)
        return f"mode {self.state.mode}"

    async def release(
        self, job_ids: Sequence[int] | None, *, uid: int, operator: bool
    ) -> Sequence[ReleaseView]:
        """Release what is held; a release by the owner opts the job out."""
        self.calls.append(f"release {job_ids} uid={uid} operator={operator}")
        wanted = [job.job_id for job in self.held if job.held_by_us] if job_ids is None else job_ids
        answers = []
        for job_id in wanted:
            job = self._find(job_id)
            if job is None or not job.held_by_us:
                answers.append(ReleaseView(job_id, released=False, detail="is not held by FlexLon"))
                continue
            self._put(replace(job, held_by_us=False, begin=0, opted_out=not operator))
            answers.append(ReleaseView(job_id, released=True, detail="released"))
        return answers

    async def drain(self) -> DrainView:
        """Release everything and hold nothing more."""
        self.calls.append("drain")
        self.state = replace(self.state, draining=True)
        restored = [job for job in self.held if job.held_by_us]
        for job in restored:
            self._put(replace(job, held_by_us=False, begin=0))
        return DrainView(len(restored), 0, "nothing of ours is left in Slurm")

    def list_windows(self) -> Sequence[WindowView]:
        """Return the windows without their slots."""
        return [replace(one, slots=()) for one in self.kept]

    def show_window(self, window_id: int) -> WindowView | None:
        """Return the window."""
        return next((one for one in self.kept if one.window_id == window_id), None)

    async def add_window(self, order: WindowOrder, *, dry_run: bool) -> AddedView:
        """Accept it as one slot of the order's cap, moving every job that is held."""
        self.calls.append(f"add-window {order} dry_run={dry_run}")
        if self.answer is not None:
            return self.answer
        number = 0 if dry_run else len(self.kept) + 1
        slot = WindowSlotView(order.start, order.cap_kw, 1.5, math.nan, 0.0, ramp_in=False)
        seconds = order.end - order.start
        window = WindowView(
            window_id=number,
            start=order.start,
            end=order.end,
            slot_seconds=seconds,
            state="planned",
            cap_kw=order.cap_kw,
            down_kw=order.down_kw,
            ramp_slots=0,
            created=self.state.last_cycle_at,
            created_by=order.by,
            cancelled=0,
            rebound_kw=math.inf,
            rebound_end=0,
            shortfall_kw=0.0,
            short_slots=0,
            detail="",
            slots=(slot,),
        )
        if not dry_run:
            self.kept.append(window)
        moved = tuple(MoveView(job.job_id, job.begin, order.end, job.kw) for job in self.held)
        detail = "nothing was changed" if dry_run else f"window {number} is in force"
        return AddedView(window, not dry_run, 0.25, 0.05, 0.01, moved, detail)

    async def cancel_window(self, window_id: int) -> WindowView | None:
        """Cancel it."""
        self.calls.append(f"cancel-window {window_id}")
        found = self.show_window(window_id)
        if found is None:
            return None
        ended = replace(found, state="cancelled", cancelled=self.state.last_cycle_at)
        self.kept = [ended if one is found else one for one in self.kept]
        return ended

    async def envelope(self, span: tuple[int, int] | None) -> EnvelopeView | NoEnvelope:
        """Return the one it was given."""
        self.calls.append(f"envelope {span}")
        return self.flexibility

    async def reload(self, settings: Settings) -> str:
        """Take the mode over."""
        self.calls.append("reload")
        self.settings = settings
        self.state = replace(self.state, mode=settings.daemon.mode)
        return f"mode {settings.daemon.mode}"

    async def tick(self, now: int) -> None:
        """Count, or fail as scripted."""
        self.calls.append(f"tick {now}")
        self._maybe_fail()

    async def cycle(self, now: int) -> str:
        """Say what it saw, or fail as scripted."""
        self.calls.append(f"cycle {now}")
        self._maybe_fail()
        sentence = f"{len(self.held)} jobs, nothing to do"
        self.state = replace(self.state, last_cycle_at=now, last_cycle=sentence)
        return sentence

    def _maybe_fail(self) -> None:
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error

    def _find(self, job_id: int) -> JobView | None:
        return next((job for job in self.held if job.job_id == job_id), None)

    def _put(self, job: JobView) -> None:
        self.held = [job if old.job_id == job.job_id else old for old in self.held]
