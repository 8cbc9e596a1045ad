"""The site's power on the real cluster: an independent meter of what the nodes run, read, lost and found again.

The simulated meter (docker/meter_lib) looks at the nodes' own processes; its coefficients are not FlexLon's.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNIT = "site-meter"
QUERY = "http://127.0.0.1:9109/api/v1/query?query=site_power_watts"
MAX_AGE = 8.0
METER = {
    "source": "prometheus",
    "url": "http://127.0.0.1:9109",
    "query": "site_power_watts",
    "unit": "W",
    "refresh": 1.0,
    "max_age": MAX_AGE,
    "max_kw": 100.0,
}
FLEX = "flex: max-delay=15:00"


def watts() -> float:
    """What the meter reads now, asked by the test itself; 0 while it reads nothing."""
    try:
        with urllib.request.urlopen(QUERY, timeout=5) as answer:
            result = json.load(answer)["data"]["result"]
    except OSError:
        return 0.0
    return float(result[0]["value"][1]) if result else 0.0


@pytest.fixture
def meter(service: Callable[[str], Any], wait_for: Callable[..., Any]) -> Iterator[Any]:
    """The simulated meter, running; stopped afterwards."""
    if not Path(f"/etc/systemd/system/{UNIT}.service").exists():
        pytest.skip("this image has no simulated meter: build it from this tree (docker/test does)")
    unit = service(UNIT)
    unit.start()
    wait_for(watts, 20, what="the simulated meter reads something")
    yield unit
    unit.stop()
    subprocess.run(["systemctl", "reset-failed", UNIT], check=False, capture_output=True)


def test_the_simulated_meter_follows_what_the_nodes_run(
    meter: Any, sbatch: Callable[..., int], wait_for: Callable[..., Any], job: Callable[..., Any]
) -> None:
    idle = watts()
    plain = sbatch("alice", "--ntasks=16", wrap="sleep 300")
    gpu = sbatch("bob", "--ntasks=2", "--gpus=2", wrap="sleep 300")
    wait_for(lambda: job(plain).state == job(gpu).state == "RUNNING", 30, what="both run")
    # 18 CPUs at 7.4 W and 2 GPUs at 338 W, at a PUE of 1.23, with a noise of some parts in a thousand.
    busy = 1.23 * (18 * 7.4 + 2 * 338.0)
    wait_for(lambda: abs(watts() - idle - busy) < 0.05 * busy, 20, what=f"{busy:.0f} W more")
    subprocess.run(["scontrol", "suspend", str(plain)], check=True)
    wait_for(
        lambda: abs(watts() - idle - busy + 1.23 * 16 * 7.4) < 0.05 * busy,
        20,
        what="a suspended job draws nothing of its own",
    )
    subprocess.run(["scontrol", "resume", str(plain)], check=True)
    subprocess.run(["scancel", str(plain), str(gpu)], check=True)
    wait_for(lambda: abs(watts() - idle) < 0.05 * busy, 30, what="as at first")


def test_a_meter_that_dies_is_said_and_changes_no_hold(
    scene: Any, meter: Any, flexlonctl: Callable[..., Any]
) -> None:
    running = scene.sbatch("alice", "--ntasks=10", wrap="sleep 600")
    # Dear for ten minutes: the holds last as long as the test.
    scene.act([200.0] * 60 + [10.0] * 60 + [200.0] * 60, meter=METER)
    held = [scene.sbatch("bob", f"--comment={FLEX}", "--ntasks=2") for _ in range(3)]
    begins = {job_id: scene.held(job_id) for job_id in held}
    scene.wait_for(lambda: scene.job(running).state == "RUNNING", 30, what="the plain job runs")

    def power() -> dict[str, Any]:
        found: dict[str, Any] = flexlonctl("status")["power"]
        return found

    def metered() -> bool:
        seen = power()
        return seen["source"] == "metered" and abs(seen["observed_kw"] - watts() / 1000) < 0.05

    scene.wait_for(metered, 30, what="the power is the meter's")
    (sentence,) = scene.cycles(1)
    assert "by the meter" in sentence
    alive = power()
    assert alive["modelled_kw"] != alive["observed_kw"]
    assert alive["quality"] == "good"
    cycle_at = flexlonctl("status")["last_cycle_at"]

    meter.kill("KILL", revive=True)
    scene.wait_for(lambda: power()["source"] == "modelled", 40, what="the reading is stale")
    dead = power()
    assert dead["quality"] == "stale"
    assert "old (meter.max_age is 8 s)" in dead["detail"]
    assert dead["observed_kw"] == dead["modelled_kw"]
    for sentence in scene.cycles(2):
        assert "by the model, not metered: the last reading is" in sentence
    status = flexlonctl("status")
    assert status["last_cycle_at"] != cycle_at
    assert status["heartbeat_fresh"]
    assert {job_id: scene.job(job_id).begin for job_id in held} == begins
    assert all(scene.job(job_id).state == "PENDING" for job_id in held)

    meter.start()
    scene.wait_for(lambda: power()["source"] == "metered", 30, what="the meter is back")
    assert {job_id: scene.job(job_id).begin for job_id in held} == begins
    # Two slots later the record has metered and modelled ones, and the model beside the meter.
    sources = {slot["source"] for slot in power()["slots"]}
    assert "metered" in sources
    compared = scene.wait_for(lambda: power()["ratio"], 60, what="enough readings to compare")
    assert 0.3 < compared < 3.0
    assert power()["other_kw"] is not None


def test_a_window_is_judged_by_the_meter_and_says_where_it_was_stale(
    scene: Any, meter: Any, flexlonctl: Callable[..., Any]
) -> None:
    scene.sbatch("alice", "--ntasks=10", wrap="sleep 600")
    scene.act([100.0] * 180, meter=METER)
    added = flexlonctl("window", "add", "--from", "now", "--to", "now+110seconds", "--cap", "50kW")
    assert added["added"], added
    number = str(added["window"]["window_id"])

    def slots() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = flexlonctl("window", "show", number)["slots"]
        return found

    scene.wait_for(
        lambda: sum(slot["observed_source"] == "metered" for slot in slots()) >= 3,
        60,
        what="three slots are metered",
    )
    site = watts() / 1000
    for slot in slots():
        if slot["observed_source"] == "metered" and slot["metered_share"] > 0.9:
            assert abs(slot["observed_kw"] - site) < 0.1 * site
            assert slot["planned_kw"] is None or slot["planned_kw"] != slot["observed_kw"]

    meter.kill("KILL", revive=True)
    before = [slot["start"] for slot in slots() if slot["observed_source"] == "metered"][:3]
    scene.wait_for(
        lambda: flexlonctl("window", "show", number)["state"] == "ended", 120, what="it is over"
    )
    scene.cycles(4)  # its last slot is settled
    found = {slot["start"]: slot for slot in slots()}
    # What was metered stays so; what was not is modelled, and the record says which.
    assert {found[start]["observed_source"] for start in before} == {"metered"}
    for slot in list(found.values())[-2:]:
        assert (slot["observed_source"], slot["metered_share"]) == ("modelled", 0.0)
        assert slot["observed_kw"] is not None
