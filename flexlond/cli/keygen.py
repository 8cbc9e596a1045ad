"""flexlond keygen: makes the key of a market identity, and says what others must know of it.

Law: the secret is written once, readable by its owner only, never over a file that is there, and never
printed. What is printed is public: one entry for the others' trust files.
"""

# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import Annotated, Literal, NoReturn

import typer


def keygen(
    file: Annotated[
        Path, typer.Argument(help="The new key file; it must not be there yet.", show_default=False)
    ],
    subscriber: Annotated[
        str, typer.Option(help="The subscriber id, as in market.identity.NAME.subscriber.")
    ],
    role: Annotated[Literal["BAP", "BPP"], typer.Option(help="BPP offers, BAP asks.")],
    uri: Annotated[str, typer.Option(help="Where others reach it, as in the configuration.")],
    key_id: Annotated[
        str, typer.Option(help="The key's id; another one for each new key.")
    ] = "key-1",
) -> None:
    """Make a key and print its entry for the others' trust files; the secret stays in FILE (mode 0600)."""
    from flexlond.beckn.trust.keys import KEY_BYTES, SecretKey
    from flexlond.beckn.trust.registry import check_url
    from flexlond.daemon.config_schema import toml_value

    try:
        address = check_url(uri)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--uri") from error
    seed = secrets.token_bytes(KEY_BYTES)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        _fail(f"{file} is there already and stays as it is: name another file for a new key")
    except OSError as error:
        _fail(f"{file}: {error.strerror}; its directory must exist and be writable for you")
    with os.fdopen(handle, "wb") as out:
        out.write(base64.b64encode(seed) + b"\n")
        out.flush()
        os.fsync(out.fileno())
    public = SecretKey.of_seed(seed).public.text
    print("[[participant]]")
    for key, value in (
        ("id", subscriber),
        ("role", role),
        ("key_id", key_id),
        ("public_key", public),
        ("url", address),
    ):
        print(f"{key} = {toml_value(value)}")


def _fail(text: str) -> NoReturn:
    print(f"flexlond: {text}", file=sys.stderr)
    raise typer.Exit(1)
