"""Records of an order as DEG's `on_status` carries them: baseline and usage of each meter by interval.

Law: pure; the order's own intervals in order of time, mean kW of each, as the records have them and nothing
else. With usage asked for, a record that is not settled or a figure that is lacking is an error and no
message: a push without usage would be settled as if nothing had been delivered. Shape: DemandFlexPerformance
v2.0 of DEG's demand-flex kit.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.settlement.record import Record

CONTEXT = "https://schema.nfh.global/DemandFlexPerformance/v2.0/context.jsonld"


class NotSettledError(ValueError):
    """The order's performance cannot be said yet; the text says why."""


def performance(records: Sequence[Record], event: str, *, usage: bool) -> dict[str, Any]:
    """The `performanceAttributes` of one order's records. Raises NotSettledError."""
    ordered = sorted(records, key=lambda record: record.start)
    if not ordered or len({record.order for record in ordered}) != 1:
        raise NotSettledError("the performance of one order needs its records, and no other's")
    first = ordered[0]
    for number, record in enumerate(ordered):
        if record.start != first.start + number * first.length:
            raise NotSettledError(f"order {first.order}: its intervals are not one unbroken series")
        if usage and record.state != "settled":
            raise NotSettledError(
                f"order {first.order}, {record.settlement_date} SP {record.settlement_period}:"
                f" {'; '.join(record.problems)}; settle again when the data have come"
            )
    methods = {record.method for record in ordered}
    return {
        "@context": CONTEXT,
        "@type": "DemandFlexPerformance",
        "eventId": event,
        "methodology": "+".join(sorted(methods)),
        "meters": [
            {"meterId": point, "telemetry": _telemetry(ordered, point, usage=usage)}
            for point in first.points
        ],
    }


def _telemetry(ordered: Sequence[Record], point: str, *, usage: bool) -> dict[str, Any]:
    names = ("BASELINE", "USAGE") if usage else ("BASELINE",)
    start = dt.datetime.fromtimestamp(ordered[0].start, dt.UTC)
    return {
        "@type": "TimeSeries",
        "intervalPeriod": {
            "start": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": f"PT{ordered[0].length // 60}M",
        },
        "payloadDescriptors": [
            {
                "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
                "payloadType": name,
                "units": "KW",
                "readingType": "DIRECT_READ",
            }
            for name in names
        ],
        "intervals": [
            {
                "id": number,
                "payloads": [
                    {"type": name, "values": [_kw(record, point, name)]} for name in names
                ],
            }
            for number, record in enumerate(ordered)
        ],
    }


def _kw(record: Record, point: str, name: str) -> int | float:
    """Mean kW of a point in the period."""
    part = next((one for one in record.parts if one.point == point), None)
    wh = None
    if part is not None:
        wh = part.expected_wh if name == "BASELINE" else part.metered_wh
    if wh is None:
        raise NotSettledError(
            f"order {record.order}, {record.settlement_date} SP {record.settlement_period}: {point} has no"
            f" {name.lower()}"
        )
    exact = Fraction(wh * 3600, record.length * 1000)
    return exact.numerator if exact.denominator == 1 else float(exact)
