"""An order's bundle: its records with the ledger's proof of them, verified by the stranger's program."""

from __future__ import annotations

import copy
import datetime as dt
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.cli.flexlonctl import app
from flexlond.daemon.books_notes import _issued, _settled
from flexlond.model.settlement_period import SettlementPeriod
from flexlond.settlement import runs
from flexlond.settlement.bundle import bundle, statement_bundle
from flexlond.settlement.issued import Issued, issue, issued_since
from flexlond.settlement.ledger import standalone
from flexlond.settlement.ledger.entry import Record
from flexlond.settlement.ledger.note import NoteSigner
from flexlond.settlement.ledger.problem import LedgerError
from flexlond.settlement.ledger.reader import Reader
from flexlond.settlement.ledger.writer import Ledger
from flexlond.settlement.nominated import Nomination
from flexlond.settlement.orders import Interval, Order
from flexlond.settlement.readings import Quality, Reading
from flexlond.settlement.statement import statement
from flexlond.settlement.store import SettlementStore
from flexlond.settlement.terms import Terms

if TYPE_CHECKING:
    from pathlib import Path

SIGNER = NoteSigner.of_seed("hpc.test/flexlon", bytes(range(32)))
DATES = (dt.date(2026, 9, 15), dt.date(2026, 9, 16))
NOW = 1_790_000_000
TERMS = Terms(baseline="nominated")


