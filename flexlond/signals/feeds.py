"""The hub of the signals: keeps every feed fresh and serves one series per kind on the time grid.

Law: feeds of a kind stand in order of preference; the first whose data are usable serves alone, unless the
settings let a later one fill the slots it does not know (`signals.fill`). A failing feed is said in the
series, never raised, never papered over: unknown stays NaN, and old data become STALE, then ABSENT as the
horizon outruns them. STALE and ABSENT mean no new holds: every failure here leads to fewer holds, never more.
Units: GBP/MWh and gCO2/kWh; times are epoch seconds and come in as arguments.
"""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING

import httpx
import structlog

from flexlond.model.series import Kind
from flexlond.signals.cache import FeedCache
from flexlond.signals.fetching import FetchError
from flexlond.signals.regrid import regrid
from flexlond.signals.rows import DAY, HOUR, Parsed, Row, SignalError, merge_history, tidy
from flexlond.signals.source import Request
from flexlond.signals.sources import SETTLING, limits, make_source, misfit
from flexlond.signals.view import FeedView, choose, view

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from flexlond.model.series import Series
    from flexlond.model.settings import Feed, SignalSettings
    from flexlond.model.timegrid import TimeGrid

HISTORY = 8 * DAY  # past half-hours kept for reports
SHORTEST_REFRESH = 60.0  # seconds between requests to a public service
FIRST_RETRY = 30.0
LONGEST_RETRY = 1800.0
LONGEST_WISH = 6.0 * HOUR  # of a Retry-After
PAGES_PER_FETCH = 4  # one fetch may take this many request timeouts in all

_log = structlog.get_logger(__name__)


class FeedState:
    """One configured feed: its rows, and when it is asked again."""

    def __init__(self, feed: Feed, kind: Kind) -> None:
        self.feed = feed
        self.kind = kind
        self.source = make_source(feed, kind)
        self.rows: tuple[Row, ...] = ()
        self.notes: tuple[str, ...] = ()
        self.fetched_at = 0
        self.error = misfit(feed, kind)
        self.usable = not self.error  # a feed in the wrong list is never asked
        self.failures = 0
        self.next_at = 0.0

    def due(self, now: int) -> bool:
        """Whether the feed is to be asked at `now`; a clock set back does not silence it."""
        latest = now + max(self.feed.refresh, LONGEST_WISH) * 1.25 + SHORTEST_REFRESH
        return self.usable and (self.source.local or now >= self.next_at or self.next_at > latest)

    def accept(self, parsed: Parsed, now: int) -> None:
        """Takes a good answer. Raises SignalError when nothing of it is within the limits."""
        clean = tidy(parsed.rows, *limits(self.feed, self.kind))
        if not any(math.isfinite(row.value) for row in clean.rows):
            raise SignalError(f"every value is unusable: {'; '.join(clean.notes)}")
        if self.source.local:
            self.rows = clean.rows
        else:
            self.rows = merge_history(self.rows, clean.rows, now, HISTORY)
        self.notes = (*parsed.notes, *clean.notes)
        self.fetched_at = parsed.as_of or now
        self.error = ""
        self.failures = 0

    def refuse(self, why: str) -> None:
        """Notes a failure; a file's rows go with the file, a service's last good ones stay and age."""
        self.error = why
        self.failures += 1
        if self.source.local:
            self.rows = ()
            self.fetched_at = 0

    def view(self, grid: TimeGrid, now: int) -> FeedView:
        """The feed as it stands, on `grid`."""
        return view(
            self.rows,
            grid,
            now,
            provenance=self.source.provenance(),
            fetched_at=self.fetched_at,
            max_age=self.feed.max_age or self.source.max_age,
            remarks=tuple(
                remark
                for remark in (
                    self.error and f"last attempt failed: {self.error}",
                    self.source.overdue(self.rows, now),
                    *self.notes,
                )
                if remark
            ),
        )


