from __future__ import annotations

from typing import Any

import pytest

from flexlond.slurm import accounting
from flexlond.slurm.accounting import decode_accounting
from flexlond.slurm.cluster import (
    NODE_COLUMNS,
    cluster_of,
    is_usable,
    longest_wait,
    parse_config,
    parse_reservations,
    pools_of,
    switches_off,
)
from flexlond.slurm.squeue import split_rows


def test_a_captured_cluster(captured: Any) -> None:
    rows, misfits = split_rows(captured.text("sinfo.txt"), len(NODE_COLUMNS), *captured.separators)
    assert misfits == []
    reservations = parse_reservations(captured.text("reservation.txt"))
    cluster = cluster_of(rows, parse_config(captured.text("config.txt")), reservations)
    assert cluster.name == "flexlon"
    assert cluster.slurm_version.startswith(captured.version)
    assert (cluster.sched_interval, cluster.kill_wait, cluster.accrue_always) == (5, 5, True)
    assert not cluster.power_saving
    pools = {pool.partition: pool for pool in cluster.pools}
    assert set(pools) == {"main", "gpu", "flex", "short"}
    main = pools["main"]  # n3 was drained when it was captured
    assert (main.nodes, main.cpus, main.memory_mib) == (2, 64, 256000)
    assert main.gpus == (("h200", 8),)
    assert main.node_names == ("n1", "n2")
    assert (main.is_default, main.up, main.max_time, main.default_time) == (True, True, None, 3600)
    assert not pools["gpu"].is_default
    assert (pools["short"].max_time, pools["short"].node_names) == (1800, ("n1",))
    window = {r.name: r for r in cluster.reservations}
    assert (window["maint"].nodes, window["maint"].licenses) == ("n2", "")
    assert "MAINT" in window["maint"].flags
    assert (window["window"].nodes, window["window"].licenses) == ("", "kw:10")
    assert window["window"].end - window["window"].start == 1800
    assert not window["window"].active


@pytest.mark.parametrize(
    ("state", "usable"),
    [
        ("idle", True),
        ("mixed", True),
        ("allocated", True),
        ("mixed+planned", True),
        ("idle+cloud+powered_down", True),
        ("idle+powering_up", True),
        ("idle+completing", True),
        ("idle+drain", False),
        ("mixed+drain", False),
        ("down", False),
        ("down+drain+not_responding", False),
        ("idle+not_responding", False),
        ("idle+maintenance+reserved", False),
        ("idle+reserved", False),
        ("fail", False),
        ("unknown", True),  # slurmctld has just started
        ("unknown+not_responding", False),
        ("unknown+drain", False),
        ("inval", False),
        ("idle+reboot_requested", False),
    ],
)
def test_only_nodes_that_can_run_a_planned_job_count(state: str, *, usable: bool) -> None:
    assert is_usable(state) is usable


def test_a_partition_without_a_usable_node_is_an_empty_pool() -> None:
    node = ["n1", "p", "p", "down", "8", "1000", "gpu:2", "down", "1-00:00:00", "n/a"]
    (pool,) = pools_of([node])
    assert (pool.nodes, pool.cpus, pool.gpus, pool.up) == (0, 0, (), False)
    assert (pool.max_time, pool.default_time) == (86400, None)


@pytest.mark.parametrize(
    ("parameters", "kind", "seconds"),
    [
        ("", "sched/backfill", 60),
        ("bf_interval=120", "sched/backfill", 120),
        ("sched_interval=5,bf_interval=5", "sched/backfill", 5),
        ("sched_interval=-1", "sched/backfill", 30),
        ("sched_interval=10,bf_interval=300", "sched/builtin", 10),
        ("(null)", "sched/builtin", 60),
    ],
)
def test_the_longest_wait_is_the_slower_scheduler_pass(
    parameters: str, kind: str, seconds: int
) -> None:
    assert longest_wait({"SchedulerParameters": parameters, "SchedulerType": kind}) == seconds


@pytest.mark.parametrize(
    ("program", "time", "off"),
    [
        ("/usr/sbin/off", "300 sec", True),
        ("/usr/sbin/off", "0", True),
        ("/usr/sbin/off", "INFINITE", False),
        ("/usr/sbin/off", "-1", False),
        ("/usr/sbin/off", "NONE", False),
        ("(null)", "300 sec", False),
        ("", "", False),
    ],
)
def test_nodes_are_switched_off_with_a_program_and_a_time(
    program: str, time: str, *, off: bool
) -> None:
    assert switches_off({"SuspendProgram": program, "SuspendTime": time}) is off


def test_captured_history(captured: Any) -> None:
    absent = {"JobName"} | ({"Restarts"} if captured.version == "22.05" else set())
    columns = tuple(name for name in accounting.COLUMNS if name not in absent)
    text = captured.text("sacct.txt")
    delimiter = captured.separators[0]
    records = decode_accounting(text, delimiter, columns)
    assert len(records) == text.count(delimiter) // len(columns)
    assert {record.user for record in records} == {"alice", "bob"}
    assert {"COMPLETED", "CANCELLED", "RUNNING"} <= {record.state for record in records}
    hostile = [record for record in records if record.comment == "a\n1|2|\x1f"]
    assert [(r.user, r.state, r.time_limit) for r in hostile] == [("bob", "COMPLETED", 3600)]
    tasks = [record for record in records if record.array_job_id]
    assert {record.array_task_id for record in tasks} >= {1, 2}
    gpu = [record for record in records if record.gpus and record.state == "RUNNING"]
    assert [(r.cpus, r.nodes, r.memory_mib, r.gpus) for r in gpu] == [(3, 1, 50, (("", 2),))]
    assert [(r.requested_cpus, r.requested_nodes, r.name) for r in gpu] == [(3, 1, "")]
    running = [record for record in records if record.state == "RUNNING"]
    assert all(record.start >= record.submit > 0 and record.end == 0 for record in running)
    restarts = {record.restarts for record in records}
    assert restarts == ({None} if captured.version == "22.05" else {0})


def test_het_arrays_and_strange_rows_in_history() -> None:
    def row(raw: str, shown: str, **cells: str) -> list[str]:
        base = dict.fromkeys(accounting.COLUMNS, "")
        base |= {"JobIDRaw": raw, "JobID": shown, "UID": "1", "State": "CANCELLED by 0"}
        base |= {"AllocTRES": "cpu=1", "ConsumedEnergyRaw": "14000", "Restarts": "2", **cells}
        return list(base.values())

    rows = [
        row("17", "16+1"),
        row("12", "12_[1-20%3]"),
        row("9", "8_3", Comment="x\ny", JobName="a\n|b~", ReqTRES="cpu=3,node=2"),
        row("one", "1"),
        row("5", "5"),
    ]
    text = "".join("".join(cell + "~d" for cell in cells) + "\n" for cells in rows)
    found = decode_accounting(text, "~d")
    assert [
        (r.job_id, r.het_job_id, r.het_offset, r.array_job_id, r.array_task_id) for r in found
    ] == [(17, 16, 1, 0, None), (12, 0, 0, 12, None), (9, 0, 0, 8, 3), (5, 0, 0, 0, None)]
    assert (found[2].comment, found[2].name) == ("x\ny", "a\n|b~")
    assert (found[2].cpus, found[2].requested_cpus, found[2].requested_nodes) == (1, 3, 2)
    assert {(r.state, r.energy_joules, r.restarts) for r in found} == {("CANCELLED", 14000, 2)}
