"""What a deviation is worth: wholesale and imbalance, compensation, pay and penalty, and what the site keeps.

Law: pure; Decimal; exact. Nothing is rounded here: an order's total is rounded once (terms.Rounding). MWh are
metered less expected in CVA sign, so turn-down is positive; positive money comes to the seller. A line says
on what it rests: "settled" counts, "model" and "information" are shown and never added. Source: market.md
1.3, 1.5, 1.7; the supplier's compensation is mutualised and not the VTP's to pay today.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Basis = Literal["settled", "model", "information"]
WH_IN_MWH = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Line:
    """One amount of money and why."""

    kind: str
    amount: Decimal
    basis: Basis
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Wholesale:
    """A period's sale in the wholesale market."""

    deviation: Decimal  # MWh, after losses
    contracted: Decimal  # MWh sold, net
    trade_price: Decimal
    system_price: Decimal
    fee: Decimal = Decimal(0)


def mwh(wh: int) -> Decimal:
    """Whole Wh as MWh, exactly."""
    return Decimal(wh) / WH_IN_MWH


def wholesale(sale: Wholesale) -> list[Line]:
    """The trade, and the imbalance at the system price (long positive)."""
    imbalance = sale.deviation - sale.contracted
    lines = [
        Line(
            "trade",
            sale.contracted * sale.trade_price,
            "settled",
            f"{sale.contracted} MWh at {sale.trade_price}",
        ),
        Line(
            "imbalance",
            imbalance * sale.system_price,
            "settled",
            f"{imbalance} MWh at the system price {sale.system_price}",
        ),
    ]
    if sale.fee:
        lines.append(Line("fee", -sale.fee * abs(sale.deviation), "settled", f"{sale.fee} per MWh"))
    return lines


def supplier_compensation(deviation: Decimal, rate: Decimal) -> Line:
    """What suppliers get of each other for the volume: information, paid by nobody here."""
    detail = f"{deviation} MWh at the reference price {rate}, mutualised among suppliers"
    return Line("supplier_compensation", deviation * rate, "information", detail)


def direct_compensation(volume: Decimal, rate: Decimal) -> Line:
    """P444 as one secondary source has it: for an accepted offer (volume +) the VLP pays, else it is paid."""
    detail = f"{volume} MWh at {rate}; formula and start not verified"
    return Line("p444_compensation", -volume * rate, "model", detail)


P444_MODELS: Mapping[str, Callable[[Decimal, Decimal], Line]] = {"direct": direct_compensation}


@dataclass(frozen=True, slots=True)
class Use:
    """A period of a contract that pays for what is delivered; MWh, and prices per MWh."""

    delivered: Decimal
    offered: Decimal
    price: Decimal
    penalty: Decimal = Decimal(0)  # of what is short of the offer
    availability: Decimal = Decimal(0)  # per MW and hour, in proportion to what was kept
    least_share: Decimal = Decimal(0)  # of the offer, below which use is not paid
    most_share: Decimal = Decimal(1)  # of the offer, up to which use is paid
    fee: Decimal = Decimal(0)

    @property
    def paid_volume(self) -> Decimal:
        """The MWh that are paid for."""
        if self.delivered < self.offered * self.least_share:
            return Decimal(0)
        return min(self.delivered, self.offered * self.most_share)


def performance(use: Use) -> list[Line]:
    """Pay for what was delivered up to the offer, penalty for what is short of it, availability, fee."""
    paid, short = use.paid_volume, max(Decimal(0), use.offered - use.delivered)
    lines = [Line("pay", paid * use.price, "settled", f"{paid} MWh at {use.price}")]
    if short and use.penalty:
        detail = f"{short} MWh short at {use.penalty}"
        lines.append(Line("penalty", -short * use.penalty, "settled", detail))
    if use.availability and use.offered:
        kept = min(Decimal(1), use.delivered / use.offered)
        amount = use.offered * use.availability * kept
        detail = f"{use.offered} MW h at {use.availability}, {kept:.1%} kept"
        lines.append(Line("availability", amount, "settled", detail))
    if use.fee and paid:
        lines.append(Line("fee", -use.fee * paid, "settled", f"{use.fee} per MWh"))
    return lines


def net(lines: Sequence[Line]) -> Decimal:
    """The sum of what is settled."""
    return sum((line.amount for line in lines if line.basis == "settled"), Decimal(0))
