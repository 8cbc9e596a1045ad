"""Every single byte of a ledger of 200 entries, of its export and of its file: no change goes unnoticed.

The export is read line by line and stops at the first line that does not hold, so the state before a line
is made once and every flip of the line is tried on a copy of it: what is accepted is followed by the rest
of the export. The same for the rows of the file; what is few there (numbers, notes, the tip) is changed in
the file itself.
"""

from __future__ import annotations

import copy
import random
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.settlement.ledger import merkle, standalone, upkeep
from flexlond.settlement.ledger.audit import Audit
from flexlond.settlement.ledger.problem import LedgerError, TamperError
from flexlond.settlement.ledger.reader import Hashes, Reader, read_tip
from flexlond.settlement.ledger.verify import verify, walk
from tests.unit.settlement.ledger.kit import KEYS, SIGNER, T0, exported, fill, made, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = standalone.Key(SIGNER.key.text)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 entries, three periods, the oldest bodies dropped, some personal data erased."""
    folder = tmp_path_factory.mktemp("ledger")
    made(folder, 60, 70)
    with opened(folder) as writer:
        upkeep.erase(writer, "user", "user4", T0 + 130)
        upkeep.compact(writer, T0 + 61, T0 + 131)
        fill(writer, 200 - writer.size)
        writer.checkpoint(T0 + 200)
        assert writer.size == 200
    return folder / "ledger.db"


def accepts(state: standalone.Export, lines: list[bytes]) -> bool:
    """Whether the rest of an export holds after this state; the state is spent."""
    try:
        for line in lines:
            state.feed(line)
        state.end()
    except (standalone.Broken, KeyError, TypeError, AttributeError, ValueError):
        return False
    return True


def test_every_flip_of_the_export_is_found(ledger: Path) -> None:
    lines = [line[:-1] for line in exported(ledger, personal=True)]
    rng = random.Random(1)
    assert accepts(standalone.Export(KEY), lines)
    state, tried = standalone.Export(KEY), 0
    for number, line in enumerate(lines):
        for place in range(len(line)):
            flipped = bytearray(line)
            flipped[place] ^= rng.randrange(1, 256)
            # A newline that comes in by the flip cuts the line in two, as it would in the file.
            pieces = bytes(flipped).split(b"\n")
            assert not accepts(copy.deepcopy(state), [*pieces, *lines[number + 1 :]]), (
                number,
                place,
            )
            tried += 1
        state.feed(line)
    assert tried > 40_000


def test_every_newline_of_the_export_counts(ledger: Path, tmp_path: Path) -> None:
    raw = b"".join(exported(ledger, personal=True))
    path = tmp_path / "export"
    for place, byte in enumerate(raw):
        if byte == ord("\n"):
            path.write_bytes(raw[:place] + b" " + raw[place + 1 :])
            with pytest.raises(standalone.Broken):
                standalone.verify_export(path, KEY, [])


def test_random_flips_and_every_cut_of_the_exported_file(ledger: Path, tmp_path: Path) -> None:
    raw = b"".join(exported(ledger))
    path = tmp_path / "export"
    rng = random.Random(2)
    for _ in range(400):
        place = rng.randrange(len(raw))
        path.write_bytes(
            raw[:place] + bytes([raw[place] ^ rng.randrange(1, 256)]) + raw[place + 1 :]
        )
        with pytest.raises((standalone.Broken, KeyError, TypeError, ValueError)):
            standalone.verify_export(path, KEY, [])
    for cut in [*range(0, len(raw), 401), len(raw) - 1]:
        path.write_bytes(raw[:cut])
        with pytest.raises(standalone.Broken):
            standalone.verify_export(path, KEY, [])


class Peek(Reader):
    """A reader on a connection that has a change of its own."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self.path, self.db = path, db
        self.hashes = Hashes(db)
        self.size, self.head = read_tip(db)


def holds(db: sqlite3.Connection, path: Path) -> bool:
    try:
        verify(Peek(db, path), KEYS)
    except (LedgerError, sqlite3.Error):
        return False
    return True


def survives(audit: Audit, *rest: Any) -> bool:
    try:
        walk(audit, *rest)
    except TamperError:
        return False
    return True


def flips(raw: bytes, rng: random.Random) -> Iterator[bytes]:
    for place in range(len(raw)):
        yield raw[:place] + bytes([raw[place] ^ rng.randrange(1, 256)]) + raw[place + 1 :]


def begun(reader: Reader) -> Audit:
    audit = Audit(reader.origin, reader.size, reader.head, KEYS)
    for size, note in reader.notes():
        audit.checkpoint(size, note)
    audit.begin()
    return audit


