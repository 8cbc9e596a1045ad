"""One participant: durable before acknowledged, answered in the end, given up on the record, two-phase, TTL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.beckn.contract.machine import LocalViolation
from flexlond.beckn.contract.table import State
from flexlond.beckn.journal.database import SCHEMA_VERSION, Database, JournalError
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.journal.outbox import FIRST, LAST, TRIES, Attempt
from flexlond.beckn.node.desk import Answer
from flexlond.beckn.node.limits import Buckets
from flexlond.beckn.node.node import TRY_SECONDS
from flexlond.beckn.node.settings import NodeSettings
from flexlond.beckn.trust.keys import SecretKey
from flexlond.beckn.trust.signature import Signer, Switches, digest, read
from flexlond.beckn.wire import acks
from flexlond.beckn.wire.actions import ACTIONS, Role
from flexlond.beckn.wire.codes import Code, Refusal
from tests.unit.beckn.kit import (
    BAP,
    BPP,
    ELSE,
    SLOT,
    T0,
    Pair,
    contract,
    dumped,
    raw,
    sample,
    subscriber,
    whole,
)
from tests.unit.beckn.kit import (
    FIRST as SLOT_ONE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.beckn.journal.outbox import Outgoing
    from flexlond.beckn.node.node import Node


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def active(pair: Pair, kw: list[float] | None = None) -> str:
    txn = pair.order(kw=kw)
    pair.settle(T0)
    assert pair.states(txn) == ("ACTIVE", "ACTIVE")
    return txn


def item_of(node: Node, action: str) -> Outgoing:
    found = [one for one in node.journal.outbox.due(1e12) if one.action == action]
    assert len(found) == 1
    return found[0]


def answered(pair: Pair, action: str, txn: str, body: Any = None, **more: Any) -> dict[str, Any]:
    """Ask as the buyer; the callback's whole message."""
    standing = pair.bap.journal.contracts.get(txn)
    assert standing is not None
    message = body or {"contract": {**json.loads(standing.body), "id": standing.contract_id}}
    asked = pair.bap.ask(action, subscriber(BPP), txn, message, T0 + 1, **more)
    pair.settle(T0 + 1)
    sent = pair.bpp.journal.outbox.of_transaction(txn)[-1]
    assert (sent.action, sent.message_id) == (ACTIONS[action].answer, asked)
    return json.loads(sent.body)  # type: ignore[no-any-return]


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


# ---- the outbox


def silent(pair: Pair, node: Node, item: Outgoing, now: float, **attempt: Any) -> str:
    node.begin(item, now)
    return node.end(item, Attempt(None, fault="no answer", **attempt), now)


def test_a_callback_is_tried_five_times_ever_later_and_then_given_up_on_the_record(
    pair: Pair,
) -> None:
    txn = pair.order()
    (item,) = pair.bap.due(T0)
    pair.give(pair.bpp, "select", pair.bap.begin(item, T0), item.body, T0)
    pair.bpp.work(T0)
    now, waits, states = T0, [], []
    for _ in range(TRIES):
        (item,) = pair.bpp.due(now)
        states.append(silent(pair, pair.bpp, item, now))
        due = pair.bpp.journal.outbox.next_at()
        if due is not None:
            assert pair.bpp.due(due - 0.1) == []
            waits.append(due - now)
            now = due
    assert waits == [5.0, 10.0, 20.0, 40.0]
    assert states == ["WAITING"] * 4 + ["FAILED"]
    (failed,) = pair.bpp.journal.outbox.failed()
    assert (failed.action, failed.tries) == ("on_select", 5)
    assert failed.outcome == "NET_CALLBACK_FAILED: no answer"
    assert len(pair.bpp.journal.outbox.signatures(item.message_id)) == 5
    assert pair.states(txn) == ("SELECTING", "SELECTED")


