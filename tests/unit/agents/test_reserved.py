"""Which room reservations take: whole nodes, in every pool that has them, once."""

from __future__ import annotations

import numpy as np
import pytest

from flexlond.agents.reserved import reserved, together
from flexlond.model.job import Pool, Reservation
from flexlond.planning.pools import room_of
from flexlond.planning.problem import Running

NOW, END = 1000, 9000


def a_pool(name: str, *nodes: str, cpus: int = 8) -> Pool:
    return Pool(name, len(nodes), cpus * len(nodes), 0, (), nodes, None, None)


def blocks(nodes: str, *pools: Pool, start: int = 2000, end: int = 3000) -> Running:
    one = Reservation("r", start, end, nodes, "", (), active=False)
    return reserved([one], pools, room_of(pools), now=NOW, end=END)


def taken(found: Running) -> list[float]:
    """CPUs taken of each pool."""
    cpus: list[float] = (found.share * found.demand[:, [0]]).sum(axis=0).tolist()
    return cpus


def test_nodes_count_in_each_pool_that_has_them() -> None:
    pools = (a_pool("a", "n1", "n2"), a_pool("b", "n2", "n3"), a_pool("c", "m1"))
    found = blocks("n[1-2]", *pools)
    assert taken(found) == [16.0, 8.0, 0.0]
    assert sorted(found.share.tolist()) == [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    assert found.begin.tolist() == [2000, 2000]
    assert found.end.tolist() == [3000, 3000]
    assert not found.kw.any()


@pytest.mark.parametrize(
    ("nodes", "start", "end"),
    [("", 2000, 3000), ("m9", 2000, 3000), ("n1", 100, NOW), ("n1", END, END + 100)],
)
def test_what_is_over_too_far_or_elsewhere_takes_nothing(nodes: str, start: int, end: int) -> None:
    assert len(blocks(nodes, a_pool("a", "n1"), start=start, end=end).end) == 0


def test_an_active_one_takes_its_room_until_its_end() -> None:
    found = blocks("n1", a_pool("a", "n1", "n2"), start=500, end=1500)
    assert (found.begin.tolist(), found.end.tolist()) == ([500], [1500])
    assert taken(found) == [8.0]


def test_a_host_list_that_cannot_be_read_takes_every_node() -> None:
    assert taken(blocks("n[1-", a_pool("a", "n1", "n2"))) == [16.0]


def test_beside_what_runs() -> None:
    pools = (a_pool("a", "n1"),)
    runs = Running.in_pools(np.array([0]), np.ones((1, 3)), np.array([1500]), np.ones(1), 1)
    both = together(runs, blocks("n1", *pools))
    assert both.begin.tolist() == [0, 2000]
    assert both.kw.tolist() == [1.0, 0.0]
    assert both.share.shape == (2, 1)
