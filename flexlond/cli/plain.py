"""Replies as plain data for --json, and text made safe for a terminal.

Law: JSON keys are the proto's field names, stable; a moment is UTC in ISO 8601, or null for none; an unknown
number (NaN) is null. Text from users can hold anything: on a terminal every character that does not print
is shown as an escape, and nothing is taken for markup.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message

MOMENTS = frozenset(
    {
        "after",
        "asap_start",
        "at",
        "before",
        "begin",
        "cancelled",
        "created",
        "deadline",
        "eligible",
        "end",
        "fetched_at",
        "from",
        "last_cycle_at",
        "latest_start",
        "made_at",
        "metered_at",
        "must_start_by",
        "not_before",
        "decide_by",
        "order_by",
        "peak_at",
        "planned_at",
        "planned_start",
        "read_at",
        "rebound_at",
        "rebound_end",
        "setpoint_at",
        "start",
        "started_at",
        "submit",
        "to",
        "until",
    }
)


def as_json(message: Message) -> str:
    """The whole reply as one JSON document."""
    return json.dumps(as_data(message), indent=2, allow_nan=False, ensure_ascii=True)


def as_data(message: Message) -> dict[str, Any]:
    """The reply as plain data; every field is there, also those with their default value."""
    return {
        field.name: _value(field.name, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
    }


def _value(name: str, value: Any) -> Any:
    if hasattr(value, "DESCRIPTOR"):
        return as_data(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if name in MOMENTS:
        return iso(value)
    if isinstance(value, (str, int, float)):
        return value
    return [_value("", item) for item in value]


def iso(at: int) -> str | None:
    """An epoch second in UTC, ISO 8601; None for 0."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" if at else None


def safe(text: str) -> str:
    """`text` with everything that does not print shown as an escape by its code (x1b after a backslash)."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
