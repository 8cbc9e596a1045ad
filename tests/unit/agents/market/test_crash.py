"""A seller that dies anywhere: an order has one window or none, and both sides agree on which."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.market.works import Kept, Slot
from tests.unit.agents.conftest import settings
from tests.unit.agents.market.kit import FIRST, Deal
from tests.unit.agents.market.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flexlond.model.settings import Settings

__all__ = ["settings"]

ROOT = Path(__file__).resolve().parents[4]
STEPS = 400  # of a seller, at most


class Died(BaseException):
    """As good as SIGKILL: nothing after it runs, and what was not committed is gone."""


def die_at(deal: Deal, shop: Shop, step: int, end: Callable[[], None]) -> list[int]:
    """End at the seller's step number `step`: before and after each transaction and each call of the works."""
    count = [0]
    real = deal.bpp.journal.transaction

    def tick() -> None:
        count[0] += 1
        if count[0] == step:
            end()

    @contextmanager
    def counted() -> Iterator[None]:
        outermost = not deal.bpp.journal.database._depth
        if outermost:
            tick()
        with real():
            yield
        if outermost:
            tick()

    deal.bpp.journal.transaction = counted  # type: ignore[method-assign]
    shop.tick = tick
    return count


async def on(deal: Deal, txn: str, *, cancelled: bool) -> None:
    """Say whatever is next, as a buyer does after a restart of the seller, until nothing is next."""
    for _ in range(12):
        await deal.turn()
        state = deal.states(txn)[0]
        if state in {"SELECTED", "INITIALISED"}:
            (deal.init if state == "SELECTED" else deal.confirm)(txn)
        elif state == "ACTIVE" and cancelled:
            deal.cancel(txn)
        elif state in {"ACTIVE", "COMPLETE", "CANCELLED"}:
            break
        else:
            deal.bench.slurm.now += 31  # what was under way is due again
            await deal.turn()


def check(deal: Deal, shop: Shop, txn: str, *, cancelled: bool, step: int) -> None:
    want = "CANCELLED" if cancelled else "ACTIVE"
    assert deal.states(txn) == (want, want), step
    sale = deal.sale(txn)
    assert sale.state == ("released" if cancelled else "kept"), step
    assert shop.made == {sale.key: not cancelled}, (
        step
    )  # once, and released only when it is cancelled
    held = {} if cancelled else {FIRST: 24_000, FIRST + 1800: 12_000}
    assert deal.bpp.journal.book.held(txn) == held, step
    said = [one.action for one in deal.bpp.journal.outbox.of_transaction(txn)]
    assert said[:3] == ["on_select", "on_init", "on_confirm"], step
    assert set(said[3:]) == ({"on_cancel"} if cancelled else set()), step
    ends = [row for row in deal.bpp.journal.contracts.history(txn) if row[1] != row[3]]
    assert len(ends) == (8 if cancelled else 6), step
    left = deal.bpp.journal.database.row("SELECT 1 FROM inbox WHERE handled<=0 OR answered=0")
    assert left is None, step


@pytest.mark.parametrize("cancelled", [False, True], ids=["kept", "cancelled"])
async def test_killed_at_every_step_of_an_order_there_is_one_window_or_none(
    tmp_path: Path,
    settings: Settings,
    cancelled: bool,  # noqa: FBT001
) -> None:
    for step in range(1, STEPS):
        folder = tmp_path / str(step)
        folder.mkdir()
        shop = Shop()
        deal = Deal(folder, settings, shop)

        def end() -> None:
            raise Died

        await deal.turn()
        txn = deal.say_select([24.0, 12.0])
        count = die_at(deal, shop, step, end)
        try:
            await on(deal, txn, cancelled=cancelled)
        except Died:
            shop.tick = lambda: None
            deal.close()
            deal.open()
            deal.bench.slurm.now += 31
            await on(deal, txn, cancelled=cancelled)
        reached, count[0] = count[0], STEPS  # from here on it lives
        await deal.turn()
        check(deal, shop, txn, cancelled=cancelled, step=step)
        deal.close()
        deal.bench.store.close()
        if reached < step:
            break
    else:
        raise AssertionError("it never came to its end")
    assert step > (16 if cancelled else 12)


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.unit.agents.market.test_crash import child
asyncio.run(child(Path(sys.argv[1]), int(sys.argv[2])))
"""


def real_deal(folder: Path) -> Deal:
    """Over windows in the daemon's own store."""
    from tests.unit.agents import conftest  # noqa: PLC0415

    return Deal(folder, conftest.settings.__wrapped__())  # type: ignore[attr-defined]


async def child(folder: Path, step: int) -> None:
    """Kill itself at a step of the seller: of the journal or of the daemon's store."""
    deal = real_deal(folder)
    deal.busy()
    await deal.cycle()
    txn = deal.select([24.0])
    deal.init(txn)
    shop = Shop()
    count = die_at(deal, shop, step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    add = deal.bench.store.add_window

    def counted(*args: Any) -> Any:
        shop.tick()
        made = add(*args)
        shop.tick()
        return made

    deal.bench.store.add_window = counted  # type: ignore[method-assign]
    deal.confirm(txn)
    await deal.turn()
    print(count[0])


@pytest.mark.parametrize("step", [4, 8, 11, 12, 13, 14, 15, 18])
def test_sigkill_between_confirm_and_its_answer_leaves_one_window_in_the_store(
    tmp_path: Path, step: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(step)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=300,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr + done.stdout

    async def after() -> None:
        deal = real_deal(tmp_path)
        deal.busy()
        await deal.bench.cycle()
        await deal.seller.works.refresh(float(deal.now))
        (standing,) = deal.bap.journal.contracts.all()
        deal.bench.slurm.now += 31
        await on(deal, standing.transaction_id, cancelled=False)
        assert deal.states(standing.transaction_id) == ("ACTIVE", "ACTIVE")
        (window,) = deal.bench.agent.windows
        assert window.order_id == deal.sale(standing.transaction_id).order_id
        assert not window.cancelled
        deal.close()
        deal.bench.store.close()

    asyncio.run(after())


async def test_works_that_fail_have_the_order_refused_in_time_and_not_the_seller_ended(
    tmp_path: Path, settings: Settings
) -> None:
    shop = Shop()
    deal = Deal(tmp_path, settings, shop)

    def fault() -> None:
        raise RuntimeError("a fault of the works")

    shop.tick = fault
    txn = await deal.order([24.0])
    assert deal.states(txn) == ("CONFIRMING", "CONFIRMING")
    deal.bench.slurm.now += 130
    await deal.turn()
    assert deal.states(txn) == ("CANCELLED", "CANCELLED")
    assert deal.buyer.error("on_confirm") == "BIZ_FULFILLMENT_UNAVAILABLE"
    assert deal.bpp.journal.book.held(txn) == {}
    deal.close()
    deal.bench.store.close()


async def test_works_that_forget_are_told_again_after_a_start(
    tmp_path: Path, settings: Settings
) -> None:
    shop = Shop()
    deal = Deal(tmp_path, settings, shop)
    txn = deal.say_select([24.0])
    await on(deal, txn, cancelled=False)
    shop.made.clear()
    deal.close()
    deal.open()
    await deal.keeper.restore(float(deal.now))
    assert shop.made == {deal.sale(txn).key: True}
    assert isinstance(await shop.make(deal.sale(txn).promise, 0.0), Kept)
    assert isinstance(shop.progress(deal.sale(txn).promise, 0.0)[0], Slot)
    deal.close()
    deal.bench.store.close()
