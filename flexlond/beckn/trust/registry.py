"""Who is who: the port to a registry, and the trust file that is one.

Law: a key id names at most one participant with one role, one key and one address; callbacks go to that
address and to no other. A participant that is not in the registry, is revoked, or whose key has run out is
not believed. Nothing a sender says changes what is found here. Moments are epoch seconds. Source: our own
trust file (TOML); the record's fields are those of DeDi.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Annotated, Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from flexlond.beckn.trust.keys import BadKeyError, PublicKey
from flexlond.beckn.wire.actions import Role  # noqa: TC001 - as above
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One participant as the registry knows it; `key_until` 0: no end."""

    id: str
    role: Role
    key_id: str
    key: PublicKey
    url: str  # where messages for it go; the action's path is appended
    revoked: bool = False
    key_from: float = 0.0
    key_until: float = 0.0
    networks: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """Host and port of its address, lower case."""
        return host_of(self.url)


class Registry(Protocol):
    """Finds participants. May be slow (a network); a cache is its own affair."""

    async def find(self, subscriber: str, key_id: str, now: float) -> Subscriber:
        """By subscriber and key, or by a record path alone (subscriber empty).

        Raises Refusal: AUT_SUBSCRIBER_NOT_FOUND, AUT_KEY_NOT_FOUND, NET_DOWNSTREAM_UNAVAILABLE.
        """
        ...


def check(subscriber: Subscriber, now: float, networks: frozenset[str] = frozenset()) -> None:
    """Raises Refusal where the participant must not be believed now, or is of no network of ours."""
    if subscriber.revoked:
        raise Refusal(
            Code.AUT_KEY_EXPIRED_OR_REVOKED, f"{subscriber.id} is revoked in the registry"
        )
    if now < subscriber.key_from or (subscriber.key_until and now > subscriber.key_until):
        raise Refusal(
            Code.AUT_KEY_EXPIRED_OR_REVOKED,
            f"the key {subscriber.key_id} of {subscriber.id} is not valid now; register a new one",
        )
    if networks and not networks.intersection(subscriber.networks):
        raise Refusal(
            Code.AUT_DOMAIN_NOT_ALLOWED, f"{subscriber.id} is a member of no network of ours"
        )


class TrustFileError(Exception):
    """The trust file cannot be used; the text says where and what is expected."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[str, Meta(min_length=1, max_length=256)]
    role: Role
    key_id: Annotated[str, Meta(min_length=1, max_length=256)]
    public_key: str
    url: str
    revoked: bool = False
    valid_from: Annotated[datetime, Meta(tz=True)] | None = None
    valid_until: Annotated[datetime, Meta(tz=True)] | None = None
    networks: list[str] = []
    record: str = ""  # namespace/registry/record, where key ids of that form are used


class _File(msgspec.Struct, forbid_unknown_fields=True):
    participant: list[_Entry] = []


class TrustFile:
    """A registry in one TOML file: `[[participant]]` tables. Read once; a reload makes a new one."""

    def __init__(self, path: Path) -> None:
        """Read `path`. Raises TrustFileError."""
        try:
            read = msgspec.toml.decode(path.read_bytes(), type=_File)
        except OSError as error:
            raise TrustFileError(f"{path}: {error.strerror}; name a readable file") from None
        except msgspec.DecodeError as error:
            raise TrustFileError(f"{path}: {error}") from None
        self._found: dict[tuple[str, str], Subscriber] = {}
        self._ids: set[str] = set()
        self.all: tuple[Subscriber, ...] = ()  # every key, in the order of the file
        for at, entry in enumerate(read.participant, 1):
            where = f"{path}: participant#{at} ({entry.id})"
            made = _subscriber(entry, where)
            for key in ((entry.id, entry.key_id), ("", entry.record)):
                if key in self._found:
                    raise TrustFileError(f"{where}: {key[1]} stands twice; name each key once")
                if key[1]:
                    self._found[key] = made
            self._ids.add(entry.id)
            self.all = (*self.all, made)

    async def find(self, subscriber: str, key_id: str, now: float) -> Subscriber:  # noqa: ARG002 - the port's
        """Look into the file."""
        found = self._found.get((subscriber, key_id))
        if found is not None:
            return found
        if subscriber in self._ids:
            raise Refusal(Code.AUT_KEY_NOT_FOUND, f"{subscriber} has no key {key_id[:80]!r}")
        raise Refusal(
            Code.AUT_SUBSCRIBER_NOT_FOUND, f"{(subscriber or key_id)[:80]!r} is not registered"
        )


def host_of(url: str) -> str:
    """Host and port of an address, lower case; empty where it is none."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def check_url(url: str) -> str:
    """The address without a slash at its end. Raises ValueError where it is none of http or https."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url[:120]!r} is no address; expected like https://host/path")
    if parts.username or parts.password:
        raise ValueError("an address with a user name or password; expected none")
    return url.rstrip("/")


def _subscriber(entry: _Entry, where: str) -> Subscriber:
    try:
        key = PublicKey.of_text(entry.public_key)
        url = check_url(entry.url)
    except (BadKeyError, ValueError) as fault:
        raise TrustFileError(f"{where}: {fault}") from None
    return Subscriber(
        id=entry.id,
        role=entry.role,
        key_id=entry.key_id,
        key=key,
        url=url,
        revoked=entry.revoked,
        key_from=entry.valid_from.timestamp() if entry.valid_from else 0.0,
        key_until=entry.valid_until.timestamp() if entry.valid_until else 0.0,
        networks=tuple(entry.networks),
    )
