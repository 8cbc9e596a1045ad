"""What was sold: an order, and what it says of each settlement period. The port by which the market joins in.

Law: pure. An order is fixed when it is confirmed; a changed one is a new version of it. Power is whole W of
reduction (turn-down positive), prices are Decimal per MWh in the order's currency, times epoch seconds (UTC).
Orders of turn-up are not settled: what they would be paid for is not settled in GB today (market.md 1.5).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flexlond.model.settlement_period import LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING = Decimal(0)


class OrderError(ValueError):
    """An order that cannot be settled; the text says why."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One slot of an order."""

    start: int
    offered_w: int
    price: Decimal  # per MWh delivered
    penalty: Decimal = NOTHING  # per MWh of shortfall
    availability: Decimal = NOTHING  # per MW and hour that was kept available
    length: int = LENGTH  # seconds

    @property
    def is_period(self) -> bool:
        """Whether it is a settlement period."""
        return self.length == LENGTH and self.start % LENGTH == 0

    @property
    def offered_wh(self) -> int:
        """The energy that was offered; halves up."""
        return (2 * self.offered_w * self.length + 3600) // 7200


@dataclass(frozen=True, slots=True)
class Order:
    """A confirmed order. Raises OrderError for what cannot be settled."""

    id: str
    product: str  # its name in the terms
    points: tuple[str, ...]  # the metering points that deliver it together
    confirmed_at: int
    intervals: tuple[Interval, ...]  # in order of time
    currency: str = "GBP"
    references: tuple[str, ...] = ()  # transaction, decisions, jobs

    def __post_init__(self) -> None:
        if not self.points or len(set(self.points)) != len(self.points):
            raise OrderError(f"order {self.id}: it needs metering points, each once")
        ends = [0]
        for one in self.intervals:
            if one.offered_w < 0 or one.length <= 0 or one.start < ends[-1]:
                raise OrderError(
                    f"order {self.id}: its intervals must follow one another and offer 0 W or more"
                )
            ends.append(one.start + one.length)

    def event_start(self, at: int) -> int:
        """The start of the unbroken run of offered intervals that the interval at `at` belongs to."""
        found = at
        for one in reversed(self.intervals):
            if one.start + one.length == found and one.offered_w > 0:
                found = one.start
        return found


def to_plain(order: Order) -> dict[str, Any]:
    """As JSON takes it; decimals are text."""
    return {
        "id": order.id,
        "product": order.product,
        "points": list(order.points),
        "confirmed_at": order.confirmed_at,
        "currency": order.currency,
        "references": list(order.references),
        "intervals": [
            {
                "start": one.start,
                "length": one.length,
                "offered_w": one.offered_w,
                "price": str(one.price),
                "penalty": str(one.penalty),
                "availability": str(one.availability),
            }
            for one in order.intervals
        ],
    }


def from_plain(plain: Mapping[str, Any]) -> Order:
    """From JSON. Raises OrderError."""
    try:
        return Order(
            str(plain["id"]),
            str(plain["product"]),
            tuple(str(point) for point in plain["points"]),
            _moment(plain["confirmed_at"]),
            tuple(
                Interval(
                    _moment(one["start"]),
                    int(one["offered_w"]),
                    _decimal(one["price"]),
                    _decimal(one.get("penalty", "0")),
                    _decimal(one.get("availability", "0")),
                    int(one.get("length", LENGTH)),
                )
                for one in plain["intervals"]
            ),
            str(plain.get("currency", "GBP")),
            tuple(str(one) for one in plain.get("references", ())),
        )
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, OrderError):
            raise
        raise OrderError(
            f"an order cannot be read ({type(error).__name__}: {error}); the fields are in"
            " docs/how-to/settle-a-month.md"
        ) from None


def _moment(value: object) -> int:
    """Epoch seconds, or text with an offset like 2026-09-15T16:00:00Z."""
    if not isinstance(value, str):
        return int(value)  # type: ignore[call-overload, no-any-return]
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise OrderError(f"the time {value[:30]!r} has no offset; write UTC, ending with Z")
    return int(moment.timestamp())


def _decimal(value: object) -> Decimal:
    """Text or a whole number; a binary fraction would not be what was agreed."""
    if isinstance(value, float):
        raise OrderError(f'the amount {value!r} must be text, like "175.00"')
    made = Decimal(str(value))
    if not made.is_finite():
        raise OrderError(f"the amount {value!r} is no number")
    return made
