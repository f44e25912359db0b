"""Inputs that come by modules, from a registry on loopback, with each Bazel that has modules.

What a lock file holds of a registry is read where there is one: those of each format are in
tests/unit/test_bazel_external.py, and here is what the Bazel at hand writes.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from gfattach.bazel.external.lockfile import LOCK_NAME, read_lock
from tests.harness.inputs.registry import Registry
from tests.harness.inputs.upstream import serving
from tests.harness.inputs.workspaces import make_modules
from tests.harness.machine.bazels import BAZELS
from tests.harness.machine.budget import budget
from tests.harness.machine.developer import make_machine

pytestmark = pytest.mark.bazel

ABLE = [label for label in BAZELS if not label.startswith(("upstream-2.", "debian-4."))]

FILES = {"lib", "lib (extra.txt)", "lib (fix.patch)", "other", "plain"}


@pytest.fixture(scope="module", params=ABLE)
def ran(request, tmp_path_factory):
    """The documents: listed with a registry over HTTP, and then with the same one as files."""
    bazel = BAZELS[request.param]()
    machine = make_machine(tmp_path_factory.mktemp("modules"))
    machine.variables["BAZEL_BIN"] = str(bazel.path)
    with serving() as upstream:
        registry = Registry(upstream)
        make_modules(machine, upstream, registry)
        rc = machine.workspace / ".bazelrc"
        rc.write_text(f"common --registry={registry.url}\n")
        documents = {"list": machine.json("inputs", "list", "//:good")}
        rc.write_text(f"common --registry={registry.write(machine.root / 'registry')}\n")
        before = machine.files()
        words = ["contract", "//:good", "--write", "gfattach-inputs.json"]
        documents["contract"] = machine.json("inputs", *words)
        documents["fetch"] = machine.json("inputs", "fetch", "--distdir", "../distdir")
        documents["cache"] = machine.json("inputs", "fetch", "--repository-cache", "../cache", code=1)
        upstream.requests.clear()
        documents["prove"] = machine.json("inputs", "prove", "--distdir", "../distdir", "--without", "lib")
        assert upstream.paths() == []
        after = machine.files()
        after.pop("gfattach-inputs.json")
        assert after == before
        write_lock(bazel, machine)
        documents["lock"] = {"result": (machine.workspace / LOCK_NAME).read_text()}
        documents["declared"] = machine.json("inputs", "list", "//:good", "--declared-only")
    yield {name: document["result"] for name, document in documents.items()} | {"machine": machine}
    assert machine.processes() == []


def write_lock(bazel, machine):
    """Have the Bazel itself write its lock file, as a person's build does."""
    own = [str(bazel.path), *bazel.startup, f"--output_user_root={machine.root / 'own'}"]
    for words in (["build", "--nobuild", "--lockfile_mode=update", "//:good"], ["shutdown"]):
        done = subprocess.run(
            [*own, *words],
            cwd=machine.workspace,
            env=machine.environment,
            capture_output=True,
            text=True,
            timeout=budget(240),
        )
        assert done.returncode == 0, done.stderr


def test_archives_patches_overlays_and_the_registrys_own_files_are_listed_apart(ran):
    found = {each["name"]: each for each in ran["list"]["inputs"]}
    archives = {name for name, each in found.items() if each["class"] == "archive"}
    assert archives >= FILES
    registry = {name: each for name, each in found.items() if each["class"] == "registry-file"}
    assert {"registry MODULE.bazel of lib 1.0", "registry bazel_registry.json"} & set(registry)
    assert any(name.startswith("registry source.json for http://127.0.0.1") for name in registry)
    assert set(found["plain"]["sources"]) == {"MODULE.bazel", "observed"}
    assert "registry" in found["lib"]["sources"] and "registry" in found["lib (fix.patch)"]["sources"]


def test_the_lock_file_that_this_bazel_writes_is_a_hint_and_no_more(ran):
    """Debian's 7.7.1 writes an object with nothing in it; what was observed does not depend on it."""
    lock = read_lock(ran["machine"].workspace)
    if ran["lock"].strip() == "{}":
        assert lock is None
    else:
        assert lock.version >= 11 and {"lib", "other"} <= {each.name for each in lock.modules}
    assert (ran["machine"].workspace / LOCK_NAME).read_text() == ran["lock"]
    declared = {each["name"]: set(each["sources"]) for each in ran["declared"]["inputs"]}
    assert "MODULE.bazel" in declared["plain"]
    assert ("lib" in declared) == (lock is not None)


def test_modules_whose_archives_have_one_name_are_fetched_into_layers(ran):
    distdir = ran["machine"].root / "distdir"
    assert (distdir / "v1.0.tar.gz").read_bytes() != (distdir / "layer-1/v1.0.tar.gz").read_bytes()
    assert {"extra.txt", "fix.patch", "plain.txt"} <= {path.name for path in distdir.iterdir()}


def test_registry_files_are_named_as_what_no_distdir_covers(ran):
    uncoverable = ran["fetch"]["uncoverable"]
    assert uncoverable and all(name.startswith("registry ") for name in uncoverable)


def test_the_build_is_proved_with_a_registry_of_files_and_the_control_names_the_module(ran):
    proof = ran["prove"]
    assert (proof["proved"], proof["built"], proof["fetches"], proof["holes"]) == (True, True, [], [])
    assert proof["control"]["taken"] == "lib" and proof["control"]["named"]
    json.dumps(proof)
