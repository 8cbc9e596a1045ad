#!/usr/bin/env python3
"""flexlon-verify: check a FlexLon ledger's export, or one proof, with nothing but the public key.

Needs Python 3.10 or later and PyNaCl (pip install pynacl), and no part of FlexLon. Read it before you trust
it: everything it knows of the format is in this one file, which is meant to be handed over.

    flexlon-verify --key KEY ledger.jsonl
    flexlon-verify --key KEY ledger.jsonl --checkpoint what-you-were-sent.note
    flexlon-verify --key KEY proof.json
    flexlon-verify --key KEY order.json

Law: reads what it is given and nothing else, and shares no code with the writer. Exit codes: 0 everything
holds, 1 something does not (said on stderr, the first place of it), 2 it could not be read. An export:
canonical JSON lines: a header; entries, each with the leaf hash of the one before (`prev`); the leaf hash
alone where a body was dropped; checkpoints, signed notes (C2SP) over origin, number of entries, RFC 6962
root, head and moment. It must end with a checkpoint. A checkpoint from elsewhere (--checkpoint) shows
whether anything was rewritten since.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT, VERSION = 1, 1
MARK = "\u2014 "
HELD, BROKEN, UNREADABLE = 0, 1, 2


class Broken(Exception):  # noqa: N818 -- it is a finding, not an error of this program
    """Something does not hold; the text says what and where."""


# ---- JSON in its one form


def fraction(text: str) -> NoReturn:
    """Refuse a number with a fraction or an exponent: nothing that is signed has one."""
    raise Broken(f"{text} is no integer")


DECODER = json.JSONDecoder(parse_float=fraction, parse_constant=fraction)
ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def canonical(raw: bytes, where: str) -> dict[str, Any]:
    """The table in `raw`, which must be spelled as RFC 8785 spells it (keys are ASCII, numbers integers)."""
    try:
        value = DECODER.decode(raw.decode())
        same = ENCODER.encode(value).encode() == raw
    except (ValueError, RecursionError):
        raise Broken(f"{where} is no JSON") from None
    if not same or not isinstance(value, dict):
        raise Broken(f"{where} is not in canonical form")
    return value


def only(value: Any, keys: set[str], where: str) -> dict[str, Any]:
    """`value`, a table with exactly these keys."""
    if not isinstance(value, dict) or set(value) != keys:
        raise Broken(f"{where} does not have the fields {', '.join(sorted(keys))}")
    return value


# ---- hashes and signatures


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The tree of the leaves so far, as the hashes of its perfect subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def push(self, leaf: bytes) -> None:
        """One leaf more."""
        count = self.size
        while count & 1:
            leaf, count = node_hash(self.peaks.pop(), leaf), count >> 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """RFC 6962's MTH of the leaves so far."""
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node_hash(peak, found)
        return found


