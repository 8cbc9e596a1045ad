"""From the queue to the question: forecasts, marginal power, reservations to come, caps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from flexlond.agents.build import Question, build
from flexlond.agents.consent import ConsentReader, judge
from flexlond.agents.outlook import Outlook
from flexlond.model.directive import PowerSpec
from flexlond.model.job import Cluster, Job, JobState, Pool, Reservation
from flexlond.model.series import Kind, Quality, Series
from flexlond.model.settings import NodeType, PlanningSettings, PowerSettings, Settings
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.planner import plan
from flexlond.prediction.features import of_job
from tests.unit.agents.conftest import START, SimSlurm

NODES = ("n1", "n2", "n3", "n4")
POWER = PowerSettings(
    pue=1.25,
    node_types={"all": NodeType(idle_watts=400.0, cpu_watts=10.0, cpus_per_node=16)},
)
SETTINGS = Settings(power=POWER)
GRID = TimeGrid.covering(START, 1800, 24)
FLEX = "flex: max-delay=8:00:00"


def a_pool(name: str = "main", nodes: tuple[str, ...] = NODES) -> Pool:
    return Pool(name, len(nodes), 16 * len(nodes), 0, (), nodes, None, 3600)


def a_cluster(*pools: Pool, **changes: Any) -> Cluster:
    values: dict[str, Any] = {"sched_interval": 30, "accrue_always": True, "kill_wait": 30}
    return Cluster("sim", "24.11.5", pools or (a_pool(),), **(values | changes))


def a_reservation(nodes: str, start: int, end: int) -> Reservation:
    return Reservation("r", start, end, nodes, "", (), active=False)


def jobs_of(*comments: str, **changes: Any) -> list[Job]:
    slurm = SimSlurm()
    for comment in comments:
        slurm.submit(comment, **changes)
    return list(slurm.jobs.values())


def running(job: Job, start: int) -> Job:
    return replace(job, state=JobState.RUNNING, start=start)


def ask(jobs: list[Job], cluster: Cluster | None = None, **more: Any) -> Question:
    settings = more.pop("settings", SETTINGS)
    consents = ConsentReader(settings.directive, ZoneInfo("UTC"))
    flex = {
        job.job_id: judge(job, None, consents, now=START, margin=300, split=())
        for job in jobs
        if job.state is JobState.PENDING and "flex" in job.comment
    }
    price = Series(Kind.PRICE, GRID, more.pop("price", np.full(24, 80.0)), "", 0, Quality.GOOD, "")
    return build(
        jobs,
        flex,
        cluster or a_cluster(),
        price=price,
        carbon=None,
        settings=settings,
        grid=GRID,
        now=START,
        recent=np.zeros((0, 2)),
        **more,
    )


def taught(job: Job, seconds: float = 900.0, runs: int = 20) -> Outlook:
    outlook = Outlook()
    for number in range(runs):
        outlook.runtime.learn(of_job(job), seconds, START - 1000 + number)
    return outlook


def test_without_history_everything_is_the_time_limit() -> None:
    problem = ask(jobs_of(FLEX, minutes=90)).problem
    for values in (problem.duration, problem.occupancy, problem.limit):
        assert values.tolist() == [5400.0]


def test_a_run_costs_its_mean_and_keeps_its_room_for_its_p90() -> None:
    jobs = jobs_of(FLEX, minutes=90)
    outlook = taught(jobs[0])
    outlook.runtime.learn(of_job(jobs[0]), 3000.0, START - 10)
    forecast = outlook.runtime.predict(of_job(jobs[0]))
    problem = ask(jobs, outlook=outlook).problem
    assert problem.duration.tolist() == [forecast.mean]
    assert problem.occupancy.tolist() == [forecast.p90]
    assert problem.limit.tolist() == [5400.0]
    assert forecast.p50 == pytest.approx(900, rel=0.05)  # one run in 25 took longer
    assert 1.2 * forecast.p50 < forecast.mean < 3000


def test_the_latest_start_is_the_time_limits_whatever_was_learnt() -> None:
    jobs = jobs_of("flex: deadline=now+4hours", minutes=90)
    before, after = ask(jobs).problem, ask(jobs, outlook=taught(jobs[0])).problem
    assert after.duration[0] < before.duration[0]
    assert after.latest.tolist() == before.latest.tolist() == [START + 4 * 3600 - 5400 - 300]


def test_an_unlimited_job_counts_for_a_day_and_is_not_moved() -> None:
    jobs = jobs_of(FLEX, time_limit=None)
    problem = ask(jobs, outlook=taught(jobs[0])).problem
    assert problem.duration.tolist() == problem.occupancy.tolist() == [86_400.0]
    assert not problem.movable.any()


def test_a_running_job_keeps_its_room_until_its_predicted_end() -> None:
    (job,) = jobs_of("", minutes=90)
    at = running(job, START - 600)
    assert ask([at]).problem.running.end.tolist() == [START - 600 + 5400]
    outlook = taught(job)
    total = outlook.runtime.predict_end(of_job(job), 600.0).p90
    (end,) = ask([at], outlook=outlook).problem.running.end.tolist()
    assert end == START - 600 + total < START - 600 + 5400
    late = running(job, START - 6000)  # past its limit: Slurm is about to end it
    assert ask([late], outlook=outlook).problem.running.end.tolist() == [START - 600]


def test_idle_power_of_nodes_that_stay_on_is_not_the_jobs() -> None:
    question = ask(jobs_of(FLEX, cpus=8))
    assert question.problem.kw.tolist() == pytest.approx([8 * 10 * 1.25 / 1000])
    assert question.whole_kw[1] == pytest.approx((80 + 200) * 1.25 / 1000)
    assert question.problem.base_kw == pytest.approx(4 * 400 * 1.25 / 1000)


def test_where_slurm_switches_nodes_off_it_is() -> None:
    question = ask(jobs_of(FLEX, cpus=8), a_cluster(power_saving=True))
    assert question.problem.kw.tolist() == pytest.approx([(80 + 200) * 1.25 / 1000])
    assert question.problem.base_kw == 0.0


@pytest.mark.parametrize("saving", [False, True])
def test_all_nodes_at_work_are_the_sites_draw(*, saving: bool) -> None:
    jobs = jobs_of("", "", "", "", cpus=16)
    at = [running(job, START - 60) for job in jobs]
    problem = ask(at, a_cluster(power_saving=saving)).problem
    assert problem.base_kw + problem.running.kw.sum() == pytest.approx(4 * 560 * 1.25 / 1000)


def test_a_stated_power_counts_as_stated() -> None:
    (job,) = jobs_of(f"{FLEX} power=2kW")
    assert ask([job]).problem.kw.tolist() == pytest.approx([2.5])
    stated = {job.job_id: PowerSpec(2000.0, "job")}
    at = ask([running(job, START)], stated=stated)
    assert at.problem.running.kw.tolist() == pytest.approx([2.5])
    assert at.kw[job.job_id] == at.whole_kw[job.job_id] == pytest.approx(2.5)


def test_measured_power_corrects_the_coefficients_but_not_what_is_stated() -> None:
    plain, stated = jobs_of(FLEX, f"{FLEX} power=2kW", cpus=8)
    outlook = Outlook()
    for _ in range(5):
        outlook.power.learn(of_job(plain), 0.75, 0.5, 600.0)  # half as much again
    question = ask([plain, stated], outlook=outlook)
    whole = question.whole_kw[plain.job_id]
    assert whole == pytest.approx(1.5 * 280 * 1.25 / 1000, rel=0.05)  # rounded to steps of 10 %
    assert question.kw[plain.job_id] == pytest.approx(whole - 200 * 1.25 / 1000)
    assert question.kw[stated.job_id] == pytest.approx(2.5)
    for _ in range(5):
        outlook.power.learn(of_job(plain), 0.05, 0.5, 600.0)  # below its share of the idle power
    assert ask([plain], outlook=outlook).kw[plain.job_id] == pytest.approx(0.05 * 0.1)


def test_an_array_and_a_het_job_add_up() -> None:
    (array,) = jobs_of(FLEX, cpus=8, task_count=3, array_job_id=1)
    assert ask([array]).kw[1] == pytest.approx(3 * 0.1)
    leader = replace(array, task_count=1, array_job_id=0, het_job_id=1)
    second = replace(leader, job_id=2, het_offset=1, cpus=16)
    question = ask([leader, second])
    assert question.problem.kw.tolist() == pytest.approx([0.1 + 0.2])
    assert list(question.rows) == [1]


def test_a_reservation_to_come_takes_its_room() -> None:
    cheap = np.full(24, 200.0)
    cheap[8:12] = 20.0
    (job,) = jobs_of(FLEX, cpus=64)  # the whole cluster
    free = plan(ask([job], price=cheap).problem, SETTINGS.planning)
    assert 8 <= free.slot[0] < 12
    blocked = a_cluster(reservations=(a_reservation("n2", START + 6 * 1800, START + 13 * 1800),))
    problem = ask([job], blocked, price=cheap).problem
    assert problem.running.begin.tolist() == [START + 6 * 1800]
    assert problem.running.demand.tolist() == [[16.0, 0.0, 0.0]]
    assert not 5 <= plan(problem, SETTINGS.planning).slot[0] < 13
    small = replace(job, cpus=48)  # beside it
    assert 8 <= plan(ask([small], blocked, price=cheap).problem, SETTINGS.planning).slot[0] < 12


def test_caps_of_the_site() -> None:
    planning = PlanningSettings(site_kw=5.0, co2_cap_kg=7.0)
    problem = ask(jobs_of(FLEX), settings=Settings(power=POWER, planning=planning)).problem
    assert problem.site_kw.tolist() == [5.0] * 24
    assert problem.co2_cap_kg == 7.0
    free = ask(jobs_of(FLEX)).problem
    assert len(free.site_kw) == 0
    assert free.co2_cap_kg == float("inf")
