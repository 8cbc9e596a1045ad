"""Real sockets: two nodes over HTTP, limits before parsing, redirects, a registry that comes and goes."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flexlond.beckn.contract.table import State
from flexlond.beckn.http.dedi import Dedi
from flexlond.beckn.http.pump import Pump
from flexlond.beckn.http.sender import Sender, retry_after
from flexlond.beckn.http.server import Front, server
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.node.node import Node
from flexlond.beckn.node.settings import Identity, NodeSettings
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal
from tests.unit.beckn.kit import (
    BAP,
    BPP,
    KEYS,
    T0,
    Buyer,
    Fixed,
    Seller,
    contract,
    raw,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import uvicorn
    from starlette.applications import Starlette


@asynccontextmanager
async def listening(run: uvicorn.Server) -> AsyncIterator[int]:
    task = asyncio.create_task(run.serve())
    while not run.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        yield run.servers[0].sockets[0].getsockname()[1]
    finally:
        run.should_exit = True
        await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a condition of another's state
            await asyncio.sleep(0.01)


class Site:
    """A node with its server, pump and client."""

    def __init__(self, us: Identity, business: Any, registry: Fixed) -> None:
        self.journal = Journal(":memory:", us.role)
        self.node = Node(us, NodeSettings(), self.journal, business)
        self.client = httpx.AsyncClient()
        self.pump = Pump(self.node, Sender(self.node, registry, self.client, time.time), time.time)
        self.front = Front(self.node, registry, prefix="/beckn", wake=self.pump.wake)


@asynccontextmanager
async def two_sites() -> AsyncIterator[tuple[Site, Site, Fixed, int]]:
    registry = Fixed(BAP, BPP)
    buyer, seller = Buyer(), Seller()
    bap, bpp = Site(BAP, buyer, registry), Site(BPP, seller, registry)
    buyer.node, seller.journal = bap.node, bpp.journal
    servers = [server(site.front, "127.0.0.1", 0) for site in (bap, bpp)]
    async with listening(servers[0]) as first, listening(servers[1]) as second:
        for us, port in ((BAP, first), (BPP, second)):
            registry.change(us.id, url=f"http://127.0.0.1:{port}/beckn")
        for site in (bap, bpp):  # what each says of itself is what the registry knows
            site.node.us = replace(site.node.us, uri=registry.found[site.node.us.id, "k1"].url)
            site.node.desk.us = site.node.us
        buyer.seller = registry.found[BPP.id, "k1"]
        loops = [asyncio.create_task(site.pump.run()) for site in (bap, bpp)]
        try:
            yield bap, bpp, registry, second
        finally:
            for site in (bap, bpp):
                site.pump.stop()
            await asyncio.gather(*loops)
            for site in (bap, bpp):
                await site.client.aclose()
                site.journal.close()


async def test_an_order_over_http_from_select_to_active(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with two_sites() as (bap, bpp, registry, _):
        txn = str(uuid.uuid4())
        seller = registry.found[BPP.id, "k1"]
        bap.node.ask("select", seller, txn, {"contract": contract([40.0])}, time.time())
        bap.pump.wake()

        def active() -> bool:
            found = bap.journal.contracts.get(txn)
            return found is not None and found.state is State.ACTIVE

        await until(active)
        await until(lambda: all(i.state == "DONE" for i in bpp.journal.outbox.of_transaction(txn)))
        sent = bap.journal.outbox.of_transaction(txn) + bpp.journal.outbox.of_transaction(txn)
        assert [item.action for item in sent].count("on_confirm") == 1
        assert {item.proof for item in sent} == {"signed"}
        assert {item.tries for item in sent} == {1}
        assert txn not in caplog.text
        assert "select" in caplog.text


async def post(port: int, path: str, body: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(
            f"http://127.0.0.1:{port}/beckn/{path}",
            content=body,
            headers={"content-type": "application/json", **headers},
        )


async def test_what_is_wrong_gets_its_status_and_a_signed_answer() -> None:
    async with two_sites() as (_, bpp, _, port):
        now = time.time()
        good = raw(whole("select", now, bapUri=None))
        cases = [
            ("select", good, {"authorization": BAP.signer.header(good, now)}, 200, ""),
            ("select", good, {}, 401, "AUT_SIGNATURE_MISSING"),
            ("nothing", good, {}, 404, "NET_NOT_IMPLEMENTED"),
            ("select", b" " * (1024 * 1024 + 1), {}, 400, "SCH_INVALID_JSON"),
            ("select", good, {"content-type": "text/plain"}, 400, "SCH_INVALID_JSON"),
        ]
        for path, body, headers, status, code in cases:
            reply = await post(port, path, body, **headers)
            answer = reply.json()["message"]
            assert (reply.status_code, answer.get("error", {}).get("code", "")) == (status, code)
            assert reply.headers["signature"].startswith('Signature keyId="bpp.test|k1|ed25519"')
        assert (
            len(bpp.journal.inbox.of_transaction(whole("select")["context"]["transactionId"])) == 1
        )


async def test_too_often_is_429_with_retry_after() -> None:
    async with two_sites() as (_, bpp, _, port):
        bpp.front._buckets._burst, bpp.front._buckets._rate = 3.0, 1e-3
        replies = [await post(port, "select", b"{}") for _ in range(6)]
        last = replies[-1]
        assert [r.status_code for r in replies[:3]] == [401] * 3
        assert last.status_code == 429
        assert int(last.headers["retry-after"]) >= 1
        assert last.json()["message"]["error"]["code"] == "AUT_RATE_LIMITED"


async def test_one_subscriber_too_often_is_429_too() -> None:
    async with two_sites() as (_, bpp, _, port):
        bpp.node.gate._buckets._burst, bpp.node.gate._buckets._rate = 1.0, 1e-3
        now = time.time()
        statuses = []
        for _ in range(3):
            body = raw(whole("support", now, bapUri=None))
            reply = await post(port, "support", body, authorization=BAP.signer.header(body, now))
            statuses.append(reply.status_code)
        assert statuses == [400, 429, 429]  # no such transaction, then too often


class FullDisk:
    """Makes a journal's next transactions fail as a full disk does."""

    def __init__(self, site: Site, times: int) -> None:
        self.left = times
        real = site.journal.transaction

        def transaction() -> Any:
            if self.left > 0:
                self.left -= 1
                raise sqlite3.OperationalError("database or disk is full")
            return real()

        site.journal.transaction = transaction  # type: ignore[method-assign]


