"""The flex directive: what a job comment allows us to do with the job, or why it is refused.

Law: decides consent and its terms from the comment, the site's settings and the job's own limits; nothing
else. Pure: the first submission time comes in as `now`, so the same call gives the same answer years later.
slurm_plugin/job_submit.lua takes the same decisions in the same order with the same words
(tests/vectors/directive.json runs on both). Moments are epoch seconds, lengths seconds, money GBP/MWh,
carbon g/kWh, power watts. Bytes that are no ASCII are never echoed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from flexlond.model import directive_values
from flexlond.model.directive_keys import BOUNDS, KEYS, PREEMPT_ONLY
from flexlond.model.directive_values import PowerSpec, Preempt, Rejected, Scope, Terms
from flexlond.model.slurmtime import format_duration, format_moment

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from flexlond.model.settings import DirectiveSettings, FlexClass

__all__ = [
    "UNKNOWN",
    "Directive",
    "NotFlexible",
    "PowerSpec",
    "Preempt",
    "Rejected",
    "Unknown",
    "check_classes",
    "read_directive",
]

_MARK = re.compile(r"(?:^|(?<=[ \t\n;,|]))flex:", re.IGNORECASE)
_END = re.compile(r"[\n;]|\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WORD = re.compile(r"[^ \t,]+")


class Unknown(Enum):
    """The type of UNKNOWN, so that None can mean an UNLIMITED time limit."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class Directive:
    """What the owner (or the site, for the owner) agreed to. 0 or None: not said."""

    source: Literal["directive", "site default"]
    flex_class: str = ""
    deadline: int = 0
    start_by: int = 0
    max_delay: int | None = None
    latency: int = 0  # moment: the first submission and the length that was written
    preempt: Preempt = Preempt.NONE
    checkpoint: tuple[str, int] | None = None
    min_run: int = 0
    max_preempts: int = 0
    power: PowerSpec | None = None
    max_price: float | None = None
    max_carbon: float | None = None
    work: float = 0.0  # of the whole job, in `unit`; both are said or neither
    unit: str = ""
    sites: tuple[str, ...] = ()  # clusters that it may be moved between


@dataclass(frozen=True, slots=True)
class _Limits:
    """What the job itself sets: `time_limit` and `begin` as in read_directive."""

    now: int
    time_limit: int | Unknown | None
    begin: int


@dataclass(frozen=True, slots=True)
class NotFlexible:
    """No consent: the job is none of our business."""

    reason: str
    opted_out: bool = False  # by `flex: off`


def read_directive(
    comment: str,
    settings: DirectiveSettings,
    *,
    now: int,
    tz: ZoneInfo,
    partition: str = "",
    qos: str = "",
    account: str = "",
    time_limit: int | Unknown | None = UNKNOWN,
    begin: int = 0,
) -> Directive | NotFlexible | Rejected:
    """Read a job's consent from its comment and the site's defaults.

    `now` is the first submission time (relative times count from it, for ever), `tz` the zone of the
    controller, `time_limit` seconds (None: UNLIMITED, UNKNOWN: not checked), `begin` the user's own --begin
    and never one of ours (0: none). Never raises; a Rejected carries the line the user is shown.
    """
    scope = Scope(now=now, tz=tz, classes=tuple(settings.classes))
    limits = _Limits(now, time_limit, begin)
    text = _bytes_as_text(comment)
    marks = [found.start() for found in _MARK.finditer(text)]
    if not marks:
        return _site_default(settings, scope, (partition, qos, account), limits)
    if len(marks) > 1:
        return Rejected.of("second", "flex:")
    body = text[marks[0] : _found(_END, text, marks[0])]
    if len(body) > settings.max_directive_length:
        return Rejected.of("long", "flex:", str(len(body)), str(settings.max_directive_length))
    if control := _CONTROL.search(body):
        return Rejected.of("control", "flex:", str(ord(control[0])))
    own = _read_words(_WORD.findall(body[len("flex:") :]), scope)
    if own is None:
        return NotFlexible("opted out by 'flex: off'", opted_out=True)
    if isinstance(own, Rejected):
        return own
    terms, name = own, ""
    if "class" in own:
        name = str(own["class"].value)
    elif not any(key in own for key in BOUNDS):
        name = directive_values.find_class(settings.default_class, scope) or ""
        if not name:
            return Rejected.of("no-default", "flex:")
    if name:
        base = _class_terms(name, settings.classes[name], scope)
        if isinstance(base, Rejected):
            return base
        terms = base | own
    return _settle(name, terms, own, limits)


def check_classes(settings: DirectiveSettings, *, now: int, tz: ZoneInfo) -> tuple[str, ...]:
    """What is wrong with the site's classes and opt-ins, one line each; empty when all can be read."""
    scope = Scope(now=now, tz=tz, classes=tuple(settings.classes))
    wrong: list[str] = []
    for name, flex_class in settings.classes.items():
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", name):
            wrong.append(
                f"[directive.classes.{name}]: a class name has 1 to 32 of A-Z a-z 0-9 _ . -"
            )
        if directive_values.find_class(name, scope) != name:
            wrong.append(
                f"[directive.classes.{name}]: two classes differ in upper and lower case only"
            )
        terms = _class_terms(name, flex_class, scope)
        if isinstance(terms, Rejected):
            wrong.append(f"[directive.classes.{name}]: {terms.line.removeprefix('flexlon: ')}")
    named = [("directive.default_class", settings.default_class)] if settings.default_class else []
    named += [
        ("directive.opt_in.flex_class", rule.flex_class)
        for rule in settings.opt_in
        if rule.flex_class
    ]
    wrong += [
        f"{where} = '{name}': no such class in [directive.classes]"
        for where, name in named
        if directive_values.find_class(name, scope) is None
    ]
    return tuple(wrong)


