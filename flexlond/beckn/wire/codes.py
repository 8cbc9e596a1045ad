"""Error codes of Beckn 2.0.0 and the refusal that carries one.

Law: a Refusal names one code of the published enumeration, says what is wrong, where (a path like
`$.message.contract.id`) and what is expected. Codes of the layers CTX, AUT and SCH are answered at once
(synchronously); BIZ and POL after an acknowledgement, in the callback. Only codes in RETRYABLE may be tried
again as they are. Source: Beckn 2.0.0 LTS (2026-05-27), ErrorCode, and NFH-008 for statuses and retries.
"""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class Code(StrEnum):
    """Every level-1 code that may be sent; the value is what stands on the wire."""

    CTX_MISSING_FIELD = "CTX_MISSING_FIELD"
    CTX_INVALID_FIELD = "CTX_INVALID_FIELD"
    CTX_ACTION_MISMATCH = "CTX_ACTION_MISMATCH"
    CTX_VERSION_UNSUPPORTED = "CTX_VERSION_UNSUPPORTED"
    CTX_TTL_EXPIRED = "CTX_TTL_EXPIRED"
    CTX_MESSAGE_ID_DUPLICATE = "CTX_MESSAGE_ID_DUPLICATE"
    CTX_TRANSACTION_ID_UNKNOWN = "CTX_TRANSACTION_ID_UNKNOWN"
    CTX_CALLBACK_URL_MISSING = "CTX_CALLBACK_URL_MISSING"
    CTX_INVALID_BPP_URI = "CTX_INVALID_BPP_URI"
    AUT_SIGNATURE_MISSING = "AUT_SIGNATURE_MISSING"
    AUT_SIGNATURE_INVALID = "AUT_SIGNATURE_INVALID"
    AUT_SUBSCRIBER_NOT_FOUND = "AUT_SUBSCRIBER_NOT_FOUND"
    AUT_KEY_NOT_FOUND = "AUT_KEY_NOT_FOUND"
    AUT_KEY_EXPIRED_OR_REVOKED = "AUT_KEY_EXPIRED_OR_REVOKED"
    AUT_UNAUTHORIZED_ACTION = "AUT_UNAUTHORIZED_ACTION"
    AUT_DOMAIN_NOT_ALLOWED = "AUT_DOMAIN_NOT_ALLOWED"
    AUT_REPLAY_DETECTED = "AUT_REPLAY_DETECTED"
    AUT_RATE_LIMITED = "AUT_RATE_LIMITED"
    SCH_INVALID_JSON = "SCH_INVALID_JSON"
    SCH_SCHEMA_VALIDATION_FAILED = "SCH_SCHEMA_VALIDATION_FAILED"
    SCH_REQUIRED_FIELD_MISSING = "SCH_REQUIRED_FIELD_MISSING"
    SCH_FIELD_NOT_ALLOWED = "SCH_FIELD_NOT_ALLOWED"
    SCH_INVALID_ENUM = "SCH_INVALID_ENUM"
    SCH_INVALID_FORMAT = "SCH_INVALID_FORMAT"
    SCH_INVALID_JSONPATH = "SCH_INVALID_JSONPATH"
    SCH_INVALID_JSONLD_CONTEXT = "SCH_INVALID_JSONLD_CONTEXT"
    SCH_TYPE_NOT_SUPPORTED = "SCH_TYPE_NOT_SUPPORTED"
    SCH_ATTRIBUTE_PACK_INVALID = "SCH_ATTRIBUTE_PACK_INVALID"
    SCH_INVALID_ENTITY_TYPE = "SCH_INVALID_ENTITY_TYPE"
    SCH_SCHEMA_ADAPTATION_FAILED = "SCH_SCHEMA_ADAPTATION_FAILED"
    NET_TIMEOUT = "NET_TIMEOUT"
    NET_DOWNSTREAM_UNAVAILABLE = "NET_DOWNSTREAM_UNAVAILABLE"
    NET_CALLBACK_FAILED = "NET_CALLBACK_FAILED"
    NET_ACK_TIMEOUT = "NET_ACK_TIMEOUT"
    NET_OVERLOADED = "NET_OVERLOADED"
    NET_INTERNAL_ERROR = "NET_INTERNAL_ERROR"
    NET_NOT_IMPLEMENTED = "NET_NOT_IMPLEMENTED"
    NET_CATALOG_SOURCE_UNAVAILABLE = "NET_CATALOG_SOURCE_UNAVAILABLE"
    NET_CATALOG_STALE = "NET_CATALOG_STALE"
    BIZ_PROVIDER_NOT_FOUND = "BIZ_PROVIDER_NOT_FOUND"
    BIZ_LOCATION_NOT_FOUND = "BIZ_LOCATION_NOT_FOUND"
    BIZ_CATEGORY_NOT_FOUND = "BIZ_CATEGORY_NOT_FOUND"
    BIZ_ITEM_NOT_FOUND = "BIZ_ITEM_NOT_FOUND"
    BIZ_OFFER_NOT_FOUND = "BIZ_OFFER_NOT_FOUND"
    BIZ_ADDON_NOT_FOUND = "BIZ_ADDON_NOT_FOUND"
    BIZ_ORDER_NOT_FOUND = "BIZ_ORDER_NOT_FOUND"
    BIZ_QUANTITY_UNAVAILABLE = "BIZ_QUANTITY_UNAVAILABLE"
    BIZ_FULFILLMENT_UNAVAILABLE = "BIZ_FULFILLMENT_UNAVAILABLE"
    BIZ_QUOTE_EXPIRED_OR_CHANGED = "BIZ_QUOTE_EXPIRED_OR_CHANGED"
    BIZ_PRICE_MISMATCH = "BIZ_PRICE_MISMATCH"
    BIZ_PAYMENT_NOT_SUPPORTED = "BIZ_PAYMENT_NOT_SUPPORTED"
    BIZ_PAYMENT_FAILED = "BIZ_PAYMENT_FAILED"
    BIZ_TRACKING_NOT_SUPPORTED = "BIZ_TRACKING_NOT_SUPPORTED"
    BIZ_SUPPORT_NOT_AVAILABLE = "BIZ_SUPPORT_NOT_AVAILABLE"
    BIZ_NO_RESULTS_FOUND = "BIZ_NO_RESULTS_FOUND"
    BIZ_INVALID_STATE_TRANSITION = "BIZ_INVALID_STATE_TRANSITION"
    BIZ_ALREADY_CANCELLED = "BIZ_ALREADY_CANCELLED"
    BIZ_ALREADY_CONFIRMED = "BIZ_ALREADY_CONFIRMED"
    BIZ_UPDATE_INCONSISTENT = "BIZ_UPDATE_INCONSISTENT"
    BIZ_INVALID_UPDATE_TARGET = "BIZ_INVALID_UPDATE_TARGET"
    BIZ_INVALID_CANCELLATION_REASON = "BIZ_INVALID_CANCELLATION_REASON"
    BIZ_RATING_TARGET_NOT_FOUND = "BIZ_RATING_TARGET_NOT_FOUND"
    BIZ_INVALID_RATING_VALUE = "BIZ_INVALID_RATING_VALUE"
    BIZ_GENERIC_ERROR = "BIZ_GENERIC_ERROR"
    POL_CANCELLATION_NOT_ALLOWED = "POL_CANCELLATION_NOT_ALLOWED"
    POL_UPDATE_NOT_ALLOWED = "POL_UPDATE_NOT_ALLOWED"
    POL_GEO_RESTRICTED = "POL_GEO_RESTRICTED"
    POL_ELIGIBILITY_NOT_MET = "POL_ELIGIBILITY_NOT_MET"
    POL_KYC_REQUIRED = "POL_KYC_REQUIRED"
    POL_CONSENT_REQUIRED = "POL_CONSENT_REQUIRED"
    POL_SANCTIONED_PARTY = "POL_SANCTIONED_PARTY"
    POL_CALLER_TRUST_INSUFFICIENT = "POL_CALLER_TRUST_INSUFFICIENT"
    POL_NP_CAPACITY_EXCEEDED = "POL_NP_CAPACITY_EXCEEDED"
    POL_NP_DORMANT = "POL_NP_DORMANT"
    POL_ENGAGEMENT_REFUSED = "POL_ENGAGEMENT_REFUSED"
    POL_GENERIC_ERROR = "POL_GENERIC_ERROR"


