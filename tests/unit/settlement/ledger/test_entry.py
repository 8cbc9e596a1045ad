"""What can be recorded, and that it has one spelling."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from flexlond.settlement.ledger import standalone
from flexlond.settlement.ledger.entry import (
    KINDS,
    NO_HASH,
    SALT_BYTES,
    Record,
    check,
    commitment,
    decode,
    encode,
)
from flexlond.settlement.ledger.problem import LedgerError, TamperError

KEYS = st.from_regex(r"[A-Za-z0-9_.:@/-]{1,8}", fullmatch=True)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
BODIES = st.dictionaries(KEYS, VALUES, max_size=5)


@given(BODIES, st.sampled_from(sorted(KINDS)), st.integers(0, 2**40))
def test_whatever_is_let_pass_comes_back_in_rfc_8785_s_one_form(
    body: dict[str, Any], kind: str, at: int
) -> None:
    record = Record(kind, at, body, {"user": "alice"})
    check(record)
    raw = encode(record, 7, NO_HASH, {"user": b"s" * SALT_BYTES})
    entry = decode(raw, 7)
    assert (entry.kind, entry.at, entry.body, entry.prev) == (kind, at, body, NO_HASH.hex())
    assert rfc8785.dumps(standalone.canonical(raw, "it")) == raw
    assert b"alice" not in raw.replace(rfc8785.dumps(body), b"")


@pytest.mark.parametrize(
    "body",
    [
        {"pence": 1.5},
        {"pence": 1.0},
        {"n": 2**53},
        {"n": -(2**53)},
        {"raw": b"x"},
        {"": 1},
        {"a b": 1},
        {"é": 1},
        {1: 1},
        {"a": [{"b": {1, 2}}]},
    ],
)
def test_what_two_readers_could_read_differently_is_refused(body: Any) -> None:
    with pytest.raises(LedgerError):
        check(Record("reading", 1, body))


def test_depth_size_kind_moment_and_half_characters_are_bounded() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    with pytest.raises(LedgerError, match="deeper"):
        check(Record("reading", 1, {"a": deep}))
    with pytest.raises(LedgerError, match="bytes"):
        encode(Record("reading", 1, {"a": "x" * 70_000}), 0, NO_HASH, {})
    with pytest.raises(LedgerError, match="known: "):
        check(Record("payment", 1, {}))
    for at in (-1, 1.0, True, 2**60):
        with pytest.raises(LedgerError, match="no moment"):
            check(Record("reading", at, {}))  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="canonical"):
        encode(Record("reading", 1, {"a": "\ud800"}), 0, NO_HASH, {})
    with pytest.raises(LedgerError, match="canonical"):
        encode(Record("reading", 1, {}, {"user": "\ud800"}), 0, NO_HASH, {"user": NO_HASH})
    with pytest.raises(LedgerError, match="personal field"):
        check(Record("reading", 1, {}, {"a b": "x"}))
    with pytest.raises(LedgerError, match="no text"):
        check(Record("reading", 1, {}, {"user": 1000}))  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b'{"at":1,"body":{},"kind":"reading","prev":"","seq":7,"v":2}',
        b'{"at":1,"body":{},"kind":"reading","prev":"","seq":8,"v":1}',
        b'{"at":1,"body":{},"kind":"payment","prev":"","seq":7,"v":1}',
        b'{"at":1,"body":{"n":1.0},"kind":"reading","prev":"","seq":7,"v":1}',
        b'{"at":1, "body":{},"kind":"reading","prev":"","seq":7,"v":1}',
        b'{"at":1,"at":1,"body":{},"kind":"reading","prev":"","seq":7,"v":1}',
        b'{"body":{},"at":1,"kind":"reading","prev":"","seq":7,"v":1}',
        b"[" * 100_000,
    ],
)
def test_bytes_that_are_no_entry_are_said_to_be_changed(raw: bytes) -> None:
    with pytest.raises(TamperError):
        decode(raw, 7)


def test_a_commitment_binds_field_text_and_salt() -> None:
    made = {
        commitment(salt, name, text)
        for salt in (b"a" * 32, b"b" * 32)
        for name in ("user", "job")
        for text in ("alice", "bob")
    }
    assert len(made) == 8
