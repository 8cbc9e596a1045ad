from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from flexlond._pb import helper_pb2, helper_pb2_grpc
from flexlond.auth import munge
from flexlond.auth.credentials import (
    METADATA_KEY,
    ServerCredentials,
    caller_uid,
    digest,
    open_channel,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path

STATUS = "/flexlon.helper.v1.Helper/Status"


class Servicer(helper_pb2_grpc.HelperServicer):
    async def Status(self, request: Any, context: Any) -> helper_pb2.StatusReply:  # noqa: N802
        return helper_pb2.StatusReply(version=str(caller_uid()))

    async def Apply(self, request: Any, context: Any) -> helper_pb2.ApplyReply:  # noqa: N802
        results = [helper_pb2.Result(action_id=a.action_id) for a in request.actions]
        return helper_pb2.ApplyReply(results=results)


@asynccontextmanager
async def serving(
    tmp_path: Path, munge_socket: str, allowed: Collection[int] | None = None
) -> AsyncIterator[str]:
    server = grpc.aio.server(
        interceptors=[ServerCredentials(allowed_uids=allowed, socket=munge_socket)]
    )
    helper_pb2_grpc.add_HelperServicer_to_server(Servicer(), server)
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)  # type: ignore[attr-defined] # not in the stubs
    address = f"unix:{tmp_path}/s.sock"
    server.add_insecure_port(address)
    await server.start()
    try:
        yield address
    finally:
        await server.stop(None)


def client(address: str, munge_socket: str) -> grpc.aio.Channel:
    return open_channel(address.removeprefix("unix:"), munge_socket=munge_socket)


async def raw_status(address: str, *credentials: str) -> grpc.aio.AioRpcError:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = helper_pb2_grpc.HelperStub(channel)
        metadata = tuple((METADATA_KEY, text) for text in credentials)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Status(helper_pb2.StatusRequest(), metadata=metadata)
    return caught.value


async def test_the_handler_sees_the_callers_uid(tmp_path: Path, munge_socket: str) -> None:
    async with (
        serving(tmp_path, munge_socket) as address,
        client(address, munge_socket) as channel,
    ):
        stub = helper_pb2_grpc.HelperStub(channel)
        replies = await asyncio.gather(
            *(stub.Status(helper_pb2.StatusRequest()) for _ in range(20))
        )
    assert {reply.version for reply in replies} == {str(os.getuid())}


async def test_a_request_with_content_passes(tmp_path: Path, munge_socket: str) -> None:
    actions = [helper_pb2.Action(action_id=str(i), job_id=i) for i in range(500)]
    async with (
        serving(tmp_path, munge_socket, {os.getuid()}) as address,
        client(address, munge_socket) as channel,
    ):
        stub = helper_pb2_grpc.HelperStub(channel)
        reply = await stub.Apply(helper_pb2.ApplyRequest(actions=actions))
    assert [r.action_id for r in reply.results] == [str(i) for i in range(500)]


async def test_a_uid_that_is_not_allowed_is_refused(tmp_path: Path, munge_socket: str) -> None:
    other = os.getuid() + 1
    async with (
        serving(tmp_path, munge_socket, {other}) as address,
        client(address, munge_socket) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await helper_pb2_grpc.HelperStub(channel).Status(helper_pb2.StatusRequest())
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert f"allowed are uid {other}" in (caught.value.details() or "")


async def test_no_credential_is_refused(tmp_path: Path, munge_socket: str) -> None:
    async with serving(tmp_path, munge_socket) as address:
        error = await raw_status(address)
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "no MUNGE credential" in (error.details() or "")


async def test_a_replayed_credential_is_refused(tmp_path: Path, munge_socket: str) -> None:
    credential = munge.encode(digest(STATUS, b""), socket=munge_socket).decode()
    async with serving(tmp_path, munge_socket) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = helper_pb2_grpc.HelperStub(channel)
            await stub.Status(helper_pb2.StatusRequest(), metadata=((METADATA_KEY, credential),))
        error = await raw_status(address, credential)
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "replayed" in (error.details() or "")


@pytest.mark.parametrize("payload", [b"", digest(STATUS, b"x"), digest(STATUS + "2", b"")])
async def test_a_credential_over_something_else_is_refused(
    tmp_path: Path, munge_socket: str, payload: bytes
) -> None:
    credential = munge.encode(payload, socket=munge_socket).decode()
    async with serving(tmp_path, munge_socket) as address:
        error = await raw_status(address, credential)
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "not over this request" in (error.details() or "")


async def test_nonsense_is_refused(tmp_path: Path, munge_socket: str) -> None:
    async with serving(tmp_path, munge_socket) as address:
        error = await raw_status(address, "MUNGE:AAAA:")
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_dead_munged_is_not_the_callers_fault(tmp_path: Path, munge_socket: str) -> None:
    credential = munge.encode(digest(STATUS, b""), socket=munge_socket).decode()
    async with serving(tmp_path, str(tmp_path / "nobody")) as address:
        error = await raw_status(address, credential)
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_health_is_open_and_its_streams_too(tmp_path: Path, munge_socket: str) -> None:
    async with (
        serving(tmp_path, munge_socket) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest())
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
        async for reply in stub.Watch(health_pb2.HealthCheckRequest()):
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
            break


async def test_a_stream_that_is_not_exempt_is_refused(tmp_path: Path, munge_socket: str) -> None:
    server = grpc.aio.server(
        interceptors=[ServerCredentials(exempt_services=(), socket=munge_socket)]
    )
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)  # type: ignore[attr-defined] # not in the stubs
    server.add_insecure_port(f"unix:{tmp_path}/h.sock")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/h.sock") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in stub.Watch(health_pb2.HealthCheckRequest()):
                pass
    await server.stop(None)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_caller_is_unknown_outside_a_call() -> None:
    with pytest.raises(LookupError):
        caller_uid()
