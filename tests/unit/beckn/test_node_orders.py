"""Orders of one participant: previews before commits, drafts and reservations that run out."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.node.settings import NodeSettings
from flexlond.beckn.trust.signature import digest
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal
from tests.unit.beckn.kit import (
    BAP,
    BPP,
    T0,
    Pair,
    active,
    answered,
    contract,
    dumped,
    raw,
    subscriber,
    whole,
)
from tests.unit.beckn.kit import (
    FIRST as SLOT_ONE,
)

if TYPE_CHECKING:
    from pathlib import Path


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
