"""Sending actions and remembering what came of them.

Law: an intent is durable before it is sent (invariant I2) and the begin time it intends counts as ours from
then on, so that a kill between effect and answer is not taken for somebody else's decision. An answer that
did not come is settled by the next observation, never by sending again blindly. A refusal is not asked again
for a while, unless it is only of the moment: then the next look decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from flexlond.agents.decide import Backoff
from flexlond.agents.margin import DAY
from flexlond.agents.settling import end_of
from flexlond.agents.witness import MAKES_WAIT
from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.slurm.helper_client import HelperUnavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from flexlond.agents.consent import FlexJob
    from flexlond.agents.records import JobRecord, Store
    from flexlond.agents.witness import Witness
    from flexlond.model.job import Snapshot
    from flexlond.model.licence import Reserved, Stretch
    from flexlond.model.pace import Slowed
    from flexlond.slurm.helper_client import HelperStatus

_log = structlog.get_logger()
_BACKOFF = 300  # seconds before a refused hold is asked again
# What the helper read was not what we had read, or it could not be read, or not be sent now.
_OF_THE_MOMENT = frozenset(
    {
        "begin-changed",
        "state-changed",
        "requeued",
        "unreadable",
        "rate",
        "duplicate",
        "past",
        "ledger",
    }
)
_HOLDS = frozenset({Verb.HOLD_UNTIL, Verb.REQUEUE_UNTIL})
_STOPS = frozenset({Verb.REQUEUE_UNTIL, Verb.SUSPEND})
_SAVE_SEEN_EVERY = 3600  # `last_seen` alone is worth a write this often


class Helper(Protocol):
    """The privileged side as the loop needs it (flexlond/slurm/helper_client.py)."""

    async def apply(self, actions: Sequence[Action]) -> Sequence[Result]:
        """One result per action; HelperUnavailable when nothing can be said."""
        ...

    async def reserve(self, wanted: Sequence[Stretch], reason: str) -> Reserved:
        """Bring the reservations of ours to `wanted`; HelperUnavailable when nothing can be said."""
        ...

    async def status(self) -> HelperStatus:
        """Any answer means that it is there; HelperUnavailable otherwise."""
        ...


class Actuator:
    """The job records, and the way to the helper."""

    def __init__(self, store: Store, helper: Helper, witness: Witness | None = None) -> None:
        """Takes up the records that the store kept; `witness` is the ledger, where one is kept."""
        self.records: dict[int, JobRecord] = dict(store.records())
        self.backoff: dict[int, Backoff] = {}
        self.no_slow: dict[int, int] = {}  # arrays that may not be slowed: not asked again before
        self.slowed: Mapping[int, Slowed] = {}  # as the helper said last
        self.answering = False
        self.detail = "not asked yet"
        self._store = store
        self._helper = helper
        self._witness = witness
        self._instance = ""  # of the helper that answered last
        self._orphaned: frozenset[str] = frozenset()  # actions that were open when it was restarted

    @property
    def unwitnessed(self) -> str:
        """Why the ledger cannot be written, so that nothing may be held; "" while it can or there is none."""
        return self._witness.problem if self._witness else ""

    def keep(self, records: Iterable[JobRecord]) -> None:
        """Remember these records now and durably."""
        changed = list(records)
        for record in changed:
            self.records[record.job_id] = record
        self._store.save_records(changed)

    def keep_seen(self, records: Iterable[JobRecord]) -> None:
        """Remember observed records; a mere sighting is written only now and then."""
        self.keep(r for r in records if _worth_saving(self.records.get(r.job_id), r))

    def forget(self, alive: Collection[int], before: int) -> None:
        """Let go of the records in memory of jobs that have been gone since `before`; the store keeps them."""
        gone = [j for j, r in self.records.items() if j not in alive and r.last_seen < before]
        for job_id in gone:
            del self.records[job_id]
            self.backoff.pop(job_id, None)
            self.no_slow.pop(job_id, None)

    def settle(self, snapshot: Snapshot, now: int) -> Mapping[int, frozenset[int]]:
        """End open intents by what is seen; returns begin times that releases of ours left."""
        seen = {job.job_id: job for job in snapshot.jobs}
        ends: list[Result] = []
        released: dict[int, frozenset[int]] = {}
        open_ = self._store.open_intents()
        graces = {one.action_id: one.grace for one in self._store.stops(now - DAY)} if open_ else {}
        for intent in open_:
            action = intent.action
            job = seen.get(action.job_id)
            grace, orphaned = graces.get(action.action_id, 0), action.action_id in self._orphaned
            end = end_of(intent, job, grace, now, orphaned=orphaned)
            if end is None:
                continue
            outcome, detail = end
            given_back = action.verb is Verb.RELEASE and outcome is Outcome.APPLIED
            if given_back and job is not None and job.begin <= now:
                released[job.job_id] = frozenset({job.begin})
            begin, state = (job.begin, job.state.value) if job else (0, "")
            ends.append(Result(action.action_id, outcome, "observed", detail, begin, state))
            if action.verb in {*_STOPS, Verb.SLOW} and outcome is Outcome.APPLIED:
                record = self.records.get(action.job_id)
                self.keep([replace(record, touched=True)] if record else [])
        self._record_results(ends, now)
        return released

    async def send(
        self, actions: Sequence[Action], flex: Mapping[int, FlexJob], now: int
    ) -> Sequence[Result]:
        """Intents first, then the helper, then the results; none when the helper is silent."""
        if not actions:
            return ()
        self.keep(_intend(actions, flex, self.records))
        self._store.record_intents(actions, now)
        sent, kept_back = await self._witnessed(actions, flex, now)
        if not sent:
            return kept_back
        try:
            results = await self._helper.apply(sent)
        except HelperUnavailable as error:
            self.answering, self.detail = False, str(error)
            _log.warning("helper unavailable", error=str(error))
            return kept_back
        self.answering, self.detail = True, "answering"
        self._record_results(results, now)
        by_id = {action.action_id: action for action in actions}
        self.keep(
            record
            for result in results
            if (record := self._remember(by_id[result.action_id], result, now)) is not None
        )
        return (*results, *kept_back)

    async def _witnessed(
        self, actions: Sequence[Action], flex: Mapping[int, FlexJob], now: int
    ) -> tuple[Sequence[Action], Sequence[Result]]:
        """What may be sent, and what is refused here because it would make jobs wait unrecorded (I9)."""
        if self._witness is None:
            return actions, ()
        jobs = {job_id: known.job for job_id, known in flex.items()}
        if await self._witness.intents(actions, jobs, now):
            return actions, ()
        why = f"it could not be recorded in the ledger: {self.unwitnessed}"
        refused = [
            Result(a.action_id, Outcome.REFUSED, "ledger", why, a.expected_begin, a.expected_state)
            for a in actions
            if a.verb in MAKES_WAIT
        ]
        self._record_results(refused, now)
        return [a for a in actions if a.verb not in MAKES_WAIT], refused

    def _record_results(self, results: Sequence[Result], now: int) -> None:
        self._store.record_results(results, now)
        if self._witness is not None:
            self._witness.effects(results, now)

    async def reserve(self, wanted: Sequence[Stretch], reason: str) -> Reserved | None:
        """Bring the reservations of ours to `wanted`; None when the helper is silent."""
        try:
            reserved = await self._helper.reserve(wanted, reason)
        except HelperUnavailable as error:
            self.answering, self.detail = False, str(error)
            _log.warning("helper unavailable", error=str(error))
            return None
        self.answering, self.detail = True, "answering"
        for one in reserved.results:
            if one.outcome is Outcome.REFUSED:
                _log.info("refused", reservation=one.stretch.name, code=one.code, detail=one.detail)
        return reserved

    async def ask(self) -> bool:
        """Whether the helper is there, so that its silence is noticed each beat."""
        try:
            status = await self._helper.status()
        except HelperUnavailable as error:
            self.answering, self.detail = False, str(error)
        else:
            self.answering, self.detail = True, "answering"
            self._notice_restart(status.instance)
            self.slowed = {one.job_id: one for one in status.slowed}
        return self.answering

    def _notice_restart(self, instance: str) -> None:
        """What was open when the helper was restarted: it forgot what it was about to send."""
        if self._instance and instance != self._instance:
            self._orphaned = frozenset(one.action.action_id for one in self._store.open_intents())
        self._instance = instance

    def _remember(self, action: Action, result: Result, now: int) -> JobRecord | None:
        record = self.records.get(action.job_id)
        if record is None:
            return None
        if result.outcome in (Outcome.APPLIED, Outcome.ALREADY_SO):
            self.backoff.pop(action.job_id, None)
            if action.verb is Verb.HOLD_UNTIL:
                return replace(record, hold=action.not_before, hold_seen=False, touched=True)
            if action.verb in _STOPS or action.verb is Verb.SLOW:
                return replace(record, touched=True)
            if action.verb is Verb.RELEASE:
                # Given back is given back: it is not held again, so a job does not flap.
                ours = record.ours | {result.observed_begin}
                return replace(record, hold=0, hold_seen=False, ours=ours, came_due=True)
        elif result.outcome is Outcome.REFUSED:
            _log.info("refused", job_id=action.job_id, code=result.code, detail=result.detail)
            if action.verb is Verb.SLOW:
                self.no_slow[action.job_id] = now + _BACKOFF
            elif result.code not in _OF_THE_MOMENT:
                until = now + _BACKOFF
                self.backoff[action.job_id] = Backoff(until, action.not_before, result.code)
            if result.code == "opted-out":
                return replace(record, opted_out=now, opted_out_why=result.detail, hold=0)
        return record


def _intend(
    actions: Sequence[Action], flex: Mapping[int, FlexJob], running: Mapping[int, JobRecord]
) -> Iterable[JobRecord]:
    """The records with the intended begin times among ours."""
    for action in actions:
        known = flex.get(action.job_id)
        record = known.record if known else running.get(action.job_id)
        if record is not None and action.verb in _HOLDS:
            yield replace(record, ours=record.ours | {action.not_before})


def _worth_saving(old: JobRecord | None, new: JobRecord) -> bool:
    if old is None:
        return True
    return (
        replace(old, last_seen=new.last_seen) != new
        or new.last_seen - old.last_seen >= _SAVE_SEEN_EVERY
    )
