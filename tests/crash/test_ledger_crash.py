"""SIGKILL at the lines of an append, a checkpoint, an erasure and a compaction; and power lost in mid-WAL.

A child process works on a ledger and says on a pipe, after each call that returned, how many entries there
are. A trace function kills it at the k-th line executed in the ledger's modules. The parent then verifies
the file, finds everything that was said to be recorded, and goes on appending. The WAL is cut at 2,000
offsets as a machine that loses power could leave it: what remains is a valid prefix.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.settlement.ledger import upkeep
from flexlond.settlement.ledger.entry import decode
from flexlond.settlement.ledger.problem import LedgerError
from flexlond.settlement.ledger.reader import Hashes, Reader
from flexlond.settlement.ledger.second_place import SecondPlace
from flexlond.settlement.ledger.verify import verify
from flexlond.settlement.ledger.writer import Ledger
from tests.crash.forked import fork
from tests.unit.settlement.ledger.kit import KEYS, SIGNER, T0, fill, made, opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRACED = (
    "ledger/writer.py",
    "ledger/database.py",
    "ledger/merkle.py",
    "ledger/second_place.py",
    "ledger/upkeep.py",
)
POINTS = int(os.environ.get("FLEXLON_LEDGER_CRASH_POINTS", "120"))


def work(folder: Path, say: Callable[[int], None]) -> None:
    """Open, append twice, sign, erase, compact, append."""
    with opened(folder) as ledger:
        for _ in range(2):
            fill(ledger, 5)
            say(ledger.size)
        ledger.checkpoint(T0 + 1000)
        say(ledger.size)
        upkeep.erase(ledger, "user", "user4", T0 + 1001)
        upkeep.compact(ledger, T0 + 500, T0 + 1002)
        say(ledger.size)
        fill(ledger, 3)
        say(ledger.size)


def child(folder: Path, kill_at: int, pipe: int) -> int:
    """How many lines there are, for a child that survives."""
    count = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    work(folder, lambda size: (os.write(pipe, size.to_bytes(4, "big")), None)[1])
    sys.settrace(None)
    return count


def run(folder: Path, kill_at: int) -> tuple[int, int, int]:
    """(wait status, the last size that it said, lines)."""
    reading, writing = os.pipe()
    pid = fork()
    if not pid:
        try:
            count = child(folder, kill_at, writing)
            os.write(writing, count.to_bytes(4, "big"))
        finally:
            os._exit(0)
    os.close(writing)
    raw = b""
    while more := os.read(reading, 4096):
        raw += more
    os.close(reading)
    said = [int.from_bytes(raw[k : k + 4], "big") for k in range(0, len(raw), 4)]
    _, status = os.waitpid(pid, 0)
    return status, said[-1] if said else 0, said[-1] if status == 0 else 0


def whole(path: Path) -> int:
    """Verified against its second place; the number of entries."""
    with Reader(path) as reader:
        outside = [note for _, note in SecondPlace(path.parent / "second").notes()]
        return verify(reader, KEYS, outside).entries


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """252 entries in two periods, so that a stored node of the tree and a compaction come into play."""
    folder = tmp_path_factory.mktemp("base")
    made(folder, 120, 132)
    return folder


@pytest.fixture(scope="module")
def lines(base: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = tmp_path_factory.mktemp("whole") / "ledger"
    shutil.copytree(base, folder)
    status, _, count = run(folder, 0)
    assert status == 0
    assert count > 500
    return count


def test_a_kill_at_any_line_leaves_a_valid_prefix_that_goes_on(
    base: Path, lines: int, tmp_path: Path
) -> None:
    for point in range(POINTS):
        kill_at = 1 + point * (lines - 1) // max(1, POINTS - 1)
        folder = tmp_path / f"{point}"
        shutil.copytree(base, folder)
        status, said, _ = run(folder, kill_at)
        assert os.WTERMSIG(status) == signal.SIGKILL
        size = whole(folder / "ledger.db")
        assert size >= max(said, 252), kill_at  # what was said to be recorded is there
        with opened(folder) as ledger:
            fill(ledger, 2)
            upkeep.compact(ledger, T0 + 500, T0 + 2000)
            ledger.checkpoint(T0 + 2001)
        assert whole(folder / "ledger.db") >= size + 2
        shutil.rmtree(folder)


def test_a_wal_cut_anywhere_leaves_a_valid_prefix(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    path = home / "ledger.db"
    with Ledger(path, SIGNER) as ledger:
        fill(ledger, 200)
        ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ledger.db.execute("PRAGMA wal_autocheckpoint=0")
        for k in range(60):
            fill(ledger, 1 + k % 4)
            if k % 10 == 0:
                ledger.checkpoint(T0 + k)
        kept = [Hashes(ledger.db).root(size) for size in range(200, ledger.size + 1)]
        raw, wal = path.read_bytes(), path.with_name("ledger.db-wal").read_bytes()
        size = ledger.size
    sizes = set()
    cut_at = tmp_path / "cut" / "ledger.db"
    cut_at.parent.mkdir()
    offsets = [len(wal) * k // 2000 for k in range(2001)]
    for offset in offsets:
        for old in cut_at.parent.iterdir():
            old.unlink()
        cut_at.write_bytes(raw)
        cut_at.with_name("ledger.db-wal").write_bytes(wal[:offset])
        with Reader(cut_at) as reader:
            verdict = verify(reader, KEYS)
        assert verdict.root == kept[verdict.entries - 200]
        sizes.add(verdict.entries)
        if offset % 20 == 0:
            with Ledger(cut_at, SIGNER) as ledger:
                fill(ledger, 3)
                ledger.checkpoint(T0 + 999)
            with Reader(cut_at) as reader:
                assert verify(reader, KEYS).entries == verdict.entries + 3
    assert {200, size} <= sizes
    assert len(sizes) > 50


def test_a_torn_wal_frame_is_left_out(tmp_path: Path) -> None:
    """Not cut but filled with something else from some place on: disks do that as well."""
    path = tmp_path / "ledger.db"
    with Ledger(path, SIGNER) as ledger:
        fill(ledger, 40)
        ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        fill(ledger, 10)
        raw, wal = path.read_bytes(), path.with_name("ledger.db-wal").read_bytes()
    for offset in range(32, len(wal), 997):
        for name in ("ledger.db-wal", "ledger.db-shm"):
            path.with_name(name).unlink(missing_ok=True)
        path.write_bytes(raw)
        path.with_name("ledger.db-wal").write_bytes(wal[:offset] + b"\xa5" * (len(wal) - offset))
        with Reader(path) as reader:
            assert verify(reader, KEYS).entries in {40, 50}


def test_a_disk_that_is_full_refuses_and_goes_on_later(tmp_path: Path) -> None:
    """SQLite's own limit on the file's size stands for the disk's."""
    path = made(tmp_path, 40)
    with opened(tmp_path) as ledger:
        (pages,) = ledger.db.execute("PRAGMA page_count").fetchone()
        ledger.db.execute(f"PRAGMA max_page_count={pages + 4}")
        with pytest.raises(LedgerError, match="full"):
            fill(ledger, 500)
        size = ledger.size
        with pytest.raises(LedgerError, match="full"):
            fill(ledger, 32)
        assert ledger.size == size
        ledger.db.execute("PRAGMA max_page_count=100000")
        fill(ledger, 32)
        ledger.checkpoint(T0 + 5000)
    assert whole(path) == size + 32
    with Reader(path) as reader:
        assert decode(reader.entry(size), size).seq == size
