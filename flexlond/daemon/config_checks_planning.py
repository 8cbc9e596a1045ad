"""What must hold in [power], [planning], [windows] and [prediction], beyond the type of each value.

Law: as in config_checks.py, of which this is a part: pure, every problem is found, none is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.daemon.config_problem import Problem, problem_of, within
from flexlond.daemon.config_schema import toml_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.model.settings import NodeType, Settings


def power(settings: Settings) -> Iterator[Problem]:
    """[power]."""
    chosen = settings.power
    yield from within("power.pue", chosen.pue, 1, 5)
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


def planning(settings: Settings) -> Iterator[Problem]:
    """[planning]."""
    chosen = settings.planning
    for name in (
        "carbon_price",
        "delay_price",
        "margin_seconds",
        "default_queue_wait",
        "ramp_kw_per_5min",
        "dual_steps",
        "search_steps",
        "milp_seconds",
        "site_kw",
        "co2_cap_kg",
    ):
        yield from within(f"planning.{name}", getattr(chosen, name), 0)
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
    if chosen.co2_cap_kg > 0 and not settings.signals.carbon:
        yield problem_of(
            "planning.co2_cap_kg",
            "caps CO2, but no carbon feed is configured: nothing could be counted",
            "a [[signals.carbon]] feed, or co2_cap_kg = 0",
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
