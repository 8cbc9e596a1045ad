"""A forked child does not collect what waits for a thread that only its parent has."""

from __future__ import annotations

import gc

from tests.crash.forked import in_child


class Waits:
    """In a circle with itself: only the collector finds it. Counts its ends in place of waiting."""

    ended = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Waits.ended += 1


def collected() -> int:
    gc.collect()
    return Waits.ended


def test_garbage_of_the_parent_is_left_alone_and_that_of_the_child_is_not() -> None:
    def work() -> int:
        of_the_parent = collected()
        Waits()
        return 10 * of_the_parent + collected()

    before = collected()
    Waits()
    assert in_child(work) == (0, 11 * before + 1)
    assert gc.isenabled()
    assert collected() == before + 1