def test_the_waits_grow_no_longer_than_the_longest() -> None:
    assert (FIRST, LAST) == (5.0, 300.0)
    waits = [min(LAST, FIRST * 2**n) for n in range(10)]
    assert waits[-1] == LAST


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, acks.ack("ae3bb513-87fa-4839-9320-96b68dd89b4c"), "DONE"),
        (200, b'{"message": {"ack": {"status": "ACK"}}}', "DONE"),
        (200, b'{"status": "ACK", "signature": "x"}', "DONE"),
        (200, b'{"ack_status": "ACK"}', "DONE"),
        (200, b"ok", "WAITING"),
        (200, b'{"message": {"status": "NACK"}}', "WAITING"),
        (400, acks.nack("", Refusal(Code.SCH_INVALID_JSON, "x")), "WAITING"),
        (503, b"", "WAITING"),
    ],
)
def test_a_callback_is_tried_again_after_anything_but_an_acknowledgement(
    pair: Pair, status: int, body: bytes, outcome: str
) -> None:
    txn = active(pair)
    report = {"contract": {**contract([40.0, 30.0]), "status": {"code": "ACTIVE"}}}
    pair.bpp.push("on_status", txn, report, T0)
    item = item_of(pair.bpp, "on_status")
    pair.bpp.begin(item, T0)
    assert pair.bpp.end(item, Attempt(acks.hear(status, body), status), T0) == outcome


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, Code.SCH_INVALID_JSON, "FAILED"),
        (401, Code.AUT_SIGNATURE_INVALID, "FAILED"),
        (403, Code.POL_NP_DORMANT, "WAITING"),
        (429, Code.AUT_RATE_LIMITED, "WAITING"),
        (500, Code.NET_INTERNAL_ERROR, "WAITING"),
    ],
)
def test_a_request_that_is_refused_for_good_is_over(
    pair: Pair, status: int, code: Code, outcome: str
) -> None:
    txn = pair.order()
    (item,) = pair.bap.due(T0)
    pair.bap.begin(item, T0)
    heard = acks.hear(status, acks.nack(item.message_id, Refusal(code, "no")))
    assert pair.bap.end(item, Attempt(heard, status), T0) == outcome
    assert pair.states(txn)[0] == ("CANCELLED" if outcome == "FAILED" else "SELECTING")


def test_retry_after_is_honoured_and_bounded(pair: Pair) -> None:
    txn = active(pair)
    report = {"contract": {**contract([40.0, 30.0]), "status": {"code": "ACTIVE"}}}
    pair.bpp.push("on_status", txn, report, T0)
    item = item_of(pair.bpp, "on_status")
    silent(pair, pair.bpp, item, T0, retry_after=77.0)
    assert pair.bpp.journal.outbox.next_at() == T0 + 77.0
    (item,) = pair.bpp.due(T0 + 77.0)
    assert silent(pair, pair.bpp, item, T0 + 77.0, retry_after=1e9) == "FAILED"
    (failed,) = pair.bpp.journal.outbox.failed()
    assert "would have expired" in failed.outcome


def test_what_has_expired_is_not_sent(pair: Pair) -> None:
    txn = pair.order()
    assert pair.bap.due(T0 + 61) == []
    (failed,) = pair.bap.journal.outbox.failed()
    assert failed.outcome.startswith("CTX_TTL_EXPIRED")
    assert pair.states(txn)[0] == "CANCELLED"


def test_a_confirm_that_is_given_up_is_asked_about_not_guessed(pair: Pair) -> None:
    pair.buyer.goes_on = False
    txn = pair.order()
    pair.settle(T0)
    pair.bap.ask("init", subscriber(BPP), txn, {"contract": contract([40.0])}, T0)
    pair.settle(T0)
    pair.bap.ask("confirm", subscriber(BPP), txn, {"contract": contract([40.0])}, T0)
    (item,) = pair.bap.due(T0)
    arrived = pair.give(pair.bpp, "confirm", pair.bap.begin(item, T0), item.body, T0)
    assert arrived.status == 200  # but the buyer does not hear it, nor the answer
    pair.bpp.work(T0)
    assert pair.bap.due(T0 + 61) == []
    for one in pair.bpp.journal.outbox.due(T0):
        pair.bpp.journal.outbox.expired(one, T0)
    assert pair.states(txn) == ("CONFIRMING", "ACTIVE")
    standing = pair.bap.journal.contracts.get(txn)
    assert standing is not None
    assert pair.bap.lapse(T0 + 1e6) == 0
    assert pair.bap.ask_again(subscriber(BPP), standing, T0 + 62)
    pair.settle(T0 + 62)
    assert pair.states(txn) == ("ACTIVE", "ACTIVE")


# ---- previews, drafts, reservations


