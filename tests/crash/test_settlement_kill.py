"""SIGKILL at every statement of a settlement, and the log cut at any length: never half, and the same records.

A child process brings in readings, orders and prices, settles two dates, corrects a reading and settles again;
the k-th statement that SQLite is about to run kills it. The parent checks that each step is there wholly or not
at all, does everything again and gets the records of an undisturbed run. The log is cut at 2,000 lengths, as a
power loss could leave it.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from flexlond.model.settlement_period import SettlementPeriod
from flexlond.settlement import runs
from flexlond.settlement.inputs import SYSTEM_PRICE, EventDay, Value
from flexlond.settlement.nominated import Nomination
from flexlond.settlement.orders import Interval, Order
from flexlond.settlement.readings import Quality, Reading
from flexlond.settlement.record import to_json
from flexlond.settlement.store import SettlementStore
from flexlond.settlement.terms import Terms
from tests.crash.forked import in_child

FIRST, LAST = dt.date(2026, 9, 15), dt.date(2026, 9, 16)
TERMS = Terms(baseline="nominated")
NOW = 1_790_000_000
CUTS = 2000


def work(store: SettlementStore) -> None:
    """Everything of two dates; done again after a kill it goes on."""
    starts = [SettlementPeriod(FIRST, n).start for n in (47, 48)]
    starts.append(SettlementPeriod(LAST, 1).start)
    corrected = store.db.row("SELECT 1 FROM reading WHERE version=2")
    if not corrected:
        first = [Reading("m", s, 400 + n, Quality.MEASURED, "meter") for n, s in enumerate(starts)]
        store.add_readings(first, NOW)
    store.add_nominations([Nomination("m", s, 1000, s - 7200) for s in starts], NOW)
    store.add_values([Value(SYSTEM_PRICE, s, Decimal("99.5"), "Elexon II") for s in starts], NOW)
    store.add_event_days([EventDay("m", dt.date(2026, 9, 10), "outage")], NOW)
    intervals = tuple(Interval(s, 1000, Decimal(140)) for s in starts)
    store.add_orders([Order("o", "p415", ("m",), 1, intervals)], NOW)
    list(runs.settle_range(store, FIRST, LAST, TERMS, NOW))
    if not corrected:
        store.add_readings([Reading("m", starts[0], 700, Quality.MEASURED, "corrected")], NOW)
    list(runs.settle_range(store, FIRST, LAST, TERMS, NOW))


def outcome(path: Path) -> list[str]:
    """The newest records and days."""
    store = SettlementStore(path)
    made = [to_json(r) for day in (FIRST, LAST) for r in runs.records(store, day)]
    made += [to_json(r) for day in (FIRST, LAST) for r in runs.days(store, day)]
    store.close()
    return made


def child(path: Path, kill_at: int) -> int:
    """Works, and dies before the `kill_at`-th statement; how many there were when it lives."""
    store = SettlementStore(path)
    count = 0

    def before(_: str) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    store.db.connection.set_trace_callback(before)
    work(store)
    return count


def run_child(path: Path, kill_at: int) -> tuple[int, int]:
    """(wait status, statements)."""
    return in_child(lambda: child(path, kill_at))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[str]]:
    path = tmp_path_factory.mktemp("whole") / "s.db"
    status, statements = run_child(path, 0)
    assert status == 0
    return statements, outcome(path)


def judge(path: Path) -> None:
    """Nothing half done: a run has all its records and days, an input call all its rows."""
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name='run'").fetchone():
            return
        for day, version in db.execute("SELECT day, version FROM run"):
            count = db.execute(
                "SELECT count(*) FROM record WHERE day=? AND version=?", (day, version)
            )
            assert count.fetchone()[0] == (2 if day == FIRST.isoformat() else 1)
            points = db.execute(
                "SELECT count(*) FROM day_point WHERE day=? AND version=?", (day, version)
            )
            assert points.fetchone()[0] == 1
        strays = (
            "SELECT count(*) FROM {0} WHERE (day, version) NOT IN (SELECT day, version FROM run)"
        )
        for table in ("record", "day_point"):
            assert db.execute(strays.format(table)).fetchone()[0] == 0
        for table in ("reading", "nomination", "value"):
            first = db.execute(f"SELECT count(*) FROM {table} WHERE recorded={NOW}").fetchone()[0]  # noqa: S608
            assert first in ({0, 3, 4} if table == "reading" else {0, 3})
    finally:
        db.close()


@pytest.mark.parametrize("offset", range(4))
def test_killed_at_any_statement_it_is_done_again_with_the_same_records(
    tmp_path: Path, whole: tuple[int, list[str]], offset: int
) -> None:
    statements, wanted = whole
    assert statements > 60
    for kill_at in range(1 + offset, statements + 1, 4):
        path = tmp_path / f"{kill_at}.db"
        status, _ = run_child(path, kill_at)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGKILL
        judge(path)
        store = SettlementStore(path)
        work(store)
        store.close()
        judge(path)
        assert outcome(path) == wanted, kill_at


def test_the_log_cut_at_any_length_leaves_a_prefix_and_the_same_records(
    tmp_path: Path, whole: tuple[int, list[str]]
) -> None:
    _, wanted = whole
    base = tmp_path / "s.db"
    store = SettlementStore(base)
    store.db.connection.execute("PRAGMA wal_autocheckpoint=0")
    work(store)
    copy, wal = tmp_path / "copy.db", tmp_path / "copy.db-wal"
    shutil.copy(base, copy)
    log = Path(f"{base}-wal").read_bytes()
    store.close()
    database = copy.read_bytes()
    assert len(log) > 100_000
    seen: set[int] = set()
    for number in range(CUTS):
        length = number * len(log) // (CUTS - 1)
        copy.write_bytes(database)
        wal.write_bytes(log[:length])
        (tmp_path / "copy.db-shm").unlink(missing_ok=True)
        judge(copy)
        if number % 50 == 0 or number == CUTS - 1:
            copy.write_bytes(database)
            wal.write_bytes(log[:length])
            again = SettlementStore(copy)
            seen.add(len(again.db.rows("SELECT * FROM run")))
            work(again)
            again.close()
            assert outcome(copy) == wanted, length
    assert {0, 1, 2, 3} <= seen
