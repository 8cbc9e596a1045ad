"""The second place: a folder, best on another machine's disk, that keeps every checkpoint as a file.

Law: a file is written whole (temporary name, fsync, rename, fsync of the folder) and never overwritten. It
is what shows that the ledger was rewritten or rolled back: whoever can change the ledger should not be able
to change it.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from flexlond.settlement.ledger.problem import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flexlond.settlement.ledger.checkpoint import Checkpoint

_NAME = re.compile(r"(\d{12,})-(\d+)\.note\Z")


class SecondPlace:
    """A folder of checkpoints."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, checkpoint: Checkpoint) -> None:
        """Durable when it returns; what is there already stays. Raises LedgerError."""
        name = _name(checkpoint.size, checkpoint.at)
        path = self._folder / name
        try:
            if path.exists():
                self._same(path, checkpoint.note)
                return
            temporary = self._folder / f".{name}.{os.getpid()}"
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            with os.fdopen(fd, "wb") as file:
                file.write(checkpoint.note.encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
            self._sync()
        except OSError as error:
            raise self._unusable(error) from error

    def names(self) -> set[tuple[int, int]]:
        """(size, moment) of every checkpoint here. Raises LedgerError."""
        return {(size, at) for size, at, _ in self._files()}

    def notes(self) -> Sequence[tuple[int, str]]:
        """(size, note) of every checkpoint here, the smallest first. Raises LedgerError."""
        try:
            return [(size, path.read_text("utf-8")) for size, _, path in sorted(self._files())]
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(error) from error

    def newest(self) -> tuple[int, str] | None:
        """(size, note) of the largest; None while there is none. Raises LedgerError."""
        found = max(self._files(), default=None)
        if found is None:
            return None
        try:
            return found[0], found[2].read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(error) from error

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        try:
            for path in self._folder.iterdir():
                if found := _NAME.match(path.name):
                    yield int(found[1]), int(found[2]), path
        except OSError as error:
            raise self._unusable(error) from error

    def _same(self, path: Path, note: str) -> None:
        if path.read_text("utf-8") != note:
            raise LedgerError(
                f"{path} holds another checkpoint of the same size and moment: two ledgers write to one"
                " folder, or one was rewritten; keep both files and find out which"
            )

    def _sync(self) -> None:
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _unusable(self, error: Exception) -> LedgerError:
        return LedgerError(
            f"the second place {self._folder} cannot be used: {error}; it must exist, be writable by the"
            " service and not be full"
        )


def notes_from(path: Path) -> list[str]:
    """Checkpoints that somebody kept: a folder of them, one note, or the JSON table of an on_status.

    Raises LedgerError.
    """
    if path.is_dir():
        found = [note for _, note in SecondPlace(path).notes()]
        if not found:
            raise LedgerError(f"{path}: there are no checkpoints (*.note) in this folder")
        return found
    try:
        text = path.read_text("utf-8")
        return [str(json.loads(text)["note"])] if text.lstrip().startswith("{") else [text]
    except (OSError, ValueError, KeyError) as error:
        raise LedgerError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}); expected a signed note, or JSON"
            " with a note in it"
        ) from error


def _name(size: int, at: int) -> str:
    return f"{size:012d}-{at}.note"
