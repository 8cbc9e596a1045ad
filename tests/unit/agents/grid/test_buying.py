"""A need from the first discover to the rating: split, refused, silent, in doubt, short, cancelled, killed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.agents.grid.orchestrator import bought_kw, spent_gbp
from flexlond.agents.grid.records import NeedState
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.signals.stress import Notice, Stage
from tests.unit.agents.grid.world import FIRST, SETTINGS, SLOT, T0, Shop, World, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECOND = FIRST + SLOT


async def test_a_need_is_bought_where_it_is_cheapest_and_followed_to_the_rating() -> None:
    cheap, dear = Shop(1, [30.0, 30.0], 0.10), Shop(2, [100.0, 100.0], 0.20)
    world = World(cheap, dear)
    key = world.need(50.0)
    await world.go(T0)
    one, two = sorted(world.lots("ORDERED"), key=lambda lot: lot.seller)
    assert one.kw == {FIRST: 30.0, SECOND: 30.0}
    assert two.kw == {FIRST: 20.0, SECOND: 20.0}
    assert cheap.book.held(one.transaction_id) == {FIRST: 30_000, SECOND: 30_000}
    assert abs(spent_gbp(world.lots()) - (30 * 0.1 + 20 * 0.2)) < 1e-9

    now = float(SECOND)
    cheap.tell(one.transaction_id, {FIRST: (100.0, 70.0)}, now)
    dear.tell(two.transaction_id, {FIRST: (80.0, 60.0)}, now)
    await world.go(now)
    assert {lot.seller: lot.told[FIRST].delivered for lot in world.lots("ORDERED")} == {
        cheap.us.id: 30.0,
        dear.us.id: 20.0,
    }
    end = float(SECOND + SLOT)
    cheap.tell(one.transaction_id, {SECOND: (100.0, 70.0)}, end, status="COMPLETE")
    dear.tell(two.transaction_id, {SECOND: (80.0, 75.0)}, end, status="COMPLETE")
    await world.go(end)
    one, two = sorted(world.lots("DONE"), key=lambda lot: lot.seller)
    assert (one.share, one.rating) == (1.0, 5)
    assert (two.share, two.rating) == (0.625, 4)
    assert "rate" in cheap.calls
    assert "rate" in dear.calls
    (need,) = world.buyer.records.needs()
    assert (need.wanted.key, need.state) == (key, NeedState.CLOSED)
    assert "42.500 of 50.000 kWh" in need.note
    await world.go(end + 60.0)
    assert cheap.calls.count("rate") == 1


@pytest.mark.parametrize("action", ["select", "init", "confirm"])
async def test_what_a_seller_refuses_is_bought_elsewhere(action: str) -> None:
    cheap, dear = Shop(1, [30.0, 30.0], 0.10), Shop(2, [100.0, 100.0], 0.20)
    cheap.refuse[action] = unavailable()
    world = World(cheap, dear)
    world.need(50.0)
    await world.go(T0, 60.0)
    assert bought_kw(world.lots()) == {FIRST: 50.0, SECOND: 50.0}
    assert {lot.seller for lot in world.lots("ORDERED")} == {dear.us.id}
    lost = world.lots("LOST")
    assert 1 <= len(lost) <= 3
    assert all("BIZ_FULFILLMENT_UNAVAILABLE" in lot.why for lot in lost)


@pytest.mark.parametrize("action", ["discover", "select", "init"])
async def test_a_silent_seller_is_given_up_in_time(action: str) -> None:
    cheap, dear = Shop(1, [30.0, 30.0], 0.10), Shop(2, [100.0, 100.0], 0.20)
    cheap.silent_to = {action}
    world = World(cheap, dear)
    world.need(50.0)
    await world.go(T0, 240.0)
    assert bought_kw(world.lots("ORDERED")) == {FIRST: 50.0, SECOND: 50.0}
    assert {lot.seller for lot in world.lots("ORDERED")} == {dear.us.id}
    assert len(world.lots("LOST")) == (0 if action == "discover" else 1)
    assert not cheap.book.promised(FIRST, T0 + 1000.0)


async def test_a_seller_that_is_away_holds_nothing_up_for_long() -> None:
    away, there = Shop(1, [30.0, 30.0], 0.10), Shop(2, [20.0, 20.0], 0.20)
    away.silent_to = {"discover"}
    world = World(away, there, settings=replace_settings(refresh_seconds=10.0))
    world.need(50.0)
    now = await world.go(T0, 60.0)
    assert bought_kw(world.lots("ORDERED")) == {FIRST: 20.0, SECOND: 20.0}
    there.kw = {FIRST: 40.0, SECOND: 40.0}  # more has become free
    await world.go(now, 40.0)
    assert bought_kw(world.lots("ORDERED")) == {FIRST: 40.0, SECOND: 40.0}


async def test_an_order_in_doubt_is_asked_about_and_what_becomes_too_much_is_cancelled() -> None:
    cheap, dear = Shop(1, [50.0, 50.0], 0.10), Shop(2, [100.0, 100.0], 0.20)
    cheap.silent_to = {"confirm", "status", "cancel"}
    world = World(cheap, dear)
    world.need(50.0)
    now = await world.go(T0, 120.0)
    (doubtful,) = world.lots("DOUBTFUL")
    assert doubtful.seller == cheap.us.id
    (other,) = world.lots("ORDERED")
    assert other.kw == {FIRST: 50.0, SECOND: 50.0}
    # The confirm arrives after all, late: what it stands for is too much now, and is called off.
    cheap.silent_to = set()
    now = await world.go(now, 600.0, 15.0)
    assert world.lots("DOUBTFUL") == []
    assert bought_kw(world.lots("ORDERED")) == {FIRST: 50.0, SECOND: 50.0}
    assert len(world.lots("ORDERED")) == 1
    for shop in world.shops:
        held = shop.book.promised(FIRST, now)
        ours = [lot for lot in world.lots("ORDERED") if lot.seller == shop.us.id]
        assert held == (50_000 if ours else 0)


async def test_a_confirm_whose_answer_is_lost_is_found_out_by_a_status() -> None:
    cheap = Shop(1, [50.0, 50.0], 0.10)
    world = World(cheap)
    world.need(50.0)
    carry = world.carry
    real = world.node.gate.receive
    from flexlond.beckn.node.arrivals import Arrival, Reply  # noqa: PLC0415

    async def deaf(arrival: Arrival, registry: object) -> Reply:
        if arrival.path == "on_confirm":
            return Reply(503, {}, b"")
        return await real(arrival, registry)  # type: ignore[arg-type]

    world.node.gate.receive = deaf  # type: ignore[method-assign,assignment]
    await world.go(T0, 60.0)
    assert carry(T0 + 60.0) >= 0
    (lot,) = world.lots()
    assert lot.state == "ORDERED"


async def test_a_dearer_quote_and_one_for_less_are_seen() -> None:
    turncoat, dear = Shop(1, [30.0, 30.0], 0.10), Shop(2, [100.0, 100.0], 0.20)
    turncoat.dearer["init"] = 0.5
    world = World(turncoat, dear)
    world.need(50.0)
    await world.go(T0, 30.0)
    assert {lot.seller for lot in world.lots("ORDERED")} == {dear.us.id}
    assert all("instead of" in lot.why for lot in world.lots("LOST"))
    # Less than the catalogue said: the rest is bought elsewhere.
    less, dear = Shop(1, [30.0, 30.0], 0.10), Shop(2, [100.0, 100.0], 0.20)
    world = World(less, dear)
    world.need(50.0)
    await world.agent.turn(T0)
    world.settle(T0)
    less.kw = {FIRST: 10.0, SECOND: 10.0}
    await world.go(T0, 30.0)
    assert bought_kw(world.lots("ORDERED")) == {FIRST: 50.0, SECOND: 50.0}
    assert less.book.promised(FIRST, T0) == 10_000


async def test_a_foreseen_shortfall_is_bought_elsewhere() -> None:
    cheap, dear = Shop(1, [50.0, 50.0, 50.0], 0.10), Shop(2, [100.0, 100.0, 100.0], 0.20)
    world = World(cheap, dear)
    world.need(50.0, slots=3)
    await world.go(T0)
    (lot,) = world.lots("ORDERED")
    cheap.tell(lot.transaction_id, {SECOND: (100.0, 80.0)}, T0 + 60, forecast=True)
    await world.go(T0 + 60, 20.0)
    assert bought_kw(world.lots()) == {FIRST: 50.0, SECOND: 50.0, SECOND + SLOT: 50.0}
    more = next(one for one in world.lots("ORDERED") if one.seller == dear.us.id)
    assert more.kw == {SECOND: 30.0}


async def test_an_order_that_the_seller_calls_off_is_replaced() -> None:
    cheap, dear = Shop(1, [50.0, 50.0], 0.10), Shop(2, [100.0, 100.0], 0.20)
    world = World(cheap, dear)
    world.need(50.0)
    await world.go(T0)
    (lot,) = world.lots("ORDERED")
    cheap.refuse["select"] = unavailable()
    cheap.call_off(lot.transaction_id, T0 + 60)
    await world.go(T0 + 60, 60.0)
    assert {one.seller for one in world.lots("ORDERED")} == {dear.us.id}
    assert bought_kw(world.lots()) == {FIRST: 50.0, SECOND: 50.0}


async def test_an_operator_cancels_an_order_in_two_phases() -> None:
    shop = Shop(1, [50.0, 50.0], 0.10)
    world = World(shop)
    world.need(50.0)
    await world.go(T0)
    (lot,) = world.lots("ORDERED")
    shop.refuse["select"] = unavailable()
    assert world.agent.cancel(lot.transaction_id, T0 + 10) == ""
    world.settle(T0 + 10)
    assert world.lots("ORDERED") == []
    assert not shop.book.promised(FIRST, T0 + 10)
    assert world.agent.cancel(lot.transaction_id, T0 + 20) != ""
    assert world.agent.cancel("no such", T0) == "there is no such order"


async def test_an_order_is_cancelled_once_however_long_its_seller_takes() -> None:
    """A second preview would make the first one's digest, which the cancel carries, the wrong one."""
    shop = Shop(1, [50.0, 50.0], 0.10)
    world = World(shop)
    key = world.need(50.0)
    await world.go(T0)
    (lot,) = world.lots("ORDERED")
    assert world.agent.cancel(lot.transaction_id, T0 + 10) == ""
    with world.node.journal.transaction():
        world.buyer.records.want(key, (0.0, 0.0), "not wanted any more")
    for at in (11, 12, 13):
        await world.agent.turn(T0 + at)
    assert world.agent.cancel(lot.transaction_id, T0 + 14) == ""
    assert [one.action for one in world.node.due(T0 + 15)] == ["cancel"]
    world.settle(T0 + 15)
    assert [one.state for one in world.lots()] == ["LOST"]
    assert not shop.book.promised(FIRST, T0 + 15)


