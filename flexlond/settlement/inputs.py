"""What a settlement run of one day looks at.

Law: pure data; the run reads nothing else. Everything is the newest version there is; which version it was
stands in the evidence of a record. Values (prices, carbon) are Decimal by the start of their period.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from flexlond.settlement.history import History
    from flexlond.settlement.nominated import Nomination
    from flexlond.settlement.orders import Order
    from flexlond.settlement.readings import Quality, Reading

SYSTEM_PRICE = "system_price"  # GBP/MWh
REFERENCE_PRICE = "compensation_price"  # GBP/MWh: SCRP
RETAIL_PRICE = "retail_price"  # GBP/MWh: what the site pays for a kWh, times 1000
CARBON_AVERAGE = "carbon_average"  # g/kWh, location based
CARBON_MARGINAL = "carbon_marginal"  # g/kWh, consequential
KINDS = (SYSTEM_PRICE, REFERENCE_PRICE, RETAIL_PRICE, CARBON_AVERAGE, CARBON_MARGINAL)


@dataclass(frozen=True, slots=True)
class Value:
    """One price or intensity of one period."""

    kind: str
    start: int
    amount: Decimal
    source: str  # where it is from and of which run
    version: int = 1


@dataclass(frozen=True, slots=True)
class EventDay:
    """A day that no baseline of a point may look at; `active` False takes an earlier word back."""

    point: str
    date: dt.date
    reason: str  # balancing, wholesale, outage, ...
    evidence: str = ""
    active: bool = True


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the two sides of a contract saw of one of its slots: mean kW of import, as `on_status` said it."""

    order: str
    start: int
    length: int  # seconds
    baseline_kw: Decimal
    usage_kw: Decimal
    quality: Quality
    source: str  # by what the usage is known, for people


@dataclass(frozen=True, slots=True)
class DayInputs:
    """Everything for one settlement date."""

    points: Sequence[str]
    readings: Mapping[tuple[str, int], Reading]
    histories: Mapping[str, History]
    nominations: Mapping[tuple[str, int], Nomination]  # those in force
    orders: Sequence[Order]  # with an interval in the day
    events: Mapping[str, frozenset[dt.date]] = field(
        default_factory=dict
    )  # notified, and by orders
    values: Mapping[str, Mapping[int, Value]] = field(default_factory=dict)
    versions: Mapping[tuple[str, int], int] = field(default_factory=dict)  # of the readings
    deliveries: Mapping[tuple[str, int], Delivery] = field(
        default_factory=dict
    )  # by order and start

    def value(self, kind: str, start: int) -> Value | None:
        """A price or an intensity, None where it is not known."""
        return self.values.get(kind, {}).get(start)
