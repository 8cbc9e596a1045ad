"""What came of an action, judged by the read afterwards and by nothing else.

Law: pure. A command's exit code proves nothing: for a list of ids it is one code for all, and "no longer
pending" for one task of an array is no failure of the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.model.action import Verb
from flexlond.model.job import JobState
from flexlond.model.licence import kw_of
from slurm_plugin.view import address

if TYPE_CHECKING:
    from flexlond.model.job import Job
    from slurm_plugin.verdict import Go


def took_effect(go: Go, was: Job, job: Job, now: int) -> bool:
    """Whether `job`, read after the act, is as `go` asked; `was` is the job before."""
    if go.verb is Verb.HOLD_UNTIL:
        return job.begin == go.target and job.state is JobState.PENDING
    if go.verb is Verb.RELEASE:
        return job.state is not JobState.PENDING or job.begin <= max(go.target, now)
    if go.verb in {Verb.REQUEUE, Verb.REQUEUE_UNTIL}:
        begins = go.verb is Verb.REQUEUE or job.begin == go.target
        return job.restarts > was.restarts and begins
    if go.verb is Verb.LET_OFF:
        return job.state is not JobState.PENDING or kw_of(job.licenses) == 0
    if go.verb is Verb.SLOW:
        return job.is_array and job.array_throttle == go.width
    if go.verb is Verb.UNSLOW:
        return not job.is_array or job.array_throttle == go.width
    if go.verb in {Verb.ROUTE, Verb.WIDEN}:
        return job.sites == ((go.site,) if go.site else go.sites)
    if go.verb is Verb.SUSPEND:
        return job.state is JobState.SUSPENDED
    return job.state is not JobState.SUSPENDED


def complaints_about(complaints: str, job: Job) -> str:
    """Slurm's own lines about this job."""
    names = (f"job {address(job)}", f"JobId={address(job)}")
    lines = [line for line in complaints.splitlines() if line.rstrip(".").endswith(names)]
    return "; ".join(lines)[:200]
