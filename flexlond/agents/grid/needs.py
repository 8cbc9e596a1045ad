"""From notices, an operator's words or a file to needs: how many kW less are wanted, from when to when.

Law: pure. A need lies on the time grid, whole slots only; its key is its source's own, so the same notice is
never bought twice, and where two notices overlap only what the earlier need does not ask for already is added.
A level with no kW in the configuration buys nothing. kW are a reduction, positive; epoch seconds; GBP.
Source: our own; the levels are those of flexlond/signals/stress.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from flexlond.model.buy_settings import GOALS
from flexlond.signals.stress import Notice, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flexlond.model.buy_settings import BuySettings

LONGEST_SLOTS = 96


class NeedError(ValueError):
    """A need that cannot be meant; the text says what is expected."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One need. `kw` has one value for each slot from `start`."""

    key: str
    source: str
    words: str
    start: int
    slot_seconds: int
    kw: tuple[float, ...]
    budget_gbp: float
    goal: str

    @property
    def end(self) -> int:
        """The end of the last slot."""
        return self.start + self.slot_seconds * len(self.kw)

    def starts(self) -> list[int]:
        """The start of each slot."""
        return [self.start + at * self.slot_seconds for at in range(len(self.kw))]


def of_operator(  # noqa: PLR0917 - what a person gives
    key: str,
    kw: float,
    start: int,
    end: int,
    budget_gbp: float,
    goal: str,
    slot_seconds: int,
    words: str = "entered by an operator",
) -> Wanted:
    """A need of one figure over whole slots. Raises NeedError."""
    if not (math.isfinite(kw) and kw > 0.0):
        raise NeedError(f"{kw:g} kW; expected a number above 0")
    if math.isnan(budget_gbp) or budget_gbp < 0.0:
        raise NeedError(f"a budget of {budget_gbp:g} GBP; expected 0 or more")
    if goal not in GOALS:
        raise NeedError(f"the goal {goal[:20]!r}; expected one of {', '.join(GOALS)}")
    if start % slot_seconds or end % slot_seconds:
        raise NeedError(
            f"from {_utc(start)} to {_utc(end)}; expected whole slots of {slot_seconds} s, like"
            f" {_utc(start - start % slot_seconds)}"
        )
    count = (end - start) // slot_seconds
    if not 0 < count <= LONGEST_SLOTS:
        raise NeedError(
            f"from {_utc(start)} to {_utc(end)}; expected 1 to {LONGEST_SLOTS} slots of {slot_seconds} s"
        )
    return Wanted(key, "operator", words, start, slot_seconds, (kw,) * count, budget_gbp, goal)


def of_notices(
    notices: Iterable[Notice],
    standing: Sequence[Wanted],
    settings: BuySettings,
    slot_seconds: int,
    now: int,
) -> list[Wanted]:
    """The needs that notices make and that are not among `standing` yet; the worst notice first."""
    levels = {
        Stage.WATCH: settings.watch_kw,
        Stage.TIGHT: settings.tight_kw,
        Stage.EMERGENCY: settings.emergency_kw,
    }
    keys = {one.key for one in standing}
    asked: dict[int, float] = {}
    for one in standing:
        if one.source == "operator":
            continue
        for at, kw in zip(one.starts(), one.kw, strict=True):
            asked[at] = asked.get(at, 0.0) + kw
    made = []
    for notice in notices:
        wanted = notice.kw if notice.kw is not None else levels.get(notice.stage, 0.0)
        if notice.key in keys or wanted <= 0.0:
            continue
        slots = _slots(notice, slot_seconds, now)
        missing = [max(0.0, wanted - asked.get(at, 0.0)) for at in slots]
        if not any(missing):
            continue
        for at, more in zip(slots, missing, strict=True):
            asked[at] = asked.get(at, 0.0) + more
        keys.add(notice.key)
        made.append(
            Wanted(
                notice.key,
                notice.source,
                notice.words,
                slots[0],
                slot_seconds,
                tuple(missing),
                settings.budget_gbp,
                settings.goal,
            )
        )
    return made


def _slots(notice: Notice, slot_seconds: int, now: int) -> list[int]:
    """The slots that a notice touches and that are not over yet, at most LONGEST_SLOTS."""
    first = max(notice.start - notice.start % slot_seconds, now - now % slot_seconds)
    end = min(notice.end, first + LONGEST_SLOTS * slot_seconds)
    return list(range(first, end, slot_seconds))


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    kw: float
    start: datetime
    end: datetime
    budget_gbp: float | None = None
    goal: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    need: list[_Entry] = []


def of_file(raw: bytes, settings: BuySettings, slot_seconds: int) -> list[Wanted]:
    """The needs of a TOML file with `[[need]]` tables. Raises NeedError naming the one that is wrong."""
    try:
        read = msgspec.toml.decode(raw, type=_File)
    except msgspec.DecodeError as error:
        raise NeedError(f"the needs file cannot be read: {error}") from None
    found: dict[str, Wanted] = {}
    for entry in read.need:
        if entry.start.tzinfo is None or entry.end.tzinfo is None:
            raise NeedError(f"need {entry.name!r}: moments without an offset; write a Z at the end")
        if entry.name in found:
            raise NeedError(f"need {entry.name!r} stands twice; a name is a need's own for good")
        budget = settings.budget_gbp if entry.budget_gbp is None else entry.budget_gbp
        try:
            found[entry.name] = of_operator(
                f"file:{entry.name}",
                entry.kw,
                int(entry.start.timestamp()),
                int(entry.end.timestamp()),
                budget,
                entry.goal or settings.goal,
                slot_seconds,
                f"{entry.name}, of the needs file",
            )
        except NeedError as error:
            raise NeedError(f"need {entry.name!r}: {error}") from None
    return list(found.values())


def open_kw(wanted: Wanted, bought: Mapping[int, float]) -> list[float]:
    """What is not bought yet, by slot."""
    return [
        max(0.0, kw - bought.get(at, 0.0))
        for at, kw in zip(wanted.starts(), wanted.kw, strict=True)
    ]


def _utc(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
