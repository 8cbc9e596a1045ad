"""A ledger to test with: fixed key, small entries, two periods signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.settlement.ledger.entry import Record
from flexlond.settlement.ledger.export import export
from flexlond.settlement.ledger.note import NoteSigner
from flexlond.settlement.ledger.reader import Reader
from flexlond.settlement.ledger.second_place import SecondPlace
from flexlond.settlement.ledger.writer import MAX_BATCH, Ledger

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_790_000_000
ORIGIN = "cluster.test/flexlon"
SIGNER = NoteSigner.of_seed(ORIGIN, bytes(range(32)))
KEYS = [SIGNER.key]


def record(number: int, kind: str = "intent") -> Record:
    personal = {"user": f"user{number % 7}", "job": f"train-{number}"} if number % 4 == 0 else {}
    return Record(kind, T0 + number, {"job_id": number, "why": "cheap é \n", "kw": None}, personal)


def fill(ledger: Ledger, count: int) -> None:
    while count:
        some = min(count, MAX_BATCH)
        ledger.append([record(k) for k in range(ledger.size, ledger.size + some)])
        count -= some


def opened(folder: Path) -> Ledger:
    second = folder / "second"
    second.mkdir(exist_ok=True)
    return Ledger(folder / "ledger.db", SIGNER, SecondPlace(second))


def made(folder: Path, *periods: int, tail: int = 0) -> Path:
    """A ledger with a checkpoint after each period, and a tail that nobody has signed."""
    with opened(folder) as ledger:
        for period in periods:
            fill(ledger, period)
            ledger.checkpoint(T0 + ledger.size)
        fill(ledger, tail)
    return folder / "ledger.db"


def exported(path: Path, *, personal: bool = False) -> list[bytes]:
    with Reader(path) as reader:
        return list(export(reader, KEYS, personal=personal))
