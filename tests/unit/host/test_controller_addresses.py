"""The drop-in for controllers with a public address: scripts/controller-addresses with a fake scontrol."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "controller-addresses"
# Documentation networks (RFC 5737, RFC 3849) stand for public addresses.
HOSTS = {
    "inside": "10.1.2.3 STREAM inside\n10.1.2.3 DGRAM\n",
    "outside": "192.0.2.7 STREAM outside\n192.0.2.7 DGRAM\n2001:db8::7 STREAM\n",
    "both": "192.168.1.1 STREAM both\n192.0.2.6 STREAM\n",
    "scoped": "fe80::1%eth0 STREAM scoped\n127.0.1.1 STREAM\n",
    "vip": "203.0.113.9 STREAM vip\n",
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with a getent that knows HOSTS and a scontrol that prints the file `config`."""
    for name, source in (
        (
            "getent",
            (
                f"hosts = {HOSTS!r}\nhost = sys.argv[2]\nassert sys.argv[1] == 'ahosts'\n"
                "sys.stdout.write(hosts.get(host, f'{host} STREAM\\n' if host[0].isdigit() else ''))\n"
                "sys.exit(0 if host in hosts or host[0].isdigit() else 2)\n"
            ),
        ),
        (
            "scontrol",
            (
                "assert sys.argv[1:] == ['show', 'config']\n"
                f"sys.stdout.write(open({str(tmp_path / 'config')!r}).read())\n"
            ),
        ),
    ):
        program = tmp_path / name
        program.write_text(f"#!{sys.executable} -S\nimport sys\n{source}")
        program.chmod(0o755)
    return tmp_path


def asked(programs: Path, config: str) -> subprocess.CompletedProcess[str]:
    (programs / "config").write_text(config)
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, "PATH": str(programs)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def config(*hosts: str, address: str = "(null)") -> str:
    lines = [f"SlurmctldHost[{index}]        = {host}" for index, host in enumerate(hosts)]
    return "\n".join([f"SlurmctldAddr           = {address}", *lines, "SlurmctldPort = 6817", ""])


@pytest.mark.parametrize("hosts", [("inside",), ("scoped", "inside"), ("x(172.16.0.9)",)])
def test_private_controllers_need_nothing(programs: Path, hosts: tuple[str, ...]) -> None:
    done = asked(programs, config(*hosts))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("hosts", "address", "listed"),
    [
        (("outside",), "(null)", "192.0.2.7 2001:db8::7"),
        (("inside", "both"), "(null)", "192.0.2.6"),
        (("inside", "outside"), "vip", "192.0.2.7 203.0.113.9 2001:db8::7"),
        (("inside(198.51.100.4)",), "(null)", "198.51.100.4"),
    ],
)
def test_public_addresses_are_allowed_and_no_others(
    programs: Path, hosts: tuple[str, ...], address: str, listed: str
) -> None:
    done = asked(programs, config(*hosts, address=address))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["[Service]", f"IPAddressAllow={listed}"]
    assert done.stdout.startswith("# Written by scripts/install")


def test_a_name_that_nobody_knows_prints_nothing(programs: Path) -> None:
    done = asked(programs, config("outside", "nowhere"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "getent ahosts nowhere" in done.stderr


def test_without_slurm_nothing_is_printed(programs: Path) -> None:
    (programs / "scontrol").unlink()
    done = asked(programs, "")
    assert (done.returncode, done.stdout) == (1, "")
    assert "scontrol" in done.stderr