def put_down(ledger: Ledger, store: SettlementStore) -> None:
    """What books_notes has of the runs that are not on record."""
    known = {row[0] for row in ledger.db.execute("SELECT CAST(body AS TEXT) FROM entry")}
    for run in runs.runs_since(store, 0):
        for note in _settled(store, run):
            if not any(f'"id":"{note.name}"' in text for text in known):
                ledger.append([Record(note.kind, NOW, {**note.body, "id": note.name})])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two orders on two dates, one of them corrected."""
    with (
        closing(SettlementStore(tmp_path / "settlement.db")) as store,
        Ledger(tmp_path / "ledger.db", SIGNER) as ledger,
    ):
        for number, date in enumerate(DATES):
            starts = [SettlementPeriod(date, n).start for n in (35, 36)]
            metered = [Reading("m", at, 400 + number, Quality.MEASURED, "meter") for at in starts]
            store.add_readings(metered, NOW)
            store.add_nominations([Nomination("m", at, 1000, at - 7200) for at in starts], NOW)
        for name, sold in (("order-a", 300), ("order-b", 100)):
            intervals = tuple(
                Interval(SettlementPeriod(date, n).start, sold, Decimal(140))
                for date in DATES
                for n in (35, 36)
            )
            store.add_orders([Order(name, "market", ("m",), 1, intervals)], NOW)
        list(runs.settle_range(store, *DATES, TERMS, NOW))
        put_down(ledger, store)
        ledger.checkpoint(NOW)
        at = SettlementPeriod(DATES[0], 35).start
        store.add_readings([Reading("m", at, 900, Quality.MEASURED, "corrected")], NOW)
        list(runs.settle_range(store, *DATES, TERMS, NOW + 1))
        put_down(ledger, store)
        ledger.checkpoint(NOW + 1)
    return tmp_path


def made(folder: Path, order: str = "order-a", file: str = "settlement.db") -> dict[str, Any]:
    with (
        closing(SettlementStore(folder / file)) as store,
        Reader(folder / "ledger.db") as reader,
    ):
        return bundle(reader, [SIGNER.key], store, order)


KEY = standalone.Key(SIGNER.key.text)


def test_a_bundle_is_verified_by_the_strangers_program_alone(folder: Path) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415

    words = ["ledger", "bundle", "order-a", "--out", str(folder / "a.json")]
    words += ["--ledger", str(folder / "ledger.db"), "--store", str(folder / "settlement.db")]
    done = CliRunner().invoke(app, [*words, "--key", SIGNER.key.text])
    assert done.exit_code == 0, done.output
    argv = [sys.executable, "-I", standalone.__file__, "--key", SIGNER.key.text, "--json"]
    ran = subprocess.run([*argv, str(folder / "a.json")], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert (said["order"], said["records"]) == ("order-a", 4)
    assert said["dates"] == [date.isoformat() for date in DATES]
    with closing(SettlementStore(folder / "settlement.db")) as store:
        records = [one for date in DATES for one in runs.records(store, date)]
    claimed = sum(one.claimed_wh for one in records if one.order == "order-a")
    assert said["claimed_wh"] == claimed  # of the corrected version
    assert 0 < claimed < 4 * 150
    assert "order-b" not in (folder / "a.json").read_text()


def test_whatever_is_changed_in_a_bundle_is_found(folder: Path) -> None:
    whole = made(folder)
    standalone.verify_bundle(whole, KEY)

    def changed(work: Any) -> dict[str, Any]:
        other = copy.deepcopy(whole)
        work(other)
        return other

    def more(one: dict[str, Any]) -> None:
        record = json.loads(one["parts"][0]["records"][0])
        record["claimed_wh"] += 1
        one["parts"][0]["records"][0] = json.dumps(record, separators=(",", ":"), sort_keys=True)

    def swapped(one: dict[str, Any]) -> None:
        first, second = one["parts"]
        first["records"], second["records"] = second["records"], first["records"]

    def entry(one: dict[str, Any]) -> None:
        proof = one["parts"][1]["proof"]
        proof["entry"] = proof["entry"].replace('"claimed_wh":', '"claimed_wh":1')

    cases = {
        "a record": more,
        "the records of another date": swapped,
        "a record less": lambda one: one["parts"][0]["records"].pop(),
        "the entry": entry,
        "the order": lambda one: one.update(order="order-b"),
        "a date twice": lambda one: one["parts"].append(one["parts"][0]),
        "no part": lambda one: one["parts"].clear(),
        "another order's part": lambda one: one["parts"].append(
            made(folder, "order-b")["parts"][0]
        ),
    }
    for work in cases.values():
        other = changed(work)
        assert other != whole
        with pytest.raises(standalone.Broken):
            standalone.verify_bundle(other, KEY)


def test_no_bundle_of_what_is_not_signed_or_of_another_file(folder: Path) -> None:
    with pytest.raises(LedgerError, match="no settlement of order order-c"):
        made(folder, "order-c")
    SettlementStore(folder / "other.db").close()
    with pytest.raises(LedgerError, match="other records"):
        made(folder, file="other.db")


# ---- a month's statement


def issue_one(folder: Path, now: int) -> Issued:
    """The statement of the month as flexlonctl makes it, put into the ledger as the daemon does."""
    with closing(SettlementStore(folder / "settlement.db")) as store:
        one = issue(store, statement(runs.month_inputs(store, DATES[0]), TERMS), now)
    with Ledger(folder / "ledger.db", SIGNER) as ledger:
        note = _issued(one)
        ledger.append([Record(note.kind, now, {**note.body, "id": note.name})])
        ledger.checkpoint(now)
    return one


def of_month(folder: Path, month: str = "2026-09", file: str = "settlement.db") -> dict[str, Any]:
    with (
        closing(SettlementStore(folder / file)) as store,
        Reader(folder / "ledger.db") as reader,
    ):
        return statement_bundle(reader, [SIGNER.key], store, month)


def test_a_statement_is_a_version_only_where_it_changed(folder: Path) -> None:
    with closing(SettlementStore(folder / "settlement.db")) as store:
        made_of = statement(runs.month_inputs(store, DATES[0]), TERMS)
        first, again = issue(store, made_of, NOW), issue(store, made_of, NOW + 9)
        assert (first.version, first.new, again.version, again.new) == (1, True, 1, False)
        assert (again.text, again.made) == (first.text, NOW)
        at = SettlementPeriod(DATES[1], 35).start
        store.add_readings([Reading("m", at, 950, Quality.MEASURED, "corrected")], NOW)
        list(runs.settle_range(store, *DATES, TERMS, NOW + 2))
        second = issue(store, statement(runs.month_inputs(store, DATES[0]), TERMS), NOW + 10)
        assert (second.version, second.new) == (2, True)
        assert [one.digest for one in issued_since(store, 0)] == [first.digest, second.digest]
        with pytest.raises(sqlite3.IntegrityError, match="rows stay"):
            store.db.connection.execute("UPDATE statement SET body='{}'")


def test_the_statement_that_was_issued_is_verified_by_the_strangers_program(folder: Path) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415

    one = issue_one(folder, NOW + 5)
    words = ["ledger", "bundle", "2026-09", "--statement", "--out", str(folder / "s.json")]
    words += ["--ledger", str(folder / "ledger.db"), "--store", str(folder / "settlement.db")]
    done = CliRunner().invoke(app, [*words, "--key", SIGNER.key.text])
    assert done.exit_code == 0, done.output
    argv = [sys.executable, "-I", standalone.__file__, "--key", SIGNER.key.text, "--json"]
    ran = subprocess.run([*argv, str(folder / "s.json")], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert (said["bundle"], said["month"], said["version"]) == ("statement", "2026-09", 1)
    assert said["revenue"] == one.statement.revenue
    assert said["claimed_wh"] == sum(line.claimed_wh for line in one.statement.orders)
    entry = json.loads(json.loads((folder / "s.json").read_text())["proof"]["entry"])
    assert entry["body"]["runs"] == {DATES[0].isoformat(): 2, DATES[1].isoformat(): 1}


def test_a_statement_that_was_changed_does_not_match(folder: Path) -> None:
    issue_one(folder, NOW + 5)
    whole = of_month(folder)
    standalone.verify_statement(whole, KEY)
    text = whole["statement"]
    for place in range(0, len(text), 7):  # any byte of it
        other = {**whole, "statement": f"{text[:place]}~{text[place + 1 :]}"}
        with pytest.raises(standalone.Broken, match="not the one that was issued"):
            standalone.verify_statement(other, KEY)
    entry = json.loads(whole["proof"]["entry"])
    revenue = entry["body"]["revenue"]["GBP"]
    forged = copy.deepcopy(whole)
    forged["statement"] = text.replace(f'"GBP":"{revenue}"', '"GBP":"999.99"')
    assert forged != whole
    with pytest.raises(standalone.Broken):
        standalone.verify_statement(forged, KEY)
    forged["proof"]["entry"] = whole["proof"]["entry"].replace(
        entry["body"]["digest"], standalone.digest_of([forged["statement"]])
    )
    with pytest.raises(standalone.Broken):
        standalone.verify_statement(forged, KEY)  # the ledger has no such entry
    with pytest.raises(standalone.Broken, match="another month"):
        standalone.verify_statement({**whole, "month": "2026-08"}, KEY)
    wrong = {**whole, "proof": made(folder)["parts"][0]["proof"]}
    with pytest.raises(standalone.Broken, match="no statement"):
        standalone.verify_statement(wrong, KEY)


def test_no_bundle_of_a_statement_that_is_not_signed_or_of_another_file(folder: Path) -> None:
    with pytest.raises(LedgerError, match="no statement of 2026-09"):
        of_month(folder)
    issue_one(folder, NOW + 5)
    SettlementStore(folder / "other.db").close()
    with pytest.raises(LedgerError, match="another statement"):
        of_month(folder, file="other.db")
