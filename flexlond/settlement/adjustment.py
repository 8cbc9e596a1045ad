"""The in-day adjustment of a baseline, and the guard that nobody feeds it.

Law: pure. The mean of metered less baseline over the window before an event is added to every period of the
event, flat. The window is `profile.window` periods that end `profile.gap` periods before the event; what of
it lies in the day before is left out and said, and a period without a usable reading makes the adjustment
zero. Whether an activity is adjusted at all is the product's matter: by what is known a balancing acceptance
is and wholesale activity alone is not. To raise load inside the window raises the baseline, so a plan must
not: `raised_within` says where it would. Wh of import; times are epoch seconds (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import LENGTH, date_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.settlement.baseline import Profile
    from flexlond.settlement.readings import Reading


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is added to the baseline of each period of an event."""

    wh: int = 0
    window: tuple[int, ...] = ()  # the starts of the periods that it was taken from
    applied: bool = False
    detail: str = ""


def window_of(event_start: int, profile: Profile) -> range:
    """The starts of the periods of the window before an event."""
    end = event_start - profile.gap * LENGTH
    return range(end - profile.window * LENGTH, end, LENGTH)


def adjustment(
    event_start: int,
    metered: Mapping[int, Reading],
    base: Mapping[int, int],
    profile: Profile,
) -> Adjustment:
    """The adjustment of an event; `metered` and `base` by the periods' starts (Wh)."""
    today = date_of(event_start)
    wanted = window_of(event_start, profile)
    window = tuple(start for start in wanted if date_of(start) == today)
    detail = ""
    if len(window) < len(wanted):
        detail = f"{len(wanted) - len(window)} periods of its window lie in the day before"
    if not window:
        return Adjustment(0, (), applied=False, detail=detail or "it has no window")
    differences = []
    for start in window:
        one = metered.get(start)
        if one is None or one.quality not in profile.usable or start not in base:
            return Adjustment(
                0, window, applied=False, detail="a period of its window has no usable reading"
            )
        differences.append(one.wh - base[start])
    return Adjustment(
        _half_up(sum(differences), len(differences)), window, applied=True, detail=detail
    )


def adjusted(wh: int, change: Adjustment, profile: Profile) -> int:
    """The baseline of one period of the event."""
    return max(0, wh + change.wh) if profile.import_only else wh + change.wh


def raised_within(
    before: Mapping[int, float],
    after: Mapping[int, float],
    event_starts: Sequence[int],
    profile: Profile,
) -> tuple[int, ...]:
    """The periods of any event's window in which a plan would draw more than the plan before it.

    `before` and `after` are Wh (or kW, both alike) by the periods' starts; one that is in neither is not
    judged. Empty: the plan may be used. A period that only `after` has counts as raised when it draws
    anything.
    """
    windows = {start for event in event_starts for start in window_of(event, profile)}
    return tuple(
        sorted(start for start in windows if after.get(start, 0.0) > before.get(start, 0.0) + 1e-9)
    )


def _half_up(total: int, count: int) -> int:
    return (Fraction(total, count) + Fraction(1, 2)).__floor__()
