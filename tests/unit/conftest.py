"""A private munged for every test that speaks MUNGE: its own key and socket, no root, no system service."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def munge_socket() -> Iterator[str]:
    munged = shutil.which("munged") or shutil.which("munged", path="/usr/sbin:/usr/local/sbin")
    if munged is None:
        pytest.skip("munged is not installed (package munge)")
    with tempfile.TemporaryDirectory(prefix="munge-") as name:
        base = Path(name)
        base.chmod(0o755)
        key = base / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        files = {"key": key, "socket": base / "sock", "pid": base / "pid", "log": base / "log"}
        process = subprocess.Popen(
            [
                munged,
                "--foreground",
                "--force",
                f"--key-file={files['key']}",
                f"--socket={files['socket']}",
                f"--pid-file={files['pid']}",
                f"--log-file={files['log']}",
                f"--seed-file={base / 'seed'}",
                "--num-threads=2",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(200):
                if files["socket"].exists() or process.poll() is not None:
                    break
                time.sleep(0.05)
            if not files["socket"].exists():
                log = files["log"].read_text() if files["log"].exists() else ""
                pytest.fail(f"munged did not start: {log}")
            yield str(files["socket"])
        finally:
            process.terminate()
            process.wait(10)
