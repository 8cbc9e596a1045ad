"""Two clusters sold as one to a grid, one of them cut off in its window: the part that runs beside both.

Law: starts a Flexibility Orchestrator and a Grid Orchestrator, buys more than either site has, asks
docker/two-sites to cut site 1 off in the middle of a slot and to mend it, and only watches: what is shown are
the two buyers' own journals. Exit code 0 only when the bar is kept (`broken`). kW by slot; epoch seconds.
Arguments: seconds of a slot, the window's begin.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from demo_lib.two_sites_bar import SLOTS, Run, broken
from demo_lib.two_sites_book import FIRST, SECOND, Book, clock, pushes, read_lots, total

MARKET = Path("/market")
FLEXLOND, FLEXLONCTL = "/opt/flexlon/bin/flexlond", "/opt/flexlon/bin/flexlonctl"
CUT_SLOT, MEND_SLOT = 2, 8  # of the window; the cut comes in the middle of its slot
PROOF = 180.0  # seconds that the portfolio waits for a proof
_HERE = Path(__file__).parent


class TwoSitesError(RuntimeError):
    """The run cannot go on."""


def open_market(slot: int) -> None:
    """Both processes, each with its own configuration and state; munge, for whoever asks them."""
    Path("/run/munge").mkdir(exist_ok=True)
    shutil.chown("/run/munge", "munge")
    subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged"], check=True)
    for name in ("portfolio", "grid"):
        text = (_HERE / f"two_sites_{name}.toml").read_text(encoding="utf-8")
        file = MARKET / name / "flexlon.toml"
        made = Template(text).substitute(slot_seconds=slot, proof=PROOF, patience=slot * 0.3)
        file.write_text(made, encoding="utf-8")
        log = (MARKET / name / "log").open("ab")
        subprocess.Popen([FLEXLOND, "run", "--config", str(file)], stdout=log, stderr=log)


def ctl(who: str, *words: str) -> dict[str, Any]:
    """Flexlonctl of one of the two; {} while it does not answer."""
    argv = [FLEXLONCTL, "--socket", str(MARKET / who / "admin.sock"), *words, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip()}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def iso(at: float) -> str:
    """As flexlonctl reads a moment."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}"


def offers(run: Run) -> dict[str, float]:
    """By site the most that it offers in each slot of the window."""
    words = ["--low-price", "--from", iso(run.start), "--to", iso(run.start + SLOTS * run.slot)]
    reply = ctl("portfolio", "market", "discover", *words)
    found = {}
    for one in reply.get("offers", ()):
        kw = [value or 0.0 for value in one.get("picked_kw", ())]
        if len(kw) == SLOTS:
            found[one["seller"]] = min(kw)
    return found


def buy(run: Run) -> None:
    """Wait until both sites offer the whole window, then want more than either has."""
    least = 0.5
    while not all(run.offered.get(site, 0.0) >= least for site in (FIRST, SECOND)):
        if time.time() > run.start - 2.5 * run.slot:
            raise TwoSitesError(
                f"no offer of both sites for the window: {run.offered}, {ctl('portfolio', 'market', 'needs')}"
            )
        time.sleep(2.0)
        run.offered = offers(run)
    one, two = run.offered[FIRST], run.offered[SECOND]
    run.wanted = round(one + 0.4 * two, 2)
    print(
        f"offered for the whole window: {FIRST} {one:.2f} kW, {SECOND} {two:.2f} kW; the grid wants"
        f" {run.wanted:.2f} kW"
    )
    words = [
        "--kw",
        f"{run.wanted}kW",
        "--from",
        iso(run.start),
        "--to",
        iso(run.start + SLOTS * run.slot),
    ]
    while "error" in (reply := ctl("grid", "market", "need", *words, "--budget", "1000")):
        if time.time() > run.start - 1.5 * run.slot:
            raise TwoSitesError(f"the need was not taken: {reply}")
        time.sleep(1.0)


def network(word: str) -> float:
    """Ask for the cut or its mending; when it was done."""
    (MARKET / "asked").write_text(word, encoding="utf-8")
    done, until = MARKET / f"done-{word}", time.time() + 30.0
    while not (done.exists() and done.read_text().strip()):
        if time.time() > until:
            raise TwoSitesError(f"the network: nobody did `{word}`")
        time.sleep(0.1)
    return float(done.read_text())


def watch(run: Run) -> Book:
    """Slot by slot until the order is complete."""
    shown = 0
    end = run.start + SLOTS * run.slot
    while True:
        now = time.time()
        book = Book(read_lots("portfolio"), read_lots("grid"), pushes())
        if not run.cut and now >= run.start + (CUT_SLOT + 0.5) * run.slot:
            run.cut = network("cut")
            print(f"{clock(run.cut)}  {FIRST} is cut off")
        if run.cut and not run.mended and now >= run.start + (MEND_SLOT + 0.5) * run.slot:
            run.before_mend = total(book.grid, "told")
            run.mended = network("mend")
            print(f"{clock(run.mended)}  {FIRST} is on the market again")
        while shown < SLOTS and now >= run.slots[shown] + 0.95 * run.slot:
            print(book.line(run.slots[shown], run.wanted), flush=True)
            shown += 1
        grid = book.grid
        if now > end and grid and all(lot.state in {"DONE", "LOST"} for lot in grid):
            return book
        if now > end + PROOF + 150.0:
            return book
        time.sleep(0.5)


def show(run: Run, book: Book) -> None:
    """The end."""
    print(f"\nkW by slot (UTC); before: as told to the grid until {FIRST} was back")
    print(f"slot        wanted   {FIRST}: sold  proved   {SECOND}: sold  proved   before   final")
    final = total(book.grid, "told")
    for at in run.slots:
        cells = [f"{run.wanted:6.2f}"]
        for site in (FIRST, SECOND):
            lots = [lot for lot in book.sites if lot.seller == site and lot.state != "LOST"]
            told = [lot.told[at] for lot in lots if at in lot.told]
            sold = sum(lot.kw.get(at, 0.0) for lot in lots)
            cells.append(f"{sold:17.2f} {f'{sum(told):7.2f}' if told else '      -'}")
        both = (run.before_mend, final)
        cells += [f"{known[at]:8.2f}" if at in known else "       -" for known in both]
        print(f"{clock(at)}  {' '.join(cells)}")
    if report := book.report(run.cut):
        late = report.at - run.cut
        print(f"\ntold to the grid {late:.1f} s after the cut: up to {report.open_kw:.2f} kW open")
    for lot in book.sites:
        if lot.created > run.cut:
            kw, first = max(lot.kw.values()), clock(min(lot.kw))
            print(f"{clock(lot.created)}  {lot.seller}: {kw:.2f} kW from {first}: {lot.state}")


def main(slot: int, start: int) -> int:
    """The whole run; the exit code."""
    run = Run(slot, start)
    open_market(slot)
    try:
        buy(run)
        book = watch(run)
    except TwoSitesError as error:
        print(f"NOT SHOWN: {error}", file=sys.stderr)
        return 1
    show(run, book)
    failures = broken(run, book)
    data = {"run": asdict(run), "book": asdict(book), "failures": failures}
    (MARKET / "report.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    for failure in failures:
        print(f"NOT KEPT: {failure}", file=sys.stderr)
    print("the bar is broken" if failures else "the bar is kept")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
