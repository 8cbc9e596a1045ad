"""The two shapes of JSON, the choice of a REST version, and answers that make no sense."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from flexlond.model.job import JobState
from flexlond.model.settings import SlurmSettings
from flexlond.slurm.arrays import throttles_of_json, throttles_of_text
from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.json_reader import snapshot_of
from flexlond.slurm.reader import choose_reader
from flexlond.slurm.rest_reader import RestReader

SOCKET = SlurmSettings(restd_socket="/run/slurmrestd/none.socket")


def number(value: int | None, *, infinite: bool = False) -> dict[str, Any]:
    return {"set": value is not None, "infinite": infinite, "number": value or 0}


def answer(*jobs: dict[str, Any]) -> str:
    return json.dumps({"meta": {"slurm": {"release": "24.11.5"}}, "jobs": list(jobs)})


def test_ended_jobs_are_left_out_in_both_shapes(captured: Any) -> None:
    whole = json.loads(captured.json("rest.json.gz"))["jobs"]
    states = {str(job["job_state"]) for job in whole}
    assert any("CANCELLED" in state for state in states)  # REST lists what ended lately
    kept = snapshot_of(captured.json("rest.json.gz"), 1, "rest", (), None).jobs
    assert len(kept) < len(whole)
    assert JobState.ENDED not in {job.state for job in kept}


def test_only_the_jobs_asked_for(captured: Any) -> None:
    every = snapshot_of(captured.json("squeue.json.gz"), 1, "json", (), None).jobs
    leader = next(job.het_job_id for job in every if job.het_job_id)
    array = next(job.array_job_id for job in every if job.array_task_id == 5)
    found = snapshot_of(captured.json("squeue.json.gz"), 1, "json", (), [leader, array, 7777777])
    assert sorted((job.het_offset, job.array_task_id) for job in found.jobs if job.het_job_id) == [
        (0, None),
        (1, None),
    ]
    assert {job.array_task_id for job in found.jobs if job.array_job_id} == {None, 5, 7}


def test_a_record_that_makes_no_sense_is_a_misfit() -> None:
    good = {"job_id": 1, "job_state": ["PENDING"], "cron": "crontab spec"}
    bad = [{"job_id": "x", "job_state": ["PENDING"]}, {"job_id": 2, "job_state": ["??"]}]
    cut = {
        "job_id": 3,
        "job_state": ["PENDING"],
        "array_job_id": number(3),
        "array_task_string": "1-4,...",
    }
    snapshot = snapshot_of(answer(good, *bad, cut), 1, "json", (), None)
    assert [(job.job_id, job.cron) for job in snapshot.jobs] == [(1, True)]
    assert not snapshot.complete
    assert len(snapshot.misfits) == 3
    assert "SLURM_BITSTR_LEN" in snapshot.misfits[2]


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (number(10), 600),
        (number(0, infinite=True), None),
        (number(None), None),
        (10, 600),
        (None, None),
    ],
)
def test_time_limits_of_both_shapes(limit: Any, seconds: int | None) -> None:
    record = {"job_id": 1, "job_state": "PENDING", "time_limit": limit, "end_time": number(99)}
    (job,) = snapshot_of(answer(record), 1, "json", (), None).jobs
    assert job.time_limit == seconds
    assert job.end == (99 if seconds else 0)


def test_what_is_no_json_says_what_to_do() -> None:
    with pytest.raises(SlurmCommandError, match=r"set \[slurm\] reader to squeue"):
        snapshot_of("slurm error", 1, "json", ("squeue", "--json"), None)


def test_throttles_of_both_shapes() -> None:
    assert throttles_of_json(answer({"job_id": 5, "array_max_tasks": number(3)})) == {5: 3}
    assert throttles_of_json(answer({"job_id": 5, "array_max_tasks": 4})) == {5: 4}
    assert throttles_of_text(["12|1-4,6%3|", "13|1-4|", "14|N/A|", "x|1%2|"]) == {12: 3}


def served(captured: Any, asked: list[str]) -> httpx.MockTransport:
    """A slurmrestd that serves one API version, from the capture."""
    api = captured.text("rest-version.txt").strip()

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if f"/{api}/" not in request.url.path:
            return httpx.Response(404)
        if request.url.path.endswith("/ping/"):
            return httpx.Response(200, json={})
        return httpx.Response(200, content=captured.json("rest.json.gz").encode())

    return httpx.MockTransport(handle)


def test_rest_finds_the_version_once_and_reads(captured: Any) -> None:
    asked: list[str] = []
    reader = RestReader(SOCKET, transport=served(captured, asked))
    first = reader.read()
    assert first.complete, first.misfits
    assert first.jobs == snapshot_of(captured.json("rest.json.gz"), 1, "rest", (), None).jobs
    assert reader.api_version() == captured.text("rest-version.txt").strip()
    before = len(asked)
    assert reader.read().jobs == first.jobs
    assert len(asked) == before + 1
    reader.close()


def test_rest_that_refuses_says_where_and_what_to_do() -> None:
    reader = RestReader(SOCKET, transport=httpx.MockTransport(lambda _: httpx.Response(401)))
    with pytest.raises(SlurmCommandError, match=r"serves none of .*none\.socket"):
        reader.read()
    reader.close()
    with pytest.raises(SlurmCommandError, match=r"none\.socket"):
        RestReader(SOCKET).read()


@pytest.mark.parametrize(
    ("settings", "name", "why"),
    [
        (SlurmSettings(reader="squeue"), "squeue", "as configured"),
        (SlurmSettings(reader="json"), "json", "as configured"),
        (SlurmSettings(reader="rest"), "squeue", "no [slurm] restd_socket"),
        (
            SlurmSettings(reader="pyslurm", bin_dir="/nonexistent"),
            "squeue",
            "pyslurm was asked for",
        ),
        (SlurmSettings(bin_dir="/nonexistent"), "squeue", "every Slurm version"),
        (SlurmSettings(bin_dir="/nonexistent", restd_socket="/run/x"), "rest", "not installed"),
    ],
)
def test_the_choice_of_a_reader_is_explained(settings: SlurmSettings, name: str, why: str) -> None:
    reader, said = choose_reader(settings)
    assert reader.name == name
    assert why in said
    if isinstance(reader, RestReader):
        reader.close()
