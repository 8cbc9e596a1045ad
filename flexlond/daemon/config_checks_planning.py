"""What must hold in the tables of power, plans, windows, prediction and licences, beyond types.

Law: as in config_checks.py, of which this is a part: pure, every problem is found, none is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flexlond.daemon.config_problem import Problem, absolute, problem_of, within
from flexlond.daemon.config_schema import toml_key
from flexlond.model.licence import MOST_LICENCES, why_no_consent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.model.settings import MeterSettings, NodeType, Settings


def power(settings: Settings) -> Iterator[Problem]:
    """[power]."""
    chosen = settings.power
    yield from within("power.pue", chosen.pue, 1, 5)
    yield from within("power.other_kw", chosen.other_kw, 0, unit="kW")
    if not chosen.node_types:
        yield problem_of(
            "power.node_types", "is empty: no job's power is known", "[power.node_types.default]"
        )
    owners: dict[str, str] = {}
    for name, node in chosen.node_types.items():
        yield from _node_type(f"power.node_types.{name}", node)
        for partition in node.partitions or ("",):
            if partition in owners:
                what = (
                    f'partition "{partition}"'
                    if partition
                    else "every partition not named elsewhere"
                )
                yield problem_of(
                    f"power.node_types.{name}.partitions",
                    f'{what} is already of type "{owners[partition]}"',
                    "each partition in one node type, and one type at most without partitions",
                )
            owners.setdefault(partition, name)


def _node_type(key: str, node: NodeType) -> Iterator[Problem]:
    yield from within(f"{key}.idle_watts", node.idle_watts, 0, unit="watts")
    yield from within(f"{key}.cpu_watts", node.cpu_watts, 0, unit="watts")
    for gpu, watts in node.gpu_watts.items():
        yield from within(f"{key}.gpu_watts.{toml_key(gpu)}", watts, 0, unit="watts")
    yield from within(f"{key}.cpus_per_node", node.cpus_per_node, 1, unit="CPUs")
    yield from within(f"{key}.idle_share", node.idle_share, 0, 1)


def meter(settings: Settings) -> Iterator[Problem]:
    """[meter]."""
    chosen = settings.meter
    yield from within("meter.series", chosen.series, 1, 1000)
    yield from within("meter.site_factor", chosen.site_factor, 1, 5)
    yield from within("meter.column", chosen.column, 2, 1000)
    yield from within("meter.refresh", chosen.refresh, 1, 3600, "seconds")
    yield from within("meter.timeout", chosen.timeout, 0.1, 60, "seconds")
    yield from within("meter.max_age", chosen.max_age, 1, 3600, "seconds")
    yield from within("meter.max_kw", chosen.max_kw, 0, unit="kW")
    if chosen.max_age < chosen.refresh:
        yield problem_of(
            "meter.max_age",
            f"{chosen.max_age:g} s is shorter than meter.refresh ({chosen.refresh:g} s): every reading would "
            "be stale before the next one",
            "meter.max_age of at least two times meter.refresh",
        )
    if chosen.source != "none" and chosen.max_kw == 0:
        yield problem_of(
            "meter.max_kw",
            "is missing: without it an absurd reading cannot be told from a true one",
            "the rating of the site's supply, for example max_kw = 2500.0",
        )
    if chosen.source == "prometheus":
        yield from _prometheus(chosen)
    elif chosen.source == "csv":
        yield from absolute("meter.path", chosen.path)


def _prometheus(chosen: MeterSettings) -> Iterator[Problem]:
    at = urlsplit(chosen.url)
    if at.scheme not in {"http", "https"} or not at.netloc:
        yield problem_of("meter.url", f'"{chosen.url}" is no web address', "http://HOST:9090")
    elif at.username is not None or at.password is not None:
        yield problem_of(
            "meter.url",
            "has a user or a password in it, and the status shows the address",
            "the address alone; let the server or a proxy admit this machine",
        )
    if not chosen.query.strip():
        yield problem_of("meter.query", "is empty", "a selector such as 'site_power_watts'")


def planning(settings: Settings) -> Iterator[Problem]:
    """[planning]."""
    chosen = settings.planning
    for name in (
        "carbon_price",
        "delay_price",
        "margin_seconds",
        "default_queue_wait",
        "block_seconds",
        "newcomer_days",
        "ramp_kw_per_5min",
        "dual_steps",
        "search_steps",
        "milp_seconds",
        "site_kw",
        "co2_cap_kg",
        "export_kw",
        "carbon_cap_kg_per_day",
    ):
        yield from within(f"planning.{name}", getattr(chosen, name), 0)
    for account, kg in chosen.account_carbon_cap_kg_per_day.items():
        key = f"planning.account_carbon_cap_kg_per_day.{toml_key(account)}"
        yield from within(key, kg, 0)
    if chosen.rebound_cap and not 1 <= chosen.rebound_cap <= 100:
        yield from within("planning.rebound_cap", chosen.rebound_cap, 1, 100)
    yield from within("planning.min_benefit", chosen.min_benefit, 0, 1)
    yield from within("planning.spread", chosen.spread, 0, 1)
    yield from within("planning.search_seconds", chosen.search_seconds, 0, 60, "seconds")
    yield from within("planning.capacity_margin", chosen.capacity_margin, 0, 0.95)
    if chosen.milp_seconds > 0 and chosen.milp_seconds >= settings.daemon.cycle_seconds / 2:
        yield problem_of(
            "planning.milp_seconds",
            f"{chosen.milp_seconds:g} s is half of daemon.cycle_seconds "
            f"({settings.daemon.cycle_seconds:g} s) or more: cycles would be late",
            "planning.milp_seconds below half of daemon.cycle_seconds, or 0",
            "daemon",
        )
    caps = (
        ("co2_cap_kg", chosen.co2_cap_kg > 0, "co2_cap_kg = 0"),
        ("carbon_cap_kg_per_day", chosen.carbon_cap_kg_per_day > 0, "carbon_cap_kg_per_day = 0"),
        (
            "account_carbon_cap_kg_per_day",
            bool(chosen.account_carbon_cap_kg_per_day),
            "no account_carbon_cap_kg_per_day",
        ),
    )
    for name, wanted, without in caps:
        if wanted and not settings.signals.carbon:
            yield problem_of(
                f"planning.{name}",
                "caps CO2, but no carbon feed is configured: nothing could be counted",
                f"a [[signals.carbon]] feed, or {without}",
                "signals",
            )
    if 0 <= chosen.margin_seconds < settings.helper.margin_seconds:
        yield problem_of(
            "planning.margin_seconds",
            f"{chosen.margin_seconds} s is below helper.margin_seconds "
            f"({settings.helper.margin_seconds} s): the helper would refuse the latest planned starts",
            "planning.margin_seconds at least helper.margin_seconds",
            "helper",
        )


def envelope(settings: Settings) -> Iterator[Problem]:
    """[envelope]."""
    chosen = settings.envelope
    yield from within("envelope.windows", chosen.windows, 1, 96)
    yield from within("envelope.window_slots", chosen.window_slots, 1, 96, "slots")
    for number, depth in enumerate(chosen.depths, start=1):
        yield from within(f"envelope.depths#{number}", depth, 0.001, 1)
    if not chosen.depths:
        yield problem_of("envelope.depths", "is empty: no step is tried", "for example [0.1, 0.3]")
    yield from within("envelope.margin", chosen.margin, 0, 0.95)
    yield from within("envelope.level", chosen.level, 0.5, 0.99)
    yield from within("envelope.rebound_cap", chosen.rebound_cap, 1, 10)
    yield from within("envelope.most_jobs", chosen.most_jobs, 1, 5000, "jobs")
    yield from within("envelope.exact_jobs", chosen.exact_jobs, 0, 400, "jobs")
    yield from within("envelope.exact_seconds", chosen.exact_seconds, 0, 240, "seconds")
    yield from within("envelope.stop_plans", chosen.stop_plans, 0, 1000, "plans")
    yield from within("envelope.seconds", chosen.seconds, 1, 250, "seconds")


def windows(settings: Settings) -> Iterator[Problem]:
    """[windows]."""
    chosen = settings.windows
    yield from within("windows.suspend_saves", chosen.suspend_saves, 0, 1)
    yield from within("windows.restart_seconds", chosen.restart_seconds, 0, 86_400, "seconds")


def prediction(settings: Settings) -> Iterator[Problem]:
    """[prediction]."""
    chosen = settings.prediction
    yield from within("prediction.history_days", chosen.history_days, 1, 3650, "days")
    yield from within("prediction.refresh_seconds", chosen.refresh_seconds, 10, 86_400, "seconds")


def licence(settings: Settings) -> Iterator[Problem]:
    """[licence]."""
    chosen = settings.licence
    yield from within("licence.total_kw", chosen.total_kw, 0, MOST_LICENCES, "kW")
    yield from absolute("licence.conf", chosen.conf)
    yield from within("licence.longest_seconds", chosen.longest_seconds, 60, 604_800, "seconds")
    yield from within("licence.ahead_seconds", chosen.ahead_seconds, 60, 2_592_000, "seconds")
    yield from within("licence.most", chosen.most, 1, 500)
    if chosen.taking_part and not chosen.total_kw:
        yield problem_of(
            "licence.total_kw",
            "is 0, but licence.partitions has partitions that take part",
            "N of the line Licenses=kw:N in slurm.conf",
        )
    if why := why_no_consent(chosen):
        yield problem_of(
            "licence.consent",
            why,
            'who agreed, for example "All jobs of night may wait for windows: J. Doe, head of computing, '
            '2026-11-28", or licence.partitions without "all"',
        )
