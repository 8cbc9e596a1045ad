"""What sellers' catalogues offer, and the same as arrays on the slots of a need.

Law: pure. One listing is one offer with its resource's kW and prices by slot and the terms that its pack names;
what cannot be understood is left out with a reason, never guessed. Only slots of the need's own length and
place count. An offer whose notice or validity has run out for a slot is not on offer there; the notice of a
catalogue is the longest of its slots, so a slot that stands in it inside that notice is on offer still. kW,
GBP per kWh, seconds, epoch seconds. Source: the ComputeFlexOffer pack; CAPACITY_OFFERED and OFFER_PRICE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import UnsetType

from flexlond.beckn.wire import packs, series
from flexlond.beckn.wire.codes import Refusal
from flexlond.beckn.wire.durations import seconds_of
from flexlond.planning.market_offers import Offers
from flexlond.planning.market_rank import avoided_kg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.agents.grid.needs import Wanted
    from flexlond.beckn.wire.core import Catalog, Offer, Resource
    from flexlond.beckn.wire.messages import Message

FOREVER = 10**12


@dataclass(frozen=True, slots=True)
class Listing:
    """One offer of one seller."""

    seller: str
    resource: str
    offer: str
    name: str
    slot_seconds: int
    kw: dict[int, float]  # by the slot's start
    price: dict[int, float]
    notice: float
    shortest: float
    longest: float
    rebound: float  # within which the energy is drawn after all; 0: never
    certainty: float
    until: float  # the last moment to order
    received: float
    catalog: str = ""  # the id of the catalogue that it stands in

    @property
    def key(self) -> tuple[str, str]:
        """What names it."""
        return self.seller, self.offer


def read_catalogues(message: Message, seller: str, now: float) -> tuple[list[Listing], list[str]]:
    """The listings of an on_discover or a catalog/publish, and why others are left out."""
    found: list[Listing] = []
    skipped: list[str] = []
    for catalog in message.body.catalogs:
        listed, why = read_catalogue(catalog, seller, now)
        found += listed
        skipped += [f"{seller}: {one}" for one in why]
    return found, skipped


def read_catalogue(catalog: Catalog, seller: str, now: float) -> tuple[list[Listing], list[str]]:
    """The listings of one catalogue, and why other offers of it are left out."""
    found: list[Listing] = []
    skipped: list[str] = []
    if catalog.is_active is False:
        return found, skipped
    resources = (
        {} if isinstance(catalog.resources, UnsetType) else {r.id: r for r in catalog.resources}
    )
    for offer in () if isinstance(catalog.offers, UnsetType) else catalog.offers:
        try:
            found += _listings(catalog, offer, resources, seller, now)
        except Refusal as refusal:
            skipped.append(f"offer {offer.id[:60]}: {refusal}")
    return found, skipped


def _listings(
    catalog: Catalog, offer: Offer, resources: dict[str, Resource], seller: str, now: float
) -> list[Listing]:
    terms = _terms(offer)
    made = []
    for resource_id in () if isinstance(offer.resource_ids, UnsetType) else offer.resource_ids:
        resource = resources.get(resource_id)
        bag: Any = resource.resource_attributes if resource is not None else None
        if not isinstance(bag, dict) or bag.get("@type") != "TimeSeries":
            continue
        path = f"resource {resource_id[:60]}"
        table = packs.read(bag, path)
        spans = series.grid_of(table, path)
        lengths = {round(end - start) for start, end in spans}
        if len(lengths) != 1:
            continue
        starts = [round(start) for start, _ in spans]
        kw = series.column(table, series.CAPACITY_OFFERED, path)
        price = series.column(table, series.OFFER_PRICE, path)
        until = end_of(offer, catalog)
        made.append(
            Listing(
                seller=seller,
                resource=resource_id,
                offer=offer.id,
                name=name_of(catalog, offer),
                slot_seconds=lengths.pop(),
                kw=dict(zip(starts, kw, strict=True)),
                price=dict(zip(starts, price, strict=True)),
                notice=terms[0],
                shortest=terms[1],
                longest=terms[2],
                rebound=terms[3],
                certainty=terms[4],
                until=until,
                received=now,
                catalog=catalog.id,
            )
        )
    return made


def _terms(offer: Offer) -> tuple[float, float, float, float, float]:
    """(notice, shortest, longest, rebound, certainty) of the pack; none asked where there is no pack."""
    bag: Any = offer.offer_attributes
    pack = packs.read(bag, f"offer {offer.id[:60]}") if isinstance(bag, dict) else None
    if not isinstance(pack, packs.ComputeFlexOffer):
        return 0.0, 0.0, float(FOREVER), 0.0, 1.0
    durations = (pack.notice_period, pack.min_activation, pack.max_activation, pack.rebound_window)
    notice, shortest, longest, rebound = (seconds_of(text, "offer") for text in durations)
    certainty = 1.0 if isinstance(pack.certainty, UnsetType) else pack.certainty
    return notice, shortest, longest, rebound, certainty


def end_of(offer: Offer, catalog: Catalog) -> float:
    """The last moment to take an offer up."""
    for period in (offer.validity, catalog.validity):
        if not isinstance(period, UnsetType) and not isinstance(period.end_date, UnsetType):
            return period.end_date.timestamp()
    return float(FOREVER)


def name_of(catalog: Catalog, offer: Offer) -> str:
    """What it is called, for people."""
    for described in (offer.descriptor, catalog.provider.descriptor):
        if not isinstance(described, UnsetType) and isinstance(described.name, str):
            return described.name[:80]
    return offer.id[:80]


def on_slots(
    wanted: Wanted,
    listings: Sequence[Listing],
    now: float,
    lead: float,
    carbon: NDArray[np.float64],
) -> Offers:
    """The listings on the slots of a need, row k for listing k.

    `lead`: seconds that an order takes; `carbon` (T,) g per kWh from the need's first slot on, NaN unknown.
    """
    starts = np.array(wanted.starts())
    seconds = wanted.slot_seconds
    shape = (len(listings), len(starts))
    kw, price = np.zeros(shape), np.zeros(shape)
    for row, one in enumerate(listings):
        if one.slot_seconds != seconds or now + lead > one.until:
            continue
        amounts = np.array([one.kw.get(int(at), 0.0) for at in starts])
        # A slot that was listed inside the notice is on offer all the same: its own notice is shorter.
        inside = starts < one.received + one.notice
        soonest = np.where(inside, now + lead, now + lead + one.notice)
        kw[row] = np.where(starts >= soonest, np.maximum(amounts, 0.0), 0.0)
        price[row] = [one.price.get(int(at), 0.0) for at in starts]
    names = {
        key: number for number, key in enumerate({(one.seller, one.resource) for one in listings})
    }
    caught_up = np.array([round(one.rebound / seconds) for one in listings], np.int64)
    return Offers(
        kw=kw,
        price=price,
        avoided=avoided_kg(carbon, caught_up, len(starts)),
        certainty=np.array([one.certainty for one in listings]),
        shortest=np.array([max(1, -int(-one.shortest // seconds)) for one in listings], np.int64),
        longest=np.array([int(min(one.longest // seconds, FOREVER)) for one in listings], np.int64),
        group=np.array([names[one.seller, one.resource] for one in listings], np.int64),
    )
