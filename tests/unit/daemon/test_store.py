"""The store: durable before effects, each intent ends once, survives kill -9."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flexlond.agents.records import JobRecord
from flexlond.daemon.store import SqliteStore, StoreError
from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.model.metering import Modelled, Reading, ReadingQuality, SlotPower, Source
from flexlond.model.stop import StopRecord
from flexlond.model.window import Window, WindowSample


def an_action(name: str = "a1", job_id: int = 7) -> Action:
    return Action(name, job_id, 100, 0, 100, "PD", Verb.HOLD_UNTIL, 500, "cheapest slot")


def a_result(name: str = "a1", outcome: Outcome = Outcome.APPLIED) -> Result:
    return Result(name, outcome, "applied", "", 500, "PD")


def test_a_record_comes_back_as_it_went_in(tmp_path: Path) -> None:
    record = JobRecord(
        7, 100, 200, 1, 90, 95, 500, True, frozenset({500, 400}), True, 300, "why", True, 600
    )
    with SqliteStore(tmp_path / "s.db") as store:
        store.save_records([record])
    with SqliteStore(tmp_path / "s.db") as store:
        assert store.records() == {7: record}


def test_the_newest_record_of_a_reused_id_counts(tmp_path: Path) -> None:
    old = JobRecord(7, 100, 100, 0, 90, 95)
    with SqliteStore(tmp_path / "s.db") as store:
        store.save_records([old, JobRecord(7, 900, 900, 0, 890, 895)])
        assert store.records()[7].first_submit == 900


def test_an_intent_is_open_until_its_first_result_and_then_stands(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        store.record_intents([an_action()], 1)
        assert [o.action for o in store.open_intents()] == [an_action()]
        store.record_results([a_result()], 2)
        store.record_results([a_result(outcome=Outcome.REFUSED)], 3)
        assert store.open_intents() == []
        (line,) = store.history(7, 100)
        assert (line.outcome, line.ended) == (Outcome.APPLIED, 2)


def test_an_unknown_result_may_still_be_settled(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        store.record_intents([an_action()], 1)
        store.record_results([a_result(outcome=Outcome.UNKNOWN)], 2)
        assert len(store.open_intents()) == 1
        store.record_results([a_result(outcome=Outcome.SUPERSEDED)], 3)
        assert store.open_intents() == []


def test_intents_are_recorded_all_or_none(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        store.record_intents([an_action("a1")], 1)
        with pytest.raises(sqlite3.IntegrityError):
            store.record_intents([an_action("a2"), an_action("a1")], 2)
        assert [o.action.action_id for o in store.open_intents()] == ["a1"]


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="newer FlexLon"):
        SqliteStore(path)


def test_a_file_that_is_no_store_is_said_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"this is no database\n" * 100)
    with pytest.raises(StoreError, match="not a database") as raised:
        SqliteStore(path)
    assert path.name in str(raised.value)
    assert opened(path) == []  # nothing keeps it open, not even until the garbage collector comes


def test_a_newer_store_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="newer FlexLon"):
        SqliteStore(path)
    assert opened(path) == []


def opened(path: Path) -> list[str]:
    """What this process has open of `path` and of the files SQLite puts beside it."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return [str(to) for link in links if str(to := link.readlink()).startswith(str(path))]


