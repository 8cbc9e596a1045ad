"""The daemon's ledger: intents before they are sent, effects after, a signed checkpoint each settlement period.

Law: implements agents/witness.py. The store is committed first and the ledger second; what a crash leaves
out in between is recorded at the next start, marked `late`. Who owns a job (user, account, job name) and
what the helper said of it are personal fields: salted hashes in the entries, erasable. A checkpoint that
cannot be written to the second place is signed all the same and put there later. Moments are epoch seconds
(UTC).
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from flexlond.settlement.ledger import upkeep
from flexlond.settlement.ledger.entry import Record, decode
from flexlond.settlement.ledger.note import NoteSigner
from flexlond.settlement.ledger.problem import LedgerError
from flexlond.settlement.ledger.recorder import Recorder
from flexlond.settlement.ledger.second_place import SecondPlace
from flexlond.settlement.ledger.writer import MAX_BATCH, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flexlond.agents.records import IntentLine
    from flexlond.model.action import Action, Result
    from flexlond.model.job import Job
    from flexlond.model.settings import Settings

LEDGER_NAME = "ledger.db"
DAY = 86_400
_LOOK_BACK = 7 * DAY  # for what a crash left out
_WHO = re.compile(
    r" \(uid \d+\)"
)  # in the reason of a release: a person, and `by` says what matters

_log = structlog.get_logger()


def open_ledger(settings: Settings) -> Ledger | None:
    """The ledger that [ledger] names; None where none is kept. Raises LedgerError."""
    chosen = settings.ledger
    if not chosen.name:
        return None
    path = Path(chosen.path) if chosen.path else Path(settings.daemon.state_dir) / LEDGER_NAME
    second = SecondPlace(Path(chosen.second_place)) if chosen.second_place else None
    return Ledger(path, NoteSigner.of_file(chosen.name, _key_file(chosen.key)), second)


def take_up(
    ledger: Ledger,
    intents_since: Callable[[int], Sequence[IntentLine]],
    configuration: Mapping[str, str],
    now: int,
) -> int:
    """At each start, before anything is intended: catch up, and say what is in force; how many were late.

    A new ledger does not speak of what was before it. Its first entry is on disk before the first intent.
    """
    late = catch_up(ledger, intents_since(now - _LOOK_BACK)) if ledger.size else 0
    ledger.append([Record("configuration", now, configuration)])
    return late


def catch_up(ledger: Ledger, lines: Sequence[IntentLine]) -> int:
    """Record what the store knows of recent intents and the ledger does not; how many entries."""
    intents, effects = _recorded(ledger, min((line.created for line in lines), default=0))
    missing: list[Record] = []
    first = next(ledger.db.execute("SELECT body FROM entry WHERE seq=0"), (None,))[0]
    start = decode(bytes(first), 0).at if first else 0
    for line in lines:
        if line.created < start:  # from before the ledger began
            continue
        action = line.action
        if action.action_id not in intents:
            missing.append(Record("intent", line.created, {**_intent(action), "late": True}))
        if line.outcome and (action.action_id, line.outcome.value) not in effects:
            body = {
                "action": action.action_id,
                "outcome": line.outcome.value,
                "code": line.code,
                "late": True,
            }
            missing.append(Record("effect", line.ended, body))
    for begin in range(0, len(missing), MAX_BATCH):
        ledger.append(missing[begin : begin + MAX_BATCH])
    return len(missing)


class LedgerWitness:
    """Owns the ledger until `close`; call within the event loop."""

    def __init__(self, ledger: Ledger, settings: Settings, clock: Callable[[], int]) -> None:
        """Signs at the end of each settlement period from now on."""
        self._ledger = ledger
        self._recorder = Recorder(ledger)
        self._chosen = settings.ledger
        self._period = settings.grid.slot_seconds
        self._clock = clock
        self._kept_up = 0  # when retention was looked at last
        self._second = ""
        self._latest: dict[str, str | int] = {}
        self._task = asyncio.create_task(self._sign())

    @property
    def problem(self) -> str:
        """Why nothing can be recorded; "" while it can."""
        return self._recorder.problem

    @property
    def recorder(self) -> Recorder:
        """Where other parts of the daemon record theirs (readings, messages, settlements)."""
        return self._recorder

    async def intents(self, actions: Sequence[Action], jobs: Mapping[int, Job], now: int) -> bool:
        """True when all of them are on record, durably."""
        try:
            for action in actions:
                owner = _owner(jobs.get(action.job_id))
                self._recorder.record("intent", _intent(action), at=now, personal=owner)
            await self._recorder.settled()
        except LedgerError as error:
            _log.warning("intents are not on record", error=str(error))
            return False
        return True

    def effects(self, results: Sequence[Result], now: int) -> None:
        """Record what came of intents, as soon as it can be."""
        try:
            for result in results:
                body = {
                    "action": result.action_id,
                    "outcome": result.outcome.value,
                    "code": _text(result.code),
                    "begin": result.observed_begin,
                    "state": _text(result.observed_state),
                }
                said = {"detail": _text(result.detail)} if result.detail else {}
                self._recorder.record("effect", body, at=now, personal=said)
        except (
            LedgerError
        ) as error:  # the store has them: they are caught up with at the next start
            _log.warning("effects are not on record", error=str(error))

    # ---- agents/witness.Notary

    @property
    def latest(self) -> dict[str, str | int]:
        """The newest checkpoint, as on_status carries it; empty before the first."""
        return self._latest

    async def noted(self, since: int) -> frozenset[tuple[str, str]]:
        """(kind, id) of the notes in the entries since a moment. Raises LedgerError."""
        return await self._recorder.within(lambda: _noted(self._ledger, since))

    def note(self, kind: str, name: str, body: Mapping[str, object], now: int) -> bool:
        """Hand over one note. While the ledger cannot be written none is taken: intents go first."""
        if self._recorder.problem:
            return False
        try:
            self._recorder.record(kind, {**body, "id": name}, at=now)
        except LedgerError as error:
            _log.warning("a note is not on record", kind=kind, error=str(error))
            return False
        return True

    async def erase(self, user: str) -> int:
        """Erase the clear text of one person, with what is on its way to the disk; how many entries.

        Signed at once. Raises LedgerError.
        """
        await self._recorder.settled()
        now = self._clock()
        count = await self._recorder.within(lambda: upkeep.erase_person(self._ledger, user, now))
        await self.checkpoint()
        return count

    async def checkpoint(self) -> None:
        """Sign what is on record now. Raises LedgerError."""
        made = await self._recorder.checkpoint(self._clock())
        self._latest = made.as_dict()
        if self._recorder.second_problem != self._second:
            self._second = self._recorder.second_problem
            _log.warning("second place of the ledger", problem=self._second or "none any more")

    async def close(self) -> None:
        """Sign and close."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self.checkpoint()
        except LedgerError as error:
            _log.error("the ledger was closed without a checkpoint", error=str(error))
        await self._recorder.close()

    async def _sign(self) -> None:
        while True:
            try:
                await self.checkpoint()
                await self._keep_up(self._clock())
            except Exception as error:  # noqa: BLE001 -- the next period tries again, whatever it was
                known = isinstance(error, LedgerError)
                _log.error("no checkpoint was signed", error=str(error), exc_info=not known)
            now = self._clock()
            await asyncio.sleep(self._period - now % self._period)

    async def _keep_up(self, now: int) -> None:
        """Retention, once a day."""
        if now - self._kept_up < DAY:
            return
        self._kept_up = now
        chosen = self._chosen
        if chosen.personal_days:
            before = now - chosen.personal_days * DAY
            await self._recorder.within(lambda: upkeep.erase_older(self._ledger, before, now))
        if chosen.keep_days:
            oldest = now - chosen.keep_days * DAY
            steps = upkeep.compacting(self._ledger, oldest, now)
            while await self._recorder.within(lambda: next(steps, None)) is not None:
                pass  # intents go between two steps


