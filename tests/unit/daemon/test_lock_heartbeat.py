from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from flexlond.daemon.heartbeat import SLACK, Heartbeat
from flexlond.daemon.lock import LOCK_NAME, InstanceLock, LockError

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, pathlib
from flexlond.daemon.lock import InstanceLock
with InstanceLock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_refused_with_the_holders_pid(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockError, match=rf"another flexlond \(pid {holder.pid}\) is active"):
            InstanceLock(tmp_path).acquire()
        holder.kill()  # the kernel frees the lock, whatever the end
        holder.wait(10)
        with InstanceLock(tmp_path):
            assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_a_released_lock_is_free(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path)
    lock.acquire()
    lock.release()
    lock.release()
    with InstanceLock(tmp_path):
        pass


def test_a_missing_state_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"create daemon\.state_dir"):
        InstanceLock(tmp_path / "no").acquire()


def test_the_heartbeat_is_one_line_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    beat = Heartbeat(path)
    old = os.umask(0o077)
    try:
        until = beat.beat(1000.4, 5.0)
    finally:
        os.umask(old)
    assert until == 1006 + SLACK
    assert path.read_text() == f"act {until}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["heartbeat"]
    assert beat.fresh(until)
    assert not beat.fresh(until + 1)


def test_a_reader_never_sees_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    beat = Heartbeat(path)
    beat.beat(1000, 5)
    with path.open() as early:
        beat.beat(2000, 5)
        assert early.read() == "act 1007\n"  # the old file, whole
    assert path.read_text() == "act 2007\n"


def test_removing_is_final_and_harmless_twice(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    beat = Heartbeat(path)
    beat.beat(1000, 5)
    beat.remove()
    beat.remove()
    assert not path.exists()
    assert not beat.fresh(1000)
