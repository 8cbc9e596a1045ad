"""Verifying a ledger's own file: everything that was recorded and signed is there and unchanged.

Law: reads one snapshot, writes nothing, holds no more than a few hashes in memory; `audit` judges. Besides
the entries: the stored tree, and that nothing lies in the file that belongs to no entry. A truncated or
wholly rewritten ledger is consistent in itself: only a checkpoint from outside (second place, counterparty)
shows it.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from flexlond.settlement.ledger.audit import Audit, Verdict
from flexlond.settlement.ledger.problem import TamperError
from flexlond.settlement.ledger.reader import STRIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flexlond.settlement.ledger.audit import Clear
    from flexlond.settlement.ledger.note import NoteKey
    from flexlond.settlement.ledger.reader import Reader

_TELL_EVERY = 2000


def verify(
    reader: Reader,
    keys: Sequence[NoteKey],
    outside: Iterable[str] = (),
    progress: Callable[[int], None] = lambda _: None,
) -> Verdict:
    """Verify everything against the public keys and earlier checkpoints (notes). Raises TamperError."""
    try:
        (state,) = reader.db.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise TamperError(f"{reader.path}: the file is damaged: {state}; restore a whole copy")
        named = reader.key
        if named is None or named not in keys:
            raise TamperError(
                f"the file names the key {named.text if named else 'of nobody'}, which is none of those given"
            )
        audit = Audit(reader.origin, reader.size, reader.head, keys)
        for size, note in reader.notes():
            audit.checkpoint(size, note)
        for note in outside:
            audit.outside(note)
        audit.begin()
        return walk(audit, reader.rows(0, 2**62), reader.clear_texts(), reader.nodes(), progress)
    except (sqlite3.Error, ValueError, TypeError, AttributeError, OverflowError) as error:
        # A damaged page can also give values of types that its table forbids.
        raise TamperError(
            f"{reader.path}: the file is damaged: {error}; restore a whole copy"
        ) from error


def walk(
    audit: Audit,
    rows: Iterable[tuple[int, bytes, bytes | None]],
    clear_texts: Iterable[tuple[int, str, bytes, str]],
    nodes: Iterable[tuple[int, int, bytes]],
    progress: Callable[[int], None] = lambda _: None,
) -> Verdict:
    """The rest of a ledger from the audit's state on, each part in its order. Raises TamperError."""
    stored, beside = iter(nodes), iter(clear_texts)
    following = next(beside, None)
    for seq, leaf, body in rows:
        clear: list[Clear] = []
        while following is not None and following[0] <= seq:
            if following[0] < seq:
                raise _stray(following[0])
            clear.append(following[1:])
            following = next(beside, None)
        for made in audit.entry(seq, leaf, body, clear):
            if made[0] % STRIDE == 0 and next(stored, None) != made:
                raise TamperError(f"the stored tree is wrong at level {made[0]}, number {made[1]}")
        if audit.size % _TELL_EVERY == 0:
            progress(audit.size)
    if next(stored, None) is not None:
        raise TamperError("the stored tree has more than belongs to the entries")
    if following is not None:
        raise _stray(following[0])
    progress(audit.size)
    return audit.end()


def _stray(seq: int) -> TamperError:
    return TamperError(f"there is clear text of entry {seq}, which is not there")
