"""What every family of directive vectors is written with: settings, moments, texts, one function per outcome."""

# Tables of cases, several to a line.
# fmt: off
# ruff: noqa: E501 - as above

from __future__ import annotations

import calendar
from typing import Any

SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "bare": {"default_class": "", "classes": {}},
    "site": {
        "default_class": "standard",
        "classes": {
            "standard": {"max_delay": "12:00:00"},
            "overnight": {"deadline": "08:00", "max_price": "90", "power": "300W/gpu"},
            "Preemptible": {
                "max_delay": "1-0",
                "preempt": "requeue",
                "checkpoint": "USR1@120",
                "min_run": "30",
                "max_preempts": "3",
            },
            "consent-only": {"preempt": "suspend"},
            "serving": {"latency": "10", "max_delay": "12:00:00", "unit": "inference"},
            "counted": {"max_delay": "60", "work": "5", "unit": "Epoch"},
            "unitless": {"max_delay": "60", "work": "5"},
        },
        "opt_in": [
            {"partition": "green"},
            {"partition": "cpu", "account": "physics", "flex_class": "overnight"},
            {"qos": "scavenger", "flex_class": "preemptible"},
            {"account": "archive", "flex_class": "overnight"},
        ],
        "max_directive_length": 200,
    },
}

DAY = 86400
HOUR = 3600
CASES: list[dict[str, Any]] = []


def at(text: str, offset: float = 0) -> int:
    """Epoch seconds of a local time written as 2026-11-23 08:00:00, `offset` hours east of UTC."""
    date, clock = text.split()
    year, month, day = map(int, date.split("-"))
    hour, minute, second = map(int, clock.split(":"))
    return calendar.timegm((year, month, day, hour, minute, second)) - round(offset * HOUR)


WINTER = at("2026-11-23 10:15:30")  # a Monday; London is on GMT
SUMMER = at("2026-07-01 10:15:30", 1)  # London is on BST
KOLKATA = at("2026-11-23 10:15:30", 5.5)


def case(comment: str, expect: dict[str, Any], **where: Any) -> None:
    """Add one case."""
    CASES.append(
        {
            "comment": comment,
            "now": where.get("now", WINTER),
            "tz": where.get("tz", "UTC"),
            "partition": where.get("partition", ""),
            "account": where.get("account", ""),
            "qos": where.get("qos", ""),
            "time_limit": where.get("time_limit"),
            "begin": where.get("begin", 0),
            "settings": where.get("settings", "default"),
            "expect": expect,
        }
    )


def good(comment: str, where: dict[str, Any] | None = None, **fields: Any) -> None:
    """The directive is read as `fields`."""
    case(comment, {"directive": {"source": "directive", **fields}}, **(where or {}))


def refuse(comment: str, word: str, why: str, correct: str, **where: Any) -> None:
    """The directive is refused with this line."""
    case(comment, {"reject": f"flexlon: '{word}': {why}; {correct}"}, **where)


def inert(comment: str, *, opted_out: bool = False, **where: Any) -> None:
    """The job is not flexible."""
    case(comment, {"not_flexible": opted_out}, **where)


STANDARD = {"flex_class": "standard", "max_delay": 12 * HOUR}
TIME = "write {0}=TIME as for sbatch --begin: 08:00, 2026-11-23T08:00, tomorrow-08:00 or now+8hours"
LENGTH = "write {0}=LENGTH as for sbatch --time: minutes, hours:minutes:seconds or days-hours"
POWER = "write power=350W/node, power=300W/gpu, power=12W/cpu or power=3.5kW for the whole job"
PRICE = "write max-price=NUMBER in GBP/MWh, such as max-price=80 or max-price=80GBP/MWh"
CARBON = "write max-carbon=NUMBER in g/kWh, such as max-carbon=150 or max-carbon=150g/kWh"
CHECKPOINT = "write checkpoint=SIGNAL@SECONDS, such as checkpoint=USR1@120"
WORK = "write work=NUMBER with unit=NAME, such as work=2.5e6 unit=inference"
UNIT = "write unit=NAME with work=NUMBER, such as work=2.5e6 unit=inference"
SITES = "write sites=NAME+NAME with the names of two to eight clusters, such as sites=north+south"
PREEMPT = "write preempt=none, preempt=requeue or preempt=suspend"
COUNT = "write max-preempts=NUMBER, such as max-preempts=2"
CLASS = "write class=NAME with one of: "
OFF = "write 'flex: off' with no other word"
BARE = "write key=value, such as deadline=now+8hours, or off"
KNOWN = (
    "class, deadline, start-by, max-delay, latency, preempt, checkpoint, min-run, max-preempts, power, "
    "max-price, max-carbon, work, unit, sites or off"
)
