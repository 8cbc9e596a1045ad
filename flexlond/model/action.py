"""What the daemon wants done to one job, and what came of it.

Law: an Action is an intent. It is stored before it is sent; its Result is stored after; an Unknown result
is settled by the next observation, never by sending again blindly.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """The helper's verbs (protos/flexlon/helper/v1)."""

    HOLD_UNTIL = "hold-until"
    RELEASE = "release"
    REQUEUE = "requeue"
    REQUEUE_UNTIL = "requeue-until"
    SUSPEND = "suspend"
    RESUME = "resume"
    LET_OFF = "let-off"
    SLOW = "slow"
    UNSLOW = "unslow"
    ROUTE = "route"
    WIDEN = "widen"


class Outcome(StrEnum):
    """How an action ended."""

    APPLIED = "applied"
    ALREADY_SO = "already-so"
    REFUSED = "refused"
    NOT_FOUND = "not-found"
    UNKNOWN = "unknown"
    SUPERSEDED = "superseded"  # set by the daemon: a newer observation made it void


@dataclass(frozen=True, slots=True)
class Action:
    """One intent. `expected_begin` and `expected_state` guard against a job that changed meanwhile."""

    action_id: str
    job_id: int
    submit: int
    restarts: int
    expected_begin: int
    expected_state: str
    verb: Verb
    not_before: int
    reason: str
    width: int = 0  # SLOW: tasks at once; UNSLOW: what was set for it
    site: str = ""  # ROUTE: the only cluster where it may start until `not_before`


@dataclass(frozen=True, slots=True)
class Result:
    """What the helper says of one action, with what it saw in Slurm afterwards."""

    action_id: str
    outcome: Outcome
    code: str
    detail: str
    observed_begin: int
    observed_state: str
