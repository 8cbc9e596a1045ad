"""A sale with all that its books need: a meter behind a real socket, a notary, and reckonings of our own."""

from __future__ import annotations

import itertools
import json
import math
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from flexlond.daemon.books import Books
from flexlond.settlement import deg
from flexlond.settlement.terms import Terms
from flexlond.signals.meter import SiteMeter
from tests.unit.agents.conftest import SLOT, START, replace_struct
from tests.unit.agents.market.kit import FIRST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from flexlond.agents.market.sales import Sale
    from tests.unit.agents.market.kit import Deal

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
