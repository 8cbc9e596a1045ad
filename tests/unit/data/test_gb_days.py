"""The shipped GB days come from the real quarter by the documented criterion, and say whence they come."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from flexlond.signals.csv_feed import parse_csv
from flexlond.signals.restamp import ATTRIBUTION, DAYS, load_day

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "flexlond" / "data"
QUARTER = ROOT.parent / "shared" / "data" / "gb" / "gb_2026-01_2026-03_halfhourly.csv.gz"


def the_script() -> Any:
    loader = SourceFileLoader("cut_gb_day", str(ROOT / "scripts" / "cut-gb-day"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_files_are_what_the_script_makes_of_the_quarter(tmp_path: Path) -> None:
    if not QUARTER.exists():
        pytest.skip("the quarter of real half-hours is not beside this checkout")
    script = the_script()
    days = script.read(QUARTER)
    order = sorted(days)
    assert len(order) == 90
    chosen = script.choose(days)
    assert set(chosen) == set(DAYS)
    for name, day in chosen.items():
        made = tmp_path / f"{name}.csv"
        script.write(made, days[day] + days[order[order.index(day) + 1]])
        assert made.read_bytes() == (FOLDER / f"gb-day-{name}.csv").read_bytes()


@pytest.mark.parametrize("name", DAYS)
def test_each_file_is_a_feed_of_its_own_and_carries_the_attribution(name: str) -> None:
    path = FOLDER / f"gb-day-{name}.csv"
    text = path.read_text(encoding="utf-8")
    assert all(words in text for words in ATTRIBUTION.replace("2026. ", "2026.|").split("|"))
    rows = parse_csv(text, path.name, "price").rows
    assert [row.value for row in rows] == [row.price for row in load_day(name, count=96)]
    assert {row.end - row.start for row in rows} == {1800}


def test_the_folder_says_whence_and_under_which_words() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert (
        "Contains BMRS data \N{COPYRIGHT SIGN} Elexon Limited copyright and database right 2026"
        in text
    )
    assert "National Energy System Operator (NESO)" in text
    assert "ODC-By" in text
    assert "system (imbalance) price" in text
