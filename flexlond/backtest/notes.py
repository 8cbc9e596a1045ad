"""Remarks on an input file, bounded.

Law: decides nothing; keeps the first few lines of trouble and a count of the rest, so that a file that is
wrong throughout says so in a page and not in a million lines. Source: our own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NOTES = 20


@dataclass(slots=True)
class Notes:
    """Remarks on the file `name`."""

    name: str
    _lines: list[str] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)
    _more: int = 0

    def line(self, number: int, why: str) -> None:
        """Trouble with one line, which is left out."""
        if len(self._lines) < MAX_NOTES:
            self._lines.append(f"{self.name}:{number}: {why}; left out")
        else:
            self._more += 1

    def lines(self, numbers: Iterable[int], why: str) -> None:
        """The same trouble with several lines."""
        for number in numbers:
            self.line(int(number), why)

    def many(self, troubles: Iterable[tuple[int, str]]) -> None:
        """Several (line number, why)."""
        for number, why in troubles:
            self.line(number, why)

    def say(self, text: str) -> None:
        """A remark on the file as a whole."""
        self._said.append(f"{self.name}: {text}")

    def texts(self) -> tuple[str, ...]:
        """All remarks: on the whole, on lines, and how many more lines there were."""
        more = [f"{self.name}: and {self._more} more such lines"] if self._more else []
        return (*self._said, *self._lines, *more)

    def first(self) -> str:
        """The first remark in brackets, to end the error that nothing is usable; "" without one."""
        texts = self.texts()
        return f" (first remark: {texts[0]})" if texts else ""
