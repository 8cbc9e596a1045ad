"""On real traces a forecast beats the request and the last two runs, and P90 holds for about 9 in 10."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "perf" / "prediction.py"


@pytest.fixture(scope="module")
def replaying() -> Any:
    spec = importlib.util.spec_from_file_location("perf_prediction", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("trace", ["KTH-SP2-1996-2.2", "CEA-Curie-sample"])
def test_it_gains_on(trace: str, replaying: Any) -> None:
    path = replaying.JOBS / f"{trace}.swf.gz"
    if not path.exists():
        pytest.skip(f"needs {trace} of the Parallel Workloads Archive at ../shared/data/jobs")
    runs = replaying.read(path)[:12_000]
    guesses, _, model, *_ = replaying.replay(runs)
    took = np.array([run.seconds for run in runs])

    def accuracy(guessed: list[float]) -> float:
        values = np.array(guessed)
        return float((np.minimum(took, values) / np.maximum(took, values)).mean())

    ours = accuracy([guess.p50 for guess in guesses])
    assert ours > accuracy([guess.last_two for guess in guesses]) + 0.02
    assert ours > accuracy([run.limit for run in runs]) + 0.05
    within = np.mean(took <= np.array([guess.p90 for guess in guesses]))
    assert 0.86 <= within <= 0.94
    assert model.runs == len(runs)
