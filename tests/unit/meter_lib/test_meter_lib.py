"""The simulated meter: what it sees of a process table, and flexlond's driver on it over real sockets."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from meter_lib import node, site
from meter_lib.node import Busy

from flexlond.model.settings import MeterSettings
from flexlond.signals.meter import SiteMeter
from flexlond.signals.meter_prometheus import parse_vector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB = {"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "8", "CUDA_VISIBLE_DEVICES": "0,1"}


def process(proc: Path, pid: int, parent: int, name: str, state: str = "S", **environ: str) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{pid} ({name}) {state} {parent} 1 1 0 -1\n")
    (folder / "environ").write_bytes(b"\0".join(f"{k}={v}".encode() for k, v in environ.items()))


def test_a_job_counts_with_what_slurmd_gave_it(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    process(tmp_path, 1, 0, "slurmd")
    process(tmp_path, 10, 1, "slurmstepd")
    process(tmp_path, 11, 10, "slurmstepd", **JOB)  # a helper of its own
    process(tmp_path, 12, 10, "slurm_script", **JOB)
    process(tmp_path, 13, 12, "a ) b", "R", **JOB)
    assert node.busy(tmp_path) == Busy(jobs=1, cpus=8, gpus=2)


def test_steps_of_one_job_count_once(tmp_path: Path) -> None:
    for step in (10, 20):
        process(tmp_path, step, 1, "slurmstepd")
        process(tmp_path, step + 1, step, "task", **(JOB | {"SLURM_CPUS_ON_NODE": str(step // 5)}))
    assert node.busy(tmp_path) == Busy(jobs=1, cpus=4, gpus=2)


def test_a_stopped_job_draws_nothing_of_its_own(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, "slurmstepd")
    process(tmp_path, 12, 10, "slurm_script", "T", **JOB)
    process(tmp_path, 13, 12, "sleep", "T")
    assert node.busy(tmp_path) == Busy(jobs=0, cpus=0, gpus=0, stopped=1)


def test_a_step_that_has_ended_is_no_job(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, "slurmstepd")
    process(tmp_path, 12, 10, "slurm_script", "Z", **JOB)
    process(tmp_path, 20, 1, "slurmstepd")
    process(tmp_path, 22, 20, "no-job-of-slurm")
    assert node.busy(tmp_path) == Busy(jobs=0, cpus=0, gpus=0)


def test_power_is_of_what_runs_and_a_dead_node_draws_nothing() -> None:
    options = site.options_of(["--pue", "2", "--idle-watts", "100", "--cpu-watts", "10"])
    options.gpu_watts, options.other_watts = 300.0, 7.0
    assert site.watts([Busy(1, 8, 2), Busy(0, 0, 0), None], options) == 2 * (200 + 80 + 600) + 7


@contextmanager
def listening(cpus: int) -> Iterator[str]:
    """A node's sensor on a real socket; its HOST:PORT."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(node.exposition(Busy(1, cpus, 0)).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture
def served() -> Iterator[tuple[site.Meter, str]]:
    """The site's meter on a real socket, with two nodes of which one is dead."""
    with listening(cpus=10) as address, ThreadPoolExecutor(1) as pool:
        options = site.options_of(["--nodes", f"{address},127.0.0.1:1", "--noise", "0"])
        meter = site.Meter(options)
        meter.look(pool)
        server = site.server(meter, 0)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield meter, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


async def test_flexlonds_driver_reads_it(served: tuple[site.Meter, str]) -> None:
    meter, url = served
    assert meter.sample is not None
    at, watts = meter.sample
    settings = MeterSettings(
        source="prometheus", url=url, query=site.METRIC, unit="W", max_kw=10.0, max_age=60.0
    )
    reader = SiteMeter(settings)
    await reader.refresh(int(time.time()))
    found = reader.reading(int(at))
    assert found.good, found.detail
    assert found.at == int(at)
    assert found.kw == pytest.approx((131 + 10 * 7.4) * 1.23 / 1000 + 0.06, abs=1e-5)
    assert found.kw == pytest.approx(watts / 1000, abs=1e-5)
    await reader.close()


async def test_it_refuses_what_it_does_not_serve(served: tuple[site.Meter, str]) -> None:
    settings = MeterSettings(source="prometheus", url=served[1], query="up", max_kw=10.0)
    reader = SiteMeter(settings)
    await reader.refresh(int(time.time()))
    assert "only site_power_watts" in reader.reading(int(time.time())).detail
    await reader.close()


def test_an_old_sample_is_served_for_five_minutes_and_no_longer() -> None:
    def values(age: float) -> Any:
        return parse_vector(site.answer(site.METRIC, (1000.0, 5.0), 1000.0 + age))

    assert [value for _, value in values(299)] == [5.0]
    assert values(300) == []
