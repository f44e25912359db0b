"""`gfattach prove --nix-path`: a store path that a person names, from a cache that a real Nix made."""

from __future__ import annotations

import shutil

import pytest

from tests.harness.machine.nixes import UNPUBLISHED, make_cache, real_nix, serving_files

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return make_cache(real_nix(), tmp_path_factory.mktemp("cache"))


@pytest.fixture
def attached(machine, cache):
    """A machine that is attached to the cache, whose site names no signed path."""
    with serving_files(cache.directory) as port:
        url = f"http://127.0.0.1:{port}"
        machine.json("up", "--substituter", url, "--public-key", cache.public_key, "--no-bazel")
        yield machine


def phases(document):
    return {phase["phase"]: phase for phase in document["result"]["phases"] if phase["client"] == "nix"}


def test_a_named_path_comes_with_its_stages_and_bytes_and_proves_the_key(attached, cache):
    inside = f"{cache.signed_path}/bin/whatever"
    document = attached.json("prove", "--no-bazel", "--nix-path", inside)
    hit, control = phases(document)["hit"], phases(document)["control"]
    assert document["result"]["verdict"] == "proved"
    assert (hit["asked"], hit["hits"], hit["local"], control["hits"]) == (2, 2, 0, 0)
    assert hit["paths"][cache.signed_path] == "hit" and hit["key_proved"] is True
    assert {"info", "narinfo", "nar"} <= set(hit["stages"]) and hit["bytes"] > 100
    assert "to_first_hit" in hit


def test_a_person_reads_the_stages_and_the_bytes(attached, cache):
    done = attached.run("prove", "--no-bazel", "--nix-path", cache.signed_path, "--output", "plain")
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "bytes of NARs" in line)
    assert all(stage in line for stage in ("info ", "narinfo ", "nar "))


def test_a_path_that_the_cache_has_not_got_is_left_unproved(attached):
    document = attached.json("prove", "--no-bazel", "--nix-path", UNPUBLISHED, code=4)
    assert phases(document)["hit"]["paths"][UNPUBLISHED] == "not-published"


def test_up_takes_a_named_path_along(machine, cache):
    with serving_files(cache.directory) as port:
        site = ("--substituter", f"http://127.0.0.1:{port}", "--public-key", cache.public_key)
        document = machine.json("up", *site, "--no-bazel", "--nix-path", cache.signed_path, "--require-hit")
    assert phases(document)["hit"]["paths"][cache.signed_path] == "hit"
    assert machine.json("up", *site, "--nix-path", "/etc", code=2)["error"]["code"] == "nix.path"


@pytest.mark.parametrize("path", ["/etc/passwd", "/nix/store/abc", "firefox", f"{UNPUBLISHED}.drv"])
def test_what_is_no_path_of_a_cache_is_refused_before_anything_is_asked(attached, path):
    document = attached.json("prove", "--nix-path", path, code=2)
    assert document["error"]["code"] == "nix.path"
    assert document["stages"] == []


def test_without_a_nix_to_realise_it_the_program_is_missing(attached, cache):
    tools = attached.root / "tools"
    tools.mkdir()
    (tools / "git").symlink_to(shutil.which("git"))
    attached.variables["PATH"] = str(tools)
    document = attached.json("prove", "--no-bazel", "--nix-path", cache.signed_path, code=127)
    assert "there is no Nix" in document["error"]["fact"]
    left_out = attached.json("prove", "--no-bazel", "--no-nix", "--nix-path", cache.signed_path, code=127)
    assert "--no-nix" in left_out["error"]["fact"]


def test_without_a_substituter_there_is_nothing_to_take_it_from(machine, cache):
    """An attachment to a Bazel cache alone; that it is a trial's matters to nobody."""
    trial = machine.json("up", "--trial", "--no-bazel", "--no-nix")["result"]["endpoints"]
    attached = machine.root / "other"
    attached.mkdir()
    up = ("up", "--workspace", str(attached), "--cache", trial["cache"], "--no-bazel", "--no-nix")
    done = machine.run(*up)
    assert done.returncode == 0, done.stderr
    options = ("--workspace", str(attached), "--no-bazel", "--nix-path", cache.signed_path)
    document = machine.json("prove", *options, code=2)
    assert document["error"]["code"] == "prove.no-substituter"
    machine.run("down", "--workspace", str(attached))
