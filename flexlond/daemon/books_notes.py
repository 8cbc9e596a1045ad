"""What goes into the ledger besides intents: messages, signals, forecasts, readings, decisions, settlements.

Law: of a message its digest and moment, never its body; no id of a message or transaction in clear, no name of
a job or a person. A run is one entry, and each of its orders one more, so that a proof of it shows one buyer's
alone. Each is recorded once: what the ledger has of late is read at the start, what it does not
take is handed over again. Nothing waits for a note. Epoch seconds.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from flexlond.settlement import issued, runs
from flexlond.settlement.record import digest, to_json
from flexlond.settlement.recorder import plain

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from flexlond.agents.witness import Notary
    from flexlond.beckn.journal.journal import Journal
    from flexlond.model.series import Kind, Series
    from flexlond.settlement.record import Record
    from flexlond.settlement.store import SettlementStore

RECENT = 3 * 86_400  # seconds that are looked at again
_MOST = 256  # notes of one turn; the others in the next
_AHEAD = 3 * 86_400


class Note(NamedTuple):
    """One note; `name` makes it one among its kind."""

    kind: str
    name: str
    body: dict[str, Any]


class Notes:
    """The notes of one daemon."""

    def __init__(self, notary: Notary) -> None:
        self._notary = notary
        self._known: set[tuple[str, str]] | None = None
        self._runs: dict[tuple[dt.date, int], list[Note]] = {}  # a run never changes

    def kept(self, store: SettlementStore, now: int) -> list[Note]:
        """What settlement.db has of late; call it where that file is read."""
        found = []
        for one, version in store.readings(now - RECENT, now):
            body = {
                "point": one.point,
                "start": one.start,
                "version": version,
                "wh": one.wh,
                "quality": one.quality.value,
                "uncertainty_wh": one.uncertainty_wh,
                "source": one.source,
            }
            found.append(Note("reading", f"{one.point}@{one.start}#{version}", body))
        for nomination in store.nominations(now - RECENT, now + _AHEAD):
            body = {
                "point": nomination.point,
                "start": nomination.start,
                "wh": nomination.wh,
                "fixed_at": nomination.fixed_at,
                "method": "nominated",
            }
            name = f"{nomination.point}@{nomination.start}#{nomination.fixed_at}"
            found.append(Note("baseline", name, body))
        for run in runs.runs_since(store, now - RECENT):
            key = (run.date, run.version)
            if key not in self._runs:
                self._runs[key] = _settled(store, run)
            found += self._runs[key]
        found += [_issued(one) for one in issued.issued_since(store, now - RECENT)]
        return found

    async def turn(
        self,
        kept: list[Note],
        journals: Mapping[str, Journal],
        series: Mapping[Kind, Series],
        now: int,
    ) -> None:
        """Hand over what is not on record. Raises LedgerError where that cannot be told."""
        if self._known is None:
            self._known = set(await self._notary.noted(now - 2 * RECENT))
        handed = 0
        for note in [*kept, *_messages(journals, now), *_signals(series)]:
            if (note.kind, note.name) in self._known:
                continue
            if handed == _MOST or not self._notary.note(note.kind, note.name, note.body, now):
                return
            self._known.add((note.kind, note.name))
            handed += 1


def _settled(store: SettlementStore, run: runs.Run) -> list[Note]:
    """A run, and what it came to for each of its orders."""
    name, date = f"{run.date}#{run.version}", run.date.isoformat()
    body = {
        "date": date,
        "version": run.version,
        "digest": run.digest,
        "terms": run.terms,
        "final": run.final,
        "made": run.made,
    }
    found = [Note("settlement", name, body)]
    by_order: dict[str, list[Record]] = {}
    for record in runs.records(store, run.date, run.version):
        by_order.setdefault(record.order, []).append(record)
    for order, records in by_order.items():
        body = {
            "order": order,
            "date": date,
            "version": run.version,
            "final": run.final,
            "periods": len(records),
            "incomplete": sum(one.state == "incomplete" for one in records),
            "offered_wh": sum(one.offered_wh for one in records),
            "claimed_wh": sum(one.claimed_wh for one in records),
            "net": plain(sum((Decimal(one.net) for one in records), Decimal(0))),
            "currency": records[0].currency,
            "digest": digest(to_json(one) for one in records),
        }
        found.append(Note("settlement", f"{name} {order}", body))
    return found


def _issued(one: issued.Issued) -> Note:
    """A monthly statement: the digest of its text, the runs that it rests on, and what it comes to."""
    made = one.statement
    body = {
        "month": one.month,
        "version": one.version,
        "digest": one.digest,
        "runs": made.versions,
        "orders": len(made.orders),
        "claimed_wh": sum(line.claimed_wh for line in made.orders),
        "metered_wh": made.metered_wh,
        "revenue": made.revenue,
        "avoided_cost": made.avoided_cost.net,
        "avoided_carbon_kg": made.avoided_carbon_kg.net,
        "units": len(made.units),
        "not_settled": len(made.not_settled),
        "terms": made.terms,
        "made": one.made,
    }
    return Note("statement", f"{one.month}#{one.version}", body)


def _messages(journals: Mapping[str, Journal], now: int) -> list[Note]:
    """What came and what goes out, by identity."""
    found = []
    for identity, journal in journals.items():
        for came in journal.inbox.since(now - RECENT):
            body = {
                "identity": identity,
                "direction": "in",
                "action": came.action,
                "peer": came.peer,
                "transaction": _hash(came.transaction_id),
                "moment": int(came.received),
                "body": came.digest,
                "refusal": came.refusal,
            }
            name = _hash(f"in {came.action} {came.peer} {came.message_id}")
            found.append(Note("message", name, body))
        for goes in journal.outbox.since(now - RECENT):
            body = {
                "identity": identity,
                "direction": "out",
                "action": goes.action,
                "peer": goes.peer,
                "transaction": _hash(goes.transaction_id),
                "moment": int(goes.created),
                "body": goes.digest,
            }
            name = _hash(f"out {goes.action} {goes.peer} {goes.message_id}")
            found.append(Note("message", name, body))
    return found


def _signals(series: Mapping[Kind, Series]) -> list[Note]:
    """The series in use, each once for every time it was fetched."""
    found = []
    for kind, one in series.items():
        values = hashlib.sha256(one.values.astype("<f8").tobytes()).hexdigest()
        body = {
            "series": kind.value,
            "source": one.source,
            "fetched_at": one.fetched_at,
            "quality": one.quality.value,
            "start": one.grid.start,
            "slot_seconds": one.grid.slot_seconds,
            "slots": one.grid.count,
            "sha256": values,
        }
        found.append(Note("signal", f"{kind.value}@{one.fetched_at} {one.quality.value}", body))
    return found


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
