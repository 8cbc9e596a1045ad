#!/usr/bin/env python3
"""Write directive.json: how a flex directive must be read, by Python and by Lua alike.

The expectations are worked out here, by calendar arithmetic and texts written by hand, and never by calling
what they test. `make_directive_vectors.py --check` says whether the committed file is what this makes.

A case: comment, now, tz, partition, account, qos, time_limit (seconds, "UNLIMITED" or null: unknown), begin,
settings (a name in SETTINGS), and expect: {"directive": fields} (fields left out have their defaults),
{"reject": line} or {"not_flexible": opted_out}.
"""

# fmt: off - tables of cases, several to a line
# ruff: noqa: E501 - as above

from __future__ import annotations

import calendar
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "directive.json"

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
PREEMPT = "write preempt=none, preempt=requeue or preempt=suspend"
COUNT = "write max-preempts=NUMBER, such as max-preempts=2"
CLASS = "write class=NAME with one of: "
OFF = "write 'flex: off' with no other word"
BARE = "write key=value, such as deadline=now+8hours, or off"
KNOWN = (
    "class, deadline, start-by, max-delay, preempt, checkpoint, min-run, max-preempts, power, "
    "max-price, max-carbon or off"
)


def recognition() -> None:
    """Where a directive begins and ends, and what is not one."""
    for comment in (
        *("flex:", "FLEX:", "Flex: ", "flex:\t", "flex:,", "flex: , ,,", "flex:;", "flex:\n"),
        *(" flex:", "\tflex:", "\nflex:", ";flex:", ",flex:", "|flex:", "a flex:", "a=b;flex:", "x|flex:"),
        *("run 7, flex:", "first line\nflex:\nlast line", "flex:; max-delay=1", "flex:\nmax-delay=1"),
        *("flexible flex:", "reflex: flex:", "flex flex:", "\u00e9t\u00e9 flex:", "\x1f flex:", "flex:\n\x01"),
        *("owner=ada;flex:;project=x", "flex:;reflex:", "\udcff flex:", "flex:\nnoise \udc80"),
    ):
        good(comment, **STANDARD)
    for comment in (
        *("", "a comment", "flex", "flex :", "xflex:", "reflex: deadline=1", "/flex:", "=flex:", "(flex:)"),
        *("f lex:", "flex\u00a0:", "_flex:", "-flex: off", "\rflex:", "\x1fflex:", "fl\u00e9x:", '"flex:"'),
    ):
        inert(comment)
    for comment in ("flex: flex:", "flex:;flex:", "flex:\nFLEX:", "flex: max-delay=1,flex:", "flex: off|flex:"):
        refuse(comment, "flex:", "a second 'flex:' in one comment", "write all words after one 'flex:'")
    good("flex:max-delay=10", max_delay=600)
    good("flex: max-delay=10 ; not read: deadine=1", max_delay=600)
    good("flex: MAX-DELAY=10, Preempt=NONE", max_delay=600)
    good("flex:\tmax-delay=10,,\tpower=5W", max_delay=600, power=[5.0, "job"])
    good("flex: max-delay=10\nflexlon rules", max_delay=600)


