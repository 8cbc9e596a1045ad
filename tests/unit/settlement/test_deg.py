"""Pay and penalty of DEG contracts: a case by hand, the published one, and the same through a run."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.settlement.deg import DegSlot, MeterKw, settle
from flexlond.settlement.run import settle_day
from flexlond.settlement.terms import Rounding, Terms
from tests.unit.settlement.settlekit import DAY, at, inputs, nominated, order, reading

if TYPE_CHECKING:
    from flexlond.settlement.record import Record

HALF = Decimal("0.5")
EXAMPLES = Path(__file__).resolve().parents[4] / "shared" / "beckn" / "examples" / "demand-flex"


def d(value: Any) -> Decimal:
    return Decimal(str(value))


def slot(number: int, offered: str, price: str = "0.2", penalty: str = "0.1") -> DegSlot:
    return DegSlot(number, HALF, d(offered), d(price), d(penalty))


def meter(*pairs: tuple[str | None, str | None]) -> list[MeterKw]:
    return [MeterKw(*(None if one is None else d(one) for one in pair)) for pair in pairs]


def test_a_case_by_hand() -> None:
    # Slot 0: 60 + 30 = 90 of 100 kW: 90 x 0.5 x 0.2 = 9.00, less 10 x 0.5 x 0.1 = 0.50.
    # Slot 1: one meter rose by 20 kW and counts as none, the other gave 50 of 40: 40 x 0.5 x 0.2 = 4.00.
    found = settle(
        [slot(0, "100"), slot(1, "40")],
        {"a": meter(("100", "40"), ("100", "120")), "b": meter(("50", "20"), ("80", "30"))},
    )
    assert [one.delivered_kw for one in found.slots] == [d(90), d(50)]
    assert [one.net for one in found.slots] == [d("8.5"), d("4")]
    assert found.seller == d("12.50")
    assert found.violations == ()
    flows = found.flows("GBP")
    assert sum(Decimal(str(flow["value"])) for flow in flows) == 0
    assert [flow["role"] for flow in flows] == ["buyer", "seller"]


def test_a_push_of_baselines_alone_settles_nothing() -> None:
    found = settle([slot(0, "100")], {"a": meter(("100", None))})
    assert found.seller is None
    assert found.flows("GBP") == []
    assert found.violations == ("meter a has no usage in interval 0",)
    assert settle([slot(0, "1"), slot(1, "1")], {"a": meter(("1", "1"))}).violations == (
        "meter a has 1 of 2 intervals",
    )
    assert settle([], {}).violations == ("there are no slots or no meters",)


def published(name: str) -> tuple[list[DegSlot], dict[str, list[MeterKw]], str]:
    """The inputs as the example's messages have them."""
    contract = json.loads((EXAMPLES / name).read_text("utf-8"))["message"]["contract"]
    (commitment,) = contract["commitments"]

    def column(intervals: list[Any], wanted: str) -> list[Decimal]:
        return [
            d(payload["values"][0])
            for interval in intervals
            for payload in interval["payloads"]
            if payload["type"] == wanted
        ]

    need = commitment["resources"][0]["resourceAttributes"]
    assert need["intervalPeriod"]["duration"] == "PT30M"
    offered = column(commitment["commitmentAttributes"]["intervals"], "CAPACITY_OFFERED")
    prices = column(need["intervals"], "PRICE")
    penalties = column(need["intervals"], "SHORTFALL_PENALTY")
    slots = [
        DegSlot(n, HALF, *terms)
        for n, terms in enumerate(zip(offered, prices, penalties, strict=True))
    ]
    meters = {}
    for one in contract["performance"][0]["performanceAttributes"]["meters"]:
        rows = one["telemetry"]["intervals"]
        meters[one["meterId"]] = [
            MeterKw(b, u)
            for b, u in zip(column(rows, "BASELINE"), column(rows, "USAGE"), strict=True)
        ]
    flows = contract["contractAttributes"].get("revenueFlows", [])
    said = next((str(flow["value"]) for flow in flows if flow["role"] == "seller"), "")
    return slots, meters, said


@pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="DEG's examples are not beside the project (../shared/beckn)"
)
@pytest.mark.parametrize("name", ["actuals", "settled"])
def test_the_published_example_settles_to_its_own_figure(name: str) -> None:
    slots, meters, said = published(f"uc1/on-status-response-{name}.json")
    found = settle(slots, meters)
    assert [one.net for one in found.slots] == [d("237.5"), d("198.75")]
    assert found.seller == d("436.25")
    assert said in {"", "436.25"}


kilowatts = st.integers(0, 500)


@given(
    rows=st.lists(
        st.tuples(kilowatts, kilowatts, kilowatts, st.integers(0, 900), st.integers(0, 900)),
        min_size=1,
        max_size=6,
    )
)
def test_the_record_s_arithmetic_is_the_contract_s(rows: list[tuple[int, ...]]) -> None:
    """The same contract by kW and through a settlement run by Wh."""
    slots = [
        DegSlot(n, HALF, d(offer), d(price) / 1000, d(penalty) / 1000)
        for n, (_, _, offer, price, penalty) in enumerate(rows)
    ]
    meters = {"m": [MeterKw(d(base), d(use)) for base, use, *_ in rows]}
    by_contract = settle(slots, meters)
    starts = [at(20 + n) for n in range(len(rows))]
    orders = [
        order(
            [start],
            offer,
            str(price),
            "deg",
            ("m",),
            str(penalty),
            name=f"o{n}",
        )
        for n, (start, (_, _, offer, price, penalty)) in enumerate(zip(starts, rows, strict=True))
    ]
    data = inputs(
        [
            reading(start, use * 500, point="m")
            for start, (_, use, *_) in zip(starts, rows, strict=True)
        ],
        orders,
        nominations=[
            nominated(start, base * 500, "m")
            for start, (base, *_) in zip(starts, rows, strict=True)
        ],
        points=("m",),
    )
    records: tuple[Record, ...] = settle_day(DAY, data, Terms(baseline="nominated")).records
    total = sum((Decimal(record.net) for record in records), Decimal(0))
    assert Rounding().money(total) == by_contract.seller
