"""The evidence record: one order in one settlement period, for whoever settles with the market (a VLP or VTP).

Law: pure data, the same for every VTP; no Elexon file. Energy is whole Wh of import; the MWh beside it are
text in CVA sign (import negative, turn-down a positive deviation). Money is exact text and is rounded once in
an order's total. `state` "incomplete" claims nothing and pays nothing. Times are epoch seconds (UTC), 0 for
none.
"""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class CashLine(msgspec.Struct, frozen=True):
    """One amount; only "settled" ones count."""

    kind: str
    amount: str
    basis: Literal["settled", "model", "information"]
    detail: str = ""


class Part(msgspec.Struct, frozen=True):
    """One metering point's part in a record; None: not known."""

    point: str
    method: Literal["bl01", "nominated", "none"]
    expected_wh: int | None  # as adjusted
    metered_wh: int | None
    quality: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One order in one period."""

    settlement_date: str
    settlement_period: int
    start: int
    length: int
    gate_closure: int
    order: str
    product: str
    currency: str
    points: list[str]
    # flags
    activity: list[str]  # of every order on these points in the period
    event_day: bool
    state: Literal["settled", "incomplete"]
    problems: list[str]
    # expected
    method: Literal["bl01", "nominated", "none"]
    profile: str
    baseline_days: dict[str, list[str]]  # point -> days that the baseline was taken from
    bl01_wh: int | None  # before any adjustment, of all points
    nominated_wh: int | None
    adjustment_wh: int  # of all points, as applied
    adjustment_window: list[int]
    adjustment_detail: str
    expected_wh: int | None
    # metered
    metered_wh: int | None
    quality: str  # the worst of the points
    uncertainty_wh: int
    parts: list[Part]  # by point
    # delivered
    offered_wh: int
    delivered_wh: int  # less import than expected; 0 without evidence
    claimed_wh: int  # what is asked to be paid for; never above delivered_wh
    shortfall_wh: int
    # CVA sign, MWh
    expected_mwh: str
    metered_mwh: str
    deviation_mwh: str
    settled_mwh: str  # the deviation after loss factors
    contracted_mwh: str
    loss_factor: str
    # money
    cash: list[CashLine]
    net: str  # of what is settled, exact
    site: str  # what of it comes to the site, exact
    rounding: str
    # where it is from
    evidence: list[str]
    terms: str


class DayPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A metering point's day: both baselines and the meter, by settlement period. Made for every day."""

    settlement_date: str
    point: str
    bl01_wh: list[int]  # empty: none
    bl01_days: list[str]
    bl01_reason: str
    nominated_wh: list[int | None]
    metered_wh: list[int | None]
    quality: list[str]
    event_day: bool
    profile: str


CSV_FIELDS = (
    "settlement_date",
    "settlement_period",
    "order",
    "product",
    "activity",
    "event_day",
    "state",
    "method",
    "expected_mwh",
    "metered_mwh",
    "deviation_mwh",
    "settled_mwh",
    "contracted_mwh",
    "offered_wh",
    "delivered_wh",
    "claimed_wh",
    "shortfall_wh",
    "quality",
    "uncertainty_wh",
    "net",
    "site",
    "currency",
    "problems",
    "evidence",
)


def to_csv(records: Iterable[Record]) -> str:
    """A table for people and spreadsheets; lists are joined by "; "."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(CSV_FIELDS)
    for record in records:
        rows.writerow([_cell(getattr(record, name)) for name in CSV_FIELDS])
    return out.getvalue()


def to_json(value: Any) -> str:
    """Records (or any structs) as JSON, keys sorted: the same value gives the same text."""
    return msgspec.json.encode(value, order="sorted").decode()


def record_from_json(text: str) -> Record:
    """One record back."""
    return msgspec.json.decode(text, type=Record)


def day_from_json(text: str) -> DayPoint:
    """One point's day back."""
    return msgspec.json.decode(text, type=DayPoint)


def digest(texts: Iterable[str]) -> str:
    """SHA-256 over the texts in order, each with its length before it."""
    state = hashlib.sha256()
    for text in texts:
        raw = text.encode()
        state.update(len(raw).to_bytes(8, "big"))
        state.update(raw)
    return state.hexdigest()


def _cell(value: Any) -> str:
    """A cell; text that a spreadsheet would run as a formula is led by an apostrophe."""
    if isinstance(value, list):
        value = "; ".join(str(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if text[:1] in {"=", "@", "\t", "\r"} or (text[:1] in {"+", "-"} and not _numeric(text)):
        return f"'{text}"
    return text


def _numeric(text: str) -> bool:
    return text[1:].replace(".", "", 1).isdigit()