def of_base64(text: Any, what: str) -> bytes:
    """Decode base64 in its one spelling."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error):
        raise Broken(f"{what} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise Broken(f"{what} is base64 in an uncommon spelling")
    return raw


def of_hex(text: Any, what: str) -> bytes:
    """Decode 32 bytes of lower-case hex."""
    try:
        raw = bytes.fromhex(text)
    except (TypeError, ValueError):
        raise Broken(f"{what} is not hex") from None
    if len(raw) != 32 or raw.hex() != text:
        raise Broken(f"{what} is not 32 bytes in lower-case hex")
    return raw


class Key:
    """A public key with its name: name+key id+base64(0x01 || 32 bytes)."""

    def __init__(self, text: str) -> None:
        self.name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = of_base64(encoded, "the public key")
        self.id = hashlib.sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        if len(raw) != 33 or raw[0] != 1 or self.id.hex() != key_id:
            raise Broken("the public key is damaged: expected name+8 hex digits+base64")
        if not crypto_core_ed25519_is_valid_point(raw[1:]):
            raise Broken("the public key is no point of the prime-order subgroup")
        self._key = VerifyKey(raw[1:])

    def open(self, note: Any) -> list[str]:
        """The lines of a note that this key signed."""
        text, _, line = str(note).rpartition("\n\n")
        name, _, encoded = line[len(MARK) : -1].partition(" ")
        if not line.startswith(MARK) or not line.endswith("\n") or line.count("\n") != 1:
            raise Broken("a checkpoint is no signed note")
        raw = of_base64(encoded, "a checkpoint's signature")
        if name != self.name or raw[:4] != self.id:
            raise Broken(f"a checkpoint is signed by {name!r} with another key than the one given")
        try:
            self._key.verify(f"{text}\n".encode(), raw[4:])
        except (BadSignatureError, ValueError):
            raise Broken("a checkpoint's signature does not fit: it was changed") from None
        return text.split("\n")


class Checkpoint:
    """A signed statement: so many entries, this root, this head, at this moment (epoch seconds, UTC)."""

    def __init__(self, note: Any, key: Key) -> None:
        self.note = note
        lines = key.open(note)
        if len(lines) != 5 or lines[0] != key.name or lines[3][:5] + lines[4][:5] != "head time ":
            raise Broken("a signed note is no checkpoint")
        self.size, self.at = int(lines[1]), int(lines[4][5:])
        self.root = of_base64(lines[2], "a checkpoint's root")
        self.head = of_base64(lines[3][5:], "a checkpoint's head")


def commitment(salt: bytes, field: str, text: str) -> str:
    """How an entry carries what names a person."""
    return hmac.new(salt, f"{field}\0{text}".encode(), hashlib.sha256).hexdigest()


# ---- an export


class Export:
    """Reads an export line by line; `feed` raises Broken at the first line that does not hold."""

    def __init__(self, key: Key, outside: Iterable[Checkpoint] = ()) -> None:
        self._key = key
        self._outside = sorted(outside, key=lambda one: one.size)
        self.tree = Tree()
        self.head = bytes(32)
        self.size = -1  # of the header; -1 before it
        self.last: Checkpoint | None = None
        self.checkpoints = self.dropped = self.personal = 0
        self.kinds: dict[str, int] = {}
        self._last_dropped, self._below = -1, 0
        self._commitments: dict[str, str] = {}
        self._covered = False  # the newest line was a checkpoint

    def feed(self, line: bytes) -> None:
        """One line without its newline."""
        where = f"the line after entry {self.tree.size - 1}"
        value = canonical(line, where)
        if self.size < 0:
            header = only(value.get("export"), {"format", "origin", "size"}, "the header")
            if header["format"] != FORMAT or header["origin"] != self._key.name or len(value) != 1:
                raise Broken(f"this is no export of format {FORMAT} of {self._key.name}")
            if type(header["size"]) is not int or header["size"] < 0:
                raise Broken("the header names no number of entries")
            self.size = header["size"]
        elif "v" in value:
            self._entry(value, line)
        elif set(value) == {"dropped"}:
            gone = only(value["dropped"], {"leaf", "seq"}, where)
            self._commitments = {}
            self.dropped, self._last_dropped = self.dropped + 1, self.tree.size
            self._push(gone["seq"], of_hex(gone["leaf"], where))
        elif set(value) == {"personal"}:
            self._clear(only(value["personal"], {"field", "salt", "seq", "text"}, where))
        elif set(value) == {"checkpoint"}:
            self._checkpoint(only(value["checkpoint"], {"note"}, where))
        else:
            raise Broken(f"{where} is nothing that belongs in an export")

    def end(self) -> None:
        """After the last line."""
        if self.last is None or not self._covered or self.last.size != self.size:
            raise Broken(
                "the export does not end with a checkpoint of its last entry: it was cut short"
            )
        if self._last_dropped >= self._below:
            raise Broken(f"entry {self._last_dropped} is left out and no compaction dropped it")
        for one in self._outside:
            if one.size > self.size:
                raise Broken(
                    f"a checkpoint given has {one.size} entries, the export only {self.size}: it was"
                    " truncated or rolled back, or the export is the older of the two"
                )

    def _entry(self, value: dict[str, Any], line: bytes) -> None:
        number = self.tree.size
        fields = {"at", "body", "kind", "prev", "seq", "v"} | ({"personal"} & set(value))
        only(value, fields, f"entry {number}")
        if value["v"] != VERSION or value["prev"] != self.head.hex():
            raise Broken(
                f"entry {number} does not follow the one before it: one of them was changed"
            )
        self.kinds[value["kind"]] = self.kinds.get(value["kind"], 0) + 1
        self._commitments = value.get("personal", {})
        if value["kind"] == "compaction":
            self._below = max(self._below, int(value["body"]["below"]))
        self._push(value["seq"], leaf_hash(line))

    def _push(self, seq: Any, leaf: bytes) -> None:
        if seq != self.tree.size or type(seq) is not int:
            raise Broken(f"entry {self.tree.size} is missing: {seq} stands in its place")
        self.tree.push(leaf)
        self.head = leaf
        self._covered = False
        self._match_outside()

    def _clear(self, shown: dict[str, Any]) -> None:
        field, text = shown["field"], shown["text"]
        made = commitment(of_hex(shown["salt"], "a salt"), field, text)
        if shown["seq"] != self.tree.size - 1 or self._commitments.get(field) != made:
            raise Broken(
                f"the clear text of {field!r} is not what entry {shown['seq']} committed to"
            )
        self.personal += 1

    def _checkpoint(self, value: dict[str, Any]) -> None:
        made = Checkpoint(value["note"], self._key)
        self._match(made, made.size == self.tree.size)
        self.last, self._covered = made, True
        self.checkpoints += 1
        self._match_outside()

    def _match_outside(self) -> None:
        for one in self._outside:
            if one.size == self.tree.size:
                self._match(one, fits=True)

    def _match(self, one: Checkpoint, fits: bool) -> None:  # noqa: FBT001 -- two callers, both here
        if not fits or one.root != self.tree.root() or one.head != self.head:
            raise Broken(
                f"the entries before number {self.tree.size} are not those that were signed as {one.size}"
                f" entries at moment {one.at}: they were changed"
            )


def verify_export(path: Path, key: Key, outside: list[Checkpoint]) -> dict[str, Any]:
    """Verify a whole export; what it holds."""
    state = Export(key, outside)
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                raise Broken("the export's last line is cut off")
            state.feed(line[:-1])
    state.end()
    return {
        "holds": True,
        "origin": key.name,
        "entries": state.size,
        "dropped": state.dropped,
        "clear_texts": state.personal,
        "checkpoints": state.checkpoints,
        "given_checkpoints": len(outside),
        "kinds": dict(sorted(state.kinds.items())),
        "root": state.tree.root().hex(),
        "signed_at": state.last.at if state.last else 0,
    }


# ---- one proof


def included(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    at, last = index, size - 1
    for sibling in path:
        if last == 0:
            raise Broken("the inclusion proof is too long")
        if at & 1 or at == last:
            leaf = node_hash(sibling, leaf)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        at, last = at >> 1, last >> 1
    if last or not 0 <= index < size:
        raise Broken("the inclusion proof is too short, or of another place")
    return leaf


def continued(old: int, new: int, old_root: bytes, path: list[bytes]) -> tuple[bytes, bytes]:
    """The two roots that a consistency proof leads to (RFC 9162, 2.1.4.2)."""
    if old == new and not path:
        return old_root, old_root
    hashes = [old_root, *path] if old & (old - 1) == 0 else path
    if not 0 < old < new or not hashes:
        raise Broken("the consistency proof is of other trees")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise Broken("the consistency proof is too long")
        if at & 1 or at == last:
            was, now = node_hash(sibling, was), node_hash(sibling, now)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise Broken("the consistency proof is too short")
    return was, now


def verify_proof(
    proof: dict[str, Any], key: Key, outside: list[Checkpoint], entry: bytes | None
) -> dict[str, Any]:
    """Verify an inclusion or a consistency proof; what it proves."""
    path = [of_hex(one, "a hash of the proof") for one in proof["path"]]
    if proof["proof"] == "consistency":
        old, new = Checkpoint(proof["old"], key), Checkpoint(proof["new"], key)
        if continued(old.size, new.size, old.root, path) != (old.root, new.root):
            raise Broken(
                f"the {new.size} entries do not continue the {old.size} entries: they were changed"
            )
        if outside and old.note not in {one.note for one in outside}:
            raise Broken("the proof starts from another checkpoint than the one given")
        return {
            "holds": True,
            "proof": "consistency",
            "old": old.size,
            "new": new.size,
            "signed_at": new.at,
        }
    made = Checkpoint(proof["checkpoint"], key)
    raw = entry if entry is not None else str(proof["entry"] or "").encode()
    if not raw:
        raise Broken("the entry's body was dropped: give your copy of it with --entry")
    value = canonical(raw, "the entry")
    if value.get("seq") != proof["seq"]:
        raise Broken("the entry has another number than its proof")
    if included(leaf_hash(raw), proof["seq"], made.size, path) != made.root:
        raise Broken(f"entry {proof['seq']} is not under the signed root: it was changed")
    for field, clear in proof["personal"].items():
        salt = of_hex(clear["salt"], "a salt")
        if value.get("personal", {}).get(field) != commitment(salt, field, clear["text"]):
            raise Broken(f"the clear text of {field!r} is not what the entry committed to")
    shown = {field: clear["text"] for field, clear in proof["personal"].items()}
    return {
        "holds": True,
        "proof": "inclusion",
        "entry": value,
        "clear": shown,
        "of": made.size,
        "signed_at": made.at,
    }


# ---- what an order came to, with its proofs


def verify_bundle(bundle: dict[str, Any], key: Key) -> dict[str, Any]:
    """Verify the records of one order against the ledger's word of them; what they come to.

    Each part is a date: its records as text, and the proof of the entry that has their digest.
    """
    order, dates, claimed, count, signed = bundle["order"], [], 0, 0, 0
    for part in bundle["parts"]:
        proved = verify_proof(part["proof"], key, [], None)
        if proved["proof"] != "inclusion" or proved["entry"]["kind"] != "settlement":
            raise Broken("a part's proof is of no settlement")
        body = proved["entry"]["body"]
        date, records = body["date"], [json.loads(text) for text in part["records"]]
        if body["order"] != order or {one["order"] for one in records} != {order}:
            raise Broken(f"the part of {date} is of another order than {order}")
        if date in dates:
            raise Broken(f"two parts are of {date}")
        if digest_of(part["records"]) != body["digest"]:
            raise Broken(
                f"the records of {date} are not those that were recorded: they were changed"
            )
        if sum(one["claimed_wh"] for one in records) != body["claimed_wh"]:
            raise Broken(f"the records of {date} do not add up to what was recorded")
        dates.append(date)
        claimed, count = claimed + body["claimed_wh"], count + len(records)
        signed = max(signed, proved["signed_at"])
    if not dates:
        raise Broken("the bundle has no parts")
    return {
        "holds": True,
        "bundle": "settlement",
        "order": order,
        "dates": sorted(dates),
        "records": count,
        "claimed_wh": claimed,
        "signed_at": signed,
    }


def verify_statement(bundle: dict[str, Any], key: Key) -> dict[str, Any]:
    """Verify that a month's statement is the one whose issue the ledger has; what it comes to."""
    proved = verify_proof(bundle["proof"], key, [], None)
    if proved["proof"] != "inclusion" or proved["entry"]["kind"] != "statement":
        raise Broken("the proof is of no statement")
    body = proved["entry"]["body"]
    if digest_of([bundle["statement"]]) != body["digest"]:
        raise Broken(
            f"the statement of {body['month']} is not the one that was issued: it was changed"
        )
    made = json.loads(bundle["statement"])
    if not bundle["month"] == made["month"] == body["month"]:
        raise Broken(f"the statement is of another month than {bundle['month']}")
    if made["versions"] != body["runs"] or made["revenue"] != body["revenue"]:
        raise Broken("the statement's figures are not those that were recorded")
    return {
        "holds": True,
        "bundle": "statement",
        "month": body["month"],
        "version": body["version"],
        "revenue": body["revenue"],
        "claimed_wh": body["claimed_wh"],
        "signed_at": proved["signed_at"],
    }


