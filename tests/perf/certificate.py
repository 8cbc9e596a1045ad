"""How near the best a plan is, and for certain: bar by bar, beside HiGHS alone on the full model.

Run in the project's directory: python -m tests.perf.certificate [--quick] [--only CASE]

Per case: what was asked (gap in seconds) and what came out, all times from before the first price. The gap
is proven: (objective - bound) / bound. HiGHS gets the whole model, cold, in a child with 6 GB of address space
and 60 s; `--quick` leaves it out. Then 200 exact optima against the bound, 10,000 spoilt plans for the check.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import numpy as np

from flexlond.planning.check import check, check_instance
from flexlond.planning.instance import Instance
from flexlond.planning.planner import plan
from flexlond.planning.solve import Budget, solve
from tests.unit.planning.conftest import build
from tests.unit.planning.corruptions import corrupted
from tests.unit.planning.test_bound import BUDGET, NEAR, choices, exact, random_instance
from tests.unit.planning.test_planner_properties import random_problem, random_settings

KW = 0.35  # of a node
HIGHS_SECONDS, HIGHS_BYTES = 60.0, 6 << 30
CHILD_SECONDS = 180
RUNNABLE = 20_000  # jobs above which the full model is not given to HiGHS


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a question and its bars, (seconds, gap); a gap of inf asks for a placement that fits only."""

    jobs: int
    slots: int
    load: float
    bars: tuple[tuple[float, float], ...]
    passes: int = 8
    blocks: int = 100
    lognormal: bool = False

    @property
    def name(self) -> str:
        """As given to `--only`: "1000x96.75"."""
        return f"{self.jobs}x{self.slots}{f'{self.load:.2f}'[1:]}"


CASES = (
    Case(1_000, 96, 0.75, ((2, 0.010), (20, 0.003))),
    Case(1_000, 336, 0.75, ((3, 0.012),)),
    Case(10_000, 96, 0.75, ((8, 0.015),), blocks=200),
    Case(1_000, 96, 0.50, ((2, 0.003),)),
    Case(1_000, 336, 0.50, ((3, 0.003),)),
    Case(10_000, 96, 0.50, ((8, 0.003),), blocks=200),
    Case(100_000, 336, 0.80, ((5, 0.010),), passes=6, blocks=200, lognormal=True),
    Case(1_000_000, 336, 0.80, ((60, np.inf),), passes=6, blocks=200, lognormal=True),
)


