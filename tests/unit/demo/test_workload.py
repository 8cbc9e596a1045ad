"""The demo's workload: the same in every run, of every kind, and readable by the product."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import pytest
from demo_lib.setup import configuration
from demo_lib.workload import OPT_IN_PARTITION, Kind, Submission, workload

from flexlond.model.directive import Directive, NotFlexible, Rejected, read_directive
from flexlond.model.settings import Settings

NOW = 1_700_000_000
SETTINGS = msgspec.toml.decode(configuration(7), type=Settings)

EXPECTED = {
    Kind.PLAIN: NotFlexible,
    Kind.ANNOTATED: Directive,
    Kind.SITE_DEFAULT: Directive,
    Kind.OPTED_OUT: NotFlexible,
    Kind.MALFORMED: Rejected,
}


def test_the_same_seed_gives_the_same_workload() -> None:
    assert workload() == workload()
    assert workload(1) != workload(2)


def test_order_and_names() -> None:
    jobs = workload()
    assert [job.at for job in jobs] == sorted(job.at for job in jobs)
    assert len({job.name for job in jobs}) == len(jobs)
    # What a job depends on is submitted before it.
    seen: set[str] = set()
    for job in jobs:
        assert not job.after or job.after in seen
        seen.add(job.name)


def test_size_and_kinds() -> None:
    jobs = workload()
    assert 40 <= sum(job.tasks for job in jobs) <= 60
    assert {job.kind for job in jobs} == set(Kind)
    assert {job.user for job in jobs} == {"alice", "bob", "carol"}
    assert sum(job.kind is Kind.MALFORMED for job in jobs) == 1
    assert any(job.array and job.kind.consents for job in jobs)
    assert any(job.gpus and job.kind.consents for job in jobs)
    assert any(job.after and job.kind.consents for job in jobs)
    assert any(job.begin for job in jobs)


def test_each_job_fits_a_node_and_its_limit() -> None:
    for job in workload():
        assert job.cpus <= 32
        assert job.gpus <= 4
        assert 15 <= job.runtime <= 55 < job.minutes * 60


@pytest.mark.parametrize("job", workload(), ids=lambda job: job.name)
def test_the_product_reads_each_comment_as_meant(job: Submission) -> None:
    begin = NOW + job.begin if job.begin else 0
    found = read_directive(
        job.comment,
        SETTINGS.directive,
        now=NOW,
        tz=ZoneInfo("UTC"),
        partition=job.partition or "main",
        time_limit=job.minutes * 60,
        begin=begin,
    )
    assert isinstance(found, EXPECTED[job.kind])


def test_without_its_word_the_opt_in_partition_is_flexible_all_the_same() -> None:
    found = read_directive(
        "",
        SETTINGS.directive,
        now=NOW,
        tz=ZoneInfo("UTC"),
        partition=OPT_IN_PARTITION,
        time_limit=60,
    )
    assert isinstance(found, Directive)
    assert found.source == "site default"


def test_argv_is_what_a_user_types() -> None:
    job = Submission(
        "train",
        0,
        "carol",
        Kind.ANNOTATED,
        8,
        30,
        gpus=4,
        after="prepare",
        comment="flex: class=x",
        begin=9,
    )
    argv = job.argv({"prepare": 7})
    assert argv[0] == "sbatch"
    assert argv[-1] == "--wrap=sleep 30"
    for option in (
        "--dependency=afterok:7", "--gres=gpu:4", "--comment=flex: class=x", "--begin=now+9", "--time=1",
        "--cpus-per-task=8",
    ):  # fmt: skip
        assert option in argv
    with pytest.raises(KeyError):
        job.argv({})


def test_tasks() -> None:
    job = Submission("a", 0, "bob", Kind.PLAIN, 1, 15)
    assert job.tasks == 1
    assert Submission("a", 0, "bob", Kind.PLAIN, 1, 15, array="0-3%2").tasks == 4
    assert Submission("a", 0, "bob", Kind.MALFORMED, 1, 15).tasks == 0


def test_the_configuration_is_the_products_and_acts() -> None:
    assert SETTINGS.daemon.mode == "act"
    assert SETTINGS.grid.slot_seconds == 7
    assert SETTINGS.planning.ramp_kw_per_5min > 0
    assert SETTINGS.helper.margin_seconds < SETTINGS.planning.margin_seconds
