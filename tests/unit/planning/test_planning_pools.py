from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.model.job import Job, JobState, Pool
from flexlond.planning.pools import demand_of, room_of
from flexlond.planning.problem import PlanningError, Reason, Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Problem


def pool(name: str, nodes: tuple[str, ...], *, gpus: int = 0, up: bool = True) -> Pool:
    count = len(nodes)
    kinds = (("h200", gpus * count),) if gpus else ()
    return Pool(name, count, 8 * count, 1000 * count, kinds, nodes, None, None, up=up)


def test_pools_that_share_nodes_form_a_group_that_counts_them_once() -> None:
    pools = [
        pool("a", ("n1", "n2")),
        pool("gpu", ("g1",), gpus=4),
        pool("b", ("n2", "n3")),
        pool("c", ("n3", "n4")),
    ]
    room = room_of(pools)
    assert room.resources == ("cpus", "memory_mib", "gpus", "gpus:h200")
    assert room.pool_group.tolist() == [0, 1, 0, 0]
    assert room.capacity[:, 0].tolist() == [16, 8, 16, 16]
    assert room.group_capacity.tolist() == [[32, 4000, 0, 0], [8, 1000, 4, 4]]
    assert room.pool_of("nosuch,gpu,a") == 1
    assert room.pool_of("nosuch") == -1


def test_a_pool_that_is_down_has_no_room_and_no_pools_make_no_rows() -> None:
    room = room_of([pool("a", ("n1",), up=False)])
    assert room.capacity.tolist() == [[0, 0, 0]]
    assert room.group_capacity.tolist() == [[0, 0, 0]]
    assert room_of([]).capacity.shape == (0, 3)


def test_demand_is_of_one_task_in_the_rooms_resources() -> None:
    job = Job(
        **{
            **dict.fromkeys(Job.__dataclass_fields__, 0),
            "state": JobState.PENDING,
            "cpus": 4,
            "memory_mib": 500,
            "gpus": (("", 1), ("h200", 2)),
        }
    )
    wanted = [4, 500, 3, 2]
    assert demand_of(job, ("cpus", "memory_mib", "gpus", "gpus:h200")).tolist() == wanted


def test_a_problem_whose_arrays_do_not_fit_says_which(make_problem: Callable[..., Problem]) -> None:
    with pytest.raises(PlanningError, match=r"problem\.depends has an index outside 0\.\.0"):
        make_problem([1.0], depends=np.array([[0, 1]]))
    with pytest.raises(PlanningError, match=r"problem\.carbon has shape \(2,\), expected \(1,\)"):
        make_problem([1.0], carbon=[1.0, 2.0])
    with pytest.raises(PlanningError, match=r"problem\.running\.share has shape"):
        make_problem([1.0], running=Running.none(2, 1))


def test_reasons_have_words() -> None:
    assert Reason.BELOW_BENEFIT.word == "below-benefit"
    assert len({reason.word for reason in Reason}) == len(Reason)
