"""What must hold between the values of a configuration, beyond the type of each.

Law: pure, total and patient: every check looks at settings of the right shape and yields every problem
it finds, never raising and never stopping at the first. A check reads no file, no network and no clock.
What it refuses would have led to more holds, later starts, or a daemon that fails at work.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from flexlond.daemon.check import MAX_COMMENT
from flexlond.daemon.config_checks_assets import assets
from flexlond.daemon.config_checks_buy import buy
from flexlond.daemon.config_checks_caps import power_caps
from flexlond.daemon.config_checks_ledger import ledger
from flexlond.daemon.config_checks_market import agents, market
from flexlond.daemon.config_checks_planning import (
    envelope,
    licence,
    meter,
    planning,
    power,
    prediction,
    windows,
)
from flexlond.daemon.config_checks_settlement import settlement
from flexlond.daemon.config_problem import Problem, absolute, problem_of, within
from flexlond.model.directive import Rejected, read_directive
from flexlond.signals.sources import SETTLING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flexlond.model.settings import Feed, FlexClass, Settings

MAX_DECISION_WINDOW = 10  # seconds; DESIGN rule 4: within Slurm's own scheduling delay
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


def _daemon(settings: Settings) -> Iterator[Problem]:
    daemon = settings.daemon
    yield from within("daemon.tick_seconds", daemon.tick_seconds, 0.2, 60, "seconds")
    yield from within("daemon.cycle_seconds", daemon.cycle_seconds, 1, 3600, "seconds")
    if daemon.cycle_seconds < daemon.tick_seconds:
        yield problem_of(
            "daemon.cycle_seconds",
            f"{daemon.cycle_seconds:g} s is shorter than daemon.tick_seconds ({daemon.tick_seconds:g} s)",
            "a cycle of at least one tick, for example cycle_seconds = 30.0",
        )
    if daemon.tick_seconds >= settings.directive.decision_window:
        yield problem_of(
            "daemon.tick_seconds",
            f"{daemon.tick_seconds:g} s is not shorter than directive.decision_window "
            f"({settings.directive.decision_window} s): new jobs would start before they are placed",
            "a tick of at most a third of the window, for example tick_seconds = 3.0",
            "directive",
        )
    yield from absolute("daemon.state_dir", daemon.state_dir)
    yield from absolute("daemon.heartbeat_file", daemon.heartbeat_file)
    yield from absolute("daemon.admin_socket", daemon.admin_socket, socket=True)
    yield from absolute("daemon.helper_socket", daemon.helper_socket, socket=True)


def _slurm(settings: Settings) -> Iterator[Problem]:
    slurm = settings.slurm
    for name in ("bin_dir", "conf"):
        if value := getattr(slurm, name):
            yield from absolute(f"slurm.{name}", value)
    if slurm.restd_socket:
        yield from absolute("slurm.restd_socket", slurm.restd_socket, socket=True)
    elif slurm.reader == "rest":
        yield problem_of(
            "slurm.restd_socket",
            'is empty, but slurm.reader = "rest" reads through slurmrestd',
            'restd_socket = "/run/slurmrestd/slurmrestd.socket", or reader = "auto"',
        )
    yield from within("slurm.command_timeout", slurm.command_timeout, 1, 600, "seconds")


def _grid(settings: Settings) -> Iterator[Problem]:
    slot, count = settings.grid.slot_seconds, settings.grid.horizon_slots
    yield from within("grid.slot_seconds", slot, 1, 86_400, "seconds")
    yield from within("grid.horizon_slots", count, 2, 10_000, "slots")
    if slot >= 60 and SETTLEMENT_PERIOD % slot and slot % SETTLEMENT_PERIOD:
        yield problem_of(
            "grid.slot_seconds",
            f"{slot} s neither divides the settlement period of {SETTLEMENT_PERIOD} s nor is a multiple of it",
            "300, 600, 900, 1800 or 3600 (below 60, for demonstrations, anything)",
        )


def _directive(settings: Settings) -> Iterator[Problem]:
    directive = settings.directive
    yield from within(
        "directive.decision_window", directive.decision_window, 1, MAX_DECISION_WINDOW, "seconds"
    )
    yield from within(
        "directive.max_directive_length", directive.max_directive_length, 16, MAX_COMMENT, "bytes"
    )
    known = ", ".join(sorted(directive.classes)) or "none yet: add [directive.classes.NAME]"
    if directive.default_class and directive.default_class not in directive.classes:
        yield problem_of(
            "directive.default_class",
            f'"{directive.default_class}" is not a class of the file',
            f'one of the classes ({known}), or "" for none',
        )
    folded: dict[str, str] = {}
    for name in directive.classes:
        if (other := folded.setdefault(name.lower(), name)) != name:
            yield problem_of(
                f"directive.classes.{name}",
                f"differs from class {other} in upper and lower case only",
                "names that differ otherwise: a comment may write them in any case",
            )
    for name, flex_class in directive.classes.items():
        yield from _class(settings, name, flex_class)
    for number, opt_in in enumerate(directive.opt_in, start=1):
        key = f"directive.opt_in#{number}"
        if not (opt_in.partition or opt_in.qos or opt_in.account):
            yield problem_of(
                key,
                "names no partition, QOS or account: it would make every job flexible",
                'at least one of partition, qos, account, for example partition = "batch"',
            )
        if not (opt_in.flex_class or directive.default_class):
            yield problem_of(
                f"{key}.flex_class",
                "is empty, and there is no directive.default_class",
                f"one of: {known}",
            )
        if opt_in.flex_class and opt_in.flex_class not in directive.classes:
            yield problem_of(
                f"{key}.flex_class",
                f'"{opt_in.flex_class}" is not a class of the file',
                f"one of the classes: {known}",
            )


def _class(settings: Settings, name: str, flex_class: FlexClass) -> Iterator[Problem]:
    key = f"directive.classes.{name}"
    bounds = (flex_class.deadline, flex_class.start_by, flex_class.max_delay, flex_class.latency)
    if not any(bounds):
        yield problem_of(
            key,
            "has no time bound: nothing would say until when its jobs may wait",
            'at least one of deadline, start_by, max_delay, latency, for example max_delay = "12:00:00"',
        )
    results = [
        read_directive(f"flex:class={name}", settings.directive, now=now, tz=ZoneInfo("UTC"))
        for now in _MOMENTS
    ]
    rejected = next((result for result in results if isinstance(result, Rejected)), None)
    if rejected is not None:
        field = rejected.word.split("=")[0].replace("-", "_")
        at = f"{key}.{field}" if hasattr(flex_class, field) else key
        yield problem_of(at, f"{rejected.word}: {rejected.why}", rejected.correct)
        return
    for field in ("deadline", "start_by"):
        first, second = (getattr(result, field, 0) for result in results)
        if first and first == second:
            yield problem_of(
                f"{key}.{field}",
                f'"{getattr(flex_class, field)}" is a fixed date: the class is void once it has passed',
                'a time of day or a time from now, for example "08:00" or "now+8hours"',
            )


def _signals(settings: Settings) -> Iterator[Problem]:
    yield from within("signals.timeout", settings.signals.timeout, 0.1, 300, "seconds")
    for kind in ("price", "carbon"):
        for number, feed in enumerate(getattr(settings.signals, kind), start=1):
            yield from _feed(f"signals.{kind}#{number}", kind, feed)


def _sites(settings: Settings) -> Iterator[Problem]:
    names = [site.cluster for site in settings.sites]
    for number, site in enumerate(settings.sites, start=1):
        where = f"sites#{number}"
        if not re.fullmatch(r"[a-z0-9_-]{1,40}", site.cluster) or names.count(site.cluster) > 1:
            yield problem_of(
                f"{where}.cluster",
                f'"{site.cluster}" is no name of one other cluster',
                "each cluster once, as `sacctmgr show federation` prints it",
            )
        if not site.price:
            yield problem_of(f"{where}.price", "is missing", "at least one [[sites.price]]")
        yield from within(f"{where}.stay", site.stay, 60, 86400, "seconds")
        yield from within(f"{where}.min_benefit", site.min_benefit, 0, 1e6, "GBP")
        yield from within(f"{where}.most", site.most, 0, 1000, "")
        for kind in ("price", "carbon"):
            for index, feed in enumerate(getattr(site, kind), start=1):
                yield from _feed(f"{where}.{kind}#{index}", kind, feed)


def _feed(key: str, kind: str, feed: Feed) -> Iterator[Problem]:
    if feed.source not in _SOURCES[kind]:
        yield problem_of(
            f"{key}.source",
            f'"{feed.source}" gives no {kind}',
            "one of " + ", ".join(f'"{source}"' for source in _SOURCES[kind]),
        )
    if feed.settles and feed.source not in SETTLING:
        yield problem_of(
            f"{key}.settles",
            f'"{feed.source}" only forecasts, and a forecast settles nothing',
            "one of "
            + ", ".join(f'"{source}"' for source in sorted(SETTLING))
            + " with settles = true",
        )
    if feed.source == "csv" and not feed.path:
        yield problem_of(
            f"{key}.path", 'is missing: source = "csv" reads a file', "the file's absolute path"
        )
    if feed.path:
        yield from absolute(f"{key}.path", feed.path)
    for name in ("path", "column"):
        if getattr(feed, name) and feed.source != "csv":
            yield problem_of(
                f"{key}.{name}", f'means nothing to "{feed.source}"', 'only with source = "csv"'
            )
    if feed.source in _REGION and not feed.region:
        yield problem_of(
            f"{key}.region", f'is missing: "{feed.source}" needs it', _REGION[feed.source]
        )
    if feed.url and not feed.url.startswith(("http://", "https://")):
        yield problem_of(f"{key}.url", f'"{feed.url}" is no web address', "https://HOST/PATH")
    yield from within(f"{key}.refresh", feed.refresh, 1, 86_400, "seconds")
    yield from within(f"{key}.max_age", feed.max_age, 0)
    if feed.minimum >= feed.maximum:
        yield problem_of(
            f"{key}.minimum",
            f"{feed.minimum:g} is not below maximum ({feed.maximum:g}): every value would be unknown",
            "minimum below maximum",
        )


def _helper(settings: Settings) -> Iterator[Problem]:
    helper = settings.helper
    yield from absolute("helper.socket", helper.socket, socket=True)
    yield from absolute("helper.state_dir", helper.state_dir)
    if not helper.daemon_user:
        yield problem_of("helper.daemon_user", "is empty: nobody could ask the helper", '"flexlon"')
    for name in ("max_actions_per_minute", "max_requeues_per_minute", "max_batch"):
        yield from within(f"helper.{name}", getattr(helper, name), 1)
    yield from within("helper.margin_seconds", helper.margin_seconds, 0, unit="seconds")
    yield from within("helper.resume_grace", helper.resume_grace, 0, unit="seconds")
    if helper.socket != settings.daemon.helper_socket:
        yield problem_of(
            "daemon.helper_socket",
            f'"{settings.daemon.helper_socket}" is not where the helper listens '
            f'(helper.socket = "{helper.socket}")',
            "the same path in both",
            "helper",
        )
    if helper.state_dir == settings.daemon.state_dir:
        yield problem_of(
            "helper.state_dir",
            "is also daemon.state_dir: the helper keeps opt-outs where the daemon cannot write",
            "a directory of its own, for example /var/lib/flexlon-helper",
            "daemon",
        )


def _admin(settings: Settings) -> Iterator[Problem]:
    for number, name in enumerate(settings.admin.operators, start=1):
        if not name.strip():
            yield problem_of(
                f"admin.operators#{number}", "is an empty name", "a user name or a uid in quotes"
            )


_CHECKS: tuple[Callable[[Settings], Iterator[Problem]], ...] = (
    _daemon,
    _slurm,
    _grid,
    _directive,
    _signals,
    _sites,
    power,
    meter,
    planning,
    envelope,
    windows,
    prediction,
    assets,
    power_caps,
    _helper,
    licence,
    agents,
    market,
    buy,
    ledger,
    settlement,
    _admin,
)
