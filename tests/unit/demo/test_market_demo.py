"""The market's demo: its load, what it reads of messages, and when it says that something was not kept."""

from __future__ import annotations

import json
import math
import urllib.request
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from demo_lib import market_town, market_wire
from demo_lib.market_load import BATCH, EARLY, PLAIN, market_load
from demo_lib.market_main import MarketReport
from demo_lib.market_wire import Message, Order, Wire
from demo_lib.window_load import GPUS, Timing

from flexlond.beckn.journal.inbox import Incoming
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.wire.actions import Role
from tests.unit.beckn.kit import raw, whole

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TIMING = Timing(30, warm_up=2, observed=4, notice=4)


def test_the_machine_is_full_until_the_batch_begins_and_the_batch_outlasts_the_window() -> None:
    jobs = market_load(TIMING)
    begin = (TIMING.begin - EARLY) * TIMING.slot_seconds
    batch = [job for job in jobs if job.name.startswith("batch")]
    before = [job for job in jobs if job.name.startswith("before")]
    plain = [job for job in jobs if job.name.startswith("plain")]
    assert (len(batch), len(before), len(plain)) == (BATCH, BATCH, PLAIN)
    assert BATCH + PLAIN == GPUS
    assert all(job.minutes * 60 <= begin for job in before)
    for job in batch:
        assert job.begin == begin
        assert job.comment.startswith("flex: ")
        assert begin + job.runtime >= TIMING.end * TIMING.slot_seconds
        assert job.runtime < job.minutes * 60
    assert all(job.runtime >= (TIMING.end + EARLY) * TIMING.slot_seconds for job in plain)
    assert not any(job.comment for job in plain)
    assert jobs == market_load(TIMING)


def message(action: str, **fields: Any) -> Message:
    return Message(0.0, "a", "b", action, raw({**whole(action), **fields}))


def test_a_message_is_one_line() -> None:
    assert message("on_status").words == "a to b: on_status  ACTIVE, 40.00 kW"
    assert message("rate").words == "a to b: rate  4 of 5"
    assert message("discover").words == "a to b: discover"
    error = {"code": "BIZ_QUANTITY_UNAVAILABLE", "message": "5 kW left"}
    said = message("on_init", error=error).words
    assert said == "a to b: on_init  BIZ_QUANTITY_UNAVAILABLE: 5 kW left"


def test_messages_are_read_once_from_where_they_arrived_and_written_as_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grid.db"
    monkeypatch.setattr(
        market_wire, "JOURNALS", {"grid.demo": path, "hpc.demo": tmp_path / "not there.db"}
    )
    wire = Wire()
    assert wire.news() == []
    journal = Journal(path, Role.BAP)
    for number, action in enumerate(("on_select", "on_init")):
        incoming = Incoming(
            action, "hpc.demo", "k", f"m{number}", "t", "d", "s", raw(whole(action)), number
        )
        with journal.transaction():
            journal.inbox.add(incoming, answered=True)
    assert [one.action for one in wire.news()] == ["on_select", "on_init"]
    assert wire.news() == []
    wire.write(tmp_path / "out")
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == [
        "001_on_select_hpc.demo_to_grid.demo.json",
        "002_on_init_hpc.demo_to_grid.demo.json",
    ]
    read = json.loads((tmp_path / "out" / names[0]).read_text())
    assert read["context"]["action"] == "on_select"
    assert market_wire.orders() == []
    journal.close()


def report(*orders: Order) -> MarketReport:
    window: Any = SimpleNamespace(
        failures=list,
        slots=(SimpleNamespace(start=1, ramp_in=False), SimpleNamespace(start=30, ramp_in=True)),
    )
    return MarketReport(window, orders, 3.0, 0)


def order(**fields: Any) -> Order:
    base = {
        "seller": "hpc.demo",
        "state": "DONE",
        "kw": {30: 2.0, 60: 2.0},
        "price": {30: 0.1, 60: 0.1},
        "delivered": {30: 0.5, 60: 1.95},
        "rating": 4,
        "why": "",
    }
    return Order(**{**base, **fields})


def test_what_was_sold_and_not_delivered_is_a_failure() -> None:
    assert report(order()).failures() == []  # the first slot is the ramp-in
    assert "delivered 1.80" in report(order(delivered={30: 2.0, 60: 1.8})).failures()[0]
    assert "delivered nan" in report(order(delivered={30: 2.0})).failures()[0]
    assert report(order(rating=0)).failures() == ["the order of hpc.demo was not rated"]
    assert report(order(state="LOST")).failures() == ["the cluster completed no order"]
    assert report(order(seller="battery.demo")).failures() == ["the cluster completed no order"]


def test_the_vtn_announces_what_the_grid_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    from flexlond.signals.stress_openadr import notices_in  # noqa: PLC0415

    monkeypatch.setattr(market_town, "VTN_PORT", 0)
    vtn = market_town.Vtn()
    try:
        vtn.announce(1_800_000_000, 6, 30, 3.3)
        port = vtn._server.server_address[1]
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/events?limit=50", timeout=5
        ) as answer:
            (found,) = notices_in(json.load(answer))
        assert (found.start, found.end, found.kw) == (1_800_000_000, 1_800_000_180, 3.3)
    finally:
        vtn.close()
    assert math.isfinite(found.end)
