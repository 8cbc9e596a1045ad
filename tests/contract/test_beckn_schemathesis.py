"""schemathesis against two daemons at work: whatever is sent, signed, is answered as the published file says.

Requests are made from the file, valid and invalid ones, as they are and with a context that the gate lets
through; no answer is a 5xx, each has the documented status, header and shape, nothing that the file does not
admit is taken, and what follows from what was taken is well-formed too. FLEXLON_CASES sets the number of
requests of each kind (a few by default). As test_beckn_upstream.py: skipped where the file is not.
"""

from __future__ import annotations

import json
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from flexlond.beckn.wire.actions import ACTIONS, Role
from tests.contract.live import GRID, SITE, Live, live
from tests.contract.test_beckn_openapi import document, found_by_openapi, is_push
from tests.contract.test_beckn_upstream import UPSTREAM, validator
from tests.unit.beckn.kit import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.beckn.trust.signature import Signer

schemathesis = pytest.importorskip("schemathesis", reason="it comes with the dev extra")
requests = pytest.importorskip("requests", reason="schemathesis sends with it")
pytestmark = pytest.mark.skipif(
    not UPSTREAM.is_dir(),
    reason="the Beckn specification files are not beside the project (../shared/beckn)",
)
CASES = int(os.environ.get("FLEXLON_CASES", "2"))
MODES = ("positive", "negative")


class Signing(requests.auth.AuthBase):  # type: ignore[misc]
    """Signs the bytes that leave, as they leave."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def __call__(self, request: Any) -> Any:
        body = request.body or b""
        body = body if isinstance(body, bytes) else body.encode()
        request.headers["Authorization"] = self._signer.header(body, time.time())
        return request


@cache
def published() -> Any:
    """The file, with messages that are objects: it admits null, and that is all that would be drawn."""
    found = document()
    for name in ACTIONS:
        body = found["paths"][f"/{name}"]["post"]["requestBody"]["content"]["application/json"]
        parts = body["schema"]["properties"]
        kind = found["components"]["schemas"][parts["message"]["$ref"].rpartition("/")[2]]
        part = next(iter(kind.get("properties", {})), None)
        narrow = {"type": "object", "required": [part] if part else []}
        parts["message"] = {"allOf": [parts["message"], narrow]}
    return schemathesis.openapi.from_dict(found)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("live")) as found:
        yield found


def requests_of(action: str, mode: str) -> Any:
    """A strategy of requests, and how many of them are looked at."""
    operation = published()[f"/{action}"]["POST"]
    kind = schemathesis.GenerationMode(mode)

    def run(probe: Any) -> None:
        few = settings(
            max_examples=CASES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        few(given(case=operation.as_strategy(generation_mode=kind))(probe))()

    return run


def ask(both: Live, action: str, case: Any, *, sign: bool = True) -> int:
    """Send it, signed by whoever may; the status of its answer, which is as documented."""
    by, to = (GRID, SITE) if ACTIONS[action].sender is Role.BAP else (SITE, GRID)
    auth = Signing(both.signers[by]) if sign else None
    came = case.call(base_url=both.url(to), auth=auth)
    # The rules of the context are in the text of the standard and not in the file; and what is signed
    # anew has a good header also where a bad one was drawn, so what is invalid in it is judged below.
    without = ["positive_data_acceptance", *(["negative_data_rejection"] if sign else [])]
    checks = [schemathesis.checks.CHECKS.get_one(name) for name in without]
    case.validate_response(came, excluded_checks=checks)
    schema = validator(action.replace("/", "__") + ".request")
    errors = [error.json_path for error in schema.iter_errors(case.body)]
    assert not (came.status_code == 200 and errors), (errors, case.body)
    assert came.status_code < 500, came.content
    return int(came.status_code)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("action", list(ACTIONS))
def test_whatever_is_sent_is_answered_as_documented(both: Live, action: str, mode: str) -> None:
    seen = set()

    def probe(case: Any) -> None:
        assert ask(both, action, case, sign=False) in {400, 401}
        seen.add(ask(both, action, case))
        if isinstance(case.body, dict):
            context = whole(action, time.time(), bapId=GRID, bppId=SITE, bapUri=None, bppUri=None)
            case.body = {**case.body, "context": context["context"]}
            seen.add(ask(both, action, case))

    requests_of(action, mode)(probe)
    assert seen <= {200, 400, 401}
    assert seen
    assert both.faults() == []


def test_what_was_taken_is_answered_well(both: Live) -> None:
    """After the others: the callbacks that they led to."""
    plain = whole("discover", time.time(), bapId=GRID, bppId=SITE, bapUri=None, bppUri=None)
    body = json.dumps(plain).encode()
    url = f"{both.url(SITE)}/discover"
    header = {"content-type": "application/json"}
    came = requests.post(url, body, headers=header, auth=Signing(both.signers[GRID]), timeout=30)
    assert came.status_code == 200
    both.until(lambda: "/on_discover" in {one.path for one in both.kept})
    kept = [one for one in both.kept if not is_push(one)]
    assert {"/on_discover", "/catalog/publish", "/catalog/on_publish"} <= {one.path for one in kept}
    assert [error for one in kept for error in found_by_openapi(one)] == []
    assert both.faults() == []
