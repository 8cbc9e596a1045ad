"""Two clusters sold as one to a grid, one of them cut off in its window: the part that runs beside both.

Law: starts a Flexibility Orchestrator and a Grid Orchestrator, buys more than either site has, asks docker/two-sites
to cut site 1 off in the middle of a slot and to mend it, and only watches: what is shown are the two buyers' own
journals. Exit code 0 only when the bar is kept (`broken`). kW by slot; epoch seconds. Arguments: seconds of a
slot, the window's begin.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from demo_lib.two_sites_book import FIRST, SECOND, Book, Lot, Push, clock, pushes, read_lots, total

MARKET = Path("/market")
FLEXLOND, FLEXLONCTL = "/opt/flexlon/bin/flexlond", "/opt/flexlon/bin/flexlonctl"
SLOTS = 12
CUT_SLOT, MEND_SLOT = 2, 8  # of the window; the cut comes in the middle of its slot
PROOF = 180.0  # seconds that the portfolio waits for a proof
_HERE = Path(__file__).parent


class TwoSitesError(RuntimeError):
    """The run cannot go on."""


@dataclass(slots=True)
class Run:
    """What happened."""

    slot: int
    start: int
    wanted: float = 0.0
    offered: dict[str, float] = field(default_factory=dict)
    cut: float = 0.0
    mended: float = 0.0
    before_mend: dict[int, float] = field(default_factory=dict)  # told to the grid until then

    @property
    def slots(self) -> list[int]:
        """The begin of each slot."""
        return [self.start + number * self.slot for number in range(SLOTS)]


def open_market(slot: int) -> None:
    """Both processes, each with its own configuration and state."""
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
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


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
        f"offered for the whole window: {FIRST} {one:.2f} kW, {SECOND} {two:.2f} kW; the grid wants {run.wanted:.2f} kW"
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


def broken(run: Run, book: Book) -> list[str]:
    """Why the bar is not kept; empty when it is."""
    found = []
    first = [lot for lot in book.sites if lot.seller == FIRST and lot.kw and lot.state != "LOST"]
    second = [lot for lot in book.sites if lot.seller == SECOND and lot.state != "LOST"]
    early = [lot for lot in second if lot.created < run.cut]
    later = [lot for lot in second if lot.created > run.cut]
    if not first or not early:
        found.append("the order was not split between the two sites")
    if not run.wanted > max(run.offered.values()):
        found.append("the order was not larger than either")
    report = book.report(run.cut)
    if report is None:
        found.append("the open shortfall was not reported to the grid")
    elif report.at - run.cut > run.slot:
        found.append(
            f"it was reported {report.at - run.cut:.1f} s after the cut; a slot has {run.slot} s"
        )
    if not later:
        found.append(f"{SECOND} took nothing over")
    if asked := [
        lot for lot in book.sites if lot.seller == FIRST and run.cut < lot.created < run.mended
    ]:
        found.append(f"{len(asked)} orders were asked of the site that was cut off")
    for lot in later:
        given = sum(max(0.0, lot.told.get(at, 0.0)) for at in lot.kw)
        if lot.state == "DONE" and given < 0.9 * sum(lot.kw.values()):
            found.append(
                f"{SECOND} delivered {given:.2f} of {sum(lot.kw.values()):.2f} kW slots that it took over"
            )
    final = total(book.grid, "told")
    silent = [at for at in run.slots if run.cut < at + run.slot and at + 2 * run.slot < run.mended]
    ours = {
        at: sum(lot.told.get(at, 0.0) for lot in book.sites if lot.seller == FIRST)
        for at in run.slots
    }
    for at in silent:
        if (
            at in run.before_mend
            and ours[at] > 0.3
            and final.get(at, 0.0) < run.before_mend[at] + 0.8 * ours[at]
        ):
            found.append(f"what {FIRST} proved of {clock(at)} did not count later")
    if not any(at in run.before_mend for at in silent):
        found.append("nothing was told of the slots of the cut while it lasted")
    if not any(ours[at] > 0.3 for at in silent):
        found.append(f"{FIRST} proved nothing of what it delivered while it was cut off")
    if not any(lot.state == "DONE" for lot in book.grid):
        found.append("the order was not completed")
    return found


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
        for known in (run.before_mend, final):
            cells.append(f"{known[at]:8.2f}" if at in known else "       -")
        print(f"{clock(at)}  {' '.join(cells)}")
    report = book.report(run.cut)
    if report is not None:
        print(
            f"\nreported to the grid {report.at - run.cut:.1f} s after the cut: up to {report.open_kw:.2f} kW open"
        )
    for lot in book.sites:
        if lot.created > run.cut:
            print(
                f"{clock(lot.created)}  {lot.seller}: {max(lot.kw.values()):.2f} kW from {clock(min(lot.kw))}: {lot.state}"
            )


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


__all__ = ["Lot", "Push", "main"]

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
