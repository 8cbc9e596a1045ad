"""Attribute packs: the energy market's words inside the protocol's open bags.

Law: a bag names its `@context` and its `@type`. A context outside the allow-list is refused and none is ever
fetched: the shapes are built in. A type that we model must have its shape; one that we do not model, from an
allowed context, is carried as it is. Power in kW, prices per kWh (a negative price pays for consumption),
money in the currency named. Source: own model of DEG's demand-flex packs (August 2026) and of our own
ComputeFlexOffer, whose JSON Schema is docs/reference/compute-flex-offer.schema.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.beckn.wire.core import Closed, Location, Name, Open, OptText, Uri
from flexlond.beckn.wire.durations import seconds_of
from flexlond.beckn.wire.series import Series, SeriesFields, check_grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ALLOWED_CONTEXTS = (
    "https://schema.nfh.global/",
    "https://schema.beckn.io/",
    "urn:flexlon:schema:",
)
OWN_CONTEXT = "urn:flexlon:schema:ComputeFlexOffer:v1"
CHECKPOINT_CONTEXT = (
    "urn:flexlon:schema:LedgerCheckpoint:v1"  # carried as it is: origin, size, root, at, note
)
MAX_BAGS = 20_000  # in one message

Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Kw = Annotated[float, Meta(ge=0.0)]


class DemandFlexNeed(Closed, SeriesFields, frozen=True):
    """What a buyer of flexibility needs, slot by slot."""

    location: Location | UnsetType = UNSET


class RoleOf(Closed, frozen=True):
    """Which participant has a role of the contract; null until it is bound."""

    role: Name
    participant_id: str | None


class PolicyOf(Closed, frozen=True):
    """The policy that settles the contract; never fetched by us."""

    url: Uri
    query_path: str


class Flow(Closed, frozen=True):
    """Money of one role: positive receives, negative pays."""

    role: Name
    value: float
    currency: Currency
    description: OptText = UNSET


class DegContract(Closed, frozen=True):
    """Roles and policy of an energy contract."""

    roles: list[RoleOf]
    policy: PolicyOf
    revenue_flows: list[Flow] | UnsetType = UNSET


class RevenueFlow(Closed, frozen=True):
    """What settlement computed; the sum is zero."""

    revenue_flows: Annotated[list[Flow], Meta(min_length=1)]


class MetersDigest(Closed, frozen=True):
    """Fixes a set of meters without listing them."""

    count: Annotated[int, Meta(ge=0)]
    sha256_of_sorted_ids: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]


class RoleInputs(Open, frozen=True):
    """Terms of one role that do not vary by slot."""

    currency: Currency | UnsetType = UNSET
    penalty_rate: float | UnsetType = UNSET  # per kWh, where it is the same in every slot
    baseline_methodology: dict[str, Any] | UnsetType = UNSET
    participating_meters: list[str] | UnsetType = UNSET
    participating_meters_ref: dict[str, Any] | UnsetType = UNSET
    participating_meters_digest: MetersDigest | UnsetType = UNSET
    energy_resources: list[dict[str, Any]] | UnsetType = UNSET
    report_descriptors: list[dict[str, Any]] | UnsetType | None = UNSET


class RoleInput(Open, frozen=True):
    """The inputs of one role."""

    role: Literal["buyer", "seller"]
    participant_id: str | None
    inputs: RoleInputs | UnsetType = UNSET


class DemandFlexBuyOffer(Open, frozen=True):
    """Terms of an offer to buy flexibility."""

    inputs: list[RoleInput]
    contract_attributes: dict[str, Any] | UnsetType = UNSET


class MeterData(Closed, frozen=True):
    """One meter's series."""

    meter_id: str
    telemetry: Series


class DemandFlexPerformance(Closed, frozen=True):
    """Baselines and use as metered."""

    event_id: OptText = UNSET
    methodology: OptText = UNSET
    meters: list[MeterData] | UnsetType = UNSET
    page_info: dict[str, Any] | UnsetType = UNSET
    meters_ref: dict[str, Any] | UnsetType = UNSET


class EnergyResource(Open, frozen=True):
    """An asset; `type` says of which kind, e.g. CONTROLLABLE_LOAD or BATTERY."""

    id: Name
    type: Name
    sub_resources: list[Any] | UnsetType = UNSET
    parent_resources: list[Any] | UnsetType = UNSET
    attributes: dict[str, Any] | UnsetType = UNSET


