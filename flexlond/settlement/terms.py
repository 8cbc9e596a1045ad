"""How things are settled: products and their rules, losses, rounding, and the models that are switched off.

Law: pure data. A rule that could not be verified is a field here with its source named, never a constant in the
arithmetic (market.md has what is verified). Shares are 0..1; prices are Decimal. The four products are starting
points; a contract's own figures come with its order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from flexlond.settlement.baseline import BL01, Profile
from flexlond.settlement.calendar import Calendar
from flexlond.settlement.readings import Quality

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

Method = Literal["bl01", "nominated"]
ONE, ZERO = Decimal(1), Decimal(0)


class Activity(StrEnum):
    """What was sold in a period."""

    WHOLESALE = "wman"  # wholesale market activity, notified
    ACCEPTANCE = "boa"  # bid-offer acceptance
    DFS = "dfs"
    DSO = "dso"
    CONTRACT = "contract"  # between two parties, outside the BSC


@dataclass(frozen=True, slots=True)
class Product:
    """One product's rules."""

    name: str
    activity: Activity
    scheme: Literal["wholesale", "performance"]
    baseline: Method | None = None  # None: the site's
    adjusted: bool = False  # by the in-day adjustment
    per_point: bool = False  # delivered point by point, never below zero each
    losses: bool = False  # volumes are scaled to the grid by loss factors
    claimable: frozenset[Quality] = frozenset({Quality.MEASURED})
    least_share: Decimal = ZERO  # of the offer, below which use is not paid
    most_share: Decimal = ONE  # of the offer, up to which use is paid
    site_share: Decimal = ONE  # of the net that comes to the site
    fee_per_mwh: Decimal = ZERO  # of the VTP's, on delivered energy
    source: str = ""


PRODUCTS: Mapping[str, Product] = {
    one.name: one
    for one in (
        Product(
            "p415",
            Activity.WHOLESALE,
            "wholesale",
            losses=True,
            source="P415: deviation and sign verified; the VTP's cash is an economic model (market.md 1.3)",
        ),
        Product(
            "bm",
            Activity.ACCEPTANCE,
            "performance",
            adjusted=True,
            losses=True,
            source="balancing acceptance; adjusted by secondary sources (market.md 1.4)",
        ),
        Product(
            "dfs",
            Activity.DFS,
            "performance",
            baseline="bl01",
            source="DFS: pay as bid, GBP/MWh verified; service terms of 2026/27 not read (market.md 2)",
        ),
        Product(
            "dso",
            Activity.DSO,
            "performance",
            baseline="nominated",
            source="ENA products: availability and utilisation; each DNO has its own shares (market.md 2)",
        ),
        Product(
            "deg",
            Activity.CONTRACT,
            "performance",
            per_point=True,
            source="DEG's demand-flex contract policy: pay and penalty",
        ),
        Product(
            "market",
            Activity.CONTRACT,
            "performance",
            baseline="nominated",
            per_point=True,
            source="what this site sold over Beckn: DEG's pay and penalty against its own forecast",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Rounding:
    """Stated, because no source states it: the mode is a choice, written into each record."""

    mode: str = ROUND_HALF_UP
    money_places: int = 2  # once, in the total of an order
    volume_places: int = 4  # MWh, as SVAA's flows
    contract_places: int = 3  # MWh, as contract notifications

    def money(self, amount: Decimal) -> Decimal:
        """An amount of money."""
        return _plus(amount.quantize(Decimal(1).scaleb(-self.money_places), self.mode))

    def volume(self, mwh: Decimal) -> Decimal:
        """A volume in MWh."""
        return _plus(mwh.quantize(Decimal(1).scaleb(-self.volume_places), self.mode))

    def contract(self, mwh: Decimal) -> Decimal:
        """A contracted volume in MWh."""
        return _plus(mwh.quantize(Decimal(1).scaleb(-self.contract_places), self.mode))

    def __str__(self) -> str:
        """For the record."""
        return f"{self.mode}; money {self.money_places}, volume {self.volume_places} places"


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that a settlement run goes by besides the data."""

    baseline: Method = "bl01"
    fall_back: bool = True  # to the nominated one where BL01 has too few days
    profile: Profile = BL01
    calendar: Calendar = field(default_factory=Calendar)
    products: Mapping[str, Product] = field(default_factory=lambda: dict(PRODUCTS))
    orders_are_event_days: bool = (
        True  # whether wholesale days are event days by themselves is not known
    )
    line_loss: Decimal = ONE  # LLF of the site, the DNO's table
    transmission_loss: Decimal = ONE  # TLM; 1 for estimates
    p444: str = ""  # name of the compensation model; "": off
    p444_from: dt.date | None = None  # None: not in force
    rounding: Rounding = field(default_factory=Rounding)

    @property
    def digest(self) -> str:
        """Names these terms: 16 hexadecimal digits."""
        parts = [
            self.baseline,
            self.fall_back,
            self.profile.digest,
            sorted(self.calendar.added),
            sorted(self.calendar.removed),
            [_plain(self.products[name]) for name in sorted(self.products)],
            self.orders_are_event_days,
            self.line_loss,
            self.transmission_loss,
            self.p444,
            self.p444_from,
            str(self.rounding),
            self.rounding.contract_places,
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _plain(product: Product) -> list[object]:
    """A product's fields in an order that does not depend on the run."""
    values = [getattr(product, name) for name in Product.__slots__]
    return [sorted(value) if isinstance(value, frozenset) else value for value in values]


def _plus(value: Decimal) -> Decimal:
    """Without a minus before zero."""
    return value or abs(value)
