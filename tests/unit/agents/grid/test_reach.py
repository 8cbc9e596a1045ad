"""A seller in its window that answers no more, or answers and proves nothing; time is an argument."""

from __future__ import annotations

from itertools import pairwise

from flexlond.agents.grid.reach import LEAST, Reach
from flexlond.agents.grid.records import UNREACHABLE, UNTOLD, Lot
from tests.unit.agents.grid.world import FIRST, SETTINGS, SLOT, T0, Shop, World

SLOTS = 4
ALL = {"status", "discover", "select", "init", "confirm", "cancel"}


async def bought() -> tuple[World, Shop, Shop, Lot]:
    """100 kW of the cheap one in each of four slots, the first of which is over and told."""
    cheap, dear = Shop(1, [200.0] * SLOTS, 0.10), Shop(2, [150.0] * SLOTS, 0.20)
    world = World(cheap, dear)
    world.need(100.0, SLOTS)
    await world.go(T0)
    (lot,) = world.lots("ORDERED")
    assert lot.seller == cheap.us.id
    now = FIRST + SLOT + 60.0
    await world.go(float(FIRST))
    cheap.tell(lot.transaction_id, {FIRST: (300.0, 200.0)}, now)
    await world.go(now)
    return world, cheap, dear, lot


async def test_who_does_not_answer_is_not_counted_with_long_before_its_slot_is_over() -> None:
    world, cheap, dear, lot = await bought()
    cut = FIRST + SLOT + 120.0
    cheap.silent_to = set(ALL)
    asked = cheap.calls.count("select")
    now = await world.go(cut, 2.0 * SETTINGS.silent_seconds)
    gone = next(one for one in world.lots() if one.transaction_id == lot.transaction_id)
    assert (gone.state, gone.why) == ("ORDERED", UNREACHABLE)
    # What it proved stays; of what it did not, nothing is counted, of the running slot neither.
    assert [gone.covers(FIRST + n * SLOT) for n in range(SLOTS)] == [100.0, 0.0, 0.0, 0.0]
    (other,) = [one for one in world.lots("ORDERED") if one.seller == dear.us.id]
    assert other.kw == {FIRST + n * SLOT: 100.0 for n in (2, 3)}
    # Though it is cheaper and its catalogue is there, it is asked for nothing more.
    assert cheap.calls.count("select") == asked

    cheap.silent_to = set()
    cheap.tell(lot.transaction_id, {FIRST + SLOT: (300.0, 210.0)}, now + SLOT)
    await world.go(now + SLOT)
    back = next(one for one in world.lots() if one.transaction_id == lot.transaction_id)
    assert back.why == ""
    assert back.told[FIRST + SLOT].delivered == 90.0
    assert back.covers(FIRST + 3 * SLOT) == 100.0
    assert cheap.us.id in world.buyer.reachable(now + SLOT)


async def test_who_answers_and_proves_nothing_is_not_counted_with_until_it_proves_something() -> (
    None
):
    world, cheap, _dear, lot = await bought()
    late = FIRST + 3.0 * SLOT + 60.0  # the second slot is over for another one
    before = cheap.calls.count("status")
    now = await world.go(late, 60.0)

    def of_it() -> Lot:
        return next(one for one in world.lots() if one.transaction_id == lot.transaction_id)

    assert of_it().why == UNTOLD
    cheap.tell(lot.transaction_id, {FIRST + 3 * SLOT: (300.0, 200.0)}, now, forecast=True)
    await world.go(now, 60.0)
    assert of_it().why == UNTOLD
    assert of_it().covers(FIRST + 3 * SLOT) == 0.0  # a promise is no proof
    assert cheap.calls.count("status") - before <= 2 + 120 / (SETTINGS.silent_seconds / 2.0)

    cheap.tell(lot.transaction_id, {FIRST + SLOT: (300.0, 200.0)}, now + 70.0)
    await world.go(now + 70.0)
    assert of_it().why == ""


def test_one_that_is_silent_is_asked_less_and_less_often() -> None:
    reach, asked = Reach(10.0), []
    for now in range(3600):
        if reach.due("s", "o", float(now)):
            reach.asked("s", "o", float(now))
            asked.append(now)
    assert asked[0] == 0
    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps[0] == LEAST
    assert gaps == sorted(gaps)
    assert gaps[-1] == 600.0
    assert reach.silent("s", 3600.0)
    assert not reach.silent("another", 3600.0)
    reach.heard("s")
    assert not reach.silent("s", 3600.0)
    assert reach.due("s", "o", 3600.0)
