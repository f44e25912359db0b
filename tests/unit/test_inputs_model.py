"""The nouns of external inputs: checksums as bytes, URLs without credentials, names in a distdir."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.bazel.external.distdir import file_names
from gfattach.core.errors import UsageError
from gfattach.inputs.inventory.mentions import module_name
from gfattach.inputs.model.checksum import ALGORITHMS, Checksum
from gfattach.inputs.model.input import Input, Kind, clean_url, holds_credential
from tests.harness.inputs.contracts import archive


@given(st.binary(), st.sampled_from(sorted(ALGORITHMS)))
def test_hex_and_integrity_of_the_same_bytes_are_the_same_checksum(content, algorithm):
    digest = hashlib.new(algorithm, content).digest()
    said = f"{algorithm}-{base64.b64encode(digest).decode()}"
    assert Checksum.parse(said) == Checksum.parse(digest.hex()) == Checksum.parse(digest.hex().upper())
    assert Checksum.parse(said).sri == said and Checksum.parse(said).hex == digest.hex()


@pytest.mark.parametrize(
    "said", ["", "sha256", "sha256-", "sha256-AAAA", "md5-" + "A" * 22 + "==", "ab" * 20, "zz" * 32, "sha1-x"]
)
def test_what_is_no_checksum_is_refused(said):
    with pytest.raises(UsageError) as caught:
        Checksum.parse(said)
    assert caught.value.code == "inputs.checksum"


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://h/a.tar.gz", "https://h/a.tar.gz"),
        ("https://user:canary@h:8/a?x=1", "https://h:8/a?x=1"),
        ("https://canary@h/a", "https://h/a"),
        ("https://h/a?token=canarycanary", "https://h/a?token=***"),
        ("http://[broken", "***"),
    ],
)
def test_a_url_is_shown_without_its_credential(url, clean):
    assert clean_url(url) == clean
    assert holds_credential(url) is (url != clean)


@pytest.mark.parametrize(
    ("urls", "output", "type_", "names"),
    [
        (["https://h/x/v1.0.tar.gz?raw=1"], "", "", ("v1.0.tar.gz",)),
        (["https://h/x/q.txt"], "file/three.txt", "", ("q.txt", "three.txt")),
        (["https://h/download/5"], "", "zip", ("5", "5.zip")),
        (["https://h/a%2Bb.zip"], "", "", ("a%2Bb.zip", "a_2Bb.zip")),
        (["https://h/"], "file/downloaded", "", ("downloaded",)),
        (["https://h/first.zip", "https://m/second.zip"], "", "", ("first.zip",)),
        (["https://h/x/.."], "", "", ()),
        ([], "file/x", "", ()),
    ],
)
def test_the_names_in_a_distdir_are_those_that_bazel_looks_for(urls, output, type_, names):
    assert file_names(urls, output, type_) == names


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("one", "one"),
        ("lib~", "lib"),
        ("lib~1.2", "lib"),
        ("lib+", "lib"),
        ("_main~_repo_rules~one", "one"),
        ("+_repo_rules+one", "one"),
        ("rules_jvm_external~~maven~maven", "maven"),
        ("rules_jvm_external++maven+maven", "maven"),
    ],
)
def test_a_repository_of_modules_has_the_name_that_a_person_gave_it(repository, name):
    assert module_name(repository) == name


@pytest.mark.parametrize(
    ("url", "generated"),
    [
        ("https://github.com/o/r/archive/refs/tags/v0.2.3.tar.gz", True),
        ("https://github.com/o/r/archive/v0.2.3.zip", True),
        ("https://gitlab.com/o/r/-/archive/v1/r-v1.tar.gz", True),
        ("https://github.com/o/r/releases/download/v1/r.tar.gz", False),
        ("https://h/archive.tar.gz", False),
    ],
)
def test_an_archive_that_a_forge_makes_is_known_by_its_url(url, generated):
    assert archive("x", b"", url).generated is generated


@pytest.mark.parametrize(
    ("kind", "distdir", "cache"),
    [
        (Kind.ARCHIVE, True, True),
        (Kind.REGISTRY, False, True),
        (Kind.GIT, False, False),
        (Kind.UNHASHED, False, False),
        (Kind.OWN, False, False),
    ],
)
def test_what_can_cover_an_input_follows_from_its_class(kind, distdir, cache):
    item = archive("x", b"x", "https://h/x")
    item = Input(item.name, kind, item.urls, item.checksum, files=item.files)
    assert (item.by_distdir, item.by_repository_cache) == (distdir, cache)


def test_an_input_survives_its_json():
    item = archive("x (fix.patch)", b"x", "https://h/fix.patch", size=1, targets=("//a",), platforms=("p",))
    assert Input.from_json(item.as_json()) == item
    assert item.repository == "x"
