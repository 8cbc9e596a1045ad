"""Drop, swap, truncate, rewrite: found in the file, in an export, and against any earlier checkpoint."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.settlement.ledger import merkle, standalone
from flexlond.settlement.ledger.checkpoint import open_checkpoint
from flexlond.settlement.ledger.entry import NO_HASH, Record, encode
from flexlond.settlement.ledger.export import consistency_proof
from flexlond.settlement.ledger.problem import LedgerError, TamperError
from flexlond.settlement.ledger.reader import Reader
from flexlond.settlement.ledger.second_place import SecondPlace
from flexlond.settlement.ledger.verify import verify
from tests.unit.settlement.ledger.kit import KEYS, SIGNER, T0, exported, made, opened

if TYPE_CHECKING:
    from pathlib import Path

KEY = standalone.Key(SIGNER.key.text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path, 50, 1, 49, 40, tail=10)


def change(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def why(path: Path, outside: list[str] | None = None) -> str:
    """Why verify says no; "" when all holds."""
    try:
        with Reader(path) as reader:
            verify(reader, KEYS, outside or ())
    except TamperError as error:
        return str(error)
    return ""


def notes_of(path: Path) -> list[str]:
    return [note for _, note in SecondPlace(path.parent / "second").notes()]


def refused(lines: list[bytes], outside: list[str] | None = None) -> str:
    state = standalone.Export(KEY, [standalone.Checkpoint(note, KEY) for note in outside or ()])
    try:
        for line in lines:
            state.feed(line.rstrip(b"\n"))
        state.end()
    except standalone.Broken as broken:
        return str(broken)
    return ""


def test_what_was_recorded_holds(path: Path) -> None:
    assert why(path, notes_of(path)) == ""
    with Reader(path) as reader:
        verdict = verify(reader, KEYS, notes_of(path))
    assert (verdict.entries, verdict.signed, verdict.checkpoints, verdict.outside) == (
        150,
        140,
        4,
        4,
    )
    assert refused(exported(path), notes_of(path)) == ""


@pytest.mark.parametrize("seq", [0, 1, 49, 50, 99, 148, 149])
def test_a_dropped_entry_is_missed(path: Path, seq: int) -> None:
    change(path, f"DELETE FROM entry WHERE seq={seq}")
    assert why(path)


def test_a_dropped_entry_is_missed_when_the_rest_closes_up(path: Path) -> None:
    change(
        path,
        "DELETE FROM entry WHERE seq=20",
        *(f"UPDATE entry SET seq={k - 1} WHERE seq={k}" for k in range(21, 150)),
    )
    assert "entry 20" in why(path)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (10, 90), (148, 149)])
def test_swapped_entries_are_seen(path: Path, one: int, other: int) -> None:
    change(
        path,
        f"UPDATE entry SET seq=-1 WHERE seq={one}",
        f"UPDATE entry SET seq={one} WHERE seq={other}",
        f"UPDATE entry SET seq={other} WHERE seq=-1",
    )
    assert f"entry {one}" in why(path)


def test_a_body_that_no_compaction_dropped_is_missed(path: Path) -> None:
    change(path, "UPDATE entry SET body=NULL WHERE seq=20", "DELETE FROM personal WHERE seq=20")
    assert "no compaction dropped it" in why(path)


@pytest.mark.parametrize("size", [149, 139, 100, 51, 50, 1])
def test_a_truncated_ledger_is_seen_by_any_checkpoint_that_it_no_longer_reaches(
    path: Path, size: int
) -> None:
    """Truncated by somebody who knows how: tip, tree and checkpoints of the file are put right."""
    outside = notes_of(path)
    with Reader(path) as reader:
        ((_, leaf, _),) = reader.rows(size - 1, size)
    change(
        path,
        f"DELETE FROM entry WHERE seq>={size}",
        f"DELETE FROM personal WHERE seq>={size}",
        f"DELETE FROM checkpoint WHERE size>{size}",
        f"UPDATE tip SET size={size}, head=x'{leaf.hex()}'",
    )
    assert why(path) == ""  # consistent in itself
    for note in outside:
        beyond = open_checkpoint(note, KEYS).size > size
        assert ("truncated" in why(path, [note])) == beyond
    if size < 140:
        with pytest.raises(LedgerError, match="rolled back"):
            opened(path.parent)
        kept = [note for note in outside if open_checkpoint(note, KEYS).size <= size]
        if kept:
            assert "truncated" in refused(exported(path), outside)
    else:
        opened(path.parent).close()


def written(folder: Path, changed: int = -1) -> Path:
    """A ledger without random salts, so that two of them differ from entry `changed` on and not before."""
    (folder / "second").mkdir(parents=True)
    with opened(folder) as ledger:
        for number in range(150):
            body = {"n": -1 if number == changed else number}
            ledger.append([Record("effect", T0 + number, body)])
            if ledger.size in {50, 51, 100, 140}:
                ledger.checkpoint(T0 + ledger.size)
    return folder / "ledger.db"


@pytest.mark.parametrize("changed", [0, 49, 50, 99, 139])
def test_a_whole_rewrite_is_seen_by_any_later_checkpoint(tmp_path: Path, changed: int) -> None:
    """Rewritten by its owner, with the real key."""
    path, other = written(tmp_path / "first"), written(tmp_path / "again", changed)
    outside = notes_of(path)
    assert len(outside) == 4
    assert why(other, notes_of(other)) == ""  # consistent in itself, and signed
    for note in outside:
        covers = open_checkpoint(note, KEYS).size > changed
        assert ("they were changed" in why(other, [note])) == covers
        assert ("they were changed" in refused(exported(other), [note])) == covers
        with Reader(other) as reader:
            proof = consistency_proof(reader, KEYS, note)
        if covers:
            with pytest.raises(standalone.Broken):
                standalone.verify_proof(proof, KEY, [], None)
        else:
            assert standalone.verify_proof(proof, KEY, [], None)["holds"]
    shutil.rmtree(other.parent / "second")
    shutil.copytree(path.parent / "second", other.parent / "second")
    with pytest.raises(LedgerError, match="rewritten"):
        opened(other.parent)


def test_an_export_that_was_edited_is_refused(path: Path) -> None:
    lines = exported(path)
    notes = [k for k, line in enumerate(lines) if b'"checkpoint"' in line]
    assert refused(lines[:1])
    assert refused([])
    assert refused(lines[1:])
    assert "cut short" in refused(lines[: notes[-1]])
    assert "cut short" in refused(lines[: notes[-2] + 1])
    assert refused([*lines[:30], *lines[31:]])
    assert refused([*lines[:30], lines[31], lines[30], *lines[32:]])
    assert refused([*lines, lines[-2]])
    assert refused([*lines[:5], lines[notes[0]], *lines[5:]])
    # Without a checkpoint in between all the rest is still proved by the last one.
    assert refused([*lines[: notes[0]], *lines[notes[0] + 1 :]]) == ""


def test_entries_chained_by_hand_without_the_key_get_no_checkpoint(path: Path) -> None:
    """A stranger can build a chain, but not what signs it."""
    head, lines = NO_HASH, exported(path)[:1]
    for number in range(140):
        raw = encode(Record("settlement", T0, {"pence": 1}), number, head, {})
        head = merkle.leaf_hash(raw)
        lines.append(raw)
    genuine: Any = exported(path)[-1]
    assert "they were changed" in refused([*lines, genuine])