class ComputeFlexOffer(Closed, frozen=True):
    """What a compute site asks of those who buy its flexibility. Ours; durations are ISO 8601."""

    notice_period: str  # from the order to the first change of power
    min_activation: str
    max_activation: str
    max_deferral: str  # the longest that any work is put off
    rebound_window: str  # within it the work put off is done
    rated_kw: Kw
    floor_kw: Kw  # the site never goes below
    max_activations_per_day: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    ramp_down_kw_per_min: Kw | UnsetType = UNSET
    certainty: Annotated[float, Meta(ge=0.0, le=1.0)] | UnsetType = UNSET
    curtailment: (
        list[Literal["HOLD_PENDING", "REQUEUE_CHECKPOINTABLE", "SUSPEND", "POWER_CAP"]] | UnsetType
    ) = UNSET
    grid_zone: OptText = UNSET


PACKS: Mapping[str, type[Any]] = {
    "TimeSeries": Series,
    "DemandFlexNeed": DemandFlexNeed,
    "DemandFlexBuyOffer": DemandFlexBuyOffer,
    "DEGContract": DegContract,
    "DemandFlexPerformance": DemandFlexPerformance,
    "EnergyResource": EnergyResource,
    "RevenueFlow": RevenueFlow,
    "ComputeFlexOffer": ComputeFlexOffer,
}


def read(bag: Mapping[str, Any], path: str) -> Any:
    """The struct of a bag whose `@type` is in PACKS; None for another type.

    Raises Refusal (SCH_ATTRIBUTE_PACK_INVALID) with the path of what is wrong.
    """
    shape = PACKS.get(bag.get("@type", ""))
    if shape is None:
        return None
    plain = {key: value for key, value in bag.items() if key not in {"@context", "@type"}}
    try:
        made = msgspec.convert(plain, shape)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        raise Refusal(
            Code.SCH_ATTRIBUTE_PACK_INVALID,
            f"{bag['@type']}: {text}",
            path + where.removesuffix("`"),
        ) from None
    _check(made, path)
    return made


def check_all(
    message: Mapping[str, Any], allowed: Sequence[str] = ALLOWED_CONTEXTS, path: str = "$.message"
) -> None:
    """Judge every bag in a message. Raises Refusal."""
    for count, (where, bag) in enumerate(_bags(message, path)):
        if count >= MAX_BAGS:
            raise Refusal(
                Code.SCH_SCHEMA_VALIDATION_FAILED, f"more than {MAX_BAGS} attribute bags", path
            )
        for key in ("@context", "@type"):
            if not isinstance(bag.get(key), str):
                raise Refusal(
                    Code.SCH_REQUIRED_FIELD_MISSING,
                    f"an attribute bag without {key}; expected a string",
                    f"{where}.{key}",
                )
        if not bag["@context"].startswith(tuple(allowed)):
            raise Refusal(
                Code.SCH_INVALID_JSONLD_CONTEXT,
                f"the context {bag['@context'][:80]!r} is not on the allow-list",
                f"{where}.@context",
            )
        read(bag, where)


def _bags(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object under a key that ends in `Attributes`, outermost first, not within another bag."""
    if isinstance(value, dict):
        for key, child in value.items():
            where = f"{path}.{key}"
            if key.endswith("Attributes") and isinstance(child, dict):
                yield where, child
            else:
                yield from _bags(child, where)
    elif isinstance(value, list):
        for at, child in enumerate(value):
            yield from _bags(child, f"{path}[{at}]")


def _check(made: Any, path: str) -> None:
    """What a shape alone cannot say."""
    if isinstance(made, SeriesFields):
        check_grid(made, path)
    elif isinstance(made, DemandFlexPerformance) and not isinstance(made.meters, UnsetType):
        for at, meter in enumerate(made.meters):
            check_grid(meter.telemetry, f"{path}.meters[{at}].telemetry")
    elif isinstance(made, RevenueFlow):
        total = sum(flow.value for flow in made.revenue_flows)
        if abs(total) > 0.005:  # half of the smallest coin
            raise Refusal(
                Code.SCH_ATTRIBUTE_PACK_INVALID,
                f"the flows sum to {total:g}; expected zero",
                f"{path}.revenueFlows",
            )
    elif isinstance(made, ComputeFlexOffer):
        _check_flex(made, path)


def _check_flex(made: ComputeFlexOffer, path: str) -> None:
    for name in ("noticePeriod", "maxDeferral", "reboundWindow"):
        seconds_of(getattr(made, _snake(name)), f"{path}.{name}")
    low = seconds_of(made.min_activation, f"{path}.minActivation")
    high = seconds_of(made.max_activation, f"{path}.maxActivation")
    if low > high:
        raise Refusal(
            Code.SCH_ATTRIBUTE_PACK_INVALID,
            "longer than maxActivation; expected at most that",
            f"{path}.minActivation",
        )
    if made.floor_kw > made.rated_kw:
        raise Refusal(
            Code.SCH_ATTRIBUTE_PACK_INVALID,
            "above ratedKw; expected at most that",
            f"{path}.floorKw",
        )


def _snake(camel: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in camel)