def test_a_cancel_is_previewed_and_then_committed_with_the_previews_digest(pair: Pair) -> None:
    txn = active(pair)
    said = answered(pair, "cancel", txn, try_=True)
    assert said["context"]["try"] is True
    assert pair.states(txn) == ("ACTIVE", "ACTIVE")
    standing = pair.bap.journal.contracts.get(txn)
    assert standing is not None
    sent = pair.bpp.journal.outbox.of_transaction(txn)[-1]
    assert standing.preview_digest == sent.digest
    answered(pair, "cancel", txn, try_=False, request_digest=standing.preview_digest)
    assert pair.states(txn) == ("CANCELLED", "CANCELLED")
    assert pair.bpp.journal.book.held(txn) == {}


@pytest.mark.parametrize(
    ("given", "code"),
    [("", "CTX_MISSING_FIELD"), (digest(b"else"), "CTX_INVALID_FIELD")],
)
@pytest.mark.parametrize("action", ["update", "cancel"])
def test_a_commit_without_its_preview_is_refused_at_once(
    pair: Pair, action: str, given: str, code: str
) -> None:
    txn = active(pair)
    twin = "cancel" if action == "update" else "update"
    answered(pair, twin, txn, try_=True)  # a preview of the other kind does not count
    before = dumped(pair.bpp.journal)
    request = {"requestDigest": {"digest": given}} if given else {}
    plain = whole(action, T0, transactionId=txn, **request, **{"try": False})
    body = raw(plain)
    reply = pair.give(pair.bpp, action, BAP.signer.header(body, T0), body, T0)
    assert (reply.status, reply.code) == (400, code)
    assert dumped(pair.bpp.journal) == before


def test_a_lenient_participant_takes_an_update_without_a_preview() -> None:
    pair = Pair(settings=NodeSettings(strict_two_phase=False))
    txn = active(pair)
    standing = pair.bap.journal.contracts.get(txn)
    assert standing is not None
    body = {"contract": contract([20.0], standing.contract_id)}
    assert "error" not in answered(pair, "update", txn, body)
    assert pair.bpp.journal.book.held(txn) == {SLOT_ONE: 20_000}
    pair.close()


def test_two_buyers_cannot_have_the_same_kilowatts(pair: Pair) -> None:
    first, second = pair.order(kw=[60.0]), pair.order(kw=[60.0])
    pair.settle(T0)
    assert sorted(pair.states(txn)[1] for txn in (first, second)) == ["ACTIVE", "CANCELLED"]
    assert pair.buyer.errors == ["BIZ_QUANTITY_UNAVAILABLE"]


def test_four_at_once_cannot_have_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    Journal(path, Role.BPP).close()
    start = threading.Barrier(4)

    def take(who: int) -> int:
        journal, got = Journal(path, Role.BPP), 0
        start.wait()
        for n in range(10):
            try:
                journal.book.reserve(f"{who}-{n}", {SLOT_ONE: 7_000}, {SLOT_ONE: 100_000}, T0, 0.0)
            except Refusal as refusal:
                assert refusal.code is Code.BIZ_QUANTITY_UNAVAILABLE  # noqa: PT017 - the loop goes on
            else:
                got += 1
        journal.close()
        return got

    with ThreadPoolExecutor(4) as pool:
        taken = sum(pool.map(take, range(4)))
    journal = Journal(path, Role.BPP)
    assert taken == 14
    assert journal.book.promised(SLOT_ONE, T0) == 98_000
    journal.close()


def test_a_reservation_that_ran_out_is_free_for_others_and_cannot_be_confirmed(pair: Pair) -> None:
    pair.buyer.goes_on = False
    txn = pair.order(kw=[60.0])
    pair.settle(T0)
    pair.bap.ask("init", subscriber(BPP), txn, {"contract": contract([60.0])}, T0)
    pair.settle(T0)
    assert pair.bpp.journal.book.promised(SLOT_ONE, T0 + 299) == 60_000
    assert pair.bpp.journal.book.promised(SLOT_ONE, T0 + 300) == 0
    assert pair.bpp.lapse(T0 + 299) == 0
    assert pair.bpp.lapse(T0 + 300) == 1
    assert pair.states(txn) == ("INITIALISED", "CANCELLED")
    pair.bap.ask("confirm", subscriber(BPP), txn, {"contract": contract([60.0])}, T0 + 301)
    pair.settle(T0 + 301)
    assert pair.states(txn) == ("CANCELLED", "CANCELLED")
    assert pair.buyer.errors == ["BIZ_QUOTE_EXPIRED_OR_CHANGED"]


