"""flexlonctl market against a served daemon: what people see, what programs get, what is refused."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from flexlond._pb import admin_pb2 as pb
from flexlond.agents.grid.agent import GridAgent
from flexlond.agents.grid.needs import NeedError
from flexlond.agents.grid.views import DiscoverView, LotView, NeedView, OfferView
from flexlond.cli import render_buying
from flexlond.cli.flexlonctl import app
from flexlond.daemon.admin_buying import discover, need
from flexlond.daemon.market import Market
from flexlond.daemon.shell import Shell
from flexlond.model.settings import AdminSettings, Settings
from tests.unit.shellkit import NOON, fake_agent, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    from flexlond.agents.market.port import MarketAgent

OFFERS = DiscoverView(
    (
        OfferView(
            "a.test", "o", "[bold]A[/bold]", 40.0, 0.1, 0.2, 0.9, 300, 0.18, 40.0, (20.0,), "rank 1"
        ),
        OfferView(
            "b.test",
            "o",
            "B",
            0.0,
            math.nan,
            math.nan,
            1.0,
            0,
            math.inf,
            0.0,
            (0.0,),
            "nothing in these slots",
        ),
    ),
    NOON,
    1800,
    4.0,
    proven=True,
    goal="stress",
    open_kw=(5.0,),
    skipped=("c.test: no catalogue yet",),
)
NEED = NeedView(
    "k",
    "operator",
    "entered by an operator",
    "OPEN",
    "asked 1 seller(s)",
    "price",
    NOON,
    1800,
    (30.0, 30.0),
    (30.0, 20.0),
    (29.0, math.nan),
    100.0,
    3.5,
    (LotView("o-1", "a.test", "ORDERED", (30.0, 20.0), (29.0, math.nan), 3.5, 0, ""),),
)


class Buys(GridAgent):
    """A buyer that answers what a test wants."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def would_pick(
        self, goal: str, kw: float, start: int, end: int, budget_gbp: float
    ) -> DiscoverView:
        self.asked.append((goal, kw, start, end, budget_gbp))
        return OFFERS

    def add_need(self, kw: float, start: int, end: int, budget_gbp: float, goal: str) -> NeedView:
        self.asked.append((kw, start, end, budget_gbp, goal))
        if kw > 1000.0:
            raise NeedError("too much")
        return NEED

    def needs(self) -> list[NeedView]:
        return [NEED]

    def unknown(self) -> tuple[str, ...]:
        return ("openadr: away",)

    def cancel(self, order_id: str) -> str:
        self.asked.append(order_id)
        return "" if order_id == "o-1" else f"there is no order {order_id}"

    async def ask_seller(self, order_id: str, question: str) -> str:
        self.asked.append((order_id, question))
        if order_id != "o-1":
            raise NeedError(f"there is no order {order_id}")
        return "[bold]email desk@a.test[/bold]"


@pytest.fixture
def buyer() -> Buys:
    return Buys()


def serving(
    agents: dict[str, MarketAgent], folder: Path, munge_socket: str
) -> Iterator[Callable[..., Result]]:
    settings = Settings(admin=AdminSettings(operators=(str(os.getuid()),), operator_group=""))
    shell = Shell(settings, folder / "flexlon.toml")
    market = Market(settings)
    market.agents.update(agents)
    with served(fake_agent(), folder, munge_socket, shell, market=market) as path:
        environment = {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
        yield lambda *words: CliRunner().invoke(app, ["market", *words], env=environment)


@pytest.fixture
def ctl(buyer: Buys, tmp_path: Path, munge_socket: str) -> Iterator[Callable[..., Result]]:
    yield from serving({"grid_orchestrator": buyer}, tmp_path, munge_socket)


@pytest.fixture
def other(tmp_path: Path, munge_socket: str) -> Iterator[Callable[..., Result]]:
    yield from serving({}, tmp_path, munge_socket)


def test_discover_shows_the_ranking_and_what_would_be_picked(
    ctl: Callable[..., Result], buyer: Buys
) -> None:
    shown = ctl("discover", "--stress", "--kw", "40kW")
    assert shown.exit_code == 0, shown.output
    assert buyer.asked == [("stress", 40.0, 0, 0, -1.0)]
    for word in (
        "a.test",
        "40.00",
        "0.1800",
        "rank 1",
        "no catalogue yet",
        "nothing better exists",
    ):
        assert word in shown.output
    assert "up to 5.00 kW" in shown.output
    read = json.loads(ctl("discover", "--low-price", "--json").output)
    assert [one["seller"] for one in read["offers"]] == ["a.test", "b.test"]
    assert read["offers"][1]["price"] is None


@pytest.mark.parametrize(
    "words",
    [
        ("discover",),
        ("discover", "--stress", "--low-price"),
        ("discover", "--stress", "--from", "now+1hour"),
        ("need", "--kw", "40", "--from", "now+1hour", "--to", "now+2hours"),
    ],
)
def test_what_cannot_be_meant_is_not_asked(
    ctl: Callable[..., Result], buyer: Buys, words: tuple[str, ...]
) -> None:
    assert ctl(*words).exit_code == 2
    assert buyer.asked == []


def test_a_need_is_entered_and_shown_with_its_orders(
    ctl: Callable[..., Result], buyer: Buys
) -> None:
    span = ("--from", "now+1hour", "--to", "now+2hours")
    entered = ctl("need", "--kw", "30kW", *span, "--budget", "5")
    assert entered.exit_code == 0, entered.output
    assert buyer.asked[0][0] == 30.0  # type: ignore[index]
    assert buyer.asked[0][3:] == (5.0, "")  # type: ignore[index]
    refused = ctl("need", "--kw", "2MW", *span)
    assert (refused.exit_code, "too much" in refused.output) == (1, True)
    shown = ctl("needs")
    for word in ("entered by an operator", "o-1", "29.00", "ORDERED", "openadr: away"):
        assert word in shown.output
    assert json.loads(ctl("needs", "--json").output)["needs"][0]["delivered_kw"] == [29.0, None]


def test_an_order_is_cancelled_by_its_id(ctl: Callable[..., Result]) -> None:
    assert ctl("cancel", "o-1").exit_code == 0
    refused = ctl("cancel", "o-2")
    assert (refused.exit_code, "there is no order o-2" in refused.output) == (1, True)


@pytest.mark.parametrize("question", ["support", "track"])
def test_a_seller_is_asked_by_its_order(
    ctl: Callable[..., Result], buyer: Buys, question: str
) -> None:
    shown = ctl(question, "o-1")
    assert (shown.exit_code, shown.output.strip()) == (0, "[bold]email desk@a.test[/bold]")
    assert buyer.asked == [("o-1", question)]
    refused = ctl(question, "o-2")
    assert (refused.exit_code, "there is no order o-2" in refused.output) == (1, True)


def test_a_process_that_does_not_buy_says_so(other: Callable[..., Result]) -> None:
    answer = other("needs")
    assert answer.exit_code == 1
    assert "grid_orchestrator is off" in answer.output


def test_nothing_from_outside_is_markup() -> None:
    from rich.console import Console  # noqa: PLC0415

    out = Console(record=True, width=200)
    render_buying.discovered(out, discover(OFFERS))
    render_buying.needs(out, pb.NeedsReply(needs=[need(NEED)]))
    render_buying.discovered(out, pb.DiscoverReply())
    render_buying.needs(out, pb.NeedsReply())
    text = out.export_text()
    assert "no seller offers anything now" in text
    assert "nothing is needed" in text
