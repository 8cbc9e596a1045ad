from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.backtest import parts, runner
from flexlond.backtest.case import Run
from flexlond.backtest.parts import Identity, Input, ResultsError, Task
from flexlond.backtest.study import Study, StudyError, load, load_again, work
from flexlond.backtest.tally import tally
from tests.unit.backtest.studykit import write_signals, write_trace

if TYPE_CHECKING:
    from pathlib import Path

TASKS = tuple(Task("asap", "", seed) for seed in range(6))


def run_of(task: Task, value: int = 0) -> Run:
    jobs = np.array([value, task.seed], np.int64)
    return Run(task.policy, task.seed, jobs, jobs + 1, jobs, np.array([0.5]), notes=("a note",))


def slow_first(context: int, task: Task) -> Run:
    time.sleep(0.2 if task.seed == 0 else 0.0)
    return run_of(task, context)


def bad_third(context: int, task: Task) -> Run:
    if task.seed == 3:
        raise ValueError("no such thing")
    return run_of(task, context)


def ended_third(context: int, task: Task) -> Run:
    if task.seed == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return run_of(task, context)


def sleeping_last(context: int, task: Task) -> Run:
    time.sleep(60 if task.seed == 5 else 0)
    return run_of(task, context)


def quiet(_: runner.Done) -> None:
    pass


@pytest.mark.parametrize("processes", [1, 3])
def test_the_answer_is_in_the_order_of_the_tasks(processes: int) -> None:
    told: list[Task] = []
    answer = runner.run(
        42, TASKS, slow_first, processes=processes, tell=lambda done: told.append(done.task)
    )
    assert list(answer.runs) == list(TASKS)
    assert [run.start[0] for run in answer.runs.values()] == [42] * 6
    assert sorted(told, key=TASKS.index) == list(TASKS)
    assert not answer.failed
    assert not answer.interrupted


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_takes_nothing_else_with_it(processes: int) -> None:
    answer = runner.run(0, TASKS, bad_third, processes=processes, tell=quiet)
    assert answer.failed == ((TASKS[3], "ValueError: no such thing"),)
    assert list(answer.runs) == [task for task in TASKS if task.seed != 3]


def test_a_process_ended_from_outside_costs_its_own_task_only() -> None:
    answer = runner.run(0, TASKS, ended_third, processes=2, tell=quiet)
    assert answer.failed == ((TASKS[3], runner.ENDED),)
    assert list(answer.runs) == [task for task in TASKS if task.seed != 3]
    assert not answer.missing


def test_an_interrupt_keeps_what_has_finished_and_leaves_no_process() -> None:
    told: list[Task] = []

    def tell(done: runner.Done) -> None:
        told.append(done.task)
        if len(told) == 5:
            raise KeyboardInterrupt

    began = time.monotonic()
    answer = runner.run(0, TASKS, sleeping_last, processes=2, tell=tell)
    assert time.monotonic() - began < 30
    assert list(answer.runs) == list(TASKS[:5])
    assert answer.missing == (TASKS[5],)
    assert answer.interrupted
    assert not multiprocessing.active_children()


def test_shares_are_apart_and_together_all() -> None:
    shares = [runner.share_of(TASKS, index, 4) for index in (1, 2, 3, 4)]
    assert sorted((task for share in shares for task in share), key=TASKS.index) == list(TASKS)
    assert [len(share) for share in shares] == [2, 2, 1, 1]


IDENTITY = Identity("0.1.0", {"share": 0.6, "trace": "a"}, (Input("a", "00", 1),))


def test_a_part_comes_back_as_it_was(tmp_path: Path) -> None:
    task = Task("flexlon", "delay_price=0.1", 3)
    parts.write_part(tmp_path, IDENTITY, task, run_of(task, 9))
    identity, runs = parts.read_parts(tmp_path)
    assert identity == IDENTITY
    assert list(runs) == [task]
    assert (runs[task].parameter, runs[task].seed) == ("delay_price=0.1", 3)
    assert runs[task].notes == ("a note",)
    for name in ("start", "end", "begin", "plan_seconds"):
        np.testing.assert_array_equal(getattr(runs[task], name), getattr(run_of(task, 9), name))
    assert [path.suffix for path in (tmp_path / "parts").iterdir()] == [".npz"]


