"""Windows that Slurm itself keeps by the kw licence, on a real slurmctld: also with all of FlexLon dead."""

from __future__ import annotations

import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slurm, pytest.mark.contract]

SLOT = 20
SLOTS = 3
FLAT = [100.0] * 180  # one price: nobody waits but for a window
KW = 10  # of each job of one CPU
CAP = 45  # four jobs
SITE = {
    "power": {
        "pue": 1.0,
        "node_types": {
            "default": {"idle_watts": 0.0, "cpu_watts": 1000.0 * KW, "cpus_per_node": 32}
        },
    },
    "licence": {
        "total_kw": 1000,
        "partitions": {"main": "all", "flex": "flexible"},
        "consent": "All jobs of main may wait for windows: the test suite, 2026-11-28",
    },
}
CONF = Path("/etc/slurm/slurm.conf")


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def in_use() -> int:
    """Licences that running jobs use, as slurmctld counts them."""
    found = re.search(r"LicenseName=kw .*?Used=(\d+)", said("scontrol", "-o", "show", "licenses"))
    assert found
    return int(found[1])


def licensed() -> int:
    """The kw of all jobs that run, as squeue has them."""
    rows = said("squeue", "-h", "-t", "R", "-o", "%W").split()
    return sum(int(word) for row in rows for word in re.findall(r"kw:(\d+)", row))


def reservations() -> dict[str, tuple[int, int, str]]:
    """Ours that are not over: start, end, licences by name."""
    found = {}
    for line in said("scontrol", "-o", "show", "reservation").splitlines():
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if words.get("ReservationName", "").startswith("flexlon_"):
            start, end = (epoch(words[name]) for name in ("StartTime", "EndTime"))
            if end > time.time():
                found[words["ReservationName"]] = (start, end, words["Licenses"])
    return found


def epoch(text: str) -> int:
    if text.isdigit():
        return int(text)
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp())


