"""The child process that speaks for pyslurm. pyslurm itself is the far end: a module of the same attributes
as pyslurm 24.11's Job stands in for it, in the child only."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from flexlond.model.job import JobState
from flexlond.model.settings import SlurmSettings
from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.pyslurm_reader import PyslurmReader, PyslurmUnusable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODULE = """
import os
__version__ = "24.11.0"
class Job:
    id, state, state_reason, user_name, user_id = 12, "PENDING", "BeginTime", "alice", 2001
    account, qos, partition, name, priority = "research", "normal", "main", "wrap", 1
    num_nodes, cpus, ntasks, time_limit, memory = 2, 4, 4, 10, 2000
    submit_time, eligible_time, start_time, end_time, deadline = 100, 3700, 3700, 4300, None
    is_requeueable, requeue_count, is_batch_job, is_cronjob = True, 1, True, False
    reservation = allocated_nodes = None
    comment = "a\\n1|\\udcff"
    array_id, array_task_id, array_tasks_waiting, array_tasks_parallel = 12, None, "1-4,6", 2
    heterogeneous_id = heterogeneous_offset = 0
    licenses = ["kw:5"]
    dependencies = {"afterok": [7, 8], "after": [], "satisfy": "all"}
    gres_per_node = {"gpu:h200": 2}
class Jobs:
    @staticmethod
    def load():
        if os.path.exists("crash"):
            os.abort()
        if os.path.exists("fail"):
            raise RuntimeError("Unable to contact slurm controller")
        return {12: Job()}
"""


@pytest.fixture
def settings(program: Callable[[str, str], Path]) -> SlurmSettings:
    folder = program("scontrol", 'print("SLURM_VERSION = 24.11.5")')
    return SlurmSettings(bin_dir=str(folder), command_timeout=20.0)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyslurm.py").write_text(MODULE)
    here = os.pathsep.join([str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", here)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_child_reads_and_the_parent_decodes(settings: SlurmSettings, module: Path) -> None:
    reader = PyslurmReader(settings)
    snapshot = reader.read()
    reader.close()
    assert snapshot.complete, snapshot.misfits
    assert (snapshot.reader, snapshot.slurm_version) == ("pyslurm", "24.11.5")
    (job,) = snapshot.jobs
    assert (job.job_id, job.state, job.begin, job.time_limit) == (12, JobState.PENDING, 3700, 600)
    assert (job.array_tasks, job.task_count, job.array_throttle) == ("1-4,6%2", 5, 2)
    assert (job.gpus, job.memory_mib, job.licenses) == ((("h200", 4),), 2000, "kw:5")
    assert job.dependency == "afterok:7:8"
    assert "pyslurm" not in sys.modules


def test_a_child_that_dies_is_one_failed_read(settings: SlurmSettings, module: Path) -> None:
    reader = PyslurmReader(settings)
    (module / "crash").touch()
    with pytest.raises(SlurmCommandError, match="ended or took too long"):
        reader.read()
    (module / "crash").unlink()
    assert len(reader.read().jobs) == 1
    (module / "fail").touch()
    with pytest.raises(SlurmCommandError, match="Unable to contact"):
        reader.read()
    (module / "fail").unlink()
    assert reader.read([99]).jobs == ()
    reader.close()


def test_pyslurm_of_another_release_is_refused(settings: SlurmSettings, module: Path) -> None:
    (module / "pyslurm.py").write_text(MODULE.replace("24.11.0", "25.11.2"))
    with pytest.raises(PyslurmUnusable, match=r"built for 25\.11\.2, this Slurm is 24\.11\.5"):
        PyslurmReader(settings)


def test_pyslurm_that_cannot_be_imported_is_said(settings: SlurmSettings, module: Path) -> None:
    (module / "pyslurm.py").write_text("raise ImportError('libslurmfull.so: cannot open')")
    with pytest.raises(PyslurmUnusable, match=r"libslurmfull\.so"):
        PyslurmReader(settings)
