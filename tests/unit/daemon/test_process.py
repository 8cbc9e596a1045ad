"""The real process: systemd's messages, one at a time, reload, orderly end. Slurm is absent throughout, as
in a fail-over: the daemon lives, says so, and delays nobody."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from flexlond._pb import admin_pb2 as pb
from flexlond.cli.client import CtlError, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60.0  # seconds until a message must have come; a loaded machine is slow


class Site:
    """One host: its configuration, a real notify socket, the processes."""

    def __init__(self, folder: Path, munge_socket: str) -> None:
        self.folder = folder
        self.config = folder / "flexlon.toml"
        self.admin = folder / "admin.sock"
        self.heartbeat = folder / "heartbeat"
        self.endpoint = Endpoint(str(self.admin), munge_socket)
        (folder / "state").mkdir()
        self.text = f"""
[daemon]
mode = "act"
cycle_seconds = 1.0
tick_seconds = 0.5
state_dir = "{folder}/state"
heartbeat_file = "{self.heartbeat}"
admin_socket = "{self.admin}"
helper_socket = "{folder}/helper.sock"
[helper]
socket = "{folder}/helper.sock"
state_dir = "{folder}/helper-state"
[slurm]
bin_dir = "{folder}/no-slurm-here"
munge_socket = "{munge_socket}"
"""
        self.config.write_text(self.text)
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.systemd.bind(str(folder / "notify"))
        self.systemd.settimeout(PATIENCE)
        self.running: list[subprocess.Popen[str]] = []
        self._lines: list[str] = []

    def start(self) -> subprocess.Popen[str]:
        environment = os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify")}
        argv = [sys.executable, "-m", "flexlond.cli.flexlond", "run", "--config", str(self.config)]
        process = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def hears(self, beginning: str) -> str:
        """The next line to systemd that begins so."""
        while True:
            while self._lines:
                line = self._lines.pop(0)
                if line.startswith(beginning):
                    return line
            self._lines = self.systemd.recv(65536).decode().split("\n")

    def ask(self, method: str) -> Any:
        return self.endpoint.call(method, pb.Empty())

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=PATIENCE)
        self.systemd.close()


@pytest.fixture
def site(tmp_path: Path, munge_socket: str) -> Iterator[Site]:
    host = Site(tmp_path, munge_socket)
    yield host
    host.close()


def test_without_slurm_it_lives_says_so_and_delays_nobody(site: Site) -> None:
    process = site.start()
    site.hears("READY=1")
    said = site.hears("STATUS=changed nothing: the queue could not be read")
    status = site.ask("Status")
    assert "squeue" in said
    assert status.last_cycle.startswith("changed nothing: the queue could not be read")
    assert not status.heartbeat_fresh
    assert not site.heartbeat.exists()
    assert process.poll() is None


def test_sigterm_ends_it_in_order(site: Site) -> None:
    process = site.start()
    site.hears("READY=1")
    process.send_signal(signal.SIGTERM)
    site.hears("STOPPING=1")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert "flexlond ended; holds stay in Slurm" in errors
    assert "Traceback" not in errors
    assert not site.admin.exists()
    assert not site.heartbeat.exists()


def test_a_second_one_is_refused_and_a_killed_one_leaves_the_way_free(site: Site) -> None:
    first = site.start()
    site.hears("READY=1")
    second = site.start()
    _, errors = second.communicate(timeout=PATIENCE)
    assert second.returncode == 75
    assert f"another flexlond (pid {first.pid}) is active on this cluster" in errors
    assert site.ask("Status").version
    first.kill()
    first.wait(PATIENCE)
    site.heartbeat.write_text("act 99999999999\n")  # as if it had died in the best of health
    site.start()
    site.hears("READY=1")
    site.hears("STATUS=changed nothing")
    assert site.ask("Status").version
    assert not site.heartbeat.exists()


def test_another_state_directory_does_not_get_past_the_socket(site: Site) -> None:
    site.start()
    site.hears("READY=1")
    (site.folder / "other").mkdir()
    site.config.write_text(site.text.replace("/state", "/other", 1))
    second = site.start()
    _, errors = second.communicate(timeout=PATIENCE)
    assert second.returncode == 1
    assert "a flexlond answers there already" in errors


def test_reload_keeps_the_last_good_configuration(site: Site) -> None:
    process = site.start()
    site.hears("STATUS=changed nothing")
    site.config.write_text(site.text.replace('"act"', '"akt"'))
    process.send_signal(signal.SIGHUP)
    site.hears("RELOADING=1")
    assert site.hears("MONOTONIC_USEC=").removeprefix("MONOTONIC_USEC=").isdigit()
    site.hears("READY=1")
    status = site.ask("Status")
    assert status.mode == "act"
    assert "daemon.mode" in status.config_error
    with pytest.raises(CtlError, match="the last good configuration stays in force") as raised:
        site.ask("Reload")
    assert raised.value.exit_code == 1
    site.config.write_text(site.text.replace('"act"', '"observe"'))
    site.ask("Reload")
    after = site.ask("Status")
    assert (after.mode, after.config_error) == ("observe", "")
    assert process.poll() is None


def test_a_store_that_cannot_be_used_is_named(site: Site) -> None:
    (site.folder / "state" / "flexlond.db").mkdir()
    process = site.start()
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "flexlond.db" in errors
    assert "Traceback" not in errors
