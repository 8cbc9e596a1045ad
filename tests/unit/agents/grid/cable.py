"""A cable between a site and everybody else, that can be cut: the site goes on behind it and hears nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import httpx
import msgspec

from tests.unit.daemon.test_market import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from flexlond.daemon.compose import Parts
    from flexlond.model.settings import Settings
    from tests.unit.agents.grid.town import Town


class Cable(httpx.AsyncBaseTransport):
    """What comes goes through a relay on the site's public port; what goes out asks it first."""

    def __init__(self) -> None:
        self.port = free_port()  # on which the site itself listens
        self.whole = True
        self._out: dict[httpx.AsyncClient, httpx.AsyncBaseTransport] = {}
        self.open: set[asyncio.StreamWriter] = set()  # both ends of each connection

    def site(self, settings: Settings) -> Settings:
        """The same site at the inner end."""
        market = settings.market
        inner = {n: msgspec.structs.replace(i, port=self.port) for n, i in market.identity.items()}
        replace = msgspec.structs.replace
        return replace(settings, market=replace(market, identity=inner))

    def cut(self, site: Parts) -> None:
        """Nothing comes, nothing goes."""
        self.whole = False
        for stall in site.market.stalls["asset_site"]:
            self._out[stall._client] = stall._client._transport
            stall._client._transport = self
        for writer in self.open:
            writer.close()

    def mend(self) -> None:
        """As before."""
        self.whole = True
        for client, transport in self._out.items():
            client._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Nobody is there."""
        raise httpx.ConnectError("the cable is cut", request=request)

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from outside."""
        ends, ways = {writer}, set[asyncio.Task[None]]()
        try:
            if self.whole:
                inner, there = await asyncio.open_connection("127.0.0.1", self.port)
                ends.add(there)
                self.open |= ends
                ways = {
                    asyncio.create_task(_carry(reader, there)),
                    asyncio.create_task(_carry(inner, writer)),
                }
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            for way in ways:
                way.cancel()
            for end in ends:
                self.open.discard(end)
                end.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def cable_to(town: Town, name: str) -> AsyncIterator[Cable]:
    """The cable of a site; it is there before the site is."""
    cable = Cable()
    relay = await asyncio.start_server(cable.relay, "127.0.0.1", town.ports[name])
    try:
        yield cable
    finally:
        cable.mend()  # so that the site closes what is its own
        relay.close()
        for writer in cable.open:
            writer.close()
