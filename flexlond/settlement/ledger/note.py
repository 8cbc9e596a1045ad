"""Signed notes: a text, and one Ed25519 signature over it, as transparency logs exchange them.

Law: pure. One signer, one signature line; base64 has one spelling; a public key that is not a point of the
prime-order subgroup is no key. So no byte of a note can change unnoticed. A seed is never shown.
Source: C2SP signed-note (note text, blank line, `\u2014 name base64(key id || signature)`; key id and the
written form of a public key as there), RFC 8032, libsodium's crypto_core_ed25519_is_valid_point.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from flexlond.settlement.ledger.problem import LedgerError, TamperError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_KEY_ID_BYTES = 4
_ED25519 = b"\x01"
_MARK = "\u2014 "
_NAME = re.compile(r"[!-*,-~]{1,200}\Z")  # printable ASCII without blanks and without "+"


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key with the name that signs by it."""

    name: str
    raw: bytes

    @classmethod
    def of(cls, name: str, raw: bytes) -> NoteKey:
        """Check name and key. Raises LedgerError."""
        if not _NAME.match(name):
            raise LedgerError(
                f"{name!r} cannot name a ledger: 1 to 200 printable ASCII characters without blanks and"
                " without '+', for example cluster.example.org/flexlon"
            )
        if len(raw) != KEY_BYTES or not crypto_core_ed25519_is_valid_point(raw):
            raise LedgerError(
                f"the public key of {name} is no usable Ed25519 key (small order, not canonical, or not"
                f" {KEY_BYTES} bytes); ask its owner for the right one"
            )
        return cls(name, raw)

    @classmethod
    def of_text(cls, text: str) -> NoteKey:
        """From the written form, name+id+base64. Raises LedgerError."""
        name, _, rest = text.strip().partition("+")
        given_id, _, encoded = rest.partition("+")
        key = exact_base64(encoded)
        if key is None or key[:1] != _ED25519:
            raise LedgerError(
                f"{text.strip()[:80]!r} is no public key of a ledger: expected name+8 hex digits+base64,"
                " as flexlonctl ledger key prints it"
            )
        made = cls.of(name, key[1:])
        if given_id != made.key_id.hex():
            raise LedgerError(
                f"the public key of {name} has the id {given_id}, by its bytes it is"
                f" {made.key_id.hex()}: it was damaged on its way"
            )
        return made

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name || newline || 0x01 || key)."""
        text = self.name.encode() + b"\n" + _ED25519 + self.raw
        return hashlib.sha256(text).digest()[:_KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """The written form: name+id+base64."""
        encoded = base64.b64encode(_ED25519 + self.raw).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `text`."""
        try:
            VerifyKey(self.raw).verify(text, signature)
        except (BadSignatureError, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A secret key with the name that it signs as."""

    key: NoteKey
    _secret: SigningKey = field(repr=False)

    @classmethod
    def of_seed(cls, name: str, seed: bytes) -> NoteSigner:
        """From a 32-byte seed. Raises LedgerError."""
        if len(seed) != KEY_BYTES:
            raise LedgerError(
                f"the seed of the ledger's key has {len(seed)} bytes; expected {KEY_BYTES}"
            )
        secret = SigningKey(seed)
        return cls(NoteKey.of(name, bytes(secret.verify_key)), secret)

    @classmethod
    def of_file(cls, name: str, path: Path) -> NoteSigner:
        """From a file with the seed in base64, for example a systemd credential. Raises LedgerError."""
        try:
            seed = exact_base64(path.read_text("ascii").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerError(
                f"{path}: {type(error).__name__}: the seed of the ledger's key cannot be read; expected 32"
                " bytes in base64, readable by the service"
            ) from None
        if seed is None:
            raise LedgerError(f"{path}: the seed of the ledger's key is not 32 bytes in base64")
        return cls.of_seed(name, seed)

    def sign(self, text: str) -> str:
        """The note of `text`, which ends with a newline and has no empty line."""
        signature = bytes(self._secret.sign(text.encode()).signature)
        encoded = base64.b64encode(self.key.key_id + signature).decode("ascii")
        return f"{text}\n{_MARK}{self.key.name} {encoded}\n"


def open_note(note: str, keys: Iterable[NoteKey]) -> str:
    """The text of a note that one of `keys` signed. Raises TamperError."""
    text, blank, line = note.rpartition("\n\n")
    name, _, encoded = line.removeprefix(_MARK).removesuffix("\n").partition(" ")
    raw = exact_base64(encoded)
    whole = blank and line.startswith(_MARK) and line.endswith("\n") and line.count("\n") == 1
    if not whole or raw is None or len(raw) != _KEY_ID_BYTES + SIGNATURE_BYTES:
        raise TamperError("this is no signed note: expected a text, an empty line, one signature")
    text += "\n"
    key_id, signature = raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:]
    for key in keys:
        if key.name == name and key.key_id == key_id:
            if key.verifies(text.encode(), signature):
                return text
            raise TamperError(f"the signature of {name} does not fit its text: it was changed")
    raise TamperError(
        f"the note is signed as {name[:80]!r} with key {key_id.hex()}, which is none of the keys given"
    )


def exact_base64(text: str) -> bytes | None:
    """Decode base64 in its one canonical spelling; None for anything else."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return raw if base64.b64encode(raw).decode("ascii") == text else None
