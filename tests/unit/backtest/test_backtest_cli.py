from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flexlond.backtest.parts import read_parts
from flexlond.cli.flexlond import app
from tests.unit.backtest.studykit import MONDAY, write_signals, write_trace

PEERS = ["--policy", "greenest", "--policy", "coast:alpha=16", "--policy", "wait-awhile"]


def words(folder: Path) -> list[str]:
    site = ["--nodes", "2", "--cpus-per-node", "16"]
    trace, signals = write_trace(folder), write_signals(folder)
    return ["backtest", "--trace", str(trace), "--signals", str(signals), *site, *PEERS, "-j", "1"]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as stream:
        found = list(csv.DictReader(stream))
    # How long planning took is the one figure that the clock decides.
    return [{k: v for k, v in row.items() if not k.startswith("plan_")} for row in found]


def test_a_study_shows_policies_side_by_side_and_writes_its_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, [*words(tmp_path), "--seed", "1", "--seed", "2", "--out", str(out)]
    )
    assert result.exit_code == 0, result.stderr
    assert "perfect foresight" in result.stdout
    for name in ("asap", "greenest", "coast:alpha=16", "wait-awhile"):
        assert name in result.stdout
    assert sorted(path.name for path in out.iterdir()) == [
        "parts",
        "report.html",
        "results.csv",
        "results.json",
    ]
    assert [(row["policy"], row["seed"]) for row in rows(out)] == [
        (name, seed) for name in ("asap", "greenest", "coast", "wait-awhile") for seed in "12"
    ]
    assert "8/8" in result.stderr
    cost = {row["policy"]: float(row["cost_gbp"]) for row in rows(out)}
    assert cost["greenest"] < cost["asap"]  # the made price and carbon fall together
    assert len(read_parts(out)[1]) == 8


def test_json_is_the_document_alone(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*words(tmp_path), "--json"])
    data = json.loads(result.stdout)
    assert [one["task"]["policy"] for one in data["outcomes"]] == [
        "asap",
        "greenest",
        "coast",
        "wait-awhile",
    ]
    assert data["facts"]["foresight"] is True
    assert len(data["inputs"][0]["sha256"]) == 64


def test_shares_gathered_are_the_study(tmp_path: Path) -> None:
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    study = [*words(tmp_path), "--seed", "1", "--seed", "2"]
    runner = CliRunner()
    assert runner.invoke(app, [*study, "--out", str(whole)]).exit_code == 0
    for index in (3, 1, 2):
        part = runner.invoke(app, [*study, "--out", str(shared), "--only", f"{index}/3"])
        assert part.exit_code == 0, part.stderr
        assert "--gather" in part.stderr
        assert not (shared / "results.csv").exists()
    gathered = runner.invoke(app, ["backtest", "--gather", str(shared)])
    assert gathered.exit_code == 0, gathered.stderr
    assert rows(shared) == rows(whole)


def test_gather_says_what_is_missing_and_shows_the_rest(tmp_path: Path) -> None:
    study = [*words(tmp_path), "--out", str(tmp_path), "--only", "1/2"]
    runner = CliRunner()
    assert runner.invoke(app, study).exit_code == 0
    gathered = runner.invoke(app, ["backtest", "--gather", str(tmp_path)])
    assert gathered.exit_code == 1
    assert "no part for greenest, seed 1" in gathered.stderr
    assert [row["policy"] for row in rows(tmp_path)] == ["asap", "coast"]


def test_the_trace_moves_by_whole_weeks_into_the_signals(tmp_path: Path) -> None:
    study = words(tmp_path)
    trace = Path(study[2])
    trace.write_text(trace.read_text().replace("2026-01-0", "2025-12-0"))
    apart = CliRunner().invoke(app, study)
    assert apart.exit_code == 1
    assert "nothing in common; move the jobs with --shift-to 2026-01-05" in apart.stderr
    moved = CliRunner().invoke(app, [*study, "--shift-to", "2026-01-05", "--json"])
    assert moved.exit_code == 0, moved.stderr
    assert json.loads(moved.stdout)["facts"]["begin"] >= "2026-01-05"


