from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from flexlond.auth import munge
from flexlond.auth.munge import MungeCode, MungeError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_credential_names_its_author_and_payload(munge_socket: str) -> None:
    decoded = munge.decode(munge.encode(b"a\0b", socket=munge_socket), socket=munge_socket)
    assert decoded == munge.Decoded(b"a\0b", os.getuid(), os.getgid())


def test_an_empty_payload_is_possible(munge_socket: str) -> None:
    assert munge.decode(munge.encode(b"", socket=munge_socket), socket=munge_socket).payload == b""


def test_a_replayed_credential_is_an_error(munge_socket: str) -> None:
    credential = munge.encode(b"once", socket=munge_socket)
    munge.decode(credential, socket=munge_socket)
    with pytest.raises(MungeError, match="own credential") as caught:
        munge.decode(credential, socket=munge_socket)
    assert caught.value.code is MungeCode.CRED_REPLAYED
    assert not caught.value.unreachable


def test_an_expired_credential_is_an_error(
    munge_socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(munge, "TIME_TO_LIVE", 1)
    credential = munge.encode(b"late", socket=munge_socket)
    monkeypatch.undo()
    import time  # noqa: PLC0415 # the wait is this test's subject

    time.sleep(2.1)
    with pytest.raises(MungeError) as caught:
        munge.decode(credential, socket=munge_socket)
    assert caught.value.code is MungeCode.CRED_EXPIRED


@pytest.mark.parametrize("text", [b"", b"MUNGE:nonsense:", b"\xff" * 40])
def test_a_false_credential_is_an_error(munge_socket: str, text: bytes) -> None:
    with pytest.raises(MungeError) as caught:
        munge.decode(text, socket=munge_socket)
    assert not caught.value.unreachable


def test_a_tampered_credential_is_an_error(munge_socket: str) -> None:
    good = munge.encode(b"payload", socket=munge_socket)
    middle = len(good) // 2
    other = b"A" if good[middle : middle + 1] != b"A" else b"B"
    with pytest.raises(MungeError):
        munge.decode(good[:middle] + other + good[middle + 1 :], socket=munge_socket)


def test_no_munged_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MungeError, match="systemctl status munge") as caught:
        munge.encode(b"x", socket=str(tmp_path / "nobody"))
    assert caught.value.code is MungeCode.SOCKET
    assert caught.value.unreachable


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(munge, "LIBRARY", "libmunge-not-here.so.2")
    munge._library.cache_clear()
    try:
        with pytest.raises(MungeError, match="libmunge2") as caught:
            munge.encode(b"x")
        assert caught.value.code is MungeCode.NO_LIBRARY
    finally:
        munge._library.cache_clear()
