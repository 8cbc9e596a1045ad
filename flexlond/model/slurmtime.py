"""Slurm's own ways to write a moment and a length of time, read without Slurm.

Law: decides which second a text means, from the text, the moment `now` and the zone alone; knows no clock.
Accepts what sbatch documents for --begin and --time (slurm-24-11 src/common/parse_time.c) and nothing
looser: a day that does not exist is refused where Slurm would roll it over. Moments are Unix epoch seconds,
lengths are seconds. slurm_plugin/job_submit.lua does the same in Lua; tests/vectors holds both to it.

Clock changes: an hour that happens twice means its first pass; an hour that is skipped is counted with the
offset in force before the change (01:30 on the March Sunday in London is 02:30 BST).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

DAY = 86400
FIRST_YEAR, LAST_YEAR = 2000, 2099
LAST_MOMENT = 4102444799  # 2099-12-31T23:59:59Z
LONGEST = 2**31 - 1  # Slurm keeps a length in an int

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": DAY, "week": 7 * DAY}
_HOURS = {"midnight": 0, "noon": 12, "elevenses": 11, "fika": 15, "teatime": 16}
_NOW = re.compile(
    r"now[ \t]*(?:([+-])[ \t]*([0-9]{1,9})[ \t]*(?:(second|minute|hour|day|week)s?)?[ \t]*)?\Z",
    re.IGNORECASE | re.ASCII,
)
_CLOCK = re.compile(
    r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?[ \t]*(am|pm)?", re.IGNORECASE | re.ASCII
)
_ISO = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{1,2})")
_MONTH_DAY = re.compile(r"([0-9]{1,2}+)[./]?([0-9]{1,2}+)[./]?([0-9]{2})?")
_WORD = re.compile(r"today|tomorrow|midnight|noon|elevenses|fika|teatime", re.IGNORECASE | re.ASCII)
_SKIP = " \t-T"  # Slurm steps over these between date and clock
_DURATION = re.compile(
    r"(?:([0-9]{1,9})-([0-9]{1,9})(?::([0-9]{1,9}))?(?::([0-9]{1,9}))?"
    r"|([0-9]{1,9})(?::([0-9]{1,9}))?(?::([0-9]{1,9}))?)\Z"
)
_ENDLESS = frozenset({"infinite", "unlimited", "-1"})


class SlurmTimeError(ValueError):
    """The text is no time or duration of Slurm's. `code` names the message in directive_keys."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text!r}: {code}")
        self.code = code


@dataclass(slots=True)
class _Parts:
    """What was found so far: a date and a clock time, either of which may be absent."""

    text: str
    date: tuple[int | None, int, int] | None = (
        None  # year (None: the next one that fits), month, day
    )
    clock: tuple[int, int, int] | None = None

    def set_date(self, year: int | None, month: int, day: int) -> None:
        """Take a date; a second one is no time."""
        if self.date is not None or not 1 <= month <= 12 or not 1 <= day <= 31:
            raise SlurmTimeError("bad-time", self.text)
        self.date = (year, month, day)

    def set_clock(self, hour: int, minute: int, second: int) -> None:
        """Take a time of day; a second one is no time."""
        if self.clock is not None or not (hour < 24 and minute < 60 and second < 60):
            raise SlurmTimeError("bad-time", self.text)
        self.clock = (hour, minute, second)


def parse_time(text: str, now: int, tz: ZoneInfo) -> int:
    """The moment that `text` means to Slurm, as epoch seconds.

    `now` is the first submission time; `tz` the zone of the Slurm controller. Raises SlurmTimeError
    (code bad-time, bad-day or far-time).
    """
    relative = _NOW.match(text)
    if relative:
        sign, count, unit = relative.groups()
        seconds = int(count or 0) * _UNITS[(unit or "second").lower()]
        return moment_in_reach(now - seconds if sign == "-" else now + seconds, text)
    parts = _read_parts(text, datetime.fromtimestamp(now, tz), now, tz)
    if parts.date is None and parts.clock is None:
        raise SlurmTimeError("bad-time", text)
    return _resolve(parts, now, tz)


