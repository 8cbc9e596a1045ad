"""A stop: one running job that was taken off its nodes, or suspended, for a window; as it is recorded.

Law: pure data. A record is made before anything is sent and never changes; how it ended is its intent's end.
Epoch seconds, kW, GBP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flexlond.model.action import Outcome, Verb


@dataclass(frozen=True, slots=True)
class StopRecord:
    """One job stopped for one window."""

    action_id: str  # of its intent
    window_id: int
    job_id: int
    first_submit: int
    restarts: int  # before it
    verb: Verb  # REQUEUE_UNTIL or SUSPEND
    at: int  # when it was ordered
    grace: int  # s of its checkpoint
    until: int  # held until then, or resumed then
    kw: float  # that it takes away
    cost_gbp: float
    reason: str
    outcome: Outcome | None = None  # of its intent; None: none yet
    detail: str = ""
    sent: bool = True  # its intent was written: without it nothing can have happened
