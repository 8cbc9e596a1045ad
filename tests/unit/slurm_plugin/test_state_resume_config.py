from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flexlond.model.settings import SlurmSettings
from slurm_plugin import config
from slurm_plugin.config import HelperConfigError
from slurm_plugin.lineage import KEPT_BEGINS, Record
from slurm_plugin.resume import SENT_BY, ResumeEntry, resume_due
from slurm_plugin.slurm_calls import SlurmCalls, slurm_time
from slurm_plugin.state import KEEP, State, StateError

NOW = 1_795_420_800
RECORD = Record(7, NOW, NOW, 0, 1001, NOW, NOW, hold=5, ours=(3, 5), opted_out_why="x", seen_at=NOW)


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    many = [replace(RECORD, job_id=n, first_known=n % 2 == 0) for n in range(1, 1201)]
    state.save(many)
    state.close()
    state = State(str(tmp_path))
    assert state.load(range(1, 1201)) == {record.job_id: record for record in many}
    assert state.load([9999]) == {}
    state.close()


def test_the_latest_job_under_an_id_counts_and_opt_outs_stay(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    state.save([replace(RECORD, opted_out_at=NOW), replace(RECORD, first_submit=NOW + 9)])
    assert state.load([7])[7].first_submit == NOW + 9
    assert [record.first_submit for record in state.opt_outs()] == [NOW]
    assert state.forget(NOW + KEEP) == 0
    assert state.forget(NOW + KEEP + 1) == 2
    state.close()


def test_the_store_is_durable_and_private(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    assert (tmp_path / "helper.db").stat().st_mode & 0o777 == 0o600
    assert state._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert state._db.execute("PRAGMA synchronous").fetchone() == (2,)
    state.close()


def test_a_store_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="check that the directory exists"):
        State(str(tmp_path / "nowhere"))
    db = sqlite3.connect(tmp_path / "helper.db")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StateError, match="of version 99"):
        State(str(tmp_path))


@pytest.mark.parametrize("newer", [False, True])
def test_a_store_that_cannot_be_used_is_let_go(tmp_path: Path, *, newer: bool) -> None:
    path = tmp_path / "helper.db"
    if newer:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version=99")
    else:
        path.write_bytes(b"this is no database\n" * 100)
    with pytest.raises(StateError, match="of version 99" if newer else "not a database") as raised:
        State(str(tmp_path))
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    assert [link for link in links if str(link.readlink()).startswith(str(path))] == []
    assert "helper.db" in str(raised.value)


def test_begin_times_of_ours_are_bounded_in_number() -> None:
    record = RECORD
    for at in range(1000):
        record = record.with_hold(at)
    assert len(record.ours) == KEPT_BEGINS
    assert (record.ours[-1], record.hold) == (999, 999)


# ---- resume


def due(helper: Any, fake: Any, grace: int = 0) -> Any:
    parts = helper.parts
    return resume_due(parts.book, parts.calls, parts.reader, now=fake.now, grace=grace)


def test_what_is_due_is_resumed_without_helper_and_daemon(fake: Any, helper: Any) -> None:
    running = {"state": "S", "start": NOW - 60}
    for number in (7, 8, 9):
        fake.put(number, **running)
    for number, at in ((7, NOW), (8, NOW + 60), (9, NOW - 5)):
        helper.parts.book.arm(ResumeEntry(number, NOW - 60, 0, at, NOW - 30))
    fake.change(9, state="CG")  # it has ended
    summary = due(helper, fake)
    assert (summary.resumed, summary.gone, summary.failed, summary.waiting) == ((7,), (9,), (), 1)
    assert [fake.job(n)["state"] for n in (7, 8, 9)] == ["R", "S", "CG"]
    assert [entry.job_id for entry in helper.parts.book.entries()] == [8]
    assert fake.changes() == [["scontrol", "resume", "7"]]


def test_an_entry_stays_until_its_job_was_seen_running(fake: Any, helper: Any) -> None:
    fake.put(7, state="S", start=NOW - 60)
    helper.parts.book.arm(ResumeEntry(7, NOW - 60, 0, NOW, NOW - SENT_BY))
    fake.set(denied=["7"])
    assert due(helper, fake).failed == (7,)
    fake.set(denied=[], down=["squeue"])
    assert due(helper, fake).failed == (7,)  # resumed all the same, but not seen
    assert fake.job(7)["state"] == "R"
    fake.set(down=[])
    assert due(helper, fake).woken == (7,)  # by its entry it might stand still
    assert fake.job(7)["state"] == "R"
    assert helper.parts.book.entries() == []


@pytest.mark.parametrize("over", [True, False])
def test_a_job_whose_suspend_was_forgotten_is_woken(fake: Any, helper: Any, *, over: bool) -> None:
    # slurmctld was killed right after it: the job is RUNNING and its processes stand still.
    fake.put(7, state="R", start=NOW - 60)
    end = NOW - 1 if over else NOW + 3600
    helper.parts.book.arm(ResumeEntry(7, NOW - 60, 0, end, NOW - SENT_BY + 1))
    assert due(helper, fake).waiting == 1  # the suspend may still be on its way
    assert fake.changes() == []
    fake.at(NOW + 1)
    assert due(helper, fake).woken == (7,)
    assert fake.changes() == [["scontrol", "suspend", "7"], ["scontrol", "resume", "7"]]
    assert fake.job(7)["state"] == "R"
    assert helper.parts.book.entries() == []