def _read_parts(text: str, local: datetime, now: int, tz: ZoneInfo) -> _Parts:
    """Split `text` into a date and a clock time, in either order."""
    parts = _Parts(text)
    pos = 0
    while pos < len(text):
        if text[pos] in _SKIP:
            pos += 1
            continue
        if word := _WORD.match(text, pos):
            name = word[0].lower()
            if name in _HOURS:
                parts.set_clock(_HOURS[name], 0, 0)
            else:
                day = local if name == "today" else datetime.fromtimestamp(now + DAY, tz)
                parts.set_date(day.year, day.month, day.day)
            pos = word.end()
        elif ":" in text[pos + 1 : pos + 3]:
            pos = _read_clock(text, pos, parts)
        else:
            pos = _read_date(text, pos, parts)
    return parts


def _read_clock(text: str, pos: int, parts: _Parts) -> int:
    """HH:MM[:SS][AM|PM] at `pos`; returns where it ends."""
    found = _CLOCK.match(text, pos)
    if not found:
        raise SlurmTimeError("bad-time", text)
    hour, half = int(found[1]), (found[4] or "").lower()
    if half:
        if hour > 12:
            raise SlurmTimeError("bad-time", text)
        hour = hour % 12 + (12 if half == "pm" else 0)
    parts.set_clock(hour, int(found[2]), int(found[3] or 0))
    return found.end()


def _read_date(text: str, pos: int, parts: _Parts) -> int:
    """YYYY-MM-DD, MMDD[YY], MM/DD[/YY] or MM.DD[.YY] at `pos`; returns where it ends."""
    if found := _ISO.match(text, pos):
        parts.set_date(int(found[1]), int(found[2]), int(found[3]))
    elif found := _MONTH_DAY.match(text, pos):
        # Slurm: year "00" counts as none given.
        year = int(found[3] or 0)
        parts.set_date(2000 + year if year else None, int(found[1]), int(found[2]))
    else:
        raise SlurmTimeError("bad-time", text)
    return found.end()


def _resolve(parts: _Parts, now: int, tz: ZoneInfo) -> int:
    """Fill in what the text left out, as Slurm does: the soonest day, the soonest year."""
    local = datetime.fromtimestamp(now, tz)
    hour, minute, second = parts.clock or (0, 0, 0)
    if parts.date is None:
        soonest = local
        if (hour, minute) <= (local.hour, local.minute):
            soonest = datetime.fromtimestamp(now + DAY, tz)
        year: int | None = soonest.year
        month, day = soonest.month, soonest.day
    else:
        year, month, day = parts.date
    if year is None:
        later = (month, day, hour, minute) > (local.month, local.day, local.hour, local.minute)
        year = local.year if later else local.year + 1
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise SlurmTimeError("far-time", parts.text)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=tz)
    except ValueError as error:
        raise SlurmTimeError("bad-day", parts.text) from error
    return moment_in_reach(int(moment.timestamp()), parts.text)


def moment_in_reach(moment: int, text: str) -> int:
    """Refuse what no cluster will live to see, so that arithmetic stays exact everywhere."""
    if not 0 < moment <= LAST_MOMENT:
        raise SlurmTimeError("far-time", text)
    return moment


def parse_duration(text: str) -> int:
    """The length that `text` means as a Slurm time limit, in seconds.

    minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes or
    days-hours:minutes:seconds. Raises SlurmTimeError (bad-duration, endless or far-duration).
    """
    if text.lower() in _ENDLESS:
        raise SlurmTimeError("endless", text)
    found = _DURATION.match(text)
    if not found:
        raise SlurmTimeError("negative" if text.startswith("-") else "bad-duration", text)
    days, hours, minutes, seconds, first, second, third = (
        int(part or 0) for part in found.groups()
    )
    if found[1] is not None:
        total = days * DAY + hours * 3600 + minutes * 60 + seconds
    elif found[7] is not None:
        total = first * 3600 + second * 60 + third
    else:
        total = first * 60 + second
    if total > LONGEST:
        raise SlurmTimeError("far-duration", text)
    return total


def format_duration(seconds: int) -> str:
    """Slurm's way to print a length: [days-]HH:MM:SS; a negative one gets a minus sign."""
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    days, rest = divmod(seconds, DAY)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{sign}{days}-{clock}" if days else sign + clock


def format_moment(moment: int) -> str:
    """A moment in UTC, as in every text of ours: 2026-11-23T08:00:00Z."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