async def test_a_cancel_that_nobody_answers_or_that_is_refused_is_asked_again_after_a_while() -> (
    None
):
    shop = Shop(1, [50.0, 50.0], 0.10)
    world = World(shop)
    key = world.need(50.0)
    now = await world.go(T0)
    with world.node.journal.transaction():
        world.buyer.records.want(key, (0.0, 0.0), "not wanted any more")
    shop.refuse["cancel"] = Refusal(Code.POL_CANCELLATION_NOT_ALLOWED, "not now")
    now = await world.go(now, SETTINGS.silent_seconds - 6.0, 3.0)
    assert shop.calls.count("cancel") == 1
    (lot,) = world.lots("ORDERED")
    assert "not now" in lot.why
    # An operator need not wait for that: the first one was answered.
    assert world.agent.cancel(lot.transaction_id, now) == ""
    world.settle(now)
    assert shop.calls.count("cancel") == 2
    del shop.refuse["cancel"]
    await world.go(now, SETTINGS.silent_seconds + 3.0, 3.0)
    assert [one.state for one in world.lots()] == ["LOST"]


async def test_nothing_is_bought_above_its_worth_or_without_certainty() -> None:
    world = World(Shop(1, [0.0, 0.0], 0.10), Shop(2, [50.0, 50.0], 1.5))
    world.need(50.0)
    await world.go(T0, 20.0)
    assert world.lots() == []
    unsure = World(
        Shop(1, [50.0, 50.0], 0.10, certainty=0.4), settings=replace_settings(min_certainty=0.5)
    )
    unsure.need(50.0)
    await unsure.go(T0, 20.0)
    assert unsure.lots() == []


