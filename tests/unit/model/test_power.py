"""The power of a job: what its user stated, else its resources by the site's coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.directive import PowerSpec
from flexlond.model.job import Job, JobState, Pool
from flexlond.model.power import base_kw, job_kw, jobs_kw, jobs_power, node_type
from flexlond.model.settings import NodeType, PowerSettings

SITE = PowerSettings(
    pue=1.25,
    node_types={
        "gpu": NodeType(
            partitions=("gpu", "gpu-long"),
            idle_watts=400.0,
            cpu_watts=5.0,
            gpu_watts={"h100": 700.0, "a100": 400.0, "": 300.0},
            cpus_per_node=32,
            idle_share=0.5,
        ),
        "plain": NodeType(idle_watts=128.0, cpu_watts=10.0, gpu_watts={}, cpus_per_node=64),
    },
)


def a_job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "job_id": 1, "state": JobState.PENDING, "reason": "Priority", "user": "u", "uid": 1000,
        "account": "a", "qos": "normal", "partition": "cpu", "name": "n", "nodes": 1, "cpus": 8,
        "memory_mib": 0, "gpus": (), "licenses": "", "time_limit": 3600, "submit": 0, "begin": 0,
        "start": 0, "end": 0, "deadline": 0, "priority": 1, "requeue": True, "restarts": 0,
        "reservation": "", "dependency": "", "batch": True, "node_list": "", "comment": "",
    }  # fmt: skip
    return Job(**(values | changes))


@pytest.mark.parametrize(
    ("watts", "per", "shape", "kw"),
    [
        (3500.0, "job", {"nodes": 4}, 4.375),  # 3.5 kW x 1.25
        (350.0, "node", {"nodes": 4}, 1.75),
        (350.0, "node", {"nodes": 0}, 0.4375),  # a pending job has at least one node
        (300.0, "gpu", {"gpus": (("a100", 2), ("h100", 1))}, 1.125),
        (12.0, "cpu", {"cpus": 8}, 0.12),
    ],
)
def test_a_stated_power_goes_first(
    watts: float, per: Any, shape: dict[str, Any], kw: float
) -> None:
    assert job_kw(a_job(**shape), PowerSpec(watts, per), SITE) == pytest.approx(kw)


def test_a_power_per_gpu_on_a_job_without_gpus_says_nothing() -> None:
    job = a_job()
    assert job_kw(job, PowerSpec(300.0, "gpu"), SITE) == job_kw(job, None, SITE) > 0


@pytest.mark.parametrize(
    ("shape", "watts"),
    [
        ({"cpus": 8}, 8 * 10 + 8 / 64 * 128),
        ({"cpus": 128, "nodes": 2}, 128 * 10 + 2 * 128),
        ({"cpus": 2, "nodes": 2}, 2 * 10 + 2 / 64 * 128),  # a corner of two nodes
        ({"cpus": 100, "nodes": 1}, 100 * 10 + 128),  # never more idle than its nodes have
        ({"cpus": 8, "partition": "gpu"}, 8 * 5 + 8 / 32 * 400 * 0.5),
        ({"cpus": 0, "partition": "gpu", "gpus": (("h100", 2),)}, 1400),
        ({"cpus": 0, "partition": "gpu", "gpus": (("b200", 1), ("h100", 1))}, 700 + 300),
        ({"cpus": 0, "partition": "gpu", "gpus": (("", 3),)}, 900),
        ({"cpus": 0, "gpus": (("h100", 2),)}, 0),  # a type of node said to have none
    ],
)
def test_the_model_adds_cpus_gpus_and_the_share_of_idle(
    shape: dict[str, Any], watts: float
) -> None:
    assert job_kw(a_job(**shape), None, SITE) == pytest.approx(watts * 1.25 / 1000)


def test_an_unknown_gpu_without_a_default_counts_as_the_largest_known() -> None:
    site = PowerSettings(pue=1.0, node_types={"g": NodeType(gpu_watts={"a": 200.0, "b": 600.0})})
    with_gpu = job_kw(a_job(gpus=(("c", 1),)), None, site)
    assert with_gpu - job_kw(a_job(), None, site) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("partition", "name"),
    [
        ("gpu", "gpu"),
        ("gpu-long", "gpu"),
        ("gpu,cpu", "gpu"),
        ("cpu,gpu", "plain"),  # the first of a list
        ("gp", "plain"),
        ("", "plain"),
    ],
)
def test_the_node_type_of_a_partition(partition: str, name: str) -> None:
    assert node_type(partition, SITE) is SITE.node_types[name]


def test_a_partition_of_no_type_gets_the_built_in_coefficients() -> None:
    only_gpu = PowerSettings(node_types={"gpu": SITE.node_types["gpu"]})
    assert node_type("cpu", only_gpu) == NodeType()


def test_an_array_counts_one_task() -> None:
    array = a_job(array_job_id=1, task_count=50)
    assert job_kw(array, None, SITE) == job_kw(a_job(), None, SITE)


gpus = st.lists(
    st.tuples(st.sampled_from(["", "a100", "h100", "b200"]), st.integers(1, 8)),
    max_size=3,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: tuple(sorted(pairs)))
jobs = st.builds(
    a_job,
    nodes=st.integers(0, 16),
    cpus=st.integers(0, 2048),
    gpus=gpus,
    partition=st.sampled_from(["cpu", "gpu", "gpu-long,cpu", "cpu,gpu", ""]),
)
specs = st.none() | st.builds(
    PowerSpec, st.floats(0, 1e5), st.sampled_from(["job", "node", "gpu", "cpu"])
)


@settings(max_examples=200, deadline=None)
@given(pairs=st.lists(st.tuples(jobs, specs), max_size=20))
def test_many_at_once_are_the_same_as_one_by_one(pairs: list[tuple[Job, PowerSpec | None]]) -> None:
    together = jobs_kw([job for job, _ in pairs], [spec for _, spec in pairs], SITE)
    assert together.dtype == np.float64
    np.testing.assert_allclose(together, [job_kw(j, s, SITE) for j, s in pairs], rtol=1e-12)
    assert (together >= 0).all()


def test_unequal_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="1 jobs but 0 power"):
        jobs_kw([a_job()], [], SITE)


def test_the_idle_share_is_told_apart_unless_the_power_is_stated() -> None:
    gpu = a_job(partition="gpu", cpus=16, gpus=(("h100", 1),))
    whole, idle, stated = jobs_power(
        [gpu, gpu, a_job()], [None, PowerSpec(500.0, "job"), None], SITE
    )
    assert whole.tolist() == pytest.approx([(80 + 700 + 100) * 1.25e-3, 0.625, (80 + 16) * 1.25e-3])
    assert idle.tolist() == pytest.approx([100 * 1.25e-3, 0.0, 16 * 1.25e-3])
    assert stated.tolist() == [False, True, False]


def test_base_power_counts_each_node_once_at_its_largest() -> None:
    def pool(name: str, *nodes: str) -> Pool:
        return Pool(name, len(nodes), 0, 0, (), nodes, None, None)

    pools = [pool("cpu", "n1", "n2", "g1"), pool("gpu", "g1", "g2")]
    assert base_kw(pools, SITE, power_saving=False) == pytest.approx((2 * 128 + 2 * 400) * 1.25e-3)
    # switched off: only what jobs are not charged with while they run (idle_share 0.5 of the GPU nodes)
    assert base_kw(pools, SITE, power_saving=True) == pytest.approx(2 * 200 * 1.25e-3)
