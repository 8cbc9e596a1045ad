"""One participant: durable before acknowledged, answered in the end, bound to its request, TTL."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from flexlond.beckn.contract.machine import LocalViolation
from flexlond.beckn.contract.table import State
from flexlond.beckn.journal.outbox import Attempt
from flexlond.beckn.node.desk import Answer
from flexlond.beckn.node.limits import Buckets
from flexlond.beckn.node.settings import NodeSettings
from flexlond.beckn.trust.keys import SecretKey
from flexlond.beckn.trust.signature import Signer, Switches, digest, read
from flexlond.beckn.wire import acks
from flexlond.beckn.wire.codes import Refusal
from tests.unit.beckn.kit import (
    BAP,
    BPP,
    ELSE,
    SLOT,
    T0,
    Pair,
    active,
    answered,
    contract,
    dumped,
    item_of,
    raw,
    sample,
    subscriber,
    whole,
)
from tests.unit.beckn.kit import (
    FIRST as SLOT_ONE,
)

# ---- acknowledged, then answered


def test_an_order_is_answered_step_by_step_with_the_ids_of_its_requests(pair: Pair) -> None:
    txn = active(pair)
    asked = {one.action: one for one in pair.bap.journal.outbox.of_transaction(txn)}
    answers = {one.action: one for one in pair.bpp.journal.outbox.of_transaction(txn)}
    assert list(asked) == ["select", "init", "confirm"]
    for name, request in asked.items():
        callback = answers[f"on_{name}"]
        context = json.loads(callback.body)["context"]
        assert context["messageId"] == request.message_id == callback.message_id
        assert context["transactionId"] == txn
        assert context["requestDigest"] == {"digest": digest(request.body)}
        assert callback.answered in pair.bap.journal.outbox.signatures(request.message_id)
    final = json.loads(answers["on_confirm"].body)["message"]["contract"]
    assert final["status"] == {"code": "ACTIVE"}
    uuid.UUID(final["id"])
    assert pair.bpp.journal.book.held(txn) == {SLOT_ONE: 40_000, SLOT_ONE + SLOT: 30_000}
    moves = [(was, event) for _, was, event, _ in pair.bpp.journal.contracts.history(txn)]
    assert moves == [
        ("IDLE", "select"),
        ("SELECTING", "on_select"),
        ("SELECTED", "init"),
        ("INITIALISING", "on_init"),
        ("INITIALISED", "confirm"),
        ("CONFIRMING", "on_confirm"),
    ]


def test_the_answer_is_never_sent_before_the_request_is_acknowledged_and_handled(
    pair: Pair,
) -> None:
    txn = pair.order()
    (item,) = pair.bap.due(T0)
    reply = pair.give(pair.bpp, "select", pair.bap.begin(item, T0), item.body, T0)
    assert reply.status == 200
    assert pair.seller.calls == []
    assert pair.bpp.due(T0) == []
    assert pair.bpp.work(T0) == 1
    assert [one.action for one in pair.bpp.due(T0)] == ["on_select"]
    assert pair.states(txn) == ("SELECTING", "SELECTED")


@pytest.mark.parametrize("action", ["discover", "support", "track", "status", "rate"])
def test_the_other_questions_are_answered_too(pair: Pair, action: str) -> None:
    txn = active(pair)
    if action == "rate":
        done = {"contract": {**contract([40.0, 30.0]), "status": {"code": "COMPLETE"}}}
        pair.bpp.push("on_status", txn, done, T0)
        pair.settle(T0)
    body = None if action == "status" else sample(action)
    said = answered(pair, action, txn, body)
    assert "error" not in said
    assert pair.buyer.errors == []


def test_a_no_comes_in_the_callback_with_its_code_and_the_contract(pair: Pair) -> None:
    txn = pair.order(kw=[140.0])
    pair.settle(T0)
    assert pair.states(txn) == ("CANCELLED", "CANCELLED")
    assert pair.buyer.errors == ["BIZ_QUANTITY_UNAVAILABLE"]
    said = json.loads(pair.bpp.journal.outbox.of_transaction(txn)[-1].body)
    assert said["error"]["code"] == "BIZ_QUANTITY_UNAVAILABLE"
    assert "140 kW asked" in said["error"]["message"]
    assert said["message"]["contract"]["status"] == {"code": "CANCELLED"}


def test_a_fault_of_the_business_is_an_error_answer_and_is_kept_for_the_log(pair: Pair) -> None:
    pair.seller.fault = ZeroDivisionError("oops")
    txn = pair.order()
    pair.settle(T0)
    assert pair.buyer.errors == ["NET_INTERNAL_ERROR"]
    assert pair.bpp.desk.faults == ["select: ZeroDivisionError: oops"]
    assert "oops" not in pair.bpp.journal.outbox.of_transaction(txn)[-1].body.decode()
    assert pair.states(txn) == ("CANCELLED", "CANCELLED")


def test_a_fault_at_the_end_of_an_order_does_not_undo_the_end(pair: Pair) -> None:
    pair.seller.fault_at_end = ZeroDivisionError("oops")
    refused = pair.order(kw=[140.0])
    pair.settle(T0)
    assert pair.states(refused) == ("CANCELLED", "CANCELLED")
    pair.buyer.goes_on = False
    left = pair.order()
    pair.settle(T0)
    assert pair.bpp.lapse(T0 + 900) == 1
    assert pair.states(left)[1] == "CANCELLED"
    assert pair.bpp.desk.take_faults() == ["end: ZeroDivisionError: oops"] * 2
    assert pair.bpp.desk.take_faults() == []


def test_what_the_contract_does_not_admit_is_acknowledged_and_refused_in_the_callback(
    pair: Pair,
) -> None:
    txn = active(pair)
    plain = whole("confirm", T0, transactionId=txn)
    known = pair.bpp.journal.contracts.get(txn)
    assert known is not None
    plain["message"]["contract"]["id"] = known.contract_id
    body = raw(plain)
    reply = pair.give(pair.bpp, "confirm", BAP.signer.header(body, T0), body, T0)
    assert reply.status == 200
    calls = list(pair.seller.calls)
    pair.bpp.work(T0)
    assert pair.seller.calls == calls
    said = json.loads(item_of(pair.bpp, "on_confirm").body)
    assert said["error"]["code"] == "BIZ_ALREADY_CONFIRMED"
    assert pair.states(txn) == ("ACTIVE", "ACTIVE")


def test_an_order_of_another_id_is_not_this_transaction(pair: Pair) -> None:
    txn = active(pair)
    body = raw(whole("status", T0, transactionId=txn))  # the sample's contract has an id of its own
    assert pair.give(pair.bpp, "status", BAP.signer.header(body, T0), body, T0).status == 200
    pair.bpp.work(T0)
    said = json.loads(item_of(pair.bpp, "on_status").body)
    assert said["error"]["code"] == "BIZ_ORDER_NOT_FOUND"


def test_a_transaction_belongs_to_those_who_began_it(pair: Pair) -> None:
    from tests.unit.beckn.kit import ELSE  # noqa: PLC0415

    txn = active(pair)
    before = dumped(pair.bpp.journal)
    body = raw(whole("status", T0, transactionId=txn, bapId=ELSE.id, bapUri=ELSE.uri))
    reply = pair.give(pair.bpp, "status", ELSE.signer.header(body, T0), body, T0)
    assert (reply.status, reply.code) == (401, "AUT_UNAUTHORIZED_ACTION")
    assert dumped(pair.bpp.journal) == before


def test_we_say_nothing_that_the_contract_does_not_admit(pair: Pair) -> None:
    txn = active(pair)
    before = dumped(pair.bap.journal)
    with pytest.raises(LocalViolation, match="'init' is not possible while the contract is ACTIVE"):
        pair.bap.ask("init", subscriber(BPP), txn, {"contract": contract([1.0])}, T0)
    assert dumped(pair.bap.journal) == before


def test_a_dormant_participant_takes_up_nothing_new_and_keeps_what_it_has(pair: Pair) -> None:
    txn = active(pair)
    pair.bpp.gate.dormant = "maintenance until 18:00"
    assert "error" not in answered(pair, "status", txn)
    body = raw(whole("select", T0 + 1))
    reply = pair.give(pair.bpp, "select", BAP.signer.header(body, T0 + 1), body, T0 + 1)
    assert (reply.status, reply.code) == (403, "POL_NP_DORMANT")
    assert reply.headers["retry-after"] == "60"


# ---- duplicates and time to live


def test_the_same_message_again_is_acknowledged_again_and_handled_once(pair: Pair) -> None:
    pair.order()
    (item,) = pair.bap.due(T0)
    for second in range(3):  # each try has a signature of its own
        header = pair.bap.begin(item, T0 + second)
        reply = pair.give(pair.bpp, "select", header, item.body, T0 + second)
        assert (reply.status, json.loads(reply.body)["message"]["status"]) == (200, "ACK")
        pair.bpp.work(T0 + second)
    assert pair.seller.calls == ["select"]
    assert len([one for one in pair.bpp.due(T0 + 9) if one.action == "on_select"]) == 1


def test_any_repetition_is_refused_where_the_strict_text_is_followed() -> None:
    strict = Pair(settings=NodeSettings(strict_duplicates=True))
    strict.order()
    (item,) = strict.bap.due(T0)
    codes = [
        strict.give(strict.bpp, "select", strict.bap.begin(item, T0 + n), item.body, T0 + n).code
        for n in range(2)
    ]
    assert codes == ["", "CTX_MESSAGE_ID_DUPLICATE"]
    strict.close()


@pytest.mark.parametrize(("late", "code"), [(60, ""), (61, "CTX_TTL_EXPIRED")])
def test_a_message_lives_exactly_as_long_as_it_says(pair: Pair, late: int, code: str) -> None:
    pair.order()
    (item,) = pair.bap.due(T0)
    reply = pair.give(pair.bpp, "select", pair.bap.begin(item, T0 + late), item.body, T0 + late)
    assert reply.code == code


def test_a_message_taken_in_time_stays_taken_when_it_comes_again_too_late(pair: Pair) -> None:
    pair.order()
    (item,) = pair.bap.due(T0)
    for at in (T0, T0 + 90):
        reply = pair.give(pair.bpp, "select", pair.bap.begin(item, at), item.body, at)
        assert reply.status == 200


# ---- binding of answers


def test_an_answer_to_our_request_must_be_bound_to_it_unless_told_otherwise() -> None:
    for strict, status in ((True, 401), (False, 200)):
        switches = Switches(strict_binding=strict)
        pair = Pair(settings=NodeSettings(signatures=switches))
        pair.order()
        (item,) = pair.bap.due(T0)
        pair.give(pair.bpp, "select", pair.bap.begin(item, T0), item.body, T0)
        pair.bpp.work(T0)
        answer = item_of(pair.bpp, "on_select")
        plain = BPP.signer.header(answer.body, T0)
        assert pair.give(pair.bap, "on_select", plain, answer.body, T0).status == status
        pair.close()


def test_an_answer_to_any_of_our_tries_is_known(pair: Pair) -> None:
    pair.order()
    (item,) = pair.bap.due(T0)
    headers = [pair.bap.begin(item, T0 + n) for n in range(3)]
    pair.give(pair.bpp, "select", headers[1], item.body, T0 + 1)
    pair.bpp.work(T0 + 1)
    answer = item_of(pair.bpp, "on_select")
    assert answer.answered == read(headers[1], Switches()).signature_text
    header = pair.bpp.begin(answer, T0 + 3)
    assert pair.give(pair.bap, "on_select", header, answer.body, T0 + 3).status == 200


# ---- keys, limits, names


def test_a_key_is_changed_in_the_middle_of_an_order(pair: Pair) -> None:
    new = Signer(BPP.id, "k2", SecretKey.of_seed(b"\x09" * 32))
    txn = pair.order()
    (item,) = pair.bap.due(T0)
    reply = pair.give(pair.bpp, "select", pair.bap.begin(item, T0), item.body, T0)
    pair.bap.end(item, Attempt(acks.hear(reply.status, reply.body), reply.status), T0)
    pair.bpp.work(T0)  # the answer waits, written under the old key
    pair.registry.found[BPP.id, "k2"] = replace(subscriber(BPP), key_id="k2", key=new.secret.public)
    pair.bpp.use_key(new)
    del pair.registry.found[BPP.id, "k1"]
    pair.settle(T0)
    assert pair.states(txn) == ("ACTIVE", "ACTIVE")
    assert {one.peer_key for one in pair.bap.journal.inbox.of_transaction(txn)} == {"k2"}
    with pytest.raises(ValueError, match=r"expected one of bpp\.test"):
        pair.bpp.use_key(BAP.signer)


def test_a_bucket_fills_again_and_one_peer_does_not_empty_anothers() -> None:
    buckets = Buckets(2.0, 3, most=2)
    for _ in range(3):
        buckets.take("a", T0)
    with pytest.raises(Refusal) as caught:
        buckets.take("a", T0)
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    buckets.take("b", T0)
    buckets.take("a", T0 + 0.5)
    for name in "cdef":
        buckets.take(name, T0 + 1)
    assert len(buckets._left) == 2


def test_states_of_the_wire_are_what_the_sides_hold(pair: Pair) -> None:
    txn = active(pair)
    said = answered(pair, "status", txn)
    assert said["message"]["contract"]["status"] == {"code": State.ACTIVE.value}


def test_what_belongs_to_no_contract_is_never_told_in_the_name_of_a_contracts_peer(
    pair: Pair,
) -> None:
    txn = active(pair)
    heard: list[str] = []

    def answer(message: Any, standing: Any, now: float) -> Answer:
        heard.append(standing.peer)
        return Answer({"catalogs": []})

    pair.seller.answer = answer  # type: ignore[method-assign]
    plain = whole("discover", T0, transactionId=txn, bapId=ELSE.id, bapUri=ELSE.uri)
    body = raw(plain)
    assert pair.give(pair.bpp, "discover", ELSE.signer.header(body, T0), body, T0).status == 200
    pair.bpp.work(T0)
    assert heard == [ELSE.id]
    sent = pair.bpp.journal.outbox.of_transaction(txn)[-1]
    assert (sent.action, sent.peer) == ("on_discover", ELSE.id)


def test_an_answer_is_of_the_transaction_of_its_request(pair: Pair) -> None:
    first, second = active(pair), pair.order(kw=[10.0])
    asked = item_of(pair.bap, "select")
    plain = whole("on_select", T0, transactionId=first, messageId=asked.message_id)
    signed = read(pair.bap.begin(asked, T0), Switches()).signature_text
    body = raw(plain)
    reply = pair.give(pair.bap, "on_select", BPP.signer.header(body, T0, signed), body, T0)
    assert (reply.status, reply.code) == (400, "CTX_INVALID_FIELD")
    assert b"$.context.transactionId" in reply.body
    assert pair.states(second)[0] == "SELECTING"
