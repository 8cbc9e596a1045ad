"""What a policy is asked in a replay, and what it may see.

Law: a policy decides begin times, nothing else. It sees the queue, what runs and what was published of the
signals by now; a job's `trace.runtime` is not for it to read (nor the end of a job that has not ended), only
the limit and what it has learned from jobs that ended, unless it is named a policy with perfect knowledge.
Begin times are epoch seconds; one that is absent, or not later than now, means at once. The engine holds
flexible jobs only and never past their latest start.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from flexlond.backtest.case import Flexibility, Trace
    from flexlond.backtest.easy import Lane

ARRIVE, TICK = "arrive", "tick"


class State:
    """The cluster at `now`, for reading; live: it changes with the replay, keep no part of it."""

    __slots__ = ("_lanes", "flexibility", "held", "now", "running", "slot_seconds", "trace")

    def __init__(
        self,
        trace: Trace,
        flexibility: Flexibility,
        slot_seconds: int,
        *,
        held: dict[int, int],
        running: dict[int, int],
        lanes: Collection[Lane],
    ) -> None:
        self.trace = trace
        self.flexibility = flexibility
        self.slot_seconds = slot_seconds
        self.now = 0
        self.held: Mapping[int, int] = MappingProxyType(held)
        """Held job: its begin time."""
        self.running: Mapping[int, int] = MappingProxyType(running)
        """Running job: its start."""
        self._lanes = lanes

    @property
    def queued(self) -> list[int]:
        """The jobs that may start and wait for room, in priority order (a copy)."""
        return sorted(job for lane in self._lanes for job in lane.waiting)


class Policy(Protocol):
    """Decides when flexible jobs may begin.

    Optional attributes: `parameter: str`, the point of a frontier ("alpha=4"), and
    `calls: Collection[str]`, which of "arrive" and "tick" it wants to be asked (both without it).
    """

    @property
    def name(self) -> str:
        """As reports name it."""
        ...

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """Begin times of the flexible jobs submitted at `now` (in `state` neither held nor queued yet)."""
        ...

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        """At the start of a slot: new begin times of jobs held, or flexible and still queued.

        Jobs left out keep theirs.
        """
        ...


@runtime_checkable
class Observer(Protocol):
    """A policy that wants to know what happens, to learn runtimes."""

    def started(self, now: int, job: int) -> None:
        """`job` started."""
        ...

    def ended(self, now: int, job: int) -> None:
        """`job` ended, by itself or at its limit."""
        ...


@runtime_checkable
class Watcher(Protocol):
    """A policy that looks at the queue between slots, as the daemon does in each of its cycles.

    Optional attribute `sees_every_change: bool`: it is asked a cycle after any submission, start or end.
    """

    def look(self, now: int, state: State) -> Mapping[int, int]:
        """Begin times to change, as in a tick.

        Asked where a job that came a cycle ago waits for room, and a cycle after jobs ended where it
        `watches_room`.
        """
        ...

    def watches_room(self) -> bool:
        """Whether room that has become free may be a reason to change begin times."""
        ...


Duration: TypeAlias = "Callable[[int, State], float]"
"""Seconds that a policy expects a job to run."""


def requested(job: int, state: State) -> float:
    """The time limit: all that Slurm knows of a job before it runs."""
    return float(state.trace.limit[job])


def actual(job: int, state: State) -> float:
    """As it will run: perfect knowledge, for upper bounds that say so."""
    return float(min(state.trace.runtime[job], state.trace.limit[job]))
