"""The port: what a queue reader is, and which one serves here.

Law: a reader gives a Snapshot of model.job and nothing else; every reader gives the same Job for the same
state of Slurm, but for the fields listed in UNSEEN. The choice is made once, at start, and is explained in
one sentence that `flexlonctl status` shows. Only the daemon imports this module; the privileged helper
takes `flexlond.slurm.squeue` alone, which opens no network.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.json_reader import JsonReader
from flexlond.slurm.pyslurm_reader import PyslurmReader, PyslurmUnusable
from flexlond.slurm.rest_reader import RestReader
from flexlond.slurm.squeue import SqueueReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.job import Snapshot
    from flexlond.model.settings import SlurmSettings

UNSEEN: Final[dict[str, frozenset[str]]] = {
    "squeue": frozenset(),
    "json": frozenset(),
    "rest": frozenset(),
    # no TRES, no per-job and per-task requests; dependencies come parsed, without their state
    "pyslurm": frozenset({"gpus", "memory_mib", "dependency", "reason"}),
}
"""Fields of Job that a reader cannot give, by its name."""


class QueueReader(Protocol):
    """Reads Slurm's queue; blocking, so the daemon runs it in a thread."""

    @property
    def name(self) -> str:
        """Its name in the configuration and in the status."""
        ...

    def read(self, job_ids: Sequence[int] | None = None) -> Snapshot:
        """The active jobs, or those of `job_ids`; ids that are gone are absent, not an error."""
        ...


def choose_reader(settings: SlurmSettings) -> tuple[QueueReader, str]:
    """The reader to use and why, in one sentence.

    A reader that was asked for and cannot serve is replaced by squeue, and the sentence says so: a wrong
    word in the configuration must not blind the daemon.
    """
    match settings.reader:
        case "squeue":
            return SqueueReader(settings), "squeue: as configured"
        case "json":
            return JsonReader(settings), "json: as configured; slow beyond some 1,000 jobs"
        case "rest":
            if settings.restd_socket:
                return RestReader(settings), f"rest: as configured, over {settings.restd_socket}"
            reason = "no [slurm] restd_socket is set"
        case "pyslurm":
            try:
                return PyslurmReader(settings), "pyslurm: as configured, in a process of its own"
            except (PyslurmUnusable, SlurmCommandError) as error:
                reason = str(error)
        case "auto":
            return _automatic(settings)
    return SqueueReader(settings), f"squeue: {settings.reader} was asked for, but {reason}"


def _automatic(settings: SlurmSettings) -> tuple[QueueReader, str]:
    """Squeue where it is installed: it needs no build, no extra daemon, and is the fastest."""
    squeue = Path(settings.bin_dir) / "squeue" if settings.bin_dir else "squeue"
    if shutil.which(squeue) is None and settings.restd_socket:
        return RestReader(settings), "rest: chosen because squeue is not installed here"
    return SqueueReader(settings), "squeue: chosen for every Slurm version, the fastest to read"
