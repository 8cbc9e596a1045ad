"""The site's power in the slots of windows: by the meter or by the model, recorded for good.

Law: a slot is recorded once, when it is over for so long that no usable reading of it can still come; until
then it is told from what is known. What was recorded never changes, and says which source it has. A daemon that
was away records what the power log still has of it. Holds and releases nothing. Epoch seconds, kW.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.agents.power_log import KEPT, slot_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.power_log import PowerStore
    from flexlond.agents.state import LoopState
    from flexlond.model.metering import SlotPower
    from flexlond.model.window import Window


def record(agent: LoopState, store: PowerStore, now: int) -> None:
    """Record the slots of windows that are settled by now."""
    settled = now - agent.settings.meter.max_age
    for window in agent.windows:
        if window.start > settled or window.end < now - KEPT:
            continue
        known = {one.start for one in store.slots(window.window_id)}
        found = [
            slot_of(agent, start, start + window.slot_seconds, now)
            for start in _begun(window, now)
            if start + window.slot_seconds <= settled and start not in known
        ]
        if found:
            store.add_slots(window.window_id, found)


def slots_of(
    agent: LoopState, store: PowerStore, window: Window, now: int
) -> Mapping[int, SlotPower]:
    """The power of each slot that has begun, by its first second."""
    found = {one.start: one for one in store.slots(window.window_id)}
    for start in _begun(window, now):
        if start not in found and start >= now - KEPT:
            found[start] = slot_of(agent, start, start + window.slot_seconds, now)
    return found


def _begun(window: Window, now: int) -> Sequence[int]:
    """The first seconds of the slots that have begun, of a cancelled window before it was cancelled."""
    until = min(now, window.cancelled or now)
    return [start for start in window.slot_starts() if start < until]
