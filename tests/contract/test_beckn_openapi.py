"""openapi-core on real HTTP: every request and answer of a whole order, and every status that we answer with.

As test_beckn_upstream.py: the specification's files are no part of the project, skipped where they are not.
"""

from __future__ import annotations

import json
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flexlond.beckn.wire.codes import Code, Refusal
from tests.contract.live import GRID, SITE, Exchange, Live, live
from tests.contract.orders import ACTIONS, two_orders
from tests.contract.test_beckn_upstream import UPSTREAM
from tests.unit.beckn.kit import whole

if TYPE_CHECKING:
    from pathlib import Path

    from openapi_core import OpenAPI

yaml = pytest.importorskip("yaml", reason="PyYAML reads the published file")
pytest.importorskip("openapi_core", reason="it comes with the dev extra")
pytestmark = pytest.mark.skipif(
    not UPSTREAM.is_dir(),
    reason="the Beckn specification files are not beside the project (../shared/beckn)",
)
HOST = "https://example.beckn.io"  # the default of the file's own server variable


def document() -> dict[str, Any]:
    """The published file, with its one mistake mended that keeps validators from reading it."""
    (path,) = UPSTREAM.glob("openapi/*/beckn.yaml")
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    quantifier = found["components"]["schemas"]["SpatialConstraint"]["properties"]["quantifier"]
    if quantifier.get("default") not in quantifier["enum"]:
        quantifier["default"] = quantifier["default"].upper()
    return found


@cache
def spec() -> OpenAPI:
    from openapi_core import OpenAPI  # noqa: PLC0415 - heavy, and only where the file is

    return OpenAPI.from_dict(document())


def found_by_openapi(exchange: Exchange, *, request: bool = True) -> list[str]:
    """What it finds in one exchange; `request`: in the request too."""
    from openapi_core.testing import MockRequest, MockResponse  # noqa: PLC0415

    asked = MockRequest(
        HOST,
        "post",
        exchange.path,
        headers={name.title(): value for name, value in exchange.sent.items()},
        data=exchange.body,
    )
    answered = MockResponse(
        exchange.answer,
        status_code=exchange.status,
        headers={name.title(): value for name, value in exchange.came.items()},
    )
    errors = list(spec().iter_response_errors(asked, answered))
    if request:
        errors += spec().iter_request_errors(asked)
    return [f"{exchange.path} {exchange.status}: {e!r} {e.__cause__!r}"[:600] for e in errors]


def is_push(exchange: Exchange) -> bool:
    """A callback that nobody asked for: signed over three lines, as the text of the standard says.

    The file's pattern for callbacks admits only the four lines of an answer (docs/explanation/beckn.md).
    """
    return (
        exchange.path.startswith("/on_")
        and "request-signature" not in exchange.sent["authorization"]
    )


def test_all_traffic_of_two_orders(tmp_path: Path) -> None:
    with live(tmp_path) as both:
        two_orders(both)
        kept = list(both.kept)
        assert both.faults() == []
    assert {one.path.lstrip("/") for one in kept} >= ACTIONS
    assert {one.status for one in kept} == {200}
    pushes = [one for one in kept if is_push(one)]
    assert pushes
    for one in pushes:
        errors = found_by_openapi(one)
        assert len(errors) == 1
        assert "Authorization" in errors[0]
    assert [e for one in kept if one not in pushes for e in found_by_openapi(one)] == []


class Empty:
    """A bucket that is never full."""

    def take(self, name: str, now: float) -> None:
        raise Refusal(Code.AUT_RATE_LIMITED, "too often", retry_after=3)


class Broken:
    """A journal on a full disk."""

    def transaction(self) -> Any:
        raise OSError("no space left on device")


def test_every_refusal_has_its_documented_shape(tmp_path: Path) -> None:
    with live(tmp_path) as both, httpx.Client() as client:
        seen: dict[int, list[str]] = {}

        def post(body: bytes, headers: dict[str, str]) -> None:
            asked = {"content-type": "application/json", **headers}
            came = client.post(f"{both.url(SITE)}/select", content=body, headers=asked)
            sent, back = dict(came.request.headers), dict(came.headers)
            one = Exchange("/select", sent, body, came.status_code, back, came.content)
            seen.setdefault(one.status, []).extend(found_by_openapi(one, request=False))

        def by_grid(body: bytes) -> dict[str, str]:
            return {"authorization": both.signers[GRID].header(body, time.time())}

        plain = b'{"context":{"action":"select"},"message":{}}'
        post(plain, {})
        post(plain, {"authorization": "Bearer x"})
        post(plain, by_grid(b"other"))
        post(plain, {"authorization": by_grid(plain)["authorization"].replace(GRID, "x.test")})
        post(plain, by_grid(plain))
        post(b"[" * 99, by_grid(b"[" * 99))
        post(b"x" * 2_000_000, by_grid(plain))
        post(plain, {**by_grid(plain), "content-type": "text/plain"})
        ((stall,),) = both.site.market.stalls.values()
        gate = stall.node.gate
        good = _select(both)
        gate.dormant = "the site is draining"
        post(good, by_grid(good))
        gate.dormant = ""
        real, gate._journal = gate._journal, Broken()  # type: ignore[assignment]
        good = _select(both)
        gate._journal.outbox = real.outbox
        post(good, by_grid(good))
        gate._journal = real
        gate._buckets = Empty()  # type: ignore[assignment]
        post(plain, by_grid(plain))
    assert set(seen) == {400, 401, 403, 429, 500}
    assert all(errors == [] for errors in seen.values()), seen


def _select(both: Live) -> bytes:
    plain = whole("select", time.time(), bapId=GRID, bppId=SITE, bapUri=both.url(GRID), bppUri=None)
    return json.dumps(plain).encode()
