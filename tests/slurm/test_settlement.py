"""From an order sold on the real cluster to a statement and a ledger that a stranger verifies.

What the nodes run is read by a meter of its own (docker/meter_lib). The test reckons every figure again from
what that meter said, and what the buyer was told before the window began: baseline, price and penalty.
The slots are no settlement periods, so they are settled one by one as the contract says
(flexlond/settlement/contract_slot.py); no half-hour is measured whole, so none is claimed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import pwd
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.beckn.wire import series
from flexlond.daemon.compose import compose
from flexlond.model.settlement_period import date_of
from flexlond.settlement import runs
from flexlond.settlement.record import digest, to_json
from flexlond.settlement.store import SettlementStore
from tests.slurm.markets import (
    METER,
    NOTICE,
    POWER,
    SLOT,
    batch,
    buyer_of,
    buying,
    metered,
    need_of,
    ordered,
    selling,
    trust,
)
from tests.slurm.markets import wait_for as until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flexlond.agents.grid.agent import GridAgent

__all__ = ["metered", "trust"]

pytestmark = pytest.mark.slurm

WINDOW = 4
SOLD = 2.5  # kW; a job of four GPUs draws 3.4
SHORT_GPUS = (
    2  # of a job without consent that comes when half of the window is over: then it falls short
)
PRICE, PENALTY = 40.0, 7.0  # GBP per kWh: so dear that pence are left of 20 s
AHEAD = 6  # slots from the submission to the window
TRIES = 3  # on a busy machine the envelope may come too late for the first
MAX_AGE = 20.0  # of a reading: five clusters may run beside this one
FLEXLON = "/opt/flexlon/bin"
STATE = Path("/var/lib/flexlon")
LEDGER_KEY = Path("/etc/flexlon/ledger.key")
KW_SECONDS_IN_WH = Decimal(3600) / 1000
EXACT = Decimal("0.0001")  # Wh; what is told of kW has six places


@pytest.fixture
def ledger() -> Iterator[dict[str, str]]:
    """[ledger], with a key that the service can read."""
    LEDGER_KEY.unlink(missing_ok=True)
    argv = [f"{FLEXLON}/flexlonctl", "ledger", "new-key", str(LEDGER_KEY)]
    subprocess.run(argv, check=True, capture_output=True)
    owner = pwd.getpwnam("flexlon")
    os.chown(LEDGER_KEY, owner.pw_uid, owner.pw_gid)
    yield {"name": "hpc.test/flexlon", "key": str(LEDGER_KEY)}
    LEDGER_KEY.unlink()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody who has nothing of FlexLon's but what is put there."""
    folder = Path("/srv/stranger")
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Told:
    """What the buyer has in hand: by slot baseline (kW), price and penalty (GBP per kWh); the last status."""

    baseline: Mapping[int, float]
    usage: Mapping[int, float]
    price: Mapping[int, float]
    penalty: Mapping[int, float]
    status: Mapping[str, Any]


def columns(table: Mapping[str, Any]) -> dict[str, dict[int, float]]:
    """A time series by payload and start."""
    begin = int(datetime.fromisoformat(table["intervalPeriod"]["start"]).timestamp())
    found: dict[str, dict[int, float]] = {}
    for row in table["intervals"]:
        for payload in row["payloads"]:
            found.setdefault(payload["type"], {})[begin + SLOT * row["id"]] = payload["values"][0]
    return found


def told(buyer: GridAgent, order_id: str, start: int) -> Told:
    """From the messages of one order, as they lie in the buyer's journal."""
    journal = buyer.place.node.journal
    txn = next(
        lot.transaction_id
        for lot in buyer.work.buyer.records.lots()
        if (known := journal.contracts.get(lot.transaction_id)) and known.contract_id == order_id
    )
    messages = [
        (one.received, one.action, json.loads(one.body)["message"]["contract"])
        for one in journal.inbox.of_transaction(txn)
        if one.action in {"on_confirm", "on_status"}
    ]

    def performed(contract: Mapping[str, Any]) -> dict[str, dict[int, float]]:
        (one,) = contract["performance"]
        (meter,) = one["performanceAttributes"]["meters"]
        return columns(meter["telemetry"])

    before = [one for at, _, one in messages if at < start and one.get("performance")]
    (confirmed,) = [one for _, action, one in messages if action == "on_confirm"]
    terms = columns(confirmed["commitments"][0]["commitmentAttributes"])
    last = messages[-1][2]
    assert performed(before[0])[series.BASELINE] == performed(last)[series.BASELINE]
    return Told(
        performed(before[0])[series.BASELINE],
        performed(last)[series.USAGE],
        terms[series.OFFER_PRICE],
        terms[series.SHORTFALL_PENALTY],
        last,
    )