def test_asking_for_a_status_does_not_prolong_a_reservation(pair: Pair) -> None:
    pair.buyer.goes_on = False
    txn = pair.order(kw=[60.0])
    pair.settle(T0)
    pair.bap.ask("init", subscriber(BPP), txn, {"contract": contract([60.0])}, T0)
    pair.settle(T0)
    standing = pair.bap.journal.contracts.get(txn)
    assert standing is not None
    body = {"contract": {**json.loads(standing.body), "id": standing.contract_id}}
    pair.bap.ask("status", subscriber(BPP), txn, body, T0 + 200)
    pair.settle(T0 + 200)
    assert pair.bpp.lapse(T0 + 300) == 1


def test_a_draft_that_nobody_goes_on_with_ends_on_both_sides(pair: Pair) -> None:
    pair.buyer.goes_on = False
    txn = pair.order()
    pair.settle(T0)
    assert (pair.bap.lapse(T0 + 900), pair.bpp.lapse(T0 + 900)) == (1, 1)
    assert pair.states(txn) == ("CANCELLED", "CANCELLED")


def test_a_late_answer_to_an_older_request_moves_nothing(pair: Pair) -> None:
    txn = active(pair)
    standing = pair.bpp.journal.contracts.get(txn)
    assert standing is not None
    answered(pair, "update", txn, try_=True)
    known = pair.bap.journal.contracts.get(txn)
    assert known is not None
    body = {"contract": json.loads(known.body)}
    pair.bap.ask(
        "update",
        subscriber(BPP),
        txn,
        body,
        T0 + 2,
        try_=False,
        request_digest=known.preview_digest,
    )
    assert pair.states(txn)[0] == "UPDATING"
    late = whole("on_update", T0 + 2, transactionId=txn)
    late["message"]["contract"]["id"] = known.contract_id
    sent = raw(late)
    reply = pair.give(pair.bap, "on_update", BPP.signer.header(sent, T0 + 2), sent, T0 + 2)
    assert reply.status == 200
    assert pair.states(txn)[0] == "UPDATING"


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


# ---- restarts


