"""MUNGE credentials on gRPC calls: who asks, bound to what is asked.

Law: a call counts only with a fresh credential in the metadata key `flexlon-munge` whose payload is the
SHA-256 of the full method name, a zero byte and the request's raw bytes. The server checks this before the
request is parsed; munged refuses a credential it has decoded before (replay). Unary calls only; any other
kind is refused unless its service is exempt. Messages must have no map fields: the client digests its own
serialisation of the request, which is reproducible only without them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from flexlond.auth import munge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

METADATA_KEY = "flexlon-munge"
# Health checking and reflection say nothing of any job and change nothing.
PUBLIC_SERVICES = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")

_caller: ContextVar[int] = ContextVar("flexlon_caller_uid")


def digest(method: str, request: bytes) -> bytes:
    """SHA-256 over the full method name ("/package.Service/Method"), NUL and the raw request."""
    return hashlib.sha256(method.encode() + b"\0" + request).digest()


def caller_uid() -> int:
    """Return the uid that MUNGE vouches for, inside a handler behind ServerCredentials.

    LookupError outside of one: an unauthenticated call has no caller.
    """
    return _caller.get()


class ClientCredentials(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg] # no parameters at run time
    """Adds a fresh credential to every unary call of a grpc.aio channel."""

    def __init__(self, *, socket: str = "") -> None:
        self._socket = socket

    async def intercept_unary_unary(
        self,
        continuation: Callable[..., Awaitable[Any]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        """Encode a credential over this very request; MungeError when munged will not."""
        method: str | bytes = client_call_details.method  # bytes at run time, str in the stubs
        name = method if isinstance(method, str) else method.decode()
        credential = await asyncio.to_thread(
            munge.encode, digest(name, request.SerializeToString()), socket=self._socket
        )
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()))
        metadata.add(METADATA_KEY, credential.decode())
        details = grpc.aio.ClientCallDetails(
            client_call_details.method,
            client_call_details.timeout,
            metadata,
            client_call_details.credentials,
            client_call_details.wait_for_ready,
        )
        return await continuation(details, request)


def open_channel(path: str, *, munge_socket: str = "") -> grpc.aio.Channel:
    """Return a channel to the Unix socket `path` whose unary calls carry credentials.

    Nothing is connected yet; call it inside a running event loop and close it there.
    """
    interceptors = [ClientCredentials(socket=munge_socket)]
    return grpc.aio.insecure_channel(f"unix:{path}", interceptors=interceptors)  # type: ignore[arg-type] # the stubs want a partial stub


class ServerCredentials(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # no parameters at run time
    """Lets a unary call through only with a good credential, of an allowed uid.

    `allowed_uids` None admits every authenticated user (the handler decides by `caller_uid()`).
    """

    def __init__(
        self,
        *,
        allowed_uids: Collection[int] | None = None,
        exempt_services: Collection[str] = PUBLIC_SERVICES,
        socket: str = "",
    ) -> None:
        self._allowed = None if allowed_uids is None else frozenset(allowed_uids)
        self._exempt = frozenset(exempt_services)
        self._socket = socket

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Wrap the handler so that it sees a request only after its credential was checked."""
        handler = await continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None or method.strip("/").split("/", 1)[0] in self._exempt:
            return handler
        if handler.request_streaming or handler.response_streaming:
            return grpc.unary_unary_rpc_method_handler(_refuse_stream)
        credential = ""
        for key, value in handler_call_details.invocation_metadata or ():
            if key == METADATA_KEY:
                credential = value

        async def checked(raw: bytes, context: Any) -> Any:
            uid = await self._verify(credential, method, raw, context)
            request = handler.request_deserializer(raw)
            token = _caller.set(uid)
            try:
                return await handler.unary_unary(request, context)
            finally:
                _caller.reset(token)

        # No request_deserializer: the wrapper gets the raw bytes.
        return grpc.unary_unary_rpc_method_handler(
            checked, response_serializer=handler.response_serializer
        )

    async def _verify(self, credential: str, method: str, raw: bytes, context: Any) -> int:
        """Return the caller's uid, or end the call with the reason."""
        if not credential:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                f"no MUNGE credential came with {method}: call it with flexlonctl, or add the "
                f"metadata key {METADATA_KEY}",
            )
        try:
            decoded = await asyncio.to_thread(
                munge.decode, credential.encode(), socket=self._socket
            )
        except munge.MungeError as error:
            code = (
                grpc.StatusCode.UNAVAILABLE
                if error.unreachable
                else grpc.StatusCode.UNAUTHENTICATED
            )
            await context.abort(code, str(error))
        if not hmac.compare_digest(decoded.payload, digest(method, raw)):
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                f"the MUNGE credential is not over this request to {method}: send each request "
                "with a credential of its own",
            )
        if self._allowed is not None and decoded.uid not in self._allowed:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"uid {decoded.uid} may not call {method}: allowed are uid "
                f"{', '.join(map(str, sorted(self._allowed)))}",
            )
        return decoded.uid


async def _refuse_stream(_request: Any, context: Any) -> None:
    await context.abort(
        grpc.StatusCode.UNAUTHENTICATED,
        "streaming calls cannot carry a MUNGE credential over their request: use a unary call",
    )
