"""The kw licence in the plugin: who gets it, how much, and that nobody loses a job or lowers it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from flexlond.model.job import Job, JobState
from flexlond.model.licence import licences_for
from flexlond.model.power import job_kw
from flexlond.model.settings import LicenceSettings, NodeType, PowerSettings

HERE = Path(__file__).resolve().parent


def _plugin_tests() -> Any:
    spec = importlib.util.spec_from_file_location("plugin_tests", HERE / "test_job_submit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


base = _plugin_tests()
NOW, NO_VAL = base.NOW, base.NO_VAL
BATCH = {**base.BATCH, "min_cpus": 32, "licenses": ""}
POWER = PowerSettings(
    pue=1.25,
    node_types={
        "default": NodeType(idle_watts=400.0, cpu_watts=20.0, cpus_per_node=64),
        "gpu": NodeType(
            partitions=("green",),
            idle_watts=800.0,
            cpu_watts=10.0,
            cpus_per_node=32,
            gpu_watts={"": 300.0, "h200": 700.0},
        ),
    },
)
KW = 2  # ceil((32 x 20 + 32/64 x 400) x 1.25 / 1000) = ceil(1.05)
FLEX = "flex: max-delay=8:00:00"


class Site:
    """A cluster with Licenses=kw:1000 and the plugin for it."""

    def __init__(self, folder: Path) -> None:
        self.plugin = base.Plugin(folder)
        self.conf = folder / "slurm.conf"
        self.conf.write_text("ClusterName=x\n#Licenses=kw:7\n Licenses = matlab:4,kw:1000 # ours\n")

    def run(self, *scenarios: dict[str, Any], mode: str = "plain", **partitions: str) -> Any:
        licence = LicenceSettings(
            total_kw=1000,
            conf=str(self.conf),
            partitions=partitions or {"cpu": "all"},  # type: ignore[arg-type] # words of a test
            consent="everybody agreed",
        )
        return self.plugin.run(*scenarios, mode=mode, licence=licence, power=POWER)

    def one(self, job: dict[str, Any], *, more: Any = None, **partitions: str) -> dict[str, Any]:
        scenario = {"name": "one", "job": job, **(more or {})}
        found: dict[str, Any] = self.run(scenario, **partitions)[0]
        return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_who_gets_it(site: Site) -> None:
    plain, flexible = BATCH, {**BATCH, "comment": FLEX}
    for job, modes, licenses in (
        (plain, {"cpu": "all"}, f"kw:{KW}"),
        (flexible, {"cpu": "all"}, f"kw:{KW}"),
        (plain, {"cpu": "flexible"}, ""),
        (flexible, {"cpu": "flexible"}, f"kw:{KW}"),
        ({**flexible, "script": None}, {"cpu": "flexible"}, ""),  # somebody waits for it
        ({**plain, "script": None}, {"cpu": "all"}, f"kw:{KW}"),
        ({**flexible, "comment": "flex: off"}, {"cpu": "flexible"}, ""),
        (flexible, {"cpu": "off", "green": "all"}, ""),
        (
            {**plain, "partition": "cpu,green"},
            {"cpu": "all"},
            "",
        ),  # it might run where nobody agreed
        ({**plain, "partition": "cpu,green"}, {"cpu": "all", "green": "all"}, f"kw:{KW}"),
        ({**plain, "cron_job": True}, {"cpu": "all"}, ""),
        ({**plain, "reservation": "class"}, {"cpu": "all"}, ""),
        ({**plain, "het_job_offset": 0}, {"cpu": "all"}, f"kw:{KW}"),
        ({**plain, "het_job_offset": 1}, {"cpu": "all"}, ""),  # Slurm would refuse it
        ({**plain, "array_inx": "1-9"}, {"cpu": "all"}, f"kw:{KW}"),  # of each task
    ):
        got = site.one(job, **modes)
        assert (got["rc"], got["licenses"]) == (0, licenses), (job, modes, got)
        assert got["user"] == got["log"] == []


def test_where_nobody_takes_part_licences_are_not_even_read(site: Site) -> None:
    got = site.one({**BATCH, "licenses": "kw:5"}, cpu="off")
    assert (got["licenses"], got["seen"]) == ("kw:5", ["comment"])


@pytest.mark.parametrize(
    ("asked", "licenses"),
    [
        ("matlab:1", f"matlab:1,kw:{KW}"),
        ("kw:1", f"kw:{KW}"),
        ("kw", f"kw:{KW}"),
        ("matlab,kw:1,kw:0", f"matlab,kw:{KW}"),
        ("kw:900;matlab:2", f"matlab:2,kw:{KW}"),
        ("kwh:3,kw@other:4", f"kwh:3,kw@other:4,kw:{KW}"),
        ("matlab|kw:1", "matlab|kw:1"),  # Slurm takes no further licence beside alternatives
    ],
)
def test_the_users_own_kw_is_replaced_and_other_licences_stay(
    site: Site, asked: str, licenses: str
) -> None:
    got = site.one({**BATCH, "licenses": asked})
    assert got["licenses"] == licenses
    assert len(got["user"]) == (
        1 if "kw" in asked.replace("kwh", "").replace("kw@", "") and "|" not in asked else 0
    )


def test_nobody_takes_the_budget_from_outside(site: Site) -> None:
    got = site.one({**BATCH, "licenses": "kw:1000,matlab:1"}, cpu="off", green="all")
    assert got["licenses"] == "matlab:1"
    assert got["user"] == ["flexlon: the kw licence is the site's: the job has 0"]


@pytest.mark.parametrize(
    "conf",
    [
        *("", "Licenses=\n", "Licenses=matlab:4\n", "#Licenses=kw:1000\n"),
        *("Licenses=kwh:1000\n", "\0", "Licenses=kw:1\n"),
    ],
)
def test_a_licence_that_slurm_does_not_have_is_never_asked_for(site: Site, conf: str) -> None:
    site.conf.write_text(conf)
    assert site.one(BATCH)["licenses"] == ""
    site.conf.unlink()
    got = site.one({**BATCH, "licenses": "matlab:1"})
    assert (got["rc"], got["licenses"]) == (0, "matlab:1")


def test_a_job_above_the_total_goes_without(site: Site) -> None:
    got = site.one({**BATCH, "min_cpus": 64_000})
    assert (got["rc"], got["licenses"]) == (0, "")
    assert "gets no licence: there are 1000" in got["log"][0]


REQUESTS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({}, {"cpus": 32}),
    ({"min_cpus": NO_VAL}, {"cpus": 1}),
    ({"num_tasks": 100, "cpus_per_task": 4}, {"cpus": 400, "nodes": 13}),
    ({"min_nodes": 3, "max_nodes": 3}, {"cpus": 32, "nodes": 3}),
    ({"min_nodes": 3, "max_nodes": 3, "shared": 0}, {"cpus": 96, "nodes": 3}),
    ({"tres_per_node": "gres:gpu:h200:2", "min_nodes": 2}, {"gpus": (("h200", 4),), "nodes": 2}),
    ({"tres_per_node": "gres/gpu:2"}, {"gpus": (("", 2),)}),
    ({"tres_per_job": "gres/gpu:a100:4"}, {"gpus": (("a100", 4),)}),
    ({"tres_per_task": "gres/gpu=1", "num_tasks": 4}, {"gpus": (("", 4),)}),
    (
        {"tres_per_job": "gres/gpu:8", "cpus_per_tres": "gres/gpu:16"},
        {"gpus": (("", 8),), "cpus": 128, "nodes": 4},
    ),
    ({"tres_per_node": "gres:mps:50,gres:gpu"}, {"gpus": (("", 1),)}),
)  # fmt: skip


@pytest.mark.parametrize(("request_", "same"), REQUESTS)
def test_it_is_the_modelled_power_of_the_job_rounded_up(
    site: Site, request_: dict[str, Any], same: dict[str, Any]
) -> None:
    got = site.one({**BATCH, "partition": "green", **request_}, green="all")
    job = Job(**{**JOB, "cpus": 32, "partition": "green", **same})
    assert got["licenses"] == f"kw:{licences_for(job_kw(job, None, POWER))}"


JOB: dict[str, Any] = {
    **dict.fromkeys(("reason", "user", "account", "qos", "partition", "name", "licenses"), ""),
    **dict.fromkeys(("reservation", "node_list", "comment", "dependency"), ""),
    **dict.fromkeys(
        ("job_id", "uid", "submit", "begin", "start", "end", "deadline", "restarts"), 0
    ),
    "state": JobState.PENDING,
    "nodes": 1,
    "memory_mib": 0,
    "gpus": (),
    "time_limit": 3600,
    "priority": 1,
    "requeue": True,
    "batch": True,
}


def windows(begin: int, end: int, name: str = "flexlon_1") -> dict[str, Any]:
    return {"reservations": {name: {"start_time": NOW + begin, "end_time": NOW + end}}}


@pytest.mark.parametrize(
    ("comment", "window", "licensed"),
    [
        ("flex: max-delay=2:00:00", windows(0, 7000), True),
        (
            "flex: max-delay=2:00:00",
            windows(0, 7200),
            False,
        ),  # it could be held past its latest start
        (
            "flex: max-delay=2:00:00",
            windows(10000, 12000),
            False,
        ),  # its hour would reach into the window
        ("flex: max-delay=2:00:00", windows(10860, 12000), True),  # it is over before the window
        ("flex: max-delay=2:00:00", windows(0, 9000, "maintenance"), True),
        ("flex: deadline=now+2hours", windows(0, 3500), True),
        ("flex: deadline=now+2hours", windows(0, 3600), False),
    ],
)
def test_a_flexible_job_is_never_bound_past_its_latest_start(
    site: Site, comment: str, window: dict[str, Any], *, licensed: bool
) -> None:
    for mode in ("flexible", "all"):
        got = site.one({**BATCH, "comment": comment}, more=window, cpu=mode)
        assert got["licenses"] == (f"kw:{KW}" if licensed else "")


REC = {
    **base.REC,
    "licenses": f"matlab:1,kw:{KW}",
    "partition": "cpu",
    "min_cpus": 32,
    "tres_fmt_req_str": "cpu=32,mem=4G,node=1,billing=32,license/kw=2",
    "het_job_offset": 0,
}


@pytest.mark.parametrize(
    ("change", "licenses"),
    [
        ({"licenses": "kw:1"}, f"kw:{KW}"),
        ({"licenses": ""}, f"kw:{KW}"),
        ({"licenses": "matlab:2"}, f"matlab:2,kw:{KW}"),
        ({"licenses": "matlab|gurobi"}, f"kw:{KW}"),
        ({"licenses": "kw:500"}, f"kw:{KW}"),
        ({"min_cpus": 640}, "matlab:1,kw:21"),
        ({"min_cpus": 1}, ""),
        ({"time_limit": 30}, ""),
        ({"begin_time": NOW}, ""),
        ({"comment": "flex: off"}, ""),
        ({"partition": "green"}, "matlab:1"),  # nobody agreed there
        ({"tres_per_job": "gres/gpu:4"}, "matlab:1,kw:3"),
    ],
)
def test_the_owner_cannot_lower_it(site: Site, change: dict[str, Any], licenses: str) -> None:
    got = site.one(change, more={"rec": REC})
    assert (got["rc"], got["licenses"]) == (0, licenses), got


def test_an_opt_out_from_flexible_takes_the_licence_away(site: Site) -> None:
    rec = {**REC, "comment": FLEX}
    for change, licenses in (
        ({"begin_time": NOW}, "matlab:1"),
        ({"comment": "nothing"}, "matlab:1"),
        ({"comment": "flex: off"}, "matlab:1"),
        ({"begin_time": NOW + 3600}, ""),
        ({"licenses": "kw:1"}, f"kw:{KW}"),
    ):
        got = site.one(change, more={"rec": rec}, cpu="flexible")
        assert (got["rc"], got["licenses"]) == (0, licenses), (change, got)
    plain = {**REC, "licenses": None, "tres_fmt_req_str": "cpu=32,mem=4G,node=1,billing=32"}
    got = site.one({"comment": FLEX}, more={"rec": plain}, cpu="flexible")
    assert got["licenses"] == f"kw:{KW}"
    got = site.one({"licenses": "kw:5"}, more={"rec": {**plain, "comment": FLEX}}, cpu="flexible")
    assert got["licenses"] == "kw:0"  # it was let off (or opted out): that stays


def test_the_last_licence_is_taken_away_by_a_count_of_none(site: Site) -> None:
    rec = {**REC, "licenses": f"kw:{KW}"}
    assert site.one({"partition": "green"}, more={"rec": rec})["licenses"] == "kw:0"
    gone = {**rec, "licenses": "kw:0", "comment": FLEX}  # opted out: no later change gives it back
    for change in ({"min_cpus": 64}, {"licenses": ""}, {"licenses": "kw:0"}):
        got = site.one(change, more={"rec": gone}, cpu="flexible")
        assert got["licenses"] == change.get("licenses", ""), change


def test_an_operators_word_stands(site: Site) -> None:
    for uid in (0, 64030):
        got = site.one({"licenses": "kw:1"}, more={"rec": REC, "uid": uid})
        assert got["licenses"] == "kw:1"
        got = site.one({"partition": "green"}, more={"rec": REC, "uid": uid})
        assert got["licenses"] == "matlab:1"


def test_no_fault_costs_a_job_or_leaves_half_a_licence(site: Site) -> None:
    scenarios = (
        {"name": "plain", "job": {**BATCH, "licenses": "matlab:1"}},
        {"name": "flexible", "job": {**BATCH, "comment": FLEX}, **windows(0, 60)},
        {"name": "modified", "job": {"licenses": "kw:1"}, "rec": REC},
    )
    given = {
        "plain": {"matlab:1", f"matlab:1,kw:{KW}"},
        "flexible": {"", f"kw:{KW}"},
        "modified": {"kw:1", f"kw:{KW}"},
    }
    runs = site.run(*scenarios, mode="faults")
    assert len(runs) > 500
    for run in runs:
        assert run["ok"], run
        assert run["rc"] == 0, run
        assert run["licenses"] in given[run["name"]], run
    assert {run["licenses"] for run in site.run(*scenarios)} == {
        f"matlab:1,kw:{KW}",
        f"kw:{KW}",
    }
