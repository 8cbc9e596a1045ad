"""Slots that are no settlement periods settle as DEG says, claimed only if metered; old files are taken up."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from flexlond.agents.market.sales import Row, Sale, SaleState
from flexlond.agents.market.settled import deliveries_of, order_of
from flexlond.model.settlement_period import date_of
from flexlond.settlement import deg, runs
from flexlond.settlement.inputs import Delivery
from flexlond.settlement.issued import issued_since
from flexlond.settlement.orders import Interval, Order
from flexlond.settlement.readings import Quality
from flexlond.settlement.store import SettlementStore
from flexlond.settlement.terms import Terms
from tests.unit.daemon.books_kit import NOW

if TYPE_CHECKING:
    from collections.abc import Mapping


def minute_sale(rows: Mapping[int, Row], watts: int = 9000, slots: int = 4) -> Sale:
    return Sale(
        "txn",
        "order-1",
        "bap.test",
        60,
        {NOW + 60 * n: watts for n in range(slots)},
        dict.fromkeys((NOW + 60 * n for n in range(slots)), 0.25),
        0.0,
        float(NOW - 600),
        SaleState.OVER,
        rows=rows,
    )


def settle_sale(sale: Sale, *, final: bool = False) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        store = SettlementStore(Path(folder) / "settlement.db")
        order = order_of(
            sale, "site", "market", confirmed_at=NOW - 600, penalty=dict.fromkeys(sale.watts, 0.05)
        )
        store.add_orders([order], NOW)
        store.add_deliveries(deliveries_of(sale), NOW)
        day = date_of(NOW)
        ((result, _),) = runs.settle_range(store, day, day, Terms(), NOW, final=final)
        store.close()
    return list(result.records)


@given(
    st.lists(
        st.tuples(st.floats(0, 400), st.floats(0, 400), st.sampled_from(["metered", "modelled"])),
        min_size=4,
        max_size=4,
    )
)
@tries(max_examples=40, deadline=None)
def test_slots_of_a_minute_settle_as_deg_says_and_only_metered_ones_are_claimed(
    seen: list[tuple[float, float, str]],
) -> None:
    rows = {NOW + 60 * n: Row(*one) for n, one in enumerate(seen)}
    records = settle_sale(minute_sale(rows))
    for record, (base, usage, source) in zip(records, seen, strict=True):
        evidence = max(0.0, base - usage) / 60 * 1000
        assert record.claimed_wh <= evidence + 1e-3
        assert (record.state == "settled") == (source == "metered")
        if source != "metered":
            assert (record.claimed_wh, record.net) == (0, "0")
            continue
        slot = deg.DegSlot(0, Decimal(60) / 3600, Decimal(9), Decimal("0.25"), Decimal("0.05"))
        kw = [Decimal(repr(one)).quantize(Decimal("0.000001")) for one in (base, usage)]
        outcome = deg.settle([slot], {"site": [deg.MeterKw(*kw)]})
        assert float(record.net) == pytest.approx(float(outcome.slots[0].net), abs=1e-12)


def test_a_slot_that_no_meter_read_is_incomplete_and_in_a_final_run_not_delivered() -> None:
    rows = {NOW: Row(100.0, 90.0, "metered")}
    first, *others = settle_sale(minute_sale(rows))
    assert (first.state, first.claimed_wh) == ("settled", 150)
    assert {(one.state, one.claimed_wh, one.net) for one in others} == {("incomplete", 0, "0")}
    _, *others = settle_sale(minute_sale(rows), final=True)
    assert {(one.state, one.claimed_wh) for one in others} == {("settled", 0)}
    assert all(float(one.net) == pytest.approx(-0.15 * 0.05) for one in others)


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_a_version_before_is_taken_up(tmp_path: Path, version: int) -> None:
    path = tmp_path / "settlement.db"
    store = SettlementStore(path)
    order = Order("o", "deg", ("p",), 1, (Interval(NOW, 1000, Decimal(1)),))
    store.add_orders([order], NOW)
    dropped = ("statement",) if version == 2 else ("statement", "delivery")
    for name in dropped:
        store.db.connection.execute(f"DROP TABLE {name}")
    store.db.connection.execute(f"PRAGMA user_version={version}")
    store.close()
    store = SettlementStore(path)
    seen = Delivery("o", NOW, 60, Decimal(2), Decimal(1), Quality.MEASURED, "m")
    store.add_deliveries([seen], NOW)
    assert store.deliveries(NOW, NOW + 1) == [seen]
    assert issued_since(store, 0) == []
    assert store.orders(NOW, NOW + 1) == [order]
    store.close()
