"""What must hold in [[power_caps]], beyond the type of each value.

Law: as in config_checks.py, of which this is a part: pure, every problem is found, none is raised. Only
partitions that are listed take part, and a speed that was not measured is not guessed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from flexlond.daemon.config_problem import Problem, problem_of, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.model.settings import PowerCapSettings, Settings

_LEAST_POINTS = 2
_MOST_WATTS = 100_000.0


def power_caps(settings: Settings) -> Iterator[Problem]:
    """[[power_caps]]."""
    names: set[str] = set()
    taken: set[str] = set()
    for number, chosen in enumerate(settings.power_caps, start=1):
        key = f"power_caps#{number}"
        if not chosen.name or chosen.name in names:
            yield problem_of(
                f"{key}.name", f'"{chosen.name}" is empty or stands twice', "a name of its own"
            )
        names.add(chosen.name)
        if not chosen.partitions:
            yield problem_of(
                f"{key}.partitions",
                "lists none: only nodes of partitions that the site lists may be capped",
                'the names of partitions, for example ["gpu"]',
            )
        for partition in taken & set(chosen.partitions):
            yield problem_of(
                f"{key}.partitions", f'"{partition}" is in two sections', "each partition once"
            )
        taken |= set(chosen.partitions)
        yield from within(f"{key}.lease_seconds", chosen.lease_seconds, 10, 3600, "seconds")
        yield from _curve(f"{key}.curve", chosen)


def _curve(key: str, chosen: PowerCapSettings) -> Iterator[Problem]:
    form = "two points or more, [W of a node, relative speed], rising to a speed of 1.0"
    points = chosen.curve
    if len(points) < _LEAST_POINTS:
        yield problem_of(key, f"has {len(points)} points", form)
        return
    for number, (watts, speed) in enumerate(points, start=1):
        if not 0 < watts <= _MOST_WATTS or not 0 < speed <= 1:
            yield problem_of(f"{key}#{number}", f"[{watts:g}, {speed:g}] is out of range", form)
    if any(later[0] <= one[0] or later[1] < one[1] for one, later in pairwise(points)):
        yield problem_of(key, "does not rise from point to point", form)
    if points[-1][1] != 1:
        yield problem_of(key, f"ends at a speed of {points[-1][1]:g}", form)
