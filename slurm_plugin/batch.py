"""One batch of actions from reading to result: read, decide, write down, act, read again, say what was seen.

Law: blocking; one batch at a time, in one thread. Nothing is sent that policy.decide did not allow on what this
helper just read; what is about to be sent is on the disk before; a result says APPLIED only where the read
afterwards shows it. A change that went through although consent or hold changed in between is undone. Each
batch ends with one sentence. Times are epoch seconds.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.model.directive import Directive, NotFlexible, Rejected, read_directive
from flexlond.model.job import Job, JobState
from flexlond.slurm.command import SlurmCommandError
from slurm_plugin import lineage, moving, policy
from slurm_plugin.outcome import complaints_about, took_effect
from slurm_plugin.pace import LOOKED_AT, PaceEntry
from slurm_plugin.parts import Item, Later, Parts, done, missing, result_of, tell, vanished
from slurm_plugin.policy import Facts
from slurm_plugin.resume import ResumeEntry
from slurm_plugin.verdict import Go, Refusal, refuse
from slurm_plugin.view import QueueView, address, index, own_way

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurm_plugin.lineage import Record

SIDE_BY_SIDE = (
    2  # scontrol commands at once: most of their time is the client's own, not slurmctld's
)
READ_BY_ID = 50  # more jobs than this: the whole queue is read at once
_DAY = 86400
_FORGOTTEN = (
    "not in force, and Slurm did not refuse it: slurmctld was not reached, or has forgotten it"
)
_PACES = frozenset({Verb.SLOW, Verb.UNSLOW})
_log = structlog.get_logger("flexlon-helper")


class Batch:
    """Carries batches out; keeps nothing between them but what State keeps."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self.slurm_version = ""
        self._waiting: set[int] = set()  # jobs that have had their checkpoint signal

    def apply(
        self, actions: Sequence[Action], *, warned: bool = False
    ) -> tuple[list[Result], list[Later]]:
        """Carry out `actions`; one result each, in order, and the requeues that wait for a checkpoint.

        `warned`: these are such requeues, come back after their wait.
        """
        if warned:
            self._waiting.difference_update(action.job_id for action in actions)
        items = [Item(action) for action in actions]
        queue = self._read(items)
        if queue is None:
            return [done(item) for item in items], []
        changed = self._decide(items, queue, warned=warned)
        later = self._warn(items)
        going = [item for item in items if item.result is None]
        self._p.state.save((changed | self._intend(going)).values())
        if going:
            complaints = self._act(going)
            self._observe(going, complaints)
        tell(items, later)
        return [done(item) for item in items], later

    # --- before -----------------------------------------------------------------------------------

    def _read(self, items: Sequence[Item]) -> QueueView | None:
        """Read the queue; on failure every item is refused and None returned."""
        ids = sorted({item.action.job_id for item in items})
        try:
            snapshot = self._p.reader.read(ids if len(ids) <= READ_BY_ID else None)
        except SlurmCommandError as error:
            for item in items:
                item.result = result_of(
                    item, Outcome.REFUSED, "unreadable", f"nothing was sent: {error}"
                )
            _log.error("the queue could not be read; nothing was sent", error=str(error))
            return None
        self.slurm_version = snapshot.slurm_version
        return index(snapshot)

    def _decide(
        self, items: Sequence[Item], queue: QueueView, *, warned: bool
    ) -> dict[int, Record]:
        """Set each item's facts and go or result; returns the records to be stored, by job id."""
        now = self._p.clock()
        wanted = {item.action.job_id for item in items}
        arrays = {job.array_job_id for job in map(queue.by_id.get, wanted) if job is not None}
        records = self._p.state.load(wanted | arrays)
        changed: dict[int, Record] = {}
        for item in items:
            job = queue.by_id.get(item.action.job_id)
            if job is None:
                item.result = missing(item, complete=queue.complete)
            elif job.job_id in changed:
                item.result = result_of(
                    item, Outcome.REFUSED, "duplicate", "one action per job and batch"
                )
            else:
                array = records.get(job.array_job_id) if not job.is_array else None
                seen = lineage.observe(job, records.get(job.job_id), array, now)
                changed[job.job_id] = seen.record
                item.facts = replace(
                    self._facts(job, seen, queue, now),
                    warned=warned,
                    federation=moving.federation_of(self._p, job, item.action.verb),
                )
                self._judge(item, complete=queue.complete)
        return changed

    def _facts(self, job: Job, seen: lineage.Observation, queue: QueueView, now: int) -> Facts:
        consent = self._consent(job, seen.record.first_submit)
        entry = self._p.book.get(job.job_id) if job.state is JobState.SUSPENDED else None
        if entry is not None and entry.submit != job.submit:
            entry = None
        pace = self._p.pace.get(job.job_id) if job.array_job_id else None
        if pace is not None and pace.submit != job.submit and not job.restarts:
            pace = None
        return Facts(
            job=job,
            record=seen.record,
            standing=seen.standing,
            consent=consent,
            relative=self._relative(job, seen.record, consent),
            split=own_way(job, queue) if job.is_array else (),
            components=tuple(queue.components.get(job.het_job_id, ())) if job.het_job_id else (),
            resume=entry,
            now=now,
            margin=self._p.config.helper.margin_seconds,
            pace=pace,
            active=queue.active.get(job.array_job_id, 0) if job.array_job_id else 0,
            route=moving.entry_of(self._p, job),
        )

    def _consent(self, job: Job, first_submit: int) -> Directive | NotFlexible | Rejected:
        return read_directive(
            job.comment,
            self._p.config.directive,
            now=first_submit,
            tz=self._p.tz,
            partition=job.partition,
            qos=job.qos,
            account=job.account,
        )

    def _relative(
        self, job: Job, record: Record, consent: Directive | NotFlexible | Rejected
    ) -> bool:
        """Whether the terms depend on the first submission; only looked at where that is not known."""
        if record.first_known or not isinstance(consent, Directive):
            return False
        earlier = self._consent(job, record.first_submit - 8 * _DAY - 3601)
        return consent.max_delay is not None or earlier != consent

    def _judge(self, item: Item, *, complete: bool) -> None:
        assert item.facts is not None  # noqa: S101 # set by the caller
        verdict = policy.decide(item.action, item.facts)
        verdict = moving.checked(self._p, verdict, item.facts.route)
        if isinstance(verdict, Go) and not verdict.free:
            if item.action.job_id in self._waiting:
                detail = "it has had its checkpoint signal, its requeue follows"
                verdict = Refusal(Outcome.UNKNOWN, "checkpointing", detail)
            elif not complete:
                verdict = refuse("unreadable", "a row of the queue could not be understood")
            elif not item.facts.warned and not self._allowed(verdict.verb):
                verdict = refuse("rate", "too many actions this minute: ask again later")
        pace = item.facts.pace
        if isinstance(verdict, Refusal) and verdict.code == "throttle-changed" and pace is not None:
            self._p.pace.arm(replace(pace, left_alone=True, due=item.facts.now + LOOKED_AT))
        if isinstance(verdict, Refusal):
            item.result = result_of(item, verdict.outcome, verdict.code, verdict.detail)
        else:
            item.go = verdict

    def _allowed(self, verb: Verb) -> bool:
        """Take one action of this minute's; False when none is left."""
        now = self._p.monotonic()
        if verb in {Verb.REQUEUE, Verb.REQUEUE_UNTIL} and not self._p.requeues.take(now):
            return False
        return self._p.actions.take(now)

    def _warn(self, items: Sequence[Item]) -> list[Later]:
        """Send checkpoint signals; those requeues come later."""
        later = []
        for item in items:
            go, facts = item.go, item.facts
            if go is None or facts is None or not go.signal:
                continue
            said = self._p.calls.warn(address(facts.job), go.signal)
            if said:
                code, detail = "slurm-refused", f"checkpoint signal: {said}"
                item.result = result_of(item, Outcome.REFUSED, code, detail)
                continue
            self._waiting.add(facts.job.job_id)
            detail = f"signal {go.signal} sent, the requeue follows in {go.wait} s"
            item.result = result_of(item, Outcome.UNKNOWN, "checkpointing", detail)
            later.append(Later(item.action, go.wait))
        return later

    def _intend(self, going: Sequence[Item]) -> dict[int, Record]:
        """Return what is about to be done, as records by job id; arms resumes."""
        intended = {}
        for item in going:
            facts, go = item.facts, item.go
            assert facts is not None  # noqa: S101 # an item without a result has both
            assert go is not None  # noqa: S101
            record = item.before = facts.record
            if go.verb is Verb.HOLD_UNTIL:
                if facts.job.begin <= facts.now:  # what slurmctld goes back to if it forgets us
                    record = record.with_hold(facts.job.begin)
                record = record.with_hold(go.target)
            elif go.verb is Verb.RELEASE:
                record = replace(record, hold=0)
            elif go.verb in {Verb.REQUEUE, Verb.REQUEUE_UNTIL}:
                record = replace(record, preempts=record.preempts + 1)
                if go.target:
                    record = record.with_hold(go.target)
                    record = replace(record, hold=0)  # in force only in the next run
            elif go.verb is Verb.SUSPEND:
                planned = record.suspended + go.target - facts.now
                record = replace(record, preempts=record.preempts + 1, suspended=planned)
                job = facts.job
                self._p.book.arm(
                    ResumeEntry(job.job_id, job.submit, job.restarts, go.target, facts.now)
                )
            elif go.verb is Verb.SLOW:
                job = facts.job
                self._p.pace.arm(
                    PaceEntry(job.job_id, job.submit, go.own, go.width, go.target, facts.now)
                )
            elif go.verb in moving.MOVES:
                moving.arm(self._p, go, facts.job, facts.now)
            elif facts.resume is not None:
                unused = max(0, facts.resume.due - facts.now)
                record = replace(record, suspended=max(0, record.suspended - unused))
            intended[record.job_id] = record
            item.facts = replace(facts, record=record)
        return intended

    # --- the act ----------------------------------------------------------------------------------

    def _act(self, going: Sequence[Item]) -> str:
        """Send everything, grouped; returns what Slurm complained of."""
        by_verb: dict[Verb, list[str]] = {}
        resumes: list[str] = []
        begins: dict[int, list[str]] = {}
        let_off: dict[str, list[str]] = {}
        widths: dict[int, list[str]] = {}
        places: dict[tuple[str, ...], list[str]] = {}
        for item in going:
            facts, go = item.facts, item.go
            assert facts is not None  # noqa: S101 # an item without a result has both
            assert go is not None  # noqa: S101
            where = address(facts.job)
            if go.resume_first or go.verb is Verb.RESUME:
                resumes.append(where)
            if go.verb is Verb.LET_OFF:
                let_off.setdefault(go.licenses, []).append(where)
            if go.verb in {Verb.REQUEUE, Verb.REQUEUE_UNTIL, Verb.SUSPEND}:
                by_verb.setdefault(go.verb, []).append(where)
            if go.verb in _PACES:
                widths.setdefault(go.width, []).append(where)
            elif go.verb in moving.MOVES:
                places.setdefault((go.site,) if go.site else go.sites, []).append(where)
            elif go.verb in {Verb.HOLD_UNTIL, Verb.RELEASE} or (
                go.target and go.verb is not Verb.SUSPEND
            ):
                begins.setdefault(go.target, []).append(where)
        calls = self._p.calls
        said = [calls.resume(resumes) if resumes else ""]
        requeued = by_verb.get(Verb.REQUEUE, []) + by_verb.get(Verb.REQUEUE_UNTIL, [])
        said.append(calls.requeue(requeued) if requeued else "")
        suspended = by_verb.get(Verb.SUSPEND, [])
        said.append(calls.suspend(suspended) if suspended else "")
        said += [calls.set_licenses(ids, licenses) for licenses, ids in let_off.items()]
        said += [calls.set_throttle(arrays, tasks) for tasks, arrays in widths.items()]
        said += [calls.set_sites(ids, sites) for sites, ids in places.items()]
        # Fewer holds first, then the nearest times.
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            said += pool.map(lambda at: calls.set_begin(begins[at], at), sorted(begins))
        return "\n".join(text for text in said if text)

    # --- after ------------------------------------------------------------------------------------

    def _observe(self, going: Sequence[Item], complaints: str) -> None:
        """Read again, give results, undo lost races, and remember."""
        ids = [item.action.job_id for item in going]
        try:
            snapshot = self._p.reader.read(ids if len(ids) <= READ_BY_ID else None)
        except SlurmCommandError as error:
            for item in going:
                item.result = result_of(
                    item,
                    Outcome.UNKNOWN,
                    "unseen",
                    f"sent, but the queue could not be read again: {error}",
                )
            return
        queue, now = index(snapshot), self._p.clock()
        changed: dict[int, Record] = {}
        undo: list[tuple[Item, int]] = []
        for item in going:
            job = queue.by_id.get(item.action.job_id)
            if job is None:
                item.result = vanished(item, complaints, complete=queue.complete)
                self._settle_resume(item, None)
                continue
            changed[job.job_id] = self._outcome(item, job, complaints, now)
            self._settle_resume(item, job)
            self._settle_pace(item, job, now)
            moving.settle(self._p, item, job, now)
            back = self._lost_race(item, job, now)
            if back is not None:
                undo.append((item, back))
                changed[job.job_id] = replace(changed[job.job_id], hold=0)
        self._p.state.save(changed.values())
        for item, back in undo:
            assert item.facts is not None  # noqa: S101 # it was acted on
            self._p.calls.set_begin([address(item.facts.job)], back)

    def _outcome(self, item: Item, job: Job, complaints: str, now: int) -> Record:
        """Set the item's result from what is seen now; returns what to remember."""
        facts, go, before = item.facts, item.go, item.before
        assert facts is not None  # noqa: S101 # it was acted on
        assert go is not None  # noqa: S101
        assert before is not None  # noqa: S101
        record = facts.record
        if took_effect(go, facts.job, job, now):
            item.result = result_of(item, Outcome.APPLIED, "applied", "", job)
            return record
        if go.verb is Verb.REQUEUE_UNTIL and job.restarts > facts.job.restarts:
            detail = "requeued, but its begin time is not seen yet"
            item.result = result_of(item, Outcome.UNKNOWN, "begin-follows", detail, job)
            return record
        said = complaints_about(complaints, job)
        outcome = Outcome.REFUSED
        if job.state is not facts.job.state:
            code, detail = "lost-race", f"it went to {job.state.value} meanwhile"
        elif job.begin not in {facts.job.begin, go.target}:
            code, detail = "lost-race", "somebody else changed its begin time meanwhile"
            if go.verb is Verb.HOLD_UNTIL:
                seen = lineage.observe(job, record, None, now)
                if seen.standing is lineage.Standing.LOST:
                    outcome, code, detail = Outcome.UNKNOWN, "forgotten", _FORGOTTEN
                elif seen.standing is lineage.Standing.OPTED_OUT:
                    code, detail = "opted-out", seen.record.opted_out_why
                item.result = result_of(item, outcome, code, detail, job)
                return seen.record
        elif said:
            code, detail = "slurm-refused", said
        else:
            outcome, code, detail = Outcome.UNKNOWN, "forgotten", _FORGOTTEN
        item.result = result_of(item, outcome, code, detail, job)
        # Not done: take the intent back, but keep the begin time known as ours (it may yet appear).
        return replace(before, ours=record.ours)

    def _settle_resume(self, item: Item, job: Job | None) -> None:
        """Drop the resume entry of a job that runs, ended, or was never suspended by us after all.

        Not where its suspend may have been forgotten: then its processes stand still (resume.py).
        """
        go, result = item.go, item.result
        assert go is not None  # noqa: S101 # it was acted on
        assert result is not None  # noqa: S101 # set just before
        touched = go.verb in {Verb.SUSPEND, Verb.RESUME} or go.resume_first
        if not touched or (job is not None and job.state is JobState.SUSPENDED):
            return
        if job is None or go.verb is not Verb.SUSPEND or result.outcome is not Outcome.UNKNOWN:
            self._p.book.disarm(item.action.job_id)

    def _settle_pace(self, item: Item, job: Job, now: int) -> None:
        """Remember what became of a throttle: put back, changed by somebody else, or never ours after all.

        One that was set although consent changed in between is put back. Where it is not seen what became of it
        the entry stays, and the timer decides.
        """
        go, facts, result = item.go, item.facts, item.result
        assert go is not None  # noqa: S101 # it was acted on
        assert facts is not None  # noqa: S101
        assert result is not None  # noqa: S101 # set just before
        entry = self._p.pace.get(job.job_id) if go.verb in _PACES else None
        if entry is None:
            return
        applied = result.outcome is Outcome.APPLIED
        if go.verb is Verb.UNSLOW:
            if applied:
                self._p.pace.arm(replace(entry, put_back_at=now))
        elif applied and _terms(job) != _terms(facts.job):
            consent = self._consent(job, facts.record.first_submit)
            again = replace(facts, job=job, consent=consent, pace=entry)
            verdict = policy.decide(item.action, again)
            if isinstance(verdict, Go) or verdict.outcome is Outcome.ALREADY_SO:
                return
            self._p.calls.set_throttle([address(job)], go.own)
            self._p.pace.arm(replace(entry, put_back_at=now))
            detail = "consent or hold changed meanwhile: its throttle was put back"
            item.result = result_of(item, Outcome.REFUSED, "lost-race", detail, job)
        elif result.outcome is Outcome.REFUSED and job.array_throttle == facts.job.array_throttle:
            if facts.pace is None:
                self._p.pace.disarm(job.job_id)
            else:
                self._p.pace.arm(facts.pace)

    def _lost_race(self, item: Item, job: Job, now: int) -> int | None:
        """Whether a hold that went through must be undone: the begin time to go back to (0: now)."""
        facts, go, result = item.facts, item.go, item.result
        if (
            facts is None
            or go is None
            or result is None
            or result.outcome is not Outcome.APPLIED
            or go.verb not in {Verb.HOLD_UNTIL, Verb.REQUEUE_UNTIL}
            or _terms(job) == _terms(facts.job)
        ):
            return None
        again = replace(facts, job=job, consent=self._consent(job, facts.record.first_submit))
        if isinstance(again.consent, Directive) and not job.held and not job.reservation:
            bound = policy.latest(again, again.consent)
            if bound.at is not None and go.target <= bound.at:
                return None
        item.result = result_of(
            item, Outcome.REFUSED, "lost-race", "consent or hold changed meanwhile: undone", job
        )
        own = facts.record.original_begin
        return own if own > now else 0


def _terms(job: Job) -> tuple[object, ...]:
    """Everything of a job that its consent and its latest start hang on."""
    where = (job.partition, job.qos, job.account, job.reservation)
    return (job.comment, job.priority, job.time_limit, job.deadline, *where)
