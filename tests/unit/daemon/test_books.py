"""From a sold order to its settlement: metered, told, filed and noted; the same after a kill at any write."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.market.sales import SaleState
from flexlond.daemon.books import Books
from flexlond.model.settlement_period import GATE, date_of
from flexlond.settlement import runs
from flexlond.settlement.database import Database
from flexlond.settlement.record import digest, to_csv, to_json
from flexlond.settlement.statement import statement
from flexlond.settlement.store import SettlementStore
from tests.unit.agents.conftest import SLOT
from tests.unit.agents.market.kit import NodesMeter, told
from tests.unit.daemon.books_kit import (
    BEGIN,
    END,
    SOLD,
    Noted,
    as_the_buyer,
    deliver,
    reckoned,
    terms,
    turn,
    used,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.agents.market.kit import Deal


async def test_an_order_is_sold_delivered_metered_settled_and_exported(deal: Deal) -> None:
    """The figures of statement and buyer are those of a reckoning from what the exporter said."""
    notary, path = Noted(), deal.folder / "settlement.db"
    txn, said = await deliver(deal, lambda: Books(deal.settings, deal.bench.agent, notary, path))
    assert deal.states(txn) == ("COMPLETE", "COMPLETE")
    sale = deal.sale(txn)
    window = deal.bench.agent.window_of(sale.order_id)
    assert window is not None
    drawn = [used(said, at) for at in (BEGIN, BEGIN + SLOT)]
    pay = reckoned(sale, window.baseline, drawn)
    full, short = (base - kw for base, kw in zip(window.baseline, drawn, strict=True))
    assert full > SOLD[0]
    assert 0 < short < SOLD[1]  # a shortfall is among it

    columns = told(deal.buyer.last("on_status"))
    assert list(columns["USAGE"].values()) == pytest.approx(drawn, abs=1e-5)
    assert list(columns["BASELINE"].values()) == pytest.approx(window.baseline, abs=1e-5)
    assert float(as_the_buyer(sale, columns)) == pytest.approx(pay, abs=0.006)

    store = SettlementStore(path)
    day = date_of(BEGIN)
    ((result, run),) = runs.settle_range(store, day, day, terms(), deal.now)
    assert run.new
    assert [one.problems for one in result.records] == [[], []]
    for one, base, kw, sold in zip(result.records, window.baseline, drawn, SOLD, strict=True):
        assert (one.order, one.state, one.quality) == (sale.order_id, "settled", "measured")
        assert one.metered_wh == pytest.approx(kw * 500, abs=1)
        assert one.nominated_wh == pytest.approx(base * 500, abs=1)
        assert one.claimed_wh == pytest.approx(min(base - kw, sold) * 500, abs=1)
    assert sum(float(one.net) for one in result.records) == pytest.approx(pay, abs=0.002)
    made = statement(runs.month_inputs(store, day), terms())
    assert float(made.revenue["GBP"]) == pytest.approx(pay, abs=0.006)
    assert sale.order_id in to_csv(result.records)
    fixed = store.nominations(BEGIN, END)
    assert [(one.start, one.in_time) for one in fixed] == [(BEGIN, True), (BEGIN + SLOT, True)]
    store.close()
    assert notary.kinds() == {"message", "signal", "reading", "baseline", "decision"}
    assert txn not in repr(notary.notes)
    decided = {
        body["decision"]: body for (kind, _), body in notary.notes.items() if kind == "decision"
    }
    assert set(decided) == {"plan", "window", "order kept", "order over"}
    assert decided["order over"]["watts"] == [round(1000 * kw) for kw in SOLD]
    assert decided["window"]["order"] == sale.order_id
    assert decided["window"]["baseline_watts"] == [round(1000 * kw) for kw in window.baseline]

    # Settled meanwhile: the run is on record, and by itself what it came to for each order.
    settling = Books(deal.settings, deal.bench.agent, notary, path)
    await turn(settling, deal)
    await settling.close()
    name = f"{day}#1"
    assert notary.notes["settlement", name]["digest"] == run.digest
    of_order = notary.notes["settlement", f"{name} {sale.order_id}"]
    assert of_order["claimed_wh"] == sum(one.claimed_wh for one in result.records)
    assert float(str(of_order["net"])) == pytest.approx(pay, abs=0.002)
    assert of_order["digest"] == digest(to_json(one) for one in result.records)


async def test_killed_at_every_write_the_records_are_the_same(
    deal: Deal, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal.metered(NodesMeter(deal.bench.slurm))
    await deal.cycle()
    txn = await deal.order(SOLD, BEGIN)

    def rows(path: Path) -> dict[str, Any]:
        db = Database(path)
        names = [n for (n,) in db.rows("SELECT name FROM sqlite_master WHERE type='table'")]
        found = {name: db.rows(f"SELECT * FROM {name}") for name in names}  # noqa: S608 - its own
        db.close()
        return found

    async def live(path: Path, die: int) -> tuple[int, Noted]:
        """Turns at the same moments with a kill at write number `die`, and again after it."""
        notary, count = Noted(), [0]
        real = Database.transaction

        def counted(self: Database) -> Any:
            count[0] += 1
            if count[0] == die:
                raise KeyboardInterrupt
            return real(self)

        monkeypatch.setattr(Database, "transaction", counted)
        books = Books(deal.settings, deal.bench.agent, notary, path)
        for _ in range(3):
            try:
                await turn(books, deal)
            except KeyboardInterrupt:
                await books.close()  # what was not written before is not written by it
                books = Books(deal.settings, deal.bench.agent, notary, path)
        await books.close()
        monkeypatch.setattr(Database, "transaction", real)
        return count[0], notary

    while deal.now < END + 900:
        deal.bench.slurm.advance(300)
        await deal.cycle(fresh=False)
    assert deal.sale(txn).state is SaleState.OVER
    whole = deal.folder / "whole.db"
    steps, notary = await live(whole, 0)
    wanted = rows(whole)
    assert wanted["sale"]
    assert wanted["delivery"]
    assert wanted["reading"]
    assert steps >= 4
    for die in range(1, steps + 1):
        path = deal.folder / f"killed-{die}.db"
        _, again = await live(path, die)
        assert rows(path) == wanted, die
        assert again.notes == notary.notes, die


async def test_what_the_ledger_does_not_take_is_handed_over_again_and_settlement_goes_on(
    deal: Deal,
) -> None:
    await deal.cycle()
    notary = Noted()
    notary.refuses = True
    path = deal.folder / "settlement.db"
    books = Books(deal.settings, deal.bench.agent, notary, path)
    await deal.order(SOLD, BEGIN)
    await turn(books, deal)
    assert notary.notes == {}
    notary.refuses = False
    await turn(books, deal)
    assert {"message", "signal", "baseline"} <= notary.kinds()
    known = dict(notary.notes)
    await books.close()
    books = Books(deal.settings, deal.bench.agent, notary, path)
    await turn(books, deal)  # a new process notes nothing twice
    assert notary.notes == known
    await books.close()
    store = SettlementStore(path)
    (order,) = store.orders(BEGIN, END)
    assert [one.offered_w for one in order.intervals] == [12_000, 18_000]
    assert {one.penalty for one in order.intervals} == {Decimal("70.000000")}
    store.close()


async def test_a_cancelled_order_claims_nothing_and_a_fixed_forecast_is_not_said_again(
    deal: Deal,
) -> None:
    await deal.cycle()
    txn = await deal.order(SOLD, BEGIN)
    books = Books(deal.settings, deal.bench.agent, None, deal.folder / "settlement.db")
    await turn(books, deal)
    window = deal.bench.agent.window_of(deal.sale(txn).order_id)
    assert window is not None
    deal.cancel(txn)
    await deal.cycle(fresh=False)
    while deal.now < BEGIN:
        deal.bench.slurm.advance(300)
        await deal.cycle(fresh=False)
        await turn(books, deal)
    await books.close()
    store = SettlementStore(deal.folder / "settlement.db")
    assert store.orders(0, 2**40) == []
    fixed = {one.start: one for one in store.nominations(BEGIN, BEGIN + 4 * SLOT)}
    assert len(fixed) == len(store.nominations(BEGIN, BEGIN + 4 * SLOT))
    assert fixed[BEGIN].wh == pytest.approx(window.baseline[0] * 500, abs=1)  # before the reduction
    assert all(one.fixed_at <= one.start - GATE for one in fixed.values())
    store.close()


async def test_the_newest_checkpoint_goes_along_in_on_status_in_place_of_an_older_one(
    deal: Deal,
) -> None:
    notary = Noted()
    deal.metered(NodesMeter(deal.bench.slurm))
    deal.agent.seller._notary = notary
    await deal.cycle()
    txn = await deal.order(SOLD, BEGIN)
    found = []
    for size in (3, 4):
        notary.latest = {"origin": "hpc.test/ledger", "size": size, "note": "signed"}
        while deal.now < BEGIN + (size - 2) * SLOT + 300:
            deal.bench.slurm.advance(300)
            await deal.cycle(fresh=False)
        found.append(deal.buyer.last("on_status")["message"]["contract"]["settlements"])
    for (one,), size in zip(found, (3, 4), strict=True):
        assert one["id"] == "ledger-checkpoint"
        assert one["settlementAttributes"]["size"] == size
    assert deal.states(txn) == ("COMPLETE", "COMPLETE")
