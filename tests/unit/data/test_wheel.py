"""What `pip install .` installs: a wheel is built and looked into. No network."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("flexlond", "slurm_plugin")
NOT_SHIPPED = {".pyc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy as scripts/install does it."""
    hatchling = pytest.importorskip(
        "hatchling.builders.wheel", reason="hatchling is not installed (requirements-build.txt)"
    )
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name)
    (built,) = hatchling.WheelBuilder(str(source)).build(
        directory=str(tmp_path_factory.mktemp("dist"))
    )
    return Path(built)


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix not in NOT_SHIPPED
    }
    assert held == files
    assert "slurm_plugin/job_submit.lua" in held
    assert {Path(name).suffix for name in held if name.startswith("flexlond/data/")} >= {".csv"}


def test_the_wheel_brings_the_programs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/entry_points.txt"))
        lines = archive.read(name).decode().splitlines()
    assert {line.partition(" = ")[0] for line in lines if " = " in line} == {
        "flexlond",
        "flexlonctl",
        "flexlon-helper",
        "flexlon-verify",
    }
