"""Which jobs are scrontab's: captured answers, and what users' texts may do to them.

The captures hold, in this order of ids: a job of alice, her scrontab's job, an array whose comment has the
mark on a line of its own, a job of bob whose comment forges alice's first record with the mark, and one whose
name breaks its line and goes on as her first record.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.settings import SlurmSettings
from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.scrontab import CONFIG_SECONDS, ScrontabReader, is_enabled, marked_ids
from flexlond.slurm.squeue import COLUMNS, decode_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.model.job import Job

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "slurm"
CONFIG = "ReturnToService         = 1\nScronParameters         = {}\nSelectType = x\n"
# version: alice's first job, her scrontab's, bob's with the broken name, scrontab jobs that were cancelled
CAPTURED = {"24.11": (7, 8, 11, {2, 3}), "26.05": (1, 2, 5, set())}


def a_job(job_id: int, *, name: str = "wrap", submit: int = 1, batch: str = "1") -> Job:
    row = dict.fromkeys(COLUMNS, "")
    row |= dict.fromkeys(("ArrayTaskID", "HetJobID", "HetJobOffset", "EndTime", "Deadline"), "N/A")
    row |= dict.fromkeys(("NumNodes", "NumCPUs", "NumTasks", "PriorityLong", "Requeue"), "1")
    row |= {"JobID": str(job_id), "ArrayJobID": str(job_id), "StateCompact": "PD", "Name": name}
    row |= {"UserID": "1001", "RestartCnt": "0", "TimeLimit": "10:00", "BatchFlag": batch}
    row |= {"SubmitTime": str(submit), "EligibleTime": "5", "StartTime": "5"}
    jobs, misfits = decode_rows([list(row.values())])
    assert misfits == []
    return jobs[0]


@pytest.mark.parametrize("version", CAPTURED)
def test_captured_answers(version: str) -> None:
    first, cron, broken, cancelled = CAPTURED[version]
    printed = (FIXTURES / version / "scrontab.txt").read_text()
    assert marked_ids(printed, []) == {cron, first} | cancelled  # `first` is forged, and left alone
    jobs = [a_job(broken, name=f"a\nJobId={first} b"), a_job(cron, name="mycron")]
    assert marked_ids(printed, jobs) == {cron, first, broken} | cancelled


def test_no_mark_anywhere_leaves_a_broken_name_alone() -> None:
    printed = "JobId=3 JobName=a\nJobId=4 b UserId=alice(2001) Deadline=N/A \n"
    assert marked_ids(printed, [a_job(3, name="a\nJobId=4 b")]) == frozenset()


TEXTS = st.text(max_size=80) | st.lists(
    st.sampled_from(
        [
            "\n",
            "\r",
            "\x0b",
            "\u2028",
            "JobId=",
            "7",
            "8",
            " ",
            "CronJob=Yes",
            "CronJob=No",
            "JobName=",
        ]
    )
).map("".join)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4), st.integers(0, 3), TEXTS)
def test_no_text_takes_the_mark_of_a_job_away(
    others: list[tuple[str, str]], place: int, name: str
) -> None:
    """Names and comments of every job, the scrontab's own name too, are free."""
    records = [(100 + i, name, "", comment) for i, (name, comment) in enumerate(others)]
    records.insert(place, (7, name, 'CronJob=Yes CrontabSpec="0 0 * * *" ', others[0][1]))
    printed = "".join(
        f"JobId={number} JobName={called} UserId=x(1) Deadline=N/A {mark}Command=(null) Comment={said} \n"
        for number, called, mark, said in records
    )
    jobs = [a_job(number, name=called) for number, called, _, _ in records]
    assert 7 in marked_ids(printed, jobs)


@pytest.mark.parametrize(
    ("value", "enabled"),
    [
        ("enable", True),
        ("explicit_scancel,enable", True),
        ("Enable", True),
        ("(null)", False),
        ("disable", False),
        ("enable_not", False),
        ("", False),
    ],
)
def test_whether_slurm_runs_scrontab(value: str, *, enabled: bool) -> None:
    assert is_enabled(CONFIG.format(value)) is enabled


