"""The Nix archive, byte for byte."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.nixcache.nar import Directory, Measure, Regular, Symlink, hash_of, serialise
from gfattach.nixcache.target import PROBE_CONTENT


def test_the_archive_of_the_probe_is_that_of_nix():
    """`nix-store --dump` of the path that `builtins.toFile` made."""
    archive = serialise(Regular(PROBE_CONTENT))
    assert len(archive) == 136
    assert hash_of(archive).nix32 == "sha256:0q8sqdvm96ggibfysslv2b2szkixzm1760lgkrwq53n9cgprm1di"


def test_the_archive_of_the_signed_path_is_that_of_nix():
    """`nix-store --dump` of what `builtin:buildenv` made of an empty environment."""
    archive = serialise(Directory({"manifest.nix": Symlink("/dev/null")}))
    assert len(archive) == 304
    assert hash_of(archive).nix32 == "sha256:0ks2zbx1w8l10i9mz0f72bm7hia2i2kgbqzskjg68h3pmjndj3qy"


def test_entries_stand_in_the_order_of_their_bytes():
    archive = serialise(Directory({name: Regular(b"") for name in ("b", "é", "a", "B")}))
    places = [archive.index(name.encode() + b"\0") for name in ("B", "a", "b", "é")]
    assert places == sorted(places)


def test_an_executable_is_another_archive():
    assert serialise(Regular(b"x", executable=True)) != serialise(Regular(b"x"))
    assert b"executable" in serialise(Regular(b"x", executable=True))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
def test_a_name_that_no_directory_can_hold_is_refused(name):
    with pytest.raises(ValueError, match="name of an entry"):
        serialise(Directory({name: Regular(b"")}))


trees = st.recursive(
    st.builds(Regular, st.binary(max_size=40), st.booleans())
    | st.builds(Symlink, st.text(alphabet="ab/.é", min_size=1, max_size=10)),
    lambda inner: st.builds(
        Directory, st.dictionaries(st.text(alphabet="abcé", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(trees)
def test_every_part_begins_at_a_multiple_of_8(tree):
    archive = serialise(tree)
    assert len(archive) % 8 == 0
    assert archive.startswith(b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0")


@given(st.lists(st.binary(max_size=50), max_size=8))
def test_a_stream_is_measured_in_pieces_as_in_one(pieces):
    measure = Measure()
    for piece in pieces:
        measure.update(piece)
    whole = b"".join(pieces)
    assert (measure.size, measure.hash.digest) == (len(whole), hashlib.sha256(whole).digest())