def test_flags_waits_and_cycles_survive_a_restart(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        store.put("paused", "yes")
        store.add_wait("main", 12, 50)
        store.add_cycle(60, "held 1 job", 0.1)
    with SqliteStore(tmp_path / "s.db") as store:
        assert store.get("paused") == "yes"
        assert store.get("other") == ""
        assert store.waits(0) == {"main": [12]}
        assert store.waits(51) == {}
        assert store.cycles() == [(60, "held 1 job", 0.1)]


_WRITER = """
import sys
from pathlib import Path
from flexlond.daemon.store import SqliteStore
from flexlond.model.action import Action, Verb
store = SqliteStore(Path(sys.argv[1]))
for n in range(100000):
    store.record_intents([Action(f"a{n}", n, 1, 0, 1, "PD", Verb.HOLD_UNTIL, 2, "")], 1)
    print(n, flush=True)
"""


def test_what_was_recorded_survives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    child = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(50)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
    child.stdout.close()
    child.wait()
    with SqliteStore(path) as store:
        stored = {o.action.job_id for o in store.open_intents()}
    assert set(acknowledged) <= stored
    assert stored - set(acknowledged) <= {acknowledged[-1] + 1}


def test_i1_the_record_of_intents_only_grows(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        store.save_records([JobRecord(7, 100, 100, 0, 90, 95, last_seen=100)])
        store.record_intents([an_action()], 1)
        store.record_results([a_result()], 2)
        store.add_cycle(1, "old", 0.1)
        before = store.all_intents()
        store.prune(1000)
        assert store.all_intents() == before
        assert store.cycles() == []
        assert store.records() == {}


def a_reading(at: int, kw: float, quality: ReadingQuality = ReadingQuality.GOOD) -> Reading:
    return Reading(at, kw, "a meter", quality)


def test_power_comes_back_in_order_and_only_what_was_good(tmp_path: Path) -> None:
    stale = a_reading(50, 9.0, ReadingQuality.STALE)
    with SqliteStore(tmp_path / "s.db") as store:
        store.power.add([a_reading(60, 2.0), a_reading(40, 1.0), stale], Modelled(61, 3.0, 0.5), 0)
        store.power.add([a_reading(60, 2.5)], None, 0)
    with SqliteStore(tmp_path / "s.db") as store:
        assert store.power.readings(0) == [a_reading(40, 1.0), a_reading(60, 2.5)]
        assert store.power.readings(41) == [a_reading(60, 2.5)]
        assert store.power.modelled(0) == [Modelled(61, 3.0, 0.5)]


def test_power_is_bounded(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        for at in range(0, 1000, 10):
            store.power.add([a_reading(at, 1.0)], Modelled(at, 1.0, 0.0), at - 100)
        assert [one.at for one in store.power.readings(0)] == list(range(890, 1000, 10))
        assert [one.at for one in store.power.modelled(0)] == list(range(890, 1000, 10))


def test_what_a_slot_of_a_window_drew_is_recorded_once_and_stays(tmp_path: Path) -> None:
    slot = SlotPower(60, 5.0, Source.METERED, 0.9, 5.0, math.nan)
    unknown = SlotPower(120, math.nan, Source.UNKNOWN, 0.0, math.nan, math.nan)
    with SqliteStore(tmp_path / "s.db") as store:
        store.power.add_slots(3, [slot])
        store.power.add_slots(3, [replace(slot, kw=9.0), unknown])
        store.power.add([], None, 10**10)
        store.prune(10**10)
    with SqliteStore(tmp_path / "s.db") as store:
        first, second = store.power.slots(3)
        assert store.power.slots(4) == []
    assert (first.start, first.kw, first.source, first.coverage) == (60, 5.0, Source.METERED, 0.9)
    assert math.isnan(first.modelled_kw)
    assert (second.source, math.isnan(second.kw)) == (Source.UNKNOWN, True)


def a_window(**changes: Any) -> Window:
    values: dict[str, Any] = {
        "window_id": 0,
        "start": 3600,
        "end": 7200,
        "slot_seconds": 1800,
        "cap_kw": 800.0,
        "down_kw": math.nan,
        "caps": (812.3456789012345, 800.0),
        "ramp_slots": 1,
        "created": 60,
        "created_by": "alice",
    }
    return Window(**(values | changes))


def test_a_window_and_what_was_seen_of_it_survive_a_reopen(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with SqliteStore(path) as store:
        added = store.add_window(a_window())
        down = store.add_window(
            a_window(cap_kw=math.nan, down_kw=5.0, rebound_kw=90.0, rebound_end=9000)
        )
        store.add_samples(
            [WindowSample(added.window_id, 3600, at, 800.0, 790.0, 780.5) for at in (5, 6)]
        )
        store.add_samples([])
    with SqliteStore(path) as store:
        first, second = store.windows()
        seen = store.samples(added.window_id)
        assert store.samples(down.window_id) == []
    assert (added.window_id, down.window_id) == (1, 2)
    assert first.caps == (812.3456789012345, 800.0)
    assert (first.rebound_kw, second.rebound_kw, second.rebound_end) == (math.inf, 90.0, 9000)
    assert math.isnan(first.down_kw)
    assert (math.isnan(second.cap_kw), second.down_kw) == (True, 5.0)
    assert [(one.at, one.observed_kw) for one in seen] == [(5, 780.5), (6, 780.5)]


def test_a_cancelled_window_stays_cancelled_at_the_first_moment(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        number = store.add_window(a_window()).window_id
        store.cancel_window(number, 100)
        store.cancel_window(number, 200)
        store.prune(10**10)
        (window,) = store.windows()
    assert window.cancelled == 100


def test_a_window_and_the_end_of_the_one_it_replaces_are_stored_together(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        first = store.add_window(a_window())
        store.add_window(a_window(created=90), first.window_id)
        assert [one.cancelled for one in store.windows()] == [90, 0]
        with pytest.raises(sqlite3.Error):
            store.add_window(a_window(created=99, slot_seconds=None), 2)
        assert [one.cancelled for one in store.windows()] == [90, 0]


def test_a_store_from_before_windows_gets_their_tables(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with SqliteStore(path) as store:
        store._db.execute("DROP TABLE power_window")
        store._db.execute("DROP TABLE window_sample")
    with SqliteStore(path) as store:
        assert store.windows() == []
        assert store.add_window(a_window()).window_id == 1


def a_stop(name: str, at: int = 100) -> StopRecord:
    return StopRecord(
        name, 1, 7, 90, 0, Verb.REQUEUE_UNTIL, at, 60, 900, 12.5, 0.25, "window 1: 12.5 kW less"
    )


def test_a_stop_survives_a_reopen_and_ends_as_its_intent_does(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        store.add_stops([a_stop("never-sent"), a_stop("a1"), a_stop("a2", at=50)])
        store.record_intents([an_action("a1"), an_action("a2")], 100)
        store.record_results([a_result("a1", Outcome.UNKNOWN)], 101)
    with SqliteStore(tmp_path / "s.db") as store:
        never, one = store.stops(100)
        assert (never.sent, never.outcome) == (False, None)
        assert (one.sent, one.outcome) == (True, Outcome.UNKNOWN)
        assert one == replace(a_stop("a1"), outcome=Outcome.UNKNOWN)
        store.record_results([a_result("a1", Outcome.APPLIED)], 102)
        assert [stop.outcome for stop in store.stops(0)] == [None, Outcome.APPLIED, None]


def test_a_store_from_before_stops_gets_their_table(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with SqliteStore(path) as store:
        store._db.execute("DROP TABLE window_stop")
    with SqliteStore(path) as store:
        store.add_stops([a_stop("a1")])
        assert len(store.stops(0)) == 1
