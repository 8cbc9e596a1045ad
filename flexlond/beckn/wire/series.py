"""Time series on an interval grid (OpenADR 3.1's form), as energy messages carry them.

Law: an interval is `start` plus its place times `duration`, unless it brings its own period. A column is read
only where every interval has exactly one finite number for it: a gap is an error, never a zero, for a zero
would be a promise. Power is in kW, prices per kWh; signs are the message's own. Source: OpenADR 3.1.0
(interval, intervalPeriod, valuesMap, payload descriptors); own model.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.beckn.wire.core import Closed, Moment, Name, Open, OptText
from flexlond.beckn.wire.durations import seconds_of

MAX_INTERVALS = 4096

CAPACITY_REQUESTED = "CAPACITY_REQUESTED"
CAPACITY_OFFERED = "CAPACITY_OFFERED"
OFFER_PRICE = "OFFER_PRICE"
PRICE = "PRICE"
SHORTFALL_PENALTY = "SHORTFALL_PENALTY"
BASELINE = "BASELINE"
USAGE = "USAGE"


class Period(Open, frozen=True):
    """The grid: the first start, and the length of one interval."""

    start: Moment | UnsetType = UNSET
    duration: OptText = UNSET
    randomize_start: OptText = UNSET


class Point(Open, frozen=True):
    """A pair of numbers."""

    x: float
    y: float


class Values(Open, frozen=True):
    """The values of one column in one interval."""

    type: Annotated[str, Meta(min_length=1, max_length=128)]
    values: list[float | str | bool | Point]


class Interval(Open, frozen=True):
    """One row."""

    id: int
    payloads: list[Values]
    interval_period: Period | UnsetType = UNSET


class PayloadDescriptor(Open, frozen=True):
    """Unit and kind of a column. A descriptor of a report or of an event; both in one shape."""

    object_type: Literal["EVENT_PAYLOAD_DESCRIPTOR", "REPORT_PAYLOAD_DESCRIPTOR"]
    payload_type: Name
    units: str | UnsetType | None = UNSET
    currency: str | UnsetType | None = UNSET
    reading_type: str | UnsetType | None = UNSET
    accuracy: float | UnsetType | None = UNSET
    confidence: int | UnsetType | None = UNSET
    inserted_by: OptText = UNSET


class SeriesFields(Open, frozen=True):
    """What every series has."""

    interval_period: Period
    payload_descriptors: Annotated[list[PayloadDescriptor], Meta(min_length=1)]
    intervals: Annotated[list[Interval], Meta(min_length=1, max_length=MAX_INTERVALS)]


def check_grid(series: SeriesFields, path: str) -> None:
    """Raises Refusal where ids repeat or a duration is none."""
    ids = [row.id for row in series.intervals]
    if len(set(ids)) != len(ids):
        raise Refusal(
            Code.SCH_ATTRIBUTE_PACK_INVALID,
            "two intervals have one id; expected each once",
            f"{path}.intervals",
        )
    periods = [(f"{path}.intervalPeriod", series.interval_period)]
    periods += [
        (f"{path}.intervals[{at}].intervalPeriod", row.interval_period)
        for at, row in enumerate(series.intervals)
        if not isinstance(row.interval_period, UnsetType)
    ]
    for where, period in periods:
        if not isinstance(period.duration, UnsetType):
            seconds_of(period.duration, f"{where}.duration")


def grid_of(series: SeriesFields, path: str) -> list[tuple[float, float]]:
    """(start, end) of each interval in epoch seconds, in the order of the rows; row `id` counts from 0."""
    default = series.interval_period
    spans = []
    for at, row in enumerate(series.intervals):
        own = default if isinstance(row.interval_period, UnsetType) else row.interval_period
        duration = default.duration if isinstance(own.duration, UnsetType) else own.duration
        start = default.start if isinstance(own.start, UnsetType) else own.start
        if isinstance(duration, UnsetType) or isinstance(start, UnsetType):
            raise Refusal(
                Code.SCH_ATTRIBUTE_PACK_INVALID,
                "no start or duration; expected both, here or in the series' intervalPeriod",
                f"{path}.intervals[{at}]",
            )
        length = seconds_of(duration, f"{path}.intervalPeriod.duration")
        begin = start.timestamp() + (row.id * length if own is default else 0.0)
        spans.append((begin, begin + length))
    return spans


def column(series: SeriesFields, name: str, path: str) -> list[float]:
    """The numbers of column `name`, one per interval in the order of the rows.

    Raises Refusal (SCH_ATTRIBUTE_PACK_INVALID) where a row has none, several, or anything but a number.
    """
    found = []
    for at, row in enumerate(series.intervals):
        values: list[Any] = [v for p in row.payloads if p.type == name for v in p.values]
        value = values[0] if len(values) == 1 else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            value = None
        if value is None or not math.isfinite(value):
            raise Refusal(
                Code.SCH_ATTRIBUTE_PACK_INVALID,
                f"expected exactly one number for {name} in every interval",
                f"{path}.intervals[{at}].payloads",
            )
        found.append(float(value))
    return found


class Series(Closed, SeriesFields, frozen=True):
    """A series within another object: `@type` and `@context` are optional there."""

    type_: Literal["TimeSeries"] | UnsetType = msgspec.field(name="@type", default=UNSET)
    context_: OptText = msgspec.field(name="@context", default=UNSET)
    resource_name: OptText = UNSET
    client_name: OptText = UNSET
