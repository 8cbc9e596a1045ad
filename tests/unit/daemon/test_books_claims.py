"""Whatever the meter does, what is told and claimed is never more than what it shows (I6)."""

from __future__ import annotations

import asyncio
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from flexlond.agents.power_log import PowerLog
from flexlond.model.metering import SCALED, Modelled, Reading, ReadingQuality, mean_kw
from flexlond.model.settlement_period import date_of
from flexlond.settlement import runs
from flexlond.settlement.store import SettlementStore
from tests.unit.agents.conftest import SLOT
from tests.unit.agents.market.kit import NodesMeter
from tests.unit.daemon.books_kit import BEGIN, END, NOW, SOLD, once, terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.agents.market.kit import Deal


class Memory:
    """A power store that has nothing."""

    def add(self, readings: Sequence[Reading], modelled: Modelled | None, before: int) -> None:
        pass

    def readings(self, since: int) -> Sequence[Reading]:
        return []

    def modelled(self, since: int) -> Sequence[Modelled]:
        return []

    def add_slots(self, window_id: int, slots: Any) -> None:
        pass

    def slots(self, window_id: int) -> Sequence[Any]:
        return []


class Faulty:
    """A meter that says what it was told to."""

    configured = True

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings

    def reading(self, now: int) -> Reading:
        return self._readings[-1]

    def take(self) -> Sequence[Reading]:
        return self._readings


FAULTS = st.lists(
    st.sampled_from(["ok"] * 6 + ["gone", "twice", "stuck", "low", "late", "scaled"]),
    min_size=60,
    max_size=60,
)


def read_with(faults: Sequence[str], kw: Sequence[float]) -> list[Reading]:
    """A reading every 100 s from BEGIN on, with faults; good ones are all that the port hands out."""
    found: list[Reading] = []
    for number, fault in enumerate(faults):
        at = BEGIN - 200 + 100 * number
        value = kw[number % len(kw)]
        if fault == "gone":
            continue
        if fault == "stuck" and found:
            at, value = found[-1].at, found[-1].kw
        if fault == "low":
            value = 0.0
        source = f"{SCALED} nodes" if fault == "scaled" else "meter"
        found.append(Reading(at, value, source, ReadingQuality.GOOD))
        if fault == "twice":
            found.append(Reading(at, value + 1.0, "meter", ReadingQuality.GOOD))
        if fault == "late" and len(found) > 1:
            found[-1], found[-2] = found[-2], found[-1]
    return found


def test_what_is_claimed_is_never_more_than_what_the_meter_shows(deal: Deal) -> None:
    deal.metered(NodesMeter(deal.bench.slurm))

    async def sell() -> str:
        await deal.cycle()
        return await deal.order(SOLD, BEGIN)

    txn = asyncio.run(sell())
    window = deal.bench.agent.window_of(deal.sale(txn).order_id)
    assert window is not None
    agent, hold = deal.bench.agent, deal.settings.meter.max_age
    asyncio.run(once(deal, deal.folder / "fixed.db"))
    fixed = SettlementStore(deal.folder / "fixed.db")
    nominations, orders = fixed.nominations(BEGIN, END), fixed.orders(BEGIN, END)
    fixed.close()
    deal.bench.slurm.now = END + 3600
    claims = 0

    @given(FAULTS, st.lists(st.floats(0, 200), min_size=1, max_size=60), st.floats(0, 200))
    @tries(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def run(faults: list[str], kw: list[float], model: float) -> None:
        nonlocal claims
        readings = read_with(faults, kw)
        log = PowerLog(Memory(), Faulty(readings), deal.now)
        for at in range(BEGIN - 60, END + 60, 60):
            log.see(Modelled(at, model, 0.0), at)
        agent.power = log
        kept = {one.at: one for one in readings}  # the newest word about a moment stands
        series = [kept[at] for at in sorted(kept) if kept[at].measured]
        evidence = {}
        for number, at in enumerate((BEGIN, BEGIN + SLOT)):
            mean, share = mean_kw(series, at, at + SLOT, hold)
            whole = share >= 1 - 1e-9
            evidence[at] = max(0.0, window.baseline[number] - mean) if whole else 0.0
        told_slots = deal.seller.works.progress(deal.sale(txn).promise, float(deal.now))
        for slot in told_slots:
            if math.isfinite(slot.usage_kw):
                claims += 1
                assert slot.baseline_kw - slot.usage_kw <= evidence[slot.start] + 1e-6
                assert evidence[slot.start] > 0 or slot.usage_kw >= slot.baseline_kw
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "settlement.db"
            store = SettlementStore(path)
            store.add_nominations(nominations, NOW)
            store.add_orders(orders, NOW)
            store.close()
            asyncio.run(once(deal, path))
            store = SettlementStore(path)
            day = date_of(BEGIN)
            ((result, _),) = runs.settle_range(store, day, day, terms(), deal.now)
            for one in result.records:
                assert one.claimed_wh <= evidence[one.start] * SLOT / 3.6 + 1
                claims += one.claimed_wh > 0
            store.close()

    run()
    assert claims > 10
