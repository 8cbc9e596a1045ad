"""The flex directive's keys and the words of its refusals: the one definition for Python, Lua and the docs.

Law: decides which keys exist, what kind of value each takes, and every text a user can be refused with.
Holds no logic. `scripts/gen-lua` copies these tables between the markers of slurm_plugin/job_submit.lua and
docs/reference/directive.md; CI refuses drift. A text has %s where Python and Lua put in their values, so
both say the same to the letter. Everything here is printable ASCII.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One key: `kind` names its reader, `form` is the correct form told in a refusal."""

    name: str
    kind: str
    form: str
    meaning: str


_TIME = (
    "write {0}=TIME as for sbatch --begin: 08:00, 2026-11-23T08:00, tomorrow-08:00 or now+8hours"
)
_LENGTH = "write {0}=LENGTH as for sbatch --time: minutes, hours:minutes:seconds or days-hours"

KEYS: tuple[Key, ...] = (
    Key(
        "class",
        "class",
        "write class=NAME with one of: %s",
        "A named set of values of the site's configuration; the other words override it key by key.",
    ),
    Key(
        "deadline",
        "time",
        _TIME.format("deadline"),
        "Finish by this time: the job starts at the latest a time limit before it.",
    ),
    Key(
        "start-by",
        "time",
        _TIME.format("start-by"),
        "Start at the latest at this time.",
    ),
    Key(
        "max-delay",
        "duration",
        _LENGTH.format("max-delay"),
        "Start at the latest this long after the first moment it could have started.",
    ),
    Key(
        "latency",
        "latency",
        _LENGTH.format("latency"),
        "Start at the latest this long after the submission, whatever the job waits for.",
    ),
    Key(
        "preempt",
        "preempt",
        "write preempt=none, preempt=requeue or preempt=suspend",
        "What may be done to the job once it runs; `none` unless said otherwise.",
    ),
    Key(
        "checkpoint",
        "checkpoint",
        "write checkpoint=SIGNAL@SECONDS, such as checkpoint=USR1@120",
        "Signal sent to the batch script this many seconds before it is preempted.",
    ),
    Key(
        "min-run",
        "duration",
        _LENGTH.format("min-run"),
        "Let the job run at least this long before it is preempted.",
    ),
    Key(
        "max-preempts",
        "count",
        "write max-preempts=NUMBER, such as max-preempts=2",
        "Preempt the job at most this many times; 1 unless said otherwise.",
    ),
    Key(
        "power",
        "power",
        "write power=350W/node, power=300W/gpu, power=12W/cpu or power=3.5kW for the whole job",
        "Electric power of the job's hardware, before the site's PUE.",
    ),
    Key(
        "max-price",
        "price",
        "write max-price=NUMBER in GBP/MWh, such as max-price=80 or max-price=80GBP/MWh",
        "Wait for a slot at or below this price, but never past the latest start.",
    ),
    Key(
        "max-carbon",
        "carbon",
        "write max-carbon=NUMBER in g/kWh, such as max-carbon=150 or max-carbon=150g/kWh",
        "Wait for a slot at or below this carbon intensity, but never past the latest start.",
    ),
    Key(
        "work",
        "work",
        "write work=NUMBER with unit=NAME, such as work=2.5e6 unit=inference",
        "How much useful work the whole job does, for the cost per unit; it needs a unit.",
    ),
    Key(
        "unit",
        "unit",
        "write unit=NAME with work=NUMBER, such as work=2.5e6 unit=inference",
        "What the work is counted in: a name of 1 to 32 of a-z 0-9 _ . - that begins with a letter.",
    ),
    Key(
        "sites",
        "sites",
        "write sites=NAME+NAME with the names of two to eight clusters, such as sites=north+south",
        "The clusters of a Slurm federation that the job may be moved between; without it, none.",
    ),
    Key(
        "off",
        "off",
        "write 'flex: off' with no other word",
        "Leave this job alone, also where the site makes jobs flexible by default.",
    ),
)

