"""Fixtures of the suite that runs as root inside the controller of a real cluster (docker/test starts it).

Law: a test sees an empty queue, stopped FlexLon services and no state of theirs, whatever the test before it
did. Nothing waits by sleeping a fixed time: wait_for polls until a thing is so, and says what it saw last.
Times are epoch seconds. The test's configuration acts on a grid of short slots, from CSV feeds.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from typer.testing import CliRunner

from flexlond.cli.flexlonctl import app as flexlonctl_app
from tests.slurm.scenes import Scene, render_plugin
from tests.slurm.toml_text import merged, toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CONFIG = Path("/etc/flexlon/flexlon.toml")
FEEDS = Path("/etc/flexlon/test-feeds")
STATES = (Path("/var/lib/flexlon"), Path("/var/lib/flexlon-helper"))
SERVICES = ("flexlond", "flexlon-helper")
TIMERS = ("flexlon-resume.timer",)
FLEXLONCTL = "/opt/flexlon/bin/flexlonctl"
# Every reader of ours and every test compares in UTC, whatever the zone of the machine.
ENVIRONMENT = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", "SLURM_TIME_FORMAT": "%s"}
PENDING_OR_ACTIVE = "PD,CF,R,S,CG"
JOURNAL_SHOWN = 200  # lines of a failed test

T = TypeVar("T")


def run(
    argv: Sequence[str], *, check: bool = True, stdin: str | None = None, cwd: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run as root; a failure shows the command and what it said."""
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        input=stdin,
        cwd=cwd,
        env=ENVIRONMENT,
        timeout=120,
        check=False,
    )
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(argv)} ended {done.returncode}: {done.stderr or done.stdout}")
    return done


def poll(
    predicate: Callable[[], T], timeout: float = 30.0, *, what: str = "", every: float = 0.2
) -> T:
    """The first truthy answer of `predicate`; fails with the last one after `timeout` seconds."""
    until = time.monotonic() + timeout
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > until:
            pytest.fail(f"not so within {timeout:g} s: {what or predicate}; last seen: {answer!r}")
        time.sleep(every)


@pytest.fixture(scope="session", autouse=True)
def cluster() -> str:
    """Slurm's version, "24.11.5"; skips everything where no slurmctld answers."""
    if shutil.which("scontrol") is None:
        pytest.skip(
            "needs a Slurm cluster (docker/test starts one): scontrol is not installed here"
        )
    ping = run(["scontrol", "ping"], check=False)
    if "UP" not in ping.stdout:
        pytest.skip(f"needs a Slurm cluster: no slurmctld answers ({ping.stderr.strip()})")
    if os.getuid() != 0 or not CONFIG.parent.is_dir():
        pytest.skip("the slurm suite runs as root in the controller of a test cluster")
    return run(["scontrol", "-V"]).stdout.split()[1]


# ---- Slurm


@dataclass(frozen=True)
class Record:
    """One job as `scontrol show job` has it. `fields` are its words; `text` is the whole line."""

    text: str
    fields: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.fields[name]

    @property
    def state(self) -> str:
        return self.fields["JobState"]

    @property
    def reason(self) -> str:
        return self.fields["Reason"]

    @property
    def begin(self) -> int:
        """Begin time in force (EligibleTime); 0 while it has none."""
        return self.time("EligibleTime")

    @property
    def start(self) -> int:
        """Actual start, or Slurm's estimate while pending; 0 when there is none."""
        return self.time("StartTime")

    def time(self, name: str) -> int:
        value = self.fields.get(name, "")
        return int(value) if value.isdigit() else 0


def parse_record(line: str) -> Record:
    """Words of one line of `scontrol -o show job`. (A hostile comment could forge words: tests of such
    comments look at `text`.)"""
    words = re.split(r" (?=[A-Z][A-Za-z/:_]*=)", line.strip())
    pairs = (word.partition("=") for word in words)
    return Record(line, {name: value.strip() for name, _, value in pairs})


def show_job(job_id: int | str) -> Record | None:
    done = run(["scontrol", "-o", "show", "job", str(job_id)], check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("JobId=")]
    return parse_record(lines[0]) if lines else None


