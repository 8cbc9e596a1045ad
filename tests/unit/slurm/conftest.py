"""Captured answers of three Slurm versions (scripts/capture-slurm) and a squeue that replays them."""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "slurm"
VERSIONS = ("22.05", "24.11", "26.05")


@dataclass(frozen=True)
class Captured:
    """The folder of one version."""

    version: str
    folder: Path

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    def json(self, name: str) -> str:
        return gzip.decompress((self.folder / name).read_bytes()).decode()

    @property
    def separators(self) -> tuple[str, str]:
        field, record = json.loads(self.text("separators.json"))
        return field, record


@pytest.fixture(params=VERSIONS)
def captured(request: pytest.FixtureRequest) -> Captured:
    return Captured(request.param, FIXTURES / request.param)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], Path]:
    """program(name, python source): a command of that name in a folder of its own; -> the folder."""

    def write(name: str, source: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(f"#!{sys.executable} -S\n{source}")
        path.chmod(0o755)
        return folder

    return write