def digest_of(texts: list[str]) -> str:
    """SHA-256 over the texts in order, each with its length (8 bytes) before it."""
    state = hashlib.sha256()
    for text in texts:
        state.update(len(text.encode()).to_bytes(8, "big") + text.encode())
    return state.hexdigest()


# ---- the command line


def notes_in(path: Path) -> list[str]:
    """A note file, a JSON table with the note in it (as on_status carries it), or a folder of *.note."""
    if path.is_dir():
        found = [one.read_text("utf-8") for one in sorted(path.glob("*.note"))]
        if not found:
            raise Broken(f"{path} has no checkpoints (*.note)")
        return found
    text = path.read_text("utf-8")
    return [json.loads(text)["note"]] if text.lstrip().startswith("{") else [text]


def proof_in(path: Path) -> dict[str, Any] | None:
    """The proof or bundle in this file; None when it is an export."""
    with path.open("rb") as file:
        if b'"export"' in file.read(16):
            return None
    value = json.loads(path.read_text("utf-8"))
    return value if isinstance(value, dict) else {}


def check(arguments: argparse.Namespace) -> dict[str, Any]:
    """What holds; Broken for what does not."""
    named = Path(arguments.key)
    key = Key(named.read_text("utf-8") if named.is_file() else arguments.key)
    outside = [Checkpoint(note, key) for path in arguments.checkpoint for note in notes_in(path)]
    proof = proof_in(arguments.file)
    if proof is None:
        return verify_export(arguments.file, key, outside)
    if proof.get("bundle") == "statement":
        return verify_statement(proof, key)
    if "bundle" in proof:
        return verify_bundle(proof, key)
    entry = arguments.entry.read_bytes().rstrip(b"\n") if arguments.entry else None
    return verify_proof(proof, key, outside, entry)


def main() -> int:
    """Read the command line, verify, say."""
    parser = argparse.ArgumentParser(
        prog="flexlon-verify", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument(
        "file", type=Path, help="an export (JSON lines), a proof or a bundle (JSON)"
    )
    parser.add_argument("--key", required=True, help="the public key, or a file with it")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        help="a checkpoint that you were sent earlier (note, JSON, or a folder of *.note); repeatable",
    )
    parser.add_argument("--entry", type=Path, help="your copy of an entry whose body was dropped")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = parser.parse_args()
    try:
        found = check(arguments)
    except Broken as broken:
        if arguments.json:
            print(json.dumps({"holds": False, "why": str(broken)}))
        print(f"flexlon-verify: DOES NOT HOLD: {broken}", file=sys.stderr)
        return BROKEN
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        print(
            f"flexlon-verify: DOES NOT HOLD: not in the form expected: {error!r}", file=sys.stderr
        )
        return BROKEN
    except OSError as error:
        print(f"flexlon-verify: {error}", file=sys.stderr)
        return UNREADABLE
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:18} {value if isinstance(value, str | int) else json.dumps(value)}")
    return HELD


if __name__ == "__main__":
    sys.exit(main())
