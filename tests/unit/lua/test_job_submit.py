"""The plugin's two functions as slurmctld calls them, on the real lua5.1 with a stand-in for slurmctld."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flexlond.daemon.lua import fill
from flexlond.model.settings import DaemonSettings, DirectiveSettings, FlexClass, OptIn, Settings

ROOT = Path(__file__).resolve().parents[3]
NOW = 1795428930  # 2026-11-23T10:15:30Z
BATCH = {"script": "#!/bin/sh\ntrue\n", "time_limit": 60, "user_id": 1000}
UNLIMITED = 4294967295
NO_VAL = 4294967294
PARTITIONS = {
    "cpu": {"flag_default": 1, "default_time": 30, "max_time": 1440},
    "green": {"flag_default": 0, "default_time": NO_VAL, "max_time": 120},
    "endless": {"flag_default": 0, "default_time": NO_VAL, "max_time": UNLIMITED},
}
OPTED_IN = DirectiveSettings(
    opt_in=(
        OptIn(partition="green"),
        OptIn(qos="scavenger"),
        OptIn(account="archive", flex_class="night"),
    ),
    classes={"standard": FlexClass(max_delay="12:00:00"), "night": FlexClass(deadline="08:00")},
)


def _shared() -> Any:
    path = ROOT / "tests/unit/model/directive_cases.py"
    spec = importlib.util.spec_from_file_location("directive_cases_for_lua", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shared = _shared()


class Plugin:
    """The plugin rendered for a site, run on scenarios."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heartbeat = folder / "heartbeat"
        self.heartbeat.write_text(f"act {NOW + 60}\n")

    def run(
        self,
        *scenarios: dict[str, Any],
        directive: DirectiveSettings | None = None,
        mode: str = "plain",
        **tables: Any,
    ) -> list[dict[str, Any]]:
        settings = Settings(
            **tables,
            directive=directive or DirectiveSettings(),
            daemon=DaemonSettings(heartbeat_file=str(self.heartbeat)),
        )
        plugin = self.folder / "job_submit.lua"
        plugin.write_text(fill(shared.PLUGIN.read_text("utf-8"), settings), "utf-8")
        rows = ",\n".join(shared.as_lua(scenario) for scenario in scenarios)
        cases = self.folder / "scenarios.lua"
        cases.write_text(
            f"return {{ now = {NOW}, partitions = {shared.as_lua(PARTITIONS)},\n{rows}\n}}\n"
        )
        vectors = ROOT / "tests/vectors"
        done = subprocess.run(
            [shared.need_lua(), str(vectors / "run_scenarios.lua"), str(vectors / "slurm_stub.lua"),
             str(plugin), str(cases), mode],
            capture_output=True, check=False, timeout=300, env={**os.environ, "TZ": "UTC"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def one(
        self, job: dict[str, Any], directive: DirectiveSettings | None = None, **more: Any
    ) -> dict[str, Any]:
        return self.run({"name": "one", "job": job, **more}, directive=directive)[0]


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def test_a_job_without_a_directive_costs_one_field_read_and_nothing_else(plugin: Plugin) -> None:
    for comment in ({}, {"comment": "hello"}, {"comment": "flexible"}):
        got = plugin.one({**BATCH, **comment})
        assert (got["rc"], got["begin_time"], got["admin_comment"]) == (0, 0, "")
        assert got["seen"] == ["comment"]
        assert got["user"] == got["log"] == []


def test_a_directive_delays_a_batch_job_by_the_decision_window_and_keeps_its_begin(
    plugin: Plugin,
) -> None:
    got = plugin.one({**BATCH, "comment": "flex: max-delay=2:00:00"})
    assert (got["rc"], got["begin_time"], got["admin_comment"]) == (0, NOW + 10, "flexlon:begin=0")
    got = plugin.one({**BATCH, "comment": "flex:", "begin_time": NOW + 3})
    assert (got["begin_time"], got["admin_comment"]) == (NOW + 10, f"flexlon:begin={NOW + 3}")
    got = plugin.one({**BATCH, "comment": "flex:", "begin_time": NOW + 3600})
    assert (got["begin_time"], got["admin_comment"]) == (NOW + 3600, f"flexlon:begin={NOW + 3600}")
    got = plugin.one({**BATCH, "comment": "flex:", "admin_comment": "chargeback 7"})
    assert got["admin_comment"] == "chargeback 7;flexlon:begin=0"


@pytest.mark.parametrize(
    "heartbeat",
    [
        *(
            "",
            "act\n",
            f"act {NOW - 1}\n",
            f"observe {NOW + 60}\n",
            f"act {NOW + 60}",
            f" act {NOW + 60}\n",
        ),
        *(
            f"act {NOW + 60}\nact\n",
            "act 1e99\n",
            "act -1\n",
            "\x00" * 64,
            "act 99999999999999999999999\n" * 2,
        ),
    ],
)
def test_without_a_fresh_heartbeat_of_exactly_one_line_nothing_is_delayed(
    plugin: Plugin, heartbeat: str
) -> None:
    plugin.heartbeat.write_text(heartbeat)
    got = plugin.one({**BATCH, "comment": "flex:"})
    assert (got["rc"], got["begin_time"], got["admin_comment"]) == (0, 0, "flexlon:begin=0")
    assert got["log"] == []


def test_without_a_heartbeat_file_nothing_is_delayed(plugin: Plugin) -> None:
    plugin.heartbeat.unlink()
    got = plugin.one({**BATCH, "comment": "flex:"})
    assert (got["rc"], got["begin_time"], got["admin_comment"]) == (0, 0, "flexlon:begin=0")


@pytest.mark.parametrize(
    "job",
    [
        {"script": None},  # srun, salloc
        {"script": ""},
        {"cron_job": True},
    ],
)
def test_interactive_and_cron_jobs_are_left_alone(plugin: Plugin, job: dict[str, Any]) -> None:
    got = plugin.one({**BATCH, "comment": "flex:", **job})
    assert (got["rc"], got["begin_time"], got["admin_comment"]) == (0, 0, "")


@pytest.mark.parametrize(
    "job",
    [
        {"reservation": "maintenance"},
        {"comment": "flex: start-by=now+69"},
        {"comment": "flex: max-delay=0"},
        {"comment": "flex: latency=0"},
        {"comment": "flex: latency=1:09 max-delay=1-0"},
        {"comment": "flex: latency=1:09 class=standard"},
        {"comment": "flex: max-delay=0:60"},
        {"comment": "flex: deadline=now+3669"},
        {"comment": "flex: deadline=now+2days", "array_inx": "0-99%4"},
        {"time_limit": UNLIMITED},
        {"time_limit": NO_VAL, "partition": "endless"},
        {"time_limit": NO_VAL, "partition": "cpu,green"},
        {"time_limit": NO_VAL, "partition": "no-such"},
    ],
)
def test_a_job_that_might_be_late_is_not_delayed(plugin: Plugin, job: dict[str, Any]) -> None:
    got = plugin.one({**BATCH, "comment": "flex:", **job})
    assert (got["rc"], got["begin_time"], got["admin_comment"]) == (0, 0, "flexlon:begin=0"), got


@pytest.mark.parametrize(
    "job",
    [
        {"comment": "flex: start-by=now+70"},
        {"comment": "flex: max-delay=1:10"},
        {"comment": "flex: latency=1:10"},
        {"comment": "flex: latency=1:10 max-delay=1-0 work=2.5e6 unit=inference"},
        {"comment": "flex: deadline=now+3670"},
        {"comment": "flex: max-delay=3", "array_inx": "0-99%4"},
        {"time_limit": NO_VAL},
        {"time_limit": NO_VAL, "partition": "green"},
    ],
)
def test_a_job_with_time_to_spare_is_delayed(plugin: Plugin, job: dict[str, Any]) -> None:
    got = plugin.one({**BATCH, "comment": "flex:", **job})
    assert got["begin_time"] == NOW + 10, got


def test_the_default_time_of_the_partition_counts_where_the_user_gives_none(plugin: Plugin) -> None:
    got = plugin.one({**BATCH, "time_limit": NO_VAL, "comment": "flex: deadline=now+20minutes"})
    assert (got["rc"], got["user"]) == (
        -1,
        [
            (
                "flexlon: 'deadline=now+20minutes': the job cannot finish by then: its time limit is 00:30:00,"
                " its earliest end 2026-11-23T10:45:30Z; give a later deadline or a shorter --time"
            )
        ],
    )
    got = plugin.one(
        {**BATCH, "time_limit": NO_VAL, "partition": "green", "comment": "flex: deadline=now+1hour"}
    )
    assert "its time limit is 02:00:00" in got["user"][0]


def test_a_refusal_is_one_line_for_the_user_and_changes_nothing(plugin: Plugin) -> None:
    for script in ("#!/bin/sh\n", None):
        got = plugin.one({**BATCH, "comment": "flex: deadline=100%s%n", "script": script})
        assert (got["rc"], got["begin_time"], got["admin_comment"], got["log"]) == (-1, 0, "", [])
        assert len(got["user"]) == 1
        assert got["user"][0].startswith(
            "flexlon: 'deadline=100%s%n': not a time; write deadline=TIME"
        )
        assert "\n" not in got["user"][0]


def test_a_site_default_opts_in_without_a_comment_and_never_refuses(plugin: Plugin) -> None:
    for job, begin, note in (
        ({"partition": "green"}, NOW + 10, "flexlon:begin=0"),
        ({"qos": "Scavenger"}, NOW + 10, "flexlon:begin=0"),
        ({"default_qos": "scavenger"}, NOW + 10, "flexlon:begin=0"),
        ({"default_account": "archive"}, NOW + 10, "flexlon:begin=0"),
        ({"account": "archive", "time_limit": 24 * 60}, 0, ""),  # cannot keep 08:00: not applied
        ({"account": "physics"}, 0, ""),
        ({"partition": "green", "comment": "flex: off"}, 0, ""),
        ({"partition": "green", "script": None}, 0, ""),
    ):
        got = plugin.one({**BATCH, **job}, OPTED_IN)
        assert (got["rc"], got["begin_time"], got["admin_comment"]) == (0, begin, note), (job, got)
        assert got["user"] == got["log"] == []


def test_a_decision_window_of_zero_never_delays_and_none_exceeds_ten_seconds(
    plugin: Plugin,
) -> None:
    got = plugin.one({**BATCH, "comment": "flex:"}, DirectiveSettings(decision_window=0))
    assert (got["begin_time"], got["admin_comment"]) == (0, "flexlon:begin=0")
    got = plugin.one({**BATCH, "comment": "flex:"}, DirectiveSettings(decision_window=3600))
    assert got["begin_time"] == NOW + 10


REC = {
    "user_id": 1000,
    "time_limit": 60,
    "submit_time": NOW - 7200,
    "admin_comment": "flexlon:begin=0",
}


def test_an_owner_may_change_the_directive_to_a_valid_one_only(plugin: Plugin) -> None:
    for comment, rc in (
        ("flex: max-delay=1:00:00", 0),
        ("flex: off", 0),
        ("no directive", 0),
        ("", 0),
        ("flex: deadine=08:00", -1),
        ("flex: deadline=now+59minutes", -1),
        ("flex: deadline=now+60minutes", 0),  # from the submission on, as the daemon counts
    ):
        got = plugin.one({"comment": comment}, rec=REC)
        assert got["rc"] == rc, (comment, got)
        assert len(got["user"]) == (1 if rc else 0)
        assert (got["begin_time"], got["admin_comment"]) == (0, "")
    got = plugin.one(
        {"comment": "flex: start-by=now+10"}, rec={**REC, "admin_comment": f"x;flexlon:begin={NOW}"}
    )
    assert "its --begin is 2026-11-23T10:15:30Z" in got["user"][0]
    got = plugin.one({"comment": "flex: deadline=now+90minutes", "time_limit": 120}, rec=REC)
    assert "its time limit is 02:00:00" in got["user"][0]


def test_an_opt_out_by_start_time_and_an_operators_change_are_never_refused(plugin: Plugin) -> None:
    got = plugin.one({"begin_time": NOW}, rec=REC)
    assert (got["rc"], got["seen"]) == (0, ["comment"])
    for uid in (0, 64030, 1001):
        assert plugin.one({"comment": "flex: nonsense"}, rec=REC, uid=uid)["rc"] == 0


SCENARIOS = (
    {"name": "delayed", "job": {**BATCH, "comment": "flex: deadline=now+8hours power=1kW"}},
    {
        "name": "latency",
        "job": {**BATCH, "comment": "flex: latency=9 work=2.5e6 unit=inference"},
    },
    {"name": "class", "job": {**BATCH, "comment": "flex: class=night min-run=5 preempt=requeue"}},
    {"name": "refused", "job": {**BATCH, "comment": "flex: deadine=08:00"}},
    {"name": "too soon", "job": {**BATCH, "comment": "flex: deadline=now+1minute"}},
    {"name": "plain", "job": {**BATCH, "comment": "x"}},
    {"name": "site default", "job": {**BATCH, "partition": "green"}},
    {
        "name": "default partition",
        "job": {**BATCH, "comment": "flex: start-by=tomorrow-08:00", "time_limit": NO_VAL},
    },
    {"name": "own begin", "job": {**BATCH, "comment": "flex:", "begin_time": NOW + 600}},
    {"name": "modified", "job": {"comment": "flex: start-by=tomorrow"}, "rec": REC},
    {"name": "modify refused", "job": {"comment": "flex: start-by=never"}, "rec": REC},
)


def test_a_fault_in_any_single_call_lets_the_job_through_and_never_delays_it_wrongly(
    plugin: Plugin,
) -> None:
    runs = plugin.run(*SCENARIOS, directive=OPTED_IN, mode="faults")
    assert len(runs) > 2000
    assert {run["name"] for run in runs} == {scenario["name"] for scenario in SCENARIOS}
    planned = {scenario["name"]: scenario["job"].get("begin_time", 0) for scenario in SCENARIOS}
    for run in runs:
        assert run["ok"], run
        assert run["rc"] == 0, run
        if run["begin_time"] != planned[run["name"]]:
            # Only a job that may wait, and only by the window.
            assert run["name"] in {
                "delayed",
                "latency",
                "class",
                "site default",
                "default partition",
            }, run
            assert run["begin_time"] == NOW + 10, run
            assert run["admin_comment"] == "flexlon:begin=0", run
    logged = [run for run in runs if not run["for_good"]]
    assert all(len(run["log"]) == 1 and "let the job through" in run["log"][0] for run in logged), (
        "a fault is logged"
    )
