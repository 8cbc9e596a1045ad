"""flexlonctl ledger erase, over the real socket to a real ledger: gone in clear, and everything holds."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from flexlond.cli.flexlonctl import app
from flexlond.daemon.shell import Shell
from flexlond.daemon.witness import LedgerWitness, open_ledger
from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.model.settings import AdminSettings, LedgerSettings, Settings
from flexlond.settlement.ledger import standalone
from flexlond.settlement.ledger.export import consistency_proof, export, inclusion_proof
from flexlond.settlement.ledger.note import NoteSigner
from flexlond.settlement.ledger.reader import Reader
from flexlond.settlement.ledger.second_place import SecondPlace
from flexlond.settlement.ledger.verify import verify
from tests.unit.agents.conftest import START, SimSlurm
from tests.unit.shellkit import fake_agent, served

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result as Ran

KEY = NoteSigner.of_seed("hpc.test/flexlon", bytes(range(32))).key
PEOPLE = ("zebediah", "alice")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "second").mkdir()
    (tmp_path / "key").write_text(base64.b64encode(bytes(range(32))).decode())
    ledger = LedgerSettings(
        name="hpc.test/flexlon",
        path=str(tmp_path / "ledger.db"),
        second_place=str(tmp_path / "second"),
        key=str(tmp_path / "key"),
    )
    me = AdminSettings(operators=(str(os.getuid()),), operator_group="")
    return Settings(ledger=ledger, admin=me)


class OnItsLoop:
    """The witness for a server that runs on another loop."""

    def __init__(self, witness: LedgerWitness) -> None:
        self._witness, self._loop = witness, asyncio.get_running_loop()

    async def erase(self, user: str) -> int:
        asked = asyncio.run_coroutine_threadsafe(self._witness.erase(user), self._loop)
        return await asyncio.wrap_future(asked)


async def fill(witness: LedgerWitness) -> None:
    """Intents and effects of two people, each with a word that is theirs alone."""
    slurm = SimSlurm()
    for number in range(1, 41):
        user = PEOPLE[number % 2]
        job = replace(
            slurm.jobs[slurm.submit("flex: max-delay=1:00:00")],
            user=user,
            account=f"account-of-{user}",
            name=f"job-of-{user}",
        )
        action = Action(
            f"a{number}", number, START, 0, START, "PENDING", Verb.HOLD_UNTIL, START + 60, "cheap"
        )
        assert await witness.intents([action], {number: job}, START)
        said = f"helper-about-{user}"
        done = Result(action.action_id, Outcome.APPLIED, "", said, START + 60, "PENDING")
        witness.effects([done], START)
    await witness.checkpoint()


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*.db*"))


async def run(path: Path, munge_socket: str, *words: str, said: str = "") -> Ran:
    environment = {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
    argv = ["ledger", "erase", *words]
    return await asyncio.to_thread(CliRunner().invoke, app, argv, env=environment, input=said)


async def test_a_person_is_erased_from_the_ledger_and_every_proof_stays_valid(
    tmp_path: Path, munge_socket: str, settings: Settings
) -> None:
    ledger = open_ledger(settings)
    assert ledger is not None
    witness = LedgerWitness(ledger, settings, lambda: START)
    await fill(witness)
    with Reader(tmp_path / "ledger.db") as reader:
        old = [inclusion_proof(reader, [KEY], number) for number in range(reader.size)]
        before = list(reader.notes())[-1][1]
    for user in PEOPLE:
        assert raw(tmp_path).count(user.encode()) > 20
    bridge: Any = OnItsLoop(witness)
    shell = Shell(settings, tmp_path / "flexlon.toml")
    with served(fake_agent(), tmp_path, munge_socket, shell, witness=bridge) as path:
        kept = await run(path, munge_socket, "zebediah", said="n\n")
        assert kept.exit_code == 1
        assert b"zebediah" in raw(tmp_path)
        done = await run(path, munge_socket, "zebediah", said="y\n")
        assert done.exit_code == 0, done.output
        assert "40 entries" in done.output
        again = await run(path, munge_socket, "zebediah", "--yes", "--json")
        assert json.loads(again.output)["entries"] == 0
    await witness.close()

    assert b"zebediah" not in raw(tmp_path)  # nor account, job, or what the helper said
    assert raw(tmp_path).count(b"alice") > 20
    with Reader(tmp_path / "ledger.db") as reader:
        outside = [note for _, note in SecondPlace(tmp_path / "second").notes()]
        verdict = verify(reader, [KEY], outside)
        assert verdict.entries == 81  # and one that says how many were erased
        (tmp_path / "out.jsonl").write_bytes(b"".join(export(reader, [KEY], personal=True)))
        key = standalone.Key(KEY.text)
        given = [standalone.Checkpoint(note, key) for note in outside]
        standalone.verify_export(tmp_path / "out.jsonl", key, given)
        for proof in old:
            standalone.verify_proof(proof, key, [], None)
        standalone.verify_proof(consistency_proof(reader, [KEY], before), key, [], None)


async def test_it_is_for_operators_and_needs_a_ledger(
    tmp_path: Path, munge_socket: str, settings: Settings
) -> None:
    with served(fake_agent(), tmp_path, munge_socket, Shell(settings, tmp_path / "c")) as path:
        none = await run(path, munge_socket, "alice", "--yes")
    assert none.exit_code == 1
    assert "keeps no ledger" in none.output
    strict = Settings(admin=AdminSettings(operators=(), operator_group=""))
    with served(fake_agent(), tmp_path, munge_socket, Shell(strict, tmp_path / "c")) as path:
        denied = await run(path, munge_socket, "alice", "--yes")
    assert denied.exit_code == (3 if os.getuid() else 1)