RETRYABLE = frozenset(
    {Code.AUT_RATE_LIMITED, Code.POL_NP_CAPACITY_EXCEEDED, Code.POL_NP_DORMANT}
    | {code for code in Code if code.startswith("NET_") and code != Code.NET_NOT_IMPLEMENTED}
)


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    """A message is refused, with one code; `cause` is a code of a system behind us (level 2), if any."""

    def __init__(
        self, code: Code, text: str, path: str = "", cause: str = "", retry_after: int = 0
    ) -> None:
        super().__init__(f"{path}: {text}" if path else text)
        self.code = code
        self.text = text
        self.path = path
        self.cause = cause
        self.retry_after = retry_after  # seconds; only with 429

    def again(self) -> Refusal:
        """The same refusal, to be raised another time."""
        return Refusal(self.code, self.text, self.path, self.cause, self.retry_after)

    @property
    def status(self) -> int:
        """The HTTP status of the synchronous answer."""
        return status_of(self.code)


def is_synchronous(code: Code) -> bool:
    """Whether the code is answered at once; else the message is acknowledged and the callback says it."""
    return code.startswith(("CTX_", "AUT_", "SCH_", "NET_"))


def status_of(code: Code) -> int:
    """400, 401, 403, 404, 429 or 500, as the family of the code demands."""
    if code == Code.AUT_RATE_LIMITED:
        return 429
    if code.startswith("AUT_"):
        return 401
    if code.startswith("POL_"):
        return 403
    if code == Code.NET_NOT_IMPLEMENTED:
        return 404
    if code.startswith("NET_"):
        return 500
    return 400
