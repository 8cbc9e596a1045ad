"""The worked examples of the market notes, to the penny."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flexlond.settlement import cash, work
from flexlond.settlement.adjustment import adjustment
from flexlond.settlement.baseline import BL01
from flexlond.settlement.inputs import REFERENCE_PRICE, SYSTEM_PRICE
from flexlond.settlement.run import settle_day
from flexlond.settlement.terms import PRODUCTS, Rounding, Terms
from tests.unit.settlement.settlekit import DAY, at, flat_history, inputs, order, reading, value

if TYPE_CHECKING:
    from flexlond.settlement.record import Record

ROUND = Rounding()


def p415(
    kw: float = 800.0, metered: int = 620_000, terms: Terms | None = None, product: str = "p415"
) -> Record:
    """B 1.000 MWh, M 0.620 MWh, sold 0.400 MWh at 140; system price 165, reference price 98.53."""
    start = at(37)
    prices = [value(SYSTEM_PRICE, start, "165"), value(REFERENCE_PRICE, start, "98.53")]
    window = [reading(at(n), 1_046_670) for n in range(29, 35)]
    data = inputs(
        [*flat_history(DAY, 1_000_000), *window, reading(start, metered)],
        [order([start], kw, product=product)],
        values=prices,
    )
    (record,) = settle_day(DAY, data, terms or Terms()).records
    return record


def test_wholesale_activity_alone_is_not_adjusted_and_settles_to_the_penny() -> None:
    record = p415()
    assert record.state == "settled"
    assert (record.bl01_wh, record.metered_wh, record.adjustment_wh) == (1_000_000, 620_000, 0)
    assert (record.expected_mwh, record.metered_mwh) == ("-1.0000", "-0.6200")
    assert (record.deviation_mwh, record.contracted_mwh) == ("0.3800", "0.400")
    amounts = {line.kind: (ROUND.money(Decimal(line.amount)), line.basis) for line in record.cash}
    assert amounts["trade"] == (Decimal("56.00"), "settled")
    assert amounts["imbalance"] == (Decimal("-3.30"), "settled")
    assert amounts["supplier_compensation"] == (Decimal("37.44"), "information")
    assert ROUND.money(Decimal(record.net)) == Decimal("52.70")
    assert record.gate_closure == int(dt.datetime(2026, 9, 15, 16, tzinfo=dt.UTC).timestamp())


def test_with_an_acceptance_the_baseline_is_adjusted_by_the_window_before_gate_closure() -> None:
    record = p415(product="bm")
    assert record.adjustment_wh == 46_670
    assert record.adjustment_window == [at(n) for n in range(29, 35)]
    assert record.deviation_mwh == "0.4267"


def test_losses_scale_the_deviation() -> None:
    record = p415(terms=Terms(line_loss=Decimal("1.05"), transmission_loss=Decimal("0.99")))
    assert record.settled_mwh == "0.3950"  # 0.38 x 1.0395 = 0.39501
    assert record.deviation_mwh == "0.3800"


def test_turn_up_is_negative() -> None:
    record = p415(metered=1_100_000)
    assert (record.deviation_mwh, record.delivered_wh, record.claimed_wh) == ("-0.1000", 0, 0)
    assert ROUND.money(Decimal(record.net)) == Decimal("56.00") + Decimal("-82.50")


def test_the_supplier_cash_of_the_real_days_is_volume_times_the_reference_price() -> None:
    line = cash.supplier_compensation(Decimal("0.380"), Decimal("87.21"))
    assert ROUND.money(line.amount) == Decimal("33.14")
    assert line.basis == "information"


def test_p444_is_off_unless_switched_on_and_never_counts() -> None:
    off = p415(product="bm")
    assert "p444_compensation" not in {line.kind for line in off.cash}
    for terms in (Terms(p444="direct"), Terms(p444="direct", p444_from=DAY + dt.timedelta(days=1))):
        assert "p444_compensation" not in {
            line.kind for line in p415(product="bm", terms=terms).cash
        }
    on = p415(product="bm", terms=Terms(p444="direct", p444_from=DAY))
    line = next(one for one in on.cash if one.kind == "p444_compensation")
    assert (line.basis, ROUND.money(Decimal(line.amount))) == (
        "model",
        Decimal("-42.04"),
    )  # 0.4267 x 98.53
    assert on.net == off.net
    bid = cash.direct_compensation(Decimal("-0.5"), Decimal("98.53"))
    assert ROUND.money(bid.amount) == Decimal("49.27")  # 49.265, half up


def test_the_site_gets_its_share() -> None:
    shared = replace(PRODUCTS["p415"], site_share=Decimal("0.7"))
    record = p415(terms=Terms(products={"p415": shared}))
    assert Decimal(record.site) == Decimal(record.net) * Decimal("0.7")


def test_the_adjustment_says_what_lies_in_the_day_before() -> None:
    early = at(5)
    metered = {at(n): reading(at(n), 120) for n in range(1, 5)}
    base = dict.fromkeys(metered, 100)
    found = adjustment(early, metered, base, BL01)
    assert (found.window, found.wh, found.applied) == ((at(1), at(2)), 20, True)
    assert found.detail == "4 periods of its window lie in the day before"


def test_cost_and_carbon_of_a_job() -> None:
    starts, pue = [at(1), at(2), at(3)], Decimal("1.3")
    kw = [12, 12, 11]
    embodied = work.embodied(Decimal(1500), Decimal(4), Decimal("1.5"), Decimal(1))
    done = [
        work.Work(
            s,
            "job",
            "job",
            Decimal(1 if i == 0 else 0),
            int(p * 500 * pue),
            embodied if i == 0 else Decimal(0),
        )
        for i, (s, p) in enumerate(zip(starts, kw, strict=True))
    ]
    prices = {s: value("p", s, p) for s, p in zip(starts, ("240", "200", "120"), strict=True)}
    carbon = {s: value("c", s, c) for s, c in zip(starts, ("180", "140", "90"), strict=True)}
    (unit,) = work.per_unit(done, prices, carbon)
    assert unit.wh == 22_750
    assert unit.cost is not None
    assert ROUND.money(unit.cost) == Decimal("4.29")
    assert unit.carbon_g == Decimal("3139.5")
    assert round(unit.embodied_g, 1) == Decimal("64.2")
    assert unit.sci is not None
    assert round(unit.sci, 1) == Decimal("3203.7")


def test_the_sci_specification_s_own_figure_for_an_hour_of_a_server() -> None:
    assert int(work.embodied(Decimal(1000), Decimal(4), Decimal(1), Decimal(1))) == 28


def test_a_price_that_is_lacking_gives_no_cost() -> None:
    done = [work.Work(at(1), "j", "inference", Decimal(10), 1000)]
    (unit,) = work.per_unit(done, {}, {})
    assert (unit.cost, unit.carbon_g, unit.sci, unit.cost_per_unit) == (None, None, None, None)


@functools.cache
def shared_notes() -> str:
    return (Path(__file__).resolve().parents[4] / "shared" / "market.md").read_text("utf-8")


@pytest.mark.skipif(
    not (Path(__file__).resolve().parents[4] / "shared" / "market.md").is_file(),
    reason="the market notes are not beside the project (../shared/market.md)",
)
def test_the_figures_above_are_those_of_the_notes() -> None:
    for figure in ("0.3800", "-3.30", "52.70", "37.44", "+0.4267", "22.75 kWh", "3,203.7 g/job"):
        assert figure in shared_notes()