def test_a_wake_that_goes_half_way_is_finished_when_due(fake: Any, helper: Any) -> None:
    fake.put(7, state="R", start=NOW - 60)
    helper.parts.book.arm(ResumeEntry(7, NOW - 60, 0, NOW + 60, NOW - SENT_BY))
    fake.change(7, state="S")  # killed after its suspend
    assert due(helper, fake).waiting == 1
    fake.at(NOW + 60)
    assert due(helper, fake).resumed == (7,)


@pytest.mark.parametrize("changes", [{"submit": NOW - 50}, {"restarts": 1}])
def test_another_run_or_job_is_never_woken(fake: Any, helper: Any, changes: dict[str, int]) -> None:
    fake.put(7, state="R", start=NOW - 60, **changes)
    helper.parts.book.arm(ResumeEntry(7, NOW - 60, 0, NOW, NOW - 2 * SENT_BY))
    assert due(helper, fake).gone == (7,)
    assert fake.changes() == []


def test_a_running_job_with_a_broken_entry_is_left_alone(
    fake: Any, helper: Any, tmp_path: Path
) -> None:
    fake.put(7, state="R", start=NOW - 60)
    (tmp_path / "state/resume/7.json").write_text("{")
    assert due(helper, fake).gone == (7,)
    assert fake.changes() == []


def test_a_reused_id_is_not_resumed(fake: Any, helper: Any) -> None:
    fake.put(7, state="S", start=NOW - 60)
    helper.parts.book.arm(ResumeEntry(7, NOW - 99999, 0, NOW, NOW - 99999))
    assert due(helper, fake).gone == (7,)
    assert fake.job(7)["state"] == "S"


def test_a_broken_entry_counts_as_due(fake: Any, helper: Any, tmp_path: Path) -> None:
    fake.put(7, state="S", start=NOW - 60)
    (tmp_path / "state/resume/7.json").write_text("{")
    (tmp_path / "state/resume/note.txt").write_text("not ours")
    assert due(helper, fake).resumed == (7,)


def test_grace_waits_a_little_longer(fake: Any, helper: Any) -> None:
    fake.put(7, state="S", start=NOW - 60)
    helper.parts.book.arm(ResumeEntry(7, NOW - 60, 0, NOW - 10, NOW - 30))
    assert due(helper, fake, grace=11).waiting == 1
    assert due(helper, fake, grace=10).resumed == (7,)


# ---- commands


def test_times_are_utc_and_now_is_now() -> None:
    assert slurm_time(NOW) == "2026-11-23T08:00:00"
    assert slurm_time(0) == "now"


def test_five_hundred_ids_at_most_in_one_command(fake: Any) -> None:
    calls = SlurmCalls(SlurmSettings(bin_dir=fake.bin_dir))
    said = calls.set_begin([str(n) for n in range(1, 1202)], NOW)
    assert [len(call[2].split(",")) for call in fake.changes()] == [500, 500, 201]
    assert "Invalid job id specified for job 1201" in said


@pytest.mark.parametrize("bad", ["", "0", "1,2", "7;id", "-1", "7_", "7_[1-3]", "7\n8"])
def test_an_address_is_a_number(fake: Any, bad: str) -> None:
    calls = SlurmCalls(SlurmSettings(bin_dir=fake.bin_dir))
    with pytest.raises(ValueError, match="not a job id"):
        calls.set_begin([bad], NOW)
    assert fake.changes() == []


@pytest.mark.parametrize("bad", ["KILL", "9", "STOP", "19", "", "usr1", "USR1 8"])
def test_only_checkpoint_signals_are_sent(fake: Any, bad: str) -> None:
    with pytest.raises(ValueError, match="not a checkpoint signal"):
        SlurmCalls(SlurmSettings(bin_dir=fake.bin_dir)).warn("7", bad)
    assert fake.changes() == []


# ---- configuration


def loaded(tmp_path: Path, text: str) -> config.HelperConfig:
    path = tmp_path / "flexlon.toml"
    path.write_text(text)
    return config.load(str(path), now=NOW)


def test_only_three_tables_are_read(tmp_path: Path) -> None:
    made = loaded(
        tmp_path, '[daemon]\nnonsense = 1\n[helper]\nmax_batch = 7\n[slurm]\nconf = "/x"\n'
    )
    assert (made.helper.max_batch, made.slurm.conf) == (7, "/x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[helper]\nmax_bach = 7\n", "max_bach"),
        ("[directive]\nnonsense = 7\n", "nonsense"),
        ('[slurm]\nreader = "telnet"\n', "telnet"),
        ("[helper]\nmargin_seconds = -1\n", "margin_seconds = -1"),
        ("[helper]\nmax_batch = 0\n", "max_batch = 0"),
        ('[directive.classes.x]\ndeadline = "yesterday"\n', "classes"),
        ("[helper\n", "cannot read"),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(HelperConfigError, match=said):
        loaded(tmp_path, text)


def test_a_missing_file_and_a_missing_user_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HelperConfigError, match="check-config"):
        config.load(str(tmp_path / "none.toml"), now=NOW)
    made = loaded(tmp_path, '[helper]\ndaemon_user = "no-such-user-here"\n')
    with pytest.raises(HelperConfigError, match="create it"):
        config.daemon_uid(made)


def test_the_entry_is_on_disk_as_plain_json(helper: Any, tmp_path: Path) -> None:
    helper.parts.book.arm(ResumeEntry(7, 1, 2, 3, 4))
    path = tmp_path / "state/resume/7.json"
    expected = {"job_id": 7, "submit": 1, "restarts": 2, "due": 3, "armed_at": 4}
    assert json.loads(path.read_text()) == expected
    assert [found.name for found in path.parent.iterdir()] == ["7.json"]
