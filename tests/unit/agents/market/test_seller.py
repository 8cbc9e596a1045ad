"""A seller over the simulated Slurm: from catalogue to completion, refusals, and that no name leaves it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import pytest

from flexlond.agents.window_ports import WindowOrder
from flexlond.model.job import JobState
from tests.unit.agents.conftest import SLOT, settings
from tests.unit.agents.market.kit import FIRST, JOBS, KW, Deal, NodesMeter, offered_kw, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.model.settings import Settings

__all__ = ["settings"]


@pytest.fixture
def deal(tmp_path: Path, settings: Settings) -> Iterator[Deal]:
    made = Deal(tmp_path, settings)
    made.metered(NodesMeter(made.bench.slurm))
    made.busy()
    yield made
    made.close()
    made.bench.store.close()


async def live(deal: Deal, until: int, step: int = 300) -> None:
    """Beat until `until`; nothing more is sold, so the envelope is not asked for."""
    while deal.now < until:
        deal.bench.slurm.advance(step)
        await deal.cycle(fresh=False)


def running(deal: Deal) -> int:
    return sum(job.state is JobState.RUNNING for job in deal.bench.slurm.jobs.values())


async def test_the_catalogue_has_what_the_envelope_offers_with_the_margin_on_its_price(
    deal: Deal,
) -> None:
    assert deal.discover() == []
    await deal.cycle()
    catalogs = deal.discover()
    kw, price = offered_kw(catalogs), offered_kw(catalogs, "OFFER_PRICE")
    view = await deal.bench.agent.envelope(None)
    (step,) = [
        step
        for curve in view.curves  # type: ignore[union-attr]
        if curve.start <= FIRST + SLOT < curve.end and curve.direction == "down"
        for step in curve.steps
        if step.offered_kw == max(one.offered_kw for one in curve.steps)
    ]
    assert 0 < kw[FIRST + SLOT] == pytest.approx(step.offered_kw, abs=1e-3)
    assert price[FIRST + SLOT] == pytest.approx(1.1 * step.gbp_per_mwh / 1000, abs=1e-6)
    pack = catalogs[0]["offers"][0]["offerAttributes"]
    assert (pack["@type"], pack["noticePeriod"]) == ("ComputeFlexOffer", "PT5M")
    assert (pack["minActivation"], pack["maxActivation"]) == ("PT30M", "PT2H")


async def test_an_order_becomes_a_window_is_kept_told_slot_by_slot_and_completes(
    deal: Deal,
) -> None:
    await deal.cycle()
    sold = [12.0, 18.0]
    txn = await deal.order(sold, FIRST + SLOT)
    assert deal.states(txn) == ("ACTIVE", "ACTIVE")
    window = deal.bench.agent.window_of(deal.sale(txn).order_id)
    assert window is not None
    assert (window.start, window.end) == (FIRST + SLOT, FIRST + 3 * SLOT)
    assert [round(b - c, 6) for b, c in zip(window.baseline, window.caps, strict=True)] == sold
    await live(deal, window.end + 300)
    names = [name for name, _ in deal.buyer.heard_]
    assert names.count("on_status") == 2  # one a slot, the last one completes
    assert deal.states(txn) == ("COMPLETE", "COMPLETE")
    columns = told(deal.buyer.last("on_status"))
    for at, kw in zip((FIRST + SLOT, FIRST + 2 * SLOT), sold, strict=True):
        assert columns["BASELINE"][at] - columns["USAGE"][at] >= kw - 0.05 * kw
    view = deal.agent.order(deal.sale(txn).order_id)
    assert view is not None
    assert (view.state, view.contract) == ("over", "COMPLETE")
    assert view.delivered_kwh == pytest.approx(sum(sold) * 0.5)
    assert [event.what for event in view.events if event.kind == "in"] == [
        "select",
        "init",
        "confirm",
    ]
    late = [
        job
        for job, at in deal.bench.slurm.started.items()
        if at > deal.bench.slurm.jobs[job].submit + 8 * 3600
    ]
    assert late == []


async def test_the_confirm_is_answered_when_the_window_is_in_force_and_not_before(
    deal: Deal,
) -> None:
    await deal.cycle()
    txn = deal.select([24.0])
    deal.init(txn)
    deal.confirm(txn)
    assert deal.states(txn) == ("CONFIRMING", "CONFIRMING")
    assert deal.sale(txn).state == "sold"
    await deal.turn()
    assert deal.states(txn) == ("ACTIVE", "ACTIVE")
    assert deal.sale(txn).name == "window 1"
    assert deal.buyer.last("on_confirm")["message"]["contract"]["status"]["code"] == "ACTIVE"


async def test_what_the_window_service_refuses_is_refused_and_nothing_stays(deal: Deal) -> None:
    await deal.cycle()
    txn = deal.select([24.0])
    deal.init(txn)
    deal.confirm(txn)
    for job in list(deal.bench.slurm.jobs):
        deal.bench.slurm.edit(job, state=JobState.ENDED)
    await deal.bench.cycle()
    await deal.turn()
    assert deal.states(txn) == ("CANCELLED", "CANCELLED")
    assert deal.buyer.error("on_confirm") == "BIZ_FULFILLMENT_UNAVAILABLE"
    assert deal.bench.agent.windows == ()
    assert deal.bpp.journal.book.held(txn) == {}


async def test_a_second_order_beyond_what_is_left_is_refused(deal: Deal) -> None:
    await deal.cycle()
    most = offered_kw(deal.discover())[FIRST]
    first, second = deal.select([most]), deal.select([most])
    deal.init(first)
    deal.init(second)
    assert deal.states(second)[0] == "CANCELLED"
    assert deal.buyer.error("on_init") == "BIZ_QUANTITY_UNAVAILABLE"
    deal.confirm(first)
    await deal.turn()
    assert deal.states(first)[0] == "ACTIVE"
    # What is promised is not offered twice, also after the plan counts with it.
    left = offered_kw(deal.discover()).get(FIRST, 0.0)
    assert left == 0.0
    await deal.cycle()
    again = offered_kw(deal.discover()).get(FIRST, 0.0)
    assert most + again <= 0.9 * JOBS * KW


async def test_select_answers_price_and_what_is_left(deal: Deal) -> None:
    await deal.cycle()
    deal.select([1000.0])
    contract = deal.buyer.last("on_select")["message"]["contract"]
    table = contract["commitments"][0]["commitmentAttributes"]["intervals"]
    payloads = {one["type"]: one["values"][0] for one in table[0]["payloads"]}
    assert payloads["CAPACITY_OFFERED"] == offered_kw(deal.discover())[FIRST]
    assert payloads["OFFER_PRICE"] > 0


async def test_a_quote_that_ran_out_is_given_back_and_cannot_be_confirmed(deal: Deal) -> None:
    await deal.cycle()
    txn = deal.select([24.0])
    deal.init(txn)
    assert deal.bpp.journal.book.promised(FIRST, deal.now) == 24_000
    deal.bench.slurm.advance(400)
    deal.settle()
    assert deal.bpp.journal.book.promised(FIRST, deal.now) == 0
    assert deal.sale(txn) is None
    assert deal.states(txn)[1] == "CANCELLED"


async def test_other_kw_than_quoted_are_not_confirmed(deal: Deal) -> None:
    await deal.cycle()
    txn = deal.select([24.0])
    deal.init(txn)
    contract = deal.said(txn)
    row = contract["commitments"][0]["commitmentAttributes"]["intervals"][0]
    row["payloads"][0]["values"] = [30.0]
    deal.ask("confirm", txn, {"contract": contract})
    deal.settle()
    assert deal.buyer.error("on_confirm") == "BIZ_PRICE_MISMATCH"
    assert deal.states(txn) == ("CANCELLED", "CANCELLED")


@pytest.mark.parametrize("inside_notice", ["release", "refuse"])
async def test_a_cancel_inside_the_notice_goes_by_the_sites_choice(
    tmp_path: Path,
    settings: Settings,
    inside_notice: str,
) -> None:
    deal = Deal(tmp_path, settings, inside_notice=inside_notice, notice=1200.0)
    deal.busy()
    await deal.cycle()
    txn = await deal.order([24.0])
    assert deal.states(txn)[0] == "ACTIVE"
    deal.bench.slurm.advance(FIRST - deal.now - 600)
    await deal.cycle()
    deal.cancel(txn)
    await deal.turn()
    (window,) = deal.bench.agent.windows
    if inside_notice == "release":
        assert deal.states(txn) == ("CANCELLED", "CANCELLED")
        assert window.cancelled
        assert deal.sale(txn).state == "released"
        assert deal.bpp.journal.book.held(txn) == {}
    else:
        assert deal.buyer.error("on_cancel") == "POL_CANCELLATION_NOT_ALLOWED"
        assert deal.states(txn) == ("ACTIVE", "ACTIVE")
        assert not window.cancelled
    deal.close()
    deal.bench.store.close()


async def test_a_cancel_before_the_notice_releases_and_one_in_the_window_is_refused(
    deal: Deal,
) -> None:
    await deal.cycle()
    first, second = await deal.order([24.0]), await deal.order([12.0], FIRST + SLOT)
    deal.cancel(first)
    await deal.turn()
    assert deal.states(first) == ("CANCELLED", "CANCELLED")
    assert [bool(window.cancelled) for window in deal.bench.agent.windows] == [True, False]
    deal.bench.slurm.advance(FIRST + SLOT + 60 - deal.now)
    await deal.cycle()
    deal.cancel(second)
    assert deal.buyer.error("on_cancel") == "POL_CANCELLATION_NOT_ALLOWED"
    assert deal.states(second)[0] == "ACTIVE"


async def test_an_update_is_another_window_in_place_of_the_one_before(deal: Deal) -> None:
    await deal.cycle()
    txn = await deal.order([36.0])
    deal.update(txn, [24.0])
    await deal.turn()
    assert deal.states(txn) == ("ACTIVE", "ACTIVE")
    assert deal.buyer.error("on_update") == ""
    old, new = deal.bench.agent.windows
    assert old.cancelled
    assert not new.cancelled
    assert new.baseline[0] - new.caps[0] == pytest.approx(24.0)
    assert deal.bpp.journal.book.held(txn) == {FIRST: 24_000}


async def test_an_update_that_cannot_be_kept_leaves_the_order_as_it_was(deal: Deal) -> None:
    await deal.cycle()
    txn = await deal.order([24.0])
    deal.update(txn, [1000.0])
    await deal.turn()
    assert deal.buyer.error("on_update") == "BIZ_QUANTITY_UNAVAILABLE"
    assert deal.bpp.journal.book.held(txn) == {FIRST: 24_000}
    (window,) = deal.bench.agent.windows
    assert not window.cancelled


async def test_an_order_waits_for_a_person(tmp_path: Path, settings: Settings) -> None:
    deal = Deal(tmp_path, settings, approve="person")
    deal.busy()
    await deal.cycle()
    txns = [await deal.order([6.0]) for _ in range(3)]
    assert [deal.states(txn)[0] for txn in txns] == ["CONFIRMING"] * 3
    assert deal.bench.agent.windows == ()
    ids = [deal.sale(txn).order_id for txn in txns]
    assert deal.agent.decide(ids[0], accept=True, by="ann")[0]
    assert deal.agent.decide(ids[1], accept=False, by="ann")[0]
    assert not deal.agent.decide("none", accept=True, by="ann")[0]
    await deal.turn()
    assert [deal.states(txn)[0] for txn in txns] == ["ACTIVE", "CANCELLED", "CONFIRMING"]
    assert deal.buyer.error("on_confirm") == ""
    deal.bench.slurm.advance(300)
    await deal.turn()
    assert deal.states(txns[2]) == ("CANCELLED", "CANCELLED")
    assert deal.buyer.error("on_confirm") == "POL_ENGAGEMENT_REFUSED"
    assert not deal.agent.decide(ids[2], accept=True, by="ann")[0]
    assert len(deal.bench.agent.windows) == 1
    deal.close()
    deal.bench.store.close()


async def test_a_shortfall_is_told_when_it_is_foreseen(deal: Deal) -> None:
    await deal.cycle()
    txn = await deal.order([24.0], FIRST + SLOT)
    before = len(deal.buyer.heard_)
    for _ in range(JOBS):  # they run before and in the window, whatever is planned
        deal.bench.slurm.submit("flex: max-delay=0:40:00 power=10kW", cpus=1, minutes=600)
    deal.bench.slurm.advance(60)
    await deal.cycle()
    assert deal.now < FIRST
    assert [name for name, _ in deal.buyer.heard_[before:]] == ["on_status"]
    columns = told(deal.buyer.last("on_status"))
    at = FIRST + SLOT
    assert columns["BASELINE"][at] - columns["USAGE_FORECAST"][at] < 24.0 - 1.0
    status = deal.buyer.last("on_status")["message"]["contract"]["performance"][0]["status"]
    assert status["shortDesc"] == "more power is drawn than was planned"
    await deal.cycle()
    assert len(deal.buyer.heard_) == before + 1  # said once
    assert deal.states(txn)[0] == "ACTIVE"


async def test_a_window_that_an_operator_ends_cancels_its_order(deal: Deal) -> None:
    await deal.cycle()
    txn = await deal.order([24.0])
    await deal.bench.agent.cancel_window(1)
    await deal.turn()
    assert deal.states(txn) == ("CANCELLED", "CANCELLED")
    names = [name for name, _ in deal.buyer.heard_]
    assert names[-2:] == ["on_status", "on_cancel"]
    assert deal.sale(txn).state == "released"


async def test_a_window_of_an_operator_is_none_of_an_order(deal: Deal) -> None:
    await deal.cycle()
    order = WindowOrder(FIRST, FIRST + SLOT, 60.0, math.nan, "alice")
    await deal.bench.agent.add_window(order, dry_run=False)
    txn = await deal.order([12.0], FIRST + SLOT)
    assert [one.order_id for one in deal.bench.agent.windows] == ["", deal.sale(txn).order_id]


async def test_status_rate_and_support_are_answered(deal: Deal) -> None:
    await deal.cycle()
    txn = await deal.order([24.0])
    deal.ask("status", txn, {"contract": deal.said(txn)})
    deal.ask("support", txn, {"support": {"orderId": deal.sale(txn).order_id}})
    deal.settle()
    assert told(deal.buyer.last("on_status"))["BASELINE"][FIRST] == pytest.approx(JOBS * KW + 0.288)
    assert (
        "no channel"
        in deal.buyer.last("on_support")["message"]["support"]["descriptor"]["shortDesc"]
    )
    await live(deal, FIRST + SLOT + 300, step=600)
    rating = {"target": {"id": deal.sale(txn).order_id}, "range": {"min": 1, "max": 5, "value": 4}}
    deal.ask("rate", txn, {"ratingInputs": [rating]})
    deal.settle()
    assert deal.buyer.last("on_rate")["message"]["ratings"] == [rating]
    assert deal.sale(txn).rating == 4.0


async def test_nothing_is_offered_while_nothing_could_be_kept(deal: Deal) -> None:
    await deal.cycle()
    assert deal.discover() != []
    await deal.bench.agent.pause()
    assert deal.discover() == []
    assert deal.agent.offers().why_none


async def test_what_rests_on_few_jobs_is_not_offered(tmp_path: Path, settings: Settings) -> None:
    deal = Deal(tmp_path, settings, least_jobs=5)
    deal.busy(4)
    await deal.cycle()
    assert deal.discover() == []
    deal.close()
    deal.bench.store.close()


async def test_no_message_names_a_job_or_a_user(deal: Deal) -> None:
    for number, job in enumerate(list(deal.bench.slurm.jobs)):
        names = {"name": f"zqjob{number}", "user": f"zquser{number}", "account": f"zqacc{number}"}
        deal.bench.slurm.edit(job, **names)
    await deal.cycle()
    deal.discover()
    first = await deal.order([24.0, 24.0])
    await deal.order([1000.0])
    deal.cancel(await deal.order([6.0], FIRST + SLOT))
    for _ in range(6):
        deal.bench.slurm.submit("power=10kW", cpus=10, minutes=600, name="zqother", user="zqother")
    await live(deal, FIRST + 2 * SLOT + 400)
    deal.ask("status", first, {"contract": deal.said(first)})
    deal.ask("support", first, {"support": {"orderId": "x"}})
    deal.settle()
    said = re.sub(rb'"BLAKE-512=[^"]*"', b"", b" ".join(deal.wire))
    actions = set(re.findall(rb'"action":"(on_[a-z]+)"', said))
    assert {
        b"on_discover",
        b"on_select",
        b"on_init",
        b"on_confirm",
        b"on_status",
        b"on_cancel",
    } <= actions
    for word in (b"zq", b"alice", b"research", b"job", b"squeue"):
        assert word not in said.lower()
