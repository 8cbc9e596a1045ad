"""flexlonctl settle and statement as programs, and the commands of the how-to page as they stand there."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flexlond.daemon.store import SqliteStore
from flexlond.model.metering import Modelled
from flexlond.model.settlement_period import SettlementPeriod
from flexlond.settlement.readings import Quality
from flexlond.settlement.store import SettlementStore

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "how-to" / "settle-a-month.md"
FENCE = re.compile(r"<!-- run: root -->\n```sh\n(.*?)```", re.DOTALL)
SHOWN = re.compile(r"```text\n(.*?)```", re.DOTALL)
PROGRAM = '#!/bin/sh\nexec {python} -c "from flexlond.cli.{name} import main; main()" "$@"\n'


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which our commands are this tree's."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("flexlond", "flexlonctl"):
        path = programs / name
        path.write_text(PROGRAM.format(python=sys.executable, name=name))
        path.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }


def ctl(shell: dict[str, str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = ["flexlonctl", words[0], *words[1:], "--config", "flexlon.toml", "--store", "s.db"]
    return subprocess.run(argv, cwd=folder, env=shell, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flexlon.toml").write_text('[settlement]\nbaseline = "nominated"\n')
    (tmp_path / "readings.csv").write_text(
        "point,settlement_date,settlement_period,kwh,quality\n"
        "m,2026-09-15,37,60,measured\nm,2026-09-15,38,60,estimated\n"
    )
    (tmp_path / "forecasts.csv").write_text(
        "point,settlement_date,settlement_period,kwh,fixed_at\n"
        "m,2026-09-15,37,100,2026-09-15T15:00:00Z\nm,2026-09-15,38,100,2026-09-15T16:30:01Z\n"
        "m,2026-09-15,38,90,2026-09-15T16:30:00Z\n"
    )
    order = {
        "id": "o1",
        "product": "deg",
        "points": ["m"],
        "confirmed_at": 1,
        "intervals": [
            {"start": f"2026-09-15T17:{m}:00Z", "offered_w": 60_000, "price": "200"}
            for m in ("00", "30")
        ],
    }
    (tmp_path / "orders.json").write_text(json.dumps(order))
    return tmp_path


def test_a_date_is_settled_and_what_is_incomplete_ends_with_1(
    shell: dict[str, str], folder: Path
) -> None:
    files = [
        "--readings",
        "readings.csv",
        "--forecasts",
        "forecasts.csv",
        "--orders",
        "orders.json",
    ]
    done = ctl(shell, folder, "settle", "2026-09-15", *files, "--csv", "out.csv")
    assert done.returncode == 1, done.stderr
    assert (
        "version 1 (new), 1 points, 2 order periods, 1 incomplete, 30.000 kWh claimed"
        in done.stdout
    )
    assert "SP 38 o1: m: the reading is estimated" in done.stdout
    assert "forecasts.csv: 3 new, 0 corrected, 0 as before" in done.stderr
    rows = list(csv.DictReader((folder / "out.csv").read_text("utf-8").splitlines()))
    assert [row["state"] for row in rows] == ["settled", "incomplete"]
    assert rows[0]["net"] == "6"  # 0.030 MWh at 200
    final = ctl(shell, folder, "settle", "2026-09-15", "--final", "--json")
    assert final.returncode == 0, final.stderr
    records = json.loads(final.stdout)
    assert [record["claimed_wh"] for record in records] == [30_000, 0]
    assert [record["nominated_wh"] for record in records] == [100_000, 90_000]


def test_a_bad_file_is_refused_whole_unless_lenient(shell: dict[str, str], folder: Path) -> None:
    (folder / "bad.csv").write_text(
        "point,utc,kwh\nm,2026-09-15T17:00:00Z,5\nm,2026-09-15 17:30,5\n"
    )
    done = ctl(shell, folder, "settle", "2026-09-15", "--readings", "bad.csv")
    assert done.returncode == 2
    assert "bad.csv, line 3: the time '2026-09-15 17:30' has no offset" in done.stderr
    assert "nothing of it was brought in" in done.stderr
    store = SettlementStore(folder / "s.db")
    assert store.points() == []
    store.close()
    done = ctl(shell, folder, "settle", "2026-09-15", "--readings", "bad.csv", "--lenient")
    assert done.returncode == 0
    assert "bad.csv: 1 new" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("settle", "15.9.2026"), 2, "is no date"),
        (("settle", "2026-09-15", "--to", "2026-09-14"), 2, "lies before DATE"),
        (("settle", "2026-09-15", "--orders", "absent.json"), 2, "is it the right file"),
        (("statement", "2026-13"), 2, "is no date"),
        (("statement", "2026-09", "--output", "no/such/x.html"), 2, "name a file in a folder"),
    ],
)
def test_what_cannot_be_used_is_said(
    shell: dict[str, str], folder: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    done = ctl(shell, folder, *words)
    assert done.returncode == code
    assert says in done.stderr.replace("\n", " ")


def test_meters_are_read_and_a_guess_replaces_no_measurement(
    shell: dict[str, str], folder: Path
) -> None:
    begin = SettlementPeriod(dt.date(2026, 9, 15), 36).start
    with SqliteStore(folder / "flexlond.db") as made:
        for at in range(begin, begin + 5400, 60):
            made.power.add((), Modelled(at, 24.0, 5.0), 0)
    (folder / "flexlon.toml").write_text(
        f'[daemon]\nstate_dir = "{folder}"\n'
        '[[settlement.points]]\nname = "m"\nsource = "model"\nmax_kw = 50.0\n'
    )
    done = ctl(shell, folder, "settle", "2026-09-15", "--readings", "readings.csv")
    assert done.returncode == 0, done.stderr
    done = ctl(shell, folder, "settle", "2026-09-15", "--meters")
    assert done.returncode == 0, done.stderr
    assert "meters: 46 new, 1 corrected, 0 as before" in done.stderr
    store = SettlementStore(folder / "s.db")
    found = {one.start: one for one, _ in store.readings(begin, begin + 5400)}
    store.close()
    assert [(one.wh, one.quality) for _, one in sorted(found.items())] == [
        (12_000, Quality.ESTIMATED),
        (60_000, Quality.MEASURED),
        (12_000, Quality.ESTIMATED),
    ]


def test_an_order_of_an_unknown_product_is_said(shell: dict[str, str], folder: Path) -> None:
    order = json.loads((folder / "orders.json").read_text()) | {"product": "novel"}
    (folder / "orders.json").write_text(json.dumps(order))
    done = ctl(shell, folder, "settle", "2026-09-15", "--orders", "orders.json")
    assert done.returncode == 2
    assert "product 'novel', which the terms do not have" in done.stderr


def test_the_page_s_commands_work_and_say_what_it_shows(
    shell: dict[str, str], tmp_path: Path
) -> None:
    text = PAGE.read_text("utf-8").replace("/tmp/september", str(tmp_path / "september"))  # noqa: S108
    blocks, said = FENCE.findall(text), ""
    assert len(blocks) == 5
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env=shell,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    for shown in SHOWN.findall(text):
        assert shown in said
    assert "version 2 (new)" in said
    assert "version 2 (as before)" in said
    page = (tmp_path / "september" / "statement.html").read_text("utf-8")
    assert "Machine room 1" in page
    assert "18.27 GBP" in page
