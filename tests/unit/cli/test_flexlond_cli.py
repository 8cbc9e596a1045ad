from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flexlond import __version__
from flexlond.cli.flexlond import app
from flexlond.daemon.config import load

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs/reference/flexlon.toml"


def test_check_config_sums_up_a_good_file() -> None:
    result = CliRunner().invoke(app, ["check-config", "--config", str(EXAMPLE)])
    assert result.exit_code == 0
    assert f"{EXAMPLE}: OK" in result.stdout
    assert "classes: green, overnight, standard; opt-ins: 1" in result.stdout
    assert "price: neso-day-ahead, octopus-agile" in result.stdout


def test_check_config_names_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[daemon]\nmode = 'akt'\ncycle_secnds = 1\n")
    result = CliRunner().invoke(app, ["check-config", "--config", str(path)])
    assert result.exit_code == 1
    assert "2 problems" in result.stderr
    assert "daemon.mode" in result.stderr
    assert "did you mean 'cycle_seconds'?" in result.stderr


def test_show_config_prints_what_is_in_force(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["show-config", "--config", str(EXAMPLE)])
    again = tmp_path / "again.toml"
    again.write_text(result.stdout)
    assert load(again) == load(EXAMPLE)


def test_lua_renders_writes_and_compares(tmp_path: Path) -> None:
    output = tmp_path / "job_submit.lua"
    words = ["lua", "--config", str(EXAMPLE)]
    shown = CliRunner().invoke(app, words)
    missing = CliRunner().invoke(app, [*words, "--output", str(output), "--check"])
    written = CliRunner().invoke(app, [*words, "--output", str(output)])
    same = CliRunner().invoke(app, [*words, "--output", str(output), "--check"])
    assert [r.exit_code for r in (shown, missing, written, same)] == [0, 1, 0, 0]
    assert output.read_text() == shown.stdout
    assert "overnight" in shown.stdout
    assert CliRunner().invoke(app, [*words, "--check"]).exit_code == 1


def test_version_is_the_projects() -> None:
    assert CliRunner().invoke(app, ["version"]).stdout == f"flexlond {__version__}\n"
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_run_with_a_refused_configuration_ends_with_78(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[daemon]\nmode = 'akt'\n")
    result = CliRunner().invoke(app, ["run", "--config", str(path)])
    assert result.exit_code == 78
    assert "daemon.mode" in result.stderr


def test_the_generated_pages_have_not_drifted() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/gen-docs"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["run", "check-config", "show-config", "lua", "version"])
def test_every_command_has_help(name: str) -> None:
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
