"""Cost per inference beside batch jobs; run: python -m tests.perf.inference [--latency MIN ...]

Requests of the Azure LLM inference trace (one recorded hour, tiled over days) become Slurm-size jobs: all
requests of ten minutes, in jobs of one GPU node, with the requests as their work and a latency of minutes. The
speed and power of a node are measured ones (ML.ENERGY, Llama-3.1-70B on four H100). Beside them run batch jobs
of KTH-SP2, of which 60 % of the node-hours may wait 2 to 24 hours. Prices are the German day-ahead prices as
they were published each noon, carbon as it was measured. The same jobs run as soon as possible and under
FlexLon; `--shared` puts both kinds on the same nodes. Data: ../shared/data (not part of the project). Printed:
cost and CO2 per inference, jobs past their latency, how many of those were in time as soon as possible; under a
carbon cap (`--cap`) the days above it (cap_days.py).
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.backtest.case import PowerCoefficients, Said, Trace
from flexlond.backtest.engine import replay
from flexlond.backtest.flexible import flexibility
from flexlond.backtest.metrics import Case, Metrics, compare, study_grid
from flexlond.backtest.peers import AsSoonAsPossible
from flexlond.backtest.signal_files import load_signals
from flexlond.backtest.trace import load_trace, shift_trace, window
from flexlond.model.settings import PlanningSettings
from flexlond.planning.pools import Room
from tests.perf.cap_days import Saying, by_day, print_days
from tests.perf.given_up import Doubted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.backtest.case import Run, Signals
    from flexlond.backtest.ours import Runtimes
    from flexlond.backtest.policy import Policy

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
REQUESTS = DATA / "jobs" / "AzureLLMInferenceTrace_conv.csv.gz"
BATCH = DATA / "jobs" / "KTH-SP2-1996-2.2.swf.gz"
PRICES = DATA / "zones" / "de_2021H2_hourly.csv.gz"

DAY, BUCKET = 86400, 600
SERVICES = 8  # such streams of requests at once
JOBS_PER_BUCKET = 4
TOKENS_PER_SECOND, NODE_KW = 2510.5, 2.0015  # Llama-3.1-70B, 4 H100, 64 sequences at a time
LOAD_SECONDS = 60.0  # until the model is loaded
LIMIT = 1200.0
PUE = 1.2
BATCH_KW = 0.3
INFERENCE_NODES, BATCH_NODES = 8, 100
BEGIN = int(datetime(2021, 10, 4, tzinfo=UTC).timestamp())
SIGNALS = """[signals]
name = "DE 2021"
[price]
path = "{path}"
column = "dayahead_usd_mwh"
kind = "day-ahead"
factor = 0.73
[carbon]
path = "{path}"
column = "gco2_kwh"
kind = "{carbon}"
"""


def requests() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) seconds from the first request on, (N,) tokens generated."""
    with gzip.open(REQUESTS, "rt") as lines:
        cells = [line.split(",") for line in lines.read().splitlines()[1:]]
    at = np.array([np.datetime64(cell[0][:23]) for cell in cells])
    seconds = (at - at[0]) / np.timedelta64(1, "s")
    return seconds.astype(np.float64), np.array([float(cell[2]) for cell in cells])


