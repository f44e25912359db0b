"""Signatures of store paths: what is signed, by which name, and keys that Nix wrote."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gfattach.nixcache import narinfo
from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.signature import (
    PublicKey,
    SecretKey,
    fingerprint,
    generate_secret_key,
    parse_public_key,
    parse_secret_key,
    parse_signature,
    verify,
)
from gfattach.nixcache.storepath import parse_base_name
from tests.unit.test_nixcache_narinfo import ATTIC, RECORDED

#: The public key that signed the recorded narinfo (`nix-store --generate-binary-cache-key`).
KEY = parse_public_key("gfattach-trial-1:7PxfNMPOUjc41mNZwdiEMyH4eaU5+i/6iPvJPXHvlV4=")


def test_a_signature_that_nix_made_is_verified():
    info = narinfo.parse(RECORDED)
    assert fingerprint(info) == (
        b"1;/nix/store/ahgq43xbag538xns9db82sb0a2nax7a8-gfattach-probe-v1;"
        b"sha256:0q8sqdvm96ggibfysslv2b2szkixzm1760lgkrwq53n9cgprm1di;136;"
    )
    assert verify(KEY, fingerprint(info), parse_signature(info.signatures[0]))


def test_references_are_signed_in_the_order_of_their_names():
    """Nix keeps references as a sorted set, whatever order the narinfo has them in."""
    some = [parse_base_name(f"{character * 32}-x") for character in "z0a"]
    info = replace(narinfo.parse(ATTIC), references=tuple(some))
    ordered = ",".join(f"/nix/store/{character * 32}-x" for character in "0az")
    assert fingerprint(info).decode().split(";")[4] == ordered


@pytest.mark.parametrize(
    "change",
    [
        {"nar_size": 137},
        {"references": (parse_base_name(f"{'a' * 32}-x"),)},
        {"store_path": parse_base_name(f"{'a' * 32}-gfattach-probe-v1")},
    ],
)
def test_a_signature_is_of_one_path_with_its_size_and_references(change):
    info = narinfo.parse(RECORDED)
    other = replace(info, **change)
    assert not verify(KEY, fingerprint(other), parse_signature(info.signatures[0]))


def test_a_signature_says_nothing_of_where_the_nar_is():
    info = narinfo.parse(RECORDED)
    other = replace(info, url="elsewhere", file_hash=None, compression="none")
    assert verify(KEY, fingerprint(other), parse_signature(info.signatures[0]))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.binary(max_size=100))
def test_a_key_verifies_what_it_signed_and_nothing_else(seed, message, other):
    key = SecretKey("name-1", seed)
    signature = parse_signature(key.sign(message))
    assert signature.name == "name-1"
    assert verify(key.public_key, message, signature)
    assert verify(key.public_key, other, signature) == (message == other)


def test_keys_are_read_as_they_were_written():
    key = generate_secret_key("some-cache-1")
    assert parse_secret_key(key.text() + "\n") == key
    assert parse_public_key(str(key.public_key)) == key.public_key
    assert len(base64.b64decode(key.text().partition(":")[2])) == 64


def test_a_secret_key_is_not_shown():
    key = generate_secret_key("some-cache-1")
    assert key.text().partition(":")[2][:20] not in repr(key)
    assert repr(key.seed) not in repr(key)


def test_an_error_does_not_hold_the_secret_key():
    text = generate_secret_key("some-cache-1").text()
    for broken in (text[:-8], text.replace(":", ""), text.replace(":", ":AAAA")):
        with pytest.raises(FormatError) as error:
            parse_secret_key(broken)
        assert text[20:60] not in error.value.fact


def test_a_secret_key_whose_halves_do_not_belong_together_is_refused():
    one, two = generate_secret_key("a"), generate_secret_key("a")
    mixed = base64.b64encode(one.seed + two.public_key.raw).decode()
    with pytest.raises(FormatError, match="halves"):
        parse_secret_key(f"a:{mixed}")


@pytest.mark.parametrize(
    "text",
    ["", "name", ":" + "A" * 43 + "=", "name:", "name:AAAA", "name:" + "!" * 44, "name:" + "A" * 88,
     "na me:" + "A" * 43 + "=", "name:" + "A" * 43 + "=\n"],
)  # fmt: skip
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(FormatError):
        parse_public_key(text)


@given(st.text(max_size=100))
def test_reading_a_signature_fails_in_one_way_only(text):
    try:
        assert len(parse_signature(text).raw) == 64
    except FormatError as error:
        assert error.fact


def test_a_public_key_that_is_no_point_verifies_nothing():
    info = narinfo.parse(RECORDED)
    signature = parse_signature(info.signatures[0])
    assert not verify(PublicKey(KEY.name, b"\xff" * 32), fingerprint(info), signature)
