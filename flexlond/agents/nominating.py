"""The scheduler's own forecast, as it is fixed before gate closure: the nominated baseline of settlement.

Law: pure. What was sold is not taken off: where a promise is in force its window's baseline stands, the plan of
the moment before it (of several promises in one slot the first one's), or the reduction would be in the
baseline that it is measured against. A period is fixed once: a promise's as soon as it is in force, any other
shortly before its gate closure; what is known already is never said again. Epoch seconds, kW.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.model.settlement_period import GATE, LENGTH
from flexlond.settlement.nominated import Nomination, from_plan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from flexlond.agents.state import LoopState
    from flexlond.model.window import Window


def nominations(
    agent: LoopState, point: str, known: Collection[int], now: int, lead: float
) -> list[Nomination]:
    """The periods to fix now. `known` are the starts of those that are; `lead` is seconds before gate closure.

    Nothing while there is no fresh plan: a forecast that nobody has is not fixed.
    """
    found, cycle = agent.last_plan, agent.settings.daemon.cycle_seconds
    if found is None or now - agent.planned_at > 2 * cycle:
        return []
    grid = found.grid
    kw = [float(value) for value in found.kw]
    sold: set[int] = set()
    for window in _promised(agent.windows):
        for start, base in zip(window.slot_starts(), window.baseline, strict=True):
            at = grid.slot_of(start)
            if 0 <= at < grid.count:
                kw[at] = base
                sold.update(range(start - start % LENGTH, start + window.slot_seconds, LENGTH))
    due = now + GATE + max(lead, 2 * cycle)
    return [
        one
        for one in from_plan(point, grid.start, grid.slot_seconds, kw, now)
        if one.start not in known and (one.start <= due or one.start in sold)
    ]


def _promised(windows: Iterable[Window]) -> list[Window]:
    """Windows of the market in force, the latest first: what comes later stands, and that is the first one."""
    mine = [one for one in windows if one.baseline and not one.cancelled]
    return sorted(mine, key=lambda one: (one.created, one.window_id), reverse=True)
