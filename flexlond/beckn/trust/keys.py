"""Ed25519 keys: ours to sign with, strangers' to verify by.

Law: a public key that is not a point of the prime-order subgroup (small order, mixed order, not canonical) is
no key: whoever registers one could make a signature that fits many messages. A secret is a 32-byte seed; it
is never shown. Source: RFC 8032; libsodium's crypto_core_ed25519_is_valid_point.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES = 32
SIGNATURE_BYTES = 64


class BadKeyError(Exception):
    """A key that cannot be used; the text says why and what is expected."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A screened key of a participant."""

    raw: bytes

    @classmethod
    def of(cls, raw: bytes) -> PublicKey:
        """Screen 32 bytes. Raises BadKeyError."""
        if len(raw) != KEY_BYTES:
            raise BadKeyError(f"the public key has {len(raw)} bytes; expected {KEY_BYTES}")
        if not crypto_core_ed25519_is_valid_point(raw):
            raise BadKeyError(
                "the public key is not a point of the prime-order subgroup (small order or not"
                " canonical); ask its owner for another one"
            )
        return cls(raw)

    @classmethod
    def of_text(cls, text: str) -> PublicKey:
        """Screen a key in base64. Raises BadKeyError."""
        return cls.of(exact_base64(text, "the public key"))

    @property
    def text(self) -> str:
        """The key in base64, as registries hold it."""
        return base64.b64encode(self.raw).decode("ascii")

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes) is this key's over `text`."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        try:
            VerifyKey(self.raw).verify(text, signature)
        except (BadSignatureError, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key of ours."""

    _key: SigningKey = field(repr=False)

    @classmethod
    def of_seed(cls, seed: bytes) -> SecretKey:
        """From a 32-byte seed. Raises BadKeyError."""
        if len(seed) != KEY_BYTES:
            raise BadKeyError(f"the seed has {len(seed)} bytes; expected {KEY_BYTES}")
        return cls(SigningKey(seed))

    @classmethod
    def of_file(cls, path: Path) -> SecretKey:
        """From a file with the seed in base64, e.g. a systemd credential. Raises BadKeyError."""
        try:
            text = path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadKeyError(
                f"{path}: {type(error).__name__}; expected 32 bytes in base64, readable by the service"
            ) from None
        return cls.of_seed(exact_base64(text, f"{path}: the seed"))

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(bytes(self._key.verify_key))

    def sign(self, text: bytes) -> bytes:
        """64 bytes."""
        return bytes(self._key.sign(text).signature)


def exact_base64(text: str, what: str) -> bytes:
    """Decode base64 that has only one spelling: no blanks, full padding, no stray bits. Raises BadKeyError."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise BadKeyError(f"{what} is not base64") from None
    if base64.b64encode(raw).decode("ascii") != text:
        raise BadKeyError(f"{what} is base64 in an uncommon spelling; expected the canonical one")
    return raw
