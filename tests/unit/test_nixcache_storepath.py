"""Store paths follow from what they name, to the byte as Nix computes them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.nixcache.derivation import Derivation
from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.hashes import Hash
from gfattach.nixcache.storepath import (
    ContentAddress,
    StorePath,
    content_addressed_path,
    parse_base_name,
    parse_content_address,
    parse_store_path,
    text_address,
    text_path,
)
from gfattach.nixcache.target import PROBE_CONTENT, PROBE_NAME, PROBE_PATH


def test_the_probe_path_is_that_of_its_content():
    assert str(text_path(PROBE_NAME, PROBE_CONTENT)) == PROBE_PATH


def test_a_text_that_refers_to_others_as_nix_names_it():
    """`builtins.toFile "refs" "${a} ${b} ${c}\\n"`, where each is `builtins.toFile "a" "a\\n"` and so on."""
    others = [text_path(name, f"{name}\n".encode()) for name in "abc"]
    content = " ".join(map(str, others)).encode() + b"\n"
    assert str(others[0]) == "/nix/store/430rksy9dxpyl50zs25x2fd6w89wfddx-a"
    found = content_addressed_path(text_address(content), "refs", others)
    assert str(found) == "/nix/store/4zyvaxvir8636rafjvi9ijd81cvgcvsb-refs"
    assert content_addressed_path(text_address(content), "refs", reversed(others)) == found


def test_a_derivation_and_its_output_as_nix_names_them():
    """What `nix-instantiate` and `nix-store -q --outputs` print for the same derivation."""
    environment = {"derivations": "", "manifest": "/dev/null"}
    derivation = Derivation("gfattach-trial-signed-v1", "builtin", "builtin:buildenv", environment)
    assert derivation.path.base_name == "szndzwnlmzyvl9921mcr5x2lx6664lq3-gfattach-trial-signed-v1.drv"
    assert derivation.output_path.base_name == "6rqiqhp1q87llsiqwhdas76hqshb8m3b-gfattach-trial-signed-v1"


def test_a_derivation_is_written_as_nix_writes_it():
    text = Derivation("n", "builtin", "b", {"odd": '"\\\n\r\t'}).aterm
    assert text.startswith('Derive([("out","/nix/store/')
    assert r'("odd","\"\\\n\r\t")' in text


@pytest.mark.parametrize(
    ("method", "algorithm", "path"),
    [
        ("flat", "sha256", "9zicq1m4wy4bv50xa4l1jk4kpyy41kih-x"),
        ("flat", "sha1", "mn86j4m8ccag3fxbjcnn16ka4mdx7i1y-x"),
        ("recursive", "sha256", "d6q30mlzfljh7ha1b1m6fnifi34qr99p-x"),
        ("recursive", "sha1", "dii4qkmn9kdb6ziy6psgldkwa3k3gyia-x"),
    ],
)
def test_a_fixed_output_as_nix_names_it(method, algorithm, path):
    """`nix-store --print-fixed-path [--recursive] ALGORITHM HASH x`, the hash being of no bytes."""
    digest = Hash(algorithm, hashlib.new(algorithm, b"").digest())
    assert content_addressed_path(ContentAddress(method, digest), "x").base_name == path


def test_references_change_the_path_of_what_may_have_them():
    address = ContentAddress("recursive", Hash("sha256", bytes(32)))
    other = text_path("a", b"a\n")
    paths = {
        content_addressed_path(address, "x"),
        content_addressed_path(address, "x", [other]),
        content_addressed_path(address, "x", [other], self_reference=True),
        content_addressed_path(address, "x", self_reference=True),
    }
    assert len(paths) == 4


@pytest.mark.parametrize("method", ["flat", "git", "text"])
def test_what_cannot_refer_to_itself_is_refused(method):
    address = ContentAddress(method, Hash("sha256", bytes(32)))
    with pytest.raises(FormatError):
        content_addressed_path(address, "x", self_reference=True)


@given(
    st.sampled_from(["text", "flat", "recursive", "git"]),
    st.sampled_from(["sha1", "sha256"]),
    st.binary(min_size=32, max_size=32),
)
def test_a_content_address_is_read_as_it_was_written(method, algorithm, digest):
    algorithm = "sha256" if method == "text" else algorithm
    address = ContentAddress(method, Hash(algorithm, digest[: 20 if algorithm == "sha1" else 32]))
    assert parse_content_address(str(address)) == address


def test_a_text_is_addressed_by_sha256_alone():
    probe = "text:sha256:188189r0rxabc56p0miylm8rdkrp4kn89sp1k6cy2m30r3akfz63"
    assert str(text_address(PROBE_CONTENT)) == probe
    with pytest.raises(FormatError, match="sha256"):
        parse_content_address(f"text:sha1:{'0' * 40}")
    with pytest.raises(FormatError):
        parse_content_address("nar:sha256:x")


def test_store_paths_are_read_with_their_store():
    assert parse_store_path(PROBE_PATH) == StorePath(PROBE_PATH[11:43], PROBE_NAME)
    assert parse_store_path("/gnu/store/" + PROBE_PATH[11:]).directory == "/gnu/store"


@pytest.mark.parametrize(
    "text",
    ["", "x", PROBE_PATH[11:], PROBE_PATH + "/bin", PROBE_PATH[:43], f"/nix/store/{'e' * 32}-x",
     PROBE_PATH + "\n", f"/nix store/{PROBE_PATH[11:]}", f"//nix/store/{PROBE_PATH[11:]}",
     PROBE_PATH + "a" * 300],
)  # fmt: skip
def test_what_is_no_store_path_is_refused(text):
    with pytest.raises(FormatError):
        parse_store_path(text)


def test_references_are_ordered_by_their_names():
    paths = [parse_base_name(f"{character * 32}-x") for character in "z01a"]
    assert [path.digest[0] for path in sorted(paths)] == ["0", "1", "a", "z"]
