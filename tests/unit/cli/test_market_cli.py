"""flexlonctl offers, orders, order, market against a real seller: what people see, what programs get."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from flexlond.cli.flexlonctl import app
from flexlond.daemon.market import Market
from flexlond.daemon.shell import Shell
from flexlond.model.settings import AdminSettings, Settings
from tests.unit.agents.market.kit import Deal
from tests.unit.agents.market.shop import Shop
from tests.unit.shellkit import fake_agent, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

PERSON = {"approve": "person"}


@pytest.fixture
def deal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Deal]:
    sell = getattr(request, "param", {})
    admin = AdminSettings(operators=(str(os.getuid()),), operator_group="")
    made = Deal(tmp_path, Settings(admin=admin), Shop(), **sell)
    yield made
    made.close()
    made.bench.store.close()


@pytest.fixture
def ctl(
    deal: Deal, tmp_path: Path, munge_socket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    monkeypatch.setenv("TZ", "Europe/London")
    time.tzset()
    shell = Shell(deal.settings, tmp_path / "flexlon.toml")
    market = Market(deal.settings)
    market.agents["asset_site"] = deal.agent
    with served(fake_agent(), tmp_path, munge_socket, shell, market) as path:
        environment = {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
        yield lambda *words: CliRunner().invoke(app, list(words), env=environment)
    monkeypatch.undo()
    time.tzset()


def test_offers_and_orders_for_people(ctl: Callable[..., Result], deal: Deal) -> None:
    asyncio.run(deal.order([24.0, 12.0]))
    output = ctl("offers").output
    assert "100.0" in output
    assert "76.0" in output
    assert "0.1000" in output
    output = ctl("orders").output
    assert "bap.test" in output
    assert "18.0" in output
    assert "1 orders" in output


def test_an_order_with_its_life(ctl: Callable[..., Result], deal: Deal) -> None:
    txn = asyncio.run(deal.order([24.0, 12.0]))
    name = deal.sale(txn).order_id
    result = ctl("order", name[:6])
    assert result.exit_code == 0, result.output
    for part in (name, "kept by the shop", "CONFIRMING -> ACTIVE", "on_confirm", "24.0"):
        assert part in result.output
    data = json.loads(ctl("order", name, "--json").output)
    assert [slot["sold_kw"] for slot in data["slots"]] == [24.0, 12.0]
    assert data["slots"][0]["delivered_kw"] is None
    assert [event["what"] for event in data["events"] if event["kind"] == "in"] == [
        "select",
        "init",
        "confirm",
    ]
    assert txn not in json.dumps(data)
    listed = json.loads(ctl("orders", "--json").output)["orders"]
    assert [one["order_id"] for one in listed] == [name]
    assert ctl("order", "nope").exit_code == 1


@pytest.mark.parametrize("deal", [PERSON], indirect=True)
def test_a_person_accepts_and_rejects(ctl: Callable[..., Result], deal: Deal) -> None:
    first, second = (asyncio.run(deal.order([10.0])) for _ in range(2))
    name, other = (deal.sale(txn).order_id for txn in (first, second))
    assert f"flexlonctl market accept {name[:8]}" in ctl("orders").output
    assert "it is put into force" in ctl("market", "accept", name[:8]).output
    assert "the buyer is told" in ctl("market", "reject", other).output
    again = ctl("market", "accept", other)
    assert again.exit_code == 1
    asyncio.run(deal.turn())
    assert (deal.states(first)[0], deal.states(second)[0]) == ("ACTIVE", "CANCELLED")


def test_a_process_that_sells_nothing_says_so(
    tmp_path: Path, munge_socket: str, deal: Deal
) -> None:
    shell = Shell(deal.settings, tmp_path / "flexlon.toml")
    with served(fake_agent(), tmp_path, munge_socket, shell) as path:
        environment = {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
        result = CliRunner().invoke(app, ["offers"], env=environment)
    assert result.exit_code == 1
    assert "this process sells nothing" in result.output
