"""What a participant sends and keeps: tried again, given up on the record, whole after a kill, forgotten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flexlond.beckn.journal.database import SCHEMA_VERSION, Database, JournalError
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.journal.outbox import FIRST, LAST, TRIES, Attempt
from flexlond.beckn.node.node import TRY_SECONDS
from flexlond.beckn.wire import acks
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal
from tests.unit.beckn.kit import (
    BPP,
    SLOT,
    T0,
    Pair,
    active,
    contract,
    item_of,
    silent,
    subscriber,
)
from tests.unit.beckn.kit import (
    FIRST as SLOT_ONE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.beckn.node.node import Node


# ---- the outbox


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


# ---- the journal


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
