from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from flexlond.host import notify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(5)
        yield sock


def test_lines_arrive_as_one_datagram(systemd: socket.socket) -> None:
    assert notify.notify("READY=1", "STATUS=up")
    assert systemd.recv(4096) == b"READY=1\nSTATUS=up"


def test_reload_carries_the_monotonic_time(systemd: socket.socket) -> None:
    assert notify.notify_reloading()
    first, second = systemd.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0
    assert notify.notify_ready("reloaded")
    assert systemd.recv(4096) == b"READY=1\nSTATUS=reloaded"


def test_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"flexlon-notify-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        sock.settimeout(5)
        assert notify.notify_watchdog()
        assert sock.recv(4096) == b"WATCHDOG=1"


def test_outside_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.notify_stopping()


def test_a_dead_socket_never_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not notify.notify("READY=1")


def test_a_manager_that_does_not_read_hangs_nobody(systemd: socket.socket) -> None:
    sent = 0
    while notify.notify_watchdog():
        sent += 1
    assert sent > 0


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [("30000000", "", 15.0), ("0", "", None), ("", "", None), ("30000000", "1", None)],
)
def test_watchdog_interval(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str, expected: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert notify.watchdog_interval() == expected
