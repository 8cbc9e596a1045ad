"""What Slurm says of a federation: where a job may run, where it came from, which sites are linked.

Law: asks only where a job's id shows that there is a federation (Slurm puts the cluster's number above bit 26
of the ids it gives), and takes numbers and cluster names out of the answers, never a text that a user wrote.
A federated job whose row is not seen has an unknown origin, so it is nobody's to change. What cannot be read is
said by raising SlurmCommandError.

Measured on 24.11: a job has one id on all its sites, and its begin time and
sites are changed through its origin, wherever the change is asked for. Narrowed to other sites it is REVOKED at
its origin, pending or running there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from flexlond.model.job import JobState
from flexlond.slurm.command import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flexlond.model.job import Job
    from flexlond.model.settings import SlurmSettings

FIRST_ID: Final = 1 << 26
UNKNOWN: Final = "another cluster"
_ROW: Final = "JobID:|,Origin:|,SiblingsViable:|"
_SELF: Final = re.compile(r"^Self:\s*([^:\s]+):", re.MULTILINE)
_SIBLING: Final = re.compile(r"^Sibling:\s*([^:\s]+):.*$", re.MULTILINE)
_LINKED: Final = ("FedState:ACTIVE ", "PersistConnSend/Recv:Yes/Yes", "Synced:Yes")


@dataclass(frozen=True, slots=True)
class Federation:
    """Our cluster's name, and the other ones whose slurmctld and ours talk to each other."""

    name: str = ""  # "": no federation
    linked: frozenset[str] = frozenset()


class FederationReader:
    """Adds origin and sites to federated jobs. Use from one thread at a time."""

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings = settings
        self._name = ""

    def applied(self, jobs: tuple[Job, ...]) -> tuple[Job, ...]:
        """`jobs` with `origin` and `sites`; those whose place is another site now, only at their origin."""
        jobs = tuple(job for job in jobs if job.state is not JobState.ENDED)
        if not any(is_federated(job) for job in jobs):
            return tuple(job for job in jobs if job.state is not JobState.AWAY)
        name = self._name or self.read().name
        rows = rows_of(self._run(["squeue", "-h", "-a", "--local", "-O", _ROW]))
        placed = (placed_at(job, rows, name) for job in jobs)
        return tuple(job for job in placed if job.state is not JobState.AWAY or not job.origin)

    def read(self) -> Federation:
        """The federation as this slurmctld sees it now. Raises SlurmCommandError."""
        found = federation_of(self._run(["scontrol", "show", "federation"]))
        self._name = found.name
        return found

    def gone(self, site: str) -> bool:
        """Whether slurmdbd knows that no slurmctld of `site` is connected to it; False where it cannot say.

        Such a site is dead, or cut off from slurmdbd: then it starts no job that its origin has not given it.
        """
        said = self._run(["sacctmgr", "-n", "-P", "show", "cluster", "format=Cluster,ControlPort"])
        ports = dict(line.split("|", 1) for line in said.splitlines() if "|" in line)
        return ports.get(site) == "0"

    def _run(self, argv: list[str]) -> str:
        return run(argv, settings=self._settings)


def is_federated(job: Job) -> bool:
    """Whether its id was given by a cluster of a federation."""
    return job.job_id >= FIRST_ID


def federation_of(printed: str) -> Federation:
    """`scontrol show federation`, read."""
    found = _SELF.search(printed)
    linked = (
        sibling[1]
        for sibling in _SIBLING.finditer(printed)
        if all(word in sibling[0] + " " for word in _LINKED)
    )
    return Federation(found[1] if found else "", frozenset(linked))


def rows_of(printed: str) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Job id -> (origin, the sites where it may run)."""
    found = {}
    for line in printed.splitlines():
        job_id, origin, viable = (*line.split("|"), "", "")[:3]
        if job_id.strip().isdecimal() and origin not in {"", "NA", "N/A"}:
            sites = tuple(name for name in viable.split(",") if name not in {"", "NA", "N/A"})
            found[int(job_id)] = (origin, sites)
    return found


def placed_at(job: Job, rows: Mapping[int, tuple[str, tuple[str, ...]]], name: str) -> Job:
    """`job` with its sites, and its origin where that is not this cluster, `name`."""
    if not is_federated(job):
        return job
    origin, sites = rows.get(job.job_id) or rows.get(job.array_job_id) or (UNKNOWN, ())
    return replace(job, origin="" if name and origin == name else origin, sites=sites)


def unplaced(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Jobs of a reader that does not ask for sites: federated ones are nobody's to change."""
    return tuple(
        replace(job, origin=UNKNOWN) if is_federated(job) else job
        for job in jobs
        if job.state not in {JobState.AWAY, JobState.ENDED}
    )