def test_every_flip_of_an_entry_a_hash_and_a_clear_text_in_the_file_is_found(ledger: Path) -> None:
    rng = random.Random(3)
    tried = 0
    with Reader(ledger) as reader:
        rows, clear = list(reader.rows()), list(reader.clear_texts())
        audit = begun(reader)
    assert survives(audit.copy(), rows, clear, [])
    for k, (seq, leaf, body) in enumerate(rows):
        beside = [one for one in clear if one[0] >= seq]
        changed: list[Any] = [(seq, one, body) for one in flips(leaf, rng)]
        if body is not None:
            changed += [(seq, leaf, one) for one in flips(body, rng)]
            changed.append((seq, leaf, None))
            # The row as somebody would change it who knows how: its hash fits its body again.
            changed += [(seq, merkle.leaf_hash(one), one) for one in flips(body, rng)]
        for row in changed:
            assert not survives(audit.copy(), [row, *rows[k + 1 :]], beside, []), (seq, row)
            tried += 1
        mine = [one for one in beside if one[0] == seq]
        for number, (_, name, salt, text) in enumerate(mine):
            rest = beside[number + 1 :]
            others = [(seq, name, one, text) for one in flips(salt, rng)]
            for what in (0, 1):
                for raw in flips((name, text)[what].encode(), rng):
                    try:
                        word = raw.decode()
                    except (
                        UnicodeDecodeError
                    ):  # SQLite refuses to read it: see the flips of the file
                        continue
                    others.append((seq, *((word, salt, text) if what == 0 else (name, salt, word))))
            for one in others:
                assert not survives(audit.copy(), rows[k:], [*mine[:number], one, *rest], [])
                tried += 1
        audit.entry(seq, leaf, body, [one[1:] for one in mine])
    assert tried > 50_000


TABLES = {
    "entry": ("seq",),
    "personal": ("seq",),
    "checkpoint": ("size", "note"),
    "tip": ("size", "head"),
    "meta": ("key", "value"),
}


def test_every_flip_of_a_number_a_checkpoint_and_the_rest_is_found(ledger: Path) -> None:
    db = sqlite3.connect(ledger, isolation_level=None)
    assert holds(db, ledger)
    rng = random.Random(4)
    for table, columns in TABLES.items():
        for column in columns:
            for place, (value,) in enumerate(
                db.execute(f"SELECT {column} FROM {table} ORDER BY 1").fetchall()
            ):
                for changed in variants(value, rng):
                    db.execute("BEGIN")
                    try:
                        db.execute(
                            f"UPDATE {table} SET {column}=CAST(? AS {kind_of(value)}) WHERE {column}=?",
                            (changed, value),
                        )
                        assert not holds(db, ledger), (table, column, place, changed)
                    except sqlite3.IntegrityError:  # the file itself cannot hold it
                        pass
                    finally:
                        db.execute("ROLLBACK")
    assert holds(db, ledger)
    db.close()


def kind_of(value: Any) -> str:
    return {int: "INTEGER", str: "TEXT", bytes: "BLOB"}[type(value)]


def variants(value: Any, rng: random.Random) -> Iterator[Any]:
    """The value with each of its bytes changed."""
    if isinstance(value, int):
        yield from (value ^ (rng.randrange(1, 128) << 8 * k) for k in range(8))
    else:
        yield from flips(value if isinstance(value, bytes) else value.encode(), rng)


def test_the_stored_tree_is_part_of_it(tmp_path: Path) -> None:
    path = made(tmp_path, 600)
    db = sqlite3.connect(path, isolation_level=None)
    rng = random.Random(5)
    assert db.execute("SELECT count(*) FROM node").fetchone() == (2,)
    for level, index, raw in db.execute("SELECT level, idx, hash FROM node").fetchall():
        for changed in (*flips(raw, rng), None):
            db.execute("BEGIN")
            if changed is None:
                db.execute("DELETE FROM node WHERE idx=?", (index,))
            else:
                db.execute(
                    "UPDATE node SET hash=? WHERE level=? AND idx=?", (changed, level, index)
                )
            assert not holds(db, path)
            db.execute("ROLLBACK")
    db.execute("INSERT INTO node VALUES (8, 2, x'00')")
    assert not holds(db, path)
    db.close()


def test_flips_of_the_raw_file_are_found_or_change_nothing_that_is_recorded(
    ledger: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copy.db"
    shutil.copy(ledger, copied)
    raw = copied.read_bytes()
    whole = content(copied)
    rng = random.Random(6)
    found = 0
    for _ in range(1000):
        place = rng.randrange(len(raw))
        copied.write_bytes(
            raw[:place] + bytes([raw[place] ^ rng.randrange(1, 256)]) + raw[place + 1 :]
        )
        try:
            with Reader(copied) as reader:
                verify(reader, KEYS)
        except (LedgerError, sqlite3.Error):
            found += 1
        else:
            assert content(copied) == whole, place
    assert found > 400  # the rest is free space and SQLite's own bookkeeping


def content(path: Path) -> list[Any]:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    made = [
        db.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY 1, 2").fetchall()
        for table in (*TABLES, "node")
    ]
    db.close()
    return made
