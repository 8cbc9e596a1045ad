"""flexlonctl ledger on a real file: verify, prove, export, list; with its writer at work and without."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from flexlond.cli.flexlonctl import app
from flexlond.settlement.ledger.entry import Record
from flexlond.settlement.ledger.note import NoteSigner
from tests.unit.settlement.ledger.kit import SIGNER, T0, fill, made, opened

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

KEY = SIGNER.key.text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path, 40, 60, tail=5)


def run(path: Path, command: str, *words: object) -> Result:
    return CliRunner().invoke(app, ["ledger", command, "--ledger", str(path), *map(str, words)])


def test_verify_says_what_holds_and_what_was_not_compared(path: Path) -> None:
    done = run(path, "verify")
    assert done.exit_code == 0, done.output
    assert "cluster.test/flexlon: 105 entries hold, 100 of them signed" in done.stdout
    assert "a rewrite of the whole would not show" in done.stdout
    assert KEY in done.stderr
    with_more = run(path, "verify", "--key", KEY, "--checkpoint", path.parent / "second", "--json")
    found = json.loads(with_more.stdout)
    assert (found["entries"], found["signed"], found["outside"], found["key_given"]) == (
        105,
        100,
        2,
        True,
    )
    assert with_more.stderr == ""


def test_verify_works_beside_the_writer(path: Path) -> None:
    with opened(path.parent) as ledger:
        fill(ledger, 7)
        done = run(path, "verify", "--json")
        fill(ledger, 7)
    assert json.loads(done.stdout)["entries"] == 112


def test_verify_ends_with_1_for_what_does_not_hold(path: Path) -> None:
    assert run(path, "verify", "--key", NoteSigner.of_seed("x", bytes(32)).key.text).exit_code == 1
    old = path.parent / "old.db"
    shutil.copy(path, old)
    with opened(path.parent) as ledger:
        fill(ledger, 5)
        ledger.checkpoint(T0 + 1000)
    rolled_back = run(old, "verify", "--checkpoint", path.parent / "second")
    assert rolled_back.exit_code == 1
    assert "rolled back" in rolled_back.stderr
    db = sqlite3.connect(path)
    db.execute(
        "UPDATE entry SET body=CAST(replace(CAST(body AS TEXT), 'cheap', 'dear!') AS BLOB) WHERE seq=20"
    )
    db.commit()
    db.close()
    done = run(path, "verify")
    assert done.exit_code == 1
    assert "DOES NOT HOLD" in done.stderr
    assert run(path, "list").exit_code == 0


@pytest.mark.parametrize("command", ["verify", "list", "key"])
def test_a_file_that_is_not_there_ends_with_2(tmp_path: Path, command: str) -> None:
    done = run(tmp_path / "nowhere", command)
    assert done.exit_code == 2
    assert "there is no ledger here" in done.stderr


def test_an_export_is_verified_by_the_verifier_that_came_with_it(
    path: Path, tmp_path: Path
) -> None:
    out, verifier = tmp_path / "out.jsonl", tmp_path / "flexlon-verify"
    done = run(path, "export", "--out", out, "--verifier", verifier, "--personal", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["not_signed_yet"] == 5
    assert json.loads(done.stdout)["lines"] == len(out.read_bytes().splitlines())
    argv = [sys.executable, "-I", str(verifier), "--key", KEY, str(out), "--json"]
    found = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    assert (found["entries"], found["clear_texts"]) == (100, 50)
    assert "user1" not in exported_plain(path, tmp_path)
    assert run(path, "export", "--out", tmp_path / "no" / "where").exit_code == 2


def exported_plain(path: Path, tmp_path: Path) -> str:
    assert run(path, "export", "--out", tmp_path / "plain.jsonl").exit_code == 0
    return (tmp_path / "plain.jsonl").read_text()


def test_proofs_of_an_entry_and_of_a_checkpoint(path: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    assert run(path, "prove", 8, "--personal", "--out", proof).exit_code == 0
    argv = [sys.executable, "scripts/flexlon-verify", "--key", KEY, str(proof)]
    assert "train-8" in subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    first = min((path.parent / "second").iterdir())
    since = run(path, "prove", "--since", first)
    assert json.loads(since.stdout)["proof"] == "consistency"
    proof.write_text(since.stdout)
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0
    late = run(path, "prove", 104)
    assert late.exit_code == 2
    assert "newest checkpoint" in late.stderr
    assert run(path, "prove").exit_code == 2
    assert run(path, "prove", 1, "--since", first).exit_code == 2


def test_list_finds_the_entries_of_an_order(path: Path) -> None:
    with opened(path.parent) as ledger:
        ledger.append([Record("settlement", T0 + 7, {"order": "o-1", "why": "\x1b[31m"})])
    done = run(path, "list", "--contains", "o-1", "--json")
    assert [(row["entry"], row["kind"]) for row in json.loads(done.stdout)] == [(105, "settlement")]
    assert "\x1b" not in run(path, "list", "--kind", "settlement").stdout
    assert len(run(path, "list", "--last", 3).stdout.splitlines()) == 3
    assert len(run(path, "list", "--last", 0).stdout.splitlines()) == 106


def test_a_key_is_drawn_once_and_shown_in_its_public_half(path: Path, tmp_path: Path) -> None:
    assert run(path, "key").stdout == f"{KEY}\n"
    seed = tmp_path / "seed"
    words = ["ledger", "new-key", str(seed)]
    assert CliRunner().invoke(app, words).exit_code == 0
    before = seed.read_bytes()
    assert seed.stat().st_mode & 0o777 == 0o600
    assert NoteSigner.of_file("a", seed).key.name == "a"
    assert CliRunner().invoke(app, words).exit_code == 2
    assert seed.read_bytes() == before
