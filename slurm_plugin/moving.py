"""What a batch needs for moves between sites beside the policy: the facts, and what became of a move.

Law: an entry of the book goes only where the read afterwards shows that nothing was moved; where that is not
seen it stays, and the timer decides. Sites narrowed although consent changed in between are given back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flexlond.model.action import Outcome, Verb
from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.federation import Federation
from slurm_plugin.parts import Item, Parts, result_of
from slurm_plugin.routing import RouteEntry, may_widen
from slurm_plugin.verdict import Go, Refusal, refuse
from slurm_plugin.view import address

if TYPE_CHECKING:
    from flexlond.model.job import Job

MOVES = frozenset({Verb.ROUTE, Verb.WIDEN})


def entry_of(parts: Parts, job: Job) -> RouteEntry | None:
    """Our narrowing of this very job's sites."""
    entry = parts.routes.get(job.job_id) if job.sites else None
    return entry if entry is not None and entry.submit == job.submit else None


def federation_of(parts: Parts, job: Job, verb: Verb) -> Federation:
    """What Slurm says of the federation, where it matters; where it says nothing no site is linked."""
    if not job.sites or verb is not Verb.ROUTE:
        return Federation()
    try:
        return parts.sites.read()
    except SlurmCommandError:
        return Federation()


def checked(parts: Parts, verdict: Go | Refusal, entry: RouteEntry | None) -> Go | Refusal:
    """`verdict`, but that no job is widened of which another site may start a second copy."""
    if not isinstance(verdict, Go) or verdict.verb is not Verb.WIDEN or entry is None:
        return verdict
    if may_widen(entry.site, parts.sites):
        return verdict
    return refuse(
        "site-unreachable",
        f"{entry.site} cannot be reached and is not known to be down: the job stays there",
    )


def arm(parts: Parts, go: Go, job: Job, now: int) -> None:
    """Write down what is about to be narrowed."""
    if go.verb is Verb.ROUTE:
        parts.routes.arm(RouteEntry(job.job_id, job.submit, go.sites, go.site, go.target, now))


def settle(parts: Parts, item: Item, job: Job, now: int) -> None:
    """Remember what became of a move; `job` as read afterwards."""
    go, facts, result = item.go, item.facts, item.result
    assert go is not None  # noqa: S101 # it was acted on
    assert facts is not None  # noqa: S101 # what was acted on was judged by them
    assert result is not None  # noqa: S101 # set just before
    entry = parts.routes.get(job.job_id) if go.verb in MOVES else None
    if entry is None:
        return
    applied = result.outcome is Outcome.APPLIED
    if go.verb is Verb.WIDEN:
        if applied:
            parts.routes.arm(replace(entry, put_back_at=now))
    elif applied and _words(job) != _words(facts.job):
        parts.calls.set_sites([address(job)], go.sites)
        parts.routes.arm(replace(entry, put_back_at=now))
        detail = "its consent or begin time changed meanwhile: its sites were given back"
        item.result = result_of(item, Outcome.REFUSED, "lost-race", detail, job)
    elif result.outcome is Outcome.REFUSED and job.sites == facts.job.sites:
        parts.routes.disarm(job.job_id)


def _words(job: Job) -> tuple[object, ...]:
    """What a move hangs on; a job that waits elsewhere has no priority here."""
    return (job.comment, job.time_limit, job.deadline, job.begin)
