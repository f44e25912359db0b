"""Every kind of input of a WORKSPACE, with real Bazels: listed, declared, fetched, checked, proved.

The commands are run once for each Bazel, in the order in which a person runs them; what came of each is what
the tests read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.harness.inputs.upstream import Upstream, serving
from tests.harness.inputs.workspaces import CANARY, URL_CANARY, make_workspace, private_login
from tests.harness.machine.bazels import BAZELS
from tests.harness.machine.developer import Machine, findings, make_machine

pytestmark = pytest.mark.bazel

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/schema/inputs-v1.json").read_text())

#: What a Bazel with modules needs to read a WORKSPACE.
RC = "build --noenable_bzlmod --enable_workspace\nquery --noenable_bzlmod --enable_workspace\n"

#: 2.1.0 has no integrity, and no name for the flag that forbids downloads.
ABLE = [label for label in BAZELS if not label.startswith("upstream-2.")]

GOOD = ("mirrored", "one", "plain", "private", "sri", "two")


@dataclass
class Ran:
    """The documents of all commands, and what they left."""

    machine: Machine
    upstream: Upstream
    bazel: str
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: dict[str, list[str]] = field(default_factory=dict)

    def run(self, name: str, *words: str, code: int) -> None:
        self.upstream.requests.clear()
        self.documents[name] = self.machine.json("inputs", *words, code=code)
        self.requests[name] = self.upstream.paths()

    def result(self, name: str) -> dict[str, Any]:
        return self.documents[name]["result"]


@pytest.fixture(scope="module", params=ABLE)
def ran(request, tmp_path_factory):
    bazel = BAZELS[request.param]()
    machine = make_machine(tmp_path_factory.mktemp("inputs"))
    machine.variables["BAZEL_BIN"] = str(bazel.path)
    with serving() as upstream:
        made = Ran(machine, upstream, request.param)
        make_workspace(machine, upstream)
        if bazel.version is not None:
            (machine.workspace / ".bazelrc").write_text(RC)
        private_login(machine)
        before = machine.files()
        made.run("list", "list", "//:good", "//:holes", "//:bad", code=1)
        made.run("contract", "contract", "//:good", "--write", "gfattach-inputs.json", code=0)
        made.run("fetch", "fetch", "--distdir", "../distdir", code=0)
        made.run("check", "check", "--distdir", "../distdir", code=0)
        made.run("prove", "prove", "--distdir", "../distdir", "--without", "two", code=0)
        after = machine.files()
        after.pop("gfattach-inputs.json")
        assert after == before  # to look, to fetch and to prove writes nothing into the workspace
        yield made
    assert machine.processes() == []


def listed(ran):
    return {each["name"]: each for each in ran.result("list")["inputs"]}


def test_each_input_has_its_class_and_says_whether_a_distdir_can_cover_it(ran):
    assert {name: each["class"] for name, each in listed(ran).items()} == {
        **dict.fromkeys((*GOOD, "wrong", "missing", "regenerated", "leak"), "archive"),
        "unhashed": "unhashed",
        "git": "git",
        "downloader": "own-downloader",
    }


def test_what_is_declared_by_the_workspace_and_what_was_observed_is_said(ran):
    sources = {name: set(each["sources"]) for name, each in listed(ran).items()}
    assert sources["plain"] == {"WORKSPACE", "observed"}
    assert listed(ran)["plain"]["targets"] == ["//:good"]
    assert listed(ran)["git"]["targets"] == ["//:holes"]
    assert listed(ran)["plain"]["size"] == len(b"plain")


def test_each_hole_of_upstream_is_named(ran):
    said = {name: each["unreachable"] for name, each in listed(ran).items() if each["unreachable"]}
    assert set(said) == {"wrong", "missing", "regenerated"}
    assert said["missing"] == "upstream did not give it"
    assert said["wrong"] == "upstream gave other bytes than its checksum says"
    assert said["regenerated"].endswith(": a regenerated archive?")
    codes = {found["code"] for found in findings(ran.documents["list"]).values()}
    assert {"inputs.unreachable", "inputs.credential.url", "inputs.incomplete"} <= codes


def test_several_urls_of_which_one_answers_are_no_hole(ran):
    assert len(listed(ran)["mirrored"]["urls"]) == 2 and listed(ran)["mirrored"]["unreachable"] is None


def test_no_secret_is_in_any_output_or_file(ran):
    assert listed(ran)["leak"]["credential_in_url"] is True
    for secret in (CANARY, URL_CANARY):
        assert secret not in json.dumps(ran.documents)
        for path in ran.machine.root.rglob("*"):
            if path.is_file() and path.name not in (".netrc", "WORKSPACE"):
                assert secret.encode() not in path.read_bytes(), path


def test_the_contract_is_what_the_targets_need_and_fits_its_schema(ran):
    document = json.loads((ran.machine.workspace / "gfattach-inputs.json").read_text())
    jsonschema.validate(document, SCHEMA)
    assert tuple(each["name"] for each in document["inputs"]) == GOOD
    assert ran.result("contract")["contract"] == document


def test_colliding_names_are_fetched_into_layers(ran):
    distdir = ran.machine.root / "distdir"
    assert sorted(path.name for path in distdir.iterdir()) == [
        *("layer-1", "m.tar.gz", "plain.txt", "private.txt", "sri.txt", "v1.0.tar.gz"),
    ]
    assert [path.name for path in (distdir / "layer-1").iterdir()] == ["v1.0.tar.gz"]


def test_a_check_covers_all_and_asks_nobody(ran):
    assert ran.result("check")["covered"] == len(GOOD) and ran.result("check")["holes"] == 0
    assert ran.result("check")["unneeded"] == [] == ran.result("check")["undeclared"]
    assert ran.requests["check"] == []


def test_the_build_is_proved_from_the_distdirs_alone_and_the_control_names_what_it_lacks(ran):
    proof = ran.result("prove")
    assert (proof["proved"], proof["built"], proof["fetches"], proof["holes"]) == (True, True, [], [])
    assert proof["inputs_used"] == proof["inputs_declared"] == len(GOOD)
    assert proof["isolation"] == "namespace"
    assert {key: proof["control"][key] for key in ("taken", "failed", "named")} == {
        "taken": "two",
        "failed": True,
        "named": True,
    }
    assert ran.requests["prove"] == []
