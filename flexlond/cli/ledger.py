"""flexlonctl ledger: verify, prove from and export the ledger, from its own file.

Law: reads the file, read-only, with the daemon running or not; asks nobody and writes only the files it is told
to; `erase` alone asks flexlond, which is the file's one writer. Exit codes: 0 done and everything holds; 1
something does not hold; 2 it cannot be read, or the command line is wrong. Without --key the key that the file
names is used, and said: that shows damage, not a forger.
"""

# ruff: noqa: FBT001, FBT002, PLR0917 -- typer makes options of parameters
# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flexlond.settlement.ledger.note import NoteKey
    from flexlond.settlement.ledger.reader import Reader

app = typer.Typer(
    help="Verify the ledger, prove single entries from it, export it: from its file, read-only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Option("--ledger", envvar="FLEXLON_LEDGER", help="The ledger's file.")]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key", help="The public key, or a file with it. Without it: the one that the file names."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; moments in epoch seconds.")]
Personal = Annotated[
    bool, typer.Option("--personal", help="With the clear text of personal data and its salts.")
]
DEFAULT = Path("/var/lib/flexlon/ledger.db")
SETTLEMENTS = Path("/var/lib/flexlon/settlement.db")

_BROKEN, _UNREADABLE = 1, 2


@app.command()
def verify(
    ledger: File = DEFAULT,
    key: Keys = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="Checkpoints kept elsewhere: the second place's folder, a note, or an on_status's table; "
            "may be repeated. Only they show that the whole was rewritten or cut short."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Verify every entry, the tree, every signature; exit code 1 when something does not hold."""
    from flexlond.settlement.ledger import verify as verifying
    from flexlond.settlement.ledger.second_place import notes_from

    with _reading(ledger) as reader:
        keys = _keys(key, reader)
        outside = [note for path in checkpoint or [] for note in notes_from(path)]
        with _progress("verifying", reader.size) as tell:
            verdict = verifying.verify(reader, keys, outside, tell)
    at = verdict.newest.at if verdict.newest else None
    found = {
        "holds": True,
        "origin": verdict.origin,
        "entries": verdict.entries,
        "signed": verdict.signed,
        "dropped": verdict.dropped,
        "checkpoints": verdict.checkpoints,
        "outside": verdict.outside,
        "root": verdict.root.hex(),
        "signed_at": at,
        "key_given": bool(key),
    }
    signed = f", the last time at {_moment(at)}" if at is not None else ""
    parts = f"checkpoints in the file: {verdict.checkpoints}; from elsewhere: {verdict.outside}"
    lines = [
        f"{verdict.origin}: {verdict.entries} entries hold, {verdict.signed} of them signed{signed}",
        f"bodies dropped by retention: {verdict.dropped}; {parts}",
    ]
    if not outside:
        lines.append(
            "no checkpoint from elsewhere was compared: a rewrite of the whole would not show"
        )
    _say(found, json, lines)


@app.command()
def prove(
    entry: Annotated[
        int | None, typer.Argument(min=0, help="The number of the entry, as `list` shows it.")
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(help="Prove instead that nothing before this earlier checkpoint was changed."),
    ] = None,
    ledger: File = DEFAULT,
    key: Keys = None,
    personal: Personal = False,
    out: Annotated[Path | None, typer.Option(help="Write it here instead of on stdout.")] = None,
) -> None:
    """Prove that an entry is under the newest checkpoint, or that the ledger continues an older one."""
    import json

    from flexlond.settlement.ledger.export import consistency_proof, inclusion_proof
    from flexlond.settlement.ledger.second_place import notes_from

    if (entry is None) == (since is None):
        raise typer.BadParameter("give one of the two: an entry's number, or --since")
    with _reading(ledger) as reader:
        keys = _keys(key, reader)
        if since is not None:
            proof = consistency_proof(reader, keys, notes_from(since)[-1])
        else:
            proof = inclusion_proof(reader, keys, entry or 0, personal=personal)
    text = json.dumps(proof, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        _write(out, lambda path: path.write_text(text, "utf-8"))


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The file to write.")],
    ledger: File = DEFAULT,
    key: Keys = None,
    personal: Personal = False,
    verifier: Annotated[
        Path | None,
        typer.Option(help="Put flexlon-verify there as well: it needs only Python and PyNaCl."),
    ] = None,
    json: Json = False,
) -> None:
    """Write everything that is signed to a file that flexlon-verify checks without FlexLon."""
    import shutil

    from flexlond.settlement.ledger import export as exporting
    from flexlond.settlement.ledger import standalone

    with _reading(ledger) as reader:
        keys = _keys(key, reader)
        lines = exporting.export(reader, keys, personal=personal)
        first = next(lines)
        with _progress("exporting", reader.size) as tell:
            count = _write(out, lambda path: _lines(path, first, lines, tell))
        left = reader.size - max((size for size, _ in reader.notes()), default=0)
    if verifier is not None:
        source = Path(standalone.__file__)
        _write(verifier, lambda path: shutil.copy(source, path))
        verifier.chmod(0o755)
    found = {"out": str(out), "lines": count, "not_signed_yet": left, "key": keys[0].text}
    _say(
        found,
        json,
        [
            f"{out}: {count} lines; {left} newer entries wait for the next checkpoint",
            f"verify with: flexlon-verify --key {keys[0].text} {out}",
        ],
    )


@app.command()
def bundle(
    order: Annotated[str, typer.Argument(help="The order's id, or a month with --statement.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    ledger: File = DEFAULT,
    store: Annotated[Path, typer.Option(help="The settlement file.")] = SETTLEMENTS,
    key: Keys = None,
    statement: Annotated[
        bool, typer.Option("--statement", help="The newest signed statement of a month, 2026-09.")
    ] = False,
) -> None:
    """Write what an order came to, with its proofs: for its buyer, who checks it with flexlon-verify.

    With --statement a month's statement and the proof that it is the one that was issued.
    """
    import json
    from contextlib import closing

    from flexlond.settlement.bundle import bundle as bundle_of
    from flexlond.settlement.bundle import statement_bundle
    from flexlond.settlement.database import SettlementStoreError
    from flexlond.settlement.store import SettlementStore

    if not store.is_file():
        _fail(f"{store}: there is no settlement file here; name it with --store", _UNREADABLE)
    with _reading(ledger) as reader:
        keys = _keys(key, reader)
        try:
            with closing(SettlementStore(store)) as opened:
                make = statement_bundle if statement else bundle_of
                made = make(reader, keys, opened, order)
        except SettlementStoreError as error:
            _fail(str(error), _UNREADABLE)
    text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    _write(out, lambda path: path.write_text(text, "utf-8"))
    if statement:
        print(f"{out}: the statement of {order}, with its proof")
        return
    records = sum(len(part["records"]) for part in made["parts"])
    print(f"{out}: {records} records of {len(made['parts'])} dates, with their proofs")


@app.command("list")
def list_(
    ledger: File = DEFAULT,
    kind: Annotated[str, typer.Option(help="Only this kind: settlement, intent, ...")] = "",
    contains: Annotated[
        str, typer.Option(help="Only entries with this in them, such as an order's id.")
    ] = "",
    last: Annotated[int, typer.Option(min=0, help="Only the last so many; 0: all.")] = 20,
    json: Json = False,
) -> None:
    """List entries with their numbers, oldest first."""
    from collections import deque

    from flexlond.settlement.ledger.entry import Entry, decode

    chosen: deque[Entry] = deque(maxlen=last or None)
    with _reading(ledger) as reader:
        for seq, _, body in reader.rows():
            if body is None or (contains and contains.encode() not in body):
                continue
            found = decode(bytes(body), seq)
            if not kind or found.kind == kind:
                chosen.append(found)
    rows = [{"entry": one.seq, "at": one.at, "kind": one.kind, "body": one.body} for one in chosen]
    lines = [
        f"{one.seq:>9}  {_moment(one.at)}  {one.kind:<13} {_short(one.body)}" for one in chosen
    ]
    _say(rows, json, lines)


@app.command("key")
def key_(ledger: File = DEFAULT, json: Json = False) -> None:
    """Print the public key that the ledger names, to be given to counterparties by another way."""
    with _reading(ledger) as reader:
        found = _keys(None, reader)[0].text
    _say({"key": found}, json, [found])


@app.command("new-key")
def new_key(
    out: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
) -> None:
    """Draw a key for a ledger and write its seed, for LoadCredential= of the unit."""
    import base64
    import os
    import secrets

    try:
        fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        _fail(f"{out}: {error.strerror}: a key is never overwritten", _UNREADABLE)
    with os.fdopen(fd, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
    print(f"{out}: written; keep a copy where it is safe, and never beside the ledger")


@app.command()
def erase(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="The user, as Slurm has the name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Erase what the ledger has in clear of a user: name, account, job names. Asked of flexlond; for operators.

    No entry and no hash changes: all proofs and checkpoints stay valid. Exports with --personal are not undone.
    """
    from flexlond.cli.asking import ask, messages, say
    from flexlond.cli.client import LONG_TIMEOUT

    if not yes:
        typer.confirm(f"erase the clear text of {user} for good?", abort=True)
    reply = ask(context, "ErasePerson", messages().EraseRequest(user=user), LONG_TIMEOUT)
    say(reply, json, reply.detail)


@contextmanager
def _reading(path: Path) -> Iterator[Reader]:
    """A snapshot of the ledger; what goes wrong with it ends the program with its reason."""
    from flexlond.settlement.ledger.problem import LedgerError, TamperError
    from flexlond.settlement.ledger.reader import Reader

    try:
        with Reader(path) as reader:
            yield reader
    except TamperError as error:
        _fail(f"DOES NOT HOLD: {error}", _BROKEN)
    except LedgerError as error:
        _fail(str(error), _UNREADABLE)


def _keys(given: list[str] | None, reader: Reader) -> list[NoteKey]:
    from flexlond.settlement.ledger.note import NoteKey
    from flexlond.settlement.ledger.problem import LedgerError

    if given:
        texts = [Path(one).read_text("utf-8") if Path(one).is_file() else one for one in given]
        return [NoteKey.of_text(text) for text in texts]
    named = reader.key
    if named is None:
        raise LedgerError(f"{reader.path} names no key; give it with --key")
    print(f"flexlonctl: by the key that the file itself names: {named.text}", file=sys.stderr)
    return [named]


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, markup=False, highlight=False)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(what, total=total)
    with bar:
        yield lambda done: bar.update(task, completed=done)


def _lines(path: Path, first: bytes, rest: Iterator[bytes], tell: Callable[[int], None]) -> int:
    count = 1
    with path.open("wb") as file:
        file.write(first)
        for line in rest:
            file.write(line)
            count += 1
            if count % 1000 == 0:
                tell(count)
    return count


def _write(out: Path, work: Callable[[Path], Any]) -> Any:
    try:
        return work(out)
    except OSError as error:
        _fail(f"{out}: {error.strerror or error}", _UNREADABLE)


def _say(found: Any, json: bool, lines: list[str]) -> None:
    import json as text

    from flexlond.cli.plain import safe

    if json:
        print(text.dumps(found, indent=2))
    else:
        for line in lines:
            print(safe(line))


def _short(body: dict[str, Any]) -> str:
    import json

    text = json.dumps(body, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _moment(at: int) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(at)


def _fail(text: str, code: int) -> Any:
    from flexlond.cli.plain import safe

    print(f"flexlonctl: {safe(text)}", file=sys.stderr)
    raise typer.Exit(code)
