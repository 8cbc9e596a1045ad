"""ISO 8601 durations, and RFC 3339 moments as epoch seconds.

Law: a duration is whole or fractional seconds, never negative, of weeks, days, hours, minutes and seconds
only: years and months have no fixed length and are refused. Source: ISO 8601, RFC 3339 appendix A.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from flexlond.beckn.wire.codes import Code, Refusal

_FORM = re.compile(
    r"P(?:(\d{1,6})W|(?:(\d{1,6})D)?(?:T(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?)"
)
_UNITS = (604800.0, 86400.0, 3600.0, 60.0, 1.0)


def seconds_of(text: str, path: str) -> float:
    """The duration in seconds. Raises Refusal (SCH_INVALID_FORMAT) naming `path`."""
    found = _FORM.fullmatch(text)
    parts = found.groups() if found else ()
    if not any(parts) or text.endswith("T"):
        raise Refusal(
            Code.SCH_INVALID_FORMAT,
            f"{text[:40]!r} is not a duration; expected like PT30M, of weeks, days, hours,"
            " minutes and seconds",
            path,
        )
    return sum(float(part) * unit for part, unit in zip(parts, _UNITS, strict=True) if part)


def duration_of(seconds: int) -> str:
    """Whole seconds as a duration; PT0S for none."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if n)
    return f"PT{parts or '0S'}"


def moment_of(at: float) -> str:
    """Epoch seconds as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
