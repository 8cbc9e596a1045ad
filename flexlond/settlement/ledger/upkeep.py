"""What may leave a ledger: personal data on request or by age, and old bodies; never a hash.

Law: both are said in the ledger itself before or as they happen: an erasure by an entry in the same commit
that names no person, a compaction by a signed entry before the first body goes. Leaf hashes stay, so every
proof and every checkpoint given out stays valid. Bodies go only below a checkpoint; the kinds in `keep`
stay.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from flexlond.settlement.ledger.checkpoint import Checkpoint, open_checkpoint
from flexlond.settlement.ledger.database import transaction, unusable
from flexlond.settlement.ledger.entry import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flexlond.settlement.ledger.note import NoteKey
    from flexlond.settlement.ledger.writer import Ledger

# What a dispute is about is small and is kept; what it was made of is large and may go.
KEPT = frozenset({"settlement", "statement", "message", "configuration", "erasure", "compaction"})
_CHUNK = 2000  # bodies dropped in one commit, so that the writer is not held up


def erase(ledger: Ledger, field: str, text: str, at: int) -> int:
    """Erase all personal data of the entries in which `field` is `text`; how many entries.

    Of a user's entry the job's name and account go too. Raises LedgerError: then nothing was erased.
    """
    found = "SELECT DISTINCT seq FROM personal WHERE field=? AND text=?"
    return _erase(ledger, found, (field, text), at, {"of": field, "why": "request"})


def erase_person(ledger: Ledger, user: str, at: int) -> int:
    """Erase all personal data of a user's entries, and of what became of them; how many entries.

    What was said of an effect can name its job's owner and lies with another entry: it is found by the action.
    Raises LedgerError: then nothing was erased.
    """
    mine = "SELECT seq FROM personal WHERE field='user' AND text=?"
    action = "json_extract(CAST(body AS TEXT), '$.body.action')"
    found = (
        f"{mine} UNION SELECT entry.seq FROM personal JOIN entry USING (seq) WHERE field='detail'"  # noqa: S608 # only our own words are put in
        f" AND {action} IN (SELECT {action} FROM entry WHERE seq IN ({mine}))"
    )
    return _erase(ledger, found, (user, user), at, {"of": "user", "why": "request"})


def erase_older(ledger: Ledger, before: int, at: int) -> int:
    """Erase the personal data of the entries below the newest checkpoint signed before then; how many."""
    found = _checkpoint_before(ledger, before)
    if found is None:
        return 0
    old = "SELECT DISTINCT seq FROM personal WHERE seq<?"
    return _erase(ledger, old, (found.size,), at, {"why": "retention", "below": found.size})


def compact(ledger: Ledger, before: int, at: int, keep: Collection[str] = KEPT) -> int:
    """Drop the bodies below the newest checkpoint signed before then, and what is personal; how many.

    Raises LedgerError; a compaction that was cut short goes on at the next call.
    """
    return sum(compacting(ledger, before, at, keep))


def compacting(ledger: Ledger, before: int, at: int, keep: Collection[str] = KEPT) -> Iterator[int]:
    """`compact` in steps of some milliseconds, between which others may append; how many in each."""
    found = _checkpoint_before(ledger, before)
    if found is None or not found.size:
        return
    ranked = sorted(keep)
    marks = ",".join("?" * len(ranked))
    # The kind is read from the body itself: a column of its own could say something else.
    rest = f"body IS NOT NULL AND json_extract(CAST(body AS TEXT), '$.kind') NOT IN ({marks})"
    due = f"SELECT seq, leaf FROM entry WHERE seq>=? AND seq<? AND {rest} ORDER BY seq LIMIT ?"  # noqa: S608 # as above
    try:
        first = ledger.db.execute(due, (0, found.size, *ranked, 1)).fetchone()
        if first is None:
            return
        body = {"below": found.size, "root": found.root.hex(), "kept": ranked}
        ledger.append([Record("compaction", at, body)])
        ledger.checkpoint(at)
        yield 0
        begin = int(first[0])
        while rows := ledger.db.execute(due, (begin, found.size, *ranked, _CHUNK)).fetchall():
            seqs = [(seq,) for seq, _ in rows]
            with transaction(ledger.db):
                # Deleted and put back: an update in place would leave every page as large as it was.
                ledger.db.executemany("DELETE FROM entry WHERE seq=?", seqs)
                ledger.db.executemany("INSERT INTO entry VALUES (?,?,NULL)", rows)
                ledger.db.executemany("DELETE FROM personal WHERE seq=?", seqs)
            begin = rows[-1][0] + 1
            yield len(rows)
        _forget_copies(ledger.db)
    except sqlite3.Error as error:
        raise unusable(ledger.path, error) from error


def _erase(
    ledger: Ledger, found: str, values: tuple[object, ...], at: int, body: dict[str, str | int]
) -> int:
    """Erase what is personal of the entries that the query `found` names.

    They are named before anything goes: a query about what it deletes may be asked again halfway.
    """
    try:
        seqs = [seq for (seq,) in ledger.db.execute(found, values)]
        if seqs:
            record = Record("erasure", at, {**body, "entries": len(seqs)})
            gone = "DELETE FROM personal WHERE seq IN (SELECT value FROM json_each(?))"
            ledger.append_with([record], (gone, (json.dumps(seqs),)))
            _forget_copies(ledger.db)
    except sqlite3.Error as error:
        raise unusable(ledger.path, error) from error
    return len(seqs)


def _forget_copies(db: sqlite3.Connection) -> None:
    """Overwrite the write-ahead log, which still has the pages as they were."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _checkpoint_before(ledger: Ledger, before: int) -> Checkpoint | None:
    keys: list[NoteKey] = [ledger.key]
    for (note,) in ledger.db.execute("SELECT note FROM checkpoint ORDER BY n DESC"):
        made = open_checkpoint(note, keys)
        if made.at < before:
            return made
    return None