def test_a_restart_in_the_middle_of_the_tries_goes_on_where_it_was(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.order()
    (item,) = pair.bap.due(T0)
    pair.give(pair.bpp, "select", pair.bap.begin(item, T0), item.body, T0)
    pair.bpp.work(T0)
    answer = item_of(pair.bpp, "on_select")
    silent(pair, pair.bpp, answer, T0)
    (again,) = pair.bpp.due(T0 + 5)
    pair.bpp.begin(again, T0 + 5)  # and dies before it knows what became of it
    pair.close()
    pair.open()
    assert [one.action for one in pair.bpp.due(T0 + 5)] == []
    (third,) = pair.bpp.due(T0 + 5 + TRY_SECONDS)
    assert (third.action, third.tries, third.body) == ("on_select", 2, answer.body)
    pair.settle(T0 + 5 + TRY_SECONDS)
    came = [one.action for one in pair.bap.journal.inbox.of_transaction(third.transaction_id)]
    assert came == ["on_select", "on_init", "on_confirm"]
    pair.close()


def test_one_that_dies_in_its_last_try_again_and_again_is_given_up(pair: Pair) -> None:
    txn = pair.order()
    (item,) = pair.bap.due(T0)
    for _ in range(TRIES):
        pair.bap.begin(item, T0)
    assert pair.bap.due(T0 + TRY_SECONDS) == []
    assert pair.states(txn)[0] == "CANCELLED"


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.beckn.kit import T0, Pair
pair = Pair(Path(sys.argv[1]))
step = int(sys.argv[2])
txn = pair.order()
real = pair.bpp.journal.transaction
count = 0
def counted():
    global count
    count += 1
    if count == step:
        os.kill(os.getpid(), signal.SIGKILL)
    return real()
pair.bpp.journal.transaction = counted
pair.settle(T0)
"""


@pytest.mark.parametrize("step", [1, 2, 4, 6, 8, 11])
def test_killed_at_a_step_and_started_again_the_order_is_finished(
    tmp_path: Path, step: int
) -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(step)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    pair = Pair(tmp_path)
    for later in (0, 31, 45):  # what was under way is due again after its time
        pair.settle(T0 + later)
    (standing,) = pair.bap.journal.contracts.all()
    assert pair.states(standing.transaction_id) == ("ACTIVE", "ACTIVE")
    assert pair.bpp.journal.book.held(standing.transaction_id) != {}
    for journal in (pair.bap.journal, pair.bpp.journal):
        assert journal._db.row("SELECT 1 FROM inbox WHERE handled=0") is None
    pair.close()


class Killed(BaseException):
    """As good as SIGKILL: nothing after it runs, and what was not committed is gone."""


def kill_at(node: Node, step: int, *, after: bool) -> None:
    """Die at the node's transaction number `step`, before it begins or right after it was committed."""
    real, count = node.journal.transaction, 0

    @contextmanager
    def counted() -> Iterator[None]:
        nonlocal count
        outermost = not node.journal._db._depth
        count += outermost
        dies = outermost and count == step
        if dies and not after:
            raise Killed
        with real():
            yield
        if dies:
            raise Killed

    node.journal.transaction = counted  # type: ignore[method-assign]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("who", ["bap", "bpp"])
def test_killed_at_every_step_of_an_order_nothing_is_lost_or_done_twice(
    tmp_path: Path,
    who: str,
    after: bool,  # noqa: FBT001
) -> None:
    step = 0
    while True:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        pair = Pair(folder)
        txn = pair.order()
        kill_at(getattr(pair, who), step, after=after)
        try:
            pair.settle(T0)
        except Killed:
            pair.close()
            pair.open()
            for later in (0, 31, 45, 80):
                pair.settle(T0 + later)
            finished = False
        else:
            finished = True
        assert pair.states(txn) == ("ACTIVE", "ACTIVE"), step
        asked = [one.action for one in pair.bap.journal.outbox.of_transaction(txn)]
        said = [one.action for one in pair.bpp.journal.outbox.of_transaction(txn)]
        assert asked == ["select", "init", "confirm"], step
        assert said == ["on_select", "on_init", "on_confirm"], step
        assert len(pair.bpp.journal.contracts.history(txn)) == 6
        assert pair.bpp.journal.book.held(txn) == {SLOT_ONE: 40_000, SLOT_ONE + SLOT: 30_000}
        for journal in (pair.bap.journal, pair.bpp.journal):
            assert journal._db.row("SELECT 1 FROM inbox WHERE handled=0 OR answered=0") is None
        pair.close()
        if finished:
            break
    assert step > 6


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


def test_what_ended_long_ago_is_forgotten_and_nothing_else(pair: Pair) -> None:
    ended, standing = pair.order(kw=[140.0]), active(pair)
    day = 86_400.0
    assert pair.bpp.journal.prune(T0 - 1) == 0
    assert pair.bpp.journal.prune(T0 + day) > 0
    assert pair.states(ended)[1] == "-"
    assert pair.bpp.journal.inbox.of_transaction(ended) == []
    assert pair.states(standing)[1] == "ACTIVE"
    assert len(pair.bpp.journal.inbox.of_transaction(standing)) == 3
    pair.order(kw=[1.0])
    (item,) = pair.bap.due(T0)
    pair.give(pair.bpp, "select", pair.bap.begin(item, T0), item.body, T0)
    assert pair.bpp.journal.prune(T0 + day) == 0  # it waits to be handled


def test_a_journal_of_a_newer_program_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Database(path) as db:
        db.run(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(JournalError, match="newer FlexLon"):
        Journal(path, Role.BAP)
    with pytest.raises(JournalError, match="check that the folder"):
        Journal(tmp_path / "no" / "j.db", Role.BAP)


def fail_with(db: Database, signature: bytes, error: Exception) -> None:
    with db.transaction():
        db.run("INSERT INTO seen VALUES (?, ?)", signature, 1.0)
        raise error


def test_a_transaction_within_a_transaction_is_undone_alone(tmp_path: Path) -> None:
    with Database(tmp_path / "j.db") as db:
        with db.transaction():
            db.run("INSERT INTO seen VALUES (?, ?)", b"a", 1.0)
            with pytest.raises(ZeroDivisionError):
                fail_with(db, b"b", ZeroDivisionError())
        with pytest.raises(KeyError):
            fail_with(db, b"c", KeyError())
        assert db.rows("SELECT signature FROM seen") == [(b"a",)]


def test_signatures_are_forgotten_when_they_have_expired_by_themselves(pair: Pair) -> None:
    active(pair)
    seen = "SELECT count(*) FROM seen"
    assert pair.bpp.journal._db.row(seen) == (3,)
    pair.bpp.lapse(T0 + 300)
    assert pair.bpp.journal._db.row(seen) == (3,)
    pair.bpp.lapse(T0 + 302)
    assert pair.bpp.journal._db.row(seen) == (0,)


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
