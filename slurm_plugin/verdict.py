"""What the policy answers: an action may be carried out, or not, and why.

Law: data and words only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.model.action import Outcome

if TYPE_CHECKING:
    from flexlond.model.action import Verb


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing is sent: why, as a stable word and a sentence."""

    outcome: Outcome
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Go:
    """The action may be carried out. `target`: the begin time to set (0: now), or the due time of a resume."""

    verb: Verb
    target: int
    signal: str = ""  # requeue: the checkpoint signal to send first
    wait: int = 0  # seconds between signal and requeue
    resume_first: bool = False
    free: bool = False  # fewer holds: no rate limit
    licenses: str = ""  # let-off: what stays
    width: int = 0  # slow, unslow: the throttle to set
    own: int = 0  # slow: its owner's throttle
    site: str = ""  # route: the only site where it may start
    sites: tuple[str, ...] = ()  # route: the sites before; widen: those to give back


def refuse(code: str, detail: str) -> Refusal:
    """Say no."""
    return Refusal(Outcome.REFUSED, code, detail)


def already(detail: str) -> Refusal:
    """Say that nothing needs doing."""
    return Refusal(Outcome.ALREADY_SO, "already-so", detail)
