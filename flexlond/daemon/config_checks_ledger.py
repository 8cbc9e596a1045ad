"""What must hold in [ledger], beyond the type of each value.

Law: as in config_checks.py, of which this is a part: pure, every problem is found, none is raised. Whether
key and folders are there shows at the start.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flexlond.daemon.config_problem import Problem, absolute, problem_of, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.model.settings import Settings

_NAME = re.compile(r"[!-*,-~]{1,200}")  # as flexlond/settlement/ledger/note.py takes it
_CREDENTIAL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_DAYS = 36_500


def ledger(settings: Settings) -> Iterator[Problem]:
    """[ledger]."""
    chosen = settings.ledger
    if chosen.name and not _NAME.fullmatch(chosen.name):
        yield problem_of(
            "ledger.name",
            f'"{chosen.name}" cannot stand in a signed note',
            'printable ASCII without blanks and "+", for example "hpc.example.org/flexlon"',
        )
    for key in ("path", "second_place"):
        if value := getattr(chosen, key):
            yield from absolute(f"ledger.{key}", value)
            if not chosen.name:
                yield problem_of(
                    f"ledger.{key}",
                    "is set, but without ledger.name no ledger is kept",
                    'name = "hpc.example.org/flexlon", or no other key of [ledger]',
                )
    if not chosen.key.startswith("/") and not _CREDENTIAL.fullmatch(chosen.key):
        yield problem_of(
            "ledger.key",
            f'"{chosen.key}" names no credential',
            "the name in LoadCredential= of the unit, or an absolute path",
        )
    yield from within("ledger.keep_days", chosen.keep_days, 0, _MOST_DAYS, "days")
    yield from within("ledger.personal_days", chosen.personal_days, 0, _MOST_DAYS, "days")
