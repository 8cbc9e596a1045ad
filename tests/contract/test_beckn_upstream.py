"""Against the published Beckn 2.0.0 LTS schemas and examples, when they lie beside the project.

They are CC BY-NC-SA and no part of it: looked for in ../shared/beckn, skipped where they are not. Every
example is read or refused with a path; what we write, in a whole order and every side question, validates.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from flexlond.beckn.trust.keys import SecretKey
from flexlond.beckn.trust.signature import signing_string
from flexlond.beckn.wire import acks, compute_energy, messages, packs
from flexlond.beckn.wire.actions import ACTIONS
from flexlond.beckn.wire.codes import Code, Refusal
from tests.unit.beckn.kit import BPP, T0, Pair, contract, sample, subscriber, whole

UPSTREAM = Path(__file__).resolve().parents[3] / "shared" / "beckn"
pytestmark = pytest.mark.skipif(
    not UPSTREAM.is_dir(),
    reason="the Beckn specification files are not beside the project (../shared/beckn)",
)

EXAMPLES = sorted(UPSTREAM.glob("examples/**/*.json"))
DRAFTS = sorted(UPSTREAM.glob("profile-draft/*.json"))
# Two upstream files carry a note of their author in an object that admits no other fields.
WITH_NOTES = {
    "on-status-response-actuals-paged-pull.json",
    "on-status-response-actuals-paged-push.json",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(UPSTREAM))


def read(path: Path) -> messages.Message:
    body = path.read_bytes()
    action = json.loads(body)["context"]["action"].replace("catalog_publish", "catalog/publish")
    allowed = (*packs.ALLOWED_CONTEXTS, "https://flexlon.test/")
    return messages.parse(body, action, allowed)


@cache
def validator(name: str) -> Draft202012Validator:
    (path,) = UPSTREAM.glob(f"jsonschema/*/{name}.schema.json")
    return Draft202012Validator(json.loads(path.read_text()), format_checker=FormatChecker())


def check(value: Any, schema: str) -> None:
    errors = [
        f"{error.json_path}: {error.message[:200]}"
        for error in validator(schema).iter_errors(value)
    ]
    assert errors == []


def check_message(plain: dict[str, Any]) -> None:
    check(plain, plain["context"]["action"].replace("/", "__") + ".request")


def test_there_is_something_to_read() -> None:
    assert len(EXAMPLES) == 47
    assert len(DRAFTS) == 16


@pytest.mark.parametrize("path", EXAMPLES + DRAFTS, ids=name_of)
def test_every_example_is_read_or_refused_with_a_reason(path: Path) -> None:
    old = "compute-energy" in path.parts
    if not old and path.name not in WITH_NOTES:
        assert read(path).action.name in ACTIONS
        return
    with pytest.raises(Refusal) as caught:
        read(path)
    if old:  # the release candidate's shape; it is for an adapter, not for the wire
        assert caught.value.code in {Code.CTX_VERSION_UNSUPPORTED, Code.NET_NOT_IMPLEMENTED}
        assert caught.value.text
    else:
        assert caught.value.code is Code.SCH_ATTRIBUTE_PACK_INVALID
        assert caught.value.path.endswith(".performanceAttributes")
        assert "_comment_meters_slice" in caught.value.text


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES if "compute-energy" in path.parts], ids=name_of
)
def test_the_draft_of_the_hackathon_is_read_by_its_adapter(path: Path) -> None:
    found = compute_energy.read(path.read_bytes())
    assert found.action == json.loads(path.read_bytes())["context"]["action"]
    for window in found.windows:
        assert window.end > window.start
        assert window.area
    if found.action == "on_discover":
        assert len(found.windows) >= 2
        assert all(0 < window.price < 1 and window.carbon > 0 for window in found.windows)


def test_our_codes_are_the_published_ones() -> None:
    assert {code.value for code in Code} == set(validator("ErrorCode").schema["enum"])


@pytest.mark.parametrize("action", list(ACTIONS))
def test_our_sample_of_every_action_validates(action: str) -> None:
    plain = whole(action)
    check_message(plain)


def test_all_that_an_order_says_validates() -> None:
    pair = Pair()
    pair.buyer.goes_on = True
    txn = pair.order()
    pair.settle(T0)
    refused = pair.order(kw=[200.0])
    pair.settle(T0)
    peer = subscriber(BPP)
    standing = pair.bap.journal.contracts.get(txn)
    assert standing is not None
    agreed = {"contract": {**json.loads(standing.body), "id": standing.contract_id}}
    for action in ("status", "support", "track", "discover"):
        body = agreed if action == "status" else sample(action)
        pair.bap.ask(action, peer, txn, body, T0)
    pair.bap.ask("update", peer, txn, agreed, T0, try_=True)
    pair.bap.ask("cancel", peer, txn, agreed, T0, try_=True)
    pair.settle(T0)
    done = {"contract": {**contract([40.0, 30.0]), "status": {"code": "COMPLETE"}}}
    pair.bpp.push("on_status", txn, done, T0)
    pair.settle(T0)
    pair.bap.ask("rate", peer, txn, sample("rate"), T0)
    pair.settle(T0)
    said = [
        item
        for node in (pair.bap, pair.bpp)
        for one in (txn, refused)
        for item in node.journal.outbox.of_transaction(one)
    ]
    assert {item.action for item in said} >= {
        "select",
        "on_select",
        "on_init",
        "on_confirm",
        "on_status",
        "on_update",
        "on_cancel",
        "on_rate",
        "on_support",
        "on_track",
        "on_discover",
    }
    errors = 0
    for item in said:
        plain = json.loads(item.body)
        check_message(plain)
        if "error" in plain:
            check(plain["error"], "Error")
            errors += 1
    assert errors == 1
    pair.close()


def test_our_answers_validate() -> None:
    check(json.loads(acks.ack("")), "Ack")
    refusal = Refusal(Code.SCH_INVALID_JSON, "no", "$.x", "SLURM_DOWN")
    for schema in (
        "NackBadRequest",
        "NackUnauthorized",
        "NackDiscretionary",
        "NackTooManyRequests",
        "ServerError",
    ):
        check(json.loads(acks.nack("", refusal)), schema)


def test_the_published_signature() -> None:
    text = (UPSTREAM / "tools" / "signing_vector.py").read_text()
    words = [
        word for word in text.replace("'", " ").replace('"', " ").split() if word.endswith("==")
    ]
    key = next(word for word in words if len(word) == 88 and word.startswith("lP3s"))
    value = next(word for word in words if word.startswith("cjbh"))
    digest = next(word for word in words if word.startswith("b6lf"))
    signer = SecretKey.of_seed(base64.b64decode(key)[:32])
    made = signer.sign(signing_string(1641287875, 1641291475, f"BLAKE-512={digest}"))
    assert base64.b64encode(made).decode() == value
