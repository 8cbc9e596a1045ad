"""Beckn's HTTP signature: written in one way, read strictly, verified over the raw bytes.

Law: the signing string is (created), (expires), the digest of the body as it came over the wire, and for an
answer the signature it answers, line by line without a newline at the end. `expires` has no tolerance,
`created` may lie `skew` seconds ahead, and no signature lives longer than MAX_LIFETIME, which bounds what the
replay cache must remember. The signature does not cover path or audience: the context does, see
wire.context. Moments are epoch seconds. Source: NFH-004 and NFH-007 of Beckn 2.0.0 LTS; the contradictions
between its versions are the fields of `Switches`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.beckn.trust.keys import (
    SIGNATURE_BYTES,
    BadKeyError,
    PublicKey,
    SecretKey,
    exact_base64,
)
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

LABEL = "BLAKE-512"
OLD_LABEL = "BLAKE2b-512"
THREE = "(created) (expires) digest"
FOUR = f"{THREE} request-signature"
LIFETIME = 300  # of what we sign, seconds
MAX_LIFETIME = 3600  # of what we accept
MAX_HEADER = 1024

_PARAMETER = re.compile(r'([A-Za-z]+)="([^"]*)"')
_NAMES = frozenset({"keyId", "algorithm", "created", "expires", "headers", "signature"})


@dataclass(frozen=True, slots=True)
class Switches:
    """Where upstream contradicts itself: what is accepted besides what we send."""

    old_label: bool = True  # BLAKE2b-512= in the signing string, as the LTS of May has it in prose
    record_key_id: bool = True  # namespace/registry/record|ed25519, as the same text has it
    strict_binding: bool = True  # a solicited callback must bind to our request (four lines)
    skew: float = 30.0  # seconds; 5 in the LTS, 60 in the draft of July


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature header as read, nothing of it verified. `signature` is 64 raw bytes."""

    subscriber: str  # empty in the record form
    key: str  # the key's id, or the whole record path
    created: int
    expires: int
    chained: bool
    signature: bytes

    @property
    def signature_text(self) -> str:
        """Base64, as a chained answer quotes it."""
        return base64.b64encode(self.signature).decode("ascii")


@dataclass(frozen=True, slots=True)
class Signer:
    """One of our identities with its key."""

    subscriber: str
    key_id: str
    secret: SecretKey

    def header(self, body: bytes, now: float, answered: str = "", *, chained: bool = False) -> str:
        """The header over `body`; `answered` is the base64 signature of the request it answers.

        `chained`: it answers a request, also where that had no signature that can be quoted.
        """
        created, expires = int(now), int(now) + LIFETIME
        chained = chained or bool(answered)
        text = signing_string(created, expires, digest(body), answered, chained=chained)
        value = base64.b64encode(self.secret.sign(text)).decode("ascii")
        return (
            f'Signature keyId="{self.subscriber}|{self.key_id}|ed25519",algorithm="ed25519",'
            f'created="{created}",expires="{expires}",headers="{FOUR if chained else THREE}",'
            f'signature="{value}"'
        )


def digest(body: bytes, label: str = LABEL) -> str:
    """The digest of a body with its label, as it stands in the signing string."""
    raw = hashlib.blake2b(body, digest_size=64).digest()
    return f"{label}={base64.b64encode(raw).decode('ascii')}"


def signing_string(
    created: int, expires: int, body_digest: str, answered: str = "", *, chained: bool = False
) -> bytes:
    """Three lines, or four with the signature that is answered; empty where `chained` and there is none."""
    text = f"(created): {created}\n(expires): {expires}\ndigest: {body_digest}"
    if answered or chained:
        text = f"{text}\nrequest-signature: {answered}"
    return text.encode("ascii")


