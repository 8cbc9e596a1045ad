"""What is wrong with a configuration file: every problem at once, each with its correct form.

Law: a Problem names the full key path, why the value is refused and what would be right. Array items
are counted from 1 (`signals.price#2.url`). The text quotes the file's own words and nothing secret.
`problem_of`, `within` and `absolute` are how the checks (config_checks.py) say what they find.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_SOCKET_PATH = 107  # bytes; sun_path less its NUL


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `sections` are the top tables that the check looked at."""

    key: str  # full path; empty: the file as a whole
    why: str
    correct: str
    sections: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        """Return the problem as one line."""
        where = f"{self.key}: " if self.key else ""
        return f"{where}{self.why}; correct: {self.correct}"


class ConfigError(Exception):
    """The configuration is refused. `problems` has every reason, in the order of the file."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem" + ("s" if len(self.problems) != 1 else "")
        lines = [f"{path}: {count}", *(f"  {problem}" for problem in self.problems)]
        super().__init__("\n".join(lines))


def section_of(key: str) -> str:
    """The top table of a key path."""
    return re.split(r"[.#]", key, maxsplit=1)[0]


def problem_of(key: str, why: str, correct: str, *also: str) -> Problem:
    """A problem of `key` whose check looked at its own section and those in `also`."""
    return Problem(key, why, correct, frozenset({section_of(key), *also}))


def within(
    key: str, value: float, low: float, high: float = math.inf, unit: str = ""
) -> Iterator[Problem]:
    """A problem unless low <= value <= high."""
    if not low <= value <= high:
        bounds = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        yield problem_of(key, f"{value:g} is out of range", f"{bounds}{' ' + unit if unit else ''}")


def absolute(key: str, path: str, *, socket: bool = False) -> Iterator[Problem]:
    """A problem unless `path` is absolute, and for a socket short enough."""
    if not path.startswith("/"):
        yield problem_of(key, f'"{path}" is not an absolute path', "a path that begins with /")
    elif socket and len(path.encode()) > MAX_SOCKET_PATH:
        yield problem_of(
            key,
            f"the path has {len(path.encode())} bytes, a Unix socket's may have {MAX_SOCKET_PATH}",
            "a shorter path, for example under /run",
        )
