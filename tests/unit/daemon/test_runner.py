"""The runner with the port's fake: beats, faults, heartbeat, systemd's messages."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.daemon.heartbeat import Heartbeat
from flexlond.daemon.runner import MAX_BACK_OFF, Runner
from flexlond.daemon.shell import Shell
from flexlond.model.settings import (
    DaemonSettings,
    DirectiveSettings,
    PredictionSettings,
    Settings,
)
from tests.unit.shellkit import NOON, fake_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flexlond.agents.fake_view import FakeAgent

FAST = Settings(daemon=DaemonSettings(mode="act", tick_seconds=0.01, cycle_seconds=0.03))


class Hub:
    """Signals that are there at once, or fail as told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls = 0

    async def refresh(self, now: int) -> None:
        self.calls += 1
        if self.error:
            raise self.error


class Learner:
    """Learns for as long as it is told, or fails as told."""

    def __init__(self, error: Exception | None = None, *, seconds: float = 0.0) -> None:
        self.error = error
        self.seconds = seconds
        self.calls: list[int] = []
        self.ended = False

    async def learn(self, now: int) -> int:
        self.calls.append(now)
        if self.error:
            raise self.error
        await asyncio.sleep(self.seconds)
        self.ended = True
        return 1


class Bench:
    """A runner with its surroundings."""

    def __init__(
        self,
        folder: Path,
        agent: FakeAgent,
        settings: Settings = FAST,
        hub: Hub | None = None,
        learner: Learner | None = None,
        meter: Hub | None = None,
    ) -> None:
        self.agent = agent
        self.shell = Shell(settings, folder / "flexlon.toml")
        self.file = folder / "heartbeat"
        self.health: list[bool] = []
        self.unwell = asyncio.Event()
        self.hub = hub or Hub()
        self.runner = Runner(
            agent,
            self.hub,
            self.shell,
            Heartbeat(self.file),
            clock=lambda: NOON,
            on_health=self._heard,
            learner=learner,
            meter=meter,
        )

    async def _heard(self, healthy: bool) -> None:  # noqa: FBT001 -- a callback's one argument
        self.health.append(healthy)
        if not healthy:
            self.unwell.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Run until `true`, look a last time, stop in order."""
        task = asyncio.create_task(self.runner.run())
        try:
            async with asyncio.timeout(20):
                while not true():
                    assert not task.done() or task.result() is None
                    await asyncio.sleep(0.005)
        finally:
            self.runner.stop()
            await task

    def count(self, word: str) -> int:
        return sum(call.startswith(word) for call in self.agent.calls)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """What systemd was told, over a real datagram socket."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))

        def read() -> list[str]:
            lines = []
            while True:
                try:
                    lines += sock.recv(65536).decode().split("\n")
                except BlockingIOError:
                    return lines

        yield read


async def test_a_cycle_comes_first_then_ticks_and_cycles(tmp_path: Path) -> None:
    bench = Bench(tmp_path, fake_agent())
    await bench.until(lambda: bench.count("cycle") >= 2 and bench.count("tick") >= 2)
    assert bench.agent.calls[0] == f"cycle {NOON}"
    assert bench.health[0] is True
    assert bench.hub.calls >= 1


async def test_the_heartbeat_is_written_while_new_jobs_would_be_placed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, fake_agent())
    seen: list[str] = []

    def written() -> bool:
        if bench.file.exists():
            seen.append(bench.file.read_text())
        return bool(seen)

    await bench.until(written)
    word, until = seen[0].split()
    assert word == "act"
    assert NOON < int(until) <= NOON + 10
    assert not bench.file.exists()  # an orderly end takes it away


