"""Learning from the accounting: each run once, whatever slurmdbd does, and nothing lost by a restart."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from flexlond.agents.learning import (
    BLOB,
    DAY,
    OVERLAP_SECONDS,
    SAVE_SECONDS,
    Learner,
    of_record,
)
from flexlond.daemon.store import SqliteStore
from flexlond.model.settings import NodeType, PowerSettings, PredictionSettings, Settings
from flexlond.prediction.power import NO_MEASUREMENT
from flexlond.prediction.runtime import LEVELS, NO_HISTORY
from flexlond.slurm import accounting
from flexlond.slurm.accounting import AccountingRecord, decode_accounting
from flexlond.slurm.command import SlurmCommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flexlond.model.settings import SlurmSettings

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "slurm"
NOW = 1_795_500_000
SETTINGS = Settings()


def of_days(days: int) -> Settings:
    return Settings(prediction=PredictionSettings(history_days=days))


def a_run(
    job_id: int, end: int, seconds: int = 600, *, state: str = "COMPLETED", **changed: object
) -> AccountingRecord:
    record = AccountingRecord(
        job_id=job_id,
        array_job_id=0,
        array_task_id=None,
        het_job_id=0,
        het_offset=0,
        user="alice",
        uid=2001,
        account="research",
        qos="normal",
        partition="main",
        state=state,
        submit=end - seconds - 60,
        eligible=end - seconds - 60,
        start=end - seconds,
        end=end,
        time_limit=3600,
        nodes=1,
        cpus=64,
        memory_mib=100,
        gpus=(),
        energy_joules=None,
        restarts=0,
        comment="",
        name="train_1",
    )
    return replace(record, **changed)  # type: ignore[arg-type]


class Slurmdbd:
    """Answers as sacct does: every job that was in the system at some time between."""

    def __init__(self, records: Sequence[AccountingRecord] = ()) -> None:
        self.records = list(records)
        self.asked: list[tuple[int, int]] = []
        self.down = False

    def __call__(
        self, settings: SlurmSettings, *, since: int, until: int | None = None
    ) -> Sequence[AccountingRecord]:
        assert until is not None
        self.asked.append((since, until))
        if self.down:
            raise SlurmCommandError(["sacct"], 1, "Connection refused", "check slurmdbd")
        return [r for r in self.records if r.submit <= until and (r.end == 0 or r.end >= since)]


class Shelf:
    """A store in memory that counts."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.puts = 0

    def get_blob(self, key: str) -> bytes:
        return self.kept.get(key, b"")

    def put_blob(self, key: str, value: bytes, at: int) -> None:
        self.kept[key] = value
        self.puts += 1


