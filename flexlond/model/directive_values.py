"""One word of a flex directive: its key, its value, or why it is refused.

Law: decides what a single word means, whoever wrote it (user or class); combines nothing. Pure. Bytes come
in as one character each. Kinds and texts are those of directive_keys; slurm_plugin/job_submit.lua reads
words in the same order of checks, so the first fault found is the same in both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flexlond.model.directive_keys import KEYS, MESSAGES, SIGNALS, UNCATCHABLE, Key
from flexlond.model.slurmtime import SlurmTimeError, moment_in_reach, parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

SHOWN = 60  # bytes of a word that are echoed

_BY_NAME = {key.name: key for key in KEYS}
_NUMBER = re.compile(r"(-?[0-9]{1,9}(?:\.[0-9]{1,9})?)(.*)\Z")
_AMOUNT = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?(?:[eE][+-]?[0-9]{1,2})?\Z")
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,31}\Z")
_CLUSTER = re.compile(r"[a-z0-9_-]{1,40}\Z")
_MOST_SITES = 8
_COUNT = re.compile(r"[0-9]{1,9}\Z")
_SPEC = re.compile(r"([^@]+)@(.+)\Z")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class Preempt(StrEnum):
    """What the owner allows once the job runs."""

    NONE = "none"
    REQUEUE = "requeue"
    SUSPEND = "suspend"


@dataclass(frozen=True, slots=True)
class PowerSpec:
    """Power as the owner states it: watts for each `per`, before PUE."""

    watts: float
    per: str  # "job", "node", "gpu" or "cpu"


@dataclass(frozen=True, slots=True)
class Scope:
    """What the reading of a word may depend on."""

    now: int
    tz: ZoneInfo
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A directive that is refused: the word at fault, why, and the correct form."""

    word: str
    why: str
    correct: str

    @property
    def line(self) -> str:
        """The one line the user sees."""
        return f"flexlon: '{self.word}': {self.why}; {self.correct}"

    @classmethod
    def of(
        cls, code: str, word: str, *values: str, key: str = "", scope: Scope | None = None
    ) -> Rejected:
        """The refusal `code` of directive_keys.MESSAGES with its values filled in."""
        why, correct = MESSAGES[code]
        if not correct:
            correct = _BY_NAME[key].form
            values += (known_classes(scope),) if key == "class" and scope else ()
        cut = why.count("%s")
        return cls(shown(word), why % values[:cut], correct % values[cut:])


@dataclass(frozen=True, slots=True)
class Term:
    """A word that was understood. `word` is how a refusal names it."""

    key: str
    value: Any
    word: str


Terms = dict[str, Term]


def shown(text: str) -> str:
    """`text` safe to print and short."""
    text = _UNPRINTABLE.sub("?", text)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def known_classes(scope: Scope) -> str:
    """The classes' names for a message."""
    return ", ".join(sorted(scope.classes)) or "(the site has none)"


def find_class(name: str, scope: Scope) -> str | None:
    """The class of that name, whatever its case, as the configuration spells it."""
    return next((known for known in sorted(scope.classes) if known.lower() == name.lower()), None)


def nearest(name: str, known: tuple[str, ...]) -> str:
    """The known name that contains `name`, else the one with the fewest single-character edits to it.

    Of equals the earlier one.
    """
    name = name[:32]
    inside = [candidate for candidate in known if len(name) >= 3 and name in candidate]
    return inside[0] if inside else min(known, key=lambda candidate: _distance(name, candidate))


def _distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def read_word(word: str, name: str, scope: Scope) -> Term | Rejected:
    """Read `key=value` or `off`; `name` is how a refusal calls the word."""
    key, equals, text = word.partition("=")
    key = _lower(key)
    if key == "off":
        return Rejected.of("off", name, key="off") if equals else Term("off", True, name)
    if not equals:
        if key in {"am", "pm"}:
            return Rejected.of("half-day", name)
        known = find_class(key, scope)
        return Rejected.of("bare-class", name, known) if known else Rejected.of("bare", name)
    definition = _BY_NAME.get(key)
    if definition is None:
        names = tuple(known for known in _BY_NAME if known != "off")
        return Rejected.of("unknown", name, shown(key), nearest(key, names), ", ".join(names))
    if not text:
        return Rejected.of("empty", name, key=key, scope=scope)
    value = _READERS[definition.kind](text, definition, name, scope)
    return value if isinstance(value, Rejected) else Term(key, value, name)


def _lower(text: str) -> str:
    """ASCII only: a byte of UTF-8 must not change."""
    return text.translate(_LOWER)


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _read_class(text: str, key: Key, name: str, scope: Scope) -> str | Rejected:
    found = find_class(_lower(text), scope)
    return found or Rejected.of("no-class", name, shown(text), key=key.name, scope=scope)


def _read_time(text: str, key: Key, name: str, scope: Scope) -> int | Rejected:
    try:
        return parse_time(text, scope.now, scope.tz)
    except SlurmTimeError as error:
        return Rejected.of(error.code, name, key=key.name)


