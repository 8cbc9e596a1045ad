"""SIGKILL of the site or the grid at every step of a bid, as test_market_kill.py does it for a sale."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.crash.bid_sides import BidderSeat, TenderSeat
from tests.crash.market_sides import FIRST, SLOT, Apart, acts
from tests.crash.test_market_kill import BEGIN, END, POINTS, Phase, Play, is_

if TYPE_CHECKING:
    from pathlib import Path

WON = [
    Phase("", is_("ACTIVE")),
    Phase("", lambda _: True, at=float(FIRST + SLOT + 1)),
    Phase("", is_("COMPLETE"), at=END),
]


def play(who: str, folder: Path, kill_at: int) -> tuple[Play, int]:
    """A whole bid with one side killed at a point; how many points there were, if it lived."""
    folder.mkdir()
    seats: dict[str, Any] = {"site": BidderSeat, "grid": TenderSeat}
    victim = Apart(seats.pop(who), folder)
    victim.close()
    victim.start(kill_at)
    ((_, made),) = seats.items()
    other = made(folder, lambda: None)
    site, grid = (victim, other) if who == "site" else (other, victim)
    playing = Play(folder, site, grid, victim, BEGIN)
    try:
        playing.run(WON)
        playing.rest()
        check(playing)
        return playing, victim.close()
    finally:
        other.close()


def check(playing: Play) -> None:
    """Both sides say the same; everything is answered; one window was made, and nothing was done twice."""
    site, grid = playing.buyer.state(), playing.seller.state()
    assert (site["state"], grid["state"]) == ("COMPLETE", "COMPLETE")
    assert (site["contracts"], grid["contracts"]) == (1, 1)
    assert (site["failed"], grid["failed"]) == ([], [])
    assert (site["sales"], site["kinds"]) == (["over"], ["bid"])
    assert (site["held"], grid["lots"], grid["ratings"]) == ({}, ["DONE"], [5])
    done = acts(playing.folder / "shop.jsonl")
    assert [act for act, _ in done] == ["make"]
    said = Counter(site["said"]) - Counter({"discover": 99, "status": 99})
    assert said == Counter(["select", "init", "confirm"])
    assert site["said"].count("status") >= 2
    for side in (site, grid):
        moves = Counter(side["moves"])
        assert moves["confirm"] == moves["select"] == moves["init"] == 1
        assert max(moves.values()) == 1, moves


@pytest.mark.parametrize("who", ["site", "grid"])
def test_killed_at_a_step_the_bid_ends_in_one_way_and_is_kept_once(
    who: str, tmp_path: Path
) -> None:
    playing, points = play(who, tmp_path / "lives", 0)
    assert playing.deaths == 0
    assert points > 60
    chosen = range(1, points)
    if POINTS:
        chosen = range(1 + points // (2 * POINTS), points, max(1, points // POINTS))
    for point in chosen:
        try:
            playing, _ = play(who, tmp_path / str(point), point)
        except AssertionError as error:
            raise AssertionError(f"killed at point {point} of {points}: {error}") from error
        assert playing.deaths == 1, f"point {point} of {points} was not reached"
        shutil.rmtree(tmp_path / str(point))