async def test_the_first_time_reads_the_history_day_by_day() -> None:
    slurmdbd = Slurmdbd([a_run(n, NOW - n * DAY // 2 - 100) for n in range(10)])
    learner = Learner(of_days(3), Shelf(), read=slurmdbd)
    assert learner.detail == "nothing learned yet: time limits and coefficients are used"
    assert await learner.learn(NOW) == 6
    assert slurmdbd.asked == [(NOW - days * DAY, NOW - (days - 1) * DAY) for days in (3, 2, 1)]
    assert learner.runtime.runs == 6
    assert "learned from 6 runs, newest 2026-11-2" in learner.detail


async def test_every_run_is_learnt_once_and_late_ones_too() -> None:
    slurmdbd = Slurmdbd([a_run(1, NOW - 500), a_run(2, NOW - 30), a_run(3, 0, state="RUNNING")])
    learner = Learner(SETTINGS, Shelf(), read=slurmdbd)
    assert await learner.learn(NOW) == 1  # a run that has just ended may not be written whole
    assert await learner.learn(NOW + 60) == 1
    assert await learner.learn(NOW + 120) == 0
    slurmdbd.records.append(a_run(4, NOW - 1000))  # slurmdbd was behind
    slurmdbd.records.append(a_run(1, NOW + 100))  # the same id: requeued, its next run
    assert await learner.learn(NOW + 600) == 2
    assert slurmdbd.asked[-1] == (NOW + 60 - OVERLAP_SECONDS, NOW + 600)
    assert learner.runtime.runs == 4


async def test_day_borders_count_no_run_twice() -> None:
    borders = [NOW - days * DAY + near for days in (1, 2) for near in (-1, 0, 1)]
    slurmdbd = Slurmdbd([a_run(n, end, 2 * DAY) for n, end in enumerate(borders)])
    learner = Learner(of_days(4), Shelf(), read=slurmdbd)
    assert await learner.learn(NOW) == 6
    assert await learner.learn(NOW + DAY) == 0


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL", "REQUEUED", "BOOT_FAIL", "DEADLINE"])
async def test_what_others_ended_is_no_runtime(state: str) -> None:
    learner = Learner(SETTINGS, Shelf(), read=Slurmdbd([a_run(1, NOW - 500, state=state)]))
    assert await learner.learn(NOW) == 0


async def test_what_never_started_is_no_runtime() -> None:
    pending = a_run(1, NOW - 500, 0, state="CANCELLED")
    never = replace(pending, job_id=2, start=0)
    short = a_run(3, NOW - 500, 0)
    learner = Learner(SETTINGS, Shelf(), read=Slurmdbd([pending, never, short]))
    assert await learner.learn(NOW) == 1
    assert learner.runtime.predict(of_record(short)).p50 == 1


async def test_failed_and_cancelled_runs_count_and_a_timeout_is_its_limit() -> None:
    runs = [
        a_run(1, NOW - 900, 5, state="FAILED"),
        a_run(2, NOW - 800, 5, state="CANCELLED"),
        a_run(3, NOW - 700, 3580, state="TIMEOUT", name="long"),  # suspended, or a rounded clock
    ]
    learner = Learner(SETTINGS, Shelf(), read=Slurmdbd(runs))
    assert await learner.learn(NOW) == 3
    assert learner.runtime.predict(of_record(runs[0])).p50 == 5
    assert learner.runtime.predict(of_record(runs[2])).p50 == 3600


async def test_without_slurmdbd_what_is_known_stays() -> None:
    slurmdbd = Slurmdbd([a_run(n, NOW - 500 - n) for n in range(20)])
    learner = Learner(SETTINGS, Shelf(), read=slurmdbd)
    slurmdbd.down = True
    assert await learner.learn(NOW) == 0
    assert "Connection refused" in learner.detail
    assert "\n" not in learner.detail
    assert learner.runtime.predict(of_record(a_run(1, NOW))).basis == NO_HISTORY
    slurmdbd.down = False
    assert await learner.learn(NOW + 60) == 20
    slurmdbd.down = True
    assert await learner.learn(NOW + 120) == 0
    assert learner.detail.startswith("learned from 20 runs")
    assert "nothing new could be read" in learner.detail
    assert learner.runtime.predict(of_record(a_run(1, NOW))).basis == LEVELS[0]


async def test_a_failure_in_the_middle_goes_on_from_there() -> None:
    slurmdbd = Slurmdbd([a_run(n, NOW - n * DAY - 500) for n in range(5)])
    broken = Slurmdbd(slurmdbd.records)

    def read(
        settings: SlurmSettings, *, since: int, until: int | None = None
    ) -> Sequence[AccountingRecord]:
        broken.down = len(broken.asked) == 3
        return broken(settings, since=since, until=until)

    learner = Learner(of_days(5), Shelf(), read=read)
    assert await learner.learn(NOW) == 3
    assert await learner.learn(NOW) == 2
    assert broken.asked[4] == (NOW - 2 * DAY - OVERLAP_SECONDS, NOW - DAY - OVERLAP_SECONDS)


async def test_a_restart_learns_nothing_twice(tmp_path: Path) -> None:
    slurmdbd = Slurmdbd([a_run(n, NOW - 500 - n) for n in range(10)])
    like = of_record(slurmdbd.records[0])
    with SqliteStore(tmp_path / "s.db") as store:
        first = Learner(SETTINGS, store, read=slurmdbd)
        await first.learn(NOW)
        expected = first.runtime.predict(like)
    with SqliteStore(tmp_path / "s.db") as store:
        again = Learner(SETTINGS, store, read=slurmdbd)
        assert again.runtime.predict(like) == expected
        assert again.detail == first.detail
        assert await again.learn(NOW + 600) == 0
    assert slurmdbd.asked[-1] == (NOW - 60 - OVERLAP_SECONDS, NOW + 600)


async def test_stored_at_most_every_few_minutes_and_only_when_something_was_learnt() -> None:
    slurmdbd, shelf = Slurmdbd([a_run(1, NOW - 500)]), Shelf()
    learner = Learner(SETTINGS, shelf, read=slurmdbd)
    await learner.learn(NOW)
    slurmdbd.records.append(a_run(2, NOW - 40))
    await learner.learn(NOW + 60)
    assert shelf.puts == 1
    await learner.learn(NOW + SAVE_SECONDS)  # nothing new, but the run before waits to be stored
    await learner.learn(NOW + 2 * SAVE_SECONDS)
    assert shelf.puts == 2
    assert Learner(SETTINGS, shelf, read=slurmdbd).runtime.runs == 2


def damaged(blob: bytes) -> Iterator[tuple[bytes, str]]:
    stored = msgspec.msgpack.decode(blob)
    yield blob[:50], "it is learnt again"
    yield msgspec.msgpack.encode(stored | {"format": "flexlon learning 9"}), "learning 9"
    yield msgspec.msgpack.encode(stored | {"power": b"\x00"}), "powers learnt cannot be read"
    yield msgspec.msgpack.encode(stored | {"runtime": b"\x00"}), "runtimes learnt cannot be read"


async def test_a_store_that_cannot_be_read_is_learnt_again_as_a_whole() -> None:
    slurmdbd, shelf = Slurmdbd([a_run(n, NOW - 500 - n) for n in range(10)]), Shelf()
    await Learner(SETTINGS, shelf, read=slurmdbd).learn(NOW)
    good = shelf.kept[BLOB]
    for blob, said in damaged(good):
        shelf.kept[BLOB] = blob
        learner = Learner(SETTINGS, shelf, read=slurmdbd)
        assert said in learner.detail
        assert await learner.learn(NOW) == 10


async def test_one_at_a_time_and_cancelled_at_any_moment() -> None:
    slurmdbd = Slurmdbd([a_run(n, NOW - 500 - n) for n in range(2000)])
    learner = Learner(SETTINGS, Shelf(), read=slurmdbd)
    running = asyncio.create_task(learner.learn(NOW))
    for _ in range(100_000):
        if learner.runtime.runs:
            break
        await asyncio.sleep(0)
    assert await learner.learn(NOW) == 0
    assert 0 < learner.runtime.runs < 2000
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    part = learner.runtime.runs
    assert await learner.learn(NOW) == 2000 - part
    assert learner.runtime.runs == 2000


async def test_power_is_learnt_where_the_nodes_were_its_own() -> None:
    power = PowerSettings(
        pue=1.5, node_types={"n": NodeType(cpus_per_node=64, cpu_watts=5.0, idle_watts=80.0)}
    )
    settings = msgspec.structs.replace(SETTINGS, power=power)
    # 64 x 5 W + 80 W = 400 W by the coefficients; measured 300 W
    whole = a_run(1, NOW - 500, 600, energy_joules=300 * 600)
    shared = a_run(2, NOW - 500, 600, energy_joules=300 * 600, cpus=8, user="bob")
    learner = Learner(settings, Shelf(), read=Slurmdbd([whole, shared]))
    assert await learner.learn(NOW) == 2
    assert learner.power.runs == 1
    found = learner.power.predict(of_record(whole), 0.6)
    assert found.kw_p50 == pytest.approx(0.45)
    assert found.samples == 1
    assert (
        learner.power.predict(of_record(replace(shared, partition="x")), 0.6)[2] == NO_MEASUREMENT
    )


async def test_idle_watts_that_jobs_are_not_charged_are_not_their_power() -> None:
    kind = NodeType(cpus_per_node=64, cpu_watts=5.0, idle_watts=80.0, idle_share=0.0)
    settings = msgspec.structs.replace(
        SETTINGS, power=PowerSettings(pue=1.0, node_types={"n": kind})
    )
    run = a_run(1, NOW - 500, 600, energy_joules=240 * 600)
    learner = Learner(settings, Shelf(), read=Slurmdbd([run]))
    await learner.learn(NOW)
    assert learner.power.predict(of_record(run), 0.32).kw_p50 == pytest.approx(0.16)


async def test_counters_that_wrapped_cost_the_power_and_not_the_runtime() -> None:
    run = a_run(1, NOW - 500, 600, energy_joules=2**64 - 2)
    learner = Learner(SETTINGS, Shelf(), read=Slurmdbd([run, a_run(2, NOW - 400)]))
    assert await learner.learn(NOW) == 2
    assert (learner.runtime.runs, learner.power.runs) == (2, 0)


def test_features_are_of_the_request() -> None:
    run = a_run(
        1, NOW, name="run_7", gpus=(("a", 1), ("b", 2)), requested_cpus=3, requested_nodes=2
    )
    found = of_record(run)
    assert (found.name_pattern, found.cpus, found.nodes, found.gpus) == ("run_#", 3, 2, 3)
    assert of_record(a_run(1, NOW)).cpus == 64


@pytest.mark.parametrize("version", ["22.05", "24.11", "26.05"])
async def test_captured_accounting_is_learnt(version: str) -> None:
    folder = FIXTURES / version
    absent = {"JobName"} | ({"Restarts"} if version == "22.05" else set())
    columns = tuple(name for name in accounting.COLUMNS if name not in absent)
    delimiter, _ = json.loads((folder / "separators.json").read_text())
    records = decode_accounting((folder / "sacct.txt").read_text(), delimiter, columns)
    ended = [r for r in records if r.end and r.state != "RUNNING"]
    last = max(r.end for r in ended)
    learner = Learner(of_days(1), Shelf(), read=Slurmdbd(records))
    assert await learner.learn(last + 61) == sum(
        r.start > 0 and not (r.state == "CANCELLED" and r.start == r.end) for r in ended
    )
    alice = next(r for r in ended if r.user == "alice" and r.state == "COMPLETED")
    found = learner.runtime.predict(of_record(alice))
    assert found.samples > 0
    assert 1 <= found.p50 <= found.p90 <= (alice.time_limit or DAY)
