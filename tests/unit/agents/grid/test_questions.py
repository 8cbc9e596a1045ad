"""What people ask a seller about an order: answered, refused, silent; and strangers' words made harmless."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from flexlond.agents.grid.agent import GridAgent
from flexlond.agents.grid.needs import NeedError
from flexlond.agents.grid.papers import answer
from flexlond.agents.market.port import Place
from flexlond.beckn.node.desk import Answer
from flexlond.beckn.trust.sources import Sources
from flexlond.beckn.wire import messages
from flexlond.model.market_settings import MarketSettings
from flexlond.model.settings import Settings
from tests.unit.agents.conftest import replace_struct
from tests.unit.agents.grid.world import SETTINGS, T0, Shop, World
from tests.unit.beckn.kit import raw, whole

SUPPORT = {"descriptor": {"name": "Desk", "shortDesc": "email desk@a.test"}}


class Helpful(Shop):
    """A seller that has a desk and a page."""

    def answer(self, message: Any, standing: Any, now: float) -> Answer:
        if message.action.name == "support":
            return Answer({"support": SUPPORT})
        if message.action.name == "track":
            return Answer({"tracking": {"url": "https://a.test/1", "status": "ACTIVE"}})
        return super().answer(message, standing, now)


@pytest.fixture
async def world() -> World:
    found = World(Helpful(1, [30.0, 30.0], 0.1))
    found.need(20.0)
    await found.go(T0)
    return found


def agent_of(world: World) -> GridAgent:
    buy = replace_struct(SETTINGS, discover_seconds=0.5)
    settings = replace_struct(Settings(), market=replace_struct(MarketSettings(), buy=buy))
    agent = GridAgent(settings, None, clock=lambda: T0)  # type: ignore[arg-type]
    agent._buyer = world.buyer
    agent._place = Place(world.node, Sources(None, None), lambda: None)
    return agent


async def ask(world: World, question: str, order: str = "") -> str:
    """Asked, and carried meanwhile."""
    (lot,) = world.lots("ORDERED")
    standing = world.node.journal.contracts.get(lot.transaction_id)
    assert standing is not None
    waiting = asyncio.create_task(
        agent_of(world).ask_seller(order or standing.contract_id, question)
    )
    await asyncio.sleep(0)
    world.settle(T0)
    return await waiting


async def test_support_and_track_are_answered(world: World) -> None:
    assert await ask(world, "support") == "Desk; email desk@a.test"
    assert await ask(world, "track") == "https://a.test/1 (ACTIVE)"
    assert world.buyer.asked == {}
    assert [lot.state for lot in world.lots()] == ["ORDERED"]


async def test_a_no_is_told_and_a_silence_too(world: World) -> None:
    (shop,) = world.shops
    shop.answer = Shop(1, [1.0], 0.1).answer  # type: ignore[method-assign]
    node = shop.node
    assert node is not None
    node.desk._business = _Refusing()
    assert await ask(world, "track") == "BIZ_TRACKING_NOT_SUPPORTED: by status"
    shop.silent_to = {"support"}
    begun = time.monotonic()
    assert await ask(world, "support") == "seller1.test did not answer within 0.5 s"
    assert time.monotonic() - begun >= 0.5
    assert world.buyer.asked == {}


class _Refusing:
    def answer(self, message: Any, standing: Any, now: float) -> Answer:
        from flexlond.beckn.wire.codes import Code, Refusal  # noqa: PLC0415

        raise Refusal(Code.BIZ_TRACKING_NOT_SUPPORTED, "by status")

    def ended(self, standing: Any, now: float) -> None:
        """Nothing ends."""


async def test_what_cannot_be_asked_is_said(world: World) -> None:
    with pytest.raises(NeedError, match="there is no order nowhere"):
        await ask(world, "support", "nowhere")
    (lot,) = world.lots("ORDERED")
    standing = world.node.journal.contracts.get(lot.transaction_id)
    assert standing is not None
    (shop,) = world.shops
    shop.call_off(lot.transaction_id, T0)
    world.settle(T0)
    with pytest.raises(NeedError, match="'track' is not possible while the contract is CANCELLED"):
        await agent_of(world).ask_seller(standing.contract_id, "track")
    world.buyer.sellers = {}
    with pytest.raises(NeedError, match="not in the trust file"):
        await agent_of(world).ask_seller(standing.contract_id, "support")


def test_a_strangers_words_are_one_line_of_plain_text() -> None:
    def said(action: str, body: dict[str, Any]) -> str:
        return answer(messages.parse(raw({**whole(action), "message": body}), action))

    odd = {"descriptor": {"name": "a\nb\x1b[31mc", "shortDesc": "x" * 9999}}
    text = said("on_support", {"support": odd})
    assert text.startswith("a b [31mc; xxx")
    assert len(text) == 600
    assert said("on_support", {"support": {"orderId": "o"}}) == "it names nothing"