def test_the_days_that_ship_are_signals_by_name(tmp_path: Path) -> None:
    trace = tmp_path / "jobs.csv"
    trace.write_text("submit,runtime,limit,cpus\n2026-01-22T17:00,3600,7200,4\n")
    result = CliRunner().invoke(
        app,
        ["backtest", "--trace", str(trace), "--signals", "gb-day-typical", *PEERS, "--json"],
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["facts"]["signals"] == "gb-day-typical"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--policy", "greenst"], "there is no policy 'greenst'; did you mean greenest?"),
        (["--policy", "coast:alpa=3"], "policy coast has no parameter 'alpa'; did you mean alpha?"),
        (["--policy", "coast:alpha=much"], "write alpha=VALUE"),
        (["--policy", "asap:x=1"], "policy asap has no parameter 'x'; it has none"),
        (["--slack", "2,24"], "write least,most with units, as in 2h,24h"),
        (["--slack", "24h,2h"], "the smaller first"),
        (["--share", "1.5"], "give a number from 0 to 1"),
        (["--from", "tomorrow"], "write a day or moment, as in 2026-01-31"),
        (["--from", "2026-01-06", "--to", "2026-01-05"], "--from is not before --to"),
        (["--from", "2026-02-01"], "no job submitted from 2026-02-01"),
        (["--only", "0/3", "--out", "x"], "write i/N with i from 1 to N"),
        (["--only", "1/3"], "say where with --out"),
        (["--slot-seconds", "1000"], "a whole part of a day"),
        (["--partition", "batch"], "write NAME=NODES"),
        (["--gather", "x"], "leave --trace and --only out"),
        (["--zone", "Mars/Base"], "Mars/Base"),
        (["--signals", "missing.csv"], "missing.csv"),
        (["--trace", "missing.swf"], "missing.swf"),
    ],
)
def test_a_wrong_option_is_named_with_its_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*words(tmp_path), *more])
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""
    assert all(line.startswith("flexlond: ") for line in result.stderr.splitlines())


def test_what_is_missing_is_asked_for() -> None:
    result = CliRunner().invoke(app, ["backtest"])
    assert result.exit_code == 1
    assert "--signals is missing" in result.stderr


def test_a_bad_line_is_named_and_costs_no_other(tmp_path: Path) -> None:
    study = words(tmp_path)
    trace = Path(study[2])
    lines = trace.read_text().splitlines()
    lines[3] = "yesterday,60,60,4,alice,fold"
    trace.write_text("\n".join(lines) + "\n")
    result = CliRunner().invoke(app, [*study, "--json"])
    assert result.exit_code == 0
    assert "jobs.csv:4: " in result.stderr
    facts = json.loads(result.stdout)["facts"]
    assert facts["jobs"] == 39
    assert any("jobs.csv:4: " in problem for problem in facts["problems"])


def test_an_output_folder_that_cannot_be_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, [*words(tmp_path), "--out", str(tmp_path / "file" / "out")])
    assert result.exit_code == 1
    assert "check the path" in result.stderr
    assert "1/4" not in result.stderr


@pytest.mark.parametrize(
    ("number", "jobs"), [(signal.SIGINT, "1"), (signal.SIGINT, "2"), (signal.SIGTERM, "2")]
)
def test_an_interrupt_leaves_what_has_finished(
    tmp_path: Path, number: signal.Signals, jobs: str
) -> None:
    out = tmp_path / "out"
    study = words(tmp_path)
    study[-1] = jobs
    seeds = [word for seed in range(2000) for word in ("--seed", str(seed))]
    with subprocess.Popen(
        [sys.executable, "-m", "flexlond.cli.flexlond", *study, *seeds, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as process:
        until = time.monotonic() + 60
        while len(list(out.glob("parts/*.npz"))) < 5 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "runs are missing; what had finished is kept" in stderr
    assert "Traceback" not in stderr
    kept = read_parts(out)[1]
    assert 5 <= len(kept) < 8000
    assert len(rows(out)) == len(kept)
    assert "asap" in stdout


def test_the_study_kit_begins_on_a_monday() -> None:
    assert time.gmtime(MONDAY).tm_wday == 0
