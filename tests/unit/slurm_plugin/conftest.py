from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from flexlond.model.action import Action, Result, Verb
from flexlond.model.settings import HelperSettings, LicenceSettings, SlurmSettings
from flexlond.slurm.squeue import SqueueReader
from slurm_plugin.batch import Batch
from slurm_plugin.config import HelperConfig
from slurm_plugin.pace import PaceBook
from slurm_plugin.parts import Later, Parts
from slurm_plugin.rates import Bucket
from slurm_plugin.resume import ResumeBook
from slurm_plugin.routing import RouteBook
from slurm_plugin.slurm_calls import SlurmCalls
from slurm_plugin.state import State
from slurm_plugin.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_795_420_800  # 2026-11-23T08:00:00Z
HOUR = 3600
PENDING = {
    "state": "PD",
    "begin": NOW - 60,
    "submit": NOW - 60,
    "restarts": 0,
    "priority": 4000,
    "comment": "flex: max-delay=8:00:00",
    "limit": "10:00",
    "start": "N/A",
    "requeue": 1,
    "batch": 1,
    "reservation": "",
    "deadline": "N/A",
    "reason": "Priority",
}
RUNNING = PENDING | {"state": "R", "start": NOW - 60, "reason": "None"}


@dataclass
class FakeSlurm:
    """A cluster whose only visible side is its commands."""

    base: Path
    now: int = NOW
    bin_dir: str = ""

    def __post_init__(self) -> None:
        script = Path(__file__).parent / "fake_slurm.py"
        folder = self.base / "bin"
        folder.mkdir()
        for name in ("squeue", "scontrol", "scancel", "sacctmgr"):
            program = folder / name
            program.write_text(
                f'#!/bin/sh\nexec {sys.executable} -S {script} {self.path} {name} "$@"\n'
            )
            program.chmod(0o755)
        self.bin_dir = str(folder)
        empty: dict[str, Any] = {"jobs": {}, "after_update": {}, "reservations": {}, "total": 1000}
        empty["federation"] = {"south": [True, True]}  # linked with us, known to slurmdbd
        lists = ("calls", "down", "down_after_read", "down_after_act", "denied", "forgotten")
        self.write(empty | {name: [] for name in lists} | {"now": self.now})

    @property
    def path(self) -> Path:
        return self.base / "slurm.json"

    def read(self) -> dict[str, Any]:
        return json.loads(self.path.read_text())  # type: ignore[no-any-return]

    def write(self, state: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(state))

    def set(self, **values: Any) -> None:
        self.write(self.read() | values)

    def job(self, number: int) -> dict[str, Any]:
        return self.read()["jobs"][str(number)]  # type: ignore[no-any-return]

    def put(self, number: int, base: dict[str, Any] = PENDING, **changes: Any) -> None:
        state = self.read()
        state["jobs"][str(number)] = base | changes
        self.write(state)

    def change(self, number: int, **changes: Any) -> None:
        self.put(number, self.job(number), **changes)

    def at(self, now: int) -> None:
        self.now = now
        self.set(now=now)

    def changes(self) -> list[list[str]]:
        """Everything sent that was not a read."""
        return [call for call in self.read()["calls"] if call[0] != "squeue"]


@dataclass
class Helper:
    """A helper on the fake cluster; `restart` is what a new process would be."""

    slurm: FakeSlurm
    directory: Path
    settings: HelperSettings = field(default_factory=HelperSettings)
    count: int = 0
    licence: LicenceSettings = field(
        default_factory=lambda: LicenceSettings(total_kw=1000, partitions={"main": "flexible"})
    )

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        slurm = SlurmSettings(bin_dir=self.slurm.bin_dir)
        book = ResumeBook(self.directory / "resume")
        book.prepare()
        pace = PaceBook(self.directory / "pace")
        pace.prepare()
        routes = RouteBook(self.directory / "routes")
        routes.prepare()
        reader = SqueueReader(slurm)
        self.parts = Parts(
            config=HelperConfig(helper=self.settings, slurm=slurm, licence=self.licence),
            reader=reader,
            calls=SlurmCalls(slurm),
            state=State(str(self.directory)),
            book=book,
            pace=pace,
            routes=routes,
            sites=reader.federation,
            actions=Bucket(self.settings.max_actions_per_minute),
            requeues=Bucket(self.settings.max_requeues_per_minute),
            tz=ZoneInfo("UTC"),
            clock=lambda: self.slurm.now,
            monotonic=time.monotonic,
        )
        self.batch = Batch(self.parts)
        self.windows = Windows(self.parts)

    def restart(self) -> None:
        self.parts.state.close()
        self.open()

    def action(self, number: int, verb: Verb, not_before: int = 0, **changes: Any) -> Action:
        """An action whose guards match what the cluster has now."""
        self.count += 1
        job = self.slurm.read()["jobs"].get(str(number), PENDING)
        values: dict[str, Any] = {
            "action_id": str(self.count),
            "job_id": number,
            "submit": job["submit"],
            "restarts": job["restarts"],
            "expected_begin": job["begin"],
            "expected_state": job["state"],
            "verb": verb,
            "not_before": not_before,
            "reason": "test",
        }
        return Action(**(values | changes))

    def apply(self, *actions: Action, warned: bool = False) -> tuple[list[Result], list[Later]]:
        return self.batch.apply(actions, warned=warned)

    def do(self, number: int, verb: Verb, not_before: int = 0, **changes: Any) -> tuple[str, str]:
        """Outcome and code of one action."""
        results, _ = self.apply(self.action(number, verb, not_before, **changes))
        return results[0].outcome.value, results[0].code


@pytest.fixture
def fake(tmp_path: Path) -> FakeSlurm:
    return FakeSlurm(tmp_path)


@pytest.fixture
def helper(fake: FakeSlurm, tmp_path: Path) -> Iterator[Helper]:
    directory = tmp_path / "state"
    directory.mkdir()
    made = Helper(fake, directory)
    yield made
    made.parts.state.close()