def test_parts_of_two_studies_are_never_mixed(tmp_path: Path) -> None:
    moved = Identity("0.1.0", {"share": 0.6, "trace": "b"}, (Input("b", "00", 1),))
    other = Identity("0.1.0", {"share": 0.7, "trace": "a"}, (Input("a", "00", 1),))
    assert moved.key == IDENTITY.key
    parts.write_part(tmp_path, IDENTITY, TASKS[0], run_of(TASKS[0]))
    parts.write_part(tmp_path, other, TASKS[1], run_of(TASKS[1]))
    with pytest.raises(ResultsError, match="of another study"):
        parts.read_parts(tmp_path)


@pytest.mark.parametrize("text", [b"", b"PK\x03\x04 no archive", b"{}"])
def test_a_spoilt_part_is_named(tmp_path: Path, text: bytes) -> None:
    path = parts.write_part(tmp_path, IDENTITY, TASKS[0], run_of(TASKS[0]))
    path.write_bytes(text)
    with pytest.raises(ResultsError, match=r"asap.*\.npz is no part of a study"):
        parts.read_parts(tmp_path)


def test_a_folder_without_parts_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="--only i/N"):
        parts.read_parts(tmp_path)


def test_names_that_look_alike_have_their_own_files() -> None:
    one, other = Task("p", "a=1", 1), Task("p", "a:1", 1)
    assert one.file_name != other.file_name
    assert "/" not in Task("a/b", "../c", 1).file_name


def study_in(folder: Path) -> Study:
    return Study(
        trace=str(write_trace(folder)),
        signals=(str(write_signals(folder)),),
        policies=(("greenest", ""), ("coast", "alpha=16")),
        seeds=(1, 2),
        site=load_site(),
    )


def load_site() -> object:
    from flexlond.backtest.trace import Site  # noqa: PLC0415

    return Site(nodes=2, cpus_per_node=16)


def test_asap_is_always_a_part_of_a_study(tmp_path: Path) -> None:
    assert study_in(tmp_path).tasks[:2] == (Task("asap", "", 1), Task("asap", "", 2))


def test_processes_change_no_result(tmp_path: Path) -> None:
    case = load(study_in(tmp_path))
    answers = [
        runner.run(case, case.study.tasks, work, processes=count, tell=quiet) for count in (1, 2)
    ]
    here, apart = ([one.figures for one in tally(case, a.runs).outcomes] for a in answers)
    for left, right in zip(here, apart, strict=True):
        timed = {name for name in left if name.startswith("plan_")}
        assert {k: v for k, v in left.items() if k not in timed} == pytest.approx(
            {k: v for k, v in right.items() if k not in timed}, rel=0, abs=0, nan_ok=True
        )


def test_options_come_back_from_a_part(tmp_path: Path) -> None:
    case = load(study_in(tmp_path))
    task = case.study.tasks[0]
    parts.write_part(tmp_path, case.identity, task, work(case, task))
    identity, _ = parts.read_parts(tmp_path)
    assert Study.of_options(identity.options) == case.study
    assert load_again(identity).identity.key == case.identity.key


def test_runs_of_a_changed_trace_are_not_measured(tmp_path: Path) -> None:
    case = load(study_in(tmp_path))
    write_trace(tmp_path, jobs=41)
    with pytest.raises(StudyError, match=r"jobs\.csv is not what the runs were made with"):
        load_again(case.identity)


def test_figures_are_over_the_same_jobs_and_the_plots_over_whole_days(tmp_path: Path) -> None:
    case = load(study_in(tmp_path))
    runs = {task: work(case, task) for task in case.study.tasks}
    found = tally(case, runs)
    assert [one.task for one in found.outcomes] == list(case.study.tasks)
    for seed in (1, 2):
        of_seed = [one for one in found.outcomes if one.task.seed == seed]
        assert len({round(one.figures["energy_kwh"], 6) for one in of_seed}) == 1
    assert found.shown.start % 86400 == 0
    assert len(found.shown.price) % 48 == 0
    assert all(len(one.power_kw) == len(found.shown.price) for one in found.outcomes)
    energy = sum(found.outcomes[0].power_kw) / 2
    assert energy == pytest.approx(found.outcomes[0].figures["energy_kwh"], rel=1e-3)
    assert found.facts.nodes == 2
    assert found.facts.flexible == pytest.approx(0.6, abs=0.1)
