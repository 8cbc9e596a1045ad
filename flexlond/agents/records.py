"""What the loop remembers of a job, and the port of the store that keeps it.

Law: a JobRecord exists for a job that is or was flexible, or that we touched; nothing else is remembered.
Its key is (job id, first submission): a requeued job is the same job with more Restarts, a reused id is
another job. Times are epoch seconds, 0 is "none". The store writes intents before effects and results after
(invariant I2); a port here keeps the loop free of SQLite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flexlond.agents.power_log import PowerStore
    from flexlond.model.action import Action, Outcome, Result
    from flexlond.model.stop import StopRecord
    from flexlond.model.window import Window, WindowSample


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One flexible job as we have known it."""

    job_id: int
    first_submit: int
    submit: int
    restarts: int
    original_begin: int  # the begin time before our first change; what a release restores
    eligible: int  # the first moment it could have started without us; 0 while it waits for others
    hold: int = 0  # the begin time of ours in force; 0: none
    hold_seen: bool = False  # an effect counts once observed
    ours: frozenset[int] = frozenset()  # every begin time that we have intended for it
    came_due: bool = False  # its planned start has come, or it was given back: never held again
    opted_out: int = 0  # when its owner took it out; for good
    opted_out_why: str = ""
    touched: bool = False
    last_seen: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """(job id, first submission)."""
        return (self.job_id, self.first_submit)


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent without a result: the next observation settles it."""

    action: Action
    created: int


@dataclass(frozen=True, slots=True)
class IntentLine:
    """One intent with its end, for `explain` and for the invariants' tests."""

    action: Action
    created: int
    outcome: Outcome | None
    code: str
    detail: str
    ended: int


class Store(Protocol):
    """What the loop needs of a store. Calls are synchronous, short and durable when they return."""

    def records(self) -> Mapping[int, JobRecord]:
        """The newest record of every job id."""
        ...

    def save_records(self, records: Iterable[JobRecord]) -> None:
        """Insert or replace."""
        ...

    def record_intents(self, actions: Sequence[Action], at: int) -> None:
        """Durable before any of them is sent."""
        ...

    def record_results(self, results: Sequence[Result], at: int) -> None:
        """End intents; an intent that has ended stays as it ended."""
        ...

    def open_intents(self) -> Sequence[OpenIntent]:
        """Intents without a result, oldest first."""
        ...

    def history(self, job_id: int, first_submit: int) -> Sequence[IntentLine]:
        """The job's intents, oldest first."""
        ...

    def add_cycle(self, at: int, sentence: str, seconds: float) -> None:
        """The cycle's one sentence."""
        ...

    def add_wait(self, partition: str, seconds: int, at: int) -> None:
        """A queue wait that was observed: start less the moment the job could have started."""
        ...

    def waits(self, since: int) -> Mapping[str, Sequence[int]]:
        """Observed waits by partition."""
        ...

    def get(self, key: str) -> str:
        """A small persistent flag; "" when unset."""
        ...

    def put(self, key: str, value: str) -> None:
        """Set a small persistent flag."""
        ...

    def get_blob(self, key: str) -> bytes:
        """What `put_blob` was given last; b"" when nothing was."""
        ...

    def put_blob(self, key: str, value: bytes, at: int) -> None:
        """Keep something learnt as of `at`."""
        ...

    @property
    def power(self) -> PowerStore:
        """Where the site's power is kept."""
        ...

    def windows(self) -> Sequence[Window]:
        """Every window that was ever accepted, oldest first."""
        ...

    def add_window(self, window: Window, replaces: int = 0) -> Window:
        """Durable when it returns; the window with its number. `replaces` ends in the same moment."""
        ...

    def cancel_window(self, window_id: int, at: int) -> None:
        """It ends at `at`; one that is cancelled already stays as it is."""
        ...

    def add_samples(self, samples: Sequence[WindowSample]) -> None:
        """Append what was seen; nothing that is there changes."""
        ...

    def samples(self, window_id: int) -> Sequence[WindowSample]:
        """What was seen of this window, oldest first."""
        ...

    def add_stops(self, records: Sequence[StopRecord]) -> None:
        """Durable before any of them is sent; all or none."""
        ...

    def stops(self, since: int) -> Sequence[StopRecord]:
        """The stops ordered since then, oldest first, each with the end of its intent."""
        ...

    def prune(self, before: int) -> None:
        """Forget what is older than `before` and no record of an effect."""
        ...