def order(scene: Any, notice: int = 3, slots: int = SLOTS) -> tuple[int, int]:
    """A window over these slots, once slurmctld has the reservation for it."""
    begin = (int(time.time()) // SLOT + notice) * SLOT
    end = begin + slots * SLOT
    moments = [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}" for at in (begin, end)]
    words = ("window", "add", "--from", moments[0], "--to", moments[1], "--cap", f"{CAP}kW")
    added = scene.ctl(*words)
    assert "Slurm itself keeps it" in added["detail"], added
    scene.wait_for(reservations, 20, what="slurmctld has a reservation")
    found = reservations()
    assert list(found) == [f"flexlon_{begin}"]
    assert found[f"flexlon_{begin}"][:2] == (begin, end)
    # Deeper by what jobs without the licence draw in it.
    assert int(found[f"flexlon_{begin}"][2].removeprefix("kw:")) >= 1000 - CAP
    return begin, end


@pytest.fixture
def site(scene: Any) -> Iterator[Any]:
    """FlexLon acting, with the licence on for all jobs of main and the flexible ones of flex."""
    scene.act(FLAT, slot=SLOT, **SITE)
    scene.render_plugin()
    time.sleep(2)  # slurmctld compares the file's date by whole seconds
    yield scene
    for name in reservations():
        said("scontrol", "delete", f"ReservationName={name}")


def test_bar_2_slurmctld_keeps_the_window_with_daemon_and_helper_dead(
    site: Any, service: Any
) -> None:
    begin, end = order(site)
    service("flexlond").kill("KILL")
    service("flexlon-helper").kill("KILL")
    assert time.time() < begin, "they died during notice"
    jobs = [site.sbatch("bob", "-t1", wrap="sleep 18") for _ in range(36)]
    flexible = [site.sbatch("alice", "-t1", "--comment=flex: max-delay=20:00", wrap="sleep 18")]
    elsewhere = site.sbatch("carol", "-t1", "-p", "gpu", wrap="sleep 5")
    seen: list[tuple[int, int]] = []
    while time.time() < end - 1:
        now, kw = time.time(), licensed()
        if now >= begin and time.time() < end:
            assert kw <= CAP, f"{kw} kW at {now - begin:.0f} s of the window"
            seen.append((int(now - begin), kw))
        time.sleep(0.5)
    print("kW by second of the window:", seen)
    assert max(kw for _, kw in seen) == CAP // KW * KW, "what the window leaves is used"
    delay = site.job(elsewhere).start - site.job(elsewhere).time("SubmitTime")
    assert delay <= 15, "a partition that does not take part is not bound"
    assert site.job(elsewhere).fields.get("Licenses", "(null)") == "(null)"
    site.wait_for(lambda: licensed() > CAP, 30, what="it ends by itself")
    for job in (*jobs, *flexible):
        site.wait_for(lambda job=job: site.job(job).state == "COMPLETED", 90, what=f"job {job}")
    assert reservations() == {}
    inside = [job for job in jobs if begin <= site.job(job).start < end]
    print(f"{len(inside)} of {len(jobs)} plain jobs started in the window")
    assert inside


def test_usage_above_what_is_left_holds_new_starts_and_touches_no_job_that_runs(site: Any) -> None:
    before = [site.sbatch("bob", "-t5", wrap="sleep 70") for _ in range(9)]
    for job in before:
        site.wait_for(lambda job=job: site.job(job).state == "RUNNING", 30, what=f"{job} runs")
    begin, end = order(site, notice=2)
    waiting = site.sbatch("bob", "-t1", wrap="sleep 3")
    site.wait_for(lambda: time.time() >= begin + 6, 60, what="the window has begun")
    assert in_use() == 9 * KW
    assert site.job(waiting).state == "PENDING"
    told = site.ctl("status")["warnings"]
    assert any(f"running jobs use 90 of the {CAP} kw licences" in line for line in told), told
    site.wait_for(lambda: site.job(waiting).state != "PENDING", end - begin + 60, what="it starts")
    ended = min(site.job(job).time("EndTime") for job in before)
    assert site.job(waiting).start >= min(ended, end)
    assert {site.job(job).state for job in before} <= {"RUNNING", "COMPLETED"}


def test_nobody_is_held_past_a_latest_start_or_slurms_own_deadline(site: Any) -> None:
    own = "--begin=now+30"
    tight = site.sbatch("alice", "-t1", own, "--comment=flex: max-delay=1:30", wrap="sleep 2")
    killed = site.sbatch("bob", "-t1", own, "--deadline=now+3minutes", wrap="sleep 2")
    patient = site.sbatch("bob", "-t1", own, wrap="sleep 2")
    assert {site.job(job)["Licenses"] for job in (tight, killed, patient)} == {f"kw:{KW}"}
    order(site, notice=4)
    for job in (tight, killed):
        assert site.job(job).fields.get("Licenses", "(null)") in {"", "(null)"}, job
    assert site.job(patient)["Licenses"] == f"kw:{KW}"
    # Submitted when the reservation is there: the plugin does not give it to a job that has no time for it.
    late = site.sbatch("alice", "-t1", own, "--comment=flex: max-delay=1:00", wrap="sleep 2")
    assert site.job(late).fields.get("Licenses", "(null)") == "(null)"
    verbs = [entry["verb"] for entry in site.history(tight)]
    assert "let-off" in verbs


def test_a_cancelled_window_and_a_drain_take_the_reservation_away(site: Any) -> None:
    order(site, notice=6)
    site.ctl("window", "cancel", "1")
    site.wait_for(lambda: reservations() == {}, 20, what="it is taken away")
    begin = (int(time.time()) // SLOT + 6) * SLOT
    moments = [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}" for at in (begin, begin + 60)]
    site.ctl("window", "add", "--from", moments[0], "--to", moments[1], "--cap", "30kW")
    site.wait_for(lambda: len(reservations()) == 1, 20, what="the next one is there")
    assert site.ctl("drain")["left"] == 0
    assert reservations() == {}


def test_an_operators_own_deletion_stands(site: Any, as_user: Any) -> None:
    order(site, notice=8, slots=6)
    name = next(iter(reservations()))
    time.sleep(16)  # older than what slurmctld might forget
    site.cycles(2)
    as_user("flexop", ["scontrol", "delete", f"ReservationName={name}"])
    site.cycles(2)
    assert reservations() == {}
    assert any("deleted-by-other" in line for line in site.ctl("status")["warnings"])


def test_no_owner_lowers_the_licence(site: Any, as_user: Any) -> None:
    job = site.sbatch("alice", "-t1", "--begin=now+1hour", "-n3", wrap="true")

    def licence(number: int = job) -> str:
        return str(site.job(number).fields.get("Licenses", "(null)"))

    def update(*words: str, user: str = "alice") -> None:
        as_user(user, ["scontrol", "update", f"JobId={job}", *words])

    assert licence() == f"kw:{3 * KW}"
    for words in (("Licenses=kw:1",), ("Licenses=",), ("Licenses=kw:999",), ("NumCPUs=1",)):
        update(*words)
        assert licence() == f"kw:{3 * KW}", words
    update("NumCPUs=5")
    assert licence() == f"kw:{5 * KW}"
    update("Partition=gpu")
    assert licence() in {"kw:0", "(null)"}  # 26.05 shows the latter
    update("Partition=main")
    assert licence() == f"kw:{5 * KW}"
    update("Licenses=kw:2", user="flexop")  # an operator may
    assert licence() == "kw:2"


def test_who_gets_it_on_this_slurm_and_no_submission_is_ever_refused(
    site: Any, as_user: Any
) -> None:
    own = "--begin=now+1hour"
    for options, expected in (
        (["-n2"], f"kw:{2 * KW}"),
        (["-n1", "-L", "kw:1"], f"kw:{KW}"),
        (["-n2", "-a", "1-5"], f"kw:{2 * KW}"),
        (["-N2", "--exclusive"], f"kw:{64 * KW}"),
        (["-p", "flex"], "(null)"),
        (["-p", "flex", "--comment=flex: max-delay=9:00:00"], f"kw:{KW}"),
        (["-p", "flex,main"], "(null)"),
        (["-p", "gpu", "-L", "kw:900"], "(null)"),  # nobody takes the budget from outside
        (["-n96", "--exclusive", "-N3"], f"kw:{96 * KW}"),
        (["--begin=now+2hours", "-t1", "-n1", "-p", "short"], "(null)"),
    ):
        job = site.sbatch("alice", "-t1", own, *options, wrap="true")
        assert (site.job(job).fields.get("Licenses") or "(null)") == expected, options
    het = ["sbatch", "--parsable", "-t1", own, "-n1", ":", "-t1", own, "-n2", "--wrap=true"]
    leader = int(as_user("alice", het).stdout)
    assert site.job(leader)["Licenses"] == f"kw:{KW}"
    for argv in (["srun"], ["salloc", "-Q"]):
        shown = "scontrol -o show job $SLURM_JOB_ID"
        record = as_user("alice", [*argv, "-t1", "-n1", "sh", "-c", shown]).stdout
        assert f"Licenses=kw:{KW} " in record
    # A line that is gone from slurm.conf: slurmctld will not know the licence at its next start.
    before = CONF.read_text()
    try:
        CONF.write_text(before.replace("Licenses=kw:1000", "#"))
        job = site.sbatch("alice", "-t1", own, "-L", "kw:1", wrap="true")
        assert site.job(job)["Licenses"] == "kw:1"  # as its owner wrote it
        job = site.sbatch("alice", "-t1", own, wrap="true")
        assert site.job(job).fields.get("Licenses", "(null)") == "(null)"
    finally:
        CONF.write_text(before)
