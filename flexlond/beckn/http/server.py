"""The way in over HTTP: an ASGI application that hands raw bytes to a node's gate.

Law: reads no more than the limit, no longer than the time, from no address more often than its bucket
allows, and parses nothing itself: signatures are over the bytes. What we cannot write down is answered 500,
signed, and acknowledged by nobody. It listens where it is told; TLS ends in a
proxy before it. Transaction ids are not logged. Durations in seconds. Source: Starlette and uvicorn; the
statuses are those of Beckn 2.0.0 LTS.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from flexlond.beckn.node.arrivals import Arrival, Reply
from flexlond.beckn.node.limits import Buckets
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flexlond.beckn.node.node import Node
    from flexlond.beckn.trust.registry import Registry

_log = structlog.get_logger()

BODY_SECONDS = 10.0
ADDRESS_PER_SECOND = 50.0  # of one address, believed or not
ADDRESS_BURST = 200
MOST_AT_ONCE = 64  # requests being read or judged


class Front:
    """The application of one node. `prefix` is the path of the node's registered address."""

    def __init__(
        self,
        node: Node,
        registry: Registry,
        *,
        prefix: str = "",
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._registry = registry
        self._wake = wake
        self._clock = clock
        self._buckets = Buckets(ADDRESS_PER_SECOND, ADDRESS_BURST)
        self._busy = 0
        path = f"{prefix.rstrip('/')}/{{action:path}}"
        self.app = Starlette(routes=[Route(path, self._post, methods=["POST"])])

    async def _post(self, request: Request) -> Response:
        now = self._clock()
        arrival = Arrival(
            request.path_params["action"], request.headers.get("authorization", ""), b"", now
        )
        self._busy += 1
        try:
            self._admit(request, now)
            body = await self._body(request)
            arrival = Arrival(arrival.path, arrival.authorization, body, now)
            reply = await self._node.receive(arrival, self._registry)
        except Refusal as refusal:
            reply = self._node.gate.refuse(arrival, refusal)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - our fault (a full disk, say); the peer may come again
            _log.error("beckn request failed", action=arrival.path[:40], error=repr(error)[:300])
            ours = Refusal(Code.NET_INTERNAL_ERROR, "it could not be written down", retry_after=10)
            reply = self._node.gate.refuse(arrival, ours)
        finally:
            self._busy -= 1
        if reply.status == 200:
            self._wake()
        return _response(reply)

    def _admit(self, request: Request, now: float) -> None:
        if self._busy > MOST_AT_ONCE:
            raise Refusal(Code.AUT_RATE_LIMITED, "too busy; come again in 1 s", retry_after=1)
        self._buckets.take(request.client.host if request.client else "", now)
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
        if kind.lower() not in {"application/json", "application/ld+json"}:
            raise Refusal(
                Code.SCH_INVALID_JSON, f"content type {kind[:40]!r}; expected application/json"
            )

    async def _body(self, request: Request) -> bytes:
        most = self._node.settings.max_bytes
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > most:
                        raise Refusal(
                            Code.SCH_INVALID_JSON, f"more than {most} bytes; send less at once"
                        )
                    chunks.append(chunk)
        except TimeoutError:
            raise Refusal(
                Code.NET_TIMEOUT, f"the body did not arrive within {BODY_SECONDS:.0f} s"
            ) from None
        return b"".join(chunks)


class Guest(uvicorn.Server):
    """A server in a process that is not its own: signals are left to whoever has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


def server(front: Front, host: str, port: int) -> uvicorn.Server:
    """A server for `front`; `await server.serve()` runs it until `should_exit` is set."""
    return Guest(
        uvicorn.Config(
            front.app,
            host=host,
            port=port,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=16 * 1024,
        )
    )


def _response(reply: Reply) -> Response:
    return Response(reply.body, status_code=reply.status, headers=reply.headers)
