"""SIGKILL of either side's process at every step of an order, and what becomes of the order.

The steps are those of the whole life cycle: discover or select, init, confirm, the window made, update in two
phases, status, support, cancel in two phases, delivery, completion, rating. A process is killed before each of
its SQL statements and around each act of its works; then it starts again from its files, and the order goes on.
FLEXLON_KILLS sets how many points of each history are tried (0: all; a sample by default), FLEXLON_KILLS_FROM
and FLEXLON_KILLS_TO a part of them.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.crash.market_sides import (
    FIRST,
    SLOT,
    Apart,
    DiedError,
    GridSeat,
    ScriptSeat,
    SellerSeat,
    acts,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POINTS = int(os.environ.get("FLEXLON_KILLS", "6"))
BEGIN = FIRST - 2 * SLOT
ROUNDS = 16


@dataclass
class Phase:
    """Say something, until something is so; at a moment, if it has one."""

    say: str
    until: Callable[[dict[str, Any]], bool]
    said: Callable[[dict[str, Any]], bool] = lambda _: True  # whether it is in the files
    at: float = 0.0


def asked(action: str) -> Callable[[dict[str, Any]], bool]:
    return lambda state: action in state["said"]


def heard(action: str, times: int = 1) -> Callable[[dict[str, Any]], bool]:
    return lambda state: state["heard"].count(action) >= times


def is_(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: found["state"] == state


END = float(FIRST + 2 * SLOT + 1)
ORDER = Phase("order", is_("ACTIVE"), lambda state: state["contracts"] > 0)
KEPT = [
    ORDER,
    Phase("update", heard("on_update", 2), asked("update")),
    Phase("status", heard("on_status"), asked("status")),
    Phase("support", heard("on_support"), asked("support")),
    Phase("", lambda _: True, at=float(FIRST + SLOT + 1)),
    Phase("", is_("COMPLETE"), at=END),
    Phase("rate", heard("on_rate"), asked("rate")),
]
CANCELLED = [ORDER, Phase("cancel", is_("CANCELLED"), asked("cancel"))]
BOUGHT = [
    Phase("order", is_("ACTIVE"), lambda state: bool(state["needs"])),
    Phase("", lambda _: True, at=float(FIRST + SLOT + 1)),
    Phase("", is_("COMPLETE"), at=END),
    Phase("", lambda state: state["ratings"] == [5] and "on_rate" in state["heard"]),
]


@dataclass
class Play:
    """Two sides and what is wanted of them."""

    folder: Path
    buyer: Any
    seller: Any
    victim: Apart
    now: float = BEGIN
    deaths: int = 0
    sides: list[Any] = field(default_factory=list)

    def run(self, phases: list[Phase]) -> None:
        """To the end, whatever happens."""
        for phase in phases:
            self.now = max(self.now, phase.at)
            for _ in range(ROUNDS):
                if self._try(phase):
                    break
                self.now += 31.0  # what was under way is due again
            else:
                raise AssertionError(f"{phase.say or 'it'} did not come to its end")

    def rest(self) -> None:
        """Until nothing is open."""
        for _ in range(ROUNDS):
            try:
                self._settle()
                if not any(one.state()["open"] for one in (self.buyer, self.seller)):
                    return
            except DiedError:
                self._again()
            self.now += 31.0
        raise AssertionError("something stays open")

    def _try(self, phase: Phase) -> bool:
        try:
            if phase.say and not phase.said(self.buyer.state()):
                self.buyer.say(phase.say, self.now)
            self._settle()
            return phase.until(self.buyer.state())
        except DiedError:
            self._again()
            return False

    def _again(self) -> None:
        self.deaths += 1
        self.victim.start(0)

    def _settle(self) -> None:
        for _ in range(60):
            moved = 0
            for side, other in ((self.buyer, self.seller), (self.seller, self.buyer)):
                moved += side.step(self.now)
                for seq, action, header, body in side.fetch(self.now):
                    moved += 1
                    answer = None
                    try:
                        answer = other.take(action, header, body, self.now)
                    except DiedError:
                        side.told(seq, None, self.now)  # nobody there
                        raise
                    assert answer[0] == 200, answer
                    side.told(seq, answer, self.now)
            if not moved:
                return
        raise AssertionError("it does not come to rest")


def play(history: str, folder: Path, kill_at: int) -> tuple[Play, int]:
    """One history with the victim killed at a point; how many points there were, if it lived."""
    who, phases = HISTORIES[history]
    folder.mkdir()
    made = {"seller": SellerSeat, "buyer": ScriptSeat, "grid": GridSeat}[who]
    victim = Apart(made, folder)
    victim.close()
    victim.start(kill_at)
    if who == "seller":
        other: Any = ScriptSeat(folder, lambda: None)
        playing = Play(folder, other, victim, victim)
    else:
        other = SellerSeat(folder, lambda: None)
        playing = Play(folder, victim, other, victim)
    try:
        playing.run(phases)
        playing.rest()
        check(playing, history)
        return playing, victim.close()
    finally:
        other.close()


HISTORIES = {
    "seller, kept": ("seller", KEPT),
    "seller, cancelled": ("seller", CANCELLED),
    "buyer, kept": ("buyer", KEPT),
    "buyer, cancelled": ("buyer", CANCELLED),
    "grid, bought": ("grid", BOUGHT),
}


def check(playing: Play, history: str) -> None:
    """Both sides say the same; everything is answered; nothing was done twice."""
    buyer, seller = playing.buyer.state(), playing.seller.state()
    want = "CANCELLED" if history.endswith("cancelled") else "COMPLETE"
    assert (buyer["state"], seller["state"]) == (want, want)
    assert (buyer["contracts"], seller["contracts"]) == (1, 1)
    assert (buyer["failed"], seller["failed"]) == ([], [])
    assert seller["held"] == {}
    done = Counter(acts(playing.folder / "shop.jsonl"))
    assert set(done.values()) == {1}, done
    keys = sorted({key for _, key in done})
    said = Counter(buyer["said"]) - Counter({"discover": 9, "status": 9})
    if history.endswith("cancelled"):
        assert [(act, key == keys[0]) for act, key in done] == [("make", True), ("release", True)]
        assert seller["sale"] == "released"
        assert said == Counter(["select", "init", "confirm", "cancel", "cancel"])
    elif history == "grid, bought":
        assert list(done) == [("make", keys[0])]
        assert buyer["lots"] == ["DONE"]
        assert said == Counter(["select", "init", "confirm", "rate"])
        assert seller["rating"] == 5
    else:
        assert list(done) == [("make", keys[0]), ("make", keys[1]), ("release", keys[0])]
        assert seller["sale"] == "over"
        assert seller["rating"] == 4
        assert said == Counter(["select", "init", "confirm", "update", "update", "support", "rate"])
    answers = Counter(seller["said"])
    for action, times in said.items():
        assert answers[f"on_{action}"] == times, (action, answers)
    for side in (buyer, seller):
        moves = Counter(side["moves"])
        assert moves["confirm"] == moves["select"] == moves["init"] == 1
        assert max(moves.values()) == 1, moves


@pytest.mark.parametrize("history", list(HISTORIES))
def test_killed_at_a_step_the_order_ends_in_one_way_and_is_carried_out_once(
    history: str, tmp_path: Path
) -> None:
    playing, points = play(history, tmp_path / "lives", 0)
    assert playing.deaths == 0
    assert points > 60
    chosen = range(1, points)
    if POINTS:
        chosen = range(1 + points // (2 * POINTS), points, max(1, points // POINTS))
    first, last = (int(os.environ.get(f"FLEXLON_KILLS_{x}", "0")) for x in ("FROM", "TO"))
    killed = 0
    for point in chosen:
        if first and not first <= point <= last:
            continue
        try:
            playing, _ = play(history, tmp_path / str(point), point)
        except AssertionError as error:
            raise AssertionError(f"killed at point {point} of {points}: {error}") from error
        assert playing.deaths == 1, f"point {point} of {points} was not reached"
        shutil.rmtree(tmp_path / str(point))
        killed += 1
    print(f"{history}: {killed} of {points} points")
    assert killed
