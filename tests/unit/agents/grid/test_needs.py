"""What a need is made of, and what is refused with which words; catalogues that are odd."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.agents.grid.listings import on_slots, read_catalogues
from flexlond.agents.grid.needs import NeedError, of_file, of_notices, of_operator
from flexlond.beckn.wire.messages import parse
from flexlond.model.buy_settings import BuySettings
from flexlond.signals.stress import Notice, Stage
from tests.unit.agents.grid.world import FIRST, SLOT, T0, Shop, World
from tests.unit.beckn.kit import raw, whole

GOOD: dict[str, Any] = {
    "key": "k",
    "kw": 5.0,
    "start": FIRST,
    "end": FIRST + SLOT,
    "budget_gbp": 1.0,
    "goal": "price",
    "slot_seconds": SLOT,
}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kw": 0.0}, "above 0"),
        ({"kw": float("nan")}, "above 0"),
        ({"budget_gbp": -1.0}, "0 or more"),
        ({"goal": "fun"}, "expected one of price, carbon, stress"),
        ({"start": FIRST + 1}, "whole slots"),
        ({"end": FIRST}, "1 to 96 slots"),
        ({"end": FIRST + 97 * SLOT}, "1 to 96 slots"),
    ],
)
def test_a_need_that_cannot_be_meant_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(NeedError, match=words):
        of_operator(**{**GOOD, **changed})


def test_a_file_of_needs() -> None:
    text = b"""
[[need]]
name = "evening"
kw = 5
start = 2027-01-11T17:00:00Z
end = 2027-01-11T18:00:00Z
"""
    (need,) = of_file(text, BuySettings(goal="carbon", budget_gbp=7.0), SLOT)
    assert (need.key, len(need.kw), need.goal, need.budget_gbp) == (
        "file:evening",
        2,
        "carbon",
        7.0,
    )
    for wrong, words in (
        (text + text, "stands twice"),
        (text.replace(b"17:00:00Z", b"17:00:00"), "offset"),
        (text.replace(b"17:00", b"17:01"), "whole slots"),
        (text.replace(b"kw", b"kilowatts"), "cannot be read"),
        (b"need = 3", "cannot be read"),
    ):
        with pytest.raises(NeedError, match=words):
            of_file(wrong, BuySettings(), SLOT)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-10, 10), st.integers(1, 8), st.integers(0, 3)),
        max_size=6,
    )
)
def test_notices_never_ask_for_more_than_the_worst_of_them(
    drawn: list[tuple[int, int, int, int]],
) -> None:
    levels = [0.0, 10.0, 20.0, 30.0]
    settings = BuySettings(watch_kw=10.0, tight_kw=20.0, emergency_kw=30.0)
    notices = [
        Notice(
            f"n{number}-{key}",
            "openadr",
            Stage(stage),
            FIRST + at * 900,
            FIRST + (at + n) * 900,
            "",
        )
        for number, (stage, at, n, key) in enumerate(drawn)
    ]
    notices.sort(key=lambda one: -one.stage)
    made = of_notices(notices, (), settings, SLOT, FIRST)
    asked: dict[int, float] = {}
    for need in made:
        assert need.start >= FIRST
        for at, kw in zip(need.starts(), need.kw, strict=True):
            asked[at] = asked.get(at, 0.0) + kw
    for at, kw in asked.items():
        touching = [one for one in notices if one.start < at + SLOT and one.end > at]
        assert kw == max(levels[one.stage] for one in touching)
    assert of_notices(notices, made, settings, SLOT, FIRST) == []


def catalogue(change: Any) -> tuple[int, list[str]]:
    """How many listings a changed catalogue has, and what is said of the others."""
    shop = Shop(1, [30.0, 20.0], 0.1)
    World(shop)
    made = shop.catalogue(T0)
    change(made)
    body = whole("on_discover")
    body["message"] = {"catalogs": [made]}
    found, skipped = read_catalogues(parse(raw(body), "on_discover"), "s", T0)
    return len(found), skipped


def test_catalogues_that_are_not_understood_are_left_out_with_a_reason() -> None:
    assert catalogue(lambda _: None) == (1, [])
    assert catalogue(lambda one: one.update(isActive=False)) == (0, [])
    assert catalogue(lambda one: one["offers"][0].update(resourceIds=["else"])) == (0, [])
    assert catalogue(lambda one: one["offers"][0].pop("offerAttributes")) == (1, [])

    def without_price(one: dict[str, Any]) -> None:
        for row in one["resources"][0]["resourceAttributes"]["intervals"]:
            row["payloads"] = row["payloads"][:1]

    count, skipped = catalogue(without_price)
    assert count == 0
    assert "OFFER_PRICE" in skipped[0]


def test_an_offer_counts_only_where_its_slots_notice_and_validity_allow() -> None:
    import numpy as np  # noqa: PLC0415

    shop = Shop(1, [30.0, 20.0], 0.1)
    World(shop)
    body = whole("on_discover")
    body["message"] = {"catalogs": [shop.catalogue(T0)]}
    ((one,), _) = read_catalogues(parse(raw(body), "on_discover"), "s", T0)
    wanted = of_operator(**{**GOOD, "end": FIRST + 3 * SLOT})
    carbon = np.full(9, 100.0)

    def kw(now: float, **fields: Any) -> list[float]:
        return on_slots(wanted, [replace(one, **fields)], now, 60.0, carbon).kw[0].tolist()

    assert kw(T0) == [30.0, 20.0, 0.0]
    assert kw(FIRST - 60.0 - one.notice) == [30.0, 20.0, 0.0]
    assert kw(FIRST - 59.0 - one.notice) == [0.0, 20.0, 0.0]
    assert kw(T0, until=T0 + 59.0) == [0.0, 0.0, 0.0]
    assert kw(T0, slot_seconds=900) == [0.0, 0.0, 0.0]
