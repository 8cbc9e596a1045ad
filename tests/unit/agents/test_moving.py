"""Which jobs go to another site: by consent, for a benefit, in time, and held first (simulated Slurm)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.action import Verb
from flexlond.model.job import JobState
from flexlond.model.series import Quality
from flexlond.model.settings import Feed, PlanningSettings, SiteSettings
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.elsewhere import Run, cheapest
from tests.unit.agents.conftest import SLOT, START, SimHub, replace_struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.agents.conftest import Bench

DEAR = [200.0] * 48
CHEAP_SOON = [200.0] * 2 + [10.0] * 2 + [200.0] * 44  # from one to two hours after START
COMMENT = "flex: max-delay=8:00:00 sites=sim+south"
BOTH = ("sim", "south")


def with_site(bench: Bench, price: Sequence[float] = CHEAP_SOON, **changes: Any) -> Bench:
    feed = (Feed(source="csv", path="/nowhere"),)
    site = replace_struct(SiteSettings(cluster="south", price=feed, min_benefit=0.01), **changes)
    bench.settings = replace_struct(bench.settings, sites=(site,))
    bench.sites = {"south": SimHub(price)}
    bench.hub.price = DEAR
    bench.restart()
    return bench


def sent(bench: Bench, job: int) -> list[tuple[Verb, int]]:
    return [(one.verb, one.not_before) for one in bench.slurm.effects if one.job_id == job]


async def test_it_goes_where_it_is_cheaper_held_until_the_start_that_was_weighed(
    bench: Bench,
) -> None:
    with_site(bench)
    job = bench.slurm.submit(COMMENT, cpus=32, sites=BOTH)
    await bench.cycle()
    begin = START + 2 * SLOT
    assert sent(bench, job) == [(Verb.HOLD_UNTIL, begin), (Verb.ROUTE, begin + 600)]
    assert bench.slurm.jobs[job].sites == ("south",)
    await bench.cycle()
    assert len(sent(bench, job)) == 2  # away it is not ours to plan
    explained = bench.agent.explain(job)
    assert explained is not None
    assert "at another of its sites: `squeue -M south`" in explained.summary
    assert any("to south" in line.detail for line in explained.history)


async def test_one_that_comes_back_is_known_and_starts_in_time(bench: Bench) -> None:
    with_site(bench)
    job = bench.slurm.submit(COMMENT, cpus=32, sites=BOTH)
    await bench.cycle()
    bench.slurm.now = START + 2 * SLOT + 630
    bench.slurm.edit(job, state=JobState.PENDING, sites=BOTH)  # as the helper's timer does
    bench.restart()
    await bench.cycle()
    bench.slurm.advance(60)
    record = bench.agent.actuator.records[job]
    assert not record.opted_out
    assert bench.slurm.jobs[job].state is JobState.RUNNING


async def test_a_drain_or_consent_that_is_gone_brings_it_back_and_lets_it_go(bench: Bench) -> None:
    with_site(bench)
    job, other = (bench.slurm.submit(COMMENT, cpus=16, sites=BOTH) for _ in range(2))
    await bench.cycle()
    bench.slurm.edit(other, comment="flex: max-delay=8:00:00")
    await bench.cycle()
    assert bench.slurm.jobs[job].state is JobState.AWAY
    assert bench.slurm.jobs[other].state is JobState.PENDING
    bench.restart()
    await bench.agent.drain()
    await bench.cycle()
    await bench.cycle()
    assert bench.slurm.jobs[job].state is JobState.PENDING
    assert bench.begin(job) <= bench.slurm.now
    assert [verb for verb, _ in sent(bench, job)].count(Verb.WIDEN) == 1


@pytest.mark.parametrize(
    ("comment", "job_sites", "changes"),
    [
        ("flex: max-delay=8:00:00", BOTH, {}),
        ("flex: max-delay=8:00:00 sites=sim+east", BOTH, {}),
        ("flex: max-delay=8:00:00 sites=south+east", BOTH, {}),
        ("", BOTH, {}),
        (COMMENT, (), {}),
        (COMMENT, ("sim",), {}),
        (COMMENT, BOTH, {"min_benefit": 1e6}),
        (COMMENT, BOTH, {"most": 0}),
        (COMMENT, BOTH, {"price": DEAR}),
        (COMMENT, BOTH, {"stay": 8 * 3600}),
    ],
)
async def test_what_stays(
    bench: Bench, comment: str, job_sites: tuple[str, ...], changes: dict[str, Any]
) -> None:
    price = changes.pop("price", CHEAP_SOON)
    with_site(bench, price, **changes)
    job = bench.slurm.submit(comment, cpus=32, sites=job_sites)
    await bench.cycle()
    assert Verb.ROUTE not in {verb for verb, _ in sent(bench, job)}


async def test_signals_that_are_stale_or_a_daemon_that_only_observes_move_nothing(
    bench: Bench,
) -> None:
    with_site(bench)
    bench.sites["south"].quality = Quality.STALE
    job = bench.slurm.submit(COMMENT, cpus=32, sites=BOTH)
    await bench.cycle()
    bench.sites["south"].quality = Quality.GOOD
    bench.settings = replace_struct(
        bench.settings, daemon=replace_struct(bench.settings.daemon, mode="observe")
    )
    bench.restart()
    await bench.cycle()
    assert Verb.ROUTE not in {verb for verb, _ in sent(bench, job)}


async def test_the_best_go_first_and_no_more_than_the_site_takes(bench: Bench) -> None:
    with_site(bench, most=1)
    small = bench.slurm.submit(COMMENT, cpus=4, sites=BOTH)
    large = bench.slurm.submit(COMMENT, cpus=32, sites=BOTH)
    await bench.cycle()
    assert bench.slurm.jobs[large].state is JobState.AWAY
    assert bench.slurm.jobs[small].state is JobState.PENDING


async def test_another_sites_job_is_plain_here(bench: Bench) -> None:
    with_site(bench)
    job = bench.slurm.submit(COMMENT, cpus=32, sites=BOTH, origin="south")
    await bench.cycle()
    assert sent(bench, job) == []
    explained = bench.agent.explain(job)
    assert explained is not None
    assert "south" in explained.job.reason


def test_a_start_needs_every_price_of_its_run() -> None:
    grid = TimeGrid(START, SLOT, 4)
    price = np.array([50.0, np.nan, 20.0, 10.0])
    run = Run(
        kw=10.0, seconds=SLOT, earliest=START, latest=START + 4 * SLOT, delay_gbp_per_second=0.0
    )
    none = np.zeros(4)
    settings = PlanningSettings()
    found = cheapest(run, grid, price, none, settings)
    assert found is not None
    assert found.at == START + 3 * SLOT
    assert found.gbp == pytest.approx(10.0 * 0.5 * 10 / 1000)
    long = Run(10.0, 2 * SLOT, START, START + SLOT, 0.0)
    assert cheapest(long, grid, price, none, settings) is None
    assert cheapest(Run(10.0, SLOT, START + 1, START, 0.0), grid, price, none, settings) is None
