"""The port: what a queue reader is, and which one serves here.

Law: a reader gives a Snapshot of model.job and nothing else; every reader gives the same Job for the same
state of Slurm, but for the fields listed in UNSEEN. The choice is made once, at start, and is explained in
one sentence that `flexlonctl status` shows. Only the daemon imports this module; the privileged helper
takes `flexlond.slurm.squeue` alone, which opens no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flexlond.slurm.squeue import SqueueReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.job import Snapshot
    from flexlond.model.settings import SlurmSettings


class QueueReader(Protocol):
    """Reads Slurm's queue; blocking, so the daemon runs it in a thread."""

    name: str

    def read(self, job_ids: Sequence[int] | None = None) -> Snapshot:
        """The active jobs, or those of `job_ids`; ids that are gone are absent, not an error."""
        ...


def choose_reader(settings: SlurmSettings) -> tuple[QueueReader, str]:
    """The reader to use and why, in one sentence."""
    return SqueueReader(settings), "squeue: the default, on every Slurm version"