@pytest.mark.parametrize("version", ["22.05", "24.11", "26.05"])
def test_captured_configurations_are_without(version: str) -> None:
    assert not is_enabled((FIXTURES / version / "config.txt").read_text())


def test_a_configuration_that_does_not_know_scrontab() -> None:
    assert not is_enabled("ClusterName = old\n")


# A scontrol that answers from files beside it and keeps a list of what it was asked.
SCONTROL = """
import pathlib, sys
here = pathlib.Path(sys.argv[0]).parent
with (here / "asked").open("a") as asked:
    asked.write(sys.argv[-1] + "\\n")
if (here / "down").exists():
    sys.exit("Unable to contact slurm controller (connect failure)")
print((here / sys.argv[-1]).read_text())
"""


@dataclass
class Far:
    """The fake scontrol, a clock, and the reader on them."""

    folder: Path
    now: float = 0.0

    def __post_init__(self) -> None:
        self.reader = ScrontabReader(SlurmSettings(bin_dir=str(self.folder)), lambda: self.now)

    def says(self, *records: str, scron: str = "enable") -> None:
        (self.folder / "config").write_text(CONFIG.format(scron))
        (self.folder / "job").write_text("\n".join(records))

    def asked(self) -> list[str]:
        """What it was asked since the last look."""
        path = self.folder / "asked"
        lines = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def cron(self, *jobs: Job) -> list[int]:
        marked = self.reader.applied(jobs)
        assert [job.job_id for job in marked] == [job.job_id for job in jobs]
        return [job.job_id for job in marked if job.cron]


@pytest.fixture
def far(program: Callable[[str, str], Path]) -> Far:
    return Far(program("scontrol", SCONTROL))


PLAIN, CRON = "JobId=1 JobName=a Deadline=N/A ", "JobId=2 JobName=b Deadline=N/A CronJob=Yes "


def test_asks_only_about_batch_jobs_it_does_not_know(far: Far) -> None:
    far.says(PLAIN, CRON)
    assert far.cron(a_job(1, batch="0")) == []
    assert far.asked() == []
    assert far.cron(a_job(1), a_job(2)) == [2]
    assert far.asked() == ["config", "job"]
    assert far.cron(a_job(1), a_job(2)) == [2]
    assert far.cron(a_job(2)) == [2]
    assert far.asked() == []
    assert far.cron(a_job(1), a_job(2), a_job(3)) == [2]
    assert far.asked() == ["job"]


def test_a_reused_id_is_another_job(far: Far) -> None:
    far.says(PLAIN, CRON)
    assert far.cron(a_job(2)) == [2]
    far.says("JobId=2 JobName=later Deadline=N/A ")
    assert far.cron(a_job(2, submit=9)) == []


def test_without_scrontab_jobs_are_not_asked_for_until_it_is_switched_on(far: Far) -> None:
    far.says(PLAIN, CRON, scron="(null)")
    assert far.cron(a_job(1), a_job(2)) == []
    far.says(PLAIN, CRON)
    far.now = CONFIG_SECONDS - 1
    assert far.cron(a_job(1), a_job(2)) == []
    assert far.asked() == ["config"]
    far.now = CONFIG_SECONDS
    assert far.cron(a_job(1), a_job(2)) == [2]
    assert far.asked() == ["config", "job"]


def test_a_forged_mark_does_not_outlast_the_period(far: Far) -> None:
    far.says("JobId=5 JobName=c Comment=x", "JobId=1 CronJob=Yes ", PLAIN)
    assert far.cron(a_job(1)) == [1]
    far.says(PLAIN)
    assert far.cron(a_job(1)) == [1]
    far.now = CONFIG_SECONDS
    assert far.cron(a_job(1)) == []


@pytest.mark.parametrize("known", [False, True])
def test_what_cannot_be_read_is_said(far: Far, *, known: bool) -> None:
    far.says(PLAIN, CRON)
    if known:
        far.cron(a_job(1))
    (far.folder / "down").touch()
    with pytest.raises(SlurmCommandError, match="Unable to contact slurm controller"):
        far.cron(a_job(1), a_job(2))
    (far.folder / "down").unlink()
    assert far.cron(a_job(1), a_job(2)) == [2]