# The keys that say until when a job may wait; a directive with one of them stands on its own.
BOUNDS: tuple[str, ...] = ("deadline", "start-by", "max-delay", "latency")
# The keys that mean nothing unless the job may be preempted.
PREEMPT_ONLY: tuple[str, ...] = ("checkpoint", "min-run", "max-preempts")

# What scancel --signal knows by name, without KILL and STOP: no program can answer those.
SIGNALS: tuple[str, ...] = (
    *("HUP", "INT", "QUIT", "ABRT", "ALRM", "TERM", "USR1", "USR2"),
    *("URG", "CONT", "TSTP", "TTIN", "TTOU"),
)
UNCATCHABLE: tuple[int, ...] = (9, 19)  # SIGKILL, SIGSTOP

# why, correct. An empty correct takes the form of the key at fault.
MESSAGES: dict[str, tuple[str, str]] = {
    "second": ("a second 'flex:' in one comment", "write all words after one 'flex:'"),
    "long": ("the directive has %s bytes, at most %s are read", "shorten it or use class=NAME"),
    "control": (
        "control character (byte %s) in the directive",
        "use blanks or commas between words",
    ),
    "bare": ("not key=value", "write key=value, such as deadline=now+8hours, or off"),
    "half-day": ("not key=value", "write AM or PM without a blank before it, such as 08:00PM"),
    "bare-class": ("not key=value", "write class=%s"),
    "unknown": ("unknown key '%s'", "did you mean %s=? known: %s or off"),
    "duplicate": ("the key %s stands twice", "write it once"),
    "empty": ("no value", ""),
    "off": ("off goes with no other word and no value", ""),
    "no-class": ("unknown class '%s'", ""),
    "no-default": (
        "the site has no default class",
        "write class=NAME, or a deadline=, start-by=, max-delay= or latency=",
    ),
    "bad-time": ("not a time", ""),
    "bad-day": ("no such day", ""),
    "far-time": ("not within the years 2000 to 2099", ""),
    "bad-duration": ("not a length of time", ""),
    "negative": ("a length of time cannot be negative", ""),
    "endless": ("a length of time without end is no promise", ""),
    "far-duration": ("longer than Slurm can count", ""),
    "bad-preempt": ("not a way to preempt", ""),
    "bad-checkpoint": ("not SIGNAL@SECONDS", ""),
    "bad-signal": ("'%s' is no signal a program can answer", ""),
    "bad-seconds": ("the seconds must be between 0 and 65535", ""),
    "bad-number": ("not a number", ""),
    "bad-count": ("not a whole number between 0 and 1000", ""),
    "bad-power": ("not a power above 0 and below 100000 kW", ""),
    "bad-work": ("not an amount above 0 and below 1e18", ""),
    "bad-name": ("not a name of 1 to 32 of a-z 0-9 _ . - that begins with a letter", ""),
    "bad-sites": ("not two to eight different cluster names with + between them", ""),
    "bad-unit": ("wrong unit '%s'", ""),
    "no-unit": ("no unit", ""),
    "past": ("it is in the past", "give a time after the submission"),
    "unlimited": (
        "the time limit is UNLIMITED, so the job may never finish",
        "give --time as well",
    ),
    "too-soon": (
        "the job cannot finish by then: its time limit is %s, its earliest end %s",
        "give a later deadline or a shorter --time",
    ),
    "before-begin": (
        "the job cannot start by then: its --begin is %s",
        "give a later start-by or an earlier --begin",
    ),
    "latency-begin": (
        "the job cannot start by then: its --begin is %s",
        "give a longer latency or an earlier --begin",
    ),
    "min-run": ("not below the time limit of %s", "give a shorter min-run or a longer --time"),
    "no-preempt": (
        "the job is not to be preempted",
        "add preempt=requeue or preempt=suspend, or leave it out",
    ),
    "work-alone": ("the work has no unit", "add unit=NAME, such as unit=inference"),
    "unit-alone": ("the unit has no work", "add work=NUMBER, such as work=2.5e6, or leave it out"),
}
