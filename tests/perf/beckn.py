"""Signed requests per second, accepted and refused, beside Ed25519's own rate; run: python tests/perf/beckn.py

Prints, for a status request and a select with a half-hourly day of 48 slots: how many signatures PyNaCl
verifies per second in this run, how many requests one node accepts (durable: synchronous=FULL on the disk of
--folder) and in memory, and how many it refuses by reason, from the cheapest check to the dearest.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from flexlond.beckn.node.settings import NodeSettings  # noqa: E402 - found through the path above
from flexlond.beckn.trust import signature  # noqa: E402
from tests.unit.beckn.kit import BAP, ELSE, KEYS, T0, Pair, contract, moment, raw, whole  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SECONDS = 2.0


def rate(calls: Iterable[Callable[[], Any]]) -> str:
    """Calls per second of the clock, and of the processor; as many as fit into SECONDS."""
    begun, worked = time.perf_counter(), time.process_time()
    count = 0
    for call in calls:
        call()
        count += 1
        if time.perf_counter() - begun > SECONDS:
            break
    wall, cpu = time.perf_counter() - begun, time.process_time() - worked
    return f"{count / wall:8.0f} /s {count / cpu:8.0f} /processor s"


def made(action: str, slots: int) -> bytes:
    """One request with ids of its own."""
    plain = whole(action, T0, transactionId=str(uuid.uuid4()))
    if slots:
        plain["message"]["contract"] = contract([40.0] * slots)
    return raw(plain)


def ready(count: int, action: str, slots: int) -> list[tuple[str, bytes]]:
    """`count` signed requests: header, body."""
    bodies = [made(action, slots) for _ in range(count)]
    return [(BAP.signer.header(body, T0), body) for body in bodies]


def verify_rate(requests: list[tuple[str, bytes]]) -> str:
    """Pure verifications per second of ready signing strings."""
    key = KEYS["bap.test"].public
    work = []
    for header, body in requests:
        claim = signature.read(header, signature.Switches())
        text = signature.signing_string(claim.created, claim.expires, signature.digest(body))
        work.append((text, claim.signature))
    return rate(lambda t=text, s=value: key.verifies(t, s) for text, value in work * 50)


def accepted(folder: Path | None, requests: list[tuple[str, bytes]]) -> str:
    """Accepted requests per second of one node."""
    pair = Pair(folder, NodeSettings(rate_per_second=1e9, burst=10**9))
    statuses: set[int] = set()

    def one(header: str, body: bytes) -> None:
        statuses.add(pair.give(pair.bpp, "select", header, body, T0).status)

    found = rate(lambda h=header, b=body: one(h, b) for header, body in requests)
    pair.close()
    if statuses != {200}:
        raise SystemExit(f"not all were accepted: {statuses}")
    return found


def refused(name: str, path: str, header: str, body: bytes, now: float = T0) -> None:
    """Print the rate at which one bad request is refused."""
    pair = Pair(settings=NodeSettings(rate_per_second=1e9, burst=10**9))
    codes: set[str] = set()

    def one() -> None:
        codes.add(pair.give(pair.bpp, path, header, body, now).code)

    found = rate(one for _ in range(10**9))
    pair.close()
    if "" in codes:
        raise SystemExit(f"{name}: it was accepted")
    print(f"  refused, {name:28} {found}  {', '.join(sorted(codes))}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the durable journal lies")
    arguments = parser.parse_args()
    for slots in (2, 48):
        requests = ready(4000, "select", slots)
        header, body = requests[0]
        print(f"select, {slots} slots, {len(body)} bytes")
        print(f"  Ed25519 verifications alone           {verify_rate(requests[:400])}")
        print(f"  accepted, journal in memory           {accepted(None, requests)}")
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            print(f"  accepted, journal on disk             {accepted(Path(name), requests)}")
        refused("no signature", "select", "", body)
        refused("signature expired", "select", header, body, T0 + 400)
        refused("unknown key", "select", header.replace("bap.test", "x.test"), body)
        refused("forged", "select", ELSE.signer.header(body, T0).replace("else", "bap"), body)
        twice = b'{"context":{},' + body[1:]
        refused("duplicate key", "select", BAP.signer.header(twice, T0), twice)
        dead = body.replace(moment(T0).encode(), moment(T0 - 60).encode())
        refused("past its time to live", "select", BAP.signer.header(dead, T0), dead)


if __name__ == "__main__":
    main()
