"""What must hold between the values of a configuration, beyond the type of each.

Law: pure, total and patient: every check looks at settings of the right shape and yields every problem
it finds, never raising and never stopping at the first. A check reads no file, no network and no clock.
What it refuses would have led to more holds, later starts, or a daemon that fails at work.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from flexlond.daemon.check import MAX_COMMENT
from flexlond.daemon.config_problem import Problem
from flexlond.daemon.config_schema import toml_key
from flexlond.model.directive import Rejected, read_directive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flexlond.model.settings import Feed, FlexClass, NodeType, Settings

MAX_DECISION_WINDOW = 10  # seconds; DESIGN rule 4: within Slurm's own scheduling delay
MAX_SOCKET_PATH = 107  # bytes; sun_path less its NUL
SETTLEMENT_PERIOD = 1800  # seconds

_SOURCES = {
    "price": ("csv", "elexon-market-index", "octopus-agile", "neso-day-ahead"),
    "carbon": ("csv", "neso-carbon", "neso-carbon-regional"),
}
_REGION = {
    "neso-carbon-regional": 'region = "13" (1 to 17) or an outward postcode such as "RG10"',
    "octopus-agile": 'region = "C" (the letter of the distribution region, A to P)',
}
# Two moments 400 days apart: a time that resolves to the same second from both is a fixed date.
_MOMENTS = (1_750_032_000, 1_750_032_000 + 400 * 86_400)


def cross_check(settings: Settings) -> list[Problem]:
    """Every problem of `settings`, in the order of the reference."""
    return [problem for check in _CHECKS for problem in check(settings)]


def section_of(key: str) -> str:
    """The top table of a key path."""
    return re.split(r"[.#]", key, maxsplit=1)[0]


def _problem(key: str, why: str, correct: str, *also: str) -> Problem:
    """A problem of `key` whose check looked at its own section and those in `also`."""
    return Problem(key, why, correct, frozenset({section_of(key), *also}))


def _within(
    key: str, value: float, low: float, high: float = math.inf, unit: str = ""
) -> Iterator[Problem]:
    if not low <= value <= high:
        bounds = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        yield _problem(key, f"{value:g} is out of range", f"{bounds}{' ' + unit if unit else ''}")


def _absolute(key: str, path: str, *, socket: bool = False) -> Iterator[Problem]:
    if not path.startswith("/"):
        yield _problem(key, f'"{path}" is not an absolute path', "a path that begins with /")
    elif socket and len(path.encode()) > MAX_SOCKET_PATH:
        yield _problem(
            key,
            f"the path has {len(path.encode())} bytes, a Unix socket's may have {MAX_SOCKET_PATH}",
            "a shorter path, for example under /run",
        )


def _daemon(settings: Settings) -> Iterator[Problem]:
    daemon = settings.daemon
    yield from _within("daemon.tick_seconds", daemon.tick_seconds, 0.2, 60, "seconds")
    yield from _within("daemon.cycle_seconds", daemon.cycle_seconds, 1, 3600, "seconds")
    if daemon.cycle_seconds < daemon.tick_seconds:
        yield _problem(
            "daemon.cycle_seconds",
            f"{daemon.cycle_seconds:g} s is shorter than daemon.tick_seconds ({daemon.tick_seconds:g} s)",
            "a cycle of at least one tick, for example cycle_seconds = 30.0",
        )
    if daemon.tick_seconds >= settings.directive.decision_window:
        yield _problem(
            "daemon.tick_seconds",
            f"{daemon.tick_seconds:g} s is not shorter than directive.decision_window "
            f"({settings.directive.decision_window} s): new jobs would start before they are placed",
            "a tick of at most a third of the window, for example tick_seconds = 3.0",
            "directive",
        )
    yield from _absolute("daemon.state_dir", daemon.state_dir)
    yield from _absolute("daemon.heartbeat_file", daemon.heartbeat_file)
    yield from _absolute("daemon.admin_socket", daemon.admin_socket, socket=True)
    yield from _absolute("daemon.helper_socket", daemon.helper_socket, socket=True)


def _slurm(settings: Settings) -> Iterator[Problem]:
    slurm = settings.slurm
    for name in ("bin_dir", "conf"):
        if value := getattr(slurm, name):
            yield from _absolute(f"slurm.{name}", value)
    if slurm.restd_socket:
        yield from _absolute("slurm.restd_socket", slurm.restd_socket, socket=True)
    elif slurm.reader == "rest":
        yield _problem(
            "slurm.restd_socket",
            'is empty, but slurm.reader = "rest" reads through slurmrestd',
            'restd_socket = "/run/slurmrestd/slurmrestd.socket", or reader = "auto"',
        )
    yield from _within("slurm.command_timeout", slurm.command_timeout, 1, 600, "seconds")


def _grid(settings: Settings) -> Iterator[Problem]:
    slot, count = settings.grid.slot_seconds, settings.grid.horizon_slots
    yield from _within("grid.slot_seconds", slot, 1, 86_400, "seconds")
    yield from _within("grid.horizon_slots", count, 2, 10_000, "slots")
    if slot >= 60 and SETTLEMENT_PERIOD % slot and slot % SETTLEMENT_PERIOD:
        yield _problem(
            "grid.slot_seconds",
            f"{slot} s neither divides the settlement period of {SETTLEMENT_PERIOD} s nor is a multiple of it",
            "300, 600, 900, 1800 or 3600 (below 60, for demonstrations, anything)",
        )


def _directive(settings: Settings) -> Iterator[Problem]:
    directive = settings.directive
    yield from _within(
        "directive.decision_window", directive.decision_window, 1, MAX_DECISION_WINDOW, "seconds"
    )
    yield from _within(
        "directive.max_directive_length", directive.max_directive_length, 16, MAX_COMMENT, "bytes"
    )
    known = ", ".join(sorted(directive.classes)) or "none yet: add [directive.classes.NAME]"
    if directive.default_class and directive.default_class not in directive.classes:
        yield _problem(
            "directive.default_class",
            f'"{directive.default_class}" is not a class of the file',
            f'one of the classes ({known}), or "" for none',
        )
    folded: dict[str, str] = {}
    for name in directive.classes:
        if (other := folded.setdefault(name.lower(), name)) != name:
            yield _problem(
                f"directive.classes.{name}",
                f"differs from class {other} in upper and lower case only",
                "names that differ otherwise: a comment may write them in any case",
            )
    for name, flex_class in directive.classes.items():
        yield from _class(settings, name, flex_class)
    for number, opt_in in enumerate(directive.opt_in, start=1):
        key = f"directive.opt_in#{number}"
        if not (opt_in.partition or opt_in.qos or opt_in.account):
            yield _problem(
                key,
                "names no partition, QOS or account: it would make every job flexible",
                'at least one of partition, qos, account, for example partition = "batch"',
            )
        if not (opt_in.flex_class or directive.default_class):
            yield _problem(
                f"{key}.flex_class",
                "is empty, and there is no directive.default_class",
                f"one of: {known}",
            )
        if opt_in.flex_class and opt_in.flex_class not in directive.classes:
            yield _problem(
                f"{key}.flex_class",
                f'"{opt_in.flex_class}" is not a class of the file',
                f"one of the classes: {known}",
            )


def _class(settings: Settings, name: str, flex_class: FlexClass) -> Iterator[Problem]:
    key = f"directive.classes.{name}"
    if not (flex_class.deadline or flex_class.start_by or flex_class.max_delay):
        yield _problem(
            key,
            "has no time bound: nothing would say until when its jobs may wait",
            'at least one of deadline, start_by, max_delay, for example max_delay = "12:00:00"',
        )
    results = [
        read_directive(f"flex:class={name}", settings.directive, now=now, tz=ZoneInfo("UTC"))
        for now in _MOMENTS
    ]
    rejected = next((result for result in results if isinstance(result, Rejected)), None)
    if rejected is not None:
        field = rejected.word.split("=")[0].replace("-", "_")
        at = f"{key}.{field}" if hasattr(flex_class, field) else key
        yield _problem(at, f"{rejected.word}: {rejected.why}", rejected.correct)
        return
    for field in ("deadline", "start_by"):
        first, second = (getattr(result, field, 0) for result in results)
        if first and first == second:
            yield _problem(
                f"{key}.{field}",
                f'"{getattr(flex_class, field)}" is a fixed date: the class is void once it has passed',
                'a time of day or a time from now, for example "08:00" or "now+8hours"',
            )


def _signals(settings: Settings) -> Iterator[Problem]:
    yield from _within("signals.timeout", settings.signals.timeout, 0.1, 300, "seconds")
    for kind in ("price", "carbon"):
        for number, feed in enumerate(getattr(settings.signals, kind), start=1):
            yield from _feed(f"signals.{kind}#{number}", kind, feed)


def _feed(key: str, kind: str, feed: Feed) -> Iterator[Problem]:
    if feed.source not in _SOURCES[kind]:
        yield _problem(
            f"{key}.source",
            f'"{feed.source}" gives no {kind}',
            "one of " + ", ".join(f'"{source}"' for source in _SOURCES[kind]),
        )
    if feed.source == "csv" and not feed.path:
        yield _problem(
            f"{key}.path", 'is missing: source = "csv" reads a file', "the file's absolute path"
        )
    if feed.path:
        yield from _absolute(f"{key}.path", feed.path)
    for name in ("path", "column"):
        if getattr(feed, name) and feed.source != "csv":
            yield _problem(
                f"{key}.{name}", f'means nothing to "{feed.source}"', 'only with source = "csv"'
            )
    if feed.source in _REGION and not feed.region:
        yield _problem(
            f"{key}.region", f'is missing: "{feed.source}" needs it', _REGION[feed.source]
        )
    if feed.url and not feed.url.startswith(("http://", "https://")):
        yield _problem(f"{key}.url", f'"{feed.url}" is no web address', "https://HOST/PATH")
    yield from _within(f"{key}.refresh", feed.refresh, 1, 86_400, "seconds")
    yield from _within(f"{key}.max_age", feed.max_age, 0)
    if feed.minimum >= feed.maximum:
        yield _problem(
            f"{key}.minimum",
            f"{feed.minimum:g} is not below maximum ({feed.maximum:g}): every value would be unknown",
            "minimum below maximum",
        )


def _power(settings: Settings) -> Iterator[Problem]:
    power = settings.power
    yield from _within("power.pue", power.pue, 1, 5)
    if not power.node_types:
        yield _problem(
            "power.node_types", "is empty: no job's power is known", "[power.node_types.default]"
        )
    owners: dict[str, str] = {}
    for name, node in power.node_types.items():
        yield from _node_type(f"power.node_types.{name}", node)
        for partition in node.partitions or ("",):
            if partition in owners:
                what = (
                    f'partition "{partition}"'
                    if partition
                    else "every partition not named elsewhere"
                )
                yield _problem(
                    f"power.node_types.{name}.partitions",
                    f'{what} is already of type "{owners[partition]}"',
                    "each partition in one node type, and one type at most without partitions",
                )
            owners.setdefault(partition, name)


def _node_type(key: str, node: NodeType) -> Iterator[Problem]:
    yield from _within(f"{key}.idle_watts", node.idle_watts, 0, unit="watts")
    yield from _within(f"{key}.cpu_watts", node.cpu_watts, 0, unit="watts")
    for gpu, watts in node.gpu_watts.items():
        yield from _within(f"{key}.gpu_watts.{toml_key(gpu)}", watts, 0, unit="watts")
    yield from _within(f"{key}.cpus_per_node", node.cpus_per_node, 1, unit="CPUs")
    yield from _within(f"{key}.idle_share", node.idle_share, 0, 1)


def _planning(settings: Settings) -> Iterator[Problem]:
    planning = settings.planning
    for name in (
        "carbon_price",
        "delay_price",
        "margin_seconds",
        "default_queue_wait",
        "ramp_kw_per_5min",
    ):
        yield from _within(f"planning.{name}", getattr(planning, name), 0)
    yield from _within("planning.min_benefit", planning.min_benefit, 0, 1)
    yield from _within("planning.spread", planning.spread, 0, 1)
    yield from _within("planning.capacity_margin", planning.capacity_margin, 0, 0.95)
    if 0 <= planning.margin_seconds < settings.helper.margin_seconds:
        yield _problem(
            "planning.margin_seconds",
            f"{planning.margin_seconds} s is below helper.margin_seconds "
            f"({settings.helper.margin_seconds} s): the helper would refuse the latest planned starts",
            "planning.margin_seconds at least helper.margin_seconds",
            "helper",
        )


def _helper(settings: Settings) -> Iterator[Problem]:
    helper = settings.helper
    yield from _absolute("helper.socket", helper.socket, socket=True)
    yield from _absolute("helper.state_dir", helper.state_dir)
    if not helper.daemon_user:
        yield _problem("helper.daemon_user", "is empty: nobody could ask the helper", '"flexlon"')
    for name in ("max_actions_per_minute", "max_requeues_per_minute", "max_batch"):
        yield from _within(f"helper.{name}", getattr(helper, name), 1)
    yield from _within("helper.margin_seconds", helper.margin_seconds, 0, unit="seconds")
    yield from _within("helper.resume_grace", helper.resume_grace, 0, unit="seconds")
    if helper.socket != settings.daemon.helper_socket:
        yield _problem(
            "daemon.helper_socket",
            f'"{settings.daemon.helper_socket}" is not where the helper listens '
            f'(helper.socket = "{helper.socket}")',
            "the same path in both",
            "helper",
        )
    if helper.state_dir == settings.daemon.state_dir:
        yield _problem(
            "helper.state_dir",
            "is also daemon.state_dir: the helper keeps opt-outs where the daemon cannot write",
            "a directory of its own, for example /var/lib/flexlon-helper",
            "daemon",
        )


def _admin(settings: Settings) -> Iterator[Problem]:
    for number, name in enumerate(settings.admin.operators, start=1):
        if not name.strip():
            yield _problem(
                f"admin.operators#{number}", "is an empty name", "a user name or a uid in quotes"
            )


_CHECKS: tuple[Callable[[Settings], Iterator[Problem]], ...] = (
    _daemon,
    _slurm,
    _grid,
    _directive,
    _signals,
    _power,
    _planning,
    _helper,
    _admin,
)
