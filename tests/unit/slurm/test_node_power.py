"""Node energy as scontrol prints it: captured from 22.05, 24.11 and 26.05, and what is no sum."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flexlond.model.settings import SlurmSettings
from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.node_power import (
    NodePowerError,
    NodeWatts,
    check_plugin,
    parse_nodes,
    read_node_watts,
    summed,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "meter"


def captured(version: str) -> str:
    return (FIXTURES / f"nodes-{version}.txt").read_text("utf-8")


def line(name: str, state: str, watts: str) -> str:
    text = captured("24.11")
    return (
        text.replace("NodeName=node1", f"NodeName={name}")
        .replace("State=IDLE", f"State={state}")
        .replace("CurrentWatts=700", f"CurrentWatts={watts}")
    )


@pytest.mark.parametrize("version", ["24.11", "26.05"])
def test_a_node_that_reports_is_read(version: str) -> None:
    assert parse_nodes(captured(version)) == [NodeWatts("node1", "IDLE", 700)]


def test_a_node_that_slurmctld_has_not_heard_of_does_not_report() -> None:
    (node,) = parse_nodes(captured("22.05"))
    assert (node.name, node.state, node.watts) == ("node1", "UNKNOWN", None)
    with pytest.raises(NodePowerError, match=r"1 of 1 nodes do not report.*node1 \(UNKNOWN\)"):
        summed([node])


@pytest.mark.parametrize(
    ("state", "reports"),
    [
        ("MIXED", True),
        ("ALLOCATED+DRAIN", True),
        ("IDLE+DRAIN", True),
        ("MIXED+RESERVED", True),
        ("IDLE+MAINT", True),
        ("DOWN", False),
        ("DOWN*", False),
        ("IDLE*", False),
        ("IDLE+DRAIN+NOT_RESPONDING", False),
        ("IDLE+POWERED_DOWN", False),
        ("IDLE+POWERING_UP", False),
        ("UNKNOWN", True),  # not told apart by its state, but by its 0 W
    ],
)
def test_the_last_figure_of_a_node_that_is_away_does_not_count(
    state: str, *, reports: bool
) -> None:
    (node,) = parse_nodes(line("n", state, "640"))
    assert node.watts == (640 if reports else None)


@pytest.mark.parametrize("watts", ["0", "n/s", "N/A", "", "-5", "4294967294"])
def test_what_is_no_figure_is_no_report(watts: str) -> None:
    (node,) = parse_nodes(line("n", "IDLE", watts))
    assert node.watts is None


def test_one_silent_node_leaves_no_sum() -> None:
    whole = parse_nodes(line("a", "IDLE", "300") + line("b", "MIXED", "450"))
    assert summed(whole) == 750.0
    some = parse_nodes(line("a", "IDLE", "300") + line("b", "DOWN", "450"))
    with pytest.raises(NodePowerError, match=r"1 of 2 nodes do not report.*b \(DOWN\)"):
        summed(some)
    with pytest.raises(NodePowerError, match="0 of 0"):
        summed([])


def test_words_of_a_reason_are_not_those_of_the_node() -> None:
    text = line("a", "IDLE", "300").rstrip() + " Reason=x State=DOWN CurrentWatts=1 NodeName=z\n"
    assert parse_nodes(text) == [NodeWatts("a", "IDLE", 300)]


def test_only_plugins_that_measure_whole_nodes_will_do() -> None:
    for kind in ("acct_gather_energy/ipmi", "acct_gather_energy/pm_counters", "rapl,ipmi"):
        check_plugin(kind)
    for kind in ("", "(null)", "acct_gather_energy/none", "acct_gather_energy/rapl", "gpu"):
        with pytest.raises(NodePowerError, match="does not measure whole nodes"):
            check_plugin(kind)


SCONTROL = """
import sys
if "config" in sys.argv:
    print("AcctGatherEnergyType    = {kind}")
else:
    sys.stdout.write({nodes!r})
"""


def slurm(folder: Path, kind: str, nodes: str) -> SlurmSettings:
    path = folder / "scontrol"
    path.write_text(f"#!{sys.executable} -S\n{SCONTROL.format(kind=kind, nodes=nodes)}")
    path.chmod(0o755)
    return SlurmSettings(bin_dir=str(folder))


def test_slurm_is_asked_by_its_own_command(tmp_path: Path) -> None:
    two = line("a", "IDLE", "300") + line("b", "MIXED", "450")
    assert read_node_watts(slurm(tmp_path, "acct_gather_energy/ipmi", two)) == 750.0
    with pytest.raises(NodePowerError, match="acct_gather_energy/rapl"):
        read_node_watts(slurm(tmp_path, "acct_gather_energy/rapl", two))
    (tmp_path / "scontrol").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(SlurmCommandError):
        read_node_watts(SlurmSettings(bin_dir=str(tmp_path)))
