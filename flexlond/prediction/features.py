"""What makes two jobs alike: the features by which runs are remembered and forecasts looked up.

Law: pure. A feature is something that Slurm knows of a job before it starts and keeps in its accounting
afterwards, so that a pending job finds the ended ones. Times in seconds; counts are for one task of an array
and for the whole job otherwise. A name is reduced to its pattern: what a user counts, dates or hashes in it
("train_017.sh", "run-2024-05-01", "sweep-3fa9c1d") says which run it is, not what kind.
Source: sacct(1) and squeue(1) fields; the choice of features follows Tsafrir, Etsion, Feitelson,
"Backfilling Using System-Generated Predictions Rather than User Runtime Estimates", IEEE TPDS 18(6), 2007.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flexlond.model.job import Job

_KEPT: Final = 64  # characters of a pattern; Slurm allows names of any length
_HASH: Final = re.compile(
    # a run of 7 or more hexadecimal digits that has both letters and figures, or a UUID
    r"(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,})(?![0-9a-z])",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"[0-9]+")
_LIST: Final = re.compile(r"#(?:[-_.:,+]?#)+")


@dataclass(frozen=True, slots=True)
class Features:
    """One job as the models see it; hashable, and equal for jobs that no forecast can tell apart."""

    user: str
    account: str
    partition: str  # one partition: the first of a pending job's list
    name_pattern: str
    limit_seconds: int | None  # None: UNLIMITED
    cpus: int  # as requested
    nodes: int
    gpus: int  # of every type together


@lru_cache(maxsize=16_384)
def name_pattern(name: str) -> str:
    """A job name without its numbers and hashes, at most 64 characters: "train_017.sh" -> "train_#.sh"."""
    counted = _NUMBER.sub("#", _HASH.sub("#", name[: 4 * _KEPT]))
    return _LIST.sub("#", counted)[:_KEPT]


def features(
    *,
    user: str,
    account: str,
    partition: str,
    name: str,
    limit_seconds: int | None,
    cpus: int,
    nodes: int,
    gpus: int,
) -> Features:
    """Features from plain fields, of an accounting record or a trace; `partition` may be a comma list."""
    first = partition.split(",", 1)[0].strip()
    return Features(user, account, first, name_pattern(name), limit_seconds, cpus, nodes, gpus)


def of_job(job: Job) -> Features:
    """Features of a job in the queue; of one task when it is an array."""
    return features(
        user=job.user,
        account=job.account,
        partition=job.partition,
        name=job.name,
        limit_seconds=job.time_limit,
        cpus=job.cpus,
        nodes=job.nodes,
        gpus=job.gpu_count,
    )
