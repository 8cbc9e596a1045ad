"""One entry: what is recorded, as the one row of bytes that is hashed.

Law: pure. Canonical JSON (RFC 8785) of text, integers, booleans, null, lists and tables: money in pence or
a smaller unit that its key names, energy in Wh, moments in epoch seconds (UTC), never a fraction. Each
entry carries the leaf hash of the one before. What names a person (user, account, job name) is in it only
as HMAC-SHA-256 under a random salt per entry and field; clear text and salt lie beside it and can be erased
without touching a hash.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import rfc8785

from flexlond.settlement.ledger.problem import LedgerError, TamperError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
KINDS = frozenset(
    {
        "signal",  # a price, carbon or stress series that was used
        "decision",  # a plan, an order taken or refused
        "intent",  # what is about to be asked of Slurm, before it is asked
        "effect",  # what became of an intent
        "message",  # to or from a counterparty
        "reading",  # of a meter
        "baseline",
        "settlement",
        "statement",
        "configuration",  # what was in force from then on
        "erasure",  # personal data were erased: how many, never whose
        "compaction",  # old bodies were dropped: up to where
    }
)
NO_HASH = bytes(32)  # "before" the first entry
SALT_BYTES = 32
MAX_BYTES = 64 * 1024
MAX_DEPTH = 16
_MOST = 2**53 - 1  # what every JSON reader keeps exactly
_KEY = re.compile(r"[A-Za-z0-9_.:@/-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Record:
    """What somebody wants recorded."""

    kind: str
    at: int  # epoch seconds, UTC
    body: Mapping[str, Any]
    personal: Mapping[str, str] = field(default_factory=dict)  # field -> clear text


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it was recorded."""

    seq: int
    kind: str
    at: int
    prev: str
    body: dict[str, Any]
    personal: dict[str, str]  # field -> commitment


def check(record: Record) -> None:
    """Raises LedgerError for what cannot be recorded."""
    if record.kind not in KINDS:
        raise LedgerError(f"kind {record.kind!r} is not known; known: {', '.join(sorted(KINDS))}")
    if type(record.at) is not int or not 0 <= record.at <= _MOST:
        raise LedgerError(f"at={record.at!r} is no moment; expected epoch seconds as an integer")
    _check(record.body, "body", 0)
    for key, text in record.personal.items():
        if not _KEY.match(key):
            raise LedgerError(
                f"personal field {key!r}: expected up to 64 of A-Z a-z 0-9 _ . : @ / -"
            )
        if type(text) is not str:
            raise LedgerError(f"personal field {key} is no text")


def encode(record: Record, seq: int, prev: bytes, salts: Mapping[str, bytes]) -> bytes:
    """The bytes of a checked record as number `seq` after the entry with leaf hash `prev`.

    `salts` has 32 random bytes for each personal field. Raises LedgerError.
    """
    entry: dict[str, Any] = {
        "v": VERSION,
        "seq": seq,
        "at": record.at,
        "kind": record.kind,
        "prev": prev.hex(),
        "body": record.body,
    }
    try:
        if record.personal:
            entry["personal"] = {
                key: commitment(salts[key], key, text) for key, text in record.personal.items()
            }
        raw = rfc8785.dumps(entry)
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise LedgerError(f"{record.kind}: cannot be written as canonical JSON: {error}") from error
    if len(raw) > MAX_BYTES:
        raise LedgerError(
            f"{record.kind}: the entry has {len(raw)} bytes; at most {MAX_BYTES}: record a digest and keep"
            " the rest elsewhere, or several entries"
        )
    return raw


def decode(raw: bytes, seq: int) -> Entry:
    """The entry in these bytes, which must be number `seq` in canonical form. Raises TamperError."""
    try:
        made = _DECODER.decode(raw)
        same = _ENCODER.encode(made) == raw
        if not same or made["v"] != VERSION or made["seq"] != seq or made["kind"] not in KINDS:
            raise TamperError(f"entry {seq} is not in the form it was recorded in")
        personal: dict[str, str] = made.get("personal", {})
        return Entry(seq, made["kind"], made["at"], made["prev"], made["body"], personal)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise TamperError(f"entry {seq} is no entry of a ledger: it was changed") from None


def commitment(salt: bytes, name: str, text: str) -> str:
    """HMAC-SHA-256 of field and clear text under its salt, in hex."""
    return hmac.digest(salt, f"{name}\0{text}".encode(), "sha256").hex()


def _check(value: Any, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LedgerError(f"{path}: nested deeper than {MAX_DEPTH} levels")
    if value is None or type(value) in {str, bool}:
        return
    if type(value) is int:
        if abs(value) > _MOST:
            raise LedgerError(f"{path}: {value} has more than 53 bits; record it as text")
        return
    if isinstance(value, dict):
        for key, child in value.items():
            if type(key) is not str or not _KEY.match(key):
                raise LedgerError(
                    f"{path}: key {key!r}: expected up to 64 of A-Z a-z 0-9 _ . : @ / -"
                )
            _check(child, f"{path}.{key}", depth + 1)
        return
    if isinstance(value, list | tuple):
        for place, child in enumerate(value):
            _check(child, f"{path}[{place}]", depth + 1)
        return
    raise LedgerError(
        f"{path}: {type(value).__name__} cannot be recorded; expected integers (pence, Wh, seconds) and text"
    )


def _fraction(text: str) -> float:
    raise ValueError(f"{text} is no integer")


# For the values that `check` lets pass this is RFC 8785 as well: keys are ASCII and numbers are integers.
_DECODER = msgspec.json.Decoder(float_hook=_fraction)
_ENCODER = msgspec.json.Encoder(order="sorted")
