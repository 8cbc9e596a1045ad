"""Notices of stress on the grid: who says so, how bad, from when to when; and the hub that keeps them fresh.

Law: a source that does not answer says nothing new: what it said before stands until its own end, and the
hub says that the present is unknown; silence is never "clear". A notice ends by its end, or when its source
no longer has it. Levels: 1 watch, 2 tight, 3 emergency. Times are epoch seconds (UTC), power is kW.
Source: our own levels; an Electricity Margin Notice is a call to get ready, not an instruction.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

import httpx
import structlog

from flexlond.signals.fetching import FetchError
from flexlond.signals.rows import SignalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flexlond.model.buy_settings import BuySettings, StressFeed

SHORTEST_REFRESH = 2.0  # an own VTN may be asked often
FIRST_RETRY = 30.0
LONGEST_RETRY = 900.0

_log = structlog.get_logger(__name__)


class Stage(IntEnum):
    """How bad it is."""

    NORMAL = 0
    WATCH = 1
    TIGHT = 2
    EMERGENCY = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. `kw`: what it asks for in so many words, None where it only says how bad it is."""

    key: str  # of its source, the same for the same notice
    source: str
    stage: Stage
    start: int
    end: int
    words: str  # for people, short
    kw: float | None = None


class StressSource(Protocol):
    """One service that warns."""

    async def fetch(self, now: int) -> Sequence[Notice]:
        """Every notice in force or to come. Raises SignalError (FetchError) when that is not known."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


@dataclass(slots=True)
class _State:
    feed: StressFeed
    source: StressSource
    notices: tuple[Notice, ...] = ()
    error: str = "not asked yet"
    failures: int = 0
    next_at: float = 0.0
    fetched_at: int = 0


@dataclass(slots=True)
class StressHub:
    """Asks every source when it is due, and says what is in force."""

    settings: BuySettings
    make: Callable[[StressFeed, BuySettings], StressSource]
    _states: list[_State] = field(default_factory=list)

    def __post_init__(self) -> None:
        """One state for each feed."""
        self._states = [
            _State(feed, self.make(feed, self.settings)) for feed in self.settings.stress
        ]

    async def refresh(self, now: int) -> None:
        """Ask who is due, side by side. Never raises for a source's sake."""
        due = [one for one in self._states if now >= one.next_at]
        await asyncio.gather(*(self._ask(one, now) for one in due))

    def notices(self, now: int) -> tuple[Notice, ...]:
        """Those that have not ended, the worst first, then the earliest."""
        found = [one for state in self._states for one in state.notices if one.end > now]
        return tuple(sorted(found, key=lambda one: (-one.stage, one.start, one.key)))

    def unknown(self) -> tuple[str, ...]:
        """For each source of which the present is not known: which, and why."""
        return tuple(f"{one.feed.source}: {one.error}" for one in self._states if one.error)

    async def close(self) -> None:
        """Close all connections."""
        for state in self._states:
            await state.source.close()

    async def _ask(self, state: _State, now: int) -> None:
        wish = 0.0
        try:
            found = await state.source.fetch(now)
        except SignalError as error:
            why = str(error)
            wish = error.retry_after if isinstance(error, FetchError) else 0.0
        except Exception as error:  # noqa: BLE001 - a source's fault must not stop the others
            why = f"unexpected {type(error).__name__} while reading the answer"
        else:
            state.notices, state.error, state.failures = tuple(found), "", 0
            state.fetched_at = now
            state.next_at = now + max(state.feed.refresh, SHORTEST_REFRESH)
            return
        if why != state.error:
            _log.warning("stress source failed", source=state.feed.source, why=why)
        state.error = why
        state.failures += 1
        wait = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(state.failures - 1, 10))
        state.next_at = now + max(wait, wish)


def client(timeout: float, auth: httpx.Auth | None = None) -> httpx.AsyncClient:
    """A client for one source."""
    return httpx.AsyncClient(
        timeout=timeout,
        auth=auth,
        headers={"accept": "application/json", "user-agent": "flexlon"},
    )
