"""flexlonctl orders, order and market accept where a site bids: what people see of bids and of needs."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from flexlond.cli.flexlonctl import app
from flexlond.daemon.market import Market
from flexlond.daemon.shell import Shell
from flexlond.model.settings import AdminSettings
from tests.unit.agents.bidding.kit import BIDS, NEEDS, Fair
from tests.unit.agents.conftest import replace_struct
from tests.unit.shellkit import fake_agent, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

PERSON = {"approve": "person", "approve_seconds": 200.0}


@pytest.fixture
def fair(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fair]:
    made = Fair(tmp_path, **getattr(request, "param", {}))
    yield made
    made.close()


@pytest.fixture
def ctl(fair: Fair, tmp_path: Path, munge_socket: str) -> Iterator[Callable[..., Result]]:
    admin = AdminSettings(operators=(str(os.getuid()),), operator_group="")
    settings = replace_struct(fair.settings, admin=admin)
    market = Market(settings)
    market.agents["compute_flex"] = fair.site
    shell = Shell(settings, tmp_path / "flexlon.toml")
    with served(fake_agent(), tmp_path, munge_socket, shell, market) as path:
        environment = {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
        yield lambda *words: CliRunner().invoke(app, list(words), env=environment)


def test_bids_stand_among_the_orders(ctl: Callable[..., Result], fair: Fair) -> None:
    asyncio.run(fair.order([20.0]))
    fair.need(40.0)
    asyncio.run(fair.go(30.0))
    output = ctl("orders").output
    assert "2 orders" in output
    for part in ("sale", "bid", "hand.test", "needs.test"):
        assert part in output
    data = json.loads(ctl("orders", "--json").output)
    kinds = {one["kind"]: one for one in data["orders"]}
    assert kinds["bid"]["state"] == kinds["sale"]["state"] == "kept"
    name = kinds["bid"]["order_id"]
    output = ctl("order", name[:8]).output
    assert output.startswith(f"bid {name} of needs.test: kept")
    assert "on_confirm" in output
    left = [slot["left_kw"] for slot in json.loads(ctl("offers", "--json").output)["slots"]]
    assert left == [40.0, 60.0, 100.0, 100.0]


def test_why_a_need_is_not_bid_into(ctl: Callable[..., Result], fair: Fair) -> None:
    fair.site.seller.sell = fair.site.bidder.sell = replace_struct(
        fair.site.bidder.sell, least_kw=50.0
    )
    fair.need(40.0)
    asyncio.run(fair.go(30.0))
    output = " ".join(ctl("orders").output.split())
    assert "published: " in output
    assert (
        "of needs.test: no kW is left whose price, margin and risk its incentive covers" in output
    )


@pytest.mark.parametrize("fair", [PERSON], indirect=True)
@pytest.mark.parametrize("word", ["accept", "reject"])
def test_a_person_decides_a_bid(ctl: Callable[..., Result], fair: Fair, word: str) -> None:
    fair.need(40.0)
    asyncio.run(fair.go(10.0))
    (sale,) = fair.bids("pending")
    assert f"flexlonctl market accept {sale.order_id[:8]}" in ctl("orders").output
    output = ctl("market", word, sale.order_id[:8]).output
    assert ("confirmed to the grid" if word == "accept" else "the bid is let go") in output
    asyncio.run(fair.go(10.0))
    txn = sale.transaction_id
    assert fair.state(BIDS.id, txn) == ("ACTIVE" if word == "accept" else "CANCELLED")
    if word == "accept":
        assert fair.state(NEEDS.id, txn) == "ACTIVE"
