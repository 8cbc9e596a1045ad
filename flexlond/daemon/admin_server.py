"""The gRPC server around the admin service: the Unix socket, credentials, health, reflection.

Law: it binds only where nobody answers, so that a running flexlond is never pushed off its socket; it opens
the socket to all users (0666) because MUNGE decides who is who. It listens on no network address. Health is
SERVING only while the loop is healthy.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from flexlond._pb import admin_pb2, admin_pb2_grpc
from flexlond.auth.credentials import ServerCredentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from flexlond._pb.admin_pb2_grpc import AdminServicer

SOCKET_MODE = 0o666
STOP_GRACE = 2.0  # seconds that running calls get when the server stops

_SERVICE = admin_pb2.DESCRIPTOR.services_by_name["Admin"].full_name

_log = structlog.get_logger()


class AdminSocketError(Exception):
    """The admin socket cannot be had; the text says why and what to do."""


class AdminServer:
    """The server of one Admin service. `start`, `set_healthy` as it goes, `stop`."""

    def __init__(self, service: AdminServicer, path: Path, *, munge_socket: str = "") -> None:
        self._path = path
        self._health = HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[_Faults(), ServerCredentials(socket=munge_socket)],
            options=[("grpc.so_reuseport", 0)],
        )
        admin_pb2_grpc.add_AdminServicer_to_server(service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (
            _SERVICE,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        )
        reflection.enable_server_reflection(names, self._server)

    async def start(self) -> None:
        """Bind and serve; AdminSocketError when the socket is taken or cannot be made."""
        if answers(self._path):
            raise AdminSocketError(
                f"{self._path}: a flexlond answers there already; stop it first (systemctl stop flexlond), "
                "or set daemon.admin_socket to a path of its own"
            )
        try:
            self._server.add_insecure_port(f"unix:{self._path}")
            await self._server.start()
            self._path.chmod(SOCKET_MODE)
        except (RuntimeError, OSError) as error:
            raise AdminSocketError(
                f"{self._path}: cannot listen there ({error}); its directory must exist and be writable "
                "by the user that runs flexlond"
            ) from error
        await self.set_healthy(healthy=False)

    async def set_healthy(self, *, healthy: bool) -> None:
        """Say SERVING or NOT_SERVING to the health checks."""
        state = health_pb2.HealthCheckResponse
        value = state.SERVING if healthy else state.NOT_SERVING
        for name in ("", _SERVICE):
            await self._health.set(name, value)

    async def stop(self) -> None:
        """End: running calls get STOP_GRACE seconds; the socket file goes away."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(STOP_GRACE)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


def answers(path: Path) -> bool:
    """Whether somebody accepts connections on the Unix socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


class _Faults(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """A fault inside a handler is logged with its traceback and told as INTERNAL."""

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Wrap unary handlers; the others (health, reflection) are gRPC's own."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.response_streaming:
            return handler
        method: str = handler_call_details.method

        async def guarded(request: Any, context: Any) -> Any:
            try:
                return await handler.unary_unary(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 -- whatever it is, the caller gets an answer
                _log.error("admin call failed", method=method, exc_info=True)
                await context.abort(
                    grpc.StatusCode.INTERNAL,
                    f"{method} failed inside flexlond: {type(error).__name__}: {error}; "
                    "the traceback is in its log (journalctl -u flexlond)",
                )

        return grpc.unary_unary_rpc_method_handler(
            guarded, handler.request_deserializer, handler.response_serializer
        )
