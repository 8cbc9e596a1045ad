"""One call to the daemon's admin service, and what to say when it fails.

Law: a call either returns the reply or raises CtlError with one line for people and the exit code: 1 the
daemon said no, 2 the daemon cannot be asked, 3 the caller may not. Nothing is retried. gRPC is imported when
a call is made, so that --help stays fast.
"""

from __future__ import annotations

import asyncio
import os
import socket as sockets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message

EXIT_REFUSED = 1
EXIT_NO_DAEMON = 2
EXIT_DENIED = 3

DEFAULT_SOCKET = "/run/flexlon/admin.sock"
TIMEOUT = 15.0  # seconds
LONG_TIMEOUT = 300.0  # seconds: release --all and drain change many jobs


class CtlError(Exception):
    """A call that failed: one line for people, and the exit code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the daemon listens, and where munged does ("" is libmunge's own default)."""

    socket: str = DEFAULT_SOCKET
    munge_socket: str = ""

    def call(self, method: str, request: Message, *, timeout: float = TIMEOUT) -> Any:
        """Call `method` of the Admin service and return its reply; CtlError when there is none."""
        self._probe()
        return asyncio.run(self._call(method, request, timeout))

    def _probe(self) -> None:
        """Say plainly that nobody is there, instead of waiting for gRPC to give up."""
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
            probe.settimeout(5.0)
            try:
                probe.connect(self.socket)
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise CtlError(
                    f"flexlond does not answer at {self.socket} ({reason}): start it (systemctl start "
                    "flexlond), or name its socket with --socket or FLEXLON_SOCKET",
                    EXIT_NO_DAEMON,
                ) from error

    async def _call(self, method: str, request: Message, limit: float) -> Any:
        import grpc  # noqa: PLC0415 -- slow to import, and --help needs none of it
        import grpc.aio  # noqa: PLC0415

        from flexlond._pb import admin_pb2_grpc  # noqa: PLC0415
        from flexlond.auth.credentials import ClientCredentials  # noqa: PLC0415
        from flexlond.auth.munge import MungeError  # noqa: PLC0415

        credentials = ClientCredentials(socket=self.munge_socket)
        options = [("grpc.max_receive_message_length", -1)]  # 100,000 jobs are some 40 MB
        try:
            async with grpc.aio.insecure_channel(
                f"unix:{self.socket}",
                options=options,
                interceptors=[credentials],  # type: ignore[list-item] # the stubs know no subclass
            ) as channel:
                stub = admin_pb2_grpc.AdminStub(channel)
                return await getattr(stub, method)(request, timeout=limit)
        except MungeError as error:
            raise CtlError(f"no credential: {error}", EXIT_NO_DAEMON) from error
        except grpc.aio.AioRpcError as error:
            raise _failed(error.code(), error.details() or "", limit) from error


def _failed(code: Any, details: str, limit: float) -> CtlError:
    name: str = code.name
    if name == "PERMISSION_DENIED":
        return CtlError(f"not allowed: {details}", EXIT_DENIED)
    if name == "UNAUTHENTICATED":
        return CtlError(f"not allowed: {details}", EXIT_DENIED)
    if name == "DEADLINE_EXCEEDED":
        text = f"flexlond did not answer within {limit:g} s: it may be busy; look at journalctl -u flexlond"
        return CtlError(text, EXIT_NO_DAEMON)
    if name == "UNAVAILABLE":
        return CtlError(f"flexlond cannot be asked: {details}", EXIT_NO_DAEMON)
    return CtlError(details or name, EXIT_REFUSED)
