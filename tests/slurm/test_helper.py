"""The helper on a real cluster: what it refuses to anybody, and what it does for the daemon's user."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.contract]

PYTHON = "/opt/flexlon/bin/python"
SOCKET = "/run/flexlon-helper/helper.sock"
STATE = Path("/var/lib/flexlon-helper")
HOUR = 3600
FLEX = "--comment=flex: max-delay=8:00:00"
REQUEUE = "flex: max-delay=8:00:00 preempt=requeue"

CALL = """
import asyncio, json, sys
from dataclasses import asdict
from flexlond.model.action import Action, Verb
from flexlond.slurm.helper_client import HelperClient, HelperUnavailable

async def main():
    asked = json.load(sys.stdin)
    client = HelperClient(sys.argv[1])
    try:
        actions = [Action(**(one | {"verb": Verb(one["verb"])})) for one in asked]
        print(json.dumps([asdict(result) for result in await client.apply(actions)]))
    except HelperUnavailable as error:
        print(json.dumps(str(error)))
    await client.close()

asyncio.run(main())
"""

REPLAY = """
import asyncio, sys
import grpc, grpc.aio
from flexlond._pb import helper_pb2, helper_pb2_grpc
from flexlond.auth import munge
from flexlond.auth.credentials import METADATA_KEY, digest

async def main():
    request = helper_pb2.StatusRequest()
    credential = munge.encode(digest("/flexlon.helper.v1.Helper/Status", request.SerializeToString()))
    async with grpc.aio.insecure_channel("unix:" + sys.argv[1]) as channel:
        stub = helper_pb2_grpc.HelperStub(channel)
        for metadata in ((), ((METADATA_KEY, credential.decode()),), ((METADATA_KEY, credential.decode()),)):
            try:
                await stub.Status(request, metadata=metadata)
                print("OK")
            except grpc.aio.AioRpcError as error:
                print(error.code().name)

