"""What every source of a signal offers to the hub.

Law: a source turns one configured feed into rows and says how old they may become. It keeps no rows, knows
no other source, and never fills a gap. Fetching may raise SignalError; the hub decides what follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from flexlond.model.series import Kind
    from flexlond.model.settings import Feed
    from flexlond.signals.rows import Parsed, Row


@dataclass(frozen=True, slots=True)
class Request:
    """What a fetch needs: the shared client, opened when first asked for, and the moment (epoch s)."""

    open_client: Callable[[], httpx.AsyncClient]
    now: int

    @property
    def client(self) -> httpx.AsyncClient:
        """The connections shared by all feeds; a file never asks for them."""
        return self.open_client()


class Source(Protocol):
    """One service (or file), for one configured feed."""

    feed: Feed
    kind: Kind
    max_age: float  # seconds after which a fetched response is stale; 0: never by age alone
    local: bool  # cheap to ask at every refresh and needs no cache or back-off (a file)

    def provenance(self) -> str:
        """For people: which service, which series, which place."""

    async def fetch(self, request: Request) -> Parsed:
        """The rows as the service has them now. Raises SignalError (FetchError) when there are none."""

    def overdue(self, rows: Sequence[Row], now: int) -> str:
        """What should have been published by `now` but is not in `rows`; empty when nothing is."""
