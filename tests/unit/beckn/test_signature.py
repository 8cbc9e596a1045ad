"""Signatures: the published vector, the window, the two labels, key ids, chained answers, weak keys."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from flexlond.beckn.trust import signature
from flexlond.beckn.trust.keys import BadKeyError, PublicKey, SecretKey
from flexlond.beckn.trust.signature import Signer, Switches
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000
SECRET = SecretKey.of_seed(b"\x07" * 32)
SIGNER = Signer("bap.example", "k1", SECRET)
ANY = Switches()

# RFC vector of the protocol: the key is public and the digest is taken as printed there.
VECTOR_KEY = (
    "lP3sHA+9gileOkXYJXh4Jg8tK0gEEMbf9yCPnFpbldhrAY+NErqL9WD+Vav7TE5tyVXGXBle9ONZi2W7o144eQ=="
)
VECTOR_DIGEST = (
    "b6lf6lRgOweajukcvcLsagQ2T60+85kRh/Rd2bdS+TG/5ALebOEgDJfyCrre/1+BMu5nA94o4DT3pTFXuUg7sw=="
)
VECTOR_SIGNATURE = (
    "cjbhP0PFyrlSCNszJM1F/YmHDVAWsZqJUPzojnE/7TJU3fJ/rmIlgaUHEr5E0/2PIyf0tpSnWtT6cyNNlpmoAQ=="
)
FOX_DIGEST = (
    "qK3Uvd39k+SHfSdG5igXsRY2Sh+nvBSNlQkLxzM7NnP4JAHPeqLkyx7NkCluPxTLVBP47Xe+cwRbE5FM3NapGA=="
)

# The eight points of small order and their non-canonical spellings (libsodium's blocklist).
SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def refused(header: str, body: bytes, *, now: float = NOW, answered: tuple[str, ...] = ()) -> Code:
    with pytest.raises(Refusal) as caught:
        accept(header, body, now=now, answered=answered)
    return caught.value.code


def accept(
    header: str,
    body: bytes,
    *,
    now: float = NOW,
    answered: tuple[str, ...] = (),
    switches: Switches = ANY,
) -> signature.Claim:
    claim = signature.read(header, switches)
    signature.check_window(claim, now, switches.skew)
    signature.verify(claim, body, SECRET.public, switches, answered)
    return claim


def test_the_published_vector() -> None:
    seed = base64.b64decode(VECTOR_KEY)[:32]
    text = signature.signing_string(1641287875, 1641291475, f"BLAKE-512={VECTOR_DIGEST}")
    assert base64.b64encode(SecretKey.of_seed(seed).sign(text)).decode() == VECTOR_SIGNATURE
    fox = signature.digest(b"The quick brown fox jumps over the lazy dog")
    assert fox == f"BLAKE-512={FOX_DIGEST}"


def test_what_we_sign_we_accept_and_its_form_is_the_published_one() -> None:
    header = SIGNER.header('{"ä": 1}'.encode(), NOW)
    assert header.startswith(
        'Signature keyId="bap.example|k1|ed25519",algorithm="ed25519",created="'
    )
    claim = accept(header, '{"ä": 1}'.encode())
    assert (claim.subscriber, claim.key, claim.chained) == ("bap.example", "k1", False)


@given(body=st.binary(max_size=300), at=st.integers(0, 2399))
def test_one_flipped_bit_of_body_or_signature_is_refused(body: bytes, at: int) -> None:
    header = SIGNER.header(body, NOW)
    claim = signature.read(header, ANY)
    broken = bytearray(claim.signature)
    broken[at % 64] ^= 1 << (at % 8)
    text = base64.b64encode(bytes(broken)).decode()
    assert refused(header.replace(claim.signature_text, text), body) == Code.AUT_SIGNATURE_INVALID
    if body:
        other = bytearray(body)
        other[at % len(body)] ^= 1 << (at % 8)
        assert refused(header, bytes(other)) == Code.AUT_SIGNATURE_INVALID


def test_blanks_are_bytes_too() -> None:
    header = SIGNER.header(b'{"a": 1}', NOW)
    assert refused(header, b'{"a":1}') == Code.AUT_SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("now", "good"),
    [(NOW, True), (NOW + 300, True), (NOW + 301, False), (NOW - 30, True), (NOW - 31, False)],
)
def test_the_window_has_skew_ahead_and_none_behind(now: int, good: bool) -> None:  # noqa: FBT001
    header = SIGNER.header(b"x", NOW)
    if good:
        accept(header, b"x", now=now)
    else:
        assert refused(header, b"x", now=now) == Code.AUT_SIGNATURE_INVALID


@pytest.mark.parametrize("lifetime", [0, -5, 3601])
def test_a_life_too_long_or_none_is_refused(lifetime: int) -> None:
    header = SIGNER.header(b"x", NOW).replace(f'"{NOW + 300}"', f'"{NOW + lifetime}"')
    assert refused(header, b"x") == Code.AUT_SIGNATURE_INVALID


def test_the_old_digest_label_is_a_switch() -> None:
    text = signature.signing_string(NOW, NOW + 300, signature.digest(b"x", "BLAKE2b-512"))
    claim = signature.read(SIGNER.header(b"x", NOW), ANY)
    value = base64.b64encode(SECRET.sign(text)).decode()
    header = SIGNER.header(b"x", NOW).replace(claim.signature_text, value)
    accept(header, b"x")
    with pytest.raises(Refusal):
        accept(header, b"x", switches=Switches(old_label=False))


def test_the_record_form_of_a_key_id_is_a_switch() -> None:
    header = SIGNER.header(b"x", NOW).replace("bap.example|k1|", "ns/reg/rec|")
    claim = accept(header, b"x")
    assert (claim.subscriber, claim.key) == ("", "ns/reg/rec")
    with pytest.raises(Refusal):
        accept(header, b"x", switches=Switches(record_key_id=False))


def test_an_answer_binds_to_the_request_it_answers() -> None:
    request = signature.read(Signer("bpp", "k", SECRET).header(b"ask", NOW), ANY).signature_text
    other = signature.read(Signer("bpp", "k", SECRET).header(b"else", NOW), ANY).signature_text
    header = SIGNER.header(b"answer", NOW, request)
    assert 'headers="(created) (expires) digest request-signature"' in header
    accept(header, b"answer", answered=(other, request))
    assert refused(header, b"answer", answered=(other,)) == Code.AUT_SIGNATURE_INVALID
    assert refused(header, b"answer") == Code.AUT_SIGNATURE_INVALID
    shorter = header.replace(" request-signature", "")
    assert refused(shorter, b"answer", answered=(request,)) == Code.AUT_SIGNATURE_INVALID


@pytest.mark.parametrize(
    "header",
    [
        "Bearer abc",
        "Signature",
        'Signature keyId="a|b|ed25519"',
        'Signature keyId="a|b|rsa",algorithm="ed25519"',
        "Signature " + "x" * 2000,
    ],
)
def test_malformed_headers_are_refused(header: str) -> None:
    assert refused(header, b"x") == Code.AUT_SIGNATURE_INVALID


def test_no_header_has_its_own_code() -> None:
    assert refused("", b"x") == Code.AUT_SIGNATURE_MISSING


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('algorithm="ed25519"', 'algorithm="hs2019"'),
        ('algorithm="ed25519"', 'algorithm="ed25519",algorithm="ed25519"'),
        ('created="18', 'created="-18'),
        ("|ed25519", "|ED25519"),
        ("(created) (expires) digest", "(created) digest"),
        ('=="', '=" '),
        ('=="', '==\n"'),
    ],
)
def test_every_parameter_is_read_strictly(old: str, new: str) -> None:
    header = SIGNER.header(b"x", NOW)
    assert old in header
    assert refused(header.replace(old, new), b"x") == Code.AUT_SIGNATURE_INVALID


def test_a_second_spelling_of_the_same_signature_is_refused() -> None:
    header = SIGNER.header(b"x", NOW)
    text = signature.read(header, ANY).signature_text
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(text[-3]) | 1]  # stray bits before the padding
    other = f"{text[:-3]}{last}=="
    assert base64.b64decode(other) == base64.b64decode(text)
    if other != text:
        assert refused(header.replace(text, other), b"x") == Code.AUT_SIGNATURE_INVALID


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_small_order_and_uncanonical_keys_are_no_keys(point: str) -> None:
    with pytest.raises(BadKeyError, match="prime-order"):
        PublicKey.of(bytes.fromhex(point))


def test_honest_keys_pass_the_screen(tmp_path: Path) -> None:
    for _ in range(20):
        key = SigningKey.generate()
        assert PublicKey.of(bytes(key.verify_key)).raw == bytes(key.verify_key)
    path = tmp_path / "seed"
    path.write_text(base64.b64encode(b"\x07" * 32).decode() + "\n")
    assert SecretKey.of_file(path).public == SECRET.public
    assert "07" not in repr(SECRET)
    with pytest.raises(BadKeyError, match="expected 32 bytes"):
        SecretKey.of_file(tmp_path / "none")
