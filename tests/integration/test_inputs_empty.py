"""`gfattach inputs` in a workspace that has no target yet, asked of every Bazel here."""

from pathlib import Path

import pytest

from tests.harness.machine.bazels import BAZELS, offline_rc

pytestmark = pytest.mark.bazel


@pytest.fixture(params=BAZELS)
def empty(request, machine):
    bazel = BAZELS[request.param]()
    Path(machine.environment["HOME"], ".bazelrc").write_text(offline_rc(bazel))
    machine.variables["BAZEL_BIN"] = str(bazel.path)
    return machine


def test_there_is_nothing_to_list_and_that_is_no_failure(empty):
    document = empty.json("inputs", "list")
    found = {
        finding["code"]: finding["seen"] for stage in document["stages"] for finding in stage["findings"]
    }
    assert found["inputs.listed"] == "needed: 0 inputs"


@pytest.mark.parametrize("empty", ["debian-4.2.3"], indirect=True)
def test_a_package_that_cannot_be_loaded_is_one(empty):
    (empty.workspace / "BUILD.bazel").write_text("there_is_no_such_rule(name = 'a')\n")
    document = empty.json("inputs", "list", code=1)
    assert "inputs.incomplete" in {each["code"] for stage in document["stages"] for each in stage["findings"]}
