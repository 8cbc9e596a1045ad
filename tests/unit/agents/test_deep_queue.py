"""A queue of which a tenth is late whatever is done: most begin times stand from cycle to cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.model.action import Verb
from tests.perf.cycle import PRICE, filled, settings
from tests.unit.agents.conftest import Bench, replace_struct

if TYPE_CHECKING:
    from pathlib import Path

JOBS, CYCLES = 1000, 4


async def test_one_job_without_a_place_does_not_give_everybody_back(tmp_path: Path) -> None:
    """Where holds are given back the rest is planned again, and one that finds no place there costs the most.

    That must not make the plan in which all start as soon as possible the better one: it would take the begin
    times of hundreds, and what is given back is not held again.
    """
    shipped = settings()
    # By steps alone: on any machine the same plans.
    unhurried = replace_struct(
        shipped, planning=replace_struct(shipped.planning, search_seconds=600.0)
    )
    bench = Bench(tmp_path / "store.db", unhurried, PRICE)
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
    bench.store.close()
    assert len(held) > JOBS // 20