class SignalHub:
    """Price and carbon for the loop: `refresh` now and then, `series` whenever a plan is made."""

    def __init__(
        self,
        settings: SignalSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        cache_dir: Path | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._cache = FeedCache(cache_dir) if cache_dir is not None else None
        self._rng = rng or random.Random()  # noqa: S311 -- spreads requests, guards nothing
        self._refreshing = asyncio.Lock()
        self._states: dict[Kind, tuple[FeedState, ...]] = {
            Kind.PRICE: tuple(FeedState(feed, Kind.PRICE) for feed in settings.price),
            Kind.CARBON: tuple(FeedState(feed, Kind.CARBON) for feed in settings.carbon),
        }
        for state in self._all():
            self._restore(state)

    async def refresh(self, now: int) -> None:
        """Asks every feed that is due, side by side. Never raises for a feed's sake (cancelling does).

        A file is looked at on every call, a service every `refresh` seconds (at least a minute), after
        failures later and later, and not before the time it asked for itself (Retry-After).
        """
        async with self._refreshing:
            due = [state for state in self._all() if state.due(now)]
            await asyncio.gather(*(self._ask(state, now) for state in due))

    def series(self, kind: Kind, grid: TimeGrid, now: int) -> Series:
        """The values of `kind` on `grid` as known at `now`.

        GOOD and PARTIAL may be planned with (where not NaN). STALE and ABSENT mean no new holds: what is
        already held keeps its begin time, and nothing more is deferred.
        """
        views = [state.view(grid, now) for state in self._states[kind]]
        return choose(kind, grid, views, fill=self._settings.fill)

    def settled(self, kind: Kind, grid: TimeGrid) -> tuple[NDArray[np.float64], str] | None:
        """The past of the first feed that settles, on `grid` (NaN: unknown), and its source; None without one.

        Feeds that can only forecast never settle, whatever the settings say.
        """
        for state in self._states[kind]:
            if state.usable and state.feed.settles and state.feed.source in SETTLING:
                return regrid(state.rows, grid), state.source.provenance()
        return None

    async def close(self) -> None:
        """Closes the shared connections; the hub may be used again afterwards."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _all(self) -> tuple[FeedState, ...]:
        return tuple(state for states in self._states.values() for state in states)

    def _shared_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport,
                timeout=self._settings.timeout,
                headers={"accept": "application/json", "user-agent": "flexlon"},
            )
        return self._client

    async def _ask(self, state: FeedState, now: int) -> None:
        wish = 0.0
        fault: Exception | None = None
        try:
            async with asyncio.timeout(self._settings.timeout * PAGES_PER_FETCH):
                parsed = await state.source.fetch(Request(self._shared_client, now))
            state.accept(parsed, now)
        except FetchError as error:
            wish, why = error.retry_after, str(error)
        except SignalError as error:
            why = str(error)
        except TimeoutError:
            why = f"no complete answer within {self._settings.timeout * PAGES_PER_FETCH:g} s"
        except Exception as error:  # noqa: BLE001 -- a feed's fault must never stop the loop
            why = f"unexpected {type(error).__name__} while reading the answer"
            fault = error
        else:
            pause = max(state.feed.refresh, SHORTEST_REFRESH)
            state.next_at = now + pause + self._rng.uniform(0.0, min(30.0, pause * 0.05))
            await self._remember(state)
            return
        if why != state.error:
            _log.warning("feed_failed", feed=state.source.provenance(), why=why, exc_info=fault)
        state.refuse(why)
        state.next_at = now + self._retry_delay(state.failures, wish)

    def _retry_delay(self, failures: int, wish: float) -> float:
        """30 s, doubled with every failure up to half an hour, spread by a quarter; a wish is granted."""
        delay = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(failures - 1, 10))
        return max(delay, min(wish, LONGEST_WISH)) * self._rng.uniform(1.0, 1.25)

    async def _remember(self, state: FeedState) -> None:
        if self._cache is None or state.source.local:
            return
        try:
            await asyncio.to_thread(
                self._cache.store, state.feed, state.kind, state.fetched_at, state.rows
            )
        except OSError as error:
            # Rows in memory are good; only the next start would be blind.
            state.notes = (*state.notes, f"cannot be cached in {self._cache.directory}: {error}")

    def _restore(self, state: FeedState) -> None:
        if self._cache is None or state.source.local or not state.usable:
            return
        kept = self._cache.load(state.feed, state.kind)
        if kept is not None:
            state.fetched_at, rows = kept
            clean = tidy(rows, *limits(state.feed, state.kind))
            state.rows, state.notes = clean.rows, ("from the cache of an earlier run", *clean.notes)
