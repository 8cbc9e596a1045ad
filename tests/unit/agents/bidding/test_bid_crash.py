"""A site or a grid that dies anywhere in a bid: one window or none, and both sides agree on which.

FLEXLON_KILLS sets how many points of each history are tried (0: all; a sample by default).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.unit.agents.bidding.kit import BIDS, NEEDS, Fair
from tests.unit.agents.conftest import SLOT
from tests.unit.agents.market.kit import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POINTS = int(os.environ.get("FLEXLON_KILLS", "8"))


class Died(BaseException):
    """As good as SIGKILL: nothing after it runs, and what was not committed is gone."""


def die_at(fair: Fair, who: str, step: int) -> list[int]:
    """Die at a step: before and after each transaction of one journal, and each act of the works."""
    count = [0]
    journal = fair.journals[who]
    real = journal.transaction

    def tick() -> None:
        count[0] += 1
        if count[0] == step:
            raise Died

    @contextmanager
    def counted() -> Iterator[None]:
        outermost = not journal.database._depth
        if outermost:
            tick()
        with real():
            yield
        if outermost:
            tick()

    journal.transaction = counted  # type: ignore[method-assign]
    if who == BIDS.id:
        fair.shop.tick = tick
    return count


async def to_the_end(fair: Fair) -> None:
    """Delivered, told, paid."""
    await fair.go(90.0, 31.0)
    fair.now = max(fair.now, float(FIRST + 2 * SLOT + 1))
    fair.shop.drawn = {FIRST: 60.0, FIRST + SLOT: 60.0}
    await fair.go(130.0, 31.0)


@pytest.mark.parametrize("breaking", [False, True], ids=["kept", "cannot"])
@pytest.mark.parametrize("who", [BIDS.id, NEEDS.id])
async def test_killed_at_every_step_of_a_bid(tmp_path: Path, who: str, breaking: bool) -> None:  # noqa: FBT001
    most = await play(tmp_path / "0", who, 0, breaking=breaking)
    assert most > 40
    every = max(1, most // POINTS) if POINTS else 1
    for step in range(1 + most % every, most + 1, every):
        await play(tmp_path / str(step), who, step, breaking=breaking)


async def play(folder: Path, who: str, step: int, *, breaking: bool) -> int:
    """A whole bid with one death, none at step 0; how many steps it had."""
    os.makedirs(folder)  # noqa: PTH103 - blocks no loop
    fair = Fair(folder)
    fair.shop.refuse = "no" if breaking else ""
    fair.need(40.0)
    count = die_at(fair, who, step)
    try:
        await to_the_end(fair)
    except Died:
        fair.shop.tick = lambda: None
        fair.close()
        fair.open()
        fair.now += 31.0  # what was under way is due again
        await to_the_end(fair)
    check(fair, step, breaking=breaking)
    fair.close()
    return count[0]


def check(fair: Fair, step: int, *, breaking: bool) -> None:
    ended = {"over"} if not breaking else {"released", "refused"}
    won = [one for one in fair.bids() if one.state != "refused"]
    assert won, step
    assert {one.state.value for one in won} <= ended, step
    if not breaking:
        (sale,) = won  # the whole need once, whatever died
        assert fair.shop.made == {sale.key: True}, step
        assert sale.watts == {FIRST: 40_000, FIRST + SLOT: 40_000}, step
        assert set(sale.rows) == set(sale.watts), step
        (lot,) = fair.lots("DONE")
        assert lot.share == 1.0, step
    else:
        assert not any(fair.shop.made.values()), step
        assert fair.lots("ORDERED", "ASKED", "DONE") == [], step
    want = "CANCELLED" if breaking else "COMPLETE"
    for sale in won:
        txn = sale.transaction_id
        assert (fair.state(BIDS.id, txn), fair.state(NEEDS.id, txn)) == (want, want), step
    for name in (BIDS.id, NEEDS.id):
        row = fair.journals[name].database.row("SELECT 1 FROM inbox WHERE handled<=0 OR answered=0")
        assert row is None, (step, name)
    for at in (FIRST, FIRST + SLOT):
        assert fair.promised(at) == 0, step
