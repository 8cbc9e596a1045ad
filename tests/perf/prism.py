"""Prism, a server that is not ours, as the peer; run by hand: python tests/perf/prism.py --prism .../bin/prism

Needs npm's @stoplight/prism-cli and the published OpenAPI file in ../shared/beckn. Two orders run between two
daemons of ours, and every request goes to a Prism mock of the file as well, as the same bytes: Prism judges
path, headers and body, and answers. Then the seller's callbacks are sent to Prism alone, by our own sender, as
to a buyer. Prints, by action, what Prism answered and what it found.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.contract.live import GRID, SITE, Live, live  # noqa: E402 - found through the path above
from tests.contract.orders import two_orders  # noqa: E402
from tests.contract.test_beckn_openapi import document, is_push  # noqa: E402
from tests.unit.beckn.kit import whole  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60.0


@contextlib.contextmanager
def prism(program: str, folder: Path) -> Iterator[str]:
    """A mock of the published file; its address."""
    file = folder / "beckn.yaml"
    file.write_text(yaml.safe_dump(document(), sort_keys=False))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [program, "mock", str(file), "--port", str(port), "--host", "127.0.0.1"]
    with (folder / "prism.log").open("w") as log, subprocess.Popen(words, stdout=log) as process:
        try:
            until = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if time.monotonic() > until or process.poll() is not None:
                    raise SystemExit(f"Prism did not start: {(folder / 'prism.log').read_text()}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def found_in(answer: httpx.Response) -> str:
    """What Prism found in the request, empty for nothing; it finds things in its own made-up answers too."""
    try:
        listed = json.loads(answer.headers.get("sl-violations", "[]"))
    except ValueError:
        listed = [{"location": ["request"], "message": answer.headers["sl-violations"]}]
    ours = [one for one in listed if one["location"][:1] != ["response"]]
    if ours:
        return "; ".join(f"{'.'.join(map(str, one['location']))}: {one['message']}" for one in ours)
    return "" if answer.is_success else answer.text[:300]


def control(client: httpx.Client, address: str) -> int:
    """What is wrong must be found, or its silence says nothing; how many were not."""
    header = 'Signature keyId="a|b|ed25519",algorithm="ed25519",created="1",expires="2",'
    header += 'headers="(created) (expires) digest",signature="AA=="'
    good = whole("select", time.time())
    wrong = {
        "no commitments": ({**good, "message": {"contract": {"commitments": []}}}, header),
        "another action": ({**good, "context": {"action": "init"}}, header),
        "no signature": (good, "Bearer x"),
    }
    missed = 0
    for name, (body, authorization) in wrong.items():
        sent = {"authorization": authorization}
        found = found_in(client.post(f"{address}/select", json=body, headers=sent))
        print(f"  control, {name}: {'found' if found else 'NOT FOUND'}")
        missed += not found
    return missed


def messages(address: str, both: Live) -> int:
    """Every request of two orders, to Prism too; how many of them it found something in."""
    two_orders(both)
    good: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    pushes = 0
    with httpx.Client() as client:
        missed = control(client, address)
        for one in both.kept:
            headers = {name: one.sent[name] for name in ("authorization", "content-type")}
            answer = client.post(f"{address}{one.path}", content=one.body, headers=headers)
            found = found_in(answer)
            if found and is_push(one) and "authorization" in found.lower():
                pushes += 1
            elif found:
                bad[f"{one.path}: {answer.status_code} {found}"] += 1
            else:
                good[one.path] += 1
    print(f"two orders, {len(both.kept)} requests; taken by Prism without a word:")
    print("  " + ", ".join(f"{path[1:]} {count}" for path, count in sorted(good.items())))
    print(f"  pushes signed over three lines, which the file's pattern does not admit: {pushes}")
    for text, count in bad.items():
        print(f"  FOUND {count} x {text}")
    return sum(bad.values()) + missed


def as_buyer(address: str, folder: Path) -> int:
    """A seller whose buyer is Prism: our sender's callback, and what our journal says of it."""
    with live(folder) as both:
        trust = both.town.trust
        trust.write_text(trust.read_text().replace(both.url(GRID), address))
        ((stall,),) = both.site.market.stalls.values()
        stall.take(stall.chosen)
        plain = whole("discover", time.time(), bapId=GRID, bppId=SITE, bapUri=None, bppUri=None)
        body = json.dumps(plain).encode()
        header = both.signers[GRID].header(body, time.time())
        headers = {"authorization": header, "content-type": "application/json"}
        asked = httpx.post(f"{both.url(SITE)}/discover", content=body, headers=headers)
        asked.raise_for_status()
        outbox, txn = stall.node.journal.outbox, plain["context"]["transactionId"]
        both.until(
            lambda: any(
                bool(one.tries and one.outcome) or one.state == "DONE"
                for one in outbox.of_transaction(txn)
            )
        )
        (sent,) = outbox.of_transaction(txn)
        print(f"our sender to Prism: {sent.action} {sent.state}, {sent.tries} tries {sent.outcome}")
        print(f"  Prism's answer has a made-up signature; the journal says: {sent.proof}")
        return int(sent.state != "DONE")


def main() -> None:
    """Run both; the exit code says whether Prism found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prism", default=shutil.which("prism") or "", help="the program")
    arguments = parser.parse_args()
    if not arguments.prism:
        raise SystemExit(
            "no prism: npm install @stoplight/prism-cli, then --prism node_modules/.bin/prism"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("first", "second"):
            (folder / part).mkdir()
        with prism(arguments.prism, folder) as address:
            with live(folder / "first") as both:
                bad = messages(address, both)
            bad += as_buyer(address, folder / "second")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