def _key_file(key: str) -> Path:
    if key.startswith("/"):
        return Path(key)
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise LedgerError(
            f"the ledger's key is the credential {key!r}, and this process has no credentials: add"
            f" LoadCredential={key}:/etc/flexlon/ledger.key to the unit, or set ledger.key to a path"
        )
    return Path(folder) / key


def _recorded(ledger: Ledger, begin: int) -> tuple[set[str], set[tuple[str, str]]]:
    """The actions with an intent, and (action, outcome) with an effect, in the entries since `begin`."""
    intents: set[str] = set()
    effects: set[tuple[str, str]] = set()
    for seq, raw in ledger.db.execute(
        "SELECT seq, body FROM entry WHERE body IS NOT NULL ORDER BY seq DESC"
    ):
        found = decode(bytes(raw), seq)
        if found.at < begin - DAY:  # clocks step: a day more than is needed
            break
        if found.kind == "intent":
            intents.add(found.body["action"])
        elif found.kind == "effect":
            effects.add((found.body["action"], found.body["outcome"]))
    return intents, effects


def _noted(ledger: Ledger, since: int) -> frozenset[tuple[str, str]]:
    """The notes in the entries since a moment, by kind and id."""
    found: set[tuple[str, str]] = set()
    for seq, raw in ledger.db.execute(
        "SELECT seq, body FROM entry WHERE body IS NOT NULL ORDER BY seq DESC"
    ):
        entry = decode(bytes(raw), seq)
        if entry.at < since - DAY:  # clocks step: a day more than is needed
            break
        if type(name := entry.body.get("id")) is str:
            found.add((entry.kind, name))
    return frozenset(found)


def _intent(action: Action) -> dict[str, Any]:
    return {
        "action": action.action_id,
        "job_id": action.job_id,
        "submit": action.submit,
        "restarts": action.restarts,
        "verb": action.verb.value,
        "not_before": action.not_before,
        "expected_begin": action.expected_begin,
        "expected_state": _text(action.expected_state),
        "reason": _WHO.sub("", _text(action.reason)),
        **({"width": action.width} if action.width else {}),
        **({"site": action.site} if action.site else {}),
    }


def _owner(job: Job | None) -> dict[str, str]:
    if job is None:
        return {}
    return {
        "user": _text(job.user),
        "account": _text(job.account),
        "job_name": _text(job.name),
    }


def _text(text: str) -> str:
    """What Slurm gave, as text that can be encoded."""
    return text.encode("utf-8", "backslashreplace").decode()
