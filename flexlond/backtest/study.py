"""A study: which trace, signals, policies and seeds; what each run needs; one run.

Law: everything a run depends on is in the study's options and the files that they name, whose hashes are
kept; nothing is taken from the clock, the machine or the order of the runs. The policy `asap` is always there,
because the others are compared with it. The period is chosen in the trace's own time and then shifted by
whole weeks. Epoch seconds (UTC), seconds, kW, GBP per tonne.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexlond import __version__
from flexlond.backtest import roster
from flexlond.backtest.case import PowerCoefficients
from flexlond.backtest.engine import replay
from flexlond.backtest.flexible import ONE_DAY, TWO_HOURS, flexibility
from flexlond.backtest.metrics import node_count
from flexlond.backtest.parts import Identity, Input, Task
from flexlond.backtest.signal_files import load_signals
from flexlond.backtest.trace import Site, load_trace, shift_trace, window
from flexlond.signals.rows import format_utc

if TYPE_CHECKING:
    from flexlond.backtest.case import Flexibility, Run, Trace
    from flexlond.backtest.past_signals import PastSignals

BASELINE = "asap"
FOREVER = 4_102_444_800  # 2100-01-01, after every submission


class StudyError(ValueError):
    """Options that cannot be a study; the text says which, and what to write."""


@dataclass(frozen=True, slots=True)
class Study:
    """The options of a study."""

    trace: str
    signals: tuple[str, ...]
    policies: tuple[tuple[str, str], ...]  # (name, parameter)
    seeds: tuple[int, ...] = (1,)
    share: float = 0.6  # of the node-hours that may wait
    slack: tuple[float, float] = (TWO_HOURS, ONE_DAY)  # s
    begin: int | None = None  # of the period, in the trace's own time
    end: int | None = None
    shift_to: int | None = None
    site: Site = field(default_factory=Site)
    kw_per_node: float = PowerCoefficients().kw_per_node
    idle_kw_per_node: float = PowerCoefficients().idle_kw_per_node
    carbon_price: float = 60.0
    slot_seconds: int = 1800

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Every run, policy by policy, asap first where it was not named."""
        policies = dict.fromkeys(self.policies)
        if (BASELINE, "") not in policies:
            policies = {(BASELINE, ""): None} | policies
        seeds = dict.fromkeys(self.seeds)
        return tuple(Task(name, parameter, seed) for name, parameter in policies for seed in seeds)

    @property
    def power(self) -> PowerCoefficients:
        """What nodes draw."""
        return PowerCoefficients(self.kw_per_node, self.idle_kw_per_node)

    def as_options(self) -> dict[str, Any]:
        """Plain data, also for JSON."""
        return asdict(self)

    @classmethod
    def of_options(cls, options: dict[str, Any]) -> Study:
        """The study that `as_options` wrote, also after JSON."""
        values = {one.name: _frozen(options[one.name]) for one in fields(cls)}
        site = {name: _frozen(value) for name, value in options["site"].items()}
        return cls(**(values | {"site": Site(**site)}))


@dataclass(frozen=True, slots=True)
class Case:
    """A study with its files read: what every run starts from. Goes to other processes as a whole."""

    study: Study
    identity: Identity
    trace: Trace
    signals: PastSignals
    nodes: float  # node equivalents of the cluster
    problems: tuple[str, ...]

    def flexibility(self, seed: int) -> Flexibility:
        """Which jobs may wait under `seed`."""
        return flexibility(self.trace, share=self.study.share, slack=self.study.slack, seed=seed)