def inference(days: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Submission (s from the first day on), runtime (s) and requests of each job, in order."""
    seconds, tokens = requests()
    # The recorded hour is a little short of one: what it lacks is an hour's last seconds without a request.
    bucket = (seconds // BUCKET).astype(np.int64)
    count, load = np.bincount(bucket), np.bincount(bucket, tokens)
    submit, runtime, work = [], [], []
    for number in range(days * DAY // BUCKET):
        of = number % len(count)
        for _ in range(JOBS_PER_BUCKET):
            submit.append((number + 1) * BUCKET)
            share = SERVICES / JOBS_PER_BUCKET
            runtime.append(LOAD_SECONDS + share * load[of] / TOKENS_PER_SECOND)
            work.append(share * count[of])
    return np.array(submit), np.array(runtime), np.array(work)


def mixed(days: int, latency: float, *, shared: bool) -> Trace:
    """The jobs of both kinds; partitions of their own unless `shared`."""
    whole = load_trace(BATCH)
    first = int(whole.submit[0]) + 60 * DAY  # well after the log's beginning
    batch = window(whole, first, first + days * DAY)
    batch = shift_trace(batch, BEGIN)
    begin = int(batch.submit[0]) // DAY * DAY
    submit, runtime, work = inference(days)
    count, other = len(submit), batch.jobs
    order = np.argsort(np.concatenate([batch.submit, begin + submit]), kind="stable")

    def put(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        joined: NDArray[Any] = np.concatenate([old, new])[order]
        return joined

    nodes = np.array([[BATCH_NODES], [INFERENCE_NODES]], np.float64)
    room = Room(nodes, np.arange(2), nodes.copy(), ("batch", "inference"), ("cpus",))
    if shared:
        total = nodes.sum(axis=0, keepdims=True)
        room = Room(total, np.zeros(1, np.int64), total.copy(), ("all",), ("cpus",))
    none, blank = np.full(other, np.nan), np.full(other, "")
    return Trace(
        name=f"KTH-SP2 and Azure inference, {days} days",
        job_id=np.arange(count + other),
        submit=put(batch.submit, begin + submit),
        runtime=put(batch.runtime, runtime),
        limit=put(batch.limit, np.full(count, LIMIT)),
        demand=put(batch.demand, np.ones((count, 1))),
        pool=put(np.zeros(other, np.int64), np.full(count, 0 if shared else 1)),
        nodes=put(batch.nodes, np.full(count, PUE * NODE_KW / BATCH_KW)),
        user=put(batch.user.astype("U8"), np.full(count, "infer")),
        account=put(batch.account.astype("U8"), np.full(count, "infer")),
        label=put(batch.label.astype("U8"), np.full(count, "serve")),
        energy_kwh=np.full(count + other, np.nan),
        room=room,
        said=Said(
            put(none, work),
            put(blank.astype("U9"), np.full(count, "inference")),
            put(none, np.full(count, 60.0 * latency)),
        ),
    )


def signals(*, foresight: bool) -> Signals:
    """Day-ahead prices in GBP/MWh and carbon, measured or known in advance."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signals.toml"
        path.write_text(
            SIGNALS.format(path=PRICES, carbon="known" if foresight else "measured"), "utf-8"
        )
        return load_signals(str(path))


def past(trace: Trace, run: Run) -> NDArray[np.bool_]:
    """Which jobs started after the latency they say."""
    assert trace.said is not None
    return np.asarray(run.start - trace.submit > trace.said.latency)


def figures(one: Metrics) -> tuple[float, float]:
    """GBP and g for 1,000 inferences."""
    return 1e3 * one.units[0].gbp, 1e3 * one.units[0].co2_g


def both(
    trace: Trace, known: Signals, options: argparse.Namespace, times: float
) -> tuple[Case, list[Run], list[float], Saying, float]:
    """As soon as possible and FlexLon: case, runs, the seconds they took, FlexLon, the cap (kg; 0: none)."""
    wait, power = flexibility(trace, seed=1), PowerCoefficients(kw_per_node=BATCH_KW)
    nodes = float(BATCH_NODES + INFERENCE_NODES)
    runs: list[Run] = []
    took: list[float] = []

    def run(policy: Policy) -> None:
        began = time.perf_counter()
        runs.append(replay(trace, wait, policy, slot_seconds=options.slot))
        took.append(time.perf_counter() - began)

    run(AsSoonAsPossible())
    settings = PlanningSettings()
    runtimes: Runtimes = "learned"
    if times:
        first = study_grid(trace, runs, options.slot)
        usual = by_day(Case(trace, wait, known, power, first, nodes), runs[0])
        cap = times * float(usual[1 : options.days].mean())
        settings, runtimes = PlanningSettings(carbon_cap_kg_per_day=cap), "actual"
    horizon = 48 * 3600 // options.slot
    policy = Doubted if options.doubt else Saying
    ours = policy(known, power, runtimes=runtimes, settings=settings, horizon_slots=horizon)
    run(ours)
    case = Case(trace, wait, known, power, study_grid(trace, runs, options.slot), nodes)
    return case, runs, took, ours, settings.carbon_cap_kg_per_day


def main() -> None:
    """Run each latency under both policies and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--latency", type=float, nargs="+", default=[10.0, 20.0, 30.0, 60.0])
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--slot", type=int, default=1800, help="seconds")
    parser.add_argument(
        "--cap", type=float, nargs="+", default=[0.0], help="carbon caps of a day, of asap's mean"
    )
    parser.add_argument(
        "--search", type=int, default=0, help="replays to search each cap in hindsight with (2000)"
    )
    parser.add_argument(
        "--doubt", action="store_true", help="prove what plans say of caps that cannot be kept"
    )
    options = parser.parse_args()
    missing = [path for path in (REQUESTS, BATCH, PRICES) if not path.is_file()]
    if missing:
        sys.exit(f"not there: {', '.join(map(str, missing))}")
    known = signals(foresight=max(options.cap) > 0)
    where = "the same nodes" if options.shared else "partitions of their own"
    print(f"{options.days} days, {where}, slots of {options.slot} s; per 1,000 inferences")
    if max(options.cap) > 0:
        print(
            "carbon and runtimes known in advance, so that a cap that is planned for is a cap kept"
        )
    print(
        "latency  policy    GBP      change   gCO2   change    late  of them new  batch late   took"
    )
    for latency in options.latency:
        trace = mixed(options.days, latency, shared=options.shared)
        for times in options.cap:
            shown(trace, known, options, latency=latency, times=times)


def shown(
    trace: Trace, known: Signals, options: argparse.Namespace, *, latency: float, times: float
) -> None:
    """Run one latency and one cap under both policies and print their rows."""
    assert trace.said is not None
    serves = np.isfinite(trace.said.latency)
    case, runs, took, ours, cap = both(trace, known, options, times)
    rows = compare(case, runs)
    base = figures(rows[0].metrics)
    for run, row, seconds in zip(runs, rows, took, strict=True):
        gbp, co2 = figures(row.metrics)
        late = past(trace, run)
        new = late & ~past(trace, runs[0])
        batch = int(row.metrics.late) - int((late & serves).sum())
        print(
            f"{latency:4.0f} min {run.policy:9} {gbp:8.6f} {gbp / base[0] - 1:+8.2%} {co2:7.4f}"
            f" {co2 / base[1] - 1:+7.2%} {int(late.sum()):6} {int(new.sum()):12} {batch:11}"
            f" {seconds:6.0f} s  cost of all {row.cost_change:+.2%}"
        )
        if cap:
            days = by_day(case, run)
            over = days > cap * 1.0005
            print(
                f"         cap {cap:.1f} kg a day ({times:g}): {int(over.sum())} of {len(days)} days above it"
                f" {np.flatnonzero(over).tolist()}, by {np.round(100 * (days[over] / cap - 1), 1).tolist()} %,"
                f" {np.maximum(days - cap, 0.0).sum():.1f} kg together"
            )
    if cap:
        print_days(case, cap, runs, ours, replays=options.search)
    if isinstance(ours, Doubted):
        print(f"         {ours.verdicts.words()}")


if __name__ == "__main__":
    main()
