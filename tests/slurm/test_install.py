"""The installation on a real controller: services under real systemd, upgrade and removal in place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = Path(__file__).resolve().parents[2]
SERVICES = {"flexlond": 1.5, "flexlon-helper": 2.0, "flexlon-resume": 2.0}
STAY = ("flexlond", "flexlon-helper")
# The wheels that the image was built with: the controller needs no network to install again.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/opt/stage/wheels"}


def script(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SOURCE / "scripts" / name), *words],
        capture_output=True,
        text=True,
        env={**os.environ, **OFFLINE},
        timeout=180,
        check=False,
    )


@pytest.fixture
def impatient() -> Iterator[None]:
    """A watchdog of three seconds, so that a hanging service is found while a test waits."""
    overrides = [Path(f"/run/systemd/system/{n}.service.d/impatient.conf") for n in STAY]
    for override in overrides:
        override.parent.mkdir(parents=True, exist_ok=True)
        override.write_text("[Service]\nWatchdogSec=3\nRestartSec=0\n")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    yield
    for override in overrides:
        override.unlink()
    subprocess.run(["systemctl", "daemon-reload"], check=True)


@pytest.mark.slurm
@pytest.mark.contract
@pytest.mark.parametrize("name", sorted(SERVICES))
def test_installed_unit_is_clean_and_closed(name: str) -> None:
    unit = f"/etc/systemd/system/{name}.service"
    verify = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (verify.returncode, verify.stdout, verify.stderr) == (0, "", "")
    score = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for \S+: (\d+\.\d)", score.stdout)
    assert found is not None, score.stdout + score.stderr
    assert float(found[1]) <= SERVICES[name]


@pytest.mark.slurm
@pytest.mark.contract
def test_both_services_run_under_systemd_as_their_own_users(
    flexlon_config: Callable[..., None], service: Callable[[str], Any]
) -> None:
    flexlon_config(daemon={"mode": "observe"})
    for name, user in (("flexlond", "flexlon"), ("flexlon-helper", "flexlon-helper")):
        unit = service(name)
        assert unit.active
        assert unit.show("WatchdogUSec") == "2min"
        assert Path(f"/proc/{unit.main_pid}").owner() == user


@pytest.mark.slurm
@pytest.mark.contract
def test_default_configuration_observes(
    installed: str, service: Callable[[str], Any], wait_for: Callable[..., Any]
) -> None:
    assert 'mode = "observe"' in installed
    check = subprocess.run(
        ["/opt/flexlon/bin/flexlond", "check-config"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr
    service("flexlon-helper").start()
    service("flexlond").start()
    assert service("flexlond").active


@pytest.mark.slurm
@pytest.mark.contract
def test_reload_takes_a_new_configuration_without_a_restart(
    flexlon_config: Callable[..., None],
    service: Callable[[str], Any],
    flexlonctl: Callable[..., Any],
    wait_for: Callable[..., Any],
) -> None:
    flexlon_config(daemon={"mode": "observe"})
    pid = service("flexlond").main_pid
    wait_for(lambda: flexlonctl("status")["mode"] == "observe", 10, what="mode observe")
    flexlon_config(daemon={"mode": "act"}, reload=True)
    wait_for(lambda: flexlonctl("status")["mode"] == "act", 10, what="mode act")
    assert service("flexlond").main_pid == pid
    assert service("flexlond").active


@pytest.mark.slurm
@pytest.mark.contract
def test_only_the_daemon_reaches_the_helper(
    flexlon_config: Callable[..., None], as_user: Callable[..., Any]
) -> None:
    flexlon_config(daemon={"mode": "observe"})
    directory, socket = Path("/run/flexlon-helper"), Path("/run/flexlon-helper/helper.sock")
    assert (directory.owner(), directory.group()) == ("flexlon-helper", "flexlon")
    assert directory.stat().st_mode & 0o7777 == 0o750
    assert (socket.owner(), socket.group()) == ("flexlon-helper", "flexlon")
    assert socket.stat().st_mode & 0o777 == 0o660
    assert as_user("alice", ["ls", str(directory)], check=False).returncode != 0
    # The admin socket is everybody's: MUNGE says who calls.
    assert Path("/run/flexlon/admin.sock").stat().st_mode & 0o777 == 0o666


@pytest.mark.slurm
@pytest.mark.contract
def test_resume_runs_by_itself_with_nothing_to_do(service: Callable[[str], Any]) -> None:
    # The unit's condition is the helper's folder, which the clean-up took away: without it nothing would run.
    folder = Path("/var/lib/flexlon-helper")
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(folder, "flexlon-helper", "flexlon")
    resume = service("flexlon-resume")
    resume.start()
    assert resume.show("ConditionResult") == "yes"
    assert resume.show("Result") == "success"
    assert resume.show("ExecMainStatus") == "0"


@pytest.mark.slurm
@pytest.mark.parametrize("name", STAY)
def test_a_hanging_service_is_killed_and_started_again(
    name: str,
    impatient: None,
    flexlon_config: Callable[..., None],
    service: Callable[[str], Any],
    wait_for: Callable[..., Any],
) -> None:
    flexlon_config(daemon={"mode": "observe"})
    unit = service(name)
    pid = unit.main_pid
    began = time.time()
    unit.kill("STOP", revive=True)
    wait_for(lambda: unit.active and unit.main_pid not in {0, pid}, 30, what="a new main process")
    assert "Watchdog timeout" in unit.journal(began)


@pytest.mark.slurm
def test_installing_again_keeps_the_configuration_and_restarts_what_runs(
    flexlon_config: Callable[..., None], service: Callable[[str], Any]
) -> None:
    flexlon_config(daemon={"mode": "observe"})
    before = Path("/etc/flexlon/flexlon.toml").read_text()
    pid = service("flexlond").main_pid
    done = script("install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is kept" in done.stdout
    assert Path("/etc/flexlon/flexlon.toml").read_text() == before
    assert service("flexlond").active
    assert service("flexlond").main_pid != pid


@pytest.mark.slurm
def test_uninstall_releases_our_holds_and_leaves_nothing_running(
    flexlon_config: Callable[..., None],
    signals_csv: Callable[..., int],
    sbatch: Callable[..., int],
    job: Callable[..., Any],
    service: Callable[[str], Any],
    wait_for: Callable[..., Any],
    tmp_path: Path,
) -> None:
    signals_csv([300.0] * 20 + [10.0] * 40)
    flexlon_config()
    # A begin time of its own: else Slurm may start it before flexlond has seen it.
    held = sbatch("alice", "--comment=flex: max-delay=30:00", "--time=1", "--begin=now+15")
    own = job(held).begin
    wait_for(lambda: job(held).begin > time.time() + 120, 30, what="the job is deferred")
    kept = tmp_path / "flexlon"
    shutil.copytree("/opt/flexlon", kept, symlinks=True)
    try:
        done = script("uninstall")
        assert done.returncode == 0, done.stdout + done.stderr
        assert not Path("/opt/flexlon").exists()
        assert not service("flexlond").active
        assert job(held).begin <= max(time.time(), own) + 1
        wait_for(
            lambda: job(held).state in {"RUNNING", "COMPLETED"}, 30, what="the job has started"
        )
    finally:
        shutil.copytree(kept, "/opt/flexlon", symlinks=True, dirs_exist_ok=True)
        again = script("install")
    assert again.returncode == 0, again.stdout + again.stderr
    assert service("flexlond").show("LoadState") == "loaded"