# text, the local time it means in winter (now: Monday 2026-11-23 10:15:30), in summer (2026-07-01 10:15:30)
CLOCKS = (
    ("10:16", "2026-11-23 10:16:00", "2026-07-01 10:16:00"),
    ("10:15", "2026-11-24 10:15:00", "2026-07-02 10:15:00"),
    ("10:15:59", "2026-11-24 10:15:59", "2026-07-02 10:15:59"),
    ("08:00", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("8:00", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("18:30:15", "2026-11-23 18:30:15", "2026-07-01 18:30:15"),
    ("0:00", "2026-11-24 00:00:00", "2026-07-02 00:00:00"),
    ("08:00PM", "2026-11-23 20:00:00", "2026-07-01 20:00:00"),
    ("8:00pm", "2026-11-23 20:00:00", "2026-07-01 20:00:00"),
    ("08:00am", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("12:00am", "2026-11-24 00:00:00", "2026-07-02 00:00:00"),
    ("12:30PM", "2026-11-23 12:30:00", "2026-07-01 12:30:00"),
    ("11:59:59PM", "2026-11-23 23:59:59", "2026-07-01 23:59:59"),
    ("midnight", "2026-11-24 00:00:00", "2026-07-02 00:00:00"),
    ("noon", "2026-11-23 12:00:00", "2026-07-01 12:00:00"),
    ("NOON", "2026-11-23 12:00:00", "2026-07-01 12:00:00"),
    ("elevenses", "2026-11-23 11:00:00", "2026-07-01 11:00:00"),
    ("fika", "2026-11-23 15:00:00", "2026-07-01 15:00:00"),
    ("teatime", "2026-11-23 16:00:00", "2026-07-01 16:00:00"),
    ("tomorrow", "2026-11-24 00:00:00", "2026-07-02 00:00:00"),
    ("tomorrow-08:00", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("tomorrowT08:00", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("08:00tomorrow", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("tomorrownoon", "2026-11-24 12:00:00", "2026-07-02 12:00:00"),
    ("today-16:00", "2026-11-23 16:00:00", "2026-07-01 16:00:00"),
    ("teatime-today", "2026-11-23 16:00:00", "2026-07-01 16:00:00"),
    ("1225", "2026-12-25 00:00:00", "2026-12-25 00:00:00"),
    ("0630", "2027-06-30 00:00:00", "2027-06-30 00:00:00"),
    ("12/25", "2026-12-25 00:00:00", "2026-12-25 00:00:00"),
    ("12.25", "2026-12-25 00:00:00", "2026-12-25 00:00:00"),
    ("122527", "2027-12-25 00:00:00", "2027-12-25 00:00:00"),
    ("12/25/27", "2027-12-25 00:00:00", "2027-12-25 00:00:00"),
    ("12.25.27", "2027-12-25 00:00:00", "2027-12-25 00:00:00"),
    ("1/2", "2027-01-02 00:00:00", "2027-01-02 00:00:00"),
    ("1/2/28", "2028-01-02 00:00:00", "2028-01-02 00:00:00"),
    ("12/25-18:00", "2026-12-25 18:00:00", "2026-12-25 18:00:00"),
    ("12/25/27-18:00:05", "2027-12-25 18:00:05", "2027-12-25 18:00:05"),
    ("18:00-12/25", "2026-12-25 18:00:00", "2026-12-25 18:00:00"),
    ("2026-12-24", "2026-12-24 00:00:00", "2026-12-24 00:00:00"),
    ("2026-12-24T08:00", "2026-12-24 08:00:00", "2026-12-24 08:00:00"),
    ("2026-12-24T08:00:01", "2026-12-24 08:00:01", "2026-12-24 08:00:01"),
    ("2026-12-24-08:00", "2026-12-24 08:00:00", "2026-12-24 08:00:00"),
    ("2026-12-4T8:00", "2026-12-04 08:00:00", "2026-12-04 08:00:00"),
    ("2028-02-29T23:59", "2028-02-29 23:59:00", "2028-02-29 23:59:00"),
    ("2099-12-31T23:59:58", "2099-12-31 23:59:58", "2099-12-31 23:59:58"),
)
# text, seconds from now
RELATIVE = (
    ("now+8hours", 8 * HOUR),
    ("now+1hour", HOUR),
    ("NOW+90Minutes", 90 * 60),
    ("now+60", 60),
    ("now+45seconds", 45),
    ("now+1second", 1),
    ("now+1minute", 60),
    ("now+2days", 2 * DAY),
    ("now+1day", DAY),
    ("now+1week", 7 * DAY),
    ("now+3weeks", 21 * DAY),
)


def times() -> None:
    """Every way of writing a moment."""
    for text, winter, summer in CLOCKS:
        good(f"flex: deadline={text}", deadline=at(winter))
        # London is on GMT in every month named here but June and July.
        winter_zone, summer_zone = (int(moment[5:7] in {"06", "07"}) for moment in (winter, summer))
        good(f"flex: start-by={text}", {"tz": "Europe/London"}, start_by=at(winter, winter_zone))
        good(f"flex: deadline={text}", {"tz": "Europe/London", "now": SUMMER}, deadline=at(summer, summer_zone))
    for text, winter, _ in CLOCKS[:25]:
        good(f"flex: deadline={text}", {"tz": "Asia/Kolkata", "now": KOLKATA}, deadline=at(winter, 5.5))
    for text, seconds in RELATIVE:
        good(f"flex: deadline={text}", deadline=WINTER + seconds)
        good(f"flex: start-by={text}", {"tz": "Europe/London", "now": SUMMER}, start_by=SUMMER + seconds)
    # "11/23" and "today" are over already: a year on, and refused as past.
    good("flex: deadline=11/23", deadline=at("2027-11-23 00:00:00"))
    good("flex: deadline=11/23-10:16", deadline=at("2026-11-23 10:16:00"))
    good("flex: deadline=11/23-10:15", deadline=at("2027-11-23 10:15:00"))
    good("flex: deadline=112300", deadline=at("2027-11-23 00:00:00"))
    good("flex: start-by=now", start_by=WINTER)
    for text in ("today", "today-10:15", "2026-11-23T10:15:30", "2026-11-22", "now-5minutes", "now-0", "112326"):
        refuse(f"flex: deadline={text}", f"deadline={text}", "it is in the past", "give a time after the submission")
    for text in ("today", "now-1", "2026-11-23T10:15:29"):
        refuse(f"flex: start-by={text}", f"start-by={text}", "it is in the past", "give a time after the submission")
    for text in (
        *("8", "8am", "08", "24:00", "12:60", "12:00:60", "13:00pm", "13:00am", "1:2", "08:000", ":30", "08:"),
        *("soon", "now+", "now+h", "now+1h", "now+8hrs", "now+2months", "now8", "now+1.5hours", "now+-1", "nowish"),
        *("Today", "Tomorrow", "TEATIME", "yesterday", "monday", "1325", "1232", "0001", "2026/11/24", "24/12"),
        *("2026-13-01", "2026-11-32", "2026-11-24T25:00", "2026-11-24T08:00Z", "2026-11-24T08:00+01:00"),
        *("2026-1-24", "20261124", "now+8hours-08:00", "noon-08:00", "tomorrow-1225", "T", "-", "=08:00"),
        *("now+1234567890", "\u0661\u0662:00", "08:00=x", "12/25/2027"),
    ):
        shown = "".join(character if " " <= character <= "~" else "??" for character in text)
        refuse(f"flex: deadline={text}", f"deadline={shown}", "not a time", TIME.format("deadline"))
    for text in ("2026-02-30", "2027-02-29", "0230", "2026-11-31T08:00", "0431"):
        refuse(f"flex: start-by={text}", f"start-by={text}", "no such day", TIME.format("start-by"))
    for text in ("1999-12-31", "2100-01-01", "9999-01-01T00:00", "0000-01-01", "now+5000weeks"):
        why = "not within the years 2000 to 2099"
        refuse(f"flex: start-by={text}", f"start-by={text}", why, TIME.format("start-by"))


def clock_changes() -> None:
    """London: 2026-10-25 02:00 BST becomes 01:00 GMT; 2027-03-28 01:00 GMT becomes 02:00 BST."""
    spring, autumn = at("2027-03-27 20:00:00"), at("2026-10-24 20:00:00", 1)
    for now, text, moment in (
        (spring, "00:59:59", at("2027-03-28 00:59:59")),
        (spring, "01:00", at("2027-03-28 01:00:00")),  # skipped: 02:00 BST
        (spring, "01:30", at("2027-03-28 01:30:00")),  # skipped: 02:30 BST
        (spring, "02:00", at("2027-03-28 02:00:00", 1)),
        (spring, "02:30", at("2027-03-28 02:30:00", 1)),
        (spring, "tomorrow", at("2027-03-28 00:00:00")),
        (spring, "tomorrow-12:00", at("2027-03-28 12:00:00", 1)),
        (spring, "now+1day", spring + DAY),
        (spring, "now+12hours", spring + 12 * HOUR),
        (spring, "0329", at("2027-03-29 00:00:00", 1)),
        (spring, "2027-03-28T01:15", at("2027-03-28 01:15:00")),
        (autumn, "00:59", at("2026-10-25 00:59:00", 1)),
        (autumn, "01:00", at("2026-10-25 01:00:00", 1)),  # twice: the first
        (autumn, "01:30", at("2026-10-25 01:30:00", 1)),
        (autumn, "01:59:59", at("2026-10-25 01:59:59", 1)),
        (autumn, "02:00", at("2026-10-25 02:00:00")),
        (autumn, "tomorrow", at("2026-10-25 00:00:00", 1)),
        (autumn, "tomorrow-20:00", at("2026-10-25 20:00:00")),
        (autumn, "now+1day", autumn + DAY),
        (autumn, "1026", at("2026-10-26 00:00:00")),
        # in the second pass of the hour: 01:45 local is soonest read as the next day, as 01:15 is
        (at("2026-10-25 01:30:00"), "01:15", at("2026-10-26 01:15:00")),
        (at("2026-10-25 01:30:00"), "02:15", at("2026-10-25 02:15:00")),
        # 23:30 on the long day: a day later by the clock of Slurm is now + 24 h
        (at("2026-10-24 23:30:00", 1), "tomorrow", at("2026-10-25 00:00:00", 1)),
        (at("2026-10-25 23:30:00"), "tomorrow", at("2026-10-26 00:00:00")),
    ):
        good(f"flex: deadline={text}", {"tz": "Europe/London", "now": now}, deadline=moment)


LENGTHS = (
    *(("0", 0), ("90", 5400), ("1", 60), ("10:30", 630), ("90:90", 5490), ("1:00:00", HOUR), ("0:0:5", 5)),
    *(("100:00:00", 100 * HOUR), ("1-0", DAY), ("1-12", 36 * HOUR), ("1-12:00", 36 * HOUR), ("2-1:2:3", 176523)),
    *(("0-1", HOUR), ("08", 480), ("7-00:00:00", 7 * DAY), ("35791394", 2147483640)),
)


def lengths() -> None:
    """Every way of writing a length of time."""
    for text, seconds in LENGTHS:
        good(f"flex: max-delay={text}", max_delay=seconds)
        good(
            f"flex: max-delay=1-0 preempt=requeue min-run={text}",
            {"tz": "Europe/London"},
            max_delay=DAY,
            preempt="requeue",
            min_run=seconds,
            max_preempts=1,
        )
    for text in (
        *("1h", "2hours", "1:2:3:4", "1-", "1-2:3:4:5", ":5", "5:", "1.5", "one", "+5", "1--2", "1-2-3"),
        *("1234567890", "now+1hour", "08:00pm", "1:-2", "0x10", "1e3"),
    ):
        refuse(
            f"flex: max-delay={text}", f"max-delay={text}", "not a length of time", LENGTH.format("max-delay")
        )
    for text in ("UNLIMITED", "infinite", "Unlimited", "-1"):
        why = "a length of time without end is no promise"
        refuse(f"flex: max-delay={text}", f"max-delay={text}", why, LENGTH.format("max-delay"))
        refuse(f"flex: min-run={text}", f"min-run={text}", why, LENGTH.format("min-run"))
    for text in ("-5", "-1:30", "-0", "--1"):
        why = "a length of time cannot be negative"
        refuse(f"flex: max-delay={text}", f"max-delay={text}", why, LENGTH.format("max-delay"))
    for text in ("35791395", "999999999", "24856-0", "999999999:0:0"):
        why = "longer than Slurm can count"
        refuse(f"flex: min-run={text}", f"min-run={text}", why, LENGTH.format("min-run"))


def preemption() -> None:
    """preempt, checkpoint, min-run and max-preempts."""
    for text, value in (("none", "none"), ("requeue", "requeue"), ("Suspend", "suspend"), ("REQUEUE", "requeue")):
        extra = {} if value == "none" else {"max_preempts": 1}
        good(f"flex: preempt={text}", preempt=value, **extra, **STANDARD)
    for text in ("yes", "no", "cancel", "requeue/suspend", "=requeue"):
        refuse(f"flex: preempt={text}", f"preempt={text}", "not a way to preempt", PREEMPT)
    for text, value in (
        *(("USR1@120", ["USR1", 120]), ("SIGUSR1@120", ["USR1", 120]), ("usr2@0", ["USR2", 0])),
        *(("10@60", ["10", 60]), ("sigterm@65535", ["TERM", 65535]), ("64@1", ["64", 1]), ("010@1", ["10", 1])),
        *(("Int@5", ["INT", 5]), ("TSTP@007", ["TSTP", 7]), ("SIGHUP@30", ["HUP", 30])),
    ):
        good(f"flex: preempt=requeue checkpoint={text}", preempt="requeue", checkpoint=value, max_preempts=1, **STANDARD)
    for text in ("USR1", "@60", "USR1@", "USR1:60", "60"):
        refuse(f"flex: checkpoint={text}", f"checkpoint={text}", "not SIGNAL@SECONDS", CHECKPOINT)
    for text, signal in (
        *(("KILL@60", "KILL"), ("SIGSTOP@60", "SIGSTOP"), ("9@60", "9"), ("19@60", "19"), ("65@60", "65")),
        *(("0@60", "0"), ("SIGSIGUSR1@1", "SIGSIGUSR1"), ("USR3@1", "USR3"), ("-10@1", "-10"), ("SIG@1", "SIG")),
    ):
        refuse(
            f"flex: checkpoint={text}", f"checkpoint={text}", f"'{signal}' is no signal a program can answer", CHECKPOINT
        )
    for text in ("USR1@2m", "USR1@-1", "USR1@65536", "USR1@1:00", "USR1@1@2", "USR1@1234567890"):
        refuse(f"flex: checkpoint={text}", f"checkpoint={text}", "the seconds must be between 0 and 65535", CHECKPOINT)
    for text, value in (("0", 0), ("2", 2), ("1000", 1000), ("007", 7)):
        good(f"flex: preempt=suspend max-preempts={text}", preempt="suspend", max_preempts=value, **STANDARD)
    for text in ("-1", "1001", "two", "1.0", "1e2", "99999999999", "+1", "0x1"):
        why = "not a whole number between 0 and 1000"
        refuse(f"flex: max-preempts={text}", f"max-preempts={text}", why, COUNT)
    why, correct = "the job is not to be preempted", "add preempt=requeue or preempt=suspend, or leave it out"
    for word in ("checkpoint=USR1@60", "min-run=30", "max-preempts=2", "max-preempts=0"):
        refuse(f"flex: {word}", word, why, correct)
        refuse(f"flex: {word} preempt=none max-delay=5", word, why, correct)
    refuse("flex: max-preempts=2 min-run=5 checkpoint=USR1@60", "checkpoint=USR1@60", why, correct)


def powers() -> None:
    """power in its units."""
    for text, value in (
        *(("350W/node", [350.0, "node"]), ("300W/gpu", [300.0, "gpu"]), ("12W/cpu", [12.0, "cpu"])),
        *(("3.5kW", [3500.0, "job"]), ("800W", [800.0, "job"]), ("0.35kw/NODE", [350.0, "node"])),
        *(("1KW", [1000.0, "job"]), ("0.5w/cpu", [0.5, "cpu"]), ("007W", [7.0, "job"]), ("99999kW", [99999000.0, "job"])),
    ):
        good(f"flex: power={text}", power=value, **STANDARD)
    refuse("flex: power=350", "power=350", "no unit", POWER)
    for text in ("W", "kW", "--5W", ".5kW", "many", "/node", "+5W"):
        refuse(f"flex: power={text}", f"power={text}", "not a number", POWER)
    for text, unit in (
        *(("1MW", "MW"), ("350mW", "mW"), ("350J", "J"), ("350W/", "W/"), ("350W/job", "W/job"), ("350/node", "/node")),
        *(("350W/node/gpu", "W/node/gpu"), ("350 W", ""), ("1e3W", "e3W"), ("5.W", ".W"), ("3,5kW", ""), ("1234567890W", "0W")),
        *(("350W/nodes", "W/nodes"), ("350Wh", "Wh"), ("350%", "%"), ("350%s", "%s")),
    ):
        if unit:
            refuse(f"flex: power={text}", f"power={text}", f"wrong unit '{unit}'", POWER)
        else:
            word = text.replace(",", " ").split()[0]
            refuse(f"flex: power={text}", f"power={word}", "no unit", POWER)
    for text in ("0W", "-5W", "0.0kW/gpu", "100000kW", "999999999W"):
        refuse(f"flex: power={text}", f"power={text}", "not a power above 0 and below 100000 kW", POWER)


def rates() -> None:
    """max-price and max-carbon."""
    for text, value in (
        *(("80", 80.0), ("-12.5", -12.5), ("0", 0.0), ("80GBP/MWh", 80.0), ("80.25gbp/mwh", 80.25), ("-0.01", -0.01)),
    ):
        good(f"flex: max-price={text}", max_price=value, **STANDARD)
    for text, unit in (("80p/kWh", "p/kWh"), ("80EUR/MWh", "EUR/MWh"), ("8e1", "e1"), ("80/MWh", "/MWh"), ("1.2.3", ".3")):
        refuse(f"flex: max-price={text}", f"max-price={text}", f"wrong unit '{unit}'", PRICE)
    refuse("flex: max-price=80\u00a3", "max-price=80??", "wrong unit '??'", PRICE)
    for text in ("cheap", "--5", ".5", "GBP/MWh", "+5", "nan", "inf", "0x50", "$80"):
        if text == "0x50":
            refuse(f"flex: max-price={text}", f"max-price={text}", "wrong unit 'x50'", PRICE)
        else:
            refuse(f"flex: max-price={text}", f"max-price={text}", "not a number", PRICE)
    for text, value in (("150", 150.0), ("0", 0.0), ("99.5g/kWh", 99.5), ("150G/KWH", 150.0)):
        good(f"flex: max-carbon={text}", max_carbon=value, **STANDARD)
    for text in ("-1", "-0", "green", "-5g/kWh"):
        refuse(f"flex: max-carbon={text}", f"max-carbon={text}", "not a number", CARBON)
    for text, unit in (("150gCO2/kWh", "gCO2/kWh"), ("0.15kg/kWh", "kg/kWh"), ("150GBP/MWh", "GBP/MWh")):
        refuse(f"flex: max-carbon={text}", f"max-carbon={text}", f"wrong unit '{unit}'", CARBON)


def words() -> None:
    """Unknown keys, words that are none, duplicates, empty values, off, length, control characters."""
    for key, near in (
        *(("deadine", "deadline"), ("dedline", "deadline"), ("start_by", "start-by"), ("startby", "start-by")),
        *(("maxdelay", "max-delay"), ("max_delay", "max-delay"), ("preemt", "preempt"), ("max-preempt", "max-preempts")),
        *(("chekpoint", "checkpoint"), ("minrun", "min-run"), ("klass", "class"), ("price", "max-price"), ("delay", "max-delay"), ("start", "start-by"), ("ab", "class")),
        *(("carbon", "max-carbon"), ("watts", "class"), ("pwr", "power"), ("DEADINE", "deadline")),
    ):
        refuse(f"flex: {key}=x", f"{key}=x", f"unknown key '{key.lower()}'", f"did you mean {near}=? known: {KNOWN}")
    refuse("flex: =x", "=x", "unknown key ''", f"did you mean class=? known: {KNOWN}")
    for word in ("deadline", "yes", "on", "deadline:08:00", "08:00", "max-delay:10", "%s%n", "offf"):
        refuse(f"flex: {word}", word, "not key=value", BARE)
    refuse("flex: caf\u00e9", "caf??", "not key=value", BARE)
    refuse("flex: \udcff\udcfe", "??", "not key=value", BARE)
    long_word = "a" * 70
    refuse(f"flex: {long_word}", "a" * 57 + "...", "not key=value", BARE)
    for word in ("PM", "am", "Pm"):
        why, correct = "not key=value", "write AM or PM without a blank before it, such as 08:00PM"
        refuse(f"flex: deadline=08:00 {word}", word, why, correct)
    refuse("flex: standard", "standard", "not key=value", "write class=standard")
    refuse("flex: OVERNIGHT", "OVERNIGHT", "not key=value", "write class=overnight", settings="site")
    for first, second in (("max-delay=5", "max-delay=5"), ("max-delay=5", "MAX-DELAY=6"), ("power=1W", "power=2W")):
        key = first.split("=")[0]
        refuse(f"flex: {first} {second}", second, f"the key {key} stands twice", "write it once")
    refuse("flex: class=standard,class=standard", "class=standard", "the key class stands twice", "write it once")
    for key, form in (
        ("class", CLASS + "standard"),
        *((key, TIME.format(key)) for key in ("deadline", "start-by")),
        *((key, LENGTH.format(key)) for key in ("max-delay", "min-run")),
        *(("preempt", PREEMPT), ("checkpoint", CHECKPOINT), ("max-preempts", COUNT), ("power", POWER)),
        *(("max-price", PRICE), ("max-carbon", CARBON)),
    ):
        refuse(f"flex: {key}=", f"{key}=", "no value", form)
    for comment in ("flex: off", "flex:off", "FLEX: OFF", "flex: off;deadline=1", "note;flex: ,off,", "flex:\toff\nx"):
        inert(comment, opted_out=True)
        inert(comment, opted_out=True, settings="site", partition="green")
    why = "off goes with no other word and no value"
    for comment, word in (
        *(("flex: off max-delay=1", "off"), ("flex: max-delay=1 OFF", "OFF"), ("flex: off=1", "off=1")),
        *(("flex: off off", "off"), ("flex: off nonsense", "off"), ("flex: Off=", "Off=")),
    ):
        refuse(comment, word, why, OFF)
    why, correct = "the directive has {0} bytes, at most {1} are read", "shorten it or use class=NAME"
    good("flex: max-delay=1" + " " * 495, max_delay=60)
    refuse("flex: max-delay=1" + " " * 496, "flex:", why.format(513, 512), correct)
    refuse("flex:" + "\u00e9" * 254, "flex:", why.format(513, 512), correct)
    good("x" * 600 + " flex: max-delay=1;" + "y" * 300, max_delay=60)
    good("flex:" + " " * 195, {"settings": "site"}, **STANDARD)
    refuse("flex:" + " " * 196, "flex:", why.format(201, 200), correct, settings="site")
    for code in (1, 2, 7, 8, 11, 12, 13, 27, 30, 31, 127):
        why, correct = f"control character (byte {code}) in the directive", "use blanks or commas between words"
        refuse(f"flex: max-delay=1{chr(code)}", "flex:", why, correct)


NOT_PREEMPTIBLE = {"flex_class": "Preemptible", "max_delay": DAY}
PREEMPTIBLE = {
    **NOT_PREEMPTIBLE,
    "preempt": "requeue",
    "checkpoint": ["USR1", 120],
    "min_run": 1800,
    "max_preempts": 3,
}
EIGHT = at("2026-11-24 08:00:00")
OVERNIGHT = {"flex_class": "overnight", "deadline": EIGHT, "max_price": 90.0, "power": [300.0, "gpu"]}


def classes() -> None:
    """Classes, the site's default class, and jobs opted in by the site."""
    site = {"settings": "site"}
    good("flex: class=overnight", site, **OVERNIGHT)
    good("flex: CLASS=OverNight", site, **OVERNIGHT)
    good("flex: class=overnight max-price=50", site, **{**OVERNIGHT, "max_price": 50.0})
    good("flex: class=overnight max-delay=60", site, **OVERNIGHT, max_delay=HOUR)
    good("flex: max-carbon=100 class=overnight", site, **OVERNIGHT, max_carbon=100.0)
    good("flex: class=overnight deadline=now+2days", site, **{**OVERNIGHT, "deadline": WINTER + 2 * DAY})
    good("flex: class=preemptible", site, **PREEMPTIBLE)
    good("flex: class=preemptible preempt=suspend", site, **{**PREEMPTIBLE, "preempt": "suspend"})
    good("flex: class=preemptible max-preempts=0", site, **{**PREEMPTIBLE, "max_preempts": 0})
    good("flex: class=preemptible preempt=none", site, **NOT_PREEMPTIBLE)
    good("flex: class=consent-only", site, flex_class="consent-only", preempt="suspend", max_preempts=1)
    good("flex: power=1W", site, **STANDARD, power=[1.0, "job"])
    good("flex: max-price=10 max-carbon=20", site, **STANDARD, max_price=10.0, max_carbon=20.0)
    good("flex: deadline=08:00", site, deadline=EIGHT)
    good("flex: start-by=08:00 power=1W", site, start_by=EIGHT, power=[1.0, "job"])
    good("flex: deadline=08:00", {"settings": "bare"}, deadline=EIGHT)
    good("flex: max-delay=5 power=1W", {"settings": "bare"}, max_delay=300, power=[1.0, "job"])
    choice = "write class=NAME, or a deadline=, start-by= or max-delay="
    for comment in ("flex:", "flex: power=1W", "flex: preempt=requeue"):
        refuse(comment, "flex:", "the site has no default class", choice, settings="bare")
    refuse("flex: class=x", "class=x", "unknown class 'x'", CLASS + "(the site has none)", settings="bare")
    names = "Preemptible, consent-only, overnight, standard"
    refuse("flex: class=nightly", "class=nightly", "unknown class 'nightly'", CLASS + names, settings="site")
    refuse("flex: class=%s", "class=%s", "unknown class '%s'", CLASS + names, settings="site")
    refuse("flex: class=", "class=", "no value", CLASS + names, settings="site")
    contradiction = "add preempt=requeue or preempt=suspend, or leave it out"
    refuse(
        "flex: class=preemptible preempt=none min-run=5",
        "min-run=5",
        "the job is not to be preempted",
        contradiction,
        settings="site",
    )

    def by_site(comment: str, fields: dict[str, Any], **where: Any) -> None:
        case(comment, {"directive": {"source": "site default", **fields}}, settings="site", **where)

    by_site("", STANDARD, partition="green")
    by_site("no directive here", STANDARD, partition="green", account="physics")
    by_site("", OVERNIGHT, partition="cpu", account="physics")
    by_site("", OVERNIGHT, partition="cpu", account="PHYSICS", qos="normal")
    by_site("", PREEMPTIBLE, qos="scavenger", partition="gpu")
    by_site("", PREEMPTIBLE, qos="Scavenger")
    by_site("xflex:", OVERNIGHT, account="archive")
    by_site("", STANDARD, partition="green", qos="scavenger")  # the first rule that matches
    for where in (
        *({"partition": "cpu"}, {"account": "physics"}, {"partition": "Green"}, {"partition": "green,cpu"}, {}),
        *({"partition": "cpu", "account": "chem"}, {"qos": "normal"}, {"partition": "gre"}, {"qos": "scavenge"}),
    ):
        inert("", settings="site", **where)
    good("flex: max-delay=7", {**site, "partition": "green"}, max_delay=420)
    refuse("flex: x", "x", "not key=value", BARE, settings="site", partition="green")
    # What a site default cannot keep is not applied: overnight's 08:00 is 21 h 44 m 30 s away.
    by_site("", OVERNIGHT, account="archive", time_limit=78270)
    inert("", settings="site", account="archive", time_limit=78271)
    inert("", settings="site", account="archive", time_limit="UNLIMITED")
    by_site("", PREEMPTIBLE, qos="scavenger", time_limit=1801)
    inert("", settings="site", qos="scavenger", time_limit=1800)
    by_site("", STANDARD, partition="green", time_limit="UNLIMITED")


def contradictions() -> None:
    """What the job's own limit and --begin make impossible."""
    later = "give a later deadline or a shorter --time"

    def too_soon(comment: str, word: str, limit: str, end: str, **where: Any) -> None:
        why = f"the job cannot finish by then: its time limit is {limit}, its earliest end {end}"
        refuse(comment, word, why, later, **where)

    for limit, text in ((60, "00:01:00"), (HOUR, "01:00:00"), (90000, "1-01:00:00")):
        good(f"flex: deadline=now+{limit}", {"time_limit": limit}, deadline=WINTER + limit)
        word = f"deadline=now+{limit - 1}"
        end = {60: "2026-11-23T10:16:30Z", HOUR: "2026-11-23T11:15:30Z", 90000: "2026-11-24T11:15:30Z"}[limit]
        too_soon(f"flex: {word}", word, text, end, time_limit=limit)
    good("flex: deadline=18:00", {"time_limit": 7 * HOUR}, deadline=at("2026-11-23 18:00:00"))
    too_soon("flex: deadline=18:00", "deadline=18:00", "08:00:00", "2026-11-23T18:15:30Z", time_limit=8 * HOUR)
    # --begin moves the earliest end
    begin = WINTER + 4 * HOUR
    good("flex: deadline=now+5hours", {"time_limit": HOUR, "begin": begin}, deadline=WINTER + 5 * HOUR)
    too_soon(
        "flex: deadline=now+5hours", "deadline=now+5hours", "02:00:00", "2026-11-23T16:15:30Z",
        time_limit=2 * HOUR, begin=begin,
    )
    too_soon("flex: deadline=now+3hours", "deadline=now+3hours", "unknown", "2026-11-23T14:15:30Z", begin=begin)
    good("flex: deadline=now+3hours", {"begin": WINTER - 10 * HOUR, "time_limit": HOUR}, deadline=WINTER + 3 * HOUR)
    too_soon(
        "flex: class=overnight", "deadline=08:00 of class overnight", "22:00:00", "2026-11-24T08:15:30Z",
        settings="site", time_limit=22 * HOUR,
    )
    unlimited = "the time limit is UNLIMITED, so the job may never finish"
    refuse("flex: deadline=18:00", "deadline=18:00", unlimited, "give --time as well", time_limit="UNLIMITED")
    word = "deadline=08:00 of class overnight"
    refuse("flex: class=overnight", word, unlimited, "give --time as well", time_limit="UNLIMITED", settings="site")
    good("flex: start-by=18:00", {"time_limit": "UNLIMITED"}, start_by=at("2026-11-23 18:00:00"))
    good("flex:", {"time_limit": "UNLIMITED"}, **STANDARD)
    # start-by against --begin
    good("flex: start-by=now+4hours", {"begin": begin}, start_by=begin)
    why = "the job cannot start by then: its --begin is 2026-11-23T14:15:30Z"
    fix = "give a later start-by or an earlier --begin"
    refuse("flex: start-by=now+14399", "start-by=now+14399", why, fix, begin=begin)
    refuse("flex: start-by=noon", "start-by=noon", why, fix, begin=begin)
    good("flex: start-by=now+1minute", {"time_limit": DAY}, start_by=WINTER + 60)
    # min-run against the limit
    fix = "give a shorter min-run or a longer --time"
    good("flex: preempt=requeue min-run=59", {"time_limit": HOUR}, preempt="requeue", min_run=3540, max_preempts=1, **STANDARD)
    for text, limit in (("60", HOUR), ("61", HOUR), ("1-0", HOUR)):
        why = "not below the time limit of 01:00:00"
        refuse(f"flex: preempt=requeue min-run={text}", f"min-run={text}", why, fix, time_limit=limit)
    why = "not below the time limit of 00:30:00"
    refuse("flex: class=preemptible", "min-run=30 of class Preemptible", why, fix, settings="site", time_limit=1800)
    good("flex: class=preemptible min-run=5", {"settings": "site", "time_limit": 1800}, **{**PREEMPTIBLE, "min_run": 300})
    good(
        "flex: preempt=suspend min-run=1-0", {"time_limit": "UNLIMITED"},
        preempt="suspend", min_run=DAY, max_preempts=1, **STANDARD,
    )
    # the order of faults: words from left to right, then time, then preemption
    refuse("flex: power=x deadine=1", "power=x", "not a number", POWER)
    refuse("flex: min-run=5 deadline=now-1", "deadline=now-1", "it is in the past", "give a time after the submission")
    good(
        "flex: deadline=now+1day start-by=now+5hours max-delay=4:00:00 preempt=suspend max-price=70,"
        "max-carbon=120 power=2.5kW/gpu checkpoint=SIGUSR2@90 min-run=0:20:00 max-preempts=4",
        {"time_limit": 2 * HOUR, "begin": WINTER + HOUR},
        deadline=WINTER + DAY,
        start_by=WINTER + 5 * HOUR,
        max_delay=4 * HOUR,
        preempt="suspend",
        max_price=70.0,
        max_carbon=120.0,
        power=[2500.0, "gpu"],
        checkpoint=["USR2", 90],
        min_run=1200,
        max_preempts=4,
    )


def make() -> str:
    """The file's text."""
    CASES.clear()
    for family in (
        *(recognition, times, clock_changes, lengths, preemption, powers, rates, words, classes, contradictions),
    ):
        family()
    rows = ",\n".join("  " + json.dumps(one, sort_keys=True) for one in CASES)
    return '{"settings": ' + json.dumps(SETTINGS, sort_keys=True) + ',\n"cases": [\n' + rows + "\n]}\n"


if __name__ == "__main__":
    text = make()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if OUTPUT.read_text("utf-8") == text else f"{OUTPUT.name} has drifted: run {Path(__file__).name}")
    OUTPUT.write_text(text, "utf-8")
    print(f"{len(CASES)} cases")