@pytest.fixture
def as_user() -> Callable[..., subprocess.CompletedProcess[str]]:
    """as_user(user, argv, check=True, stdin=None): a command as alice, bob, carol or flexop."""

    def command(
        user: str, argv: Sequence[str], *, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        home = f"/home/{user}" if Path(f"/home/{user}").is_dir() else "/tmp"  # noqa: S108  # a cwd, no file
        argv = ["runuser", "-u", user, "--", *argv]
        return run(argv, check=check, stdin=stdin, cwd=home)

    return command


@pytest.fixture
def sbatch(as_user: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., int]:
    """sbatch(user, *arguments, wrap="sleep 60") -> job id. The job's own time limit is 5 minutes."""

    def submit(user: str, *arguments: str, wrap: str = "sleep 60") -> int:
        limit = [] if any(a.startswith(("-t", "--time")) for a in arguments) else ["--time=5"]
        argv = ["sbatch", "--parsable", *limit, *arguments, "--wrap", wrap]
        return int(as_user(user, argv).stdout.strip().splitlines()[-1].split(";")[0])

    return submit


@pytest.fixture
def job() -> Callable[[int | str], Record]:
    """job(job_id): its record now; fails when Slurm does not know it."""

    def read(job_id: int | str) -> Record:
        record = show_job(job_id)
        if record is None:
            pytest.fail(f"Slurm does not know job {job_id}")
        return record

    return read


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """wait_for(predicate, timeout=30, what=""): its first truthy answer."""
    return poll


# ---- services


@dataclass(frozen=True)
class Service:
    """A systemd service: FlexLon's, slurmctld, slurmdbd, munge."""

    name: str

    def start(self) -> None:
        run(["systemctl", "start", self.name])

    def stop(self) -> None:
        run(["systemctl", "stop", self.name])

    def restart(self) -> None:
        run(["systemctl", "restart", self.name])

    def reload(self) -> None:
        run(["systemctl", "reload", self.name])

    def kill(self, signal: str = "KILL", *, revive: bool = False) -> None:
        """Send a signal; without `revive` systemd leaves it dead (as with Restart=no)."""
        if revive:
            run(["systemctl", "kill", "-s", signal, self.name])
            return
        override = Path(f"/run/systemd/system/{self.name}.service.d/dead.conf")
        override.parent.mkdir(parents=True, exist_ok=True)
        override.write_text("[Service]\nRestart=no\n")
        run(["systemctl", "daemon-reload"])
        run(["systemctl", "kill", "-s", signal, self.name])
        poll(lambda: not self.active, 10, what=f"{self.name} is dead")

    @property
    def active(self) -> bool:
        return self.show("ActiveState") in {"active", "reloading"}

    @property
    def main_pid(self) -> int:
        return int(self.show("MainPID"))

    def show(self, name: str) -> str:
        """One property of `systemctl show`."""
        return run(["systemctl", "show", "-P", name, self.name]).stdout.strip()

    def journal(self, since: float = 0.0) -> str:
        """What it logged since an epoch time."""
        argv = ["journalctl", "--no-pager", "-o", "cat", "-u", self.name, f"--since=@{since:.3f}"]
        return run(argv).stdout


def revive(name: str) -> None:
    """Take back what Service.kill did to its Restart= setting."""
    override = Path(f"/run/systemd/system/{name}.service.d/dead.conf")
    if override.exists():
        override.unlink()
        run(["systemctl", "daemon-reload"])
    run(["systemctl", "reset-failed", name], check=False)


@pytest.fixture
def service() -> Callable[[str], Service]:
    """service(name): start, stop, restart, reload, kill, active, main_pid, journal."""
    return Service


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """A failed test shows what the services logged meanwhile (docker/test shows the end of the run only)."""
    report: pytest.TestReport = yield
    if report.failed and shutil.which("journalctl"):
        units = [f"--unit={name}" for name in (*SERVICES, "slurmctld")]
        argv = [
            "journalctl",
            "--no-pager",
            "-o",
            "short-precise",
            f"--since=@{call.start:.3f}",
            *units,
        ]
        lines = run(argv, check=False).stdout.splitlines()
        report.sections.append(("journal of this test, its end", "\n".join(lines[-JOURNAL_SHOWN:])))
    return report


# ---- FlexLon's configuration and feeds


DEFAULTS: dict[str, Any] = {
    "daemon": {"mode": "act", "cycle_seconds": 3.0, "tick_seconds": 1.0, "log_level": "debug"},
    "grid": {"slot_seconds": 30, "horizon_slots": 60},
    "signals": {
        "price": [{"source": "csv", "path": str(FEEDS / "price.csv"), "refresh": 1}],
        "carbon": [{"source": "csv", "path": str(FEEDS / "carbon.csv"), "refresh": 1}],
    },
    "planning": {"margin_seconds": 5, "default_queue_wait": 0, "min_benefit": 0.0},
    "helper": {"margin_seconds": 2},
}


@pytest.fixture
def flexlon_config() -> Callable[..., None]:
    """flexlon_config(daemon={"mode": "observe"}, ..., reload=False): writes flexlon.toml over the tests'
    defaults (act, 30 s slots, CSV feeds) and restarts helper and daemon, or reloads them."""

    def write(*, reload: bool = False, **tables: Mapping[str, Any]) -> None:
        text = toml(merged(DEFAULTS, tables))
        temporary = CONFIG.with_suffix(".new")
        temporary.write_text(text)
        temporary.chmod(0o644)
        temporary.rename(CONFIG)
        for name in reversed(SERVICES):
            run(["systemctl", "reload" if reload else "restart", name])

    return write


@pytest.fixture
def signals_csv() -> Callable[..., int]:
    """signals_csv(prices, carbon, slot_seconds=30, start=None) -> start: writes both feeds.

    Prices are GBP/MWh, carbon gCO2/kWh, one value per slot from `start` on (default: the slot of now)."""

    def write(
        prices: Sequence[float],
        carbon: Sequence[float] | None = None,
        slot_seconds: int = 30,
        start: int | None = None,
    ) -> int:
        begin = int(time.time()) // slot_seconds * slot_seconds if start is None else start
        FEEDS.mkdir(mode=0o755, exist_ok=True)
        flat = carbon if carbon is not None else [100.0] * len(prices)
        for name, values in (("price", prices), ("carbon", flat)):
            rows = "".join(
                f"{datetime.fromtimestamp(begin + k * slot_seconds, UTC):%Y-%m-%dT%H:%M:%SZ},{v}\n"
                for k, v in enumerate(values)
            )
            temporary = FEEDS / f"{name}.new"
            temporary.write_text("utc,value\n" + rows)
            temporary.chmod(0o644)
            temporary.rename(FEEDS / f"{name}.csv")
        return begin

    return write


@pytest.fixture
def flexlonctl() -> Callable[..., Any]:
    """flexlonctl(*words, user="root"): its --json output, decoded.

    As root inside this process: tests ask several times a second, and a Python that starts for each of them
    takes the processor from the clusters beside. Other users, and tests in a loop of their own, start it.
    """

    def call(*words: str, user: str = "root") -> Any:
        if user != "root" or _in_a_loop():
            argv = ["runuser", "-u", user, "--", FLEXLONCTL, *words, "--json"]
            return json.loads(run(argv).stdout)
        done = CliRunner().invoke(flexlonctl_app, [*words, "--json"], env=ENVIRONMENT)
        if done.exit_code:
            pytest.fail(f"flexlonctl {' '.join(words)} ended {done.exit_code}: {done.stderr}")
        return json.loads(done.stdout)

    return call


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


# ---- between tests


def cancel_all() -> None:
    """Every job gone from the queue, every reservation deleted, slurmctld up, nodes idle."""
    for name in ("munge", "slurmdbd", "slurmctld"):
        if run(["systemctl", "is-active", name], check=False).stdout.strip() != "active":
            run(["systemctl", "restart", name])
    poll(lambda: "UP" in run(["scontrol", "ping"], check=False).stdout, 30, what="slurmctld is up")
    listing = ["squeue", "-h", "-a", f"--states={PENDING_OR_ACTIVE}", "-o", "%A"]
    jobs = sorted(set(run(listing).stdout.split()))
    for at in range(0, len(jobs), 500):
        run(["scancel", *jobs[at : at + 500]], check=False)
    for line in run(["scontrol", "-o", "show", "reservation"]).stdout.splitlines():
        if line.startswith("ReservationName="):
            run(["scontrol", "delete", line.split()[0]], check=False)
    poll(lambda: not run(listing).stdout.split(), 60, what="the queue is empty")


def reset_flexlon() -> None:
    """Services stopped, their state removed, no override of ours left."""
    run(["systemctl", "stop", *TIMERS, *SERVICES, "flexlon-resume.service"], check=False)
    for name in SERVICES:
        revive(name)
    for directory in STATES:
        shutil.rmtree(directory, ignore_errors=True)
    shutil.rmtree(FEEDS, ignore_errors=True)


@pytest.fixture(scope="session")
def installed(cluster: str) -> Iterator[str]:
    """The configuration as installed; put back, and the services started, when all tests are done."""
    text = CONFIG.read_text()
    yield text
    reset_flexlon()
    cancel_all()
    CONFIG.write_text(text)
    run(["systemctl", "start", "--no-block", *reversed(SERVICES), *TIMERS], check=False)


@pytest.fixture(autouse=True)
def clean(installed: str) -> None:
    """Before each test: an empty queue, no FlexLon running, its configuration as installed."""
    reset_flexlon()
    cancel_all()
    CONFIG.write_text(installed)


# ---- the running system


@pytest.fixture
def scene(
    flexlon_config: Callable[..., None],
    signals_csv: Callable[..., int],
    flexlonctl: Callable[..., Any],
    wait_for: Callable[..., Any],
    sbatch: Callable[..., int],
    job: Callable[[int | str], Record],
    installed: str,
) -> Iterator[Any]:
    """FlexLon acting on a short day: see scenes.Scene. Afterwards the invariants must hold."""
    made = Scene(flexlon_config, signals_csv, flexlonctl, wait_for, sbatch, job)
    yield made
    if made.rendered:
        CONFIG.write_text(installed)
        render_plugin()
    assert made.broken_invariants() == []