@pytest.mark.parametrize(
    "changes",
    [{"mode": "observe"}, {"paused": True}, {"draining": True}, {"helper_answering": False}],
    ids=str,
)
async def test_no_heartbeat_while_new_jobs_would_not_be_placed(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    (tmp_path / "heartbeat").write_text(f"act {NOON + 99999}\n")  # an earlier life's
    bench = Bench(tmp_path, fake_agent(**changes))
    await bench.until(lambda: bench.count("tick") >= 2)
    assert not bench.file.exists()
    assert bench.shell.heartbeat_until == 0


async def test_an_incomplete_look_takes_the_heartbeat_away(tmp_path: Path) -> None:
    bench = Bench(tmp_path, fake_agent())
    gone: list[bool] = []

    def incomplete_then_gone() -> bool:
        if bench.file.exists():
            bench.agent.complete = False
        elif not bench.agent.complete:
            gone.append(True)
        return bool(gone)

    await bench.until(incomplete_then_gone)
    assert bench.shell.heartbeat_until == 0


async def test_ticks_longer_than_the_decision_window_delay_nobody(tmp_path: Path) -> None:
    settings = Settings(
        daemon=DaemonSettings(mode="act", tick_seconds=1.5, cycle_seconds=0.01),
        directive=DirectiveSettings(decision_window=1),
    )
    bench = Bench(tmp_path, fake_agent(), settings)
    await bench.until(lambda: bench.count("cycle") >= 2)
    assert not bench.file.exists()
    assert "decision window of 1 s" in bench.shell.warnings["slow-ticks"]


async def test_a_fault_in_a_cycle_is_said_and_the_loop_goes_on(tmp_path: Path, told: Any) -> None:
    agent = fake_agent()
    agent.fail_next = ValueError("no such\nslot")
    bench = Bench(tmp_path, agent)
    said: list[str] = []

    def recovered() -> bool:
        if bench.shell.failure:
            said.append(bench.shell.failure)
            assert not bench.file.exists()
        return bool(said) and not bench.shell.failure and bench.count("cycle") >= 2

    await bench.until(recovered)
    assert said[0].startswith("the cycle failed (ValueError: no such slot); nothing new is held")
    assert bench.health[0] is True  # unhealthy is the start, so the fault was no change
    lines = told()
    assert any(line.startswith("STATUS=the cycle failed (ValueError") for line in lines)
    assert "STATUS=0 jobs, nothing to do" in lines


async def test_a_fault_in_a_tick_asks_for_a_full_cycle(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, fake_agent(), Settings(daemon=DaemonSettings(mode="act", tick_seconds=0.01))
    )

    def failed_once() -> bool:
        if bench.count("tick") == 1 and not bench.shell.failure:
            bench.agent.fail_next = OSError("gone")
        return bench.count("cycle") >= 2

    await bench.until(failed_once)
    assert bench.health[:3] == [True, False, True]
    assert bench.shell.failure == ""


async def test_back_off_grows_and_is_bounded(tmp_path: Path) -> None:
    runner = Bench(tmp_path, fake_agent(), Settings()).runner
    waits = []
    for failures in range(1, 40):
        runner._failures = failures
        waits.append(runner._back_off())
    assert waits[:3] == [6.0, 12.0, 24.0]
    assert waits[-1] == MAX_BACK_OFF


async def test_slow_reads_stretch_the_ticks(tmp_path: Path) -> None:
    runner = Bench(tmp_path, fake_agent(), Settings()).runner
    runner._last_tick = 0.1
    assert runner.tick_interval() == 3.0
    runner._last_tick = 1.2
    assert runner.tick_interval() == 6.0


async def test_one_slow_read_slows_nothing_for_ever(tmp_path: Path) -> None:
    bench = Bench(tmp_path, fake_agent())
    bench.runner._last_tick = 1000.0  # the interval is now longer than a cycle: no tick would come
    await bench.until(lambda: bench.count("tick") >= 1 and bench.file.exists())
    assert bench.runner.tick_interval() < 1000.0


async def test_a_failing_feed_is_a_warning(tmp_path: Path) -> None:
    bench = Bench(tmp_path, fake_agent(), hub=Hub(RuntimeError("bad feed")))
    await bench.until(lambda: bench.count("tick") >= 1)
    assert "RuntimeError: bad feed" in bench.shell.warnings["signals"]


async def test_poke_brings_the_next_cycle_at_once(tmp_path: Path) -> None:
    settings = Settings(daemon=DaemonSettings(tick_seconds=50.0, cycle_seconds=3000.0))
    bench = Bench(tmp_path, fake_agent(), settings)

    def poked() -> bool:
        if bench.count("cycle") == 1:
            bench.runner.poke()
        return bench.count("cycle") >= 2

    await bench.until(poked)
    assert bench.count("tick") == 0


async def test_the_watchdog_hears_of_beats_and_of_waiting(
    tmp_path: Path, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    settings = Settings(daemon=DaemonSettings(tick_seconds=50.0, cycle_seconds=3000.0))
    bench = Bench(tmp_path, fake_agent(), settings)
    heard: list[str] = []

    def often() -> bool:
        heard.extend(line for line in told() if line == "WATCHDOG=1")
        return len(heard) >= 4

    await bench.until(often)
    assert bench.agent.calls == [f"cycle {NOON}"]


async def test_the_watchdog_hears_nothing_from_a_loop_that_hangs(
    tmp_path: Path, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    agent = fake_agent()
    begun, release = asyncio.Event(), asyncio.Event()

    async def hang(now: int) -> str:
        begun.set()
        await release.wait()
        return "late"

    monkeypatch.setattr(agent, "cycle", hang)
    bench = Bench(tmp_path, agent)
    task = asyncio.create_task(bench.runner.run())
    await begun.wait()
    told()
    await asyncio.sleep(0.1)
    silent = [line for line in told() if line == "WATCHDOG=1"]
    bench.runner.stop()
    release.set()
    await task
    assert silent == []


async def test_a_loop_that_hangs_is_not_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = fake_agent()
    hung, release = asyncio.Event(), asyncio.Event()

    async def hang(now: int) -> None:
        hung.set()
        await release.wait()

    monkeypatch.setattr(agent, "tick", hang)
    bench = Bench(tmp_path, agent)
    bench.runner._stale_after = 0.05
    task = asyncio.create_task(bench.runner.run())
    await hung.wait()
    async with asyncio.timeout(20):
        await bench.unwell.wait()
    bench.runner.stop()
    release.set()
    await task
    assert bench.health[:2] == [True, False]


async def test_stop_lets_the_beat_in_hand_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = fake_agent()
    ended: list[str] = []
    begun = asyncio.Event()

    async def slow(now: int) -> str:
        begun.set()
        await asyncio.sleep(0.05)
        ended.append("done")
        return "done"

    monkeypatch.setattr(agent, "cycle", slow)
    bench = Bench(tmp_path, agent)
    task = asyncio.create_task(bench.runner.run())
    await begun.wait()
    bench.runner.stop()
    await task
    assert ended == ["done"]
    assert not bench.file.exists()


async def test_a_heartbeat_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    bench = Bench(tmp_path, fake_agent())
    bench.runner._heartbeat = Heartbeat(tmp_path / "no" / "heartbeat")
    await bench.until(lambda: "heartbeat" in bench.shell.warnings)
    assert "cannot be written" in bench.shell.warnings["heartbeat"]
    assert bench.shell.heartbeat_until == 0


async def test_learning_goes_on_beside_the_beats(tmp_path: Path) -> None:
    learner = Learner(seconds=60.0)
    bench = Bench(tmp_path, fake_agent(), learner=learner)
    await bench.until(lambda: bench.count("cycle") >= 2 and bool(learner.calls))
    assert learner.calls == [NOON]
    assert not learner.ended  # it was cancelled with the runner, no beat has waited for it


async def test_learning_is_repeated_and_its_faults_are_told(tmp_path: Path) -> None:
    often = Settings(
        daemon=FAST.daemon,
        prediction=PredictionSettings(refresh_seconds=0.01),
    )
    learner = Learner(RuntimeError("database is locked"))
    bench = Bench(tmp_path, fake_agent(), often, learner=learner)
    await bench.until(lambda: len(learner.calls) >= 2)
    assert "RuntimeError: database is locked" in bench.shell.warnings["prediction"]
    assert bench.shell.failure == ""
    well = Bench(tmp_path, fake_agent(), often, learner=Learner())
    well.shell.warn("prediction", "old")
    await well.until(lambda: "prediction" not in well.shell.warnings)
    assert well.shell.failure == ""


async def test_switched_off_nothing_is_learned(tmp_path: Path) -> None:
    off = Settings(daemon=FAST.daemon, prediction=PredictionSettings(enabled=False))
    learner = Learner()
    bench = Bench(tmp_path, fake_agent(), off, learner=learner)
    await bench.until(lambda: bench.count("tick") >= 3)
    assert learner.calls == []


async def test_the_meter_is_read_beside_the_beats(tmp_path: Path) -> None:
    meter = Hub()
    bench = Bench(tmp_path, fake_agent(), meter=meter)
    await bench.until(lambda: meter.calls >= 1 and bench.count("cycle") >= 1)
    assert "meter" not in bench.shell.warnings


async def test_a_fault_in_the_meter_is_said_and_stops_nothing(tmp_path: Path) -> None:
    meter = Hub(RuntimeError("inside"))
    bench = Bench(tmp_path, fake_agent(), meter=meter)
    await bench.until(lambda: bench.count("cycle") >= 3 and bool(bench.shell.warnings))
    assert bench.shell.warnings["meter"] == "meter: not refreshed (RuntimeError: inside)"
    assert bench.health == [True]
