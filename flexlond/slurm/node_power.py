"""The nodes' power as Slurm gathers it (acct_gather_energy): CurrentWatts of `scontrol show node`.

Law: reads only, and answers a sum only where every node reports: a node that does not would make the sum too
low, and a reduction out of thin air. 0 W and n/s are no report (Slurm prints 0 where no plugin counts), and so
is the last figure of a node that is down or switched off. A plugin that sees only processors or GPUs is no
meter of a node. Watts of the nodes, without cooling. Source: scontrol(1), slurm.conf(5); the words of 22.05,
24.11 and 26.05 (22.05's scontrol has no JSON, so the text is read).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flexlond.slurm.cluster import is_usable, parse_config
from flexlond.slurm.command import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.settings import SlurmSettings

WHOLE_NODE: Final = frozenset({"ipmi", "xcc", "pm_counters", "ibmaem"})
_WORD: Final = re.compile(r"(?:^|\s)(NodeName|State|CurrentWatts)=(\S*)")
_SILENT: Final = re.compile(r"power(ed|ing)_(down|up|off)", re.IGNORECASE)
_ABSURD: Final = 1_000_000  # watts of a node; Slurm's "no value" (2**32 - 2) is far above
_NAMED: Final = 3  # silent nodes that are named


class NodePowerError(Exception):
    """No sum can be said; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class NodeWatts:
    """What one node draws; None: it does not report."""

    name: str
    state: str
    watts: int | None


def read_node_watts(settings: SlurmSettings) -> float:
    """Watts of all nodes together; two short commands, blocking. Raises NodePowerError, SlurmCommandError."""
    config = parse_config(run(["scontrol", "show", "config"], settings=settings))
    check_plugin(config.get("AcctGatherEnergyType", ""))
    return summed(parse_nodes(run(["scontrol", "-o", "show", "node"], settings=settings)))


def check_plugin(kind: str) -> None:
    """Raises NodePowerError unless one of the plugins measures whole nodes ("acct_gather_energy/ipmi")."""
    plugins = {word.strip().rpartition("/")[2] for word in kind.split(",")}
    if not plugins & WHOLE_NODE:
        raise NodePowerError(
            f"Slurm's AcctGatherEnergyType is {kind or 'not set'}, which does not measure whole nodes; set it"
            f" to one of {', '.join(sorted(WHOLE_NODE))}, or connect another meter"
        )


def parse_nodes(printed: str) -> list[NodeWatts]:
    """`scontrol -o show node`: one line each; of a word the first counts, Reason and Comment come later."""
    found = []
    for line in printed.splitlines():
        words: dict[str, str] = {}
        for key, value in _WORD.findall(line):
            words.setdefault(key, value)
        if "NodeName" not in words:
            continue
        state, shown = words.get("State", ""), words.get("CurrentWatts", "")
        reports = is_usable(_alive(state)) and not _SILENT.search(state)
        watts = int(shown) if reports and shown.isdecimal() and 0 < int(shown) < _ABSURD else None
        found.append(NodeWatts(words["NodeName"], state, watts))
    return found


def summed(nodes: Sequence[NodeWatts]) -> float:
    """The sum in watts. Raises NodePowerError where a node does not report."""
    silent = [node for node in nodes if node.watts is None]
    if silent or not nodes:
        named = ", ".join(f"{node.name} ({node.state})" for node in silent[:_NAMED])
        raise NodePowerError(
            f"{len(silent)} of {len(nodes)} nodes do not report their power to Slurm{': ' if named else ''}"
            f"{named}; see slurmd's log there, and AcctGatherNodeFreq in slurm.conf, which must not be 0"
        )
    return float(sum(node.watts or 0 for node in nodes))


def _alive(state: str) -> str:
    """A state without what closes a node to jobs but leaves its slurmd reporting."""
    return re.sub(r"drain(ed|ing)?|maint(enance)?|reserved", "", state, flags=re.IGNORECASE)
