"""What `on_status` would carry of an order, and that the other side settles it to the same figure."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.beckn.wire import packs
from flexlond.settlement.deg import DegSlot, MeterKw, settle
from flexlond.settlement.deg_performance import NotSettledError, performance
from flexlond.settlement.nominated import Nomination, from_plan
from flexlond.settlement.readings import Quality
from flexlond.settlement.run import settle_day
from flexlond.settlement.terms import PRODUCTS, Rounding, Terms
from tests.unit.settlement.settlekit import DAY, at, inputs, nominated, order, reading

if TYPE_CHECKING:
    from flexlond.settlement.record import Record

POINTS = ("a", "b")
STARTS = [at(37), at(38)]


def records(quality: Quality = Quality.MEASURED) -> list[Record]:
    """Two meters, two half-hours, 100 kW offered at 200 and 50 per MWh; b rises in the second."""
    used = {("a", 0): 20_000, ("a", 1): 30_000, ("b", 0): 15_000, ("b", 1): 60_001}
    readings = [reading(STARTS[n], wh, point=p) for (p, n), wh in used.items()]
    readings[-1] = replace(readings[-1], quality=quality)
    data = inputs(
        readings,
        [order(STARTS, 100.0, "200", "deg", POINTS, "50")],
        nominations=[nominated(s, 50_000, p) for p in POINTS for s in STARTS],
        points=POINTS,
    )
    terms = Terms(products={"deg": replace(PRODUCTS["deg"], baseline="nominated")})
    return list(settle_day(DAY, data, terms).records)


def test_the_other_side_settles_what_we_say_to_our_own_figure() -> None:
    own = records()
    said = performance(own, "event-1", usage=True)
    read: Any = packs.read(said, "$")
    assert read.event_id == "event-1"
    assert said["methodology"] == "nominated"
    assert said["meters"][0]["telemetry"]["intervalPeriod"] == {
        "start": "2026-09-15T17:00:00Z",
        "duration": "PT30M",
    }
    meters = {
        meter["meterId"]: [
            MeterKw(*(Decimal(str(payload["values"][0])) for payload in interval["payloads"]))
            for interval in meter["telemetry"]["intervals"]
        ]
        for meter in said["meters"]
    }
    assert meters["b"] == [
        MeterKw(Decimal(100), Decimal(30)),
        MeterKw(Decimal(100), Decimal("120.002")),
    ]
    slots = [
        DegSlot(n, Decimal("0.5"), Decimal(100), Decimal("0.2"), Decimal("0.05")) for n in range(2)
    ]
    outcome = settle(slots, meters)
    ours = sum((Decimal(one.net) for one in own), Decimal(0))
    assert outcome.seller == Rounding().money(ours) == Decimal("12.50")  # 10.00, and 4.00 - 1.50


def test_usage_is_said_only_when_every_period_is_settled() -> None:
    own = records(Quality.ESTIMATED)
    with pytest.raises(NotSettledError, match="SP 38: b: the reading is estimated; settle again"):
        performance(own, "e", usage=True)
    baselines = performance(own, "e", usage=False)
    names = {d["payloadType"] for d in baselines["meters"][0]["telemetry"]["payloadDescriptors"]}
    assert names == {"BASELINE"}
    with pytest.raises(NotSettledError, match="needs its records"):
        performance([], "e", usage=True)


def test_a_plan_is_fixed_for_the_periods_whose_gate_is_open() -> None:
    begin = at(1)
    found = from_plan("m", begin, 1800, [10.0, math.nan, 30.0, 40.0], begin)
    assert found == [
        Nomination("m", begin + 2 * 1800, 15_000, begin),
        Nomination("m", begin + 3 * 1800, 20_000, begin),
    ]
    fine = from_plan("m", begin, 600, [6.0, 12.0, 18.0, 6.0], begin - 7200)
    assert [(one.start, one.wh) for one in fine] == [(begin, 6000)]
    hours = from_plan("m", begin, 3600, [10.0], begin - 7200)
    assert [(one.start, one.wh) for one in hours] == [(begin, 5000), (begin + 1800, 5000)]
    assert from_plan("m", begin, 1800, [10.0], begin - 3599) == []
    assert dt.datetime.fromtimestamp(begin, dt.UTC).hour == 23
