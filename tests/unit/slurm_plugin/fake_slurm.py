"""The far end at its command line: scontrol, squeue and scancel over one JSON file of jobs.

Behaves as measured on 22.05 and 24.11: a list of ids goes on after one that fails; StartTime in the past is
now; requeue gives a new submit time, one restart more and a begin time 121 s later; the words of refusals are
Slurm's. A reservation by which more licences than there are would be reserved at one moment is not made; a
change of one is not checked. `after_update` in the file is what somebody else does right after our next change.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

COLUMNS = {
    "JobID": "id",
    "StateCompact": "state",
    "EligibleTime": "begin",
    "SubmitTime": "submit",
    "RestartCnt": "restarts",
    "PriorityLong": "priority",
    "Comment": "comment",
    "TimeLimit": "limit",
    "StartTime": "start",
    "Requeue": "requeue",
    "BatchFlag": "batch",
    "Reservation": "reservation",
    "Deadline": "deadline",
    "Reason": "reason",
    "Licenses": "licenses",
}
CONSTANT = {
    "ArrayTaskID": "N/A",
    "HetJobID": "N/A",
    "HetJobOffset": "N/A",
    "UserName": "alice",
    "UserID": "1001",
    "Account": "research",
    "QOS": "normal",
    "Partition": "main",
    "NumNodes": "1",
    "NumCPUs": "2",
    "NumTasks": "1",
    "EndTime": "N/A",
    "Name": "wrap",
}


def main() -> int:
    path = Path(sys.argv[1])
    with path.with_suffix(".lock").open("w") as lock:  # slurmctld changes one job at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        return answer(path, sys.argv[2], sys.argv[3:])


def answer(path: Path, program: str, words: list[str]) -> int:
    state = json.loads(path.read_text())
    if "-V" in words or "--version" in words:
        print("slurm 24.11.5")
        return 0
    if words == ["show", "config"]:  # part of each read, which "squeue" stands for here
        print("ScronParameters         = (null)")
        return 0
    state["calls"].append([program, *words])
    down = program in state["down"]
    code = (
        1
        if down
        else {
            "squeue": squeue,
            "scontrol": scontrol,
            "scancel": scancel,
            "sacctmgr": sacctmgr,
        }[program](state, words)
    )
    if down:
        print("Unable to contact slurm controller (connect failure)", file=sys.stderr)
    written = path.with_name(f"{path.name}.{os.getpid()}")
    written.write_text(json.dumps(state))
    written.replace(path)  # a test that looks on meanwhile reads a whole file
    return code


def squeue(state: dict[str, Any], words: list[str]) -> int:
    wanted = words[words.index("-j") + 1].split(",") if "-j" in words else None
    if "--json" in words:  # of the first task of arrays with a task split off
        arrays = [task.partition("_")[0] for task in wanted or ()]
        limits = {number: state["jobs"][number]["throttle"] for number in arrays}
        jobs = [{"job_id": int(number), "array_max_tasks": n} for number, n in limits.items()]
        print(json.dumps({"jobs": jobs}))
        return 0
    for number, job in state["jobs"].items():
        array = str(job.get("array", number))
        if wanted is not None and not {number, array} & set(wanted):
            continue
        if "JobID:|,Origin:|,SiblingsViable:|" in words:
            print(f"{number}|{job.get('origin', 'north')}|{','.join(job.get('sites', []))}|")
            continue
        if "-O" in words:  # the throttles of arrays
            if job.get("tasks"):
                limit = f"%{job['throttle']}" if job["throttle"] else ""
                print(f"{number}|1-{job['tasks']}{limit}|")
            continue
        for task in [*range(1, job.get("tasks", 0) + 1)] or [job.get("task", "N/A")]:
            for part in os.environ["SQUEUE_FORMAT2"].split(","):
                name, _, after = part.partition(":")
                value = {"licenses": ""} | job | {"id": number}
                text = str(value[COLUMNS[name]]) if name in COLUMNS else CONSTANT.get(name, "")
                text = {"ArrayJobID": array, "ArrayTaskID": str(task)}.get(name, text)
                sys.stdout.write(text + after)
    state["down"] += state.pop("down_after_read", [])
    state["down_after_read"] = []
    return 0


def sacctmgr(state: dict[str, Any], words: list[str]) -> int:
    for name, (_, registered) in state["federation"].items():
        print(f"{name}|{6817 if registered else 0}")
    return 0


def federation(state: dict[str, Any]) -> int:
    print("Federation: flex\nSelf:       north:10.0.0.1:6817 ID:1 FedState:ACTIVE Features:")
    for name, (linked, _) in state["federation"].items():
        yes = "Yes" if linked else "No"
        print(
            f"Sibling:    {name}:10.0.0.2:6817 ID:2 FedState:ACTIVE Features: "
            f"PersistConnSend/Recv:{yes}/{yes} Synced:{yes}"
        )
    return 0


def clusters(state: dict[str, Any], number: str, names: list[str]) -> int:
    job = state["jobs"][number]
    if job["state"] not in ("PD", "RV") or job.get("started_at"):
        print(f"Job is no longer pending execution for job {number}", file=sys.stderr)
        return 1
    if number not in state["forgotten"]:
        job |= {"sites": names, "state": "PD" if "north" in names else "RV"}
    return after_update(state)


def scontrol(state: dict[str, Any], words: list[str]) -> int:
    if words == ["show", "federation"]:
        return federation(state)
    if "reservation" in words or "licenses" in words or "ReservationName=" in words[1]:
        return reservation(state, words)
    verb, ids = words[0], words[-1]
    at = state["now"]
    if verb == "update" and not words[2].startswith("StartTime="):
        return update(state, words)
    if verb == "update":
        ids = words[1].removeprefix("JobId=")
        text = words[2].removeprefix("StartTime=")
        if text != "now":
            moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
            at = max(at, int(moment.timestamp()))
    code = 0
    for number in ids.split(","):
        said = one(state, verb, number, at)
        if said:
            print(said, file=sys.stderr)
            code = 1
    if verb == "update":
        after_update(state)
    state["down"] += state["down_after_act"]
    return code


def update(state: dict[str, Any], words: list[str]) -> int:
    if words[2].startswith("Clusters="):
        names = words[2].removeprefix("Clusters=").split(",")
        return clusters(state, words[1].removeprefix("JobId="), names)
    if words[2].startswith("Licenses="):
        for number in words[1].removeprefix("JobId=").split(","):
            state["jobs"][number]["licenses"] = words[2].removeprefix("Licenses=") or "(null)"
        return 0
    for number in words[1].removeprefix("JobId=").split(","):
        if number not in state["forgotten"] and number in state["jobs"]:
            state["jobs"][number]["throttle"] = int(words[2].partition("=")[2])
    return after_update(state)


def after_update(state: dict[str, Any]) -> int:
    for number, change in state["after_update"].items():
        state["jobs"][number] |= change
    state["after_update"] = {}
    return 0


def reservation(state: dict[str, Any], words: list[str]) -> int:
    there = state["reservations"]
    if words[-1] == "reservation":
        for name, (start, end, kw) in there.items():
            active = "ACTIVE" if start <= state["now"] < end else "INACTIVE"
            print(
                f"ReservationName={name} StartTime={start} EndTime={end} Nodes=(null) "
                f"Flags=ANY_NODES Licenses=kw:{kw} State={active}"
            )
        return 0
    if words[-1] == "licenses":
        total = state["total"]
        print(f"LicenseName=kw Total={total} Used=0 Free={total} Reserved=0 Remote=no")
        return 0
    given = dict(word.split("=", 1) for word in words if "=" in word)
    name = given["ReservationName"]
    if words[0] == "delete":
        return 0 if there.pop(name, None) else 1
    if name in state["forgotten"]:
        return 0
    kw, end = int(given["Licenses"].removeprefix("kw:")), moment(given["EndTime"], state["now"])
    if words[0] == "update":
        there[name] = [there[name][0], end, kw]
        return 0
    start = moment(given["StartTime"], state["now"])
    taken = sum(k for begin, until, k in there.values() if begin < end and until > start)
    if taken + kw > state["total"] or name in there:
        print("Error creating the reservation: Invalid license specification", file=sys.stderr)
        return 1
    there[name] = [start, end, kw]
    return 0


def moment(text: str, now: int) -> int:
    if text == "now":
        return now
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp())


def one(state: dict[str, Any], verb: str, number: str, at: int) -> str:
    job = state["jobs"].get(number)
    if job is None or number in state["denied"]:
        why = "Access/permission denied" if job else "Invalid job id specified"
        return f"{why} for job {number}"
    if verb == "update":
        if job["state"] != "PD":
            return f"Job is no longer pending execution for job {number}"
        if number not in state["forgotten"]:
            job["begin"] = at
    elif verb == "requeue":
        if job["state"] not in ("R", "S"):
            return f"Requested operation is presently disabled for job {number}"
        job |= {"state": "PD", "restarts": job["restarts"] + 1, "start": "N/A"}
        job |= {"submit": state["now"], "begin": state["now"] + 121}
    elif verb == "suspend":
        if number not in state["forgotten"]:
            job["state"] = "S"
    elif job["state"] != "S":
        return f"Job is not suspended for job {number}"
    else:
        job["state"] = "R"
    return ""


def scancel(state: dict[str, Any], words: list[str]) -> int:
    return 0 if words[-1] in state["jobs"] else 1


if __name__ == "__main__":
    sys.exit(main())
