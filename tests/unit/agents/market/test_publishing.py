"""The catalogue given out unasked: when, to whom, and what a buyer makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.market.port import Place
from flexlond.agents.market.publishing import Publisher, differs
from flexlond.beckn.node.desk import Answer
from flexlond.beckn.wire.actions import Role
from tests.unit.agents.conftest import replace_struct, settings
from tests.unit.agents.market.kit import FIRST, Deal, Hand, offered_kw
from tests.unit.agents.market.shop import Shop
from tests.unit.beckn.kit import BAP, subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flexlond.beckn.trust.registry import Subscriber
    from flexlond.model.settings import Settings

__all__ = ["settings"]

EVERY = 900.0
TERMS: dict[str, Any] = {"publish_to": (BAP.id,), "refresh": 30.0, "publish_every": EVERY}


class Taking(Hand):
    """A buyer that takes catalogues, or says why not."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[dict[str, Any]] = []
        self.result: dict[str, Any] = {"status": "ACCEPTED"}

    def answer(self, message: Any, standing: Any, now: float) -> Any:
        if message.action.name != "catalog/publish":
            return super().answer(message, standing, now)
        self.published.append(message.plain["message"])
        return Answer({"results": [{"catalogId": "flexibility", **self.result}]})


class Known(Place):
    """A place whose trust file has the buyer."""

    def peers(self, role: Role, now: float) -> Sequence[Subscriber]:
        return [subscriber(BAP)] if role is Role.BAP else []


class Stand:
    """A seller with a shop, and a buyer that takes its catalogues."""

    def __init__(self, folder: Path, settings: Settings, **terms: Any) -> None:
        self.shop = Shop()
        self.deal = Deal(folder, settings, self.shop, **{**TERMS, **terms})
        self.shop.sell = self.deal.settings.market.sell
        self.buyer = self.deal.buyer = self.deal.bap.desk._business = Taking()
        place = self.deal.agent._places[Role.BPP]
        self.known = Known(place.node, place.registry, place.wake)
        self.seller.publisher = Publisher(self.seller, self.known, float(self.deal.now))

    @property
    def seller(self) -> Any:
        return self.deal.seller

    def later(self, seconds: float) -> list[dict[str, Any]]:
        """What is published in a turn so much later."""
        before = len(self.buyer.published)
        self.deal.bench.slurm.now += int(seconds)
        self.deal.agent.publish()
        self.deal.settle()
        return self.buyer.published[before:]

    def offer(self, **terms: Any) -> None:
        chosen = replace_struct(self.seller.sell, **terms)
        self.seller.sell = self.shop.sell = chosen


@pytest.fixture
def stand(tmp_path: Path, settings: Settings) -> Iterator[Stand]:
    found = Stand(tmp_path, settings)
    yield found
    found.deal.close()
    found.deal.bench.store.close()


async def test_it_goes_out_at_once_then_when_it_changes_and_as_a_heartbeat(stand: Stand) -> None:
    (first,) = stand.later(0)
    assert first["publishDirectives"] == [
        {"catalogId": "flexibility", "catalogType": "REGULAR", "updateMode": "FULL"}
    ]
    (asked,) = stand.deal.discover()
    (same,) = first["catalogs"]
    assert same == {**asked, "validity": same["validity"], "offers": same["offers"]}
    assert offered_kw([same])[FIRST] == 100.0
    assert stand.later(31) == []  # nothing has changed
    await stand.deal.order([4.0])
    assert stand.later(31) == []  # 4 of 100 kW are no change
    await stand.deal.order([40.0])
    (changed,) = stand.later(31)
    assert offered_kw(changed["catalogs"])[FIRST] == 56.0
    await stand.deal.order([40.0])
    assert stand.later(29) == []  # not oftener than the envelope is asked for
    assert len(stand.later(2)) == 1
    assert stand.later(EVERY - 1) == []
    assert len(stand.later(1)) == 1


async def test_by_default_nothing_is_published(tmp_path: Path, settings: Settings) -> None:
    stand = Stand(tmp_path, settings, publish_to=())
    assert [stand.later(EVERY) for _ in range(3)] == [[], [], []]
    stand.offer(publish_to=(BAP.id,))  # a reload
    assert len(stand.later(1)) == 1
    stand.offer(publish_to=())
    assert stand.later(EVERY) == []
    stand.deal.close()
    stand.deal.bench.store.close()