async def test_a_full_disk_is_a_signed_500_and_no_acknowledgement() -> None:
    async with two_sites() as (_, bpp, _, port):
        bpp.pump.stop()
        now = time.time()
        body = raw(whole("select", now, bapUri=None))
        disk = FullDisk(bpp, 10**9)
        reply = await post(port, "select", body, authorization=BAP.signer.header(body, now))
        assert reply.status_code == 500
        assert reply.json()["message"]["error"]["code"] == "NET_INTERNAL_ERROR"
        assert "disk" not in reply.text
        assert reply.headers["signature"].startswith("Signature keyId=")
        disk.left = 0
        again = await post(port, "select", body, authorization=BAP.signer.header(body, now))
        assert again.status_code == 200


async def test_the_loop_outlives_a_full_disk_and_the_order_is_finished() -> None:
    async with two_sites() as (bap, bpp, registry, _):
        disks = [FullDisk(bap, 0), FullDisk(bpp, 3)]
        txn = str(uuid.uuid4())
        seller = registry.found[BPP.id, "k1"]
        bap.node.ask("select", seller, txn, {"contract": contract([40.0])}, time.time())
        disks[0].left = 2
        bap.pump.wake()

        def active() -> bool:
            found = bap.journal.contracts.get(txn)
            return found is not None and found.state is State.ACTIVE

        await until(active)
        assert [disk.left for disk in disks] == [0, 0]


def app_of(answer: Callable[[Any], Any]) -> Starlette:
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


@asynccontextmanager
async def serving(answer: Callable[[Any], Any]) -> AsyncIterator[str]:
    import uvicorn  # noqa: PLC0415

    config = uvicorn.Config(
        app_of(answer), host="127.0.0.1", port=0, lifespan="off", ws="none", log_level="error"
    )
    async with listening(uvicorn.Server(config)) as port:
        yield f"http://127.0.0.1:{port}"


async def one_try(url: str) -> tuple[str, Node]:
    """One try of a select to a peer that is registered at `url`."""
    registry = Fixed(BAP, BPP)
    registry.change(BPP.id, url=url)
    node = Node(BAP, NodeSettings(), Journal(":memory:", Role.BAP), Buyer())
    peer = registry.found[BPP.id, "k1"]
    node.ask("select", peer, str(uuid.uuid4()), {"contract": contract([1.0])}, time.time())
    async with httpx.AsyncClient() as client:
        (item,) = node.due(time.time())
        state = await Sender(node, registry, client, time.time).send(item)
    return state, node


async def test_a_redirect_is_not_followed_and_the_request_is_over() -> None:
    from starlette.responses import RedirectResponse  # noqa: PLC0415

    seen: list[str] = []

    async def answer(request: Any) -> Any:
        seen.append(request.url.path)
        return RedirectResponse("/elsewhere", status_code=307)

    async with serving(answer) as url:
        state, node = await one_try(url)
    assert seen == ["/select"]
    assert state == "FAILED"
    (contract_,) = node.journal.contracts.all()
    assert contract_.state is State.CANCELLED
    node.journal.close()


async def test_retry_after_moves_the_next_try() -> None:
    from starlette.responses import JSONResponse  # noqa: PLC0415

    async def answer(request: Any) -> Any:
        error = {"code": "AUT_RATE_LIMITED", "message": "later"}
        body = {"message": {"status": "NACK", "messageId": str(uuid.uuid4()), "error": error}}
        return JSONResponse(body, status_code=429, headers={"retry-after": "40"})

    async with serving(answer) as url:
        begun = time.time()
        state, node = await one_try(url)
    assert state == "WAITING"
    assert (node.journal.outbox.next_at() or 0.0) - begun >= 40.0
    node.journal.close()


