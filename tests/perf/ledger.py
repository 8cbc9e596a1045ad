"""Appending to, verifying, proving from and exporting a large ledger; run: python tests/perf/ledger.py

Prints, for --entries entries (1,000,000) of the daemon's size in commits of at most 32, each durable
(synchronous=FULL on the disk of --folder), signed every --period entries: appends per second, what
verifying all of it, an export and the standalone verifier take, the time of one proof, the file's size and
the peak memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from flexlond.settlement.ledger import standalone  # noqa: E402 - found through the path above
from flexlond.settlement.ledger.entry import Record  # noqa: E402
from flexlond.settlement.ledger.export import export, inclusion_proof  # noqa: E402
from flexlond.settlement.ledger.note import NoteSigner  # noqa: E402
from flexlond.settlement.ledger.reader import Reader  # noqa: E402
from flexlond.settlement.ledger.second_place import SecondPlace  # noqa: E402
from flexlond.settlement.ledger.verify import verify  # noqa: E402
from flexlond.settlement.ledger.writer import MAX_BATCH, Ledger  # noqa: E402

T0 = 1_790_000_000


def record(number: int) -> Record:
    """Half of them with two personal fields, as intents have."""
    body = {
        "action": f"{number:032x}",
        "job_id": number,
        "verb": "hold-until",
        "not_before": T0 + number,
        "reason": "the cheapest window of price and carbon that its latest start and the cluster allow",
    }
    personal = {"user": f"user{number % 97}", "job_name": f"train-{number}"} if number % 2 else {}
    return Record("intent", T0 + number, body, personal)


class Watch:
    """Seconds of the clock, and of this process's processor, since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        """Seconds of the clock."""
        return time.perf_counter() - self._wall

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({time.process_time() - self._cpu:.1f} processor s)"


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(folder: Path, signer: NoteSigner, entries: int, period: int) -> None:
    """Append, sign, and say how fast."""
    second = folder / "second"
    second.mkdir()
    watch = Watch()
    with Ledger(folder / "ledger.db", signer, SecondPlace(second)) as ledger:
        signed = 0
        while ledger.size < entries:
            first = ledger.size
            ledger.append([record(k) for k in range(first, min(entries, first + MAX_BATCH))])
            if ledger.size - signed >= period or ledger.size == entries:
                signed = ledger.size
                ledger.checkpoint(T0 + signed)
    took = watch.wall
    size = (folder / "ledger.db").stat().st_size / 2**20
    print(
        f"appended {entries} in {watch}: {entries / took:.0f} /s; {size:.0f} MiB; {peak_mib():.0f} MiB"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--period", type=int, default=2000, help="entries between two checkpoints")
    parser.add_argument("--folder", type=Path, help="where the ledger lies")
    arguments = parser.parse_args()
    signer = NoteSigner.of_seed("perf.test/ledger", bytes(range(32)))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        fill(folder, signer, arguments.entries, arguments.period)
        with Reader(folder / "ledger.db") as reader:
            watch = Watch()
            outside = [note for _, note in SecondPlace(folder / "second").notes()]
            verdict = verify(reader, [signer.key], outside)
            print(
                f"verified {verdict.entries}, {verdict.checkpoints} + {verdict.outside} checkpoints in"
                f" {watch}; {peak_mib():.0f} MiB"
            )
            watch = Watch()
            for k in range(100):
                inclusion_proof(reader, [signer.key], k * (verdict.signed // 100))
            print(f"one inclusion proof: {watch.wall * 10:.1f} ms")
            watch = Watch()
            with (folder / "ledger.jsonl").open("wb") as file:
                file.writelines(export(reader, [signer.key]))
            print(f"exported in {watch}")
        watch = Watch()
        argv = [
            sys.executable,
            standalone.__file__,
            str(folder / "ledger.jsonl"),
            "--key",
            signer.key.text,
        ]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        print(f"standalone verifier: {watch.wall:.1f} s ({used:.1f} processor s)")


if __name__ == "__main__":
    main()
