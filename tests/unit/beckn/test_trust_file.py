"""The trust file: what it names is found, what it cannot mean is refused with the place."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from flexlond.beckn.trust import registry
from flexlond.beckn.trust.registry import Subscriber, TrustFile, TrustFileError
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal
from tests.unit.beckn.kit import KEYS, T0

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = (base64.b64encode(KEYS[n].public.raw).decode() for n in ("bap.test", "bpp.test"))


def entry(**fields: str) -> str:
    values = {
        "id": '"grid.test"',
        "role": '"BAP"',
        "key_id": '"k1"',
        "public_key": f'"{ONE}"',
        "url": '"https://Grid.test:8443/beckn/"',
        **fields,
    }
    lines = [f"{key} = {value}" for key, value in values.items() if value]
    return "\n".join(["[[participant]]", *lines, ""])


def made(folder: Path, *entries: str) -> TrustFile:
    path = folder / "trust.toml"
    path.write_text("\n".join(entries))
    return TrustFile(path)


async def test_a_participant_is_found_by_its_key_and_by_its_record(tmp_path: Path) -> None:
    file = made(tmp_path, entry(record='"ns/reg/rec"', networks='["net"]'))
    found = await file.find("grid.test", "k1", T0)
    assert found == await file.find("", "ns/reg/rec", T0)
    assert (found.role, found.key.text) == (Role.BAP, ONE)
    assert (found.url, found.host) == ("https://Grid.test:8443/beckn", "grid.test:8443")
    registry.check(found, T0, frozenset({"net", "other"}))


async def test_two_keys_of_one_participant_stand_side_by_side(tmp_path: Path) -> None:
    file = made(tmp_path, entry(), entry(key_id='"k2"', public_key=f'"{TWO}"'))
    keys = [(await file.find("grid.test", key, T0)).key.text for key in ("k1", "k2")]
    assert keys == [ONE, TWO]


@pytest.mark.parametrize(
    ("name", "key", "code"),
    [
        ("grid.test", "k9", Code.AUT_KEY_NOT_FOUND),
        ("else.test", "k1", Code.AUT_SUBSCRIBER_NOT_FOUND),
        ("", "k1", Code.AUT_SUBSCRIBER_NOT_FOUND),
        ("", "", Code.AUT_SUBSCRIBER_NOT_FOUND),
    ],
)
async def test_others_are_not_found(tmp_path: Path, name: str, key: str, code: Code) -> None:
    file = made(tmp_path, entry())
    with pytest.raises(Refusal) as caught:
        await file.find(name, key, T0)
    assert caught.value.code is code


async def believed(file: TrustFile, networks: frozenset[str] = frozenset()) -> Code | None:
    found: Subscriber = await file.find("grid.test", "k1", T0)
    try:
        registry.check(found, T0, networks)
    except Refusal as refusal:
        return refusal.code
    return None


async def test_revoked_out_of_time_or_of_another_network_is_not_believed(tmp_path: Path) -> None:
    gone = Code.AUT_KEY_EXPIRED_OR_REVOKED
    assert await believed(made(tmp_path, entry())) is None
    assert await believed(made(tmp_path, entry(revoked="true"))) is gone
    assert await believed(made(tmp_path, entry(valid_until="2027-01-15T07:59:59Z"))) is gone
    assert await believed(made(tmp_path, entry(valid_until="2027-01-15T08:00:00Z"))) is None
    assert await believed(made(tmp_path, entry(valid_from="2027-01-15T08:00:01Z"))) is gone
    file = made(tmp_path, entry(networks='["a"]'))
    assert await believed(file, frozenset({"b"})) is Code.AUT_DOMAIN_NOT_ALLOWED


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([entry(), entry()], r"participant#2 \(grid.test\): k1 stands twice"),
        ([entry(public_key=f'"{"A" * 43}="')], "prime-order"),
        ([entry(public_key='"abc"')], "not base64"),
        ([entry(url='"ftp://grid.test"')], "is no address"),
        ([entry(url='"https://u:p@grid.test"')], "user name or password"),
        ([entry(url='"https://[::1"')], "participant#1"),
        ([entry(role='"BG"')], "Invalid enum value"),
        ([entry(valid_until="2027-01-15T08:00:00")], "timezone"),
        ([entry(url="")], "missing required field `url`"),
        ([entry(color='"red"')], "unknown field `color`"),
        (["[[participant"], "trust.toml"),
    ],
)
def test_what_the_file_cannot_mean_is_refused_with_its_place(
    tmp_path: Path, entries: list[str], says: str
) -> None:
    with pytest.raises(TrustFileError, match=says):
        made(tmp_path, *entries)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrustFileError, match="No such file"):
        TrustFile(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://A.b:1/x", "a.b:1"), ("http://[::1", ""), ("x", ""), ("http://u@h/", "u@h")],
)
def test_the_host_of_an_address(url: str, host: str) -> None:
    assert registry.host_of(url) == host
