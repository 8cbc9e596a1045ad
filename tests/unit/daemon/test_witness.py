"""The daemon's ledger: intents before effects, nothing held unrecorded, caught up after a kill (I1, I2, I9)."""

from __future__ import annotations

import asyncio
import base64
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.daemon import witness as witness_module
from flexlond.daemon.compose import compose
from flexlond.daemon.store import StoreError
from flexlond.daemon.witness import LedgerWitness, catch_up, open_ledger
from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.model.settings import DaemonSettings, LedgerSettings, Settings
from flexlond.settlement.ledger import recorder as recorder_module
from flexlond.settlement.ledger.checkpoint import open_checkpoint
from flexlond.settlement.ledger.entry import Entry, decode
from flexlond.settlement.ledger.note import NoteSigner
from flexlond.settlement.ledger.problem import LedgerError
from flexlond.settlement.ledger.reader import Reader
from flexlond.settlement.ledger.second_place import SecondPlace
from flexlond.settlement.ledger.verify import verify
from tests.unit.agents.conftest import CHEAP_AT_SIX, START, Bench, replace_struct
from tests.unit.agents.conftest import settings as _settings_fixture

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = NoteSigner.of_seed("hpc.test/flexlon", bytes(range(32))).key
FLEX = "flex: max-delay=8:00:00"
settings = _settings_fixture


@pytest.fixture
def chosen(tmp_path: Path) -> LedgerSettings:
    (tmp_path / "second").mkdir()
    (tmp_path / "key").write_text(base64.b64encode(bytes(range(32))).decode())
    return LedgerSettings(
        name="hpc.test/flexlon",
        path=str(tmp_path / "ledger.db"),
        second_place=str(tmp_path / "second"),
        key=str(tmp_path / "key"),
    )


