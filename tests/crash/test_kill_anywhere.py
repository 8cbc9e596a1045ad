"""SIGKILL at the lines of a cycle: whatever was recorded and sent, the next daemon finds its way.

A child process runs one cycle on a simulated Slurm whose effects are written to a file as they happen (the
far end outlives the daemon). A trace function kills it at the k-th line executed in the loop, the actuator
or the store. The parent then starts a new daemon on the same store and Slurm and checks I2 (each effect has
one earlier intent, each intent ends), that nobody was taken for opted out, and that the holds converge.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONFTEST = Path(__file__).parent.parent / "unit" / "agents" / "conftest.py"
TRACED = ("agents/compute_flex.py", "agents/actuator.py", "agents/decide.py", "daemon/store.py")
FLEX = "flex: max-delay=8:00:00"
JOBS = 4

CHILD = """
import asyncio, os, signal, sys
sys.path.insert(0, os.getcwd())
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("crash_bench", sys.argv[1])
bench_module = importlib.util.module_from_spec(spec)
sys.modules["crash_bench"] = bench_module
spec.loader.exec_module(bench_module)
driver_spec = importlib.util.spec_from_file_location("crash_driver", sys.argv[2])
driver = importlib.util.module_from_spec(driver_spec)
sys.modules["crash_driver"] = driver
driver_spec.loader.exec_module(driver)
driver.child(bench_module, Path(sys.argv[3]), int(sys.argv[4]))
"""


def load(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def make_bench(bench_module: Any, folder: Path) -> Any:
    """The bench on a store in `folder`, with the jobs as the effects file left them."""
    base = bench_module.Settings()
    settings = bench_module.Settings(
        daemon=bench_module.replace_struct(base.daemon, mode="act"),
        signals=bench_module.replace_struct(
            base.signals, price=(bench_module.Feed(source="csv", path="/nowhere"),)
        ),
        planning=bench_module.replace_struct(base.planning, default_queue_wait=60),
    )
    bench = bench_module.Bench(folder / "store.db", settings, bench_module.CHEAP_AT_SIX)
    for _ in range(JOBS):
        bench.slurm.submit(FLEX)
    for line in effects(folder):
        bench.slurm.edit(line["job_id"], begin=line["begin"])
    inner = bench.slurm._apply

    def durable(action: Any) -> Any:
        result = inner(action)
        if bench.slurm.effects and bench.slurm.effects[-1] is action:
            begin = bench.slurm.jobs[action.job_id].begin
            row = {"id": action.action_id, "job_id": action.job_id, "begin": begin}
            handle = os.open(folder / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(handle, json.dumps(row).encode() + b"\n")
            os.close(handle)
        return result

    bench.slurm._apply = durable
    return bench


def effects(folder: Path) -> list[dict[str, Any]]:
    path = folder / "effects"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def child(bench_module: Any, folder: Path, kill_at: int) -> None:
    """One cycle; SIGKILL at the `kill_at`-th traced line; prints how many there were when it survives."""
    import asyncio  # noqa: PLC0415  # the child's own

    bench = make_bench(bench_module, folder)
    count = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    asyncio.run(bench.cycle())
    sys.settrace(None)
    print(count)


def run_child(folder: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", CHILD, str(CONFTEST), __file__, str(folder), str(kill_at)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> int:
    done = run_child(tmp_path_factory.mktemp("whole"), 0)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


POINTS = int(os.environ.get("FLEXLON_CRASH_POINTS", "24"))


@pytest.mark.parametrize("point", range(POINTS))
async def test_a_kill_at_any_line_is_recovered(tmp_path: Path, lines: int, point: int) -> None:
    kill_at = 1 + point * (lines - 1) // max(1, POINTS - 1)
    done = run_child(tmp_path, kill_at)
    assert done.returncode == -signal.SIGKILL, done.stderr
    module = load("crash_bench", CONFTEST)
    bench = make_bench(module, tmp_path)
    before = {line["id"] for line in effects(tmp_path)}
    for _ in range(3):
        await bench.cycle()
        bench.slurm.advance(30)
    intents = bench.store.all_intents()
    ids = [line.action.action_id for line in intents]
    assert before <= set(ids)
    assert len(ids) == len(set(ids))
    assert all(line.outcome is not None for line in intents)
    for view in bench.agent.jobs():
        assert not view.opted_out
        assert view.held_by_us
        assert bench.begin(view.job_id) > bench.slurm.now
    bench.store.close()
