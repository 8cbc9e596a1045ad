"""A process without Slurm: what people see and may ask of it where there is no loop over a queue.

Law: implements ports.AgentView. It touches no job, for there is none; it never lets the plugin delay a new job.
What needs a queue is refused with that reason. Epoch seconds (UTC).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.agents.asset_ports import AssetsView
from flexlond.agents.envelope_ports import NoEnvelope
from flexlond.agents.plan_views import signal_line
from flexlond.agents.ports import DrainView, PlanSlotView, ReleaseView, SignalsView, StatusView
from flexlond.agents.window_ports import refused
from flexlond.model.series import Kind
from flexlond.model.timegrid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flexlond.agents.envelope_ports import EnvelopeView
    from flexlond.agents.inquiry import Hub
    from flexlond.agents.ports import ExplainView, JobView, PlanView, SignalLine
    from flexlond.agents.window_ports import AddedView, WindowOrder, WindowView
    from flexlond.model.series import Series
    from flexlond.model.settings import Settings

NO_QUEUE = "this process runs without Slurm (agents.compute_flex = false)"


class Idle:
    """The view of a process that has no queue."""

    def __init__(
        self, settings: Settings, hub: Hub, *, clock: Callable[[], int], version: str
    ) -> None:
        self.settings = settings
        self.paused = False
        self._hub, self._clock, self._version = hub, clock, version
        self._started = clock()
        self.sentence, self._beaten_at = "nothing was done yet", 0

    def status(self) -> StatusView:
        """The state of the process."""
        return StatusView(
            version=self._version,
            mode=self.settings.daemon.mode,
            paused=self.paused,
            draining=False,
            slurm_version="",
            reader="none",
            reader_reason=NO_QUEUE,
            helper_answering=False,
            helper_detail=NO_QUEUE,
            last_cycle_at=self._beaten_at,
            last_cycle=self.sentence,
            last_cycle_seconds=0.0,
            jobs_seen=0,
            jobs_flexible=0,
            jobs_held=0,
            opted_out=0,
            signals=self._lines(),
            slot_seconds=self.settings.grid.slot_seconds,
            warnings=(),
            started_at=self._started,
        )

    def jobs(self) -> Sequence[JobView]:
        """None."""
        return ()

    def explain(self, job_id: int) -> ExplainView | None:  # noqa: ARG002 - the port's
        """No job is known."""
        return None

    def plan(self) -> PlanView | None:
        """No plan is made."""
        return None

    def signals(self) -> SignalsView:
        """The feeds and their values."""
        found = self._series()
        grid = next(iter(found.values())).grid
        price, carbon = found[Kind.PRICE].values, found[Kind.CARBON].values
        return SignalsView(
            self._lines(),
            tuple(
                PlanSlotView(start, float(price[at]), float(carbon[at]), 0.0, 0.0, 0)
                for at, start in enumerate(grid.starts().tolist())
            ),
        )

    def show_assets(self) -> AssetsView:
        """None."""
        return AssetsView((), 0, math.nan, proven=False, problems=())

    def may_delay(self) -> bool:
        """Never."""
        return False

    async def pause(self) -> str:
        """Nothing new is set from now on."""
        self.paused = True
        return "paused"

    async def resume(self) -> str:
        """Undo `pause`."""
        self.paused = False
        return f"resumed: mode {self.settings.daemon.mode}"

    async def release(
        self,
        job_ids: Sequence[int] | None,
        *,
        uid: int,  # noqa: ARG002 - the port's
        operator: bool,  # noqa: ARG002 - the port's
    ) -> Sequence[ReleaseView]:
        """No job is held."""
        return [ReleaseView(job_id, released=False, detail=NO_QUEUE) for job_id in job_ids or ()]

    async def drain(self) -> DrainView:
        """No job is held; assets are left to themselves."""
        self.paused = True
        return DrainView(0, 0, NO_QUEUE)

    def list_windows(self) -> Sequence[WindowView]:
        """None."""
        return ()

    def show_window(self, window_id: int) -> WindowView | None:  # noqa: ARG002 - the port's
        """None."""
        return None

    async def add_window(self, order: WindowOrder, *, dry_run: bool) -> AddedView:  # noqa: ARG002 - the port's
        """A window is one of Slurm's jobs."""
        return refused(NO_QUEUE)

    async def cancel_window(self, window_id: int) -> WindowView | None:  # noqa: ARG002 - the port's
        """None."""
        return None

    async def envelope(self, span: tuple[int, int] | None) -> EnvelopeView | NoEnvelope:  # noqa: ARG002 - the port's
        """There is no queue to price."""
        return NoEnvelope(NO_QUEUE)

    async def reload(self, settings: Settings) -> str:
        """Take over checked settings."""
        fixed = [
            name
            for name in ("compute_flex", "asset_site")
            if getattr(settings.agents, name) != getattr(self.settings.agents, name)
        ]
        if settings.assets != self.settings.assets:
            fixed.append("[[assets]]")
        self.settings = settings
        return (
            f"taken over; needs a restart to change: {', '.join(fixed)}" if fixed else "taken over"
        )

    async def tick(self, now: int) -> None:
        """Nothing comes between two cycles."""

    async def cycle(self, now: int) -> str:
        """Say that it lives."""
        self._beaten_at, self.sentence = now, f"alive; {NO_QUEUE}"
        return self.sentence

    def _series(self) -> dict[Kind, Series]:
        now, grid = self._clock(), self.settings.grid
        on = TimeGrid.covering(now, grid.slot_seconds, grid.horizon_slots)
        return {kind: self._hub.series(kind, on, now) for kind in (Kind.PRICE, Kind.CARBON)}

    def _lines(self) -> tuple[SignalLine, ...]:
        return tuple(signal_line(kind, series) for kind, series in self._series().items())