def mean_kw(samples: Sequence[tuple[float, float]], start: int) -> float:
    """Of a slot, each sample standing until the next."""
    parts = [
        kw * max(0.0, min(until, start + SLOT) - max(at, start))
        for (at, kw), (until, _) in itertools.pairwise(samples)
    ]
    return math.fsum(parts) / SLOT


def raw_readings() -> list[tuple[float, float]]:
    """What the daemon read of the meter: (epoch s, kW)."""
    with closing(sqlite3.connect(f"file:{STATE / 'flexlond.db'}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT at, kw FROM meter_reading ORDER BY at").fetchall()
    return [(float(at), float(kw)) for at, kw in rows]


def exported(log: Path) -> list[tuple[float, float]]:
    """What the meter says of itself: (epoch s, kW)."""
    rows = [line.split(",") for line in log.read_text().splitlines()]
    return [(datetime.fromisoformat(at).timestamp(), float(kw)) for at, kw in rows]


def as_flexlon(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    argv = ["runuser", "-u", "flexlon", "--", f"{FLEXLON}/flexlonctl", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    assert not check or done.returncode == 0, done.stderr or done.stdout
    return done


def stranger(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """flexlon-verify as it was handed over, run by nobody in a folder that has nothing else."""
    argv = ["runuser", "-u", "nobody", "--", f"{FLEXLON}/python", "-I", "flexlon-verify"]
    return subprocess.run(
        [*argv, "--key", "ledger.pub", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PATH": "/usr/sbin:/usr/bin:/bin"},
    )


async def sold(scene: Any, buyer: GridAgent) -> tuple[int, str, str]:
    """Flexible jobs are submitted and a part of what they would draw is bought; (start, need, order)."""

    async def on_offer(slots: range) -> bool:
        await buyer.would_pick("price", 0.0, 0, 0, -1.0)
        listings = buyer.work.buyer.listings.values()
        return any(all(one.kw.get(at, 0.0) >= SOLD for at in slots) for one in listings)

    for _ in range(TRIES):
        start = (int(time.time()) // SLOT + AHEAD) * SLOT
        jobs = batch(scene, start - 10, 15, 420, 3)
        while not (offered := await on_offer(range(start, start + WINDOW * SLOT, SLOT))):
            if time.time() > start - NOTICE - 15:
                break
            await asyncio.sleep(1)
        if offered:
            key = buyer.add_need(SOLD, start, start + WINDOW * SLOT, 500.0, "price").key
            while time.time() < start - 5:
                if found := ordered(buyer, key):
                    print("sold", start - time.time(), "s before the window")
                    return start, key, found.order_id
                await asyncio.sleep(0.5)
        cancel(jobs)
    pytest.fail(f"nothing was sold in {TRIES} tries: {scene.ctl('envelope')} {buyer.needs()}")


def cancel(jobs: Sequence[int]) -> None:
    subprocess.run(["scancel", *map(str, jobs)], check=True)


def settled(start: int, wait: Callable[..., Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """`flexlonctl settle`, again until nothing is incomplete; the records, and the dates."""
    last = start + (WINDOW - 1) * SLOT
    dates = sorted({date_of(start).isoformat(), date_of(last).isoformat()})
    words = ("settle", dates[0], "--to", dates[-1], "--json")

    def complete() -> Any:
        done = as_flexlon(*words, check=False)
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode == 0 and json.loads(done.stdout)

    records: list[dict[str, Any]] = wait(complete, 60, what="every slot is settled")
    assert json.loads(as_flexlon(*words).stdout) == records  # again: the same, byte for byte
    return records, dates


def reckoned(
    records: Sequence[Mapping[str, Any]],
    known: Told,
    slots: range,
    log: Sequence[tuple[float, float]],
) -> tuple[Decimal, int]:
    """Each record of the order against what the meter said; GBP and Wh of it all, reckoned here."""
    # What the daemon read is what the meter said.
    readings = raw_readings()
    for at, kw in readings:
        said = [value for moment, value in log if at - 2 < moment < at + 3]
        assert any(abs(kw - value) < 1e-4 for value in said), (at, kw, said)
    assert [one["start"] for one in records] == list(slots)
    offered = Decimal(repr(SOLD)) * SLOT / KW_SECONDS_IN_WH
    pay = Decimal(0)
    claimed = short = 0
    for one, at in zip(records, slots, strict=True):
        assert (one["state"], one["quality"], one["length"]) == ("settled", "measured", SLOT)
        drawn = mean_kw(readings, at)
        assert known.usage[at] == pytest.approx(drawn, abs=1e-5)
        saved = Decimal(repr(known.baseline[at])) - Decimal(repr(drawn))
        delivered = max(Decimal(0), saved) * SLOT / KW_SECONDS_IN_WH
        paid = min(delivered, offered)
        price, penalty = Decimal(repr(known.price[at])), Decimal(repr(known.penalty[at]))
        exact = (paid * price - (offered - paid) * penalty) / 1000
        assert float(one["net"]) == pytest.approx(float(exact), abs=1e-4)
        # I6: never above what the readings show, and those never far from what the meter says of itself.
        assert one["claimed_wh"] <= one["delivered_wh"] <= delivered + EXACT
        assert one["claimed_wh"] in {math.floor(paid - EXACT), math.floor(paid + EXACT)}
        near = [kw for moment, kw in log if at - 3 < moment < at + SLOT + 3]
        doubt = (
            2 * (max(near) - min(near)) / SLOT + 0.01
        )  # its seconds are whole, the meter's are not
        assert drawn == pytest.approx(mean_kw(log, at), abs=doubt)
        print(
            at,
            "drawn",
            drawn,
            "delivered",
            delivered,
            "Wh, claimed",
            one["claimed_wh"],
            exact,
            "GBP",
        )
        pay += exact
        claimed += one["claimed_wh"]
        short += one["shortfall_wh"]
    assert claimed > 0
    assert short > 0  # the job without consent drew some of what was sold
    return pay, claimed


async def test_an_order_is_sold_delivered_metered_settled_exported_and_proved(
    scene: Any,
    trust: Path,
    metered: Path,
    ledger: dict[str, str],
    elsewhere: Path,
    wait_for: Callable[..., Any],
) -> None:
    scene.act(
        [100.0] * 180,
        slot=SLOT,
        power=POWER,
        meter={**METER, "max_age": MAX_AGE},
        envelope={
            "windows": 12,
            "window_slots": 2,
            "level": 0.8,
            "depths": [0.3, 0.4],
            "seconds": 30.0,
        },
        market=selling(least_price=PRICE, shortfall_penalty=PENALTY),
        ledger=ledger,
    )
    parts = await compose(buying(trust))
    try:
        buyer = await buyer_of(parts)
        start, key, order_id = await sold(scene, buyer)
        end = start + WINDOW * SLOT
        await asyncio.sleep(max(0.0, start + SLOT - time.time()))
        scene.sbatch("bob", "-t5", f"--gpus={SHORT_GPUS}", wrap="sleep 120")
        await until(
            lambda: need_of(buyer, key).state == "CLOSED",
            end + 180 - time.time(),
            lambda: f"{need_of(buyer, key)}",
        )
        known = told(buyer, order_id, start)
        (done,) = [one for one in need_of(buyer, key).orders if one.state == "DONE"]
    finally:
        await parts.market.close()
        await parts.close()

    records, dates = settled(start, wait_for)
    ours = [one for one in records if one["order"] == order_id]
    pay, claimed = reckoned(ours, known, range(start, end, SLOT), exported(metered))
    counted = sum(min(SOLD, max(0.0, kw)) for kw in done.delivered_kw)  # as the buyer sees it
    assert counted * SLOT / 3.6 == pytest.approx(claimed, abs=WINDOW)

    # The statement: the same figures, each rounded once.
    lines, revenue = [], Decimal(0)
    for month in sorted({date[:7] for date in dates}):
        made = json.loads(as_flexlon("statement", month, "--json").stdout)
        lines += [one for one in made["orders"] if one["order"] == order_id]
        revenue += Decimal(made["revenue"].get("GBP", "0"))
        assert made["readings"]["measured"] == 0  # no half-hour was seen whole
    assert sum(one["claimed_wh"] for one in lines) == claimed
    assert (sum(one["periods"] for one in lines), sum(one["incomplete"] for one in lines)) == (
        WINDOW,
        0,
    )
    if len(lines) == 1:
        assert lines[0]["net"] == str(pay.quantize(Decimal("0.01"), ROUND_HALF_UP))
        assert revenue == Decimal(lines[0]["net"])

    # Exported: the records, and the page.
    as_flexlon("settle", dates[0], "--to", dates[-1], "--csv", str(STATE / "records.csv"))
    assert order_id in (STATE / "records.csv").read_text()
    page = STATE / "statement.html"
    as_flexlon("statement", dates[0][:7], "--site", "The cluster", "--output", str(page))
    assert order_id in page.read_text()

    proved(known, (order_id, claimed), dates, elsewhere, wait_for)


def proved(
    known: Told,
    order: tuple[str, int],
    dates: Sequence[str],
    folder: Path,
    wait_for: Callable[..., Any],
) -> None:
    """The ledger holds for its operator, and for somebody who has export, public key and verifier only."""
    order_id, claimed = order
    with closing(SettlementStore(STATE / "settlement.db")) as store:
        marks = {}
        for date in dates:
            day = datetime.fromisoformat(date).date()
            run = runs.newest_run(store, day)
            assert run is not None
            texts = [to_json(one) for one in runs.records(store, day)]
            points = [to_json(one) for one in runs.days(store, day)]
            assert run.digest == digest([*texts, "", *points, run.terms, str(run.final)])
            marks[f"{date}#{run.version}"] = run.digest

    def entries() -> dict[str, dict[str, Any]]:
        words = ("ledger", "list", "--kind", "settlement", "--last", "0", "--json")
        found = json.loads(as_flexlon(*words).stdout)
        return {one["body"]["id"]: one for one in found}

    def signed() -> int:
        found = json.loads(as_flexlon("ledger", "verify", "--json").stdout)
        assert found["holds"]
        return int(found["signed"])

    wait_for(lambda: set(marks) <= set(entries()), 60, what="the settlement is in the ledger")
    noted = entries()
    assert {name: noted[name]["body"]["digest"] for name in marks} == marks
    of_order = [one for one in noted.values() if one["body"].get("order") == order_id]
    assert sum(one["body"]["claimed_wh"] for one in of_order) >= claimed  # of every version
    number = max(one["entry"] for one in noted.values())
    wait_for(lambda: signed() > number, 60, what="it is under a signed checkpoint")

    handed_over(known, number, order_id, folder)
    held = stranger(folder, "ledger.jsonl", "--checkpoint", "sent.json")
    assert held.returncode == 0, held.stderr
    held = stranger(folder, "proof.json")
    assert held.returncode == 0, held.stderr
    held = stranger(folder, "order.json", "--json")
    assert held.returncode == 0, held.stderr
    assert json.loads(held.stdout)["claimed_wh"] == claimed
    text = (folder / "ledger.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    kinds = {one.get("kind") for one in lines}
    whole = {"configuration", "signal", "decision", "intent", "effect", "message", "settlement"}
    assert whole <= kinds, kinds

    # And it is the export that was verified: with a figure changed it does not hold.
    mark = marks[max(marks)]
    (folder / "ledger.jsonl").write_text(text.replace(mark, mark[::-1]))
    assert stranger(folder, "ledger.jsonl").returncode == 1


def handed_over(known: Told, number: int, order_id: str, folder: Path) -> None:
    """Export, a proof, the order's bundle, the verifier, and what the buyer was sent: to the stranger."""
    (folder / "ledger.pub").write_text(as_flexlon("ledger", "key").stdout)
    mine = STATE / "handed-over"
    mine.mkdir()
    shutil.chown(mine, "flexlon")
    key = (folder / "ledger.pub").read_text().strip()
    as_flexlon(
        *("ledger", "export", "--out", f"{mine}/ledger.jsonl", "--key", key),
        *("--verifier", f"{mine}/flexlon-verify"),
    )
    as_flexlon("ledger", "prove", str(number), "--out", f"{mine}/proof.json")
    as_flexlon("ledger", "bundle", order_id, "--out", f"{mine}/order.json")
    for file in mine.iterdir():
        shutil.copy(file, folder)
    (checkpoint,) = [
        one["settlementAttributes"]
        for one in known.status["settlements"]
        if one["settlementAttributes"]["@type"] == "LedgerCheckpoint"
    ]
    (folder / "sent.json").write_text(json.dumps(checkpoint))  # as it came in on_status
    for file in folder.iterdir():
        file.chmod(0o644)
