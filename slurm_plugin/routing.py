"""Jobs that wait at another site: one file per job, and the hand that gives them all their sites back.

Law: an entry is on the disk before a job's sites are narrowed. A job is narrowed only with its owner's
`sites=`, only to a site that this names and Slurm has for it, never to none, and only while the two slurmctld
talk to each other. When its time is over it gets all its sites back, before its latest start, also with daemon
and helper dead: `bring_back_due` runs from flexlon-resume.timer with Slurm's commands alone. Sites that
somebody else changed since stay as they are. Epoch seconds.

Never twice: a job that waits elsewhere is widened only where Slurm's own lock decides who starts it (the two
slurmctld are linked), or where slurmdbd knows that the other slurmctld is not connected to it: dead, or cut
off, and then it starts nothing by itself. A site that is alive and cannot be reached from here keeps the job.
Slurm refuses to widen one that has started. What was put back is looked at again SETTLED later, because
slurmctld that is killed within 5 s of a change forgets it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from flexlond.model.action import Verb
from flexlond.model.job import JobState
from flexlond.model.slo import latest_start
from flexlond.model.slurmtime import format_moment
from flexlond.slurm.command import SlurmCommandError
from slurm_plugin.book import Book
from slurm_plugin.pace import SETTLED
from slurm_plugin.verdict import Go, Refusal, already, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flexlond.model.action import Action
    from flexlond.model.directive import Directive
    from flexlond.model.job import Job
    from flexlond.slurm.federation import Federation
    from slurm_plugin.policy import Facts
    from slurm_plugin.slurm_calls import SlurmCalls
    from slurm_plugin.view import Reader

STARTED = ("no longer pending", "already finished")  # what Slurm says of a job that is past a move


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One job that we narrowed; `submit` guards against a reused id."""

    job_id: int
    submit: int
    own: tuple[str, ...]  # the sites that it had before us
    site: str
    due: int
    armed_at: int
    put_back_at: int = 0  # 0: not put back


class RouteBook(Book[RouteEntry]):
    """The entries of jobs that wait at another site."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, RouteEntry)

    def get(self, job_id: int) -> RouteEntry | None:
        """Return the entry of a job; None when there is none or it cannot be read."""
        entry = super().get(job_id)
        return replace(entry, own=tuple(entry.own)) if entry else None


class Sites(Protocol):
    """What Slurm says of a federation (flexlond.slurm.federation)."""

    def read(self) -> Federation:
        """The federation as this slurmctld sees it; SlurmCommandError."""

    def gone(self, site: str) -> bool:
        """Whether the site's slurmctld is not connected to slurmdbd; SlurmCommandError."""


def route(action: Action, facts: Facts, consent: Directive, federation: Federation) -> Go | Refusal:
    """Whether the job may start at `action.site` only, until `action.not_before`."""
    job, site, due = facts.job, action.site, action.not_before
    here = federation.name
    checks = (
        (job.state is not JobState.PENDING, "state-changed", "only a pending job can be moved"),
        (
            bool(job.array_job_id or job.het_job_id or job.dependency or job.licenses),
            "not-alone",
            "arrays, het jobs, and jobs with dependencies or licences stay where they are",
        ),
        (not job.sites or not here, "not-federated", "Slurm has no other site for it"),
        (
            not {site, here} <= set(consent.sites),
            "no-consent",
            f"its sites= does not name both {here} and {site}",
        ),
        (
            site == here or not {site, here} <= set(job.sites),
            "not-viable",
            f"Slurm may start it on {', '.join(job.sites)}: {site} is no other site among them",
        ),
        (
            site not in federation.linked,
            "site-unreachable",
            f"slurmctld here and that of {site} do not talk to each other",
        ),
        (due <= max(facts.now, job.begin), "past", f"{format_moment(due)} is before it can start"),
        (not facts.record.eligible, "not-eligible", "it is not known since when it could start"),
    )
    for applies, code, detail in checks:
        if applies:
            return refuse(code, detail)
    bound = latest_start(job, consent, eligible=facts.record.eligible, margin=facts.margin)
    if bound.at is None or due > bound.at:
        return refuse("latest-start", f"{format_moment(due)} is after its latest start")
    return Go(Verb.ROUTE, due, site=site, sites=job.sites)


def widen(facts: Facts) -> Go | Refusal:
    """Whether a job that we narrowed gets its sites back now; the caller asks `may_widen` first."""
    entry = facts.route
    if entry is None or entry.put_back_at:
        return already("its sites are not ours")
    if not narrowed(facts.job, entry):
        return already("it has its own sites, or somebody else's")
    return Go(Verb.WIDEN, 0, free=True, sites=entry.own)


def narrowed(job: Job, entry: RouteEntry) -> bool:
    """Whether the job's sites are what we made them."""
    return job.sites == (entry.site,)


def may_widen(site: str, sites: Sites) -> bool:
    """Whether no second start can come of it (see the law)."""
    try:
        if site in sites.read().linked:
            return True
        return sites.gone(site)
    except SlurmCommandError:
        return False


@dataclass(frozen=True, slots=True)
class RouteSummary:
    """What one run of the timer did, by job id."""

    widened: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()  # due, and not seen to have their sites back: tried again

    @property
    def sentence(self) -> str:
        """One sentence for the log; "" when there is nothing to tell."""
        if not self.widened and not self.waiting:
            return ""
        return (
            f"jobs given all their sites back {len(self.widened)}, due and still at another site "
            f"{len(self.waiting)}"
        )


def bring_back_due(
    book: RouteBook, calls: SlurmCalls, reader: Reader, sites: Sites, *, now: int
) -> RouteSummary:
    """Give every job all its sites back whose time has come."""
    entries = [entry for number in book.ids() if (entry := book.get(number)) is not None]
    due = [
        entry
        for entry in entries
        if now >= (entry.put_back_at + SETTLED if entry.put_back_at else entry.due)
    ]
    if not due:
        return RouteSummary()
    seen = _seen(reader, due)
    if seen is None:
        return RouteSummary(waiting=tuple(entry.job_id for entry in due))
    widened, waiting = [], []
    for entry in due:
        job = seen.get(entry.job_id)
        if job is None or not narrowed(job, entry):
            book.disarm(entry.job_id)
        elif not may_widen(entry.site, sites):
            waiting.append(entry.job_id)
        else:
            said = calls.set_sites([str(entry.job_id)], entry.own)
            if any(word in said for word in STARTED):
                book.disarm(entry.job_id)
            elif said:
                waiting.append(entry.job_id)
            else:
                book.arm(replace(entry, put_back_at=now))
                widened.append(entry.job_id)
    return RouteSummary(tuple(widened), tuple(waiting))


def _seen(reader: Reader, entries: Sequence[RouteEntry]) -> dict[int, Job] | None:
    """The very jobs that we narrowed, as they are now; None when that cannot be read."""
    wanted = {entry.job_id: entry.submit for entry in entries}
    try:
        snapshot = reader.read(list(wanted))
    except SlurmCommandError:
        return None
    if not snapshot.complete:
        return None
    return {job.job_id: job for job in snapshot.jobs if wanted.get(job.job_id) == job.submit}
