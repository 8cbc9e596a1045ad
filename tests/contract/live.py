"""A grid and a battery site as the daemon composes them, at work over HTTP in a thread; all traffic is kept.

For validators that are not ours: they see what goes over the wire, status, headers and bytes, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest

from flexlond.beckn.http import server as http_server
from flexlond.beckn.trust.keys import SecretKey
from flexlond.beckn.trust.signature import Signer
from flexlond.daemon import market_place
from tests.unit.agents.conftest import replace_struct
from tests.unit.agents.grid.town import SLOT, Town, buyer_of, buying, daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.agents.grid.agent import GridAgent
    from flexlond.daemon.compose import Parts

PATIENCE = 120.0
GRID, SITE = "grid.test", "site.test"


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as they went over the wire."""

    path: str  # after the base address
    sent: dict[str, str]
    body: bytes
    status: int
    came: dict[str, str]
    answer: bytes


class Recording(httpx.AsyncClient):
    """A client that keeps what it sent and what came back."""

    kept: ClassVar[list[Exchange]] = []

    def __init__(self, **more: Any) -> None:
        super().__init__(event_hooks={"response": [self._keep]}, **more)

    async def _keep(self, response: httpx.Response) -> None:
        await response.aread()
        request = response.request
        self.kept.append(
            Exchange(
                request.url.path.removeprefix("/beckn"),
                dict(request.headers),
                request.content,
                response.status_code,
                dict(response.headers),
                response.content,
            )
        )


@dataclass
class Live:
    """The two at work."""

    town: Town
    loop: asyncio.AbstractEventLoop
    signers: dict[str, Signer]
    grid: Parts
    site: Parts
    buyer: GridAgent
    kept: list[Exchange] = field(default_factory=list)

    def url(self, name: str) -> str:
        return self.town.uri(name)

    def do(self, coroutine: Any) -> Any:
        """Run something in its loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def faults(self) -> list[str]:
        """What the desks of the two could not handle, since they came up."""
        stalls = [
            stall
            for parts in (self.grid, self.site)
            for each in parts.market.stalls.values()
            for stall in each
        ]
        return [fault for stall in stalls for fault in stall.node.desk.faults]

    def until(self, condition: Any) -> None:
        limit = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < limit, "it did not come"
            time.sleep(0.05)


@contextlib.contextmanager
def live(folder: Path) -> Iterator[Live]:
    """Start both; the limits on how often one may ask are out of the way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_server, "ADDRESS_PER_SECOND", 1e6)
        patch.setattr(http_server, "ADDRESS_BURST", 10**9)
        patch.setattr(market_place, "httpx", SimpleNamespace(AsyncClient=Recording))
        Recording.kept.clear()
        town = Town(folder, SITE)
        ready: list[Live] = []
        came, over = threading.Event(), threading.Event()
        failed: list[BaseException] = []

        async def work() -> None:
            grid, site = _settings(town)
            async with daemon(grid) as one, daemon(site) as two:
                signers = {
                    name: Signer(name, "key-1", SecretKey.of_file(town.keys[name]))
                    for name in (GRID, SITE)
                }
                loop, buyer = asyncio.get_running_loop(), await buyer_of(one)
                while "asset_site" not in two.market.agents:  # noqa: ASYNC110 - another's state
                    await asyncio.sleep(0.05)
                ready.append(Live(town, loop, signers, one, two, buyer, Recording.kept))
                came.set()
                await asyncio.to_thread(over.wait)

        def run() -> None:
            try:
                asyncio.run(work())
            except BaseException as error:  # noqa: BLE001 - raised again in the test
                failed.append(error)
            finally:
                came.set()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            came.wait(PATIENCE)
            if failed:
                raise failed[0]
            yield ready[0]
        finally:
            over.set()
            thread.join()
        if failed:
            raise failed[0]


def _settings(town: Town) -> tuple[Any, Any]:
    grid = town.grid(buying(take_published=True))
    site = town.battery(SITE, 10.0, 0.1)
    sell = replace_struct(
        site.market.sell,
        publish_to=(GRID,),
        track_url="https://site.test/orders/{order}",
        support_email="desk@site.test",
    )
    return _eager(grid), _eager(replace_struct(site, market=replace_struct(site.market, sell=sell)))


def _eager(settings: Any) -> Any:
    """Without a limit on how often one peer may ask."""
    identities = {
        name: replace_struct(one, rate_per_second=10_000.0, burst=100_000)
        for name, one in settings.market.identity.items()
    }
    return replace_struct(settings, market=replace_struct(settings.market, identity=identities))


def slot_after(seconds: float) -> int:
    """The first second of the first slot that begins so much later."""
    return int((time.time() + seconds) // SLOT + 1) * SLOT
