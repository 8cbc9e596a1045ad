"""More than seventy mutations of every action: each is refused with its code, and nothing changes.

The same messages, unmutated, are accepted afterwards: so it was the mutation that was refused. Replays and
reused ids, which need an accepted message first, stand at the end.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.beckn.trust import signature
from flexlond.beckn.trust.keys import PublicKey
from flexlond.beckn.trust.signature import Signer, Switches
from flexlond.beckn.wire.actions import ACTIONS, Role
from flexlond.beckn.wire.codes import Code
from tests.unit.beckn.kit import (
    BAP,
    BPP,
    ELSE,
    KEYS,
    T0,
    Pair,
    contract,
    dumped,
    moment,
    raw,
    sample,
    sender_of,
    subscriber,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.beckn.node.arrivals import Reply
    from flexlond.beckn.node.node import Node

ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group, for a second S


@dataclass
class Scene:
    """A message that would be accepted, and what a mutation may change of it."""

    pair: Pair
    node: Node
    action: str
    plain: dict[str, Any]
    answered: str  # the signature that the message must be bound to; empty for none
    now: float = T0 + 10
    path: str = ""
    body: bytes | None = None  # instead of `plain`
    signer: Signer | None = None
    header: Callable[[str], str] = str  # changes the header after signing
    resign: bool = True  # whether the signature is over the mutated bytes
    signed_at: float = T0 + 10

    @property
    def context(self) -> dict[str, Any]:
        return self.plain["context"]  # type: ignore[no-any-return]

    @property
    def side(self) -> str:
        return "bap" if ACTIONS[self.action].sender is Role.BAP else "bpp"

    @property
    def other(self) -> str:
        return "bpp" if self.side == "bap" else "bap"

    def send(self, original: bytes) -> Reply:
        body = raw(self.plain) if self.body is None else self.body
        signer = self.signer or sender_of(self.action).signer
        signed = body if self.resign else original
        header = self.header(signer.header(signed, self.signed_at, self.answered))
        return self.pair.give(self.node, self.path or self.action, header, body, self.now)


def scene(pair: Pair, action: str) -> Scene:
    """Bring `pair` to where `action` is accepted."""
    node = pair.bpp if ACTIONS[action].sender is Role.BAP else pair.bap
    plain = whole(action, T0 + 10)
    answered = ""
    if ACTIONS[action].contractual:
        txn = plain["context"]["transactionId"] = _at(pair, action)
        known = node.journal.contracts.get(txn)
        if known and "contract" in plain["message"]:
            plain["message"]["contract"]["id"] = known.contract_id
    if action in {"on_discover", "catalog/on_publish"}:
        asked = "discover" if action == "on_discover" else "catalog/publish"
        peer = subscriber(BPP if action == "on_discover" else BAP)
        txn = plain["context"]["transactionId"]
        message_id = node.ask(asked, peer, txn, sample(asked), T0)
        (item,) = node.due(T0)
        answered = signature.read(node.begin(item, T0), Switches()).signature_text
        plain["context"]["messageId"] = message_id
    if action in {"update", "cancel"}:
        plain["context"]["try"] = True
    return Scene(pair, node, action, plain, answered)


def _at(pair: Pair, action: str) -> str:
    """A transaction in a state in which the action is admitted."""
    if action == "select":
        return str(uuid.uuid4())
    pair.buyer.goes_on = action not in {"init", "confirm"}
    txn = pair.order()
    pair.settle(T0)
    if action == "confirm":
        pair.bap.ask("init", subscriber(BPP), txn, {"contract": contract([40.0, 30.0])}, T0)
        pair.settle(T0)
    if action == "rate":
        body = {"contract": {**contract([40.0, 30.0]), "status": {"code": "COMPLETE"}}}
        pair.bpp.push("on_status", txn, body, T0)
    return txn


MUTATIONS: dict[str, tuple[Any, Code]] = {}


def mutation(code: Code) -> Callable[[Any], Any]:
    def register(change: Any) -> Any:
        MUTATIONS[change.__name__] = (change, code)
        return change

    return register


def on_header(name: str, change: Callable[[str], str], code: Code) -> None:
    MUTATIONS[name] = (lambda s: setattr(s, "header", change), code)


def on_context(name: str, code: Code, **fields: Any) -> None:
    def change(s: Scene) -> None:
        for key, value in fields.items():
            s.context.pop(key, None)
            if value is not None:
                s.context[key] = value

    MUTATIONS[name] = (change, code)


def on_bytes(name: str, change: Callable[[bytes], bytes], code: Code, *, resign: bool) -> None:
    def apply(s: Scene) -> None:
        s.body, s.resign = change(raw(s.plain)), resign

    MUTATIONS[name] = (apply, code)


def swap(name: str, value: str) -> Callable[[str], str]:
    import re  # noqa: PLC0415

    return lambda header: re.sub(f'{name}="[^"]*"', f'{name}="{value}"', header)


def on_value(change: Callable[[bytes], bytes]) -> Callable[[str], str]:
    def apply(header: str) -> str:
        old = header.rpartition('signature="')[2].rstrip('"')
        new = base64.b64encode(change(base64.b64decode(old))).decode()
        return header.replace(f'signature="{old}"', f'signature="{new}"')

    return apply


def second_s(value: bytes) -> bytes:
    s = int.from_bytes(value[32:], "little") + ORDER
    return value[:32] + s.to_bytes(32, "little")


BAD = Code.AUT_SIGNATURE_INVALID
JSON = Code.SCH_INVALID_JSON

# ---- the header
on_header("no_header", lambda _: "", Code.AUT_SIGNATURE_MISSING)
on_header("bearer", lambda _: "Bearer abc", BAD)
on_header("empty_scheme", lambda _: "Signature ", BAD)
on_header("wrong_algorithm", swap("algorithm", "rsa-sha256"), BAD)
on_header("wrong_key_algorithm", lambda h: h.replace("|ed25519", "|x25519"), BAD)
on_header("key_without_owner", swap("keyId", "|k1|ed25519"), BAD)
on_header("unknown_parameter", lambda h: f'{h},nonce="1"', BAD)
on_header("doubled_parameter", lambda h: f'{h},created="1"', BAD)
on_header("no_created", swap("created", ""), BAD)
on_header("no_expires", lambda h: ",".join(p for p in h.split(",") if "expires=" not in p), BAD)
on_header("no_signature", lambda h: h.rpartition(",signature")[0], BAD)
on_header("header_too_long", lambda h: h + " " * 2000 + ",", BAD)
on_header("value_not_base64", swap(",signature", "%%%%"), BAD)
on_header("value_short", on_value(lambda v: v[:-1]), BAD)
on_header("value_zero", on_value(lambda _: bytes(64)), BAD)
on_header("value_bit", on_value(lambda v: bytes([v[0] ^ 1]) + v[1:]), BAD)
on_header("value_second_s", on_value(second_s), BAD)
on_header("created_changed", swap("created", str(int(T0) + 9)), BAD)
on_header("expires_stretched", swap("expires", str(int(T0) + 900)), BAD)
on_header("covers_less", lambda h: h.replace("(expires) digest", "digest"), BAD)
on_header("record_key_unknown", swap("keyId", "a/b/c|ed25519"), Code.AUT_SUBSCRIBER_NOT_FOUND)
on_header("subscriber_unknown", swap("keyId", "x.test|k1|ed25519"), Code.AUT_SUBSCRIBER_NOT_FOUND)


@mutation(Code.AUT_KEY_NOT_FOUND)
def key_unknown(s: Scene) -> None:
    s.header = lambda h: h.replace("|k1|", "|k2|")


@mutation(BAD)
def bound_to_another_request(s: Scene) -> None:
    s.answered = base64.b64encode(bytes(64)).decode()


# ---- time
@mutation(BAD)
def signature_expired(s: Scene) -> None:
    s.now += 301


@mutation(BAD)
def signature_from_the_future(s: Scene) -> None:
    s.signed_at += 31


@mutation(BAD)
def signature_lives_too_long(s: Scene) -> None:
    s.header = swap("expires", str(int(T0) + 90_000))


@mutation(BAD)
def signature_ends_before_it_begins(s: Scene) -> None:
    s.header = lambda h: swap("created", str(int(T0) + 20))(swap("expires", str(int(T0) + 19))(h))


# ---- whose key
@mutation(BAD)
def forged_by_another_key(s: Scene) -> None:
    s.signer = Signer(sender_of(s.action).id, "k1", KEYS["else.test"])


@mutation(Code.AUT_UNAUTHORIZED_ACTION)
def signed_by_another_participant(s: Scene) -> None:
    s.signer = ELSE.signer


def _with_peer(name: str, code: Code, **fields: Any) -> None:
    def change(s: Scene) -> None:
        s.pair.registry.change(sender_of(s.action).id, **fields)

    MUTATIONS[name] = (change, code)


_with_peer("revoked", Code.AUT_KEY_EXPIRED_OR_REVOKED, revoked=True)
_with_peer("key_ran_out", Code.AUT_KEY_EXPIRED_OR_REVOKED, key_until=T0)
_with_peer("key_not_yet", Code.AUT_KEY_EXPIRED_OR_REVOKED, key_from=T0 + 500)


@mutation(Code.AUT_UNAUTHORIZED_ACTION)
def the_other_role(s: Scene) -> None:
    sender = sender_of(s.action)
    s.pair.registry.change(sender.id, role=sender.role.other)


def _small(point: str) -> Callable[[Scene], None]:
    def change(s: Scene) -> None:
        key = PublicKey(bytes.fromhex(point))  # as if a registry had not screened it
        s.pair.registry.change(sender_of(s.action).id, key=key)
        s.header = on_value(lambda _: bytes.fromhex(point) + bytes(32))

    return change


MUTATIONS["small_order_one"] = (_small("01" + "00" * 31), BAD)
MUTATIONS["small_order_zero"] = (_small("00" * 32), BAD)
MUTATIONS["small_order_eight"] = (
    _small("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    BAD,
)

# ---- bytes that were not signed
on_bytes("blank_appended", lambda b: b + b" ", BAD, resign=False)
on_bytes(
    "reserialised", lambda b: json.dumps(json.loads(b), sort_keys=True).encode(), BAD, resign=False
)
on_bytes("indented", lambda b: json.dumps(json.loads(b), indent=1).encode(), BAD, resign=False)
on_bytes("bit_flipped", lambda b: b[:50] + bytes([b[50] ^ 2]) + b[51:], BAD, resign=False)
on_bytes("truncated", lambda b: b[:-9], BAD, resign=False)
on_bytes("emptied", lambda _: b"", BAD, resign=False)

# ---- bytes that were signed and are no good
on_bytes("duplicate_key", lambda b: b'{"context":{},' + b[1:], JSON, resign=True)
on_bytes(
    "duplicate_action",
    lambda b: b.replace(b'"version"', b'"action": "status", "version"', 1),
    JSON,
    resign=True,
)
on_bytes("deep", lambda b: b[:-1] + b', "x": ' + b"[" * 64 + b"]" * 64 + b"}", JSON, resign=True)
on_bytes("oversize", lambda b: b + b" " * (1024 * 1024), JSON, resign=True)
on_bytes("nan", lambda b: b[:-1] + b', "x": NaN}', JSON, resign=True)
on_bytes("infinite", lambda b: b[:-1] + b', "x": 1e999}', JSON, resign=True)
on_bytes("half_surrogate", lambda b: b[:-1] + b', "x": "\\ud800"}', JSON, resign=True)
on_bytes("not_utf8", lambda b: b[:-1] + b', "x": "\xff"}', JSON, resign=True)
on_bytes("byte_order_mark", lambda b: b"\xef\xbb\xbf" + b, JSON, resign=True)
on_bytes("an_array", lambda b: b"[" + b + b"]", JSON, resign=True)
on_bytes("two_documents", lambda b: b + b"{}", JSON, resign=True)

# ---- the context
on_context("action_of_another", Code.CTX_ACTION_MISMATCH, action="catalog/pull")
on_context("old_version", Code.CTX_VERSION_UNSUPPORTED, version="1.1.0")
on_context("snake_case", Code.CTX_VERSION_UNSUPPORTED, message_id="m")
on_context("transaction_id_no_uuid", Code.CTX_INVALID_FIELD, transactionId="txn-1")
on_context(
    "message_id_no_uuid", Code.CTX_INVALID_FIELD, messageId="12345678-1234-1234-1234-12345678901g"
)
on_context("no_message_id", Code.CTX_MISSING_FIELD, messageId=None)
on_context("no_timestamp", Code.CTX_MISSING_FIELD, timestamp=None)
on_context("timestamp_without_offset", Code.CTX_INVALID_FIELD, timestamp="2027-01-15T08:00:10")
on_context("dead", Code.CTX_TTL_EXPIRED, timestamp=moment(T0 - 21))
on_context("from_the_future", Code.CTX_INVALID_FIELD, timestamp=moment(T0 + 60))
on_context("ttl_no_duration", Code.CTX_INVALID_FIELD, ttl="30 seconds")
on_context("ttl_of_a_week", Code.CTX_INVALID_FIELD, ttl="P1W")


@mutation(Code.CTX_INVALID_FIELD)
def another_audience(s: Scene) -> None:
    s.context[f"{s.other}Id"] = ELSE.id


@mutation(Code.CTX_INVALID_FIELD)
def callback_to_another_host(s: Scene) -> None:
    s.context[f"{s.side}Uri"] = "http://127.0.0.1:22/beckn"


@mutation(Code.CTX_INVALID_FIELD)
def an_address_that_is_none(s: Scene) -> None:
    s.context[f"{s.side}Uri"] = "http://[::1/beckn"


@mutation(Code.SCH_REQUIRED_FIELD_MISSING)
def no_message(s: Scene) -> None:
    del s.plain["message"]


@mutation(Code.SCH_REQUIRED_FIELD_MISSING)
def empty_message(s: Scene) -> None:
    s.plain["message"] = {}


@mutation(Code.CTX_ACTION_MISMATCH)
def sent_to_another_path(s: Scene) -> None:
    twin = {"bap": ("status", "support"), "bpp": ("on_status", "on_support")}[s.side]
    s.path = twin[s.action == twin[0]]


@mutation(Code.NET_NOT_IMPLEMENTED)
def sent_to_a_path_of_the_other_role(s: Scene) -> None:
    s.path = "on_rate" if s.side == "bap" else "rate"


UNBOUND = {"message_id_no_uuid", "no_message_id"}  # what it answers cannot be found then


def test_there_are_enough_of_them() -> None:
    assert len(MUTATIONS) >= 70
    assert len(ACTIONS) == 22


@pytest.mark.parametrize("action", list(ACTIONS))
def test_every_mutation_is_refused_and_changes_nothing(action: str) -> None:
    pair = Pair()
    base = scene(pair, action)
    original = raw(base.plain)
    before = dumped(base.node.journal)
    peers = dict(pair.registry.found)
    for name, (change, code) in MUTATIONS.items():
        mutated = replace(base, plain=json.loads(original))
        change(mutated)
        reply = mutated.send(original)
        pair.registry.found = dict(peers)
        answer = json.loads(reply.body)["message"]
        wanted = code
        if base.answered and name in UNBOUND:
            wanted = BAD
        assert (answer["status"], answer["error"]["code"]) == ("NACK", wanted.value), (name, answer)
        assert reply.code == wanted.value
        assert reply.status in {400, 401, 404}, name
        assert dumped(base.node.journal) == before, name
    reply = base.send(original)
    assert (reply.status, reply.code) == (200, ""), reply.body
    assert json.loads(reply.body)["message"]["messageId"] == base.context["messageId"]
    assert dumped(base.node.journal) != before
    pair.close()


@pytest.mark.parametrize("action", list(ACTIONS))
def test_a_replay_of_what_is_done_is_refused(action: str) -> None:
    pair = Pair()
    pair_scene = scene(pair, action)
    original = raw(pair_scene.plain)
    assert pair_scene.send(original).status == 200
    if ACTIONS[action].is_request:
        again = pair_scene.send(original)  # its answer is still owed: acknowledged, nothing more
        assert again.status == 200
        pair.settle(T0 + 10)
        for seq in range(
            20
        ):  # also where the buyer, who did not ask this, would not hear the answer
            pair_scene.node.journal.inbox.answered(seq)
    pair.settle(T0 + 10)
    before = dumped(pair_scene.node.journal)
    reply = pair_scene.send(original)
    assert (reply.status, reply.code) == (401, Code.AUT_REPLAY_DETECTED.value)
    assert dumped(pair_scene.node.journal) == before
    pair.close()


@pytest.mark.parametrize("action", [a.name for a in ACTIONS.values() if a.is_request])
def test_an_id_is_not_used_for_other_content(action: str) -> None:
    pair = Pair()
    first = scene(pair, action)
    assert first.send(raw(first.plain)).status == 200
    before = dumped(first.node.journal)
    other = replace(first, plain=json.loads(raw(first.plain)))
    other.context["ttl"] = "PT29S"
    reply = other.send(b"")
    assert (reply.status, reply.code) == (400, Code.CTX_MESSAGE_ID_DUPLICATE.value)
    assert dumped(first.node.journal) == before
    pair.close()


def test_every_refusal_is_signed_and_bound_to_the_request() -> None:
    pair = Pair()
    one = scene(pair, "select")
    one.context["version"] = "1.0.0"
    body = raw(one.plain)
    header = BAP.signer.header(body, one.now)
    reply = pair.give(pair.bpp, "select", header, body, one.now)
    sent = header
    proof = pair.bap.proof_of(
        reply.headers["signature"], sent, reply.body, subscriber(BPP), one.now
    )
    assert (reply.status, proof) == (400, "signed")
    other = BAP.signer.header(b"else", one.now)
    assert (
        pair.bap.proof_of(reply.headers["signature"], other, reply.body, subscriber(BPP), one.now)
        == "bad"
    )
    assert pair.bap.proof_of("", sent, reply.body, subscriber(BPP), one.now) == "unsigned"
    unauthenticated = pair.give(pair.bpp, "select", "", body, one.now)
    assert unauthenticated.status == 401
    assert unauthenticated.headers["www-authenticate"].startswith('Signature realm="bpp.test"')
    assert unauthenticated.headers["signature"].startswith('Signature keyId="bpp.test|k1|ed25519"')
    pair.close()
