"""Needs that grids publish, read: kW, incentive and penalty by slot, and what a bid must repeat of them.

Law: pure. What cannot be understood is left out with a reason, never guessed; what is understood and cannot be
bid into (no price, another currency) is kept with its reason. A negative incentive pays for more power. kW; per
kWh in the currency named; epoch seconds. Source: DemandFlexNeed and DemandFlexBuyOffer of DEG's demand-flex
packs (August 2026).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType

from flexlond.agents.grid.listings import end_of, name_of
from flexlond.beckn.wire import packs, series
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.beckn.wire.core import Catalog, Offer, Resource

CURRENCY = "GBP"
_PER_KWH = "_PER_KWH"


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """One need under one offer."""

    seller: (
        str  # the participant whose catalogue it is: the grid. It sells nothing; the shelf's word
    )
    catalog: str
    resource: str
    offer: str
    name: str
    slot_seconds: int
    kw: Mapping[int, float]  # that are wanted, by the slot's start; every slot of the need
    price: Mapping[int, float]  # empty: none is named
    penalty: Mapping[int, float]
    currency: str
    until: float  # the last moment to bid
    written: float  # by the grid's clock: what was won before then is not in its kW
    need: Mapping[str, Any]  # the attributes as published
    terms: Mapping[str, Any]
    why_not: str = ""  # why no bid into it is possible

    @property
    def key(self) -> tuple[str, str]:
        """What names it."""
        return self.seller, f"{self.offer}|{self.resource}"

    @property
    def start(self) -> int:
        """Its first second."""
        return min(self.kw)


def read_catalogue(
    catalog: Catalog, grid: str, written: float
) -> tuple[list[Published], list[str]]:
    """The needs of one catalogue, and why others are left out."""
    found: list[Published] = []
    skipped: list[str] = []
    if catalog.is_active is False:
        return found, skipped
    listed = () if isinstance(catalog.resources, UnsetType) else catalog.resources
    resources = {one.id: one for one in listed}
    for offer in () if isinstance(catalog.offers, UnsetType) else catalog.offers:
        for name in () if isinstance(offer.resource_ids, UnsetType) else offer.resource_ids:
            try:
                made = _need(catalog, offer, resources.get(name), grid, written)
            except Refusal as refusal:
                skipped.append(f"offer {offer.id[:60]}: {refusal}")
                continue
            found += [made] if made is not None else []
    return found, skipped


def _need(
    catalog: Catalog, offer: Offer, resource: Resource | None, grid: str, written: float
) -> Published | None:
    bag: Any = resource.resource_attributes if resource is not None else None
    terms: Any = offer.offer_attributes
    if resource is None or not isinstance(bag, dict) or bag.get("@type") != "DemandFlexNeed":
        return None
    path = f"resource {resource.id[:60]}"
    table = packs.read(bag, path)
    pack = packs.read(terms, f"offer {offer.id[:60]}") if isinstance(terms, dict) else None
    if not isinstance(pack, packs.DemandFlexBuyOffer):
        raise Refusal(Code.SCH_ATTRIBUTE_PACK_INVALID, "no DemandFlexBuyOffer", path)
    spans = series.grid_of(table, path)
    lengths = {round(end - start) for start, end in spans}
    if len(lengths) != 1:
        raise Refusal(Code.SCH_ATTRIBUTE_PACK_INVALID, "slots of several lengths", path)
    starts = [round(start) for start, _ in spans]
    asked = series.column(table, series.CAPACITY_REQUESTED, path)
    units = {one.payload_type: one.units for one in table.payload_descriptors}
    if units.get(series.CAPACITY_REQUESTED, "KW") != "KW":
        raise Refusal(Code.SCH_ATTRIBUTE_PACK_INVALID, "the kW wanted are not in KW", path)
    columns = {one.type for row in table.intervals for one in row.payloads}
    price, penalty, why = {}, dict.fromkeys(starts, _flat_penalty(pack)), ""
    if series.PRICE in columns:
        price = dict(zip(starts, series.column(table, series.PRICE, path), strict=True))
    else:
        why = "it names no PRICE by slot: what is paid is found after the bids (pay-as-clear)"
    if series.SHORTFALL_PENALTY in columns:
        told = series.column(table, series.SHORTFALL_PENALTY, path)
        penalty = dict(zip(starts, told, strict=True))
    currency = _currency(units.get(series.PRICE), pack)
    if not why and currency != CURRENCY:
        why = f"it pays in {currency or 'no currency that is named'}; expected {CURRENCY}"
    return Published(
        seller=grid,
        catalog=catalog.id,
        resource=resource.id,
        offer=offer.id,
        name=name_of(catalog, offer),
        slot_seconds=lengths.pop(),
        kw=dict(zip(starts, asked, strict=True)),
        price=price,
        penalty=penalty,
        currency=currency,
        until=end_of(offer, catalog),
        written=written,
        need=bag,
        terms=terms,
        why_not=why,
    )


def _currency(units: Any, pack: packs.DemandFlexBuyOffer) -> str:
    """That of the price's unit, else that of the buyer's inputs."""
    if isinstance(units, str) and units.endswith(_PER_KWH):
        return units.removesuffix(_PER_KWH)
    named = (_inputs(one).currency for one in pack.inputs if one.role == "buyer")
    return next((one for one in named if isinstance(one, str)), "")


def _flat_penalty(pack: packs.DemandFlexBuyOffer) -> float:
    """The penalty of a buyer who names one for all slots."""
    rates = (
        one.inputs.penalty_rate
        for one in pack.inputs
        if one.role == "buyer" and not isinstance(one.inputs, UnsetType)
    )
    return next((rate for rate in rates if not isinstance(rate, UnsetType)), 0.0)


def _inputs(one: packs.RoleInput) -> packs.RoleInputs:
    return packs.RoleInputs(currency=UNSET) if isinstance(one.inputs, UnsetType) else one.inputs
