"""A queue of which a tenth is late whatever is done: most begin times stand from cycle to cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flexlond.model.action import Verb
from tests.unit.agents.deep_queue import PRICE, acting, filled

if TYPE_CHECKING:
    from flexlond.model.settings import Settings

JOBS, CYCLES = 1000, 4


@pytest.fixture
def settings() -> Settings:
    return acting(search_seconds=600.0)  # by steps alone: on any machine the same plans


async def test_one_job_without_a_place_does_not_give_everybody_back(bench: Any) -> None:
    """Where holds are given back the rest is planned again, and one that finds no place there costs the most.

    That must not make the plan in which all start as soon as possible the better one: it would take the begin
    times of hundreds, and what is given back is not held again.
    """
    bench.hub.price = PRICE
    filled(bench, JOBS)
    held: set[int] = set()
    for _ in range(CYCLES):
        before = len(bench.slurm.effects)
        await bench.cycle()
        sent = bench.slurm.effects[before:]
        given_back = {one.job_id for one in sent if one.verb is Verb.RELEASE}
        assert len(given_back & held) <= len(held) // 2
        held |= {one.job_id for one in sent if one.verb is Verb.HOLD_UNTIL}
        held -= given_back
        bench.slurm.advance(30)
    assert len(held) > JOBS // 20
