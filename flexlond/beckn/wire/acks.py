"""The synchronous answers: what we write, and all shapes that we read.

Law: writes one shape, that of the LTS of 2026-05-27. Reads that, the April LTS (`status` at the top), and the
release candidate (`message.ack.status`, `ack_status`): a peer's age must not lose an order. A 2xx without a
status that we know is no acknowledgement. 202 and 409 say that no callback will follow. Source: the three
shapes that shipped as 2.0.0.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from flexlond.beckn.wire import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.beckn.wire.codes import Refusal

NIL = "00000000-0000-0000-0000-000000000000"  # the message id of an answer to what has none
MAX_ANSWER_BYTES = 64 * 1024
_MESSAGE_ID = re.compile(
    rb'"messageId"\s*:\s*"([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"'
)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a peer answered. `code` is its error's, empty for none; `callback` whether one will follow."""

    ack: bool
    callback: bool
    code: str = ""
    text: str = ""


def ack(message_id: str) -> bytes:
    """Taken; a callback will follow."""
    return strict_json.dump({"message": {"status": "ACK", "messageId": message_id or NIL}})


def nack(message_id: str, refusal: Refusal) -> bytes:
    """Not taken; nothing will follow."""
    message = {"status": "NACK", "messageId": message_id or NIL, "error": error_of(refusal)}
    return strict_json.dump({"message": message})


def error_of(refusal: Refusal) -> dict[str, Any]:
    """The error object of a refusal, for an answer or for a callback."""
    details: dict[str, Any] = {}
    if refusal.path:
        details["path"] = refusal.path
    if refusal.cause:
        details["cause"] = {"code": refusal.cause, "message": refusal.text}
    error: dict[str, Any] = {"code": refusal.code.value, "message": refusal.text}
    return {**error, "details": details} if details else error


def message_ids_in(body: bytes, most: int = 4) -> list[str]:
    """What may be the message id in bytes that are not believed yet."""
    found = islice(_MESSAGE_ID.finditer(body), most)
    return [one[1].decode().lower() for one in found]


def message_id_in(body: bytes) -> str:
    """The message id to name in the answer to bytes that were not believed; NIL when there is none."""
    return (message_ids_in(body, 1) or [NIL])[0]


def hear(status: int, body: bytes) -> Heard:
    """Read any shape of answer; what cannot be read is no acknowledgement."""
    try:
        value = json.loads(body[:MAX_ANSWER_BYTES])
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return Heard(False, False, text=f"status {status} without a JSON object")
    found, error = _status(value), _error(value)
    good = 200 <= status < 300 and found == "ACK"
    return Heard(good, good and status != 202, error[0], error[1])


def _status(value: Mapping[str, Any]) -> str:
    message = value.get("message")
    inner = message if isinstance(message, dict) else {}
    old = inner.get("ack")
    for holder, key in (
        (inner, "status"),
        (old, "status"),
        (value, "status"),
        (value, "ack_status"),
    ):
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            return str(holder[key])
    return ""


def _error(value: Mapping[str, Any]) -> tuple[str, str]:
    message = value.get("message")
    inner = message if isinstance(message, dict) else {}
    for error in (inner.get("error"), value.get("error")):
        if isinstance(error, dict) and error:
            code = error.get("code", error.get("errorCode", ""))
            text = error.get("message", error.get("errorMessage", ""))
            return str(code)[:80], str(text)[:400]
    return "", ""
