"""Slurm's own commands, run by argument vector.

Law: the one place of flexlond.slurm that starts a process. Never a shell, never text of a user in a command
name; a clean environment (nothing of the caller's SQUEUE_*, SLURM_* variables may change what is printed),
UTC, epoch times where Slurm honours SLURM_TIME_FORMAT, a deadline in seconds and a cap in bytes on what is
read. Whatever goes wrong is a SlurmCommandError that names the command, what it said, and what to do next.
Output is decoded as UTF-8 with U+FFFD for bytes that are none: a user's comment can hold any byte.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.model.settings import SlurmSettings

MAX_OUTPUT_BYTES: Final = 512 * 1024 * 1024
"""More than `squeue --json` prints for 50,000 jobs (measured: 382 MB)."""

_DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_CHUNK: Final = 1 << 18
_STDERR_KEPT: Final = 64 * 1024
_EXCERPT: Final = 600

_TOO_LONG: Final = "check `sdiag` for a busy slurmctld, or raise [slurm] command_timeout"
_TOO_MUCH: Final = "use the squeue reader ([slurm] reader): it prints a tenth of JSON"

# What Slurm says -> what an admin does about it; the first that occurs in stderr serves.
_ADVICE: Final = (
    (
        "Unable to contact slurm controller",
        "check `scontrol ping` and that slurmctld is up; flexlon tries again at its next cycle",
    ),
    (
        "Connection refused",
        "check that slurmctld (for sacct: slurmdbd) is up; flexlon tries again at its next cycle",
    ),
    ("munge", "check that munged is up and its key is the cluster's: `munge -n | unmunge`"),
    ("Protocol authentication error", "check that munged is up and its key is the cluster's"),
    ("Access/permission denied", "give this user the Slurm right it lacks: `sacctmgr show user`"),
    ("Could not establish a configuration source", "set [slurm] conf to the path of slurm.conf"),
    ("Slurm accounting storage is disabled", "history needs slurmdbd (AccountingStorageType)"),
    ("Invalid job id", "the job has left slurmctld's memory; look for it with sacct"),
)


class SlurmCommandError(Exception):
    """A Slurm command that failed: `command` is its argument vector, `exit_code` None when it never ended."""

    def __init__(
        self, command: Sequence[str], exit_code: int | None, stderr: str, advice: str
    ) -> None:
        self.command = tuple(command)
        self.exit_code = exit_code
        self.stderr = stderr
        self.advice = advice
        ended = "did not end" if exit_code is None else f"exit code {exit_code}"
        said = " ".join(stderr.split())[:_EXCERPT] or "nothing on stderr"
        super().__init__(f"`{_shown(self.command)}` failed ({ended}): {said}. Next: {advice}")


def run(
    argv: Sequence[str],
    *,
    settings: SlurmSettings,
    timeout: float | None = None,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    max_bytes: int = MAX_OUTPUT_BYTES,
) -> str:
    """Run one Slurm command and return its standard output.

    `argv[0]` is the bare name ("squeue"), found in `settings.bin_dir` or on PATH. `timeout` in seconds
    (None: `settings.command_timeout`). `env` adds variables, for values that other users must not read in
    the process list. Raises SlurmCommandError on a non-zero exit, a timeout, too much output or when the
    command cannot be started.
    """
    limit = settings.command_timeout if timeout is None else timeout
    program = str(Path(settings.bin_dir) / argv[0]) if settings.bin_dir else argv[0]
    environment = _environment(settings, env)
    try:
        process = subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        advice = (
            f"install Slurm's client commands here, or set [slurm] bin_dir to where {argv[0]} is"
        )
        raise SlurmCommandError(argv, None, str(error), advice) from error
    with process:
        try:
            out, err = _communicate(process, stdin, time.monotonic() + limit, max_bytes)
            process.wait(timeout=5.0)
        except _Stopped as stopped:
            raise SlurmCommandError(
                argv, None, f"{stopped} (limit {limit:g} s, {max_bytes} bytes)", stopped.advice
            ) from None
        except subprocess.TimeoutExpired:
            raise SlurmCommandError(
                argv,
                None,
                "closed its output but did not end",
                "look for it with ps, then strace it",
            ) from None
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode != 0:
        said = err.decode("utf-8", "replace").strip()
        raise SlurmCommandError(argv, process.returncode, said, _advice(said))
    return out.decode("utf-8", "replace")


class _Stopped(Exception):  # noqa: N818 - a signal inside this module, never seen outside
    """The command was stopped by us: too long or too much."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


class _Sink:
    """What one output of the command said, up to `limit` bytes."""

    def __init__(self, limit: int, *, strict: bool) -> None:
        self._chunks: list[bytes] = []
        self._left = limit
        self._strict = strict

    def take(self, chunk: bytes) -> None:
        """Keep `chunk`; beyond the limit it is dropped, or the command stopped when `strict`."""
        self._left -= len(chunk)
        if self._left >= 0:
            self._chunks.append(chunk)
        elif self._strict:
            raise _Stopped("printed too much", _TOO_MUCH)

    def taken(self) -> bytes:
        return b"".join(self._chunks)


def _communicate(
    process: subprocess.Popen[bytes], stdin: str | None, deadline: float, max_bytes: int
) -> tuple[bytes, bytes]:
    """Feed stdin and collect both outputs until they close; bounded in time and bytes."""
    out, err = _Sink(max_bytes, strict=True), _Sink(_STDERR_KEPT, strict=False)
    pending = memoryview(b"" if stdin is None else stdin.encode())
    with selectors.DefaultSelector() as selector:
        for stream, sink in ((process.stdout, out), (process.stderr, err)):
            if stream is not None:
                selector.register(stream.fileno(), selectors.EVENT_READ, sink)
        feed = process.stdin
        if feed is not None:
            os.set_blocking(feed.fileno(), False)
            selector.register(feed.fileno(), selectors.EVENT_WRITE)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise _Stopped("took too long", _TOO_LONG)
            for key, _ in selector.select(left):
                if feed is not None and key.data is None:
                    pending = _feed(feed.fileno(), pending)
                    if not pending:
                        selector.unregister(feed.fileno())
                        feed.close()
                    continue
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fd)
                key.data.take(chunk)
    return out.taken(), err.taken()


def _feed(descriptor: int, pending: memoryview) -> memoryview:
    """Write what the pipe takes; what is left. A command that closed its stdin gets no more."""
    if not pending:
        return pending
    try:
        return pending[os.write(descriptor, pending[:_CHUNK]) :]
    except BlockingIOError:
        return pending
    except BrokenPipeError:
        return pending[:0]


def _environment(settings: SlurmSettings, extra: Mapping[str, str] | None) -> dict[str, str]:
    """The whole environment of a Slurm command."""
    environment = {
        "PATH": os.environ.get("PATH", _DEFAULT_PATH),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "SLURM_TIME_FORMAT": "%s",
    }
    conf = settings.conf or os.environ.get("SLURM_CONF", "")
    if conf:
        environment["SLURM_CONF"] = conf
    environment.update(extra or {})
    return environment


def _advice(stderr: str) -> str:
    for said, advice in _ADVICE:
        if said in stderr:
            return advice
    return "run the same command by hand as the service's user"


def _shown(argv: Sequence[str]) -> str:
    text = " ".join(argv)
    return text if len(text) <= 200 else f"{text[:200]}..."
