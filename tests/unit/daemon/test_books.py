"""From a sold order to its settlement: meter, file, ledger, kills; claims never above the meter (I6)."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import tempfile
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from flexlond.agents.market.sales import Row, Sale, SaleState
from flexlond.agents.market.settled import deliveries_of, order_of
from flexlond.agents.power_log import PowerLog
from flexlond.daemon import market as market_module
from flexlond.daemon.books import Books
from flexlond.daemon.market import Market
from flexlond.model.metering import SCALED, Modelled, Reading, ReadingQuality, mean_kw
from flexlond.model.settlement_period import GATE, date_of
from flexlond.settlement import deg, runs
from flexlond.settlement.database import Database
from flexlond.settlement.inputs import Delivery
from flexlond.settlement.issued import issued_since
from flexlond.settlement.orders import Interval, Order
from flexlond.settlement.readings import Quality
from flexlond.settlement.record import digest, to_csv, to_json
from flexlond.settlement.statement import statement
from flexlond.settlement.store import SettlementStore
from flexlond.settlement.terms import Terms
from flexlond.signals.meter import SiteMeter
from tests.unit.agents.conftest import SLOT, START, replace_struct, settings
from tests.unit.agents.market.kit import FIRST, Deal, NodesMeter, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flexlond.model.settings import Settings

__all__ = ["settings"]

SOLD = [12.0, 18.0]
BEGIN = FIRST + SLOT
END = BEGIN + 2 * SLOT
PENALTY = 0.07  # GBP per kWh
NOW = START


class Exporter:
    """A Prometheus server of the site's power, over a real socket; what it said is kept."""

    def __init__(self, kw: Callable[[], tuple[int, float]]) -> None:
        self.said: dict[int, float] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                at, value = kw()
                query = parse_qs(urlsplit(self.path).query)["query"][0]
                if query.startswith("timestamp("):
                    value = float(at)
                else:
                    outer.said[at] = value
                sample = {"metric": {}, "value": [at, repr(value)]}
                body = {
                    "status": "success",
                    "data": {"resultType": "vector", "result": [sample]},
                }
                raw = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Noted:
    """A notary in memory that outlives the daemon."""

    def __init__(self) -> None:
        self.notes: dict[tuple[str, str], Mapping[str, object]] = {}
        self.latest: dict[str, str | int] = {}
        self.refuses = False

    async def noted(self, since: int) -> frozenset[tuple[str, str]]:
        return frozenset(self.notes)

    def note(self, kind: str, name: str, body: Mapping[str, object], now: int) -> bool:
        if self.refuses:
            return False
        assert (kind, name) not in self.notes
        self.notes[kind, name] = body
        return True

    def kinds(self) -> set[str]:
        return {kind for kind, _ in self.notes}


async def turn(books: Books, deal: Deal) -> None:
    journals = {"site": deal.bpp.journal}
    await books.turn({"compute_flex": deal.agent}, journals, deal.now)


async def once(deal: Deal, path: Path) -> None:
    """One turn of a daemon that ends then."""
    books = Books(deal.settings, deal.bench.agent, None, path)
    await turn(books, deal)
    await books.close()


def terms(**more: Any) -> Terms:
    return Terms(baseline="nominated", **more)


@pytest.fixture
def deal(tmp_path: Path, settings: Settings) -> Iterator[Deal]:
    made = Deal(tmp_path, settings, shortfall_penalty=PENALTY)
    made.busy()
    yield made
    made.close()
    made.bench.store.close()


