"""What a study leaves on disk as it goes: one part for each finished (policy, parameter, seed).

Law: a part holds one run, every job's start, end and begin time, and computes no figure: figures need all
runs of a study at once (metrics.py leaves the same jobs out of each). A part is written whole or not at all
(beside its place, then renamed) as soon as its run has finished, so that whatever ends a study loses only
what was under way. A part says which study it belongs to; parts of different studies are never mixed.
Epoch seconds; a NumPy archive without pickled objects, so reading one runs nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.backtest.case import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

PARTS = "parts"
FORMAT = 1  # of the files; a reader refuses another
_ARRAYS = ("start", "end", "begin", "plan_seconds")


class ResultsError(ValueError):
    """A file of results that cannot be used: which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a study: what is fanned out."""

    policy: str
    parameter: str  # "delay_price=0.03"; "" where the policy runs as it is
    seed: int

    @property
    def name(self) -> str:
        """What a person calls it: "flexlon:delay_price=0.03"."""
        return f"{self.policy}:{self.parameter}" if self.parameter else self.policy

    @property
    def file_name(self) -> str:
        """The part's name: readable, safe, and different for different tasks."""
        plain = re.sub(r"[^A-Za-z0-9.=,-]+", "_", self.name)
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:8]
        return f"{plain}-{digest}-seed{self.seed}.npz"


@dataclass(frozen=True, slots=True)
class Input:
    """A file that a study reads."""

    path: str
    sha256: str
    size: int  # bytes

    @classmethod
    def of(cls, path: Path) -> Input:
        """The file as it is now. Raises OSError."""
        data = path.read_bytes()
        return cls(str(path), hashlib.sha256(data).hexdigest(), len(data))


@dataclass(frozen=True, slots=True)
class Identity:
    """Which study it is: its options with all its tasks, what it read, what computed it."""

    version: str
    options: dict[str, Any]  # plain data, as study.py writes and reads it
    inputs: tuple[Input, ...]

    @property
    def key(self) -> str:
        """Equal for the same study wherever its files lie, and for no other."""
        hashes = [one.sha256 for one in self.inputs]
        options = {k: v for k, v in self.options.items() if k not in {"trace", "signals"}}
        text = json.dumps([FORMAT, self.version, options, hashes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def write_part(folder: Path, identity: Identity, task: Task, run: Run) -> Path:
    """Write one run into `folder`/parts; returns its path. Raises OSError."""
    parts = folder / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    head = {
        "format": FORMAT,
        "version": identity.version,
        "options": identity.options,
        "inputs": [[one.path, one.sha256, one.size] for one in identity.inputs],
        "task": [task.policy, task.parameter, task.seed],
        "notes": run.notes,
    }
    arrays = {name: getattr(run, name) for name in _ARRAYS}
    path = parts / task.file_name
    text = np.array(json.dumps(head))
    write_whole(path, lambda stream: np.savez_compressed(stream, head=text, **arrays))
    return path


def read_parts(folder: Path) -> tuple[Identity, dict[Task, Run]]:
    """The study of `folder`/parts, and its runs.

    Raises ResultsError when there is none, when one cannot be read, or when they are of different studies.
    """
    paths = sorted((folder / PARTS).glob("*.npz"))
    if not paths:
        raise ResultsError(
            f"{folder / PARTS}: no partial results; make them with "
            f"flexlond backtest --only i/N --out {folder}"
        )
    identity, task, run = _read_part(paths[0])
    runs = {task: run}
    for path in paths[1:]:
        other, task, run = _read_part(path)
        if other.key != identity.key:
            raise ResultsError(
                f"{path} is of another study than {paths[0]} (other options, inputs or version): "
                "give each study its own --out, or remove the parts that are not wanted"
            )
        runs[task] = run
    return identity, runs


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write `path` so that a reader sees the old file or the new one. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
        Path(temporary).chmod(0o644)  # mkstemp makes it private; results are for colleagues
        Path(temporary).replace(path)
    except BaseException:  # Ctrl-C too: no half a file stays behind, and it goes on
        Path(temporary).unlink(missing_ok=True)
        raise


def _read_part(path: Path) -> tuple[Identity, Task, Run]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            head = json.loads(str(stored["head"]))
            arrays = {name: stored[name] for name in _ARRAYS}
        if head["format"] != FORMAT:
            raise ResultsError(
                f"{path}: format {head['format']}, this version reads {FORMAT}: run it again"
            )
        policy, parameter, seed = head["task"]
        inputs = tuple(Input(*words) for words in head["inputs"])
        identity = Identity(head["version"], head["options"], inputs)
        run = Run(
            policy=policy, seed=seed, parameter=parameter, notes=tuple(head["notes"]), **arrays
        )
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(
            f"{path} is no part of a study ({error}): remove it and run its share again"
        ) from error
    return identity, Task(policy, parameter, seed), run
