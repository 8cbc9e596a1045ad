"""The writer and its file: one writer, durable, erasable, compactable, and readable while it is written."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from flexlond.settlement.ledger import standalone, upkeep
from flexlond.settlement.ledger.checkpoint import open_checkpoint
from flexlond.settlement.ledger.entry import Record, commitment, decode
from flexlond.settlement.ledger.export import consistency_proof, export, inclusion_proof
from flexlond.settlement.ledger.note import NoteSigner
from flexlond.settlement.ledger.problem import LedgerError
from flexlond.settlement.ledger.reader import Reader
from flexlond.settlement.ledger.second_place import SecondPlace
from flexlond.settlement.ledger.verify import Verdict, verify
from flexlond.settlement.ledger.writer import MAX_BATCH, Ledger
from tests.crash.forked import fork
from tests.unit.settlement.ledger.kit import KEYS, ORIGIN, SIGNER, T0, fill, made, opened, record

if TYPE_CHECKING:
    from pathlib import Path

KEY = standalone.Key(SIGNER.key.text)


def verified(path: Path) -> Verdict:
    with Reader(path) as reader:
        return verify(
            reader, KEYS, [note for _, note in SecondPlace(path.parent / "second").notes()]
        )


def test_entries_are_numbered_and_linked_and_survive_a_reopening(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        assert ledger.append([]) == range(0)
        assert ledger.append([record(0), record(1)]) == range(2)
        root, head = ledger.root(), ledger.head
    with opened(tmp_path) as ledger:
        assert (ledger.size, ledger.root(), ledger.head) == (2, root, head)
        assert ledger.append([record(2)]) == range(2, 3)
    with Reader(tmp_path / "ledger.db") as reader:
        assert decode(reader.entry(2), 2).prev == head.hex()
        assert decode(reader.entry(1), 1).body == record(1).body
        with pytest.raises(LedgerError, match="there is no entry 3"):
            reader.entry(3)


def test_a_bad_record_leaves_nothing_behind(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        for bad in (Record("reading", T0, {"kw": 1.5}), Record("reading", T0, {"x": "\ud800"})):
            with pytest.raises(LedgerError):
                ledger.append([record(0), bad])
        with pytest.raises(LedgerError, match="at most 32"):
            ledger.append([record(0)] * (MAX_BATCH + 1))
        assert ledger.size == 0
        fill(ledger, 3)
        ledger.checkpoint(T0)
    assert verified(tmp_path / "ledger.db").entries == 3


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(LedgerError, match="another process writes"):
        opened(tmp_path)
    opened(tmp_path).close()


def test_another_name_another_key_another_program_s_file(tmp_path: Path) -> None:
    path = made(tmp_path, 3)
    with pytest.raises(LedgerError, match="keeps its origin"):
        Ledger(path, NoteSigner.of_seed("else.test", bytes(range(32))))
    with pytest.raises(LedgerError, match="signed with the key"):
        Ledger(path, NoteSigner.of_seed(ORIGIN, bytes(32)))
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (a)")
    db.close()
    for opening in (lambda: Ledger(other, SIGNER), lambda: Reader(other)):
        with pytest.raises(LedgerError, match="no ledger"):
            opening()
    (tmp_path / "text").write_text("not a database, and long enough for SQLite to look at it" * 20)
    with pytest.raises(LedgerError, match="not a database"):
        Reader(tmp_path / "text")
    with pytest.raises(LedgerError, match="no ledger here"):
        Reader(tmp_path / "nowhere")
    with pytest.raises(LedgerError, match="must exist"):
        Ledger(tmp_path / "nowhere" / "ledger.db", SIGNER)


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = made(tmp_path, 3)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(LedgerError, match="newer FlexLon"):
        opened(tmp_path)
    with pytest.raises(LedgerError, match="newer FlexLon"):
        Reader(path)


def test_a_reader_sees_one_snapshot_while_the_writer_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        fill(ledger, 40)
        ledger.checkpoint(T0)
        with Reader(ledger.path) as reader:
            fill(ledger, 40)
            ledger.checkpoint(T0 + 1)
            assert verify(reader, KEYS).entries == 40
        assert verified(ledger.path).entries == 80


def test_a_file_in_a_folder_that_is_read_only_can_be_verified(tmp_path: Path) -> None:
    path = made(tmp_path, 5)
    assert not path.with_name("ledger.db-wal").exists()
    path.chmod(0o644)
    folder = tmp_path
    while not folder.stat().st_mode & stat.S_IXOTH:  # pytest's own folders are for us alone
        folder.chmod(0o755)
        folder = folder.parent
    child = fork()
    if not child:
        with suppress(PermissionError):  # not root: then the folder is read-only for us
            os.setgid(65534)
            os.setuid(65534)
        if os.getuid() != 65534:
            tmp_path.chmod(0o555)
        try:
            with Reader(path) as reader:
                os._exit(0 if verify(reader, KEYS).entries == 5 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    tmp_path.chmod(0o755)


# ---- the second place


def test_checkpoints_are_in_the_second_place_and_come_back_when_it_was_away(tmp_path: Path) -> None:
    second = tmp_path / "second"
    with opened(tmp_path) as ledger:
        fill(ledger, 3)
        first = ledger.checkpoint(T0)
        assert ledger.last_checkpoint() == first
        second.rename(tmp_path / "away")
        fill(ledger, 3)
        missed = ledger.checkpoint(T0 + 1)
        assert "second place" in ledger.second_problem
        (tmp_path / "away").rename(second)
        last = ledger.checkpoint(T0 + 2)
        assert ledger.second_problem == ""
    assert [open_checkpoint(note, KEYS) for _, note in SecondPlace(second).notes()] == [
        first,
        missed,
        last,
    ]
    assert not [path for path in second.iterdir() if path.name.startswith(".")]


def test_a_checkpoint_that_a_crash_kept_from_the_second_place_is_put_there_at_the_start(
    tmp_path: Path,
) -> None:
    made(tmp_path, 3, 3)
    newest = max((tmp_path / "second").iterdir())
    newest.unlink()
    opened(tmp_path).close()
    assert newest.exists()


def test_the_second_place_never_overwrites(tmp_path: Path) -> None:
    made(tmp_path, 3)
    (file,) = (tmp_path / "second").iterdir()
    file.write_text("something else")
    made_ = Ledger(tmp_path / "else.db", SIGNER)
    fill(made_, 3)
    checkpoint = made_.checkpoint(T0 + 3)
    made_.close()
    with pytest.raises(LedgerError, match="another checkpoint"):
        SecondPlace(tmp_path / "second").put(checkpoint)


def test_a_ledger_restored_from_an_old_copy_is_not_written_to(tmp_path: Path) -> None:
    path = made(tmp_path, 5)
    old = path.read_bytes()
    with opened(tmp_path) as ledger:
        fill(ledger, 5)
        ledger.checkpoint(T0 + 10)
    path.write_bytes(old)
    with pytest.raises(LedgerError, match="rolled back"):
        opened(tmp_path)


# ---- personal data


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_personal_data_can_be_erased_without_a_trace_and_everything_still_holds(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as ledger:
        people = [
            {"user": "zebediah", "job": "secretwork"},
            {"user": "alice", "job": "openwork"},
        ] * 50
        for k, personal in enumerate(people):
            ledger.append([Record("intent", T0 + k, {"job_id": k}, personal)])
        before = ledger.checkpoint(T0 + 100)
        assert b"zebediah" in everything(tmp_path)
        assert upkeep.erase(ledger, "user", "zebediah", T0 + 101) == 50
        assert upkeep.erase(ledger, "user", "zebediah", T0 + 101) == 0
        ledger.checkpoint(T0 + 102)
        raw = everything(tmp_path)
        assert b"zebediah" not in raw
        assert b"secretwork" not in raw
        assert b"alice" in raw
    verdict = verified(tmp_path / "ledger.db")
    assert verdict.entries == 101
    with Reader(tmp_path / "ledger.db") as reader:
        assert reader.personal(0) == {}
        assert reader.personal(1)["user"][1] == "alice"
        told = decode(reader.entry(100), 100)
        assert (told.kind, told.body) == (
            "erasure",
            {"of": "user", "why": "request", "entries": 50},
        )
        standalone.verify_proof(consistency_proof(reader, KEYS, before.note), KEY, [], None)


def test_the_same_name_never_looks_the_same_twice(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.append([Record("intent", T0, {}, {"user": "alice", "job": "alice"})] * 2)
    with Reader(tmp_path / "ledger.db") as reader:
        seen = {one for seq in (0, 1) for one in decode(reader.entry(seq), seq).personal.values()}
        assert len(seen) == 4
        salt, text = reader.personal(0)["user"]
        assert decode(reader.entry(0), 0).personal["user"] == commitment(salt, "user", text)


def test_personal_data_go_by_age(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        fill(ledger, 20)
        ledger.checkpoint(T0 + 20)
        fill(ledger, 20)
        ledger.checkpoint(T0 + 40)
        assert upkeep.erase_older(ledger, T0, T0 + 50) == 0
        assert upkeep.erase_older(ledger, T0 + 40, T0 + 50) == 5
        ledger.checkpoint(T0 + 51)
    with Reader(tmp_path / "ledger.db") as reader:
        assert [seq for seq, *_ in reader.clear_texts()][::2] == [20, 24, 28, 32, 36]
    verified(tmp_path / "ledger.db")


# ---- retention


def test_old_bodies_go_and_every_old_proof_still_holds(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with opened(tmp_path) as ledger:
        for period in range(6):
            fill(ledger, 99)
            ledger.append([record(ledger.size, "settlement")])
            ledger.checkpoint(T0 + 1000 * period)
        with Reader(path) as reader:
            proofs = [inclusion_proof(reader, KEYS, seq) for seq in range(0, 600, 7)]
            since = [consistency_proof(reader, KEYS, note) for _, note in reader.notes()]
            copies = {seq: reader.entry(seq) for seq in range(600)}
        assert upkeep.compact(ledger, T0 + 3000, T0 + 9000) == 3 * 99
        assert upkeep.compact(ledger, T0 + 3000, T0 + 9001) == 0
        assert upkeep.compact(ledger, T0 - 1, T0 + 9001) == 0
        fill(ledger, 30)
        ledger.checkpoint(T0 + 9002)
    verdict = verified(path)
    assert (verdict.entries, verdict.dropped) == (631, 297)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA freelist_count").fetchone()[0] > 5  # room that new entries take
    db.close()
    with Reader(path) as reader:
        with pytest.raises(LedgerError, match="dropped by retention"):
            reader.entry(0)
        assert decode(reader.entry(99), 99).kind == "settlement"
        assert reader.personal(0) == {}
        told = decode(reader.entry(600), 600)
        assert (told.kind, told.body["below"]) == ("compaction", 300)
        state = standalone.Export(KEY)
        for line in export(reader, KEYS, personal=True):
            state.feed(line[:-1])
        state.end()
        assert (state.dropped, state.size) == (297, 631)
        # Whoever has a copy of a dropped entry can have it proved anew, from its hash alone.
        late = inclusion_proof(reader, KEYS, 14)
        assert late["entry"] is None
        with pytest.raises(standalone.Broken, match="--entry"):
            standalone.verify_proof(late, KEY, [], None)
        assert standalone.verify_proof(late, KEY, [], copies[14])["holds"]
        with pytest.raises(standalone.Broken):
            standalone.verify_proof(late, KEY, [], copies[14].replace(b"cheap", b"dear!"))
    for proof in (*proofs, *since):
        assert standalone.verify_proof(proof, KEY, [], None)["holds"]


def test_a_compaction_that_was_cut_short_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_CHUNK", 10)
    path = made(tmp_path, 100)
    with opened(tmp_path) as ledger:
        calls = 0

        real = upkeep.transaction

        def counting(db: sqlite3.Connection) -> object:
            nonlocal calls
            calls += 1
            if calls == 4:
                raise KeyboardInterrupt
            return real(db)

        monkeypatch.setattr(upkeep, "transaction", counting)
        with pytest.raises(KeyboardInterrupt):
            upkeep.compact(ledger, T0 + 101, T0 + 200)
        monkeypatch.setattr(upkeep, "transaction", real)
    assert verified(path).dropped == 30
    with opened(tmp_path) as ledger:
        assert upkeep.compact(ledger, T0 + 101, T0 + 201) == 70
    assert verified(path).dropped == 100
