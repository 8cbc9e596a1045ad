"""The port of the ledger, as the loop needs it: what is about to be done, and what came of it.

Law: what could not be recorded may not make a job wait (invariant I9): the actuator then sends only what
lets jobs run. What has been done is recorded when it can be; it is never undone for want of a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flexlond.model.action import Verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.model.action import Action, Result
    from flexlond.model.job import Job

MAKES_WAIT = frozenset(
    {Verb.HOLD_UNTIL, Verb.REQUEUE, Verb.REQUEUE_UNTIL, Verb.SUSPEND, Verb.SLOW, Verb.ROUTE}
)


class Witness(Protocol):
    """Calls come from the loop's task only."""

    @property
    def problem(self) -> str:
        """Why nothing can be recorded; "" while it can."""
        ...

    async def intents(self, actions: Sequence[Action], jobs: Mapping[int, Job], now: int) -> bool:
        """True when all of them are on record, durably; never raises."""
        ...

    def effects(self, results: Sequence[Result], now: int) -> None:
        """Record what came of intents, as soon as it can be; never raises."""
        ...


class Notary(Protocol):
    """What else goes on record: nothing waits for it, and nothing is left undone for want of it."""

    @property
    def latest(self) -> Mapping[str, str | int]:
        """The newest signed checkpoint; empty before the first."""
        ...

    async def noted(self, since: int) -> frozenset[tuple[str, str]]:
        """(kind, id) of every note on record since a moment. Raises LedgerError."""
        ...

    def note(self, kind: str, name: str, body: Mapping[str, object], now: int) -> bool:
        """Hand over one note; False when it must be handed over again later. Never raises."""
        ...
