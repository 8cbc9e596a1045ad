"""Promises kept by the queue: each is a window of the window service, under the order's id.

Law: the window service decides; what it says is passed on. What leaves here are kW by slot and words without
names: of the reasons for a shortfall only their kind. The usage of a slot is known when the meter covers all of
it and has read past its end; modelled power is a forecast, whatever it is of (I6). Epoch seconds, kW.
"""

from __future__ import annotations

import math
import sqlite3
from typing import TYPE_CHECKING

from flexlond.agents.envelope_ports import NoEnvelope
from flexlond.agents.market.offering import from_envelope
from flexlond.agents.market.settled import METERED
from flexlond.agents.market.works import Kept, NotYet, Slot, Unkept
from flexlond.agents.window_ports import WindowOrder
from flexlond.agents.windows import REBOUND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flexlond.agents.compute_flex import ComputeFlex
    from flexlond.agents.market.offering import Offering
    from flexlond.agents.market.works import Promise
    from flexlond.agents.window_ports import WindowSlotView
    from flexlond.model.market_settings import SellSettings

BY = "market"
_WHOLE = 1.0 - 1e-9  # the share of a slot that the meter covers
_NEVER_NAMED = "more power is drawn than was planned"


class QueueWorks:
    """The windows of one Compute-Flex. `poke` makes the next cycle come at once."""

    def __init__(
        self, agent: ComputeFlex, sell: SellSettings, poke: Callable[[], None] = lambda: None
    ) -> None:
        self._agent = agent
        self.sell = sell
        self._poke = poke
        self._offering: Offering | None = None
        self._why = "the envelope was not asked for yet"

    async def refresh(self, now: float) -> None:  # noqa: ARG002 - the port's
        """Ask for the envelope of the plan in force."""
        if why := self._agent.why_not_keeping():
            self._offering, self._why = None, why
            return
        view = await self._agent.envelope(None)
        if isinstance(view, NoEnvelope):
            self._offering, self._why = None, view.why
            return
        stops = self._agent.settings.windows.stop_running
        curtailment = ("HOLD_PENDING", *(("REQUEUE_CHECKPOINTABLE", "SUSPEND") * stops))
        grid = self._agent.settings.grid
        self._why = ""
        self._offering = from_envelope(
            view,
            self.sell,
            horizon=grid.slot_seconds * grid.horizon_slots,
            rebound=REBOUND_SECONDS,
            curtailment=curtailment,
        )

    def offering(self, now: float) -> Offering | None:
        """The last one, while it is fresh and windows can be kept."""
        found = self._offering
        if found is None or now - found.made_at > self.sell.stale or self._agent.why_not_keeping():
            return None
        return found

    def why_none(self) -> str:
        """Why nothing is for sale."""
        if self._why:
            return self._why
        return self._agent.why_not_keeping() or "the envelope is older than market.sell.stale"

    def keeps_since(self, key: str) -> float:
        """When its window was made; the plans after that moment are under it."""
        window = self._agent.window_of(key)
        return math.inf if window is None or window.cancelled else float(window.created)

    async def make(self, promise: Promise, now: float) -> Kept | Unkept:  # noqa: ARG002 - the port's
        """Order the window. Raises NotYet while there is no plan, or the store cannot be written."""
        if self._agent.window_of(promise.key) is None and (why := self._agent.why_not_keeping()):
            raise NotYet(why)
        replaced = self._agent.window_of(promise.replaces)
        slots = sorted(promise.watts)
        by_slot = tuple(promise.watts[at] / 1000.0 for at in slots)
        order = WindowOrder(
            promise.start,
            promise.end,
            math.nan,
            max(by_slot),
            BY,
            replaces=replaced.window_id if replaced and not replaced.cancelled else 0,
            order_id=promise.key,
            by_slot=by_slot,
        )
        try:
            added = await self._agent.add_window(order, dry_run=False)
        except sqlite3.Error as error:
            raise NotYet(f"the store cannot be written ({error})") from None
        if added.window is None:
            if self._agent.snapshot is None or self._agent.cluster is None:
                raise NotYet(added.detail)
            return Unkept(added.detail)
        if not added.added:
            return Unkept("it was released before")
        self._poke()
        return Kept(f"window {added.window.window_id}")

    async def restore(self, promise: Promise, now: float) -> None:
        """Windows are on disk: one that is gone was ended by somebody."""

    async def release(self, key: str, now: float) -> None:  # noqa: ARG002 - the port's
        """Cancel the window, if there is one."""
        window = self._agent.window_of(key)
        if window is None or window.cancelled:
            return
        try:
            await self._agent.cancel_window(window.window_id)
        except sqlite3.Error as error:
            raise NotYet(f"the store cannot be written ({error})") from None
        self._poke()

    def progress(self, promise: Promise, now: float) -> Sequence[Slot]:
        """From the window's slots: planned while they are to come, metered when they are over."""
        window = self._agent.window_of(promise.key)
        view = self._agent.show_window(window.window_id) if window else None
        if view is None:
            return ()
        counted = self._counted(promise.key)
        return [self._slot(slot, view.slot_seconds, now, counted=counted) for slot in view.slots]

    def _slot(self, slot: WindowSlotView, seconds: int, now: float, *, counted: bool) -> Slot:
        end = slot.start + seconds
        if end > now:
            return Slot(
                slot.start, slot.baseline_kw, planned_kw=slot.planned_kw if counted else math.nan
            )
        settled = self._agent.power.past(end) or now >= end + self.meter_seconds
        measured = slot.observed_source == METERED and slot.metered_share >= _WHOLE
        return Slot(
            slot.start,
            slot.baseline_kw,
            planned_kw=slot.observed_kw,  # as far as it is known
            usage_kw=slot.observed_kw if settled and measured else math.nan,
            source=METERED if settled and measured else "",
        )

    @property
    def meter_seconds(self) -> float:
        """As long as a reading stands."""
        return self._agent.settings.meter.max_age

    def why_short(self, key: str, now: float) -> str:  # noqa: ARG002 - the port's
        """That it falls short; the reasons with figures of jobs stay in `flexlonctl window show`."""
        window = self._agent.window_of(key)
        view = self._agent.show_window(window.window_id) if window else None
        return _NEVER_NAMED if view is not None and view.detail and self._counted(key) else ""

    def _counted(self, key: str) -> bool:
        """Whether the plan in force was made under its window."""
        return self.keeps_since(key) < self._agent.planned_at
