"""The daemon's writing port: in order, on disk when settled, loud when it cannot be."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from flexlond.settlement.ledger import recorder as recorder_module
from flexlond.settlement.ledger.entry import decode
from flexlond.settlement.ledger.problem import LedgerError
from flexlond.settlement.ledger.reader import Reader
from flexlond.settlement.ledger.recorder import Recorder
from flexlond.settlement.ledger.verify import verify
from tests.unit.settlement.ledger.kit import KEYS, T0, opened

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.settlement.ledger.entry import Record


def jobs(path: Path) -> list[int]:
    with Reader(path) as reader:
        verify(reader, KEYS)
        return [decode(bytes(raw or b""), seq).body["job_id"] for seq, _, raw in reader.rows()]


def hand(recorder: Recorder, first: int, count: int) -> None:
    for number in range(first, first + count):
        recorder.record("intent", {"job_id": number}, at=T0, personal={"user": "alice"})


async def test_what_settled_returned_for_is_on_disk_in_its_order(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    recorder = Recorder(ledger)
    await recorder.settled()
    hand(recorder, 0, 100)
    assert recorder.waiting == 100
    await asyncio.gather(recorder.settled(), recorder.settled())
    assert recorder.waiting == 0
    assert jobs(ledger.path) == list(range(100))
    hand(recorder, 100, 1)
    made = await recorder.checkpoint(T0 + 1)
    assert made.size == 101
    hand(recorder, 101, 50)
    await recorder.close()  # what was handed over is written
    assert jobs(ledger.path) == list(range(151))


async def test_a_commit_is_never_larger_than_32_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = opened(tmp_path)
    sizes: list[int] = []
    append = ledger.append
    monkeypatch.setattr(
        ledger, "append", lambda batch: (sizes.append(len(batch)), append(batch))[1]
    )
    recorder = Recorder(ledger)
    hand(recorder, 0, 100)
    await recorder.close()
    assert sizes == [32, 32, 32, 4]


async def test_a_disk_that_fails_is_told_and_nothing_is_lost_doubled_or_reordered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another connection holds the file's write lock: SQLite's own error, on the real path."""
    monkeypatch.setattr(recorder_module, "_FIRST_RETRY", 0.05)
    ledger = opened(tmp_path)
    ledger.db.execute("PRAGMA busy_timeout=10")
    recorder = Recorder(ledger)
    hand(recorder, 0, 3)
    await recorder.settled()
    holder = sqlite3.connect(ledger.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    hand(recorder, 3, 40)
    with pytest.raises(LedgerError, match="locked"):
        await recorder.settled()
    assert "locked" in recorder.problem
    assert recorder.waiting == 40
    with pytest.raises(LedgerError, match="locked"):  # said at once, as long as it lasts
        await recorder.settled()
    with pytest.raises(LedgerError, match="locked"):
        await recorder.checkpoint(T0)
    hand(recorder, 43, 1)
    holder.execute("ROLLBACK")
    holder.close()
    async with asyncio.timeout(10):
        while recorder.waiting:  # noqa: ASYNC110 -- it tells nobody else
            await asyncio.sleep(0.01)
    assert recorder.problem == ""
    await recorder.settled()
    await recorder.close()
    assert jobs(ledger.path) == list(range(44))


async def test_a_fault_of_our_own_is_told_like_one_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "_FIRST_RETRY", 0.05)
    ledger = opened(tmp_path)
    append, calls = ledger.append, 0

    def faulty(batch: list[Record]) -> range:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError("a fault")
        return append(batch)

    monkeypatch.setattr(ledger, "append", faulty)
    recorder = Recorder(ledger)
    hand(recorder, 0, 3)
    with pytest.raises(LedgerError, match="ZeroDivisionError: a fault"):
        await recorder.settled()
    async with asyncio.timeout(10):
        while recorder.waiting:  # noqa: ASYNC110 -- it tells nobody else
            await asyncio.sleep(0.01)
    await recorder.close()
    assert jobs(ledger.path) == [0, 1, 2]


async def test_what_cannot_be_recorded_is_refused_at_once_and_holds_nobody_up(
    tmp_path: Path,
) -> None:
    ledger = opened(tmp_path)
    recorder = Recorder(ledger)
    for body in ({"kw": 1.5}, {"text": "\ud800"}, {"text": "x" * 70_000}):
        with pytest.raises(LedgerError):
            recorder.record("reading", body, at=T0)
    hand(recorder, 0, 1)
    await recorder.close()
    assert jobs(ledger.path) == [0]


async def test_the_queue_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MOST_WAITING", 10)
    ledger = opened(tmp_path)
    recorder = Recorder(ledger)
    with pytest.raises(LedgerError, match="wait for the ledger"):
        hand(recorder, 0, 11)
    await recorder.close()
    assert jobs(ledger.path) == list(range(10))


async def test_the_event_loop_goes_on_while_the_disk_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = opened(tmp_path)
    recorder = Recorder(ledger)
    holder = sqlite3.connect(ledger.path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    hand(recorder, 0, 1)
    waiting = asyncio.create_task(recorder.settled())
    for _ in range(20):  # the loop turns, and the commit waits in its thread for the lock
        await asyncio.sleep(0.005)
    assert not waiting.done()
    holder.execute("ROLLBACK")
    holder.close()
    await waiting
    await recorder.close()
    assert jobs(ledger.path) == [0]
