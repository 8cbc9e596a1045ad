"""A service on a real socket: Elexon's warnings and an OpenADR VTN with tokens, as a test sets them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


class FarEnd:
    """What it answers, and what it was asked."""

    def __init__(self) -> None:
        self.warnings: dict[str, list[dict[str, Any]]] = {}
        self.instructions: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.token = ""  # asked for where it is not empty
        self.token_host = ""
        self.down = False
        self.asked: list[str] = []
        self.url = ""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/system/warnings", self._warnings),
                Route("/system/demand-control-instructions", self._instructions),
                Route("/events", self._events),
                Route("/auth/server", self._where),
                Route("/auth/token", self._grant, methods=["POST"]),
            ]
        )

    def _note(self, request: Request) -> Response | None:
        self.asked.append(f"{request.method} {request.url.path}?{request.url.query}")
        return Response(status_code=503) if self.down else None

    async def _warnings(self, request: Request) -> Response:
        rows = self.warnings.get(request.query_params["warningType"], [])
        return self._note(request) or JSONResponse({"data": rows})

    async def _instructions(self, request: Request) -> Response:
        return self._note(request) or JSONResponse({"data": self.instructions})

    async def _events(self, request: Request) -> Response:
        if refused := self._note(request):
            return refused
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"title": "no"}, status_code=401)
        skip, limit = (int(request.query_params[name]) for name in ("skip", "limit"))
        return JSONResponse(self.events[skip : skip + limit])

    async def _where(self, request: Request) -> Response:
        return self._note(request) or JSONResponse(
            {"tokenURL": f"{self.token_host or self.url}/auth/token"}
        )

    async def _grant(self, request: Request) -> Response:
        form = (await request.body()).decode()
        self.asked.append(f"token for {form}")
        return JSONResponse({"access_token": self.token, "token_type": "Bearer"})


@contextlib.asynccontextmanager
async def running(far: FarEnd) -> AsyncIterator[FarEnd]:
    """Serve it on a free port."""
    server = uvicorn.Server(uvicorn.Config(far.app(), port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    far.url = f"http://127.0.0.1:{port}"
    try:
        yield far
    finally:
        server.should_exit = True
        await task
