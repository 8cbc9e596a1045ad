"""scrontab's jobs are left alone (rule 6): the readers see them, the daemon does not plan them.

The test switches scrontab on in the test cluster's slurm.conf and puts it back. Its job is due in 10 minutes
and never starts: slurmd in these containers may not do what loading a user's environment for it needs.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.model.settings import SlurmSettings
from flexlond.slurm.json_reader import JsonReader
from flexlond.slurm.squeue import SqueueReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slurm, pytest.mark.contract]

SLURM_CONF = Path("/etc/slurm/slurm.conf")
STORE = Path("/var/lib/flexlon/flexlond.db")
DUE = 600  # seconds; in the dear part of the day below


@pytest.fixture
def scrontab(as_user: Callable[..., Any], wait_for: Callable[..., Any]) -> Iterator[int]:
    """A scrontab job of alice with a directive -> its job id."""
    if shutil.which("scrontab") is None:
        pytest.skip("this Slurm has no scrontab (Debian's 22.05)")
    before = SLURM_CONF.read_text()
    SLURM_CONF.write_text(before.rstrip("\n") + "\nScronParameters=enable\n")
    try:
        as_user("root", ["scontrol", "reconfigure"])
        config = ["scontrol", "show", "config"]
        wait_for(lambda: "= enable" in as_user("root", config).stdout, 20, what="scrontab is on")
        due = datetime.fromtimestamp(time.time() + DUE).astimezone()
        # A directive without spaces: scrontab knows no quotes.
        line = f"#SCRON --comment=flex:\n#SCRON -t 1\n{due:%M %H} * * * true\n"
        as_user("alice", ["scrontab", "-"], stdin=line)
        listed = as_user("alice", ["squeue", "-h", "-o", "%i"]).stdout.split()
        assert len(listed) == 1
        yield int(listed[0])
    finally:
        as_user("alice", ["scrontab", "-r"], check=False)
        SLURM_CONF.write_text(before)
        as_user("root", ["scontrol", "reconfigure"])


def test_a_scrontab_job_is_seen_and_left_alone(scrontab: int, scene: Any) -> None:
    marks = {
        reader.name: [job.cron for job in reader.read().jobs]
        for reader in (SqueueReader(SlurmSettings()), JsonReader(SlurmSettings()))
    }
    assert marks == {"squeue": [True], "json": [True]}

    begin = scene.job(scrontab).begin
    scene.act([200.0] * 90 + [10.0] * 60 + [200.0] * 30)
    utc = datetime.fromtimestamp(begin, UTC)  # as the commands here run
    same = scene.sbatch("alice", "-t1", f"--begin={utc:%Y-%m-%dT%H:%M:%S}", "--comment=flex:")
    # What the same directive does to a job of the same time that is not scrontab's:
    scene.wait_for(lambda: scene.job(same).begin > begin, 60, what="the plain job is held")
    scene.cycles(2)
    assert scene.job(scrontab).begin == begin
    assert "scrontab" in scene.line(scrontab)["reason"]
    with closing(sqlite3.connect(f"file:{STORE}?mode=ro", uri=True)) as store:
        intents = store.execute("SELECT job_id FROM intent").fetchall()
    assert {job for (job,) in intents} == {same}