def load(study: Study) -> Case:
    """Read what the study names.

    Raises StudyError, and TraceError, SignalError or OSError of a file; each names the file.
    """
    _check(study)
    trace = load_trace(study.trace, site=study.site)
    if study.begin is not None or study.end is not None:
        trace = window(trace, study.begin or 0, FOREVER if study.end is None else study.end)
    if study.shift_to is not None:
        trace = shift_trace(trace, study.shift_to)
    signals = load_signals(study.signals)
    if signals.price is None or signals.carbon is None:
        lacking = "price" if signals.price is None else "carbon"
        raise StudyError(f"{study.signals[0]}: no {lacking}; a backtest needs price and carbon")
    inputs = tuple(Input.of(path) for path in _files(study))
    identity = Identity(__version__, study.as_options(), inputs)
    problems = (*trace.problems, *signals.problems, *_covered(trace, signals))
    named = study.site.nodes or sum(count for _, count in study.site.partitions)
    try:
        case = Case(study, identity, trace, signals, named or node_count(trace), problems)
        case.flexibility(study.seeds[0])  # a bad share or slack is refused now, not by every run
    except ValueError as error:
        raise StudyError(str(error)) from error
    return case


def load_again(identity: Identity) -> Case:
    """The case that runs were made with, from the files as they are now.

    Raises StudyError where a file has changed, or the program; and as `load` does.
    """
    case = load(Study.of_options(identity.options))
    if case.identity.key != identity.key:
        pairs = zip(case.identity.inputs, identity.inputs, strict=False)
        changed = [now.path for now, before in pairs if now.sha256 != before.sha256]
        what = ", ".join(changed) or f"flexlond {__version__} (they: {identity.version})"
        raise StudyError(
            f"{what} is not what the runs were made with: bring it back, or run them again"
        )
    return case


def work(case: Case, task: Task) -> Run:
    """One run; the same for the same case and task, wherever it runs."""
    setting = roster.Setting(case.signals, case.study.power, case.study.carbon_price)
    run = replay(
        case.trace,
        case.flexibility(task.seed),
        roster.make(task.policy, task.parameter, setting),
        slot_seconds=case.study.slot_seconds,
        seed=task.seed,
    )
    return replace(run, policy=task.policy, parameter=task.parameter)


def _covered(trace: Trace, signals: PastSignals) -> tuple[str, ...]:
    """A remark where the signals do not reach; StudyError where they miss the trace altogether."""
    first, last = int(trace.submit[0]), int(trace.submit[-1])
    begin, end = signals.span
    has = f"signals from {format_utc(begin)} to {format_utc(end)}"
    jobs = f"jobs submitted from {format_utc(first)} to {format_utc(last)}"
    if last < begin or first >= end:
        raise StudyError(
            f"{trace.name} has {jobs}, {signals.name} has {has}: nothing in common; move the jobs "
            f"with --shift-to {format_utc(begin)[:10]}"
        )
    if first < begin or last >= end:
        text = "outside nothing is planned, and such jobs count for no money and no CO2"
        return (f"{signals.name}: {has}, but {jobs}: {text}",)
    return ()


def _files(study: Study) -> list[Path]:
    """Every file the study reads, those that a TOML file names included."""
    paths = [Path(study.trace), *map(Path, study.signals)]
    for path in map(Path, study.signals):
        if path.suffix == ".toml":
            tables = tomllib.loads(path.read_text("utf-8"))
            named = [
                table[key]
                for table in tables.values()
                for key in ("path", "actual_path")
                if isinstance(table, dict) and table.get(key)
            ]
            paths += [path.parent / name for name in named]
    return list(dict.fromkeys(paths))


def _frozen(value: Any) -> Any:
    """Lists of JSON as the tuples that they were."""
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def _check(study: Study) -> None:
    """Refuse numbers that cannot be. Raises StudyError."""
    rules = [
        (bool(study.policies), "give at least one --policy"),
        (bool(study.seeds), "give at least one --seed"),
        (min(study.seeds, default=0) >= 0, "--seed is a whole number from 0"),
        ((study.begin or 0) < (study.end or FOREVER), "--from is not before --to"),
        (study.kw_per_node > 0 and study.idle_kw_per_node >= 0, "power per node is from 0 kW"),
        (study.carbon_price >= 0, "--carbon-price is GBP per tonne, from 0"),
        (
            study.slot_seconds >= 60 and 86400 % study.slot_seconds == 0,
            "--slot-seconds is a whole part of a day, from 60",
        ),
    ]
    for good, text in rules:
        if not good:
            raise StudyError(text)