def instance_of(case: Case, seed: int = 1) -> Instance:
    """One constraint of nodes; durations of half-hours, 1 to 64 nodes, half the jobs queued at the start."""
    rng = np.random.default_rng(seed)
    jobs, slots = case.jobs, case.slots
    duration = rng.choice([1, 2, 4, 8, 12, 16, 24], jobs)
    if case.lognormal:
        duration = np.clip(np.round(np.exp(rng.normal(1.2, 1.1, jobs))), 1, 48).astype(np.int64)
    nodes = rng.integers(1, 65, jobs)
    arrival = np.where(rng.random(jobs) < 0.5, 0, rng.integers(0, max(1, slots // 2), jobs))
    arrival = np.minimum(arrival, slots - duration)
    slack = np.floor(rng.random(jobs) * (slots - duration - arrival + 1)).astype(np.int64)
    room = float((duration * nodes).sum() / (slots * case.load))
    hour = np.arange(slots) / 2
    day, front = np.sin(hour / 24 * 2 * np.pi + 0.5), np.sin(hour / 60 * 2 * np.pi)
    carbon = np.clip(213 + 65 * day + 30 * front + rng.normal(0, 12, slots), 40, None)
    peak = 12 * np.sin(hour / 12 * 2 * np.pi)
    price = np.clip(20 + 0.35 * carbon + peak + rng.normal(0, 6, slots), 0, None)
    total = np.concatenate([[0.0], np.cumsum(price + 50 * carbon / 1000)])
    widths, cls = np.unique(duration, return_inverse=True)
    rate = np.full((len(widths), slots), np.inf)
    for k, width in enumerate(widths.tolist()):
        rate[k, : slots - width + 1] = (total[width:] - total[: slots + 1 - width]) * 0.5 / 1000
    dearest = np.where(np.isfinite(rate), rate, 0.0).max(axis=1)
    free = np.vstack([np.full(slots, room), np.full(slots, np.inf)])
    return Instance(
        free=free,
        total=free.max(axis=1),
        rate=rate,
        co2=np.zeros(rate.shape),
        width=widths.astype(np.int64),
        index=np.zeros((len(widths), 1), np.int64),
        need=np.full((len(widths), 1), 1 / KW),
        cls=cls.ravel(),
        scale=KW * nodes.astype(np.float64),
        first=arrival.astype(np.int64),
        last=arrival + slack,
        beyond=3 * dearest[cls.ravel()] * KW * nodes,
        special=np.full((jobs, 2), -1, np.int64),
        special_cost=np.zeros((jobs, 2)),
        extra=np.zeros(jobs, np.int64),
    )


def sha256(instance: Instance) -> str:
    """The first 16 digits over all that makes the question."""
    digest = hashlib.sha256()
    for values in (instance.free, instance.rate, instance.width, instance.cls, instance.scale):
        digest.update(np.ascontiguousarray(values).tobytes())
    for values in (instance.first, instance.last, instance.beyond):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def size_of(instance: Instance) -> tuple[int, int]:
    """(variables, non-zeros) of the full model."""
    starts = np.maximum(instance.last - instance.first + 1, 0)
    variables = int(starts.sum()) + instance.jobs
    return variables, int((starts * instance.width[instance.cls]).sum()) + variables


def ours(case: Case) -> None:
    """Print a line per bar."""
    instance = instance_of(case)
    for seconds, bar in case.bars:
        budget = Budget(
            dual_steps=300,
            passes=case.passes,
            blocks=case.blocks,
            search_steps=10**9,
            steps_per_job=10**9,
            seconds=seconds,
            enough=0.0,
            clock=time.perf_counter,
        )
        if not np.isfinite(bar):
            # Feasible and a bound is all that is asked: no search in the rest of the time.
            budget = Budget(
                dual_steps=300,
                passes=case.passes,
                blocks=case.blocks,
                search_steps=0,
                seconds=seconds,
                clock=time.perf_counter,
            )
        began = time.perf_counter()
        found = solve(instance, budget)
        spent = time.perf_counter() - began
        gap = found.objective / found.bound - 1
        wrong = check_instance(instance, found.slot)
        kept = not wrong and gap <= bar and spent <= 1.05 * seconds
        asked = f"{bar:.1%}" if np.isfinite(bar) else "fits"
        stages = " ".join(f"{one.name} {one.seconds:.1f}" for one in found.stages)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
        print(
            f"{case.name:>14} | {asked:>5} in {seconds:3.0f} s | {gap:7.3%} in {spent:5.1f} s "
            f"{'KEPT' if kept else 'MISSED'} | objective {found.objective:.4f} bound {found.bound:.4f} | "
            f"nowhere {int((found.slot < 0).sum())} | {wrong or 'fits'} | {stages} | {peak:.2f} GB",
            flush=True,
        )


def highs_alone(case: Case) -> None:
    """Print what HiGHS makes of the full model, cold; runs in a child of its own."""
    import highspy  # noqa: PLC0415 - only where it is asked for

    resource.setrlimit(resource.RLIMIT_AS, (HIGHS_BYTES, HIGHS_BYTES))
    began = time.perf_counter()
    highs = exact(highspy, instance_of(case), HIGHS_SECONDS)
    info, spent = highs.getInfo(), time.perf_counter() - began
    status = highs.modelStatusToString(highs.getModelStatus())
    print(
        f"{case.name:>14} | HiGHS {spent:.0f} s: {status}, objective {info.objective_function_value:.4f}, "
        f"bound {info.mip_dual_bound:.4f}, gap {info.mip_gap:.3%}",
        flush=True,
    )


def child(*arguments: str) -> None:
    """This script again in a process of its own; says so when it dies or does not end."""
    command = [sys.executable, "-m", "tests.perf.certificate", *arguments]
    try:
        code = subprocess.run(command, check=False, timeout=CHILD_SECONDS).returncode
    except subprocess.TimeoutExpired:
        print(f"{arguments[-1]:>14} | {arguments[0]} stopped after {CHILD_SECONDS} s", flush=True)
    else:
        if code:
            print(f"{arguments[-1]:>14} | {arguments[0]} ended with {code}", flush=True)


def bounds(count: int = 200) -> None:
    """Exact optima of small questions against bound and objective.

    Where the plan is over the carbon cap: whether all that have a place in it could have one under the cap.
    """
    import highspy  # noqa: PLC0415 - only where it is asked for

    below = above = over_cap = avoidable = 0
    for seed in range(1000, 1000 + count):
        instance = random_instance(seed)
        found = solve(instance, BUDGET)
        optimum = float(exact(highspy, instance).getInfo().objective_function_value)
        slack = NEAR * (1 + abs(optimum))
        below += found.bound > optimum + slack
        if check_instance(instance, found.slot):
            over_cap += 1
            dear = replace(instance, beyond=1e3 * instance.beyond)  # as few as can be are left out
            _, slot = choices(dear)
            chosen = np.array(exact(highspy, dear).getSolution().col_value) > 0.5
            avoidable += int((slot[chosen] < 0).sum()) <= int((found.slot < 0).sum())
        else:
            above += found.objective < optimum - slack
    print(
        f"{count} exact optima: bound above the optimum {below}, objective below it {above}, "
        f"carbon cap not kept {over_cap}, could have been with no more jobs left out {avoidable}",
        flush=True,
    )


def spoilt(count: int = 10_000) -> None:
    """Spoilt plans against the check, by kind."""
    rng = np.random.default_rng(5)
    made: dict[str, int] = {}
    passed: dict[str, int] = {}
    seed = 0
    while sum(made.values()) < count:
        problem, chosen = random_problem(build, seed), random_settings(seed)
        good = plan(problem, chosen)
        for _ in range(50):
            kind, bad = corrupted(problem, good, rng)
            if bad is not None:
                made[kind] = made.get(kind, 0) + 1
                if not check(problem, chosen, bad):
                    passed[kind] = passed.get(kind, 0) + 1
        seed += 1
    print(f"{sum(made.values())} spoilt plans of {len(made)} kinds from {seed} problems: ", end="")
    print(f"{sum(made.values()) - sum(passed.values())} rejected; passed: {passed or 'none'}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="without HiGHS on the full models")
    parser.add_argument("--only", metavar="CASE", help=f"one of {', '.join(c.name for c in CASES)}")
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--highs", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    cases = [case for case in CASES if given.only in (None, case.name)]
    if not cases and given.only != "checks":
        parser.error(f"no case {given.only}: one of {', '.join(c.name for c in CASES)}, checks")
    for case in cases:
        if given.ours or given.highs:
            (ours if given.ours else highs_alone)(case)
            continue
        instance = instance_of(case)
        variables, nonzeros = size_of(instance)
        size = f"{variables:,} variables, {nonzeros:,} non-zeros"
        print(f"{case.name:>14} | {size} | sha256 {sha256(instance)}", flush=True)
        del instance
        child("--ours", "--only", case.name)
        if case.jobs > RUNNABLE:
            print(f"{case.name:>14} | HiGHS not run: {size}", flush=True)
        elif not given.quick:
            child("--highs", "--only", case.name)
    if given.only in (None, "checks"):
        bounds()
        spoilt()


if __name__ == "__main__":
    main()