async def test_nobody_there_is_tried_again() -> None:
    state, node = await one_try("http://127.0.0.1:9/beckn")
    assert state == "WAITING"
    (item,) = node.journal.outbox.of_transaction(node.journal.contracts.all()[0].transaction_id)
    assert (item.tries, item.outcome[:20]) == (1, "NET_CALLBACK_FAILED:")
    node.journal.close()


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after("17", T0) == 17.0
    assert retry_after("Fri, 15 Jan 2027 08:00:20 GMT", T0) == 20.0
    assert retry_after("soon", T0) == 0.0
    assert retry_after("", T0) == 0.0


class Directory:
    """A DeDi registry on a real socket."""

    def __init__(self) -> None:
        key = base64.b64encode(KEYS["bap.test"].public.raw).decode()
        self.details: dict[str, Any] = {
            "url": "https://bap.test/beckn/",
            "type": "BAP",
            "subscriber_id": "bap.test",
            "signing_public_key": key,
        }
        self.data: dict[str, Any] = {"record_id": "k1", "network_memberships": ["ns/net"]}
        self.asked: list[str] = []
        self.status = 200

    async def answer(self, request: Any) -> Any:
        from starlette.responses import Response  # noqa: PLC0415

        self.asked.append(request.scope["raw_path"].decode())
        status = self.status
        if "bap.test" not in request.url.path:
            status = 404
        body = json.dumps({"data": {**self.data, "details": self.details}})
        return Response(body, status_code=status, media_type="application/json")


@asynccontextmanager
async def directory() -> AsyncIterator[tuple[Directory, Dedi]]:
    made = Directory()
    async with serving(made.answer) as url, httpx.AsyncClient() as client:
        yield made, Dedi(client, f"{url}/dedi")


async def refused(dedi: Dedi, name: str, now: float = T0, key: str = "k1") -> Code:
    with pytest.raises(Refusal) as caught:
        await dedi.find(name, key, now)
    return caught.value.code


async def test_dedi_finds_and_keeps() -> None:
    async with directory() as (made, dedi):
        found = await asyncio.gather(*(dedi.find("bap.test", "k1", T0) for _ in range(5)))
        assert {one.url for one in found} == {"https://bap.test/beckn"}
        assert found[0].networks == ("ns/net",)
        assert made.asked == ["/dedi/lookup/bap.test/subscribers.beckn.one/k1"]
        await dedi.find("bap.test", "k1", T0 + 299)
        assert len(made.asked) == 1
        made.data["is_revoked"] = True
        assert (await dedi.find("bap.test", "k1", T0 + 301)).revoked
        assert len(made.asked) == 2


async def test_dedi_keeps_misses_too_but_not_silence() -> None:
    async with directory() as (made, dedi):
        for now in (T0, T0 + 29):
            assert await refused(dedi, "no.test", now) is Code.AUT_SUBSCRIBER_NOT_FOUND
        assert len(made.asked) == 1
        assert await refused(dedi, "no.test", T0 + 31) is Code.AUT_SUBSCRIBER_NOT_FOUND
        assert len(made.asked) == 2
        made.status = 503
        assert await refused(dedi, "bap.test") is Code.NET_DOWNSTREAM_UNAVAILABLE
        made.status = 200
        assert (await dedi.find("bap.test", "k1", T0)).id == "bap.test"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("subscriber_id", "else.test", Code.AUT_SUBSCRIBER_NOT_FOUND),
        ("signing_public_key", base64.b64encode(bytes(32)).decode(), Code.AUT_KEY_NOT_FOUND),
        ("signing_public_key", "no key", Code.AUT_KEY_NOT_FOUND),
        ("url", "file:///etc/passwd", Code.AUT_KEY_NOT_FOUND),
        ("url", "http://user:secret@bap.test/", Code.AUT_KEY_NOT_FOUND),
        ("type", "BG", Code.AUT_KEY_NOT_FOUND),
        ("valid_until", "2027-01-01", Code.AUT_KEY_NOT_FOUND),
    ],
)
async def test_dedi_believes_no_odd_record(field: str, value: str, code: Code) -> None:
    async with directory() as (made, dedi):
        made.details[field] = value
        assert await refused(dedi, "bap.test") is code


async def test_dedi_escapes_what_strangers_send() -> None:
    async with directory() as (made, dedi):
        assert await refused(dedi, "../../admin?x=", key="k/1#y") is Code.AUT_SUBSCRIBER_NOT_FOUND
        assert made.asked == ["/dedi/lookup/..%2F..%2Fadmin%3Fx%3D/subscribers.beckn.one/k%2F1%23y"]
        assert await refused(dedi, "", key="a/../c") is Code.AUT_KEY_NOT_FOUND
        assert len(made.asked) == 1


async def test_dedi_that_is_away_lets_nobody_in() -> None:
    async with httpx.AsyncClient() as client:
        dedi = Dedi(client, "http://127.0.0.1:9")
        assert await refused(dedi, "bap.test") is Code.NET_DOWNSTREAM_UNAVAILABLE
