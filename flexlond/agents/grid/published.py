"""Catalogues that are published unasked, taken into what their reader knows.

Law: a catalogue is its publisher's own, or it is refused; it takes the place of the one with its id (FULL), or
of those of its offers that it names (MERGE), as its directive says. One that was written before the one that
is here is stale, whatever way it took: nothing changes by it. What cannot be understood is left out and said,
with the rest taken. At most MOST catalogues of a seller are kept in mind. Nothing is durable: after a restart
sellers are asked. Epoch seconds. Source: CatalogPublishAction of Beckn 2.0.0 LTS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from msgspec import UnsetType

from flexlond.beckn.wire.acks import error_of
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flexlond.beckn.wire.core import Catalog
    from flexlond.beckn.wire.messages import Message

MOST = 16


class Shown(Protocol):
    """What a catalogue shows: an offer, or a need."""

    @property
    def seller(self) -> str:
        """Whose catalogue it is."""
        ...

    @property
    def catalog(self) -> str:
        """The id of the catalogue."""
        ...

    @property
    def key(self) -> tuple[str, str]:
        """What names it."""
        ...


T = TypeVar("T", bound=Shown)


@dataclass(frozen=True, slots=True)
class Taken(Generic[T]):
    """The listings after it, the answer, and whether anything of it was taken."""

    listings: dict[tuple[str, str], T]
    results: list[dict[str, Any]]
    heard: bool


@dataclass(slots=True)
class Shelf(Generic[T]):
    """When each catalogue was written, by seller and id; and the last answer to a discover, by seller.

    `read` finds what a catalogue shows.
    """

    read: Callable[[Catalog, str, float], tuple[list[T], list[str]]]
    written: dict[tuple[str, str], float] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)

    def take(
        self, message: Message, seller: str, known: Mapping[tuple[str, str], T], now: float
    ) -> Taken[T]:
        """Take what can be taken of a catalog/publish."""
        listings, results, heard = dict(known), [], False
        merged = _merged(message)
        for catalog in message.body.catalogs:
            try:
                self._check(catalog, seller, message.envelope.timestamp)
            except Refusal as refusal:
                results.append(_result(catalog.id, "REJECTED", [refusal]))
                continue
            found, skipped = self.read(catalog, seller, now)
            if catalog.id not in merged or catalog.is_active is False:
                listings = {
                    key: one
                    for key, one in listings.items()
                    if (one.seller, one.catalog) != (seller, catalog.id)
                }
            listings |= {one.key: one for one in found}
            why = [Refusal(Code.SCH_ATTRIBUTE_PACK_INVALID, text[:300]) for text in skipped]
            status = "ACCEPTED" if not why else "PARTIAL" if found else "REJECTED"
            results.append(_result(catalog.id, status, why))
            heard = True
        return Taken(listings, results, heard)

    def _check(self, catalog: Catalog, seller: str, written: float) -> None:
        """Raises Refusal where it is not to be taken."""
        named = "" if isinstance(catalog.bpp_id, UnsetType) else catalog.bpp_id
        if (named or seller) != seller:
            raise Refusal(
                Code.CTX_INVALID_FIELD, f"the catalogue of {named[:80]!r}; expected {seller!r}"
            )
        key = (seller, catalog.id)
        if written < max(self.written.get(key, written), self.answered.get(seller, written)):
            raise Refusal(Code.NET_CATALOG_STALE, "a later one is here already")
        if key not in self.written and sum(one == seller for one, _ in self.written) >= MOST:
            raise Refusal(Code.POL_NP_CAPACITY_EXCEEDED, f"{MOST} catalogues of a seller at most")
        self.written[key] = written


def _merged(message: Message) -> set[str]:
    """Ids of the catalogues whose other offers stay."""
    directives = message.body.publish_directives
    if isinstance(directives, UnsetType):
        directives = []
    full = {one.catalog_id for one in directives if one.update_mode == "FULL"}
    return {catalog.id for catalog in message.body.catalogs} - full


def _result(catalog_id: str, status: str, why: list[Refusal]) -> dict[str, Any]:
    made: dict[str, Any] = {"catalogId": catalog_id, "status": status}
    return {**made, "errors": [error_of(one) for one in why]} if why else made
