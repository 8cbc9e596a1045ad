"""SqliteFile: whole transactions, versions, and what is said when a file cannot be used."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from flexlond.sqlite_file import SqliteFile, statements

if TYPE_CHECKING:
    from pathlib import Path

FIRST = "CREATE TABLE a (x INTEGER) STRICT"
SECOND = "CREATE TABLE b (x INTEGER) STRICT"


class FaultError(Exception):
    """What the tests ask for."""


def opened(path: Path, version: int = 1, wait: float = 5.0) -> SqliteFile:
    schema = {1: {0: [FIRST]}, 2: {0: [FIRST, SECOND], 1: [SECOND]}}[version]
    return SqliteFile(path, schema, version, error=FaultError, newer="; wait", wait=wait)


def rows(file: SqliteFile) -> list[int]:
    return [x for (x,) in file.connection.execute("SELECT x FROM a ORDER BY x")]


def test_a_file_of_an_older_version_is_brought_to_this_one_and_keeps_its_rows(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "f") as old:
        old.connection.execute("INSERT INTO a VALUES (1)")
    with opened(tmp_path / "f", 2) as new:
        assert rows(new) == [1]
        new.connection.execute("INSERT INTO b VALUES (1)")
    with pytest.raises(FaultError, match=r"newer FlexLon \(schema 2, this one knows 1\).*; wait"):
        opened(tmp_path / "f", 1)


def test_a_migration_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    opened(tmp_path / "f").close()
    with pytest.raises(FaultError, match="near"):
        SqliteFile(tmp_path / "f", {1: [SECOND, "CREATE nonsense"]}, 2, error=FaultError, newer="")
    with opened(tmp_path / "f", 2) as file:  # neither the first statement nor the version stayed
        assert rows(file) == []


def add(file: SqliteFile, *numbers: int, then: type[Exception] | None = None) -> None:
    """One transaction; it ends in an exception where `then` is one."""
    with file.transaction():
        file.connection.executemany("INSERT INTO a VALUES (?)", [(x,) for x in numbers])
        if then is not None:
            raise then


def add_two(file: SqliteFile, inner: type[Exception] | None, outer: type[Exception] | None) -> None:
    """1, in it a transaction of 2 that may fail alone, then 3; the whole may fail as well."""
    with file.transaction():
        add(file, 1)
        with suppress(*([inner] if inner else [])):
            add(file, 2, then=inner)
        add(file, 3, then=outer)


def test_a_nested_transaction_is_undone_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "f") as file:
        with pytest.raises(ZeroDivisionError):
            add_two(file, None, ZeroDivisionError)
        assert rows(file) == []
        add_two(file, ZeroDivisionError, None)
        assert rows(file) == [1, 3]


def test_what_a_transaction_wrote_is_seen_by_others_when_it_has_returned(tmp_path: Path) -> None:
    with opened(tmp_path / "f") as file, closing(sqlite3.connect(tmp_path / "f")) as other:
        with file.transaction():
            file.connection.execute("INSERT INTO a VALUES (1)")
            assert other.execute("SELECT count(*) FROM a").fetchone() == (0,)
        assert other.execute("SELECT count(*) FROM a").fetchone() == (1,)


def test_a_full_disk_leaves_nothing_half_open(tmp_path: Path) -> None:
    with opened(tmp_path / "f") as file:
        (pages,) = file.connection.execute("PRAGMA page_count").fetchone()
        file.connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(sqlite3.Error, match="full"):
            add(file, *range(10_000))
        assert rows(file) == []
        add(file, 1)
        assert rows(file) == [1]


def test_a_file_that_cannot_be_opened_says_which_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match=f"{tmp_path}.*check that the folder is writable"):
        opened(tmp_path / "absent" / "f")
    (tmp_path / "text").write_text("no database " * 100)
    with pytest.raises(FaultError, match="not a database"):
        opened(tmp_path / "text")


def test_statements_of_a_script() -> None:
    trigger = "CREATE TRIGGER t BEFORE DELETE ON a\nBEGIN SELECT RAISE(ABORT, 'no; never');\nEND;"
    assert statements(f"{FIRST};\n{trigger}\n") == [f"{FIRST};", trigger]
    with pytest.raises(ValueError, match="without its end"):
        statements("CREATE TABLE a (x")
