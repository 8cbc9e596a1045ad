"""A settlement run: what is claimed, what is not, and that it never exceeds the evidence (I6)."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.settlement.inputs import SYSTEM_PRICE
from flexlond.settlement.orders import Interval, Order, OrderError, from_plain, to_plain
from flexlond.settlement.readings import Quality, Reading, alike, best_of
from flexlond.settlement.record import record_from_json, to_csv, to_json
from flexlond.settlement.run import settle_day
from flexlond.settlement.sampled import Limits, from_counter
from flexlond.settlement.terms import PRODUCTS, Product, Terms
from tests.unit.settlement.settlekit import (
    DAY,
    POINT,
    at,
    flat_history,
    inputs,
    nominated,
    order,
    reading,
    value,
)

if TYPE_CHECKING:
    from flexlond.settlement.record import Record

NOMINATED = Terms(baseline="nominated")
SP = at(37)


def one(
    wh: int = 400,
    quality: Quality = Quality.MEASURED,
    *,
    final: bool = False,
    terms: Terms = NOMINATED,
    product: str = "dfs",
    base: int | None = 1000,
    **more: str,
) -> Record:
    """One period in which 1,000 Wh were expected and 500 Wh offered."""
    own = replace(terms.products[product], baseline="nominated", losses=False)
    terms = replace(terms, products={product: own})
    data = inputs(
        [reading(SP, wh, quality)],
        [order([SP], 1.0, "200", product, **more)],
        nominations=[nominated(SP, base)] if base is not None else [],
        values=[value(SYSTEM_PRICE, SP, "100")],
    )
    (record,) = settle_day(DAY, data, terms, final=final).records
    return record


def test_paid_is_what_was_delivered_up_to_the_offer() -> None:
    record = one(400)
    assert (record.delivered_wh, record.claimed_wh, record.shortfall_wh) == (600, 500, 0)
    assert Decimal(record.net) == Decimal("0.1")  # 0.0005 MWh x 200
    less = one(800)
    assert (less.delivered_wh, less.claimed_wh, less.shortfall_wh) == (200, 200, 300)


def test_a_shortfall_costs_its_penalty() -> None:
    record = one(800, penalty="50")
    kinds = {line.kind: Decimal(line.amount) for line in record.cash}
    assert kinds == {"pay": Decimal("0.04"), "penalty": Decimal("-0.015")}


@pytest.mark.parametrize("quality", [Quality.SUBSTITUTED, Quality.ESTIMATED, Quality.MISSING])
def test_without_a_measured_reading_nothing_is_claimed_or_paid(quality: Quality) -> None:
    record = one(400, quality, penalty="50")
    assert record.state == "incomplete"
    assert (record.delivered_wh, record.claimed_wh, record.cash) == (0, 0, [])
    assert record.problems == [f"{POINT}: the reading is {quality}"]
    assert record.quality == quality.value


def test_a_contract_may_take_substituted_readings() -> None:
    own = replace(PRODUCTS["dfs"], claimable=frozenset({Quality.MEASURED, Quality.SUBSTITUTED}))
    assert (
        one(400, Quality.SUBSTITUTED, terms=replace(NOMINATED, products={"dfs": own})).claimed_wh
        == 500
    )


def test_a_final_run_counts_what_is_missing_as_not_delivered() -> None:
    record = one(400, Quality.MISSING, penalty="50", final=True)
    assert (record.state, record.claimed_wh, record.delivered_wh) == ("settled", 0, 0)
    assert Decimal(record.net) == Decimal("-0.025")  # 0.0005 MWh x 50
    assert record.problems


def test_without_a_baseline_nothing_is_claimed() -> None:
    record = one(400, base=None)
    assert (record.state, record.method, record.expected_wh, record.expected_mwh) == (
        "incomplete",
        "none",
        None,
        "",
    )
    assert "none was fixed before gate closure" in record.problems[0]


def test_a_wholesale_period_waits_for_its_system_price() -> None:
    own = replace(PRODUCTS["p415"], baseline="nominated")
    data = inputs([reading(SP, 400)], [order([SP], 1.0)], nominations=[nominated(SP, 1000)])
    (record,) = settle_day(
        DAY, data, replace(NOMINATED, products={"p415": own}), final=True
    ).records
    assert (record.state, record.claimed_wh) == ("incomplete", 0)
    assert record.problems == ["no system price for the period yet"]


def test_bl01_falls_back_to_the_nomination_and_says_so() -> None:
    few = flat_history(DAY, 1000, count=3)
    data = inputs(
        [*few, reading(SP, 400)],
        [order([SP], 1.0, product="dfs")],
        nominations=[nominated(SP, 900)],
    )
    (record,) = settle_day(DAY, data, Terms()).records
    assert (record.method, record.expected_wh, record.state) == ("nominated", 900, "settled")
    assert "1 eligible working days in 60; 5 are needed" in record.problems[0]
    (strict,) = settle_day(DAY, data, Terms(fall_back=False)).records
    assert (strict.method, strict.state, strict.claimed_wh) == ("none", "incomplete", 0)


def test_both_baselines_are_kept_whatever_settles() -> None:
    data = inputs(
        [*flat_history(DAY, 1000), reading(SP, 400)],
        [order([SP], 1.0, product="dfs")],
        nominations=[nominated(SP, 900)],
    )
    result = settle_day(DAY, data, Terms())
    assert (result.records[0].bl01_wh, result.records[0].nominated_wh) == (1000, 900)
    (day,) = result.days
    assert day.bl01_wh == [1000] * 48
    assert day.nominated_wh[36] == 900
    assert day.nominated_wh[35] is None
    assert (day.metered_wh[36], day.metered_wh[0]) == (400, None)
    assert (day.quality[36], day.quality[0]) == ("measured", "missing")


def test_orders_of_one_point_never_claim_the_same_energy() -> None:
    orders = [
        order([SP], 1.0, "200", "dfs", name="late", confirmed=2),
        order([SP], 1.0, "100", "dfs", name="early", confirmed=1),
    ]
    data = inputs([reading(SP, 400)], orders, nominations=[nominated(SP, 1000)])
    products = {"dfs": replace(PRODUCTS["dfs"], baseline="nominated")}
    by_name = {
        r.order: r for r in settle_day(DAY, data, replace(NOMINATED, products=products)).records
    }
    assert by_name["early"].claimed_wh == 500
    assert (by_name["late"].claimed_wh, by_name["late"].shortfall_wh) == (100, 400)


def two_trades(metered: int, *, price: bool = True) -> dict[str, Record]:
    orders = [
        order([SP], 400.0, "150", name="a", confirmed=1),
        order([SP], 600.0, "150", name="b", confirmed=2),
    ]
    own = {"p415": replace(PRODUCTS["p415"], baseline="nominated"), "dfs": PRODUCTS["dfs"]}
    data = inputs(
        [reading(SP, metered * 1000)],
        [*orders, order([SP], 1000.0, "200", "dfs", name="c", confirmed=3)],
        nominations=[nominated(SP, 1_000_000)],
        values=[value(SYSTEM_PRICE, SP, "100")] if price else [],
    )
    return {r.order: r for r in settle_day(DAY, data, replace(NOMINATED, products=own)).records}


@pytest.mark.parametrize("metered", [600, 1000, 1200])
def test_trades_of_one_period_share_one_deviation_of_either_sign(metered: int) -> None:
    found = two_trades(metered)
    deviation = Decimal(1000 - metered) / 1000
    imbalance = sum(
        Decimal(line.amount) for r in found.values() for line in r.cash if line.kind == "imbalance"
    )
    assert imbalance == (deviation - Decimal("0.5")) * 100  # 0.2 and 0.3 MWh were sold
    assert found["c"].claimed_wh == 0


def test_while_a_price_is_lacking_nobody_else_claims_the_energy() -> None:
    found = two_trades(600, price=False)
    assert (found["a"].state, found["a"].claimed_wh) == ("incomplete", 0)
    assert (found["c"].claimed_wh, found["c"].delivered_wh) == (0, 0)


def test_an_order_confirmed_after_the_fact_gets_nothing() -> None:
    data = inputs(
        [reading(SP, 400)],
        [order([SP], 1.0, product="deg", confirmed=SP + 1)],
        nominations=[nominated(SP, 1000)],
    )
    (record,) = settle_day(DAY, data, NOMINATED).records
    assert (record.state, record.claimed_wh) == ("incomplete", 0)
    assert "confirmed after the period had begun" in record.problems[0]


def test_flags_of_a_period_name_every_activity_on_its_points() -> None:
    orders = [
        order([SP], 1.0, product="dfs", name="a"),
        order([SP], 1.0, product="dso", name="b", confirmed=2),
        order([SP], 1.0, product="deg", name="c", points=("other",)),
    ]
    data = inputs([], orders, points=(POINT, "other"), events={POINT: frozenset({DAY})})
    records = {r.order: r for r in settle_day(DAY, data, Terms()).records}
    assert records["a"].activity == ["dfs", "dso"]
    assert records["c"].activity == ["contract"]
    assert records["a"].event_day
    assert not records["c"].event_day


def test_several_points_net_unless_the_contract_counts_each() -> None:
    points = ("a", "b")
    readings = [reading(SP, 400, point="a"), reading(SP, 1500, point="b")]
    nominations = [nominated(SP, 1000, "a"), nominated(SP, 1000, "b")]
    for product, delivered in (("dfs", 100), ("deg", 600)):
        own = replace(PRODUCTS[product], baseline="nominated")
        data = inputs(
            readings,
            [order([SP], 1.0, product=product, points=points)],
            nominations=nominations,
            points=points,
        )
        (record,) = settle_day(DAY, data, replace(NOMINATED, products={product: own})).records
        assert record.delivered_wh == delivered
        assert (record.expected_wh, record.metered_wh) == (2000, 1900)


def test_a_dso_contract_pays_availability_and_use_above_its_floor() -> None:
    own = replace(PRODUCTS["dso"], least_share=Decimal("0.5"), most_share=Decimal("1.1"))
    terms = replace(NOMINATED, products={"dso": own})
    good = one(400, product="dso", availability="10", terms=terms)
    kinds = {line.kind: Decimal(line.amount) for line in good.cash}
    assert kinds == {
        "pay": Decimal("0.11"),
        "availability": Decimal("0.005"),
    }
    assert good.claimed_wh == 550
    poor = one(800, product="dso", availability="10", terms=terms)
    kinds = {line.kind: Decimal(line.amount) for line in poor.cash}
    assert kinds == {"pay": Decimal(0), "availability": Decimal("0.002")}
    assert poor.claimed_wh == 0


def test_an_unknown_product_or_grid_is_said() -> None:
    with pytest.raises(
        OrderError, match="product 'novel', which the terms do not have; they have bm"
    ):
        settle_day(DAY, inputs([], [order([SP], product="novel")]), Terms())
    odd = Order("o", "dfs", (POINT,), 1, (Interval(SP, 1000, Decimal(1), length=900),))
    with pytest.raises(OrderError, match="no settlement period"):
        settle_day(DAY, inputs([], [odd]), Terms())
    with pytest.raises(OrderError, match="follow one another"):
        order([SP, SP])
    with pytest.raises(OrderError, match="must be text"):
        from_plain(
            {**to_plain(order([SP])), "intervals": [{"start": SP, "offered_w": 1, "price": 0.1}]}
        )
    assert from_plain(to_plain(order([SP], penalty="1.5"))) == order([SP], penalty="1.5")


def test_an_order_over_midnight_is_settled_by_date() -> None:
    starts = [at(48), at(1, DAY + dt.timedelta(days=1))]
    crossing = order(starts, 1.0, product="dfs")
    assert [r.start for r in settle_day(DAY, inputs([], [crossing]), Terms()).records] == starts[:1]
    assert crossing.event_start(starts[1]) == starts[0]


def test_a_record_goes_through_json_and_csv() -> None:
    record = one(400)
    assert record_from_json(to_json(record)) == record
    assert to_json(record) == to_json(record_from_json(to_json(record)))
    (row,) = csv.DictReader(io.StringIO(to_csv([record])))
    assert row["delivered_wh"] == "600"
    assert row["expected_mwh"] == "-0.0010"
    assert row["settlement_period"] == "37"
    hostile = one(400, name="=cmd()")
    assert csv_order(hostile) == "'=cmd()"


def csv_order(record: Record) -> str:
    (row,) = csv.DictReader(io.StringIO(to_csv([record])))
    return row["order"]


def test_evidence_names_what_it_rests_on() -> None:
    record = one(400)
    assert record.evidence == [
        "order:order-1",
        f"reading:{POINT}@{SP}#1 test meter",
        f"nomination:{POINT}@{SP} fixed {SP - 7200}",
        f"system_price@{SP}#1 test",
    ]
    assert "ROUND_HALF_UP" in record.rounding


LIMITS = Limits(max_kw=200.0, max_gap=180.0)


def faulty(dice: random.Random, kw: list[float], begin: int) -> list[tuple[float, float]]:
    """Samples of a counter by the minute, as a bad meter would give them."""
    total, samples = dice.choice([0.0, 5e5]), []
    for minute, load in enumerate(kw):
        samples.append((float(begin + 60 * minute), total))
        total += load * 60 / 3.6
    for _ in range(dice.randrange(3)):
        cut = dice.randrange(1, len(samples))
        samples = samples[:cut] + [(t, v - samples[cut][1]) for t, v in samples[cut:]]
    for _ in range(dice.randrange(3)):
        first = dice.randrange(len(samples))
        del samples[first : first + dice.randrange(1, 20)]
    if samples and dice.random() < 0.5:
        samples += dice.sample(samples, min(3, len(samples)))
        t, v = dice.choice(samples)
        samples.append((t, v + dice.choice([0.0, 5.0])))
    dice.shuffle(samples)
    return samples


@given(seed=st.integers(0, 2**32 - 1))
def test_claimed_energy_never_exceeds_metered_evidence(seed: int) -> None:
    """I6: two points, faulty meters, substituted and repeated values, orders that overlap."""
    dice = random.Random(seed)
    points, starts = ("a", "b"), [at(n) for n in range(30, 34)]
    true: dict[tuple[str, int], float] = {}
    readings: list[Reading] = []
    for point in points:
        kw = [dice.choice([0.0, 20.0, 90.0, 180.0]) for _ in range(30 * 4 + 120)]
        for number, start in enumerate(starts):
            inside = kw[60 + 30 * number : 90 + 30 * number]
            true[point, start] = sum(inside) * 60 / 3.6
        samples = faulty(dice, kw, starts[0] - 3600)
        metered = from_counter(point, samples, starts, LIMITS, source="counter")
        others = [
            Reading(point, start, dice.randrange(1000), dice.choice(list(Quality)[1:]), "collector")
            for start in starts
            if dice.random() < 0.5
        ]
        repeated = [
            alike(point, r.start, [r, replace(r, wh=r.wh + 1)])
            for r in metered
            if dice.random() < 0.2
        ]
        readings += (
            best_of(repeated, metered, others) if dice.random() < 0.5 else best_of(metered, others)
        )
    base = {(p, s): dice.randrange(100_000) for p in points for s in starts if dice.random() < 0.95}
    orders = [
        order(
            dice.choice([starts, starts[:2], starts[1:]]),
            float(dice.randrange(200)),
            product=dice.choice(["dfs", "deg", "p415"]),
            points=dice.choice([("a",), ("b",), points]),
            name=f"o{number}",
            confirmed=dice.randrange(5),
        )
        for number in range(dice.randrange(1, 5))
    ]
    products: dict[str, Product] = {
        name: replace(PRODUCTS[name], baseline="nominated") for name in ("dfs", "deg", "p415")
    }
    data = inputs(
        readings,
        orders,
        nominations=[nominated(s, wh, p) for (p, s), wh in base.items()],
        values=[value(SYSTEM_PRICE, s, "100") for s in starts],
        points=points,
    )
    known = {(r.point, r.start): r for r in readings}
    records = settle_day(
        DAY, data, replace(NOMINATED, products=products), final=dice.random() < 0.3
    ).records
    for record in records:
        assert 0 <= record.claimed_wh <= record.delivered_wh
        if not record.claimed_wh:
            continue
        evidence = [known[p, record.start] for p in record.points]
        assert all(r.quality is Quality.MEASURED for r in evidence)
        each = [base[p, record.start] - r.wh for p, r in zip(record.points, evidence, strict=True)]
        proven = sum(max(0, wh) for wh in each) if record.product == "deg" else sum(each)
        assert record.claimed_wh <= proven
    for start in starts:
        for point in points:
            here = [r for r in records if r.start == start and r.points == [point]]
            claimed = sum(r.claimed_wh for r in here)
            if claimed:
                reading_ = known[point, start]
                assert claimed <= base[point, start] - reading_.wh
                assert (
                    claimed <= base[point, start] - true[point, start] + reading_.uncertainty_wh + 1
                )
        together = sum(r.claimed_wh for r in records if r.start == start)
        most = sum(
            max(0, base[p, start] - known[p, start].wh)
            for p in points
            if (p, start) in base
            and (p, start) in known
            and known[p, start].quality is Quality.MEASURED
        )
        assert together <= most
