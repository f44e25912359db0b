"""Where each file of a fetch goes, and what covers an input: names, layers, and what stands in the way."""

import os

import pytest

from gfattach.bazel.external.distdir import layers_of
from gfattach.core.errors import UsageError
from gfattach.inputs.contract.coverage import Coverage, cover, shelf_of
from gfattach.inputs.contract.document import Contract, made_of, read_contract
from gfattach.inputs.materialise.plan import plan_distdir, plan_repository_cache
from gfattach.inputs.model.input import Input, Kind
from tests.harness.inputs.contracts import archive, write

ONE = archive("one", b"one", "https://h/one/archive/v1.0.tar.gz")
TWO = archive("two", b"two", "https://h/two/archive/v1.0.tar.gz")
THREE = archive("three", b"three", "https://h/three/archive/v1.0.tar.gz")
SAME = archive("same", b"one", "https://m/v1.0.tar.gz")


def places(inputs, directory):
    return [
        (str(task.place.relative_to(directory)), task.occupied) for task in plan_distdir(inputs, directory)
    ]


def put(directory, name, content):
    file = directory / name
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_bytes(content)


def test_names_that_collide_get_a_layer_each_and_the_same_bytes_one_file(tmp_path):
    found = places([ONE, TWO, THREE, SAME], tmp_path)
    assert found == [("v1.0.tar.gz", ""), ("layer-1/v1.0.tar.gz", ""), ("layer-2/v1.0.tar.gz", "")]


def test_what_is_there_stays_where_it_is(tmp_path):
    put(tmp_path, "v1.0.tar.gz", b"three")
    put(tmp_path, "layer-1/v1.0.tar.gz", b"one")
    found = dict(zip(["one", "two", "three"], places([ONE, TWO, THREE], tmp_path), strict=True))
    assert found == {
        "one": ("layer-1/v1.0.tar.gz", ""),
        "two": ("layer-2/v1.0.tar.gz", ""),
        "three": ("v1.0.tar.gz", ""),
    }


@pytest.mark.parametrize("what", ["other bytes", "a link", "no regular file"])
def test_what_is_not_the_input_is_not_passed_over(tmp_path, what):
    if what == "a link":
        put(tmp_path / "elsewhere", "x", b"one")
        (tmp_path / "v1.0.tar.gz").symlink_to(tmp_path / "elsewhere/x")
    elif what == "other bytes":
        put(tmp_path, "v1.0.tar.gz", b"somebody's")
    else:
        os.mkfifo(tmp_path / "v1.0.tar.gz")
    assert places([ONE], tmp_path) == [("v1.0.tar.gz", what)]


def test_a_repository_cache_has_a_file_a_checksum_and_a_mark_a_list_of_urls(tmp_path):
    (task,) = plan_repository_cache([ONE, SAME], tmp_path)
    assert task.place == tmp_path / "content_addressable/sha256" / ONE.checksum.hex / "file"
    assert len({mark.name for mark in task.marks}) == 2
    assert all(mark.name.startswith("id-") and mark.parent == task.place.parent for mark in task.marks)


def states(inputs, *distdirs, cache=None):
    return {each.input.name: each.coverage for each in cover(inputs, shelf_of(distdirs, cache))}


def test_each_state_of_coverage_is_told_apart(tmp_path):
    put(tmp_path, "v1.0.tar.gz", b"one")
    put(tmp_path, "wrong.zip", b"other")
    inputs = [
        ONE,
        TWO,
        archive("gone", b"gone", "https://h/gone.zip"),
        archive("wrong", b"right", "https://h/wrong.zip"),
        Input("unhashed", Kind.UNHASHED, ("https://h/u.zip",), files=("u.zip",)),
        Input("git", Kind.GIT, ("https://h/r.git",)),
        Input("own", Kind.OWN),
    ]
    assert states(inputs, tmp_path) == {
        "one": Coverage.COVERED,
        "two": Coverage.COLLIDES,
        "gone": Coverage.MISSING,
        "wrong": Coverage.WRONG_BYTES,
        "unhashed": Coverage.UNCOVERABLE,
        "git": Coverage.UNCOVERABLE,
        "own": Coverage.UNCOVERABLE,
    }
    put(tmp_path, "layer-1/v1.0.tar.gz", b"two")
    assert layers_of(tmp_path) == (tmp_path, tmp_path / "layer-1")
    assert states([TWO], tmp_path) == {"two": Coverage.COVERED}


def test_bytes_are_compared_by_the_algorithm_that_was_declared(tmp_path):
    put(tmp_path, "a", b"content")
    inputs = [
        archive(name, b"content", "https://h/a", algorithm=name) for name in ("sha256", "sha384", "sha512")
    ]
    assert set(states(inputs, tmp_path).values()) == {Coverage.COVERED}


def test_a_repository_cache_covers_registry_files_too_and_is_read_itself(tmp_path):
    registry = Input("registry", Kind.REGISTRY, ("https://r/x",), ONE.checksum)
    assert states([registry, ONE], cache=tmp_path) == {"registry": Coverage.MISSING, "one": Coverage.MISSING}
    put(tmp_path / "content_addressable/sha256", f"{ONE.checksum.hex}/file", b"one")
    assert set(states([registry, ONE], cache=tmp_path).values()) == {Coverage.COVERED}
    put(tmp_path / "content_addressable/sha256", f"{ONE.checksum.hex}/file", b"bad")
    assert set(states([registry, ONE], cache=tmp_path).values()) == {Coverage.WRONG_BYTES}
    assert states([registry], tmp_path) == {"registry": Coverage.UNCOVERABLE}


def test_a_contract_keeps_what_it_says_of_other_platforms():
    here = archive("one", b"one", "https://h/one", platforms=("linux-x86_64",))
    there = archive("two", b"two", "https://h/two", platforms=("darwin-arm64",))
    both = archive("one", b"one", "https://h/one", platforms=("linux-x86_64", "darwin-arm64"))
    gone = archive("three", b"three", "https://h/three", platforms=("linux-x86_64",))
    before = Contract((both, there, gone), accepted={"git": "for now"})
    made = made_of([here], ["//a"], "7.7.1", before, "linux-x86_64")
    assert {each.name: set(each.platforms) for each in made.inputs} == {
        "one": {"linux-x86_64", "darwin-arm64"},
        "two": {"darwin-arm64"},
    }
    assert [each.name for each in made.on("linux-x86_64")] == ["one"]
    assert made.accepted == {"git": "for now"}


def test_a_contract_is_read_back_and_another_file_is_refused(tmp_path):
    path = write(tmp_path / "c.json", ONE, targets=("//a",))
    assert read_contract(path) == Contract((ONE,), ("//a",))
    for text in (
        "{}",
        "[]",
        '{"schema": "gfattach.inputs/2", "inputs": []}',
        '{"schema": "gfattach.inputs/1"}',
    ):
        path.write_text(text)
        with pytest.raises(UsageError) as caught:
            read_contract(path)
        assert caught.value.code == "inputs.contract.format"
    with pytest.raises(UsageError) as caught:
        read_contract(tmp_path / "none.json")
    assert caught.value.code == "inputs.contract.missing"