def _found(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.search(text, start)
    return found.start() if found else len(text)


def _bytes_as_text(comment: str) -> str:
    """One character per byte, as Slurm and Lua see the comment; a C string ends at its first NUL."""
    try:
        raw = comment.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = comment.encode("utf-8", "replace")
    return raw.split(b"\0", 1)[0].decode("latin-1")


def _read_words(words: list[str], scope: Scope) -> Terms | Rejected | None:
    """The words' values by key; None for `off`; the first word at fault otherwise."""
    terms: Terms = {}
    for word in words:
        term = directive_values.read_word(word, word, scope)
        if isinstance(term, Rejected):
            return term
        if term.key in terms:
            return Rejected.of("duplicate", word, term.key)
        if term.key == "off":
            return None if len(words) == 1 else Rejected.of("off", word, key="off", scope=scope)
        terms[term.key] = term
    return terms


def _class_terms(name: str, flex_class: FlexClass, scope: Scope) -> Terms | Rejected:
    """A class's values, read as if the user had written them."""
    terms: Terms = {}
    for key in KEYS:
        text = getattr(flex_class, key.name.replace("-", "_"), "")
        if not text:
            continue
        term = directive_values.read_word(
            f"{key.name}={text}", f"{key.name}={text} of class {name}", scope
        )
        if isinstance(term, Rejected):
            return term
        terms[key.name] = term
    return terms


def _site_default(
    settings: DirectiveSettings, scope: Scope, where: tuple[str, str, str], limits: _Limits
) -> Directive | NotFlexible:
    """The first opt-in that matches in every field it names; its class's values are the terms."""
    partition, qos, account = where
    for rule in settings.opt_in:
        if not (rule.partition or rule.qos or rule.account):
            continue
        if rule.partition and rule.partition != partition:
            continue
        if rule.qos and rule.qos.lower() != qos.lower():
            continue
        if rule.account and rule.account.lower() != account.lower():
            continue
        name = directive_values.find_class(rule.flex_class or settings.default_class, scope)
        if name is None:
            return NotFlexible("site default: its class does not exist")
        terms = _class_terms(name, settings.classes[name], scope)
        # The owner asked for nothing, so nothing is refused: what cannot be kept is not applied.
        if isinstance(terms, Rejected):
            return NotFlexible(f"site default: {terms.line}")
        settled = _settle(name, terms, None, limits)
        return (
            NotFlexible(f"site default: {settled.line}")
            if isinstance(settled, Rejected)
            else settled
        )
    return NotFlexible("no flex directive")


def _settle(name: str, terms: Terms, own: Terms | None, limits: _Limits) -> Directive | Rejected:
    """Refuse contradictions, then make the record. `own`: the user's words; None: site default."""
    clash = _clash_in_time(terms, limits)
    if clash:
        return clash
    preempt = terms["preempt"].value if "preempt" in terms else Preempt.NONE
    if preempt is Preempt.NONE:
        for key in PREEMPT_ONLY:
            if own and key in own:
                return Rejected.of("no-preempt", own[key].word)
        terms = {key: term for key, term in terms.items() if key not in PREEMPT_ONLY}
    if "work" in terms and "unit" not in terms:
        return Rejected.of("work-alone", terms["work"].word)
    if "unit" in terms and "work" not in terms:
        if own and "unit" in own:
            return Rejected.of("unit-alone", own["unit"].word)
        terms = {key: term for key, term in terms.items() if key != "unit"}
    values = {key.replace("-", "_"): term.value for key, term in terms.items() if key != "class"}
    if preempt is not Preempt.NONE:
        values.setdefault("max_preempts", 1)
    source: Literal["directive", "site default"] = "site default" if own is None else "directive"
    return Directive(source=source, flex_class=name, **values)


def _clash_in_time(terms: Terms, limits: _Limits) -> Rejected | None:
    """What the job's own limit and begin make impossible."""
    now, time_limit, begin = limits.now, limits.time_limit, limits.begin
    earliest = max(now, begin)
    if deadline := terms.get("deadline"):
        if deadline.value <= now:
            return Rejected.of("past", deadline.word)
        if time_limit is None:
            return Rejected.of("unlimited", deadline.word)
        limit = time_limit if isinstance(time_limit, int) else 0
        if deadline.value < earliest + limit:
            shown = "unknown" if isinstance(time_limit, Unknown) else format_duration(limit)
            return Rejected.of("too-soon", deadline.word, shown, format_moment(earliest + limit))
    if start_by := terms.get("start-by"):
        if start_by.value < now:
            return Rejected.of("past", start_by.word)
        if start_by.value < begin:
            return Rejected.of("before-begin", start_by.word, format_moment(begin))
    latency = terms.get("latency")
    if latency and latency.value < begin:
        return Rejected.of("latency-begin", latency.word, format_moment(begin))
    min_run = terms.get("min-run")
    if min_run and isinstance(time_limit, int) and min_run.value >= time_limit:
        return Rejected.of("min-run", min_run.word, format_duration(time_limit))
    return None
