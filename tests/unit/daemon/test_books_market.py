"""The market keeps the books and says what is wrong with them; a reload changes the name it writes under."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from flexlond.daemon import market as market_module
from flexlond.daemon.books import Books
from flexlond.daemon.market import Market
from flexlond.settlement.store import SettlementStore
from tests.unit.agents.conftest import replace_struct
from tests.unit.agents.market.kit import NodesMeter
from tests.unit.daemon.books_kit import BEGIN, END, SOLD, Noted, turn

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.unit.agents.market.kit import Deal


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
