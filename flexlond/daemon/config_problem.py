"""What is wrong with a configuration file: every problem at once, each with its correct form.

Law: a Problem names the full key path, why the value is refused and what would be right. Array items
are counted from 1 (`signals.price#2.url`). The text quotes the file's own words and nothing secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
