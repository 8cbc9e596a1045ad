"""What leaves the house: the export of a whole ledger, and single proofs.

Law: an export is JSON lines in canonical form: a header, the entries byte by byte as they were hashed (or
the leaf hash of one whose body was dropped), each checkpoint after the entry that it ends with. It ends
with a checkpoint: what nobody signed yet is not evidence and stays behind. Clear text of personal data is
in it only where asked for. A proof is one JSON object. standalone.py reads both and shares no code with
this.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flexlond.settlement.ledger.checkpoint import Checkpoint, open_checkpoint
from flexlond.settlement.ledger.problem import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flexlond.settlement.ledger.note import NoteKey
    from flexlond.settlement.ledger.reader import Reader

FORMAT = 1


def export(
    reader: Reader,
    keys: Sequence[NoteKey],
    *,
    personal: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[bytes]:
    """The lines of the export, each with its newline. Raises LedgerError when nothing is signed."""
    notes = list(reader.notes())
    newest = _newest(reader, keys)
    yield _line({"export": {"format": FORMAT, "origin": newest.origin, "size": newest.size}})
    due = iter(notes)
    following = next(due, None)
    while following and following[0] == 0:
        yield _line({"checkpoint": {"note": following[1]}})
        following = next(due, None)
    for seq, leaf, body in reader.rows(0, newest.size):
        if body is None:
            yield _line({"dropped": {"leaf": leaf.hex(), "seq": seq}})
        else:
            yield bytes(body) + b"\n"
        if personal:
            for name, (salt, text) in reader.personal(seq).items():
                shown = {"field": name, "salt": salt.hex(), "seq": seq, "text": text}
                yield _line({"personal": shown})
        while following and following[0] == seq + 1:
            yield _line({"checkpoint": {"note": following[1]}})
            following = next(due, None)
        if seq % 1000 == 0:
            progress(seq)
    progress(newest.size)


def inclusion_proof(
    reader: Reader, keys: Sequence[NoteKey], seq: int, *, personal: bool = False
) -> dict[str, Any]:
    """That entry `seq` is under the newest checkpoint. Raises LedgerError.

    `entry` is None where its body was dropped: the proof then serves whoever has a copy.
    """
    newest = _newest(reader, keys)
    if not 0 <= seq < newest.size:
        raise LedgerError(
            f"entry {seq} is not under the newest checkpoint, which covers {newest.size} of"
            f" {reader.size} entries; entries count from 0, and new ones are signed each settlement period"
        )
    ((_, _, body),) = reader.rows(seq, seq + 1)
    clear = reader.personal(seq) if personal else {}
    return {
        "proof": "inclusion",
        "seq": seq,
        "entry": None if body is None else bytes(body).decode(),
        "path": [one.hex() for one in reader.inclusion(seq, newest.size)],
        "checkpoint": newest.note,
        "personal": {
            name: {"salt": salt.hex(), "text": text} for name, (salt, text) in clear.items()
        },
    }


def consistency_proof(reader: Reader, keys: Sequence[NoteKey], old_note: str) -> dict[str, Any]:
    """That the newest checkpoint continues an older one, given as its note. Raises LedgerError."""
    newest, old = _newest(reader, keys), open_checkpoint(old_note, keys)
    if not 0 < old.size <= newest.size:
        raise LedgerError(
            f"the checkpoint has {old.size} entries and the newest one here {newest.size}: there is nothing"
            " to prove from it, or the ledger was rolled back"
        )
    return {
        "proof": "consistency",
        "old": old.note,
        "new": newest.note,
        "path": [one.hex() for one in reader.consistency(old.size, newest.size)],
    }


def _newest(reader: Reader, keys: Sequence[NoteKey]) -> Checkpoint:
    notes = reader.notes()
    if not notes:
        raise LedgerError(
            f"{reader.path}: nothing is signed yet: the first checkpoint comes at the end of the settlement"
            " period"
        )
    return open_checkpoint(notes[-1][1], keys)


def _line(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"