class Witnessed(Bench):
    """A bench with a ledger."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.witness = self._witness(settings)
        super().__init__(path, settings, CHEAP_AT_SIX)

    def _witness(self, settings: Settings) -> LedgerWitness:
        ledger = open_ledger(settings)
        assert ledger is not None
        return LedgerWitness(ledger, settings, lambda: START)

    def _agent(self) -> Any:
        agent = super()._agent()
        agent.actuator._witness = self.witness
        return agent


@pytest.fixture
def with_ledger(settings: Settings, chosen: LedgerSettings) -> Settings:
    changed: Settings = replace_struct(settings, ledger=chosen)
    return changed


def entries(chosen: LedgerSettings) -> list[Entry]:
    """Verified against every checkpoint given out (I1)."""
    with Reader(Path(chosen.path)) as reader:
        outside = [note for _, note in SecondPlace(Path(chosen.second_place)).notes()]
        verify(reader, [KEY], outside)
        return [decode(bytes(raw or b""), seq) for seq, _, raw in reader.rows()]


def bodies(found: Sequence[Entry], kind: str) -> list[dict[str, Any]]:
    return [one.body for one in found if one.kind == kind]


async def test_each_effect_has_one_earlier_intent_in_the_ledger(
    tmp_path: Path, with_ledger: Settings
) -> None:
    bench = Witnessed(tmp_path / "store.db", with_ledger)
    jobs = [bench.slurm.submit(FLEX) for _ in range(40)]
    bench.slurm.submit()
    for _ in range(3):
        await bench.cycle()
        bench.slurm.advance(30)
    await bench.agent.release(jobs[:2], uid=1001, operator=False)
    await bench.witness.close()
    found = entries(with_ledger.ledger)
    order = {one.body["action"]: one.seq for one in found if one.kind == "intent"}
    effects = [one for one in found if one.kind == "effect"]
    assert len(order) == len(bodies(found, "intent")) > 30
    assert set(order) == {line.action.action_id for line in bench.store.all_intents()}
    assert {one.body["action"] for one in effects} == set(order)
    assert all(order[one.body["action"]] < one.seq for one in effects)
    assert {action.action_id for action in bench.slurm.effects} <= set(order)
    raw = b"".join(str(one.body).encode() for one in found)
    assert b"uid" not in raw
    first = next(one for one in found if one.kind == "intent")
    assert set(first.personal) == {"user", "account", "job_name"}
    assert open_checkpoint(str(bench.witness.latest["note"]), [KEY]).size == len(found)
    bench.store.close()


async def test_what_cannot_be_recorded_is_not_held_and_what_lets_run_goes_on(
    tmp_path: Path, with_ledger: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "_FIRST_RETRY", 0.05)
    bench = Witnessed(tmp_path / "store.db", with_ledger)
    held = [bench.slurm.submit(FLEX) for _ in range(3)]
    await bench.cycle()
    assert all(bench.begin(job) > bench.slurm.now for job in held)
    await bench.witness.recorder.settled()
    bench.witness._ledger.db.execute("PRAGMA busy_timeout=10")
    holder = sqlite3.connect(with_ledger.ledger.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    late = bench.slurm.submit(FLEX)
    before = len(bench.slurm.effects)
    await bench.cycle()  # the first to notice
    assert bench.begin(late) <= bench.slurm.now
    assert len(bench.slurm.effects) == before
    said = [line for line in bench.store.all_intents() if line.action.job_id == late]
    assert [(line.outcome, line.code) for line in said] == [(Outcome.REFUSED, "ledger")]
    sentence = await bench.cycle()
    assert "no new holds, the ledger cannot be written" in sentence
    assert not bench.agent.may_delay()
    (released,) = await bench.agent.release(held[:1], uid=1001, operator=False)
    assert released.released
    assert bench.begin(held[0]) <= bench.slurm.now
    holder.execute("ROLLBACK")
    holder.close()
    async with asyncio.timeout(10):
        while bench.witness.problem:  # noqa: ASYNC110 -- it tells nobody else
            await asyncio.sleep(0.02)
    await bench.cycle()
    assert bench.begin(late) > bench.slurm.now  # held now that it can be recorded
    await bench.witness.close()
    intents = bodies(entries(with_ledger.ledger), "intent")
    assert {one["job_id"] for one in intents} == {*held, late}
    assert [one["verb"] for one in intents if one["job_id"] == held[0]] == ["hold-until", "release"]
    bench.store.close()


def action(number: int) -> Action:
    return Action(
        f"a{number}", number, START, 0, START, "PENDING", Verb.HOLD_UNTIL, START + 60, "cheap"
    )


async def test_what_a_crash_left_out_is_recorded_at_the_next_start(
    tmp_path: Path, with_ledger: Settings
) -> None:
    chosen = with_ledger.ledger
    bench = Witnessed(tmp_path / "store.db", with_ledger)
    bench.slurm.submit(FLEX)
    bench.store.record_intents([action(90)], START - 10 * 86_400)  # from before the ledger
    await bench.cycle()
    await bench.witness.close()
    # Committed to the store, and killed before the ledger had it; the second was sent and answered.
    bench.store.record_intents([action(91), action(92)], START + 1)
    bench.store.record_results(
        [Result("a92", Outcome.APPLIED, "", "", START + 60, "PENDING")], START + 2
    )
    ledger = open_ledger(with_ledger)
    assert ledger is not None
    with ledger:
        assert catch_up(ledger, bench.store.intents_since(0)) == 3
        assert catch_up(ledger, bench.store.intents_since(0)) == 0
        ledger.checkpoint(START + 3)
    found = entries(chosen)
    late = [(one.kind, one.body["action"]) for one in found if one.body.get("late")]
    assert late == [("intent", "a91"), ("intent", "a92"), ("effect", "a92")]
    bench.store.close()


async def test_retention_runs_beside_the_writing(
    tmp_path: Path, with_ledger: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_module.upkeep, "_CHUNK", 5)
    chosen = replace_struct(with_ledger.ledger, keep_days=2, personal_days=1)
    made: Settings = replace_struct(with_ledger, ledger=chosen)
    now = START
    ledger = open_ledger(made)
    assert ledger is not None
    witness = LedgerWitness(ledger, made, lambda: now)
    assert await witness.intents([action(k) for k in range(40)], {}, now)
    await witness.checkpoint()
    async with asyncio.timeout(10):
        while not witness._kept_up:  # the daemon's own first look  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    now += 5 * 86_400
    asked = asyncio.create_task(witness._keep_up(now))
    assert await witness.intents([action(k) for k in range(40, 50)], {}, now)
    await asked
    await witness.close()
    with Reader(Path(chosen.path)) as reader:
        verdict = verify(reader, [KEY])
    assert (verdict.dropped, verdict.entries) == (40, 51)


async def test_the_daemon_keeps_a_ledger_where_it_has_a_name(
    tmp_path: Path, chosen: LedgerSettings
) -> None:
    made = Settings(daemon=DaemonSettings(state_dir=str(tmp_path)), ledger=chosen)
    for _ in range(2):
        parts = await compose(made)
        assert parts.witness is not None
        await parts.close()
    found = entries(chosen)
    assert [one.kind for one in found] == ["configuration", "configuration"]
    assert found[0].body["mode"] == "observe"
    os.unlink(chosen.path)  # noqa: PTH108 -- at a moment at which nothing else runs
    with pytest.raises(StoreError, match="rolled back"):
        await compose(made)
    with pytest.raises(StoreError, match="key"):
        await compose(replace_struct(made, ledger=replace_struct(chosen, key="/nowhere")))


def test_the_key_is_a_credential_of_the_unit(
    tmp_path: Path, chosen: LedgerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Settings(ledger=replace_struct(chosen, key="ledger-key"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(LedgerError, match="LoadCredential=ledger-key"):
        open_ledger(made)
    (tmp_path / "key").rename(tmp_path / "ledger-key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    opened = open_ledger(made)
    assert opened is not None
    opened.close()
    assert open_ledger(Settings()) is None