async def deliver(deal: Deal, books_of: Callable[[], Books]) -> tuple[str, dict[int, float]]:
    """Sell to a buyer, keep it, with a meter behind a real socket; the transaction, and what the meter said."""
    slurm = deal.bench.slurm
    exporter = Exporter(lambda: (slurm.now, 0.4 + 13.5 * len(slurm.started)))
    chosen = replace_struct(
        deal.settings.meter, source="prometheus", url=exporter.url, query="site_kw", max_age=120.0
    )
    deal.settings = replace_struct(deal.settings, meter=chosen)
    deal.bench.settings = deal.settings
    meter = SiteMeter(chosen)
    deal.metered(meter)
    books = books_of()
    try:
        await meter.refresh(deal.now)
        await deal.cycle()
        txn = await deal.order(SOLD, BEGIN)
        await turn(books, deal)
        while deal.now < END + 240:
            slurm.advance(60)
            await meter.refresh(deal.now)
            if deal.now % 300 == 0 or deal.now > END:
                await deal.cycle(fresh=False)
                await turn(books, deal)
    finally:
        exporter.close()
        await meter.close()
        await books.close()
    return txn, exporter.said


def used(said: Mapping[int, float], start: int) -> float:
    """The mean kW of a slot by the raw readings: each stands until the next."""
    moments = sorted(said)
    parts = [
        said[at] * max(0, min(until, start + SLOT) - max(at, start))
        for at, until in itertools.pairwise(moments)
    ]
    return math.fsum(parts) / SLOT


def reckoned(sale: Sale, baseline: Sequence[float], drawn: Sequence[float]) -> float:
    """GBP, by the contract's words alone."""
    total = 0.0
    for base, kw, sold, price in zip(baseline, drawn, SOLD, sale.price.values(), strict=True):
        delivered = max(0.0, base - kw)
        short = max(0.0, sold - delivered)
        total += (min(delivered, sold) * price - short * PENALTY) * 0.5
    return total


def as_the_buyer(sale: Sale, columns: Mapping[str, Mapping[int, float]]) -> Decimal:
    """GBP, by DEG's rules from what the buyer was told."""
    slots, seen = [], []
    for number, (at, price) in enumerate(sale.price.items()):
        kw, rate = Decimal(str(SOLD[number])), Decimal(str(round(price, 6)))
        slots.append(deg.DegSlot(number, Decimal("0.5"), kw, rate, Decimal(str(PENALTY))))
        told_kw = [Decimal(str(columns[name][at])) for name in ("BASELINE", "USAGE")]
        seen.append(deg.MeterKw(*told_kw))
    outcome = deg.settle(slots, {"site": seen})
    assert outcome.seller is not None
    return outcome.seller


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


# ---- slots that are no settlement periods


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


# ---- I6: whatever the meter does


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


# ---- in the daemon


async def until(done: Callable[[], bool]) -> None:
    for _ in range(500):
        if done():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come")


async def test_the_market_keeps_the_books_and_says_what_is_wrong_with_them(
    deal: Deal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_module, "LONGEST_WAIT", 0.05)
    await deal.cycle()
    folder = deal.folder / "away"
    notary = Noted()
    books = Books(deal.settings, deal.bench.agent, notary, folder / "settlement.db")
    market, said = Market(deal.settings, books=books), dict[str, str]()
    market.start(said.__setitem__)
    await until(lambda: "settlement" in said)
    assert said["settlement"].startswith("settlement is not fed (SettlementStoreError")
    folder.mkdir()
    await until(lambda: not said["settlement"])
    assert "signal" in notary.kinds()
    assert (folder / "settlement.db").exists()
    await market.close()
    await market.close()  # what is closed is closed


async def test_a_reload_changes_under_which_name_the_daemon_writes(deal: Deal) -> None:
    deal.metered(NodesMeter(deal.bench.slurm))
    await deal.cycle()
    books = Books(deal.settings, deal.bench.agent, None, deal.folder / "settlement.db")
    market = Market(deal.settings, books=books)
    chosen = replace_struct(deal.settings.settlement, site_point="mpan-1")
    await deal.order(SOLD, BEGIN)
    await turn(books, deal)
    await market.reload(replace_struct(deal.settings, settlement=chosen))
    await turn(books, deal)
    await market.close()
    store = SettlementStore(deal.folder / "settlement.db")
    (order,) = store.orders(BEGIN, END)
    assert order.points == ("site",)  # it was sold under that name
    assert {one.point for one in store.nominations(BEGIN, END)} == {"site", "mpan-1"}
    store.close()
