"""The units as installed: systemd finds nothing to say about them, and they are as closed as promised."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[3] / "systemd"
SERVICES = {"flexlond": 1.5, "flexlon-helper": 2.0, "flexlon-resume": 2.0}
INSTALLED = Path("/opt/flexlon/bin")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed (package systemd)")
    return subprocess.run([tool, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "unit", sorted(p.name for p in UNITS.iterdir() if p.suffix in {".service", ".timer"})
)
def test_systemd_has_nothing_to_say_about_the_unit(unit: str) -> None:
    if not INSTALLED.is_dir():
        pytest.skip("systemd-analyze verify looks for the installed programs: run by docker/test")
    done = analyze("verify", str(UNITS / unit))
    # An unknown key makes a line on stderr and no exit code: any output is a fault.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("name", "most"), sorted(SERVICES.items()))
def test_exposure_is_at_most_what_we_promise(name: str, most: float) -> None:
    done = analyze("security", "--no-pager", "--offline=true", str(UNITS / f"{name}.service"))
    found = re.search(r"exposure level for \S+: (\d+\.\d)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= most


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_needs_another_to_live(name: str) -> None:
    words = (UNITS / f"{name}.service").read_text()
    assert not re.search(r"^(Requires|BindsTo|PartOf)=", words, re.MULTILINE)


def test_daemon_and_helper_are_different_users() -> None:
    users = {
        name: re.findall(r"^User=(\S+)$", (UNITS / f"{name}.service").read_text(), re.MULTILINE)
        for name in SERVICES
    }
    assert users == {
        "flexlond": ["flexlon"],
        "flexlon-helper": ["flexlon-helper"],
        "flexlon-resume": ["flexlon-helper"],
    }


def test_the_watchdog_watches_the_two_services_that_stay() -> None:
    for name in ("flexlond", "flexlon-helper"):
        words = (UNITS / f"{name}.service").read_text()
        assert re.search(r"^Type=notify", words, re.MULTILINE)
        assert re.search(r"^WatchdogSec=\d+$", words, re.MULTILINE)
        assert "Restart=on-failure\n" in words
