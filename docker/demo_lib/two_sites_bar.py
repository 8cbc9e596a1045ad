"""Whether a run of docker/two-sites kept the bar: split, reported within a slot, taken over, proved later.

Law: pure; judges by what the two buyers' journals had, and by when. Each function names what is broken, or
nothing. kW; epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from demo_lib.two_sites_book import FIRST, SECOND, clock, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo_lib.two_sites_book import Book

SLOTS = 12
_SOME = 0.3  # kW that are more than noise
_SHARE = 0.8  # of what the cut-off site proved, that the grid's figure must have risen by
_DELIVERED = 0.9


@dataclass(slots=True)
class Run:
    """What was done, and when."""

    slot: int
    start: int
    wanted: float = 0.0
    offered: dict[str, float] = field(default_factory=dict)
    cut: float = 0.0
    mended: float = 0.0
    before_mend: dict[int, float] = field(default_factory=dict)  # told to the grid until then

    @property
    def slots(self) -> list[int]:
        """The begin of each slot."""
        return [self.start + number * self.slot for number in range(SLOTS)]


def broken(run: Run, book: Book) -> list[str]:
    """Why the bar is not kept; empty when it is."""
    return [*_split(run, book), *_reported(run, book), *_taken_over(run, book), *_proved(run, book)]


def _split(run: Run, book: Book) -> Iterator[str]:
    stand = [lot for lot in book.sites if lot.state != "LOST" and lot.created < run.cut]
    if {lot.seller for lot in stand} != {FIRST, SECOND}:
        yield "the order was not split between the two sites"
    if run.wanted <= max(run.offered.values()):
        yield "the order was not larger than either could give"


def _reported(run: Run, book: Book) -> Iterator[str]:
    report = book.report(run.cut)
    if report is None:
        yield "the open shortfall was not reported to the grid"
    elif report.at - run.cut > run.slot:
        yield f"it was reported {report.at - run.cut:.1f} s after the cut; a slot has {run.slot} s"


def _taken_over(run: Run, book: Book) -> Iterator[str]:
    after = [lot for lot in book.sites if lot.created > run.cut]
    taken = [lot for lot in after if lot.seller == SECOND and lot.state in {"ORDERED", "DONE"}]
    if not taken:
        yield f"{SECOND} took nothing over"
    for lot in taken:
        given, sold = sum(lot.told.get(at, 0.0) for at in lot.kw), sum(lot.kw.values())
        if given < _DELIVERED * sold:
            yield f"{SECOND} took over {sold:.2f} kW slots and proved {given:.2f} of them"
    if any(lot.seller == FIRST and lot.created < run.mended for lot in after):
        yield f"{FIRST} was asked for more while it was cut off"


def _proved(run: Run, book: Book) -> Iterator[str]:
    final = total(book.grid, "told")
    during = [at for at in run.slots if run.cut < at + run.slot < run.mended]
    ours = {at: _of_first(book, at) for at in during}
    if not any(at in run.before_mend for at in during):
        yield "nothing was told of the slots of the cut while it lasted"
    if not any(kw > _SOME for kw in ours.values()):
        yield f"{FIRST} proved nothing of what it delivered while it was cut off"
    for at, kw in ours.items():
        rose = final.get(at, 0.0) - run.before_mend.get(at, 0.0)
        if at in run.before_mend and kw > _SOME and rose < _SHARE * kw:
            yield f"{FIRST} proved {kw:.2f} kW of {clock(at)}; what the grid knows rose by {rose:.2f}"
    if not any(lot.state == "DONE" for lot in book.grid):
        yield "the order was not completed"


def _of_first(book: Book, at: int) -> float:
    return sum(lot.told.get(at, 0.0) for lot in book.sites if lot.seller == FIRST)