def _read_duration(text: str, key: Key, name: str, _: Scope) -> int | Rejected:
    try:
        return parse_duration(text)
    except SlurmTimeError as error:
        return Rejected.of(error.code, name, key=key.name)


def _read_latency(text: str, key: Key, name: str, scope: Scope) -> int | Rejected:
    """The moment that the length reaches from the submission on: it never moves afterwards."""
    try:
        return moment_in_reach(scope.now + parse_duration(text), text)
    except SlurmTimeError as error:
        return Rejected.of(error.code, name, key=key.name)


def _read_preempt(text: str, key: Key, name: str, _: Scope) -> Preempt | Rejected:
    text = _lower(text)
    return Preempt(text) if text in set(Preempt) else Rejected.of("bad-preempt", name, key=key.name)


def _read_checkpoint(text: str, key: Key, name: str, _: Scope) -> tuple[str, int] | Rejected:
    spec = _SPEC.match(text)
    if not spec:
        return Rejected.of("bad-checkpoint", name, key=key.name)
    signal = spec[1].translate(_UPPER).removeprefix("SIG")
    if _COUNT.match(signal):
        signal = str(int(signal))
        known = 1 <= int(signal) <= 64 and int(signal) not in UNCATCHABLE
    else:
        known = signal in SIGNALS
    if not known:
        return Rejected.of("bad-signal", name, shown(spec[1]), key=key.name)
    if not _COUNT.match(spec[2]) or int(spec[2]) > 65535:
        return Rejected.of("bad-seconds", name, key=key.name)
    return signal, int(spec[2])


_UPPER = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}


def _read_count(text: str, key: Key, name: str, _: Scope) -> int | Rejected:
    if not _COUNT.match(text) or int(text) > 1000:
        return Rejected.of("bad-count", name, key=key.name)
    return int(text)


def _read_power(text: str, key: Key, name: str, _: Scope) -> PowerSpec | Rejected:
    found = _NUMBER.match(text)
    if not found:
        return Rejected.of("bad-number", name, key=key.name)
    unit, slash, per = _lower(found[2]).partition("/")
    if not found[2]:
        return Rejected.of("no-unit", name, key=key.name)
    if unit not in {"w", "kw"} or (slash and per not in {"node", "gpu", "cpu"}):
        return Rejected.of("bad-unit", name, shown(found[2]), key=key.name)
    watts = float(found[1]) * (1000 if unit == "kw" else 1)
    if not 0 < watts < 1e8:
        return Rejected.of("bad-power", name, key=key.name)
    return PowerSpec(watts, per or "job")


def _read_rate(text: str, key: Key, name: str, unit: str, *, signed: bool) -> float | Rejected:
    found = _NUMBER.match(text)
    if not found or (found[1].startswith("-") and not signed):
        return Rejected.of("bad-number", name, key=key.name)
    if found[2] and _lower(found[2]) != unit:
        return Rejected.of("bad-unit", name, shown(found[2]), key=key.name)
    return float(found[1])


def _read_price(text: str, key: Key, name: str, _: Scope) -> float | Rejected:
    return _read_rate(text, key, name, "gbp/mwh", signed=True)


def _read_carbon(text: str, key: Key, name: str, _: Scope) -> float | Rejected:
    return _read_rate(text, key, name, "g/kwh", signed=False)


def _read_work(text: str, key: Key, name: str, _: Scope) -> float | Rejected:
    if not _AMOUNT.match(text):
        return Rejected.of("bad-number", name, key=key.name)
    amount = float(text)
    return amount if 0 < amount < 1e18 else Rejected.of("bad-work", name, key=key.name)


def _read_unit(text: str, key: Key, name: str, _: Scope) -> str | Rejected:
    """Lower case, so that one unit written in two ways is counted as one."""
    unit = _lower(text)
    return unit if _NAME.match(unit) else Rejected.of("bad-name", name, key=key.name)


def _read_sites(text: str, key: Key, name: str, _: Scope) -> tuple[str, ...] | Rejected:
    """Cluster names; Slurm keeps them in lower case."""
    names = tuple(_lower(text).split("+"))
    wrong = len(set(names)) < len(names) or not 2 <= len(names) <= _MOST_SITES
    if wrong or not all(map(_CLUSTER.match, names)):
        return Rejected.of("bad-sites", name, key=key.name)
    return names


_READERS: Mapping[str, Callable[[str, Key, str, Scope], Any]] = {
    "class": _read_class,
    "time": _read_time,
    "duration": _read_duration,
    "latency": _read_latency,
    "preempt": _read_preempt,
    "checkpoint": _read_checkpoint,
    "count": _read_count,
    "power": _read_power,
    "price": _read_price,
    "carbon": _read_carbon,
    "work": _read_work,
    "unit": _read_unit,
    "sites": _read_sites,
}
