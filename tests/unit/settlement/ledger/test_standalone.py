"""The verifier for strangers: a file of its own, run as a program, on exports and proofs, true and tampered."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flexlond.settlement.ledger import standalone
from flexlond.settlement.ledger.export import consistency_proof, inclusion_proof
from flexlond.settlement.ledger.note import NoteSigner
from flexlond.settlement.ledger.reader import Reader
from tests.unit.settlement.ledger.kit import KEYS, SIGNER, exported, made

SOURCE = Path(standalone.__file__)
ROOT = SOURCE.parents[3]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What a stranger gets: the verifier, the key, an export, proofs, a checkpoint; no FlexLon."""
    (tmp_path / "home").mkdir()
    path = made(tmp_path / "home", 40, 60)
    there = tmp_path / "stranger"
    there.mkdir()
    shutil.copy(SOURCE, there / "flexlon-verify")
    (there / "key").write_text(SIGNER.key.text + "\n")
    (there / "ledger.jsonl").write_bytes(b"".join(exported(path)))
    with Reader(path) as reader:
        proofs = {
            "entry": inclusion_proof(reader, KEYS, 8),
            "person": inclusion_proof(reader, KEYS, 8, personal=True),
            "since": consistency_proof(reader, KEYS, reader.notes()[0][1]),
        }
        (there / "sent.note").write_text(reader.notes()[0][1])
        (there / "sent.json").write_text(json.dumps({"size": 40, "note": reader.notes()[0][1]}))
    for name, proof in proofs.items():
        (there / f"{name}.json").write_text(json.dumps(proof, indent=1))
    shutil.copytree(path.parent / "second", there / "second")
    return there


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", "flexlon-verify", "--key", "key", *words]
    return subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)


def test_it_imports_nothing_but_the_standard_library_and_pynacl() -> None:
    found = set()
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Import):
            found |= {one.name.split(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    assert found - sys.stdlib_module_names == {"nacl"}


def test_the_script_in_the_source_tree_is_the_same_file() -> None:
    assert (ROOT / "scripts" / "flexlon-verify").resolve() == SOURCE


@pytest.mark.parametrize(
    "words",
    [
        ["ledger.jsonl"],
        ["ledger.jsonl", "--checkpoint", "sent.note"],
        ["ledger.jsonl", "--checkpoint", "sent.json", "--checkpoint", "second"],
        ["entry.json"],
        ["person.json"],
        ["since.json"],
        ["since.json", "--checkpoint", "sent.note"],
    ],
)
def test_what_is_true_holds(place: Path, words: list[str]) -> None:
    done = run(place, *words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["holds"]
    if words[0] == "ledger.jsonl":
        assert (found["entries"], found["checkpoints"], found["kinds"]) == (100, 2, {"intent": 100})
    if words[0] == "person.json":
        assert found["clear"] == {"user": "user1", "job": "train-8"}
    assert "holds" in run(place, *words).stdout


def edited(place: Path, number: int, base: Any, **fields: Any) -> str:
    name = f"edited-{number}.json"
    (place / name).write_text(json.dumps({**base, **fields} if fields else base))
    return name


def test_a_proof_that_was_edited_does_not_hold(place: Path) -> None:
    proof = json.loads((place / "person.json").read_text())
    since = json.loads((place / "since.json").read_text())
    entry = proof["entry"]
    cases = [
        edited(place, 0, proof, entry=entry.replace('"job_id":8', '"job_id":9')),
        edited(place, 1, proof, seq=9),
        edited(place, 2, proof, path=proof["path"][:-1]),
        edited(place, 3, proof, path=[*proof["path"], "00" * 32]),
        edited(place, 4, proof, path=["00" * 32, *proof["path"][1:]]),
        edited(place, 5, proof, path=[one.upper() for one in proof["path"]]),
        edited(place, 6, proof, checkpoint=proof["checkpoint"].replace("100", "101")),
        edited(place, 7, proof, personal={"user": {**proof["personal"]["user"], "text": "bob"}}),
        edited(place, 8, proof, personal={"account": proof["personal"]["user"]}),
        edited(place, 9, since, old=since["new"]),
        edited(place, 10, since, path=since["path"][1:]),
        edited(place, 11, since, new=since["old"]),
        edited(place, 12, {}, proof="inclusion"),
        edited(place, 13, [1]),
    ]
    for name in cases:
        done = run(place, name)
        assert done.returncode == 1, name
        assert "DOES NOT HOLD" in done.stderr


def test_an_export_that_was_edited_does_not_hold(place: Path) -> None:
    path = place / "ledger.jsonl"
    raw = path.read_bytes()
    for changed in (
        raw.replace(b'"job_id":8', b'"job_id":9', 1),
        raw.replace(b'"size":100', b'"size":101', 1),
        raw[:-1],
        raw[: len(raw) // 2],
        raw + raw.splitlines(keepends=True)[-1],
        b'{"export":',
    ):
        path.write_bytes(changed)
        done = run(place, "ledger.jsonl", "--json")
        # A second checkpoint of the same entries says the same again: that is no lie.
        assert done.returncode == (0 if changed.startswith(raw) else 1), done.stdout
        if done.returncode:
            assert json.loads(done.stdout)["holds"] is False


def test_another_key_or_checkpoint_does_not_hold(place: Path) -> None:
    forger = NoteSigner.of_seed(SIGNER.key.name, bytes(32))
    (place / "key").write_text(forger.key.text)
    assert run(place, "ledger.jsonl").returncode == 1
    (place / "key").write_text("nonsense")
    assert run(place, "ledger.jsonl").returncode == 1
    (place / "key").write_text(SIGNER.key.text)
    (place / "empty").mkdir()
    assert run(place, "ledger.jsonl", "--checkpoint", "empty").returncode == 1
    newest = max((place / "second").iterdir())
    raw = (place / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    shorter = b"".join([raw[0].replace(b"100", b"40"), *raw[1:42]])
    (place / "shorter.jsonl").write_bytes(shorter)
    assert run(place, "shorter.jsonl").returncode == 0
    done = run(place, "shorter.jsonl", "--checkpoint", str(newest))
    assert done.returncode == 1
    assert "truncated" in done.stderr


def test_what_cannot_be_read_is_not_said_to_be_false(place: Path) -> None:
    assert run(place, "nowhere").returncode == 2
    assert run(place).returncode == 2
