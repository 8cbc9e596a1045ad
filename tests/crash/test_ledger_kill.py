"""SIGKILL at the lines of a cycle that keeps a ledger: each effect has one earlier entry of its intent.

As test_kill_anywhere.py, with the ledger beside the store: a child runs one cycle and is killed at the k-th
line of the actuator, the store, the witness, the recorder or the ledger, in whichever thread. The parent
starts anew as the daemon does and checks I1 (the ledger verifies, against every checkpoint given out) and
I2 (an intent that had an effect was in the ledger before it, not recorded late).
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.daemon.witness import LedgerWitness, open_ledger, take_up
from flexlond.model.settings import LedgerSettings, Settings
from flexlond.settlement.ledger.entry import decode
from flexlond.settlement.ledger.note import NoteSigner
from flexlond.settlement.ledger.reader import Reader
from flexlond.settlement.ledger.second_place import SecondPlace
from flexlond.settlement.ledger.verify import verify
from tests.crash.forked import in_child
from tests.crash.test_kill_anywhere import CONFTEST, effects, load, make_bench

if TYPE_CHECKING:
    from pathlib import Path

TRACED = (
    "agents/actuator.py",
    "daemon/store.py",
    "daemon/witness.py",
    "ledger/recorder.py",
    "ledger/writer.py",
    "ledger/database.py",
)
POINTS = int(os.environ.get("FLEXLON_CRASH_POINTS", "24"))
KEY = NoteSigner.of_seed("hpc.test/flexlon", bytes(range(32))).key


def settings_in(folder: Path) -> Settings:
    (folder / "second").mkdir(exist_ok=True)
    (folder / "key").write_text(base64.b64encode(bytes(range(32))).decode())
    ledger = LedgerSettings(
        name="hpc.test/flexlon",
        path=str(folder / "ledger.db"),
        second_place=str(folder / "second"),
        key=str(folder / "key"),
    )
    return Settings(ledger=ledger)


def begin(bench: Any, folder: Path) -> LedgerWitness:
    """As compose does: caught up, then handed to the loop. Within an event loop."""
    chosen = settings_in(folder)
    ledger = open_ledger(chosen)
    assert ledger is not None
    take_up(ledger, bench.store.intents_since, {"version": "test"}, bench.slurm.now)
    witness = LedgerWitness(ledger, chosen, lambda: bench.slurm.now)
    bench.agent.actuator._witness = witness
    return witness


def child(folder: Path, kill_at: int) -> int:
    """One cycle and the end; how many lines there were, when it survives."""
    bench = make_bench(load("crash_bench", CONFTEST), folder)
    count, guard = 0, threading.Lock()

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            with guard:
                count += 1
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
        return trace

    async def life() -> None:
        witness = begin(bench, folder)
        await bench.cycle()
        await witness.close()

    threading.settrace(trace)
    sys.settrace(trace)
    asyncio.run(life())
    sys.settrace(None)
    return count


def run(folder: Path, kill_at: int) -> tuple[int, int]:
    """(wait status, lines)."""
    return in_child(lambda: child(folder, kill_at))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> int:
    status, count = run(tmp_path_factory.mktemp("whole"), 0)
    assert status == 0
    assert count > 300
    return count


async def restart(folder: Path) -> list[Any]:
    """Three cycles of a new daemon; the store's intents."""
    bench = make_bench(load("crash_bench", CONFTEST), folder)
    witness = begin(bench, folder)
    for _ in range(3):
        await bench.cycle()
        bench.slurm.advance(30)
    await witness.close()
    lines = list(bench.store.all_intents())
    bench.store.close()
    return lines


@pytest.mark.parametrize("point", range(POINTS))
def test_an_effect_has_an_earlier_entry_whenever_the_kill_came(
    tmp_path: Path, lines: int, point: int
) -> None:
    kill_at = 1 + point * (lines - lines // 10) // max(1, POINTS - 1)  # threads: not always as many
    status, _ = run(tmp_path, kill_at)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    before = {line["id"] for line in effects(tmp_path)}
    stored = asyncio.run(restart(tmp_path))
    with Reader(tmp_path / "ledger.db") as reader:
        outside = [note for _, note in SecondPlace(tmp_path / "second").notes()]
        verify(reader, [KEY], outside)
        found = [decode(bytes(raw or b""), seq) for seq, _, raw in reader.rows()]
    intents = {one.body["action"]: one for one in found if one.kind == "intent"}
    assert len(intents) == sum(one.kind == "intent" for one in found)
    assert {line["id"] for line in effects(tmp_path)} <= set(intents)
    assert all("late" not in intents[action].body for action in before)
    ended = {one.body["action"]: one.seq for one in reversed(found) if one.kind == "effect"}
    assert all(intents[action].seq < seq for action, seq in ended.items())
    assert {line.action.action_id for line in stored} == set(intents) == set(ended)
