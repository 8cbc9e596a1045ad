"""What an order came to, for its buyer alone, or a month's statement: with the ledger's proof of what they are.

Law: of each date the newest version that is under a signed checkpoint, with the records of that version and no
other's; records that are not those of the entry's digest make no bundle. Nothing of another order is in it.
`flexlon-verify` checks it with the public key alone.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from flexlond.settlement import issued, runs
from flexlond.settlement.ledger.entry import Entry, decode
from flexlond.settlement.ledger.export import inclusion_proof
from flexlond.settlement.ledger.problem import LedgerError
from flexlond.settlement.record import digest, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.settlement.ledger.note import NoteKey
    from flexlond.settlement.ledger.reader import Reader
    from flexlond.settlement.store import SettlementStore


def bundle(
    reader: Reader, keys: Sequence[NoteKey], store: SettlementStore, order: str
) -> dict[str, Any]:
    """The bundle of an order, as JSON has it. Raises LedgerError where nothing of it is signed."""
    signed = max((size for size, _ in reader.notes()), default=0)
    newest: dict[str, Entry] = {}
    mark = order.encode()
    for seq, _, raw in reader.rows(0, signed):
        if raw is None or mark not in raw:
            continue
        one = decode(bytes(raw), seq)
        if one.kind != "settlement" or one.body.get("order") != order:
            continue
        known = newest.get(one.body["date"])
        if known is None or known.body["version"] < one.body["version"]:
            newest[one.body["date"]] = one
    if not newest:
        raise LedgerError(
            f"no settlement of order {order} is under a signed checkpoint: settle its dates (flexlonctl settle)"
            " while flexlond runs, which records them and signs at the end of the settlement period"
        )
    parts = [_part(reader, keys, store, newest[date]) for date in sorted(newest)]
    return {"bundle": "settlement", "order": order, "parts": parts}


def _part(
    reader: Reader, keys: Sequence[NoteKey], store: SettlementStore, entry: Entry
) -> dict[str, Any]:
    body = entry.body
    date = dt.date.fromisoformat(body["date"])
    found = runs.records(store, date, body["version"])
    texts = [to_json(one) for one in found if one.order == body["order"]]
    if digest(texts) != body["digest"]:
        raise LedgerError(
            f"the settlement file has other records of {date}, version {body['version']}, than the ledger: it"
            " is another file than the daemon's, or it was changed; name the right one with --store"
        )
    return {"records": texts, "proof": inclusion_proof(reader, keys, entry.seq)}


def statement_bundle(
    reader: Reader, keys: Sequence[NoteKey], store: SettlementStore, month: str
) -> dict[str, Any]:
    """The newest statement of a month that is signed, as it was issued. Raises LedgerError where none is."""
    signed = max((size for size, _ in reader.notes()), default=0)
    newest: Entry | None = None
    for seq, _, raw in reader.rows(0, signed):
        if raw is None or b'"statement"' not in raw:
            continue
        one = decode(bytes(raw), seq)
        if one.kind != "statement" or one.body.get("month") != month:
            continue
        if newest is None or newest.body["version"] < one.body["version"]:
            newest = one
    if newest is None:
        raise LedgerError(
            f"no statement of {month} is under a signed checkpoint: make it (flexlonctl statement {month})"
            " while flexlond runs, which records it and signs at the end of the settlement period"
        )
    found = issued.issued(store, month, newest.body["version"])
    if found is None or digest([found.text]) != newest.body["digest"]:
        raise LedgerError(
            f"the settlement file has another statement of {month}, version {newest.body['version']}, than the"
            " ledger: it is another file than the daemon's, or it was changed; name the right one with --store"
        )
    proof = inclusion_proof(reader, keys, newest.seq)
    return {"bundle": "statement", "month": month, "statement": found.text, "proof": proof}
