"""flexlond backtest: policies side by side on a job trace of the past.

Law: reads options, shows progress and writes files; computes nothing. Touches no cluster and no daemon. Exit
codes: 0 done; 1 something is wrong or missing, each reason on stderr, and what has finished is kept; 2 the
command line is wrong; 130 interrupted, with what had finished. Progress goes to stderr, the table or, with
--json, the document to stdout.
"""

# ruff: noqa: FBT002 -- typer makes options of parameters
# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.backtest.parts import Task
    from flexlond.backtest.results import Results
    from flexlond.backtest.runner import Gathered
    from flexlond.backtest.study import Study

INTERRUPTED = 130


def backtest(  # noqa: PLR0917 -- typer gives all by name
    trace: Annotated[
        Path | None,
        typer.Option(help="Jobs of the past: SWF, sacct --parsable2 or CSV; also .gz."),
    ] = None,
    signals: Annotated[
        list[Path] | None,
        typer.Option(
            help="Price and carbon: one CSV or TOML file, or two CSV files (price, then carbon); or "
            "gb-day-typical, gb-day-windy, gb-day-tight: two GB days that ship."
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME or NAME:param=value; may be repeated. Without it: asap, greenest, coast, "
            "wait-awhile, flexlon, flexlon-perfect."
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Draws the flexible jobs; may be repeated. Without it: 1."),
    ] = None,
    share: Annotated[float, typer.Option(help="Part of the node-hours that may wait.")] = 0.6,
    slack: Annotated[
        str, typer.Option(help="How long they may wait: least,most (s, m, h, d).")
    ] = "2h,24h",
    begin: Annotated[
        str, typer.Option("--from", help="Only jobs submitted from this day (UTC, trace's time).")
    ] = "",
    end: Annotated[str, typer.Option("--to", help="Only jobs submitted before this day.")] = "",
    shift_to: Annotated[
        str,
        typer.Option(help="Move the jobs by whole weeks into the week from this day on."),
    ] = "",
    nodes: Annotated[int, typer.Option(help="Nodes of the cluster; 0: from the trace.")] = 0,
    cpus_per_node: Annotated[float, typer.Option(help="0: not known.")] = 0.0,
    gpus_per_node: Annotated[float, typer.Option(help="0: GPUs do not count.")] = 0.0,
    memory_per_node: Annotated[float, typer.Option(help="MiB; 0: memory does not count.")] = 0.0,
    partition: Annotated[
        list[str] | None,
        typer.Option(help="NAME=NODES, a pool of its own; may be repeated. Without it: one pool."),
    ] = None,
    zone: Annotated[
        str, typer.Option(help="Time zone of moments in the trace without an offset.")
    ] = "UTC",
    kw_per_node: Annotated[
        float, typer.Option(help="kW that a busy node adds, cooling included.")
    ] = 0.3,
    idle_kw_per_node: Annotated[float, typer.Option(help="kW of a node that is on.")] = 0.15,
    carbon_price: Annotated[float, typer.Option(help="GBP per tonne CO2 in our plans.")] = 60.0,
    slot_seconds: Annotated[int, typer.Option(help="Length of a slot.")] = 1800,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", help="Processes; 0: as many as there are processors.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for results.csv, results.json, report.html and parts/."),
    ] = None,
    only: Annotated[
        str, typer.Option(help="i/N: run only the i-th of N shares; needs --out, then --gather.")
    ] = "",
    gather: Annotated[
        Path | None,
        typer.Option(help="Combine the partial results in this folder; runs nothing."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print results.json instead of the table.")
    ] = False,
) -> None:
    """Replay a job trace under several policies: cost, carbon, waits, side by side."""
    from flexlond.backtest.parts import ResultsError
    from flexlond.backtest.roster import PolicyError
    from flexlond.backtest.study import Study, StudyError
    from flexlond.backtest.table import InputError
    from flexlond.cli import backtest_words as words
    from flexlond.cli.backtest_progress import say
    from flexlond.signals.rows import SignalError

    how = _How(jobs, out, only, as_json=as_json)
    try:
        if gather is not None:
            if trace or only:
                _refuse("--gather takes the study from its parts: leave --trace and --only out")
            raise typer.Exit(_combine(gather, out or gather, how))
        feeds = words.needed(signals or None, "--signals", "price and carbon")
        study = Study(
            trace=str(words.needed(trace, "--trace", "jobs of the past").resolve()),
            signals=words.signals(feeds),
            policies=words.policies(policy or []),
            seeds=tuple(seed or [1]),
            share=share,
            slack=words.slack(slack),
            begin=words.day("--from", begin),
            end=words.day("--to", end),
            shift_to=words.day("--shift-to", shift_to),
            site=words.site(
                nodes, (cpus_per_node, gpus_per_node, memory_per_node), partition, zone
            ),
            kw_per_node=kw_per_node,
            idle_kw_per_node=idle_kw_per_node,
            carbon_price=carbon_price,
            slot_seconds=slot_seconds,
        )
        raise typer.Exit(_run(study, how))
    except (
        words.UsageError,
        StudyError,
        PolicyError,
        ResultsError,
        InputError,
        SignalError,
    ) as error:
        say(str(error))
    except OSError as error:
        where = error.filename or "a file"
        say(f"{where}: {error.strerror or error}; check the path, its rights and the room on disk")
    raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _How:
    """How a study is run, which changes nothing in its results."""

    jobs: int
    out: Path | None
    only: str
    as_json: bool


def _refuse(text: str) -> None:
    from flexlond.cli.backtest_words import UsageError

    raise UsageError(text)


def _run(study: Study, how: _How) -> int:
    """Run a study or a share of it; the exit code."""
    from flexlond.backtest.runner import processors, run, share_of
    from flexlond.backtest.study import load, work
    from flexlond.backtest.tally import tally
    from flexlond.cli import backtest_words as words
    from flexlond.cli.backtest_progress import Progress, say

    tasks: Sequence[Task] = study.tasks
    if how.only:
        if how.out is None:
            _refuse("--only writes partial results: say where with --out")
        tasks = share_of(tasks, *words.share(how.only))
    if how.out is not None:
        how.out.mkdir(parents=True, exist_ok=True)
    case = load(study)
    for problem in case.problems:
        say(f"note: {problem}")
    with Progress(len(tasks), case.identity, how.out) as progress:
        gathered = run(case, tasks, work, processes=how.jobs or processors(), tell=progress.tell)
    code = _reasons(gathered)
    if how.only:
        say(
            f"{len(gathered.runs)} of {len(tasks)} runs of share {how.only} are in {how.out}/parts; "
            f"when all are there: flexlond backtest --gather {how.out}"
        )
        return code
    if gathered.runs:
        _present(tally(case, gathered.runs, gathered.missing, gathered.failed), how.out, how)
    return code


def _combine(folder: Path, out: Path, how: _How) -> int:
    """Gather the parts of a folder; the exit code."""
    from flexlond.backtest.parts import read_parts
    from flexlond.backtest.study import load_again
    from flexlond.backtest.tally import tally
    from flexlond.cli.backtest_progress import say

    identity, runs = read_parts(folder)
    case = load_again(identity)
    missing = [task for task in case.study.tasks if task not in runs]
    out.mkdir(parents=True, exist_ok=True)
    _present(tally(case, runs, missing), out, how)
    for task in missing:
        say(f"no part for {task.name}, seed {task.seed}: run its share again, then gather again")
    return 1 if missing else 0


def _present(results: Results, out: Path | None, how: _How) -> None:
    """The files, and the table or the document."""
    from flexlond.backtest import html, report
    from flexlond.backtest.results import write_text
    from flexlond.cli.backtest_progress import say
    from flexlond.cli.render import console

    if out is not None:
        write_text(out / "results.csv", results.as_csv())
        write_text(out / "results.json", results.as_json())
        write_text(out / "report.html", html.page(results))
    if how.as_json:
        sys.stdout.write(results.as_json())
    else:
        report.show(console(), results)
    sys.stdout.flush()  # before what is said of it
    if out is not None:
        say(f"{out}: results.csv, results.json, report.html")


def _reasons(gathered: Gathered) -> int:
    """Say what did not run; the exit code."""
    from flexlond.cli.backtest_progress import say

    for task, why in gathered.failed:
        say(f"{task.name}, seed {task.seed}, failed: {why}")
    if gathered.interrupted:
        say(f"interrupted: {len(gathered.missing)} runs are missing; what had finished is kept")
        return INTERRUPTED
    return 1 if gathered.failed else 0
