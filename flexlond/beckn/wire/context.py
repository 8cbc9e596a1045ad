"""The rules of the context that no schema states, and the contexts that we write.

Law: a message is for the path it came to, in our version, from and to named participants, with UUIDs for its
transaction and itself, with a moment; after timestamp plus ttl it is dead. A moment in the future by more
than the skew is refused too, else a ttl would mean nothing. Times are epoch seconds. Source: info text of
Beckn 2.0.0 LTS (2026-05-27), NFH-013; the schema alone accepts an empty context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UnsetType

from flexlond.beckn.wire.actions import Action, Role
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.beckn.wire.core import VERSION, Context
from flexlond.beckn.wire.durations import moment_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TTL = 30.0  # seconds, where the sender names none
MAX_TTL = 86_400.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """The context of a message that passed every rule."""

    action: str
    bap_id: str
    bpp_id: str  # empty where a discover names none
    transaction_id: str
    message_id: str
    network_id: str
    timestamp: float
    expires: float  # timestamp plus ttl
    try_: bool
    bap_uri: str = ""
    bpp_uri: str = ""
    request_digest: str = ""

    def party(self, role: Role) -> str:
        """The id of the participant in `role`."""
        return self.bap_id if role is Role.BAP else self.bpp_id

    def uri(self, role: Role) -> str:
        """The address that the message claims for `role`; empty where it claims none."""
        return self.bap_uri if role is Role.BAP else self.bpp_uri


def read(raw: Any, action: Action) -> Envelope:
    """Judge a context for `action`, all but its time. Raises Refusal with CTX codes."""
    if not isinstance(raw, dict):
        raise Refusal(Code.CTX_MISSING_FIELD, "no context; expected an object", "$.context")
    _check_names(raw, action)
    try:
        context = msgspec.convert(raw, Context)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        raise Refusal(Code.CTX_INVALID_FIELD, text, "$.context" + where.removesuffix("`")) from None
    moment = context.timestamp
    if isinstance(moment, UnsetType):  # _check_names has seen to it
        raise _missing("timestamp")
    sent = moment.timestamp()
    ttl = DEFAULT_TTL
    if not isinstance(context.ttl, UnsetType):
        ttl = _ttl(context.ttl)
    digest = context.request_digest
    return Envelope(
        action=action.name,
        bap_id=_or_empty(context.bap_id),
        bpp_id=_or_empty(context.bpp_id),
        transaction_id=_or_empty(context.transaction_id).lower(),
        message_id=_or_empty(context.message_id).lower(),
        network_id=_or_empty(context.network_id),
        timestamp=sent,
        expires=sent + ttl,
        try_=context.try_ is True,
        bap_uri=_or_empty(context.bap_uri),
        bpp_uri=_or_empty(context.bpp_uri),
        request_digest="" if isinstance(digest, UnsetType) else digest.digest,
    )


def check_time(envelope: Envelope, now: float, skew: float) -> None:
    """Raises Refusal where the message is dead, or from the future by more than `skew` seconds."""
    if envelope.timestamp > now + skew:
        raise Refusal(
            Code.CTX_INVALID_FIELD,
            f"{envelope.timestamp - now:.0f} s in the future; expected at most {skew:.0f} s",
            "$.context.timestamp",
        )
    if now > envelope.expires:
        raise Refusal(
            Code.CTX_TTL_EXPIRED,
            f"the message expired {now - envelope.expires:.0f} s ago (timestamp plus ttl)",
            "$.context.ttl",
        )


def check_audience(envelope: Envelope, action: Action, us: str) -> None:
    """Raises Refusal where the message names another receiver than `us`."""
    to = action.sender.other
    named = envelope.party(to)
    if named != us and (named or action.contractual):
        raise Refusal(
            Code.CTX_INVALID_FIELD,
            f"addressed to {named[:80]!r}; expected {us!r}",
            f"$.context.{to.value.lower()}Id",
        )


def write(
    action: str,
    *,
    bap: tuple[str, str],
    bpp: tuple[str, str],
    transaction_id: str,
    message_id: str,
    now: float,
    ttl: str = "PT30S",
    network_id: str = "",
    try_: bool | None = None,
    request_digest: str = "",
    schema_context: tuple[str, ...] = (),
) -> dict[str, Any]:
    """A context as we send it; `bap` and `bpp` are (id, uri), what is empty is left out."""
    made: dict[str, Any] = {
        "action": action,
        "version": VERSION,
        "transactionId": transaction_id,
        "messageId": message_id,
        "timestamp": moment_of(now),
        "ttl": ttl,
    }
    for name, (party, uri) in (("bap", bap), ("bpp", bpp)):
        if party:
            made[f"{name}Id"] = party
            if uri:
                made[f"{name}Uri"] = uri
    if network_id:
        made["networkId"] = network_id
    if try_ is not None:
        made["try"] = try_
    if request_digest:
        made["requestDigest"] = {"digest": request_digest}
    if schema_context:
        made["schemaContext"] = list(schema_context)
    return made


def _check_names(raw: Mapping[str, Any], action: Action) -> None:
    if "bap_id" in raw or "message_id" in raw:
        raise Refusal(
            Code.CTX_VERSION_UNSUPPORTED,
            "snake_case names belong to the release candidate of 2.0.0; expected camelCase as in the"
            " LTS of 2026-05-27",
            "$.context",
        )
    needed = ["action", "version", "transactionId", "messageId", "timestamp"]
    needed.append("bapId" if action.sender is Role.BAP else "bppId")
    if action.contractual:
        needed += ["bapId", "bppId"]
    for name in needed:
        if raw.get(name) in (None, ""):
            raise _missing(name)
    if raw["action"] != action.name:
        raise Refusal(
            Code.CTX_ACTION_MISMATCH,
            f"{str(raw['action'])[:40]!r} came to /{action.name}; expected {action.name!r}",
            "$.context.action",
        )
    if raw["version"] != VERSION:
        raise Refusal(
            Code.CTX_VERSION_UNSUPPORTED,
            f"{str(raw['version'])[:20]!r}; expected {VERSION!r}",
            "$.context.version",
        )


def _ttl(text: str) -> float:
    try:
        ttl = seconds_of(text, "$.context.ttl")
    except Refusal as refusal:
        raise Refusal(Code.CTX_INVALID_FIELD, refusal.text, refusal.path) from None
    if ttl > MAX_TTL:
        raise Refusal(Code.CTX_INVALID_FIELD, f"longer than {MAX_TTL:.0f} s", "$.context.ttl")
    return ttl


def _missing(name: str) -> Refusal:
    return Refusal(Code.CTX_MISSING_FIELD, "absent; expected a value", f"$.context.{name}")


def _or_empty(value: str | UnsetType) -> str:
    return "" if isinstance(value, UnsetType) else value
