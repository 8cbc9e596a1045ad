"""The registries of one participant: its trust file first, then, where there is one, a registry over a network.

Law: what the trust file has of a participant counts, also that a key of it is not there: a registry is asked
for strangers only, so that nobody can register a second key for one whom the site named itself. `use`
exchanges both at once; who is looked up after it is looked up in the new ones. Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.beckn.trust.registry import Registry, Subscriber, TrustFile
    from flexlond.beckn.wire.actions import Role


class Sources:
    """A registry made of two."""

    def __init__(self, file: TrustFile | None, beyond: Registry | None) -> None:
        self._file, self._beyond = file, beyond

    def use(self, file: TrustFile | None) -> None:
        """Another trust file from now on."""
        self._file = file

    def named(self, role: Role, now: float) -> Sequence[Subscriber]:
        """Those of the trust file in a role whose key is valid now, one key of each: the first."""
        found: dict[str, Subscriber] = {}
        for one in self._file.all if self._file else ():
            valid = one.key_from <= now and (not one.key_until or now <= one.key_until)
            if one.role is role and valid and not one.revoked:
                found.setdefault(one.id, one)
        return tuple(found.values())

    async def find(self, subscriber: str, key_id: str, now: float) -> Subscriber:
        """By the trust file, else beyond it."""
        if self._file is not None:
            try:
                return await self._file.find(subscriber, key_id, now)
            except Refusal as refusal:
                if refusal.code is not Code.AUT_SUBSCRIBER_NOT_FOUND or self._beyond is None:
                    raise
        if self._beyond is None:
            raise Refusal(
                Code.AUT_SUBSCRIBER_NOT_FOUND, f"{(subscriber or key_id)[:80]!r} is not registered"
            )
        return await self._beyond.find(subscriber, key_id, now)
