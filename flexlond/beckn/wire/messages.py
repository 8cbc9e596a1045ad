"""From bytes to a message that obeys every rule a message can obey by itself.

Law: strict JSON, then the context, then the shape of the action's message, then what shapes cannot say, then
the attribute packs; the first rule broken is the refusal, with path and expectation. The plain values are
kept beside the structs, for what is echoed is echoed whole. Source: Beckn 2.0.0 LTS (2026-05-27).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UnsetType

from flexlond.beckn.wire import bodies, packs, strict_json
from flexlond.beckn.wire import context as contexts
from flexlond.beckn.wire.actions import ACTIONS, Action
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.beckn.wire.core import Contract, Offer, Resource, TimePeriod

if TYPE_CHECKING:
    from collections.abc import Sequence

_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`")


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `body` is the struct of its action, `plain` the whole as decoded."""

    action: Action
    envelope: contexts.Envelope
    body: Any
    plain: dict[str, Any]
    error: bodies.WireError | None = None  # a callback that says why not

    @property
    def contract(self) -> Contract | None:
        """The contract it carries, if its action has one."""
        found = getattr(self.body, "contract", None)
        return found if isinstance(found, Contract) else None

    @property
    def plain_contract(self) -> dict[str, Any]:
        """The contract as decoded; empty where there is none."""
        found = self.plain["message"].get("contract")
        return found if isinstance(found, dict) else {}


def parse(
    raw: bytes,
    path: str,
    allowed: Sequence[str] = packs.ALLOWED_CONTEXTS,
    max_bytes: int = strict_json.MAX_BYTES,
) -> Message:
    """The message in `raw`, which came to the action `path` (no leading slash). Raises Refusal."""
    action = ACTIONS.get(path)
    if action is None:
        raise Refusal(Code.NET_NOT_IMPLEMENTED, f"there is no action {path[:40]!r}")
    plain = strict_json.parse(raw, max_bytes)
    envelope = contexts.read(plain.get("context"), action)
    message = plain.get("message")
    if not isinstance(message, dict):
        raise Refusal(
            Code.SCH_REQUIRED_FIELD_MISSING, "no message; expected an object", "$.message"
        )
    body = _convert(message, action.body, "$.message")
    error = None
    if (
        plain.get("error") and not action.is_request
    ):  # the sandbox sends an empty one beside success
        error = _convert(plain["error"], bodies.WireError, "$.error")
    _rules(body, action)
    packs.check_all(message, allowed)
    return Message(action, envelope, body, plain, error)


def _convert(value: Any, shape: Any, path: str) -> Any:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        path += where.removesuffix("`")
        missing = _MISSING.match(text)
        if missing:
            raise Refusal(
                Code.SCH_REQUIRED_FIELD_MISSING, "absent; expected a value", f"{path}.{missing[1]}"
            ) from None
        unknown = _UNKNOWN.match(text)
        if unknown:
            raise Refusal(
                Code.SCH_FIELD_NOT_ALLOWED,
                "unknown; expected no such field",
                f"{path}.{unknown[1]}",
            ) from None
        code = Code.SCH_SCHEMA_VALIDATION_FAILED
        if text.startswith("Invalid enum value"):
            code = Code.SCH_INVALID_ENUM
        elif "matching regex" in text or text.startswith("Invalid RFC3339"):
            code = Code.SCH_INVALID_FORMAT
        raise Refusal(code, text, path) from None


def _rules(body: Any, action: Action) -> None:
    if isinstance(body, bodies.WithContract | bodies.WithContractOpen):
        _contract(body.contract, action, "$.message.contract")
    elif isinstance(body, bodies.OnDiscover | bodies.CatalogPublish):
        for at, catalog in enumerate(body.catalogs):
            path = f"$.message.catalogs[{at}]"
            if isinstance(catalog.resources, UnsetType) and isinstance(catalog.offers, UnsetType):
                raise _absent(f"{path}.resources", "expected resources or offers")
            _period(catalog.validity, f"{path}.validity")
            for n, offer in enumerate(
                () if isinstance(catalog.offers, UnsetType) else catalog.offers
            ):
                _period(offer.validity, f"{path}.offers[{n}].validity")
    elif isinstance(body, bodies.Rate):
        for at, rating in enumerate(body.rating_inputs):
            _rating(rating.range, f"$.message.ratingInputs[{at}].range")


def _contract(contract: Contract, action: Action, path: str) -> None:
    if action.needs_id and not contract.id:
        raise _absent(f"{path}.id", "expected the order's id")
    for at, commitment in enumerate(contract.commitments):
        where = f"{path}.commitments[{at}]"
        for n, resource in enumerate(commitment.resources):
            _quantity(resource, f"{where}.resources[{n}]")
        _offer(commitment.offer, f"{where}.offer")


def _quantity(resource: Resource, path: str) -> None:
    if isinstance(resource.quantity, UnsetType):
        raise _absent(f"{path}.quantity", "expected a quantity")


def _offer(offer: Offer, path: str) -> None:
    if isinstance(offer.resource_ids, UnsetType):
        raise _absent(f"{path}.resourceIds", "expected the ids of its resources")
    _period(offer.validity, f"{path}.validity")


def _period(period: TimePeriod | UnsetType, path: str) -> None:
    if isinstance(period, UnsetType):
        return
    dated = not isinstance(period.start_date, UnsetType) or not isinstance(
        period.end_date, UnsetType
    )
    timed = isinstance(period.start_time, str) and isinstance(period.end_time, str)
    if not dated and not timed:
        raise _absent(path, "expected startDate, endDate, or startTime with endTime")


def _rating(scale: bodies.RatingRange, path: str) -> None:
    low, high, value = scale.min, scale.max, scale.value
    if isinstance(value, UnsetType):
        raise _absent(f"{path}.value", "expected the rating")
    if (not isinstance(low, UnsetType) and value < low) or (
        not isinstance(high, UnsetType) and value > high
    ):
        raise Refusal(
            Code.SCH_SCHEMA_VALIDATION_FAILED,
            f"{value:g}; expected a value within min and max",
            f"{path}.value",
        )


def _absent(path: str, expected: str) -> Refusal:
    return Refusal(Code.SCH_REQUIRED_FIELD_MISSING, f"absent; {expected}", path)