def read(header: str, switches: Switches) -> Claim:
    """Take a header apart. Raises Refusal (AUT_SIGNATURE_MISSING, AUT_SIGNATURE_INVALID)."""
    if not header:
        raise Refusal(
            Code.AUT_SIGNATURE_MISSING, "no Authorization header; expected a Beckn signature"
        )
    scheme, _, rest = header.strip().partition(" ")
    if scheme != "Signature" or len(header) > MAX_HEADER:
        raise _invalid("expected `Signature keyId=...` of at most 1024 characters")
    values: dict[str, str] = {}
    for part in rest.split(","):
        found = _PARAMETER.fullmatch(part.strip())
        if found is None or found[1] in values or found[1] not in _NAMES:
            raise _invalid(f"the parameter {part.strip()[:40]!r} is unknown, doubled or malformed")
        values[found[1]] = found[2]
    absent = sorted(_NAMES - values.keys())
    if absent:
        raise _invalid(f"without {', '.join(absent)}")
    if values["algorithm"] != "ed25519":
        raise _invalid(f"algorithm {values['algorithm'][:20]!r}; expected 'ed25519'")
    if values["headers"] not in {THREE, FOUR}:
        raise _invalid(f"headers {values['headers'][:60]!r}; expected {THREE!r} or {FOUR!r}")
    subscriber, key = _key_id(values["keyId"], switches)
    try:
        raw = exact_base64(values["signature"], "the signature")
    except BadKeyError as fault:
        raise _invalid(str(fault)) from None
    if len(raw) != SIGNATURE_BYTES:
        raise _invalid(f"the signature has {len(raw)} bytes; expected {SIGNATURE_BYTES}")
    return Claim(
        subscriber,
        key,
        _moment(values["created"], "created"),
        _moment(values["expires"], "expires"),
        values["headers"] == FOUR,
        raw,
    )


def check_window(claim: Claim, now: float, skew: float) -> None:
    """Raises Refusal (AUT_SIGNATURE_INVALID) for a signature of another time."""
    if now > claim.expires:
        raise _invalid(f"expired {now - claim.expires:.0f} s ago; sign again")
    if claim.created > now + skew:
        raise _invalid(f"created {claim.created - now:.0f} s in the future; check the clocks")
    if not 0 < claim.expires - claim.created <= MAX_LIFETIME:
        raise _invalid(f"expires must be 1 to {MAX_LIFETIME} s after created")


def verify(
    claim: Claim, body: bytes, key: PublicKey, switches: Switches, answered: Iterable[str] = ()
) -> None:
    """Raises Refusal (AUT_SIGNATURE_INVALID) unless `key` signed exactly these bytes.

    `answered` are the signatures (base64) of ours that a chained one may bind to.
    """
    bound = tuple(answered) if claim.chained else ("",)
    labels = (LABEL, OLD_LABEL) if switches.old_label else (LABEL,)
    for label in labels:
        body_digest = digest(body, label)
        for one in bound:
            text = signing_string(claim.created, claim.expires, body_digest, one)
            if (one or not claim.chained) and key.verifies(text, claim.signature):
                return
    if claim.chained and not bound:
        raise _invalid("it answers a request that we did not send, or no longer remember")
    raise _invalid("the signature does not fit the body as it arrived; sign the raw bytes")


def _key_id(text: str, switches: Switches) -> tuple[str, str]:
    parts = text.split("|")
    if parts[-1] != "ed25519" or not all(parts):
        raise _invalid(f"keyId {text[:80]!r}; expected 'subscriber|key|ed25519'")
    if len(parts) == 3:
        return parts[0], parts[1]
    if len(parts) == 2 and parts[0].count("/") == 2 and switches.record_key_id:
        return "", parts[0]
    raise _invalid(f"keyId {text[:80]!r}; expected 'subscriber|key|ed25519'")


def _moment(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise _invalid(f"{name} {text[:20]!r}; expected epoch seconds")
    return int(text)


def _invalid(text: str) -> Refusal:
    return Refusal(Code.AUT_SIGNATURE_INVALID, text)