asyncio.run(main())
"""


@dataclass
class Helper:
    """The running helper, asked as any user."""

    as_user: Any
    job: Any
    sbatch: Any
    wait_for: Any
    service: Any

    def action(self, job_id: int, verb: str, not_before: int = 0, **changes: Any) -> dict[str, Any]:
        record = self.job(job_id)
        compact = {"PENDING": "PD", "RUNNING": "R", "SUSPENDED": "S"}
        values = {
            "action_id": f"{job_id}-{verb}",
            "job_id": job_id,
            "submit": record.time("SubmitTime"),
            "restarts": int(record["Restarts"]),
            "expected_begin": record.begin,
            "expected_state": compact.get(record.state, record.state),
            "verb": verb,
            "not_before": int(not_before),
            "reason": "tests/slurm/test_helper.py",
        }
        return values | changes

    def call(self, actions: list[dict[str, Any]], user: str = "flexlon") -> Any:
        argv = [PYTHON, "-c", CALL, SOCKET]
        return json.loads(self.as_user(user, argv, stdin=json.dumps(actions)).stdout)

    def do(self, job_id: int, verb: str, not_before: int = 0, **changes: Any) -> tuple[str, str]:
        result = self.call([self.action(job_id, verb, not_before, **changes)])[0]
        return result["outcome"], result["code"]

    def running(self, *arguments: str, wrap: str = "sleep 300") -> int:
        job_id: int = self.sbatch("alice", *arguments, wrap=wrap)
        self.wait_for(lambda: self.job(job_id).state == "RUNNING", 30, what=f"job {job_id} runs")
        return job_id


@pytest.fixture
def helper(
    as_user: Any, job: Any, sbatch: Any, wait_for: Any, service: Any, flexlon_config: Any
) -> Helper:
    flexlon_config(daemon={"mode": "observe"})
    service("flexlond").stop()
    return Helper(as_user, job, sbatch, wait_for, service)


def later(seconds: float) -> int:
    return int(time.time() + seconds)


def test_only_the_daemons_user_is_served(helper: Helper) -> None:
    job_id = helper.sbatch("alice", "--begin=now+60", FLEX)
    asked = [helper.action(job_id, "hold-until", later(HOUR))]
    assert "permissions of its socket" in helper.call(asked, user="alice")
    assert "only the daemon's user" in helper.call(asked, user="root")
    assert helper.job(job_id).begin < later(120)
    assert helper.call(asked)[0]["outcome"] == "applied"


def test_a_call_without_a_fresh_credential_is_refused(helper: Helper) -> None:
    said = helper.as_user("flexlon", [PYTHON, "-c", REPLAY, SOCKET]).stdout.split()
    assert said == ["UNAUTHENTICATED", "OK", "UNAUTHENTICATED"]


def test_hold_and_release_give_back_the_users_own_begin(helper: Helper) -> None:
    own = helper.sbatch("alice", "--begin=now+600", FLEX)
    plain = helper.sbatch("alice", "--begin=now+5", FLEX)
    begin = helper.job(own).begin
    for job_id in (own, plain):
        assert helper.do(job_id, "hold-until", later(HOUR))[0] == "applied"
        assert helper.job(job_id).begin > later(HOUR - 60)
    assert helper.do(own, "release") == ("applied", "applied")
    assert helper.job(own).begin == begin
    time.sleep(6)
    assert helper.do(plain, "release") == ("applied", "applied")
    helper.wait_for(lambda: helper.job(plain).state == "RUNNING", 30, what="it runs")


def test_i4_what_is_not_ours_stays_as_it_is(helper: Helper) -> None:
    begin = "--begin=now+900"
    held = helper.sbatch("alice", begin, FLEX)
    helper.as_user("flexop", ["scontrol", "hold", str(held)])
    deadline = helper.sbatch("alice", begin, FLEX, "--deadline=now+40minutes")
    nasty = "--comment=x\x1f7\x1ePD\nPriority=0 BatchFlag=1 reflex: max-delay=8:00:00"
    cases = {
        helper.sbatch("alice", begin): "no-consent",
        helper.sbatch("alice", begin, nasty): "no-consent",
        helper.sbatch("alice", begin, "--comment=flex: off"): "no-consent",
        held: "held-by-other",
        deadline: "latest-start",
    }
    before = {job_id: helper.job(job_id).begin for job_id in cases}
    asked = [helper.action(job_id, "hold-until", later(HOUR)) for job_id in cases]
    codes = [result["code"] for result in helper.call(asked)]
    assert codes == list(cases.values())
    assert {job_id: helper.job(job_id).begin for job_id in cases} == before


def test_i3_never_past_the_latest_start(helper: Helper) -> None:
    job_id = helper.sbatch("alice", "--begin=now+60", FLEX)
    latest = helper.job(job_id).begin + 8 * HOUR - 2  # the suite's helper.margin_seconds
    assert helper.do(job_id, "hold-until", latest + 1) == ("refused", "latest-start")
    assert helper.do(job_id, "hold-until", latest) == ("applied", "applied")


def test_a_reused_id_is_another_job(helper: Helper) -> None:
    job_id = helper.sbatch("alice", "--begin=now+60", FLEX)
    guard = {"submit": later(-999)}
    assert helper.do(job_id, "hold-until", later(HOUR), **guard) == ("not-found", "reused-id")
    assert helper.do(job_id, "release", **guard) == ("not-found", "reused-id")


def test_i8_an_opt_out_outlives_the_helper(helper: Helper) -> None:
    job_id = helper.sbatch("alice", "--begin=now+20", FLEX, "-w", "n1", "--exclusive")
    assert helper.do(job_id, "hold-until", later(HOUR))[0] == "applied"
    blocker = helper.running("-w", "n1", "--exclusive")
    helper.as_user("alice", ["scontrol", "update", f"JobId={job_id}", "StartTime=now"])
    assert helper.do(job_id, "hold-until", later(HOUR)) == ("refused", "opted-out")
    helper.service("flexlon-helper").kill(revive=True)
    helper.service("flexlon-helper").restart()
    assert helper.do(job_id, "hold-until", later(2 * HOUR)) == ("refused", "opted-out")
    helper.as_user("alice", ["scancel", str(blocker)])
    helper.wait_for(lambda: helper.job(job_id).state == "RUNNING", 30, what="it runs")


def test_rule_09_requeue_needs_consent_and_counts(helper: Helper) -> None:
    plain = helper.running(FLEX)
    assert helper.do(plain, "requeue") == ("refused", "no-consent")
    job_id = helper.running(f"--comment={REQUEUE} max-preempts=2")
    target = later(HOUR)
    assert helper.do(job_id, "requeue-until", target) == ("applied", "applied")
    helper.wait_for(lambda: helper.job(job_id).state == "PENDING", 30, what="it is back")
    record = helper.job(job_id)
    assert (record.begin, record["Restarts"]) == (target, "1")
    assert helper.do(job_id, "hold-until", target + 60)[0] == "applied"
    assert helper.do(job_id, "release")[0] == "applied"
    time.sleep(2)  # as below
    helper.as_user("alice", ["scontrol", "update", f"JobId={job_id}", "StartTime=now"])
    helper.wait_for(lambda: helper.job(job_id).state == "RUNNING", 30, what="it runs again")
    assert helper.do(job_id, "requeue") == ("applied", "applied")
    helper.service("flexlon-helper").restart()
    helper.wait_for(lambda: helper.job(job_id).state == "PENDING", 30, what="it is back again")
    # A job whose owner starts it in the very second of its requeue is killed: "Job credential revoked".
    time.sleep(2)
    helper.as_user("alice", ["scontrol", "update", f"JobId={job_id}", "StartTime=now"])
    helper.wait_for(lambda: helper.job(job_id).state == "RUNNING", 30, what="it runs a third time")
    assert helper.do(job_id, "requeue") == ("refused", "max-preempts")


def test_a_checkpoint_is_written_before_the_requeue(helper: Helper) -> None:
    mark = f"/tmp/flexlon-checkpoint-{int(time.time())}"  # noqa: S108 # on the node, gone with it
    script = f"trap 'date +%s > {mark}' USR1; while :; do sleep 0.2; done"
    job_id = helper.running(
        "-o", "/dev/null", f"--comment={REQUEUE} checkpoint=USR1@3", wrap=script
    )
    time.sleep(1)  # the shell sets its trap
    target = later(HOUR)
    assert helper.do(job_id, "requeue-until", target) == ("unknown", "checkpointing")
    assert helper.do(job_id, "requeue-until", target) == ("unknown", "checkpointing")
    helper.wait_for(lambda: helper.job(job_id)["Restarts"] == "1", 30, what="it is requeued")
    helper.wait_for(lambda: helper.job(job_id).begin == target, 30, what="it waits until then")


def test_rule_09_what_we_suspend_is_resumed_with_the_helper_dead(helper: Helper) -> None:
    job_id = helper.running("--comment=flex: max-delay=8:00:00 preempt=suspend")
    helper.service("flexlon-resume.timer").start()
    due = later(20)
    assert helper.do(job_id, "suspend", due) == ("applied", "applied")
    helper.service("flexlon-helper").kill()
    assert helper.job(job_id).state == "SUSPENDED"
    assert [path.name for path in (STATE / "resume").iterdir()] == [f"{job_id}.json"]
    helper.wait_for(lambda: helper.job(job_id).state == "RUNNING", 90, what="the timer resumes it")
    assert time.time() >= due
    helper.wait_for(lambda: not list((STATE / "resume").iterdir()), 60, what="it is disarmed")


def test_a_resume_before_its_time(helper: Helper) -> None:
    job_id = helper.running("--comment=flex: max-delay=8:00:00 preempt=suspend")
    assert helper.do(job_id, "suspend", later(HOUR))[0] == "applied"
    assert helper.do(job_id, "resume") == ("applied", "applied")
    assert helper.job(job_id).state == "RUNNING"
    assert list((STATE / "resume").iterdir()) == []
    helper.as_user("flexop", ["scontrol", "suspend", str(job_id)])
    assert helper.do(job_id, "resume") == ("refused", "not-ours")


def test_an_array_that_runs_in_part(helper: Helper) -> None:
    array = helper.sbatch("alice", "--array=1-6%2", FLEX, wrap="sleep 300")
    helper.wait_for(lambda: len(tasks(helper, array, "R")) == 2, 30, what="two tasks run")
    guard = {
        "expected_begin": helper.job(f"{array}_3").begin,
        "expected_state": "PD",
        "restarts": 0,
    }
    target = later(HOUR)
    assert helper.do(array, "hold-until", target, **guard) == ("applied", "applied")
    assert set(tasks(helper, array, "PD")) == {target}
    assert len(tasks(helper, array, "R")) == 2
    helper.as_user("alice", ["scontrol", "update", f"JobId={array}_5", "StartTime=now+2hours"])
    guard["expected_begin"] = target
    assert helper.do(array, "hold-until", target + 60, **guard) == ("refused", "array-split")


def tasks(helper: Helper, array: int, state: str) -> list[int]:
    """The begin time of each task of an array in that state."""
    argv = ["squeue", "-h", "-r", "-j", str(array), "-t", state, "-O", "EligibleTime:~"]
    return [int(line.rstrip("~")) for line in helper.as_user("root", argv).stdout.split()]


def test_a_het_job_moves_as_one(helper: Helper) -> None:
    argv = ["sbatch", "--parsable", "-t5", "--begin=now+60", FLEX, ":", "-t5", "--begin=now+60"]
    leader = int(helper.as_user("alice", [*argv, "--wrap=sleep 60"]).stdout)
    target = later(HOUR)
    assert helper.do(leader + 1, "hold-until", target)[1] in {"no-consent", "het-component"}
    assert helper.do(leader, "hold-until", target) == ("applied", "applied")
    begins = helper.as_user("root", ["squeue", "-h", "-j", str(leader), "-O", "EligibleTime:~"])
    assert begins.stdout.split() == [f"{target}~"] * 2


def test_more_jobs_than_one_command_takes(helper: Helper) -> None:
    loop = (
        "for i in $(seq 520); do sbatch --parsable -t5 --begin=now+600 "
        "--comment='flex: max-delay=8:00:00' --wrap true; done"
    )
    jobs = [int(line) for line in helper.as_user("alice", ["bash", "-c", loop]).stdout.split()]
    gone = jobs[100]
    asked = [helper.action(job_id, "hold-until", later(HOUR)) for job_id in jobs[:1]]
    target = asked[0]["not_before"]
    records = {job_id: helper.job(job_id) for job_id in (jobs[0], jobs[-1])}
    listing = ["squeue", "-h", "-O", "JobID:~,SubmitTime:~,EligibleTime:~"]
    rows = [line.split("~") for line in helper.as_user("root", listing).stdout.split()]
    assert {int(row[0]) for row in rows} == set(jobs)
    asked = [
        asked[0]
        | {"job_id": int(row[0]), "submit": int(row[1]), "expected_begin": int(row[2])}
        | {"action_id": row[0]}
        for row in rows
    ]
    helper.as_user("alice", ["scancel", str(gone)])
    outcomes = {result["action_id"]: result["outcome"] for result in helper.call(asked)}
    assert outcomes.pop(str(gone)) == "not-found"
    assert set(outcomes.values()) == {"applied"}
    assert {helper.job(job_id).begin for job_id in records} == {target}
