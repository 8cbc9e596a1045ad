"""Small sites for settlement tests."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import SettlementPeriod, starts_of
from flexlond.settlement.history import build
from flexlond.settlement.inputs import DayInputs, Value
from flexlond.settlement.nominated import Nomination, in_force
from flexlond.settlement.orders import Interval, Order
from flexlond.settlement.readings import Quality, Reading
from flexlond.settlement.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

DAY = dt.date(2026, 9, 15)  # a Tuesday
POINT = "mpan-1"
MEASURED = Quality.MEASURED


def at(number: int, day: dt.date = DAY) -> int:
    return SettlementPeriod(day, number).start


def days_before(day: dt.date, count: int) -> list[dt.date]:
    return [day - dt.timedelta(days=back) for back in range(1, count + 1)]


def reading(start: int, wh: int, quality: Quality = MEASURED, point: str = POINT) -> Reading:
    return Reading(point, start, wh, quality, "test meter")


def day_of(day: dt.date, wh: Callable[[int], int], point: str = POINT) -> list[Reading]:
    """Readings of a day; `wh` by the period's number."""
    return [
        reading(start, wh(number), point=point) for number, start in enumerate(starts_of(day), 1)
    ]


def flat_history(day: dt.date, wh: int, count: int = 60, point: str = POINT) -> list[Reading]:
    return [one for each in days_before(day, count) for one in day_of(each, lambda _: wh, point)]


def order(
    starts: Sequence[int],
    kw: float = 100.0,
    price: str = "140",
    product: str = "p415",
    points: tuple[str, ...] = (POINT,),
    penalty: str = "0",
    name: str = "order-1",
    confirmed: int = 1,
    availability: str = "0",
) -> Order:
    return Order(
        name,
        product,
        points,
        confirmed,
        tuple(
            Interval(
                start, round(kw * 1000), Decimal(price), Decimal(penalty), Decimal(availability)
            )
            for start in starts
        ),
    )


def value(kind: str, start: int, amount: str) -> Value:
    return Value(kind, start, Decimal(amount), "test")


def inputs(
    readings: Iterable[Reading],
    orders: Sequence[Order] = (),
    *,
    day: dt.date = DAY,
    nominations: Iterable[Nomination] = (),
    events: Mapping[str, frozenset[dt.date]] | None = None,
    values: Iterable[Value] = (),
    points: Sequence[str] = (POINT,),
    terms: Terms | None = None,
) -> DayInputs:
    every = list(readings)
    usable = (terms or Terms()).profile.usable
    first = day - dt.timedelta(days=60)
    by_kind: dict[str, dict[int, Value]] = {}
    for one in values:
        by_kind.setdefault(one.kind, {})[one.start] = one
    return DayInputs(
        points,
        {(one.point, one.start): one for one in every},
        {point: build(point, every, first, 60, usable) for point in points},
        in_force(nominations),
        orders,
        events or {},
        by_kind,
    )


def nominated(start: int, wh: int, point: str = POINT) -> Nomination:
    return Nomination(point, start, wh, start - 7200)
