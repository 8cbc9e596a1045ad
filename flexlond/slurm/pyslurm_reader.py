"""pyslurm, where a site has built one for exactly its Slurm: an optional extra in a child process.

Law: never imports pyslurm (GPL-2.0-only; it can crash its interpreter); a child that dies is an error of one
read and is started anew for the next. Usable only when pyslurm's major.minor equals slurmctld's. It sees
less than the others (`reader.UNSEEN`): GPUs only where they were asked for per node, memory as requested;
so it is never chosen by itself.
"""

from __future__ import annotations

import dataclasses
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from flexlond.slurm.cluster import parse_config
from flexlond.slurm.command import SlurmCommandError, run
from flexlond.slurm.json_reader import snapshot_of
from flexlond.slurm.pyslurm_child import HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.job import Snapshot
    from flexlond.model.settings import SlurmSettings

COMMAND: Final = (sys.executable, "-m", "flexlond.slurm.pyslurm_child")
_ADVICE: Final = "set [slurm] reader to squeue, or build pyslurm from the branch of this Slurm"
_MAX_FRAME: Final = 512 * 1024 * 1024


class PyslurmUnusable(Exception):  # noqa: N818 - a finding, said in the status
    """Why pyslurm cannot serve here."""


class _Hello(msgspec.Struct):
    pyslurm: str = ""
    error: str = ""


class PyslurmReader:
    """Reads the queue through pyslurm's child (blocking: run it in a thread)."""

    name = "pyslurm"

    def __init__(self, settings: SlurmSettings, *, command: Sequence[str] = COMMAND) -> None:
        """Start the child and compare versions; raises PyslurmUnusable or SlurmCommandError."""
        self._settings = settings
        self._command = tuple(command)
        self._child: subprocess.Popen[bytes] | None = None
        config = parse_config(run(["scontrol", "show", "config"], settings=settings))
        self._slurm = config.get("SLURM_VERSION", "")
        self._start()

    def read(self, job_ids: Sequence[int] | None = None) -> Snapshot:
        """The active jobs, or those of `job_ids`; raises SlurmCommandError when the child fails."""
        taken_at = int(time.time())
        try:
            if self._child is None:
                self._start()
            answer = self._ask()
            failed = msgspec.json.decode(answer, type=_Hello).error
        except (OSError, EOFError, msgspec.MsgspecError, PyslurmUnusable) as error:
            self.close()
            raise SlurmCommandError(self._command, None, str(error), _ADVICE) from error
        if failed:
            raise SlurmCommandError(self._command, None, failed, _ADVICE)
        snapshot = snapshot_of(answer, taken_at, self.name, self._command, job_ids)
        return dataclasses.replace(snapshot, slurm_version=self._slurm)

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _start(self) -> None:
        environment = dict(os.environ, TZ="UTC", LC_ALL="C.UTF-8", SLURM_BITSTR_LEN="0")
        if self._settings.conf:
            environment["SLURM_CONF"] = self._settings.conf
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
        )
        try:
            hello = msgspec.json.decode(self._frame(), type=_Hello)
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            self.close()
            raise PyslurmUnusable(f"its process ended at once: {error}") from error
        if hello.error or not hello.pyslurm:
            self.close()
            raise PyslurmUnusable(f"it cannot be imported: {hello.error}")
        if _release(hello.pyslurm) != _release(self._slurm):
            self.close()
            raise PyslurmUnusable(f"it is built for {hello.pyslurm}, this Slurm is {self._slurm}")

    def _ask(self) -> bytes:
        if self._child is None or self._child.stdin is None:
            raise EOFError("pyslurm's process is not there")
        self._child.stdin.write((2).to_bytes(HEADER_BYTES, "big") + b"{}")
        return self._frame()

    def _frame(self) -> bytes:
        """One frame from the child, within the command timeout."""
        deadline = time.monotonic() + self._settings.command_timeout
        size = int.from_bytes(self._exactly(HEADER_BYTES, deadline), "big")
        if size > _MAX_FRAME:
            raise EOFError(f"pyslurm's process said {size} bytes")
        return self._exactly(size, deadline)

    def _exactly(self, size: int, deadline: float) -> bytes:
        if self._child is None or self._child.stdout is None:
            raise EOFError("pyslurm's process is not there")
        descriptor = self._child.stdout.fileno()
        got = bytearray()
        while len(got) < size:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(descriptor, min(size - len(got), 1 << 20)) if ready else b""
            if not chunk:
                raise EOFError("pyslurm's process ended or took too long")
            got += chunk
        return bytes(got)


def _release(version: str) -> tuple[int, ...]:
    """Major and minor: "24.11.5" and "24.11.0" -> (24, 11); "22.5.3" is Slurm 22.05."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
