"""The sd_notify protocol: tells systemd that a service is ready, alive, reloading or stopping.

Law: outside systemd (no NOTIFY_SOCKET) every call does nothing and says so by False. A failing socket
never stops the service. Times are seconds, except where the protocol's own field says microseconds.
Source: sd_notify(3), systemd.service(5) (Type=notify, Type=notify-reload, WatchdogSec=).
"""

from __future__ import annotations

import os
import socket
import time

_PATIENCE = 0.2  # seconds


def notify(*lines: str) -> bool:
    """Send state lines ("READY=1", "STATUS=...") as one datagram; True when it was sent."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or address[0] not in "/@":
        return False
    if address[0] == "@":  # an abstract socket is written with a leading NUL
        address = "\0" + address[1:]
    payload = "\n".join(lines).encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(_PATIENCE)  # a manager that does not read must not hang the service
            sock.sendto(payload, address)
    except OSError:
        return False
    return True


def notify_ready(status: str = "") -> bool:
    """Say that the service is up (also the end of a reload)."""
    return notify("READY=1", *([f"STATUS={status}"] if status else []))


def notify_reloading() -> bool:
    """Say that a reload begins; `notify_ready` ends it (Type=notify-reload wants the time)."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def notify_stopping(status: str = "") -> bool:
    """Say that an orderly stop begins."""
    return notify("STOPPING=1", *([f"STATUS={status}"] if status else []))


def notify_watchdog() -> bool:
    """Say that the service is alive, from the loop whose hanging would be the fault."""
    return notify("WATCHDOG=1")


def watchdog_interval() -> float | None:
    """Seconds between two keep-alives (half of WatchdogSec=); None when systemd watches nothing."""
    text = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", "")
    if not text.isdigit() or int(text) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 2_000_000
