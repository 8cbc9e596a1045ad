"""A month for the energy manager: earned, not spent, not emitted, and what a unit of work took.

Law: pure; from the newest kept runs and the values given. Each order's money is rounded once, in its line
here, and the totals are sums of the lines, by currency. Avoided cost and carbon are of event days only:
settling baseline less metered, so that the rebound of the same day counts against it; a period without a
measured reading, a baseline or a value is left out and counted. Average and marginal carbon stand beside each
other and are never added, nor is avoided carbon to revenue. Energy is whole Wh.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from flexlond.model.settlement_period import starts_of
from flexlond.settlement.inputs import CARBON_AVERAGE, CARBON_MARGINAL, RETAIL_PRICE, Value
from flexlond.settlement.readings import Quality
from flexlond.settlement.work import PerUnit, Work, per_unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.settlement.record import DayPoint, Record
    from flexlond.settlement.terms import Terms

ZERO = Decimal(0)
ONE_DAY = dt.timedelta(days=1)


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One order in the month."""

    order: str
    product: str
    currency: str
    periods: int
    incomplete: int
    offered_wh: int
    delivered_wh: int
    claimed_wh: int
    net: str  # rounded once
    site: str  # rounded once


class Avoided(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity of event days: what the turn-downs avoided, what the rebound took, and the difference."""

    less: str
    rebound: str
    net: str
    periods: int
    left_out: int


class UnitLine(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of work; None where a price or an intensity is lacking."""

    unit: str
    amount: str
    wh: int
    cost: str | None
    cost_per_unit: str | None
    carbon_g: str | None
    embodied_g: str
    sci_g_per_unit: str | None
    estimated_wh: int = 0  # of `wh`: estimated by the daemon, by accounting or the model


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The whole month."""

    month: str
    orders: list[OrderLine]
    revenue: dict[str, str]  # currency -> what comes to the site
    avoided_cost: Avoided  # GBP
    avoided_carbon_kg: Avoided  # location-based average
    avoided_carbon_marginal_kg: Avoided | None  # consequential; None where no feed gives it
    units: list[UnitLine]
    metered_wh: int
    readings: dict[str, int]  # quality -> periods of all points
    event_days: list[str]
    not_settled: list[str]  # dates without a run
    problems: list[str]
    versions: dict[str, int]  # date -> version of its run
    baseline: str
    rounding: str
    terms: str


@dataclass(frozen=True, slots=True)
class MonthInputs:
    """What a statement is made of."""

    month: dt.date  # its first day
    records: Sequence[Record]
    days: Sequence[DayPoint]
    versions: Mapping[dt.date, int]
    values: Mapping[str, Mapping[int, Value]] = field(default_factory=dict)
    work: Sequence[Work] = ()


def dates_of(month: dt.date) -> list[dt.date]:
    """Every date of the month."""
    found = []
    date = month.replace(day=1)
    while date.month == month.month:
        found.append(date)
        date += ONE_DAY
    return found


def statement(given: MonthInputs, terms: Terms) -> Statement:
    """The statement of a month."""
    orders = _orders(given.records, terms)
    revenue: dict[str, Decimal] = {}
    for line in orders:
        revenue[line.currency] = revenue.get(line.currency, ZERO) + Decimal(line.site)
    events = [one for one in given.days if one.event_day]
    marginal = given.values.get(CARBON_MARGINAL)
    kg = Decimal(1_000_000)  # Wh x g/kWh in a kg
    readings = Counter(quality for one in given.days for quality in one.quality)
    return Statement(
        month=given.month.strftime("%Y-%m"),
        orders=orders,
        revenue={name: str(amount) for name, amount in sorted(revenue.items())},
        avoided_cost=_avoided(
            events, given.values.get(RETAIL_PRICE, {}), Decimal(1_000_000), terms
        ),
        avoided_carbon_kg=_avoided(events, given.values.get(CARBON_AVERAGE, {}), kg, terms),
        avoided_carbon_marginal_kg=_avoided(events, marginal, kg, terms) if marginal else None,
        units=[
            _unit(one)
            for one in per_unit(
                given.work,
                given.values.get(RETAIL_PRICE, {}),
                given.values.get(CARBON_AVERAGE, {}),
            )
        ],
        metered_wh=sum(wh for one in given.days for wh in one.metered_wh if wh is not None),
        readings={quality.value: readings[quality.value] for quality in Quality},
        event_days=sorted({one.settlement_date for one in events}),
        not_settled=[day.isoformat() for day in dates_of(given.month) if day not in given.versions],
        problems=[
            f"{one.settlement_date} SP {one.settlement_period} {one.order}: {'; '.join(one.problems)}"
            for one in given.records
            if one.problems
        ],
        versions={day.isoformat(): version for day, version in sorted(given.versions.items())},
        baseline=f"{terms.baseline}; {terms.profile.name}: {terms.profile.source}",
        rounding=str(terms.rounding),
        terms=terms.digest,
    )


def _orders(records: Sequence[Record], terms: Terms) -> list[OrderLine]:
    by_order: dict[str, list[Record]] = {}
    for record in records:
        by_order.setdefault(record.order, []).append(record)
    money = terms.rounding.money
    return [
        OrderLine(
            order=name,
            product=parts[0].product,
            currency=parts[0].currency,
            periods=len(parts),
            incomplete=sum(one.state == "incomplete" for one in parts),
            offered_wh=sum(one.offered_wh for one in parts),
            delivered_wh=sum(one.delivered_wh for one in parts),
            claimed_wh=sum(one.claimed_wh for one in parts),
            net=str(money(sum((Decimal(one.net) for one in parts), ZERO))),
            site=str(money(sum((Decimal(one.site) for one in parts), ZERO))),
        )
        for name, parts in sorted(by_order.items())
    ]


def _avoided(
    days: Sequence[DayPoint], values: Mapping[int, Value], wh_in_unit: Decimal, terms: Terms
) -> Avoided:
    """Baseline less metered energy, times the value of its period."""
    less = rebound = ZERO
    used = left_out = 0
    for one in days:
        base = _settling(one, terms)
        starts = starts_of(dt.date.fromisoformat(one.settlement_date))
        for start, expected, metered, quality in zip(
            starts, base, one.metered_wh, one.quality, strict=True
        ):
            value = values.get(start)
            if expected is None or metered is None or value is None or quality != Quality.MEASURED:
                left_out += 1
                continue
            used += 1
            amount = (expected - metered) * value.amount / wh_in_unit
            if expected >= metered:
                less += amount
            else:
                rebound -= amount
    money = terms.rounding.money
    return Avoided(
        less=str(money(less)),
        rebound=str(money(rebound)),
        net=str(money(less - rebound)),
        periods=used,
        left_out=left_out,
    )


def _settling(one: DayPoint, terms: Terms) -> list[int | None]:
    """The baseline that stands for the site, without any adjustment, by period."""
    bl01: list[int | None] = list(one.bl01_wh) or [None] * len(one.metered_wh)
    if terms.baseline == "nominated":
        return one.nominated_wh
    if terms.fall_back:
        return [a if a is not None else b for a, b in zip(bl01, one.nominated_wh, strict=True)]
    return bl01


def _unit(one: PerUnit) -> UnitLine:
    return UnitLine(
        unit=one.unit,
        amount=f"{one.amount:f}",
        wh=one.wh,
        cost=_digits(one.cost),
        cost_per_unit=_digits(one.cost_per_unit),
        carbon_g=_digits(one.carbon_g),
        embodied_g=_digits(one.embodied_g) or "0",
        sci_g_per_unit=_digits(one.sci),
        estimated_wh=one.estimated_wh,
    )


def _digits(amount: Decimal | None) -> str | None:
    """Four significant digits: a unit of work may cost millionths."""
    return None if amount is None else f"{Decimal(f'{amount:.4g}'):f}"
