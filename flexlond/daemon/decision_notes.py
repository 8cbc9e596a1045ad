"""What was decided, for the ledger: plans that hold others or otherwise, windows, orders taken or refused.

Law: as books_notes.py: no name of a job or a person, so a plan is told by counts and a digest of its holds, and
a window without who ordered it. Of plans with the same holds the first is told, of several between two turns
the last. Whole watts; epoch seconds.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

from flexlond.agents.market.sales import SaleState
from flexlond.daemon.books_notes import RECENT, Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flexlond.agents.compute_flex import ComputeFlex
    from flexlond.agents.market.sales import Sale
    from flexlond.model.window import Window

_DECIDED = (
    SaleState.KEPT,
    SaleState.REFUSED,
    SaleState.RELEASED,
    SaleState.OVER,
)


class Decisions:
    """The decisions of one daemon."""

    def __init__(self) -> None:
        self._holds = ""  # the digest of the newest plan's
        self._plan: list[Note] = []

    def of(self, agent: ComputeFlex | None, sales: Iterable[Sale], now: int) -> list[Note]:
        """What was decided of late, by whomever; each has the same name whenever it is asked for."""
        found = [one for sale in sales if sale.end > now - RECENT for one in _sold(sale)]
        if agent is None:
            return found
        for window in agent.windows:
            if max(window.created, window.cancelled) > now - RECENT:
                found += _window(window)
        return [*self._of_plan(agent), *found]

    def _of_plan(self, agent: ComputeFlex) -> list[Note]:
        plan = agent.last_plan
        if plan is None:
            return []
        moved = plan.moved
        holds = sorted(zip(plan.job_id[moved].tolist(), plan.start[moved].tolist(), strict=True))
        mark = hashlib.sha256(repr(holds).encode()).hexdigest()
        if mark != self._holds:
            self._holds = mark
            body = {
                "decision": "plan",
                "planned_at": agent.planned_at,
                "jobs": len(plan.start),
                "held": len(holds),
                "sha256": mark,
                "last": max((start for _, start in holds), default=0),
            }
            self._plan = [Note("decision", f"plan@{agent.planned_at}", body)]
        return self._plan


def _window(window: Window) -> Iterator[Note]:
    name = f"window {window.window_id}"
    body = {
        "decision": "window",
        "window": window.window_id,
        "order": window.order_id,
        "start": window.start,
        "slot_seconds": window.slot_seconds,
        "watts": _watts(window.caps),
        "baseline_watts": _watts(window.baseline),
        "guard_start": window.guard_start,
        "guard_watts": _watts(window.guard),
        "created": window.created,
    }
    yield Note("decision", name, body)
    if window.cancelled:
        gone = {
            "decision": "window cancelled",
            "window": window.window_id,
            "at": window.cancelled,
        }
        yield Note("decision", f"{name} cancelled", gone)


def _sold(sale: Sale) -> Iterator[Note]:
    if sale.state not in _DECIDED:
        return
    body: dict[str, Any] = {
        "decision": f"order {sale.state.value}",
        "order": sale.order_id,
        "revision": sale.revision,
        "start": sale.start,
        "slot_seconds": sale.slot_seconds,
        "watts": [sale.watts[at] for at in sorted(sale.watts)],
    }
    yield Note("decision", f"{sale.key} {sale.state.value}", body)


def _watts(kw: Iterable[float]) -> list[int]:
    return [round(1000.0 * one) for one in kw if math.isfinite(one)]