def replace_settings(**fields: float) -> object:
    import msgspec  # noqa: PLC0415

    return msgspec.structs.replace(SETTINGS, **fields)


async def test_a_notice_is_bought_once_overlaps_are_counted_and_a_withdrawn_one_buys_no_more() -> (
    None
):
    shop = Shop(1, [30.0, 30.0], 0.10)
    world = World(shop, settings=replace_settings(watch_kw=20.0, tight_kw=50.0))
    watch = Notice("w", "elexon-warnings", Stage.WATCH, FIRST, FIRST + 2 * SLOT, "margin")
    tight = Notice("t", "openadr", Stage.TIGHT, FIRST + 5, FIRST + SLOT, "event")
    for at in (T0, T0 + 5, T0 + 10):
        await world.agent.turn(at, (tight, watch), known=True)
        world.settle(at)
    wanted = {need.wanted.key: need.wanted.kw for need in world.buyer.records.needs()}
    assert wanted == {"t": (50.0,), "w": (0.0, 20.0)}
    assert bought_kw(world.lots()) == {FIRST: 30.0, SECOND: 20.0}
    shop.kw = {FIRST: 60.0, SECOND: 60.0}
    await world.agent.turn(T0 + 400, (watch,), known=False)  # one source does not answer
    world.settle(T0 + 400)
    await world.agent.turn(T0 + 405, (watch,), known=True)  # withdrawn
    before = bought_kw(world.lots())
    await world.go(T0 + 410, 600.0, 60.0)
    assert bought_kw(world.lots()) == before


