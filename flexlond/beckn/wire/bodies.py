"""The `message` of every action that we speak.

Law: one struct per action, and what an enumeration cannot say (`rules` in `messages`). Source: own model of
the facts of Beckn 2.0.0 LTS (2026-05-27); `contract` has an id wherever an order exists already.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from flexlond.beckn.wire.core import (
    Bag,
    Catalog,
    Closed,
    Contract,
    Descriptor,
    Geometry,
    Moment,
    Open,
    OptBag,
    OptText,
    OptUri,
    Uri,
    Uuid,
)


class Filters(Open, frozen=True):
    """A filter expression over catalogs."""

    type: Literal["jsonpath"]
    expression: Annotated[str, Meta(min_length=1, max_length=4096)]


class Spatial(Closed, frozen=True):
    """A condition on a place; distances in metres."""

    op: Literal[
        "S_WITHIN",
        "S_CONTAINS",
        "S_INTERSECTS",
        "S_DISJOINT",
        "S_OVERLAPS",
        "S_CROSSES",
        "S_TOUCHES",
        "S_EQUALS",
        "S_DWITHIN",
    ]
    targets: str | list[str]
    geometry: Geometry | UnsetType = UNSET
    distance_meters: Annotated[float, Meta(ge=0)] | UnsetType = UNSET
    quantifier: Literal["ANY", "ALL", "NONE"] | UnsetType = UNSET
    srid: OptText = UNSET


class MediaInput(Closed, frozen=True):
    """A picture or sound to search by; moments in milliseconds of it."""

    type: Literal["image", "audio", "video"]
    url: Uri
    id: OptText = UNSET
    content_type: OptText = UNSET
    text_hint: OptText = UNSET
    language: OptText = UNSET
    start_ms: int | UnsetType = UNSET
    end_ms: int | UnsetType = UNSET


class MediaSearchOptions(Closed, frozen=True, rename=None):
    """How to search by it."""

    goals: (
        list[
            Literal[
                "visual-similarity",
                "visual-object-detect",
                "text-from-image",
                "text-from-audio",
                "semantic-audio-match",
                "semantic-video-match",
            ]
        ]
        | UnsetType
    ) = UNSET
    augment_text_search: bool | UnsetType = UNSET
    restrict_results_to_media_proximity: bool | UnsetType = UNSET


class MediaSearch(Closed, frozen=True):
    """A search by pictures or sounds; read, and answered as if it were not there."""

    media: list[MediaInput] | UnsetType = UNSET
    options: MediaSearchOptions | UnsetType = UNSET


class Intent(Closed, frozen=True):
    """What is sought."""

    text_search: OptText = UNSET
    filters: Filters | UnsetType = UNSET
    spatial: list[Spatial] | UnsetType = UNSET
    media_search: MediaSearch | UnsetType = UNSET


class Discover(Closed, frozen=True):
    """discover."""

    intent: Intent


class OnDiscover(Closed, frozen=True):
    """on_discover."""

    catalogs: list[Catalog]


class PublishDirective(Open, frozen=True):
    """How a catalog is to be taken up."""

    catalog_id: str
    catalog_type: Literal["MASTER", "REGULAR"]
    update_mode: Literal["FULL", "MERGE"] | UnsetType = UNSET
    visible_to: list[str] | UnsetType = UNSET
    resource_directives: list[dict[str, Any]] | UnsetType = UNSET


class CatalogPublish(Open, frozen=True):
    """catalog/publish."""

    catalogs: Annotated[list[Catalog], Meta(min_length=1)]
    publish_directives: list[PublishDirective] | UnsetType = UNSET


class ErrorDetails(Open, frozen=True):
    """Where, and the cause behind it."""

    path: OptText = UNSET
    cause: dict[str, Any] | UnsetType = UNSET


class WireError(Closed, frozen=True):
    """An error as it stands on the wire; a stranger's code may be any text."""

    code: str
    message: str
    details: ErrorDetails | UnsetType = UNSET


class CatalogResult(Open, frozen=True):
    """What became of one catalog."""

    catalog_id: str
    status: Literal["ACCEPTED", "REJECTED", "PARTIAL"]
    errors: list[WireError] | UnsetType = UNSET
    stats: dict[str, Any] | UnsetType = UNSET


class CatalogOnPublish(Open, frozen=True):
    """catalog/on_publish."""

    results: list[CatalogResult]


class WithContract(Closed, frozen=True):
    """select, init, on_select, on_init, on_confirm, on_update, on_cancel, on_status, update."""

    contract: Contract


class WithContractOpen(Open, frozen=True):
    """confirm, status, cancel: other fields are admitted."""

    contract: Contract


class Tracking(Open, frozen=True):
    """Where the progress can be followed."""

    url: Uri
    status: Literal["ACTIVE", "INACTIVE"]
    contract: Contract | UnsetType = UNSET
    tracking_attributes: OptBag = UNSET


class WithTracking(Closed, frozen=True):
    """track, on_track."""

    tracking: Tracking


class RatingTarget(Open, frozen=True):
    """What is rated."""

    id: OptText = UNSET
    descriptor: Descriptor | UnsetType = UNSET
    target_attributes: OptBag = UNSET


class RatingRange(Open, frozen=True):
    """The value and its scale."""

    min: float | UnsetType = UNSET
    max: float | UnsetType = UNSET
    value: float | UnsetType = UNSET


class FormSubmission(Closed, frozen=True):
    """A filled-in form."""

    data: dict[str, str]
    id: OptUri = UNSET
    submission_id: Uuid | UnsetType = UNSET
    submitted_at: Moment | UnsetType = UNSET


class RatingInput(Closed, frozen=True):
    """One rating."""

    target: RatingTarget
    range: RatingRange
    feedback_form_submission: FormSubmission | UnsetType = UNSET


class Rate(Closed, frozen=True):
    """rate."""

    rating_inputs: list[RatingInput]


class OnRate(Closed, frozen=True):
    """on_rate."""

    ratings: list[RatingInput]


class Support(Closed, frozen=True):
    """A question about an order, or the channels on which to ask it."""

    order_id: OptText = UNSET
    descriptor: Descriptor | UnsetType = UNSET
    channels: Annotated[list[Bag], Meta(min_length=1)] | UnsetType = UNSET


class WithSupport(Closed, frozen=True):
    """support, on_support."""

    support: Support
