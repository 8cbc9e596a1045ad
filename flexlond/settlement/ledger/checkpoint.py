"""A checkpoint: the signed statement that the ledger had this many entries, this root and this head, then.

Law: pure. The text is the note body of a transparency log's checkpoint (origin, size, root in base64) with
two lines of our own: the head of the hash chain and the moment (epoch seconds, UTC). One checkpoint has one
spelling.
Source: C2SP tlog-checkpoint.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.settlement.ledger.merkle import HASH_BYTES
from flexlond.settlement.ledger.note import NoteKey, NoteSigner, exact_base64, open_note
from flexlond.settlement.ledger.problem import TamperError

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD = "head "
_TIME = "time "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was signed, and the note that carries it."""

    origin: str
    size: int  # entries
    root: bytes
    head: bytes  # the leaf hash of the newest entry; zeros for an empty ledger
    at: int
    note: str = ""

    @property
    def text(self) -> str:
        """The note's body."""
        root, head = _b64(self.root), _b64(self.head)
        return f"{self.origin}\n{self.size}\n{root}\n{_HEAD}{head}\n{_TIME}{self.at}\n"

    def signed(self, signer: NoteSigner) -> Checkpoint:
        """The same with its note."""
        return Checkpoint(
            self.origin, self.size, self.root, self.head, self.at, signer.sign(self.text)
        )

    def as_dict(self) -> dict[str, str | int]:
        """For a counterparty, as on_status carries it; the note alone is what is signed."""
        return {
            "origin": self.origin,
            "size": self.size,
            "root": self.root.hex(),
            "at": self.at,
            "note": self.note,
        }


def open_checkpoint(note: str, keys: Iterable[NoteKey]) -> Checkpoint:
    """The checkpoint in a note that one of `keys` signed. Raises TamperError."""
    made = read_text(open_note(note, keys), note)
    if made is None:
        raise TamperError("the signed note is no checkpoint of a ledger of ours")
    return made


def read_text(text: str, note: str = "") -> Checkpoint | None:
    """The checkpoint with this body; None where it is none."""
    lines = text.split("\n")
    if len(lines) != 6:
        return None
    origin, size, root, head, moment, _ = lines
    numbers = (size, moment.removeprefix(_TIME))
    hashes = (exact_base64(root), exact_base64(head.removeprefix(_HEAD)))
    if not all(number.isascii() and number.isdigit() for number in numbers):
        return None
    if hashes[0] is None or hashes[1] is None or {len(h) for h in hashes if h} != {HASH_BYTES}:
        return None
    made = Checkpoint(origin, int(numbers[0]), hashes[0], hashes[1], int(numbers[1]), note)
    return made if made.text == text else None


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
