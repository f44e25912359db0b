"""Base 32 as Nix writes it, and the hashes that are written in it."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.nixcache import nix32
from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.hashes import SIZES, Hash, parse_hash

EMPTY = hashlib.sha256(b"").digest()

hashes = st.sampled_from(sorted(SIZES)).flatmap(
    lambda name: st.builds(Hash, st.just(name), st.binary(min_size=SIZES[name], max_size=SIZES[name]))
)


def test_what_nix_prints_for_the_empty_file():
    """`nix-hash --type sha256 --base32 --flat /dev/null`, and the same in base 16."""
    assert nix32.encode(EMPTY) == "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
    assert nix32.encode(b"\xff") == "7z"
    assert nix32.encode(b"") == ""


@given(st.binary(max_size=80))
def test_decoding_gives_back_what_was_encoded(data):
    text = nix32.encode(data)
    assert len(text) == nix32.encoded_length(len(data))
    assert set(text) <= set(nix32.ALPHABET)
    assert nix32.decode(text) == data


@given(st.text(alphabet=nix32.ALPHABET + "eout", max_size=60))
def test_a_text_has_at_most_one_meaning(text):
    """Whatever is decoded is what its bytes are encoded as: no two texts name one path."""
    try:
        data = nix32.decode(text)
    except FormatError:
        return
    assert nix32.encode(data) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0e", "holds 'e'"),
        ("0", "characters"),
        ("000", "characters"),
        ("zz", "too large"),
        ("0é", "holds 'é'"),
    ],
)
def test_what_is_no_base_32_is_named(text, reason):
    with pytest.raises(FormatError, match=reason):
        nix32.decode(text)


@given(hashes)
def test_every_way_to_write_a_hash_is_read(value):
    encoded = base64.b64encode(value.digest).decode()
    for text in (
        value.nix32,
        f"{value.algorithm}:{value.hex}",
        f"{value.algorithm}:{encoded}",
        f"{value.algorithm}-{encoded}",
    ):
        assert parse_hash(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "sha256", "sha256:", f"sha3:{EMPTY.hex()}", f"sha256:{EMPTY.hex()}00", f"sha256:{'g' * 64}",
     f"sha256-{EMPTY.hex()}", f"sha256:{'A' * 43}!", "sha256:" + "A" * 44, "md5:" + "z" * 26],
)  # fmt: skip
def test_what_is_no_hash_is_refused(text):
    with pytest.raises(FormatError):
        parse_hash(text)


@given(st.text(max_size=120))
def test_reading_a_hash_fails_in_one_way_only(text):
    try:
        parse_hash(text)
    except FormatError as error:
        assert error.fact