async def test_what_is_not_for_sale_any_more_is_withdrawn_once(stand: Stand) -> None:
    stand.later(0)
    slots = stand.shop.offering
    stand.shop.offering = lambda now: None  # type: ignore[method-assign,assignment]
    (gone,) = stand.later(31)
    assert gone["catalogs"][0]["isActive"] is False
    assert gone["catalogs"][0]["offers"] == []
    assert stand.later(31) == []
    assert stand.later(EVERY) == []
    stand.shop.offering = slots  # type: ignore[method-assign]
    assert len(stand.later(31)) == 1


async def test_after_a_start_without_a_plan_it_waits_and_then_withdraws(stand: Stand) -> None:
    stand.shop.offering = lambda now: None  # type: ignore[method-assign,assignment]
    assert stand.later(60) == []  # the plan may still come
    (gone,) = stand.later(EVERY)
    assert gone["catalogs"][0]["isActive"] is False


async def test_a_no_is_logged_and_the_next_one_goes_out_all_the_same(
    stand: Stand, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"code": "SCH_ATTRIBUTE_PACK_INVALID", "message": "no kW"}
    stand.buyer.result = {"status": "REJECTED", "errors": [error]}
    stand.later(0)
    stand.deal.settle()
    said = capsys.readouterr().out + caplog.text
    assert "catalogue not taken" in said
    assert "SCH_ATTRIBUTE_PACK_INVALID: no kW" in said
    assert len(stand.later(EVERY)) == 1


async def test_one_who_is_not_in_the_trust_file_gets_none(
    stand: Stand, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    stand.offer(publish_to=("stranger.test",))
    assert stand.later(0) == []
    assert "no BAP of the trust file" in capsys.readouterr().out + caplog.text
    row = stand.deal.bpp.journal.database.row("SELECT count(*) FROM outbox")
    assert row == (0,)


async def test_a_buyer_that_takes_none_says_so_with_a_code(
    tmp_path: Path, settings: Settings
) -> None:
    stand = Stand(tmp_path, settings)
    stand.deal.bap.desk._business = Hand()
    stand.later(0)
    (answer,) = [
        json.loads(raw)
        for (raw,) in stand.deal.bap.journal.database.rows("SELECT body FROM outbox")
    ]
    assert answer["context"]["action"] == "catalog/on_publish"
    assert answer["error"]["code"] == "NET_NOT_IMPLEMENTED"
    stand.deal.close()
    stand.deal.bench.store.close()


def test_a_slot_whose_sale_has_ended_is_no_change() -> None:
    one, two = (50_000, 0.1, 100.0), (50_000, 0.1, 200.0)
    assert not differs({0: one, 60: two}, {60: two}, 0.1, 150.0)
    assert differs({0: one, 60: two}, {60: two}, 0.1, 50.0)
    assert not differs({60: two}, {60: (46_000, 0.1, 200.0)}, 0.1, 0.0)
    assert differs({60: two}, {60: (44_000, 0.1, 200.0)}, 0.1, 0.0)
    assert differs({60: two}, {60: (50_000, 0.12, 200.0)}, 0.1, 0.0)


# ---- beside it: where an order can be followed, and how it was


async def test_track_names_the_sites_page_where_there_is_one(stand: Stand) -> None:
    txn = await stand.deal.order([24.0])
    question = {"tracking": {"url": "https://grid.test/none", "status": "INACTIVE"}}
    stand.deal.ask("track", txn, question)
    stand.deal.settle()
    assert stand.buyer.error("on_track") == "BIZ_TRACKING_NOT_SUPPORTED"
    stand.offer(track_url="https://hpc.test/orders/{order}?full")
    for at, status in ((0, "INACTIVE"), (FIRST - stand.deal.now, "ACTIVE")):
        stand.deal.bench.slurm.now += at
        stand.deal.ask("track", txn, question)
        stand.deal.settle()
        page = f"https://hpc.test/orders/{stand.deal.sale(txn).order_id}?full"
        assert stand.buyer.last("on_track")["message"]["tracking"] == {
            "url": page,
            "status": status,
        }


async def test_a_rating_of_something_else_is_refused(stand: Stand) -> None:
    txn = await stand.deal.order([24.0])
    stand.deal.cancel(txn)
    await stand.deal.turn()
    scale = {"min": 1, "max": 5, "value": 2}
    stand.deal.ask("rate", txn, {"ratingInputs": [{"target": {"id": "moon"}, "range": scale}]})
    stand.deal.settle()
    assert stand.buyer.error("on_rate") == "BIZ_RATING_TARGET_NOT_FOUND"
    assert stand.deal.sale(txn).rating == 0.0
    stand.deal.ask("rate", txn, {"ratingInputs": [{"target": {}, "range": scale}]})
    stand.deal.settle()
    assert stand.buyer.error("on_rate") == ""
    assert stand.deal.sale(txn).rating == 2.0