async def test_two_needs_do_not_buy_the_same_kilowatts() -> None:
    shop = Shop(1, [60.0, 60.0], 0.10)
    world = World(shop)
    world.need(40.0)
    world.need(41.0)
    await world.go(T0, 20.0)
    assert shop.book.promised(FIRST, T0 + 20) == 60_000
    assert bought_kw(world.lots()) == {FIRST: 60.0, SECOND: 60.0}


@given(st.data())
@settings(max_examples=15, deadline=None)
async def test_whatever_sellers_do_no_more_is_spent_or_bought_than_was_wanted(
    data: st.DataObject,
) -> None:
    shops = []
    for number in range(1, 4):
        kw = data.draw(st.lists(st.integers(0, 40), min_size=3, max_size=3))
        shop = Shop(number, [float(one) for one in kw], data.draw(st.integers(5, 40)) / 100.0)
        for action in ("select", "init", "confirm"):
            mood = data.draw(st.sampled_from(["yes", "yes", "yes", "no", "silent"]))
            if mood == "no":
                shop.refuse[action] = unavailable()
            elif mood == "silent":
                shop.silent_to |= {action}
        shops.append(shop)
    world = World(*shops)
    budget = data.draw(st.sampled_from([2.0, 8.0, 100.0]))
    world.need(50.0, slots=3, budget=budget)
    now = T0
    for _ in range(6):
        now = await world.go(now, 40.0, 10.0)
        assert spent_gbp(world.lots()) <= budget + 1e-6
        assert max(bought_kw(world.lots()).values(), default=0.0) <= 50.0 + 1e-6
        ordered = world.lots("ORDERED")
        for shop in shops:
            promised = sum(lot.kw.get(FIRST, 0.0) for lot in ordered if lot.seller == shop.us.id)
            assert shop.book.promised(FIRST, now) >= promised * 1000 - 1
    # Before gate closure nothing is left half done but what only its seller can say.
    await world.go(float(FIRST + 4 * SLOT), 60.0)
    assert {lot.state.value for lot in world.lots()} <= {"LOST", "ORDERED", "DOUBTFUL"}


class Killed(BaseException):
    """As good as SIGKILL: nothing after it runs, and what was not committed is gone."""


def kill_at(world: World, step: int, *, after: bool) -> None:
    journal = world.node.journal
    real, count = journal.transaction, 0

    @contextmanager
    def counted() -> Iterator[None]:
        nonlocal count
        outermost = not journal.database._depth
        count += outermost
        dies = outermost and count == step
        if dies and not after:
            raise Killed
        with real():
            yield
        if dies:
            raise Killed

    journal.transaction = counted  # type: ignore[method-assign]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_every_step_and_started_again_the_need_is_bought_once(
    tmp_path: Path,
    after: bool,  # noqa: FBT001
) -> None:
    step = 0
    while True:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        shops = Shop(1, [30.0, 30.0], 0.10), Shop(2, [100.0, 100.0], 0.20)
        world = World(*shops, folder=folder)
        world.need(50.0)
        kill_at(world, step, after=after)
        finished = True
        try:
            await world.go(T0)
        except Killed:
            finished = False
            world.close()
            world.open()
            await world.go(T0 + 31, 60.0, 15.0)  # what was under way is due again after its time
        assert bought_kw(world.lots("ORDERED")) == {FIRST: 50.0, SECOND: 50.0}, step
        # A draft that died with us is held until its quote ends; what is firm then is what we have ordered.
        for shop in shops:
            ours = sum(lot.kw[FIRST] for lot in world.lots("ORDERED") if lot.seller == shop.us.id)
            assert shop.book.promised(FIRST, T0 + 500) == round(ours * 1000), step
        assert world.lots("LOST", "DONE", "ORDERED") == world.lots(), step
        for node in world.nodes():
            assert node.journal.database.row("SELECT 1 FROM inbox WHERE handled=0") is None
        world.close()
        if finished:
            break
    assert step > 10
