"""How far a backtest is: a bar on a terminal, lines elsewhere; and what has finished is put on disk.

Law: tells and keeps, decides nothing. Everything goes to stderr. A run is on disk before it is told. SIGTERM (a
time limit of Slurm, scancel) ends a study as Ctrl-C does; neither comes between a finished run and its part.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from flexlond.backtest.parts import write_part

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.backtest.parts import Identity
    from flexlond.backtest.runner import Done


_STOPPING = (signal.SIGINT, signal.SIGTERM)


class Progress:
    """Keeps each finished run on disk and says how far it is: a bar on a terminal, else lines."""

    def __init__(self, total: int, identity: Identity, out: Path | None) -> None:
        self._total, self._done = total, 0
        self._keeping = self._stopped = False
        self._identity, self._out = identity, out
        self._console = Console(stderr=True, markup=False, highlight=False)
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._line = self._bar.add_task("replaying", total=total)

    def __enter__(self) -> Self:
        self._before = [(one, signal.signal(one, self._stop)) for one in _STOPPING]
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        for one, handler in self._before:
            signal.signal(one, handler)

    def tell(self, done: Done) -> None:
        """One run has ended. Raises KeyboardInterrupt once it is kept, where one came meanwhile."""
        self._keeping = True
        self._keep(done)
        self._keeping = False
        if self._stopped:
            raise KeyboardInterrupt

    def _stop(self, *_: object) -> None:
        """Once: what follows a first interrupt is short, and a second must not leave it half done."""
        first, self._stopped = not self._stopped, True
        if first and not self._keeping:
            raise KeyboardInterrupt

    def _keep(self, done: Done) -> None:
        self._done += 1
        if done.run is not None and self._out is not None:
            write_part(self._out, self._identity, done.task, done.run)
        words = f"{done.task.name}, seed {done.task.seed}: {done.seconds:.1f} s"
        self._bar.update(self._line, advance=1, description=words)
        if not self._console.is_terminal:
            say(f"{self._done}/{self._total} {words}" + (" FAILED" if done.run is None else ""))


def say(text: str) -> None:
    """One line for people."""
    print(f"flexlond: {text}", file=sys.stderr)
