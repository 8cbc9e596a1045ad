"""Which reservations of the `kw` licence the helper makes, changes and takes away: pure policy.

Law: pure. Only the licence `kw`, only names with our prefix that this helper remembers to have made; never
more than the site's total, never longer or farther ahead than the configuration allows, never two at one
moment, and nothing where no partition takes part. Fewer reservations is always allowed. What somebody else
changed or deleted stays as they left it; what slurmctld forgot is put back. Epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flexlond.model.action import Outcome
from flexlond.model.licence import PREFIX, Stretch, StretchResult, kw_of
from flexlond.model.slurmtime import format_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flexlond.model.job import Reservation
    from flexlond.model.settings import LicenceSettings

SETTLED = 15  # seconds after which slurmctld does not forget a change any more (it saves every 5)


@dataclass(frozen=True, slots=True)
class Made:
    """A reservation that this helper made. `ours` are the (end, kw) that it ever gave it."""

    name: str
    end: int
    kw: int
    ours: tuple[tuple[int, int], ...]
    made_at: int
    settled: bool = (
        False  # seen in force long after it was made: if it is gone, somebody deleted it
    )

    def given(self, stretch: Stretch) -> Made:
        """With another end or depth."""
        values = (stretch.end, stretch.kw)
        return replace(self, end=values[0], kw=values[1], ours=(*self.ours, values)[-50:])


@dataclass(frozen=True, slots=True)
class Todo:
    """What is to be sent, in this order, and what needs no sending."""

    delete: tuple[str, ...]
    change: tuple[Stretch, ...]
    create: tuple[Stretch, ...]
    settled: tuple[StretchResult, ...]


def seen_of(reservations: Iterable[Reservation], now: int) -> dict[str, Stretch]:
    """Reservations under our prefix that are not over, by name; `start` as it is in the name."""
    found = {}
    for one in reservations:
        moment = one.name.removeprefix(PREFIX)
        if not one.name.startswith(PREFIX) or not moment.isdecimal() or one.end <= now:
            continue
        found[one.name] = Stretch(int(moment), one.end, kw_of(one.licenses) or 0)
    return found


def refused(stretch: Stretch, code: str, detail: str) -> StretchResult:
    """Nothing is sent for it."""
    return StretchResult(stretch, Outcome.REFUSED, code, detail)


def allowed(
    wanted: Sequence[Stretch], settings: LicenceSettings, *, total: int, now: int
) -> list[StretchResult]:
    """Those of `wanted` that the policy refuses, with the reason; `total` are the licences that Slurm has."""
    most = min(total, settings.total_kw)
    found = []
    over = 0  # when all those before it are over
    for number, one in enumerate(sorted(wanted)):
        length, ahead = one.end - one.start, one.end - now
        checks = (
            (
                not settings.taking_part,
                "off",
                "no partition takes part (licence.partitions)",
            ),
            (number >= settings.most, "too-many", f"at most {settings.most} (licence.most)"),
            (one.end <= now, "past", f"it was over at {format_moment(one.end)}"),
            (length <= 0 or one.start <= 0, "past", "it ends before it begins"),
            (
                length > settings.longest_seconds,
                "too-long",
                f"{length} s, at most {settings.longest_seconds} s (licence.longest_seconds)",
            ),
            (
                ahead > settings.ahead_seconds,
                "too-far",
                f"it ends {ahead} s from now, at most {settings.ahead_seconds} s (licence.ahead_seconds)",
            ),
            (one.start < over, "overlap", "an earlier one is not over when it begins"),
            (
                not 1 <= one.kw <= most,
                "over-total",
                f"{one.kw} of {total} kw licences in Slurm, {settings.total_kw} in licence.total_kw",
            ),
        )
        why = next(((code, detail) for applies, code, detail in checks if applies), None)
        if why is not None:
            found.append(refused(one, *why))
        over = max(over, one.end)
    return found


def todo(wanted: Iterable[Stretch], made: Mapping[str, Made], seen: Mapping[str, Stretch]) -> Todo:
    """What brings `seen` to `wanted` (allowed, none overlapping), by what the helper remembers."""
    change: list[Stretch] = []
    create: list[Stretch] = []
    settled: list[StretchResult] = []
    names = set()
    for one in wanted:
        names.add(one.name)
        own, there = made.get(one.name), seen.get(one.name)
        if there is not None and own is None:
            settled.append(
                refused(one, "not-ours", f"somebody else made the reservation {one.name}")
            )
        elif there is None and own is not None and own.settled:
            detail = f"somebody deleted the reservation {one.name}: order another window for it"
            settled.append(refused(one, "deleted-by-other", detail))
        elif there is None:
            create.append(one)
        elif there == one:
            settled.append(StretchResult(one, Outcome.ALREADY_SO, "already-so", "it is in force"))
        elif own is not None and (there.end, there.kw) not in own.ours:
            detail = f"somebody changed {one.name} to {there.kw} until {format_moment(there.end)}"
            settled.append(refused(one, "changed-by-other", detail))
        else:
            change.append(one)
    delete = tuple(sorted(name for name in seen if name in made and name not in names))
    return Todo(delete, tuple(change), tuple(create), tuple(settled))


def watched(made: Mapping[str, Made], seen: Mapping[str, Stretch], now: int) -> list[Made]:
    """Records that are settled by what is seen now, for the first time."""
    return [
        replace(own, settled=True)
        for name, own in made.items()
        if not own.settled and name in seen and now >= own.made_at + SETTLED
    ]
