"""Signed notes and checkpoints: the format that transparency logs share, and nothing beside it."""

from __future__ import annotations

import base64
import json

import pytest

from flexlond.settlement.ledger import standalone
from flexlond.settlement.ledger.checkpoint import Checkpoint, open_checkpoint
from flexlond.settlement.ledger.note import NoteKey, NoteSigner, open_note
from flexlond.settlement.ledger.problem import LedgerError, TamperError
from tests.unit.settlement.ledger.kit import KEYS, ORIGIN, SIGNER, T0

# The example in the documentation of Go's golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann"
    " x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
]
CHECKPOINT = Checkpoint(ORIGIN, 200, b"r" * 32, b"h" * 32, T0).signed(SIGNER)


def test_a_note_that_go_signed_is_read() -> None:
    key = NoteKey.of_text(GO_KEY)
    assert key.text == GO_KEY
    assert open_note(GO_NOTE, [key]).startswith("If you think cryptography")
    assert standalone.Key(GO_KEY).open(GO_NOTE)[1] == "then you don't know what your problem is."


def test_no_byte_of_a_note_can_change() -> None:
    raw = CHECKPOINT.note.encode()
    for place in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[place] ^= 1 << bit
            text = flipped.decode(errors="replace")
            with pytest.raises(TamperError):
                open_checkpoint(text, KEYS)
            with pytest.raises((standalone.Broken, ValueError)):
                standalone.Checkpoint(text, standalone.Key(SIGNER.key.text))


def test_base64_has_one_spelling() -> None:
    # 68 bytes leave two bits of the last character over: another spelling of the same signature.
    note = CHECKPOINT.note
    assert note.endswith("=\n")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = note[:-3] + alphabet[alphabet.index(note[-3]) ^ 1] + "=\n"
    assert base64.b64decode(other.split()[-1]) == base64.b64decode(note.split()[-1])
    with pytest.raises(TamperError):
        open_checkpoint(other, KEYS)
    with pytest.raises(standalone.Broken):
        standalone.Checkpoint(other, standalone.Key(SIGNER.key.text))


def test_a_checkpoint_comes_back_as_it_was() -> None:
    assert open_checkpoint(CHECKPOINT.note, KEYS) == CHECKPOINT
    assert CHECKPOINT.note.splitlines()[:2] == [ORIGIN, "200"]


def test_the_small_table_for_on_status_holds_the_note() -> None:
    table = CHECKPOINT.as_dict()
    assert json.loads(json.dumps(table)) == table
    assert len(json.dumps(table)) < 600
    assert open_checkpoint(str(table["note"]), KEYS) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        f"{ORIGIN}\n0200\n{'A' * 43}=\nhead {'A' * 43}=\ntime 1\n",
        f"{ORIGIN}\n-1\n{'A' * 43}=\nhead {'A' * 43}=\ntime 1\n",
        f"{ORIGIN}\n1\n{'A' * 43}=\n{'A' * 43}=\ntime 1\n",
        f"{ORIGIN}\n1\nAAAA\nhead {'A' * 43}=\ntime 1\n",
        f"{ORIGIN}\n1\n{'A' * 43}=\nhead {'A' * 43}=\ntime 1\nmore\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_told_apart(text: str) -> None:
    with pytest.raises(TamperError):
        open_checkpoint(SIGNER.sign(text), KEYS)


def test_another_key_with_the_same_name_is_not_ours() -> None:
    forger = NoteSigner.of_seed(ORIGIN, bytes(32))
    with pytest.raises(TamperError, match="none of the keys"):
        open_checkpoint(CHECKPOINT.signed(forger).note, KEYS)


@pytest.mark.parametrize("raw", SMALL_ORDER)
def test_a_key_of_small_order_is_no_key(raw: str) -> None:
    with pytest.raises(LedgerError, match="no usable"):
        NoteKey.of("a", bytes.fromhex(raw))
    text = base64.b64encode(b"\x01" + bytes.fromhex(raw)).decode()
    key_id = NoteKey("a", bytes.fromhex(raw)).key_id.hex()
    with pytest.raises(standalone.Broken, match="prime-order"):
        standalone.Key(f"a+{key_id}+{text}")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "é"])
def test_a_name_that_would_break_the_note_is_refused(name: str) -> None:
    with pytest.raises(LedgerError, match="cannot name"):
        NoteSigner.of_seed(name, bytes(32))


@pytest.mark.parametrize(
    "text", ["", "a", "a+b", "a+00000000+AAAA", GO_KEY.replace("c74f", "c74e")]
)
def test_a_damaged_public_key_is_refused(text: str) -> None:
    with pytest.raises(LedgerError):
        NoteKey.of_text(text)
    with pytest.raises(standalone.Broken):
        standalone.Key(text)


def test_the_seed_comes_from_a_file_and_is_never_shown(tmp_path: object) -> None:
    path = tmp_path / "seed"  # type: ignore[operator]
    path.write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
    assert NoteSigner.of_file(ORIGIN, path).key == SIGNER.key
    assert "SigningKey" not in repr(SIGNER)
    for wrong in ("", "AAAA", "not base64"):
        path.write_text(wrong)
        with pytest.raises(LedgerError, match="seed"):
            NoteSigner.of_file(ORIGIN, path)
    with pytest.raises(LedgerError, match="FileNotFoundError"):
        NoteSigner.of_file(ORIGIN, path.with_name("nowhere"))
