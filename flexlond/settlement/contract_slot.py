"""A slot of a contract that is no settlement period, settled by what both of its sides saw in `on_status`.

Law: pure; Decimal; DEG's pay and penalty (deg.py) with the product's shares, exact in money. What counts is the
delivery that is on record, as it was told: the baseline of the contract and the metered use. Without one, or
with one that was not measured, nothing is claimed and nothing paid; in a final run it counts as nothing
delivered (I6). Two contracts of one slot do not share Wh: the baseline of the later one is the plan under the
earlier. Whole Wh are for people: what is claimed is rounded down.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import SettlementPeriod
from flexlond.settlement import cash
from flexlond.settlement.record import CashLine, Part, Record
from flexlond.settlement.recorder import plain

if TYPE_CHECKING:
    from flexlond.settlement.inputs import Delivery
    from flexlond.settlement.orders import Interval, Order
    from flexlond.settlement.terms import Terms

ZERO = Decimal(0)
_KW_SECONDS = Decimal(3_600_000)  # in a MWh


def contract_slot(
    order: Order, one: Interval, seen: Delivery | None, terms: Terms, *, final: bool
) -> Record:
    """The record of one slot; `seen` is None where nothing was."""
    product = terms.products[order.product]
    usable = seen is not None and seen.quality in product.claimable
    problems = []
    if seen is None:
        problems.append("no metered use of the slot is on record")
    elif not usable:
        problems.append(f"the use is {seen.quality} ({seen.source})")
    elif seen.length != one.length:
        problems.append(f"a slot of {seen.length} s is on record, {one.length} s were sold")
    if order.confirmed_at > one.start:
        problems.append("the order was confirmed after the slot had begun")
    delivered = ZERO
    if seen is not None and not problems:
        delivered = _mwh(max(ZERO, seen.baseline_kw - seen.usage_kw), one.length)
    use = cash.Use(
        delivered,
        _mwh(Decimal(one.offered_w) / 1000, one.length),
        one.price,
        one.penalty,
        one.availability,
        product.least_share,
        product.most_share,
        product.fee_per_mwh,
    )
    lines = cash.performance(use) if final or not problems else []
    money = cash.net(lines)
    period = SettlementPeriod.at(one.start)
    volume = terms.rounding.volume
    expected = None if seen is None else _mwh(seen.baseline_kw, one.length)
    metered = None if seen is None else _mwh(seen.usage_kw, one.length)
    quality = "missing" if seen is None else seen.quality.value
    return Record(
        settlement_date=period.date.isoformat(),
        settlement_period=period.number,
        start=one.start,
        length=one.length,
        gate_closure=period.gate_closure,
        order=order.id,
        product=product.name,
        currency=order.currency,
        points=list(order.points),
        activity=[product.activity.value],
        event_day=True,
        state="settled" if final or not problems else "incomplete",
        problems=problems,
        method="none" if seen is None else "nominated",
        profile="the contract's baseline",
        baseline_days={},
        bl01_wh=None,
        nominated_wh=_wh(expected),
        adjustment_wh=0,
        adjustment_window=[],
        adjustment_detail="",
        expected_wh=_wh(expected),
        metered_wh=_wh(metered),
        quality=quality,
        uncertainty_wh=0,
        parts=[
            Part(
                "+".join(order.points),
                "none" if seen is None else "nominated",
                _wh(expected),
                _wh(metered),
                quality,
            )
        ],
        offered_wh=one.offered_wh,
        delivered_wh=math.floor(delivered * cash.WH_IN_MWH),
        claimed_wh=math.floor(use.paid_volume * cash.WH_IN_MWH),
        shortfall_wh=max(0, one.offered_wh - math.floor(delivered * cash.WH_IN_MWH)),
        expected_mwh="" if expected is None else str(volume(-expected)),
        metered_mwh="" if metered is None else str(volume(-metered)),
        deviation_mwh=str(volume(delivered)),
        settled_mwh=str(volume(delivered)),
        contracted_mwh=str(volume(ZERO)),
        loss_factor="1",
        cash=[CashLine(line.kind, plain(line.amount), line.basis, line.detail) for line in lines],
        net=plain(money),
        site=plain(money * product.site_share),
        rounding=str(terms.rounding),
        evidence=_references(order, seen),
        terms=terms.digest,
    )


def _references(order: Order, seen: Delivery | None) -> list[str]:
    found = [f"order:{order.id}", *order.references]
    if seen is not None:
        found.append(
            f"delivery:{order.id}@{seen.start} {seen.baseline_kw} - {seen.usage_kw} kW {seen.source}"
        )
    return found


def _mwh(kw: Decimal, seconds: int) -> Decimal:
    return kw * seconds / _KW_SECONDS


def _wh(mwh: Decimal | None) -> int | None:
    """Half up."""
    return None if mwh is None else math.floor(mwh * cash.WH_IN_MWH + Decimal("0.5"))
