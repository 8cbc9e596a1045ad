"""The nouns of the core protocol: context, descriptor, resource, offer, catalog, contract and their parts.

Law: says which fields exist, which are required, and which objects admit others. A field that is absent is
UNSET, never null. Attribute bags (`*Attributes`) stay plain objects here; `packs` judges them. Identifiers of
transaction and message are UUIDs; a contract's id is any text (deployed peers send such). Moments are
RFC 3339 with an offset. Source: own model of the facts of Beckn 2.0.0 LTS (2026-05-27); no upstream text.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

VERSION = "2.0.0"

Moment = Annotated[datetime, Meta(tz=True)]
Uri = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$", max_length=2048)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Digest = Annotated[str, Meta(pattern=r"^BLAKE-512=[A-Za-z0-9+/]+={0,2}$", max_length=128)]
Clock = Annotated[str, Meta(pattern=r"^\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$")]
Bag = dict[str, Any]  # an attribute pack, judged by `packs`

OptText = str | UnsetType
OptName = Name | UnsetType
OptUri = Uri | UnsetType
OptBag = Bag | UnsetType
OptMoment = Moment | UnsetType


class Open(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An object that may carry fields we do not know; they are passed over."""


class Closed(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """An object that may carry only the fields named."""


class RequestDigest(Open, frozen=True):
    """Binds a message to another one's bytes."""

    digest: Digest


class Context(Open, frozen=True):
    """Who says what to whom, in which transaction. All optional here: `context.check` has the rules."""

    action: OptText = UNSET
    version: OptText = UNSET
    bap_id: OptName = UNSET
    bap_uri: OptUri = UNSET
    bpp_id: OptName = UNSET
    bpp_uri: OptUri = UNSET
    sender_id: OptName = UNSET
    receiver_id: OptName = UNSET
    transaction_id: Uuid | UnsetType = UNSET
    message_id: Uuid | UnsetType = UNSET
    network_id: OptName = UNSET
    timestamp: OptMoment = UNSET
    ttl: OptText = UNSET
    key: OptText = UNSET
    try_: bool | UnsetType = msgspec.field(name="try", default=UNSET)
    schema_context: list[Uri] | UnsetType = UNSET
    request_digest: RequestDigest | UnsetType = UNSET


class Document(Closed, frozen=True):
    """A linked document."""

    label: str
    url: Uri
    mime_type: str
    standard: OptText = UNSET
    security: dict[str, Any] | UnsetType = UNSET


class MediaFile(Closed, frozen=True):
    """A linked picture or the like."""

    label: OptText = UNSET
    mime_type: OptText = UNSET
    uri: OptUri = UNSET


class Descriptor(Closed, frozen=True):
    """Code, name and words for people."""

    code: OptText = UNSET
    name: OptText = UNSET
    short_desc: OptText = UNSET
    long_desc: OptText = UNSET
    thumbnail_image: OptUri = UNSET
    docs: list[Document] | UnsetType = UNSET
    media_file: list[MediaFile] | UnsetType = UNSET


class Geometry(Open, frozen=True):
    """GeoJSON; coordinates are longitude, latitude in degrees."""

    type: Literal[
        "Point",
        "LineString",
        "Polygon",
        "MultiPoint",
        "MultiLineString",
        "MultiPolygon",
        "GeometryCollection",
    ]
    coordinates: list[Any] | UnsetType = UNSET
    geometries: list[Geometry] | UnsetType = UNSET
    bbox: Annotated[list[float], Meta(min_length=4, max_length=4)] | UnsetType = UNSET


class Address(Closed, frozen=True):
    """A postal address."""

    street_address: OptText = UNSET
    extended_address: OptText = UNSET
    address_locality: OptText = UNSET
    address_region: OptText = UNSET
    postal_code: OptText = UNSET
    address_country: OptText = UNSET


class Location(Closed, frozen=True):
    """A place."""

    geo: Geometry
    address: Address | UnsetType = UNSET


class TimePeriod(Closed, frozen=True):
    """A span: by dates, or by times of day. `messages` checks that one of them is there."""

    start_date: OptMoment = UNSET
    end_date: OptMoment = UNSET
    start_time: Clock | UnsetType = UNSET
    end_time: Clock | UnsetType = UNSET


class Provider(Closed, frozen=True):
    """Who offers."""

    id: str
    descriptor: Descriptor
    available_at: list[Location] | UnsetType = UNSET
    provider_attributes: OptBag = UNSET


class Resource(Open, frozen=True):
    """What is offered. `quantity` is required within a commitment, `messages` checks that."""

    id: str
    descriptor: Descriptor | UnsetType = UNSET
    resource_attributes: OptBag = UNSET
    quantity: dict[str, Any] | UnsetType = UNSET


class Consideration(Open, frozen=True):
    """What is given in return."""

    id: str
    status: Descriptor | UnsetType = UNSET
    consideration_attributes: OptBag = UNSET


class Offer(Open, frozen=True):
    """On which terms. `resource_ids` is required within a commitment."""

    id: str
    descriptor: Descriptor | UnsetType = UNSET
    provider: Provider | UnsetType = UNSET
    resource_ids: list[str] | UnsetType = UNSET
    add_ons: list[dict[str, Any]] | UnsetType = UNSET
    considerations: list[Consideration] | UnsetType = UNSET
    validity: TimePeriod | UnsetType = UNSET
    offer_attributes: OptBag = UNSET


class Catalog(Closed, frozen=True):
    """Resources and offers of one provider; at least one of the two."""

    id: str
    descriptor: Descriptor
    provider: Provider
    bpp_id: OptName = UNSET
    bpp_uri: OptUri = UNSET
    is_active: bool | UnsetType = UNSET
    validity: TimePeriod | UnsetType = UNSET
    resources: list[Resource] | UnsetType = UNSET
    offers: list[Offer] | UnsetType = UNSET


class CommitmentCode(Closed, frozen=True):
    """The descriptor of a commitment's status."""

    code: Literal["DRAFT", "ACTIVE", "CLOSED"] | UnsetType = UNSET
    name: OptText = UNSET
    short_desc: OptText = UNSET
    long_desc: OptText = UNSET


class CommitmentStatus(Open, frozen=True):
    """A commitment's status."""

    descriptor: CommitmentCode | UnsetType = UNSET


class Commitment(Open, frozen=True):
    """One offer taken up, with its resources."""

    status: CommitmentStatus
    resources: list[Resource]
    offer: Offer
    id: OptText = UNSET
    commitment_attributes: OptBag = UNSET


class Participant(Open, frozen=True):
    """A party to the contract."""

    id: OptText = UNSET
    descriptor: Descriptor | UnsetType = UNSET
    participant_attributes: OptBag = UNSET


class Performance(Closed, frozen=True):
    """What was done, as measured."""

    id: OptText = UNSET
    status: Descriptor | UnsetType = UNSET
    commitment_ids: list[str] | UnsetType = UNSET
    performance_attributes: OptBag = UNSET


class Settlement(Open, frozen=True):
    """How far a consideration has been paid."""

    id: OptText = UNSET
    consideration_id: OptText = UNSET
    status: Literal["DRAFT", "COMMITTED", "COMPLETE"] | UnsetType = UNSET
    settlement_attributes: OptBag = UNSET


class ContractStatus(Closed, frozen=True):
    """The descriptor of a contract's status."""

    code: Literal["DRAFT", "ACTIVE", "CANCELLED", "COMPLETE"] | UnsetType = UNSET
    name: OptText = UNSET
    short_desc: OptText = UNSET
    long_desc: OptText = UNSET


class Contract(Closed, frozen=True):
    """What both sides agree on."""

    commitments: Annotated[list[Commitment], Meta(min_length=1)]
    id: OptText = UNSET
    descriptor: Descriptor | UnsetType = UNSET
    status: ContractStatus | UnsetType = UNSET
    consideration: list[Consideration] | UnsetType = UNSET
    participants: list[Participant] | UnsetType = UNSET
    performance: list[Performance] | UnsetType = UNSET
    settlements: list[Settlement] | UnsetType = UNSET
    contract_attributes: OptBag = UNSET
