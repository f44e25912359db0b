"""`gfattach doctor --deep` on rc files with flags that a Bazel does not know, asked of every Bazel here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.machine.bazels import BAZELS, offline_rc

UNKNOWN = "state.flags.unknown"

RC = """\
# what every Bazel here takes
build --copt -O2 --jobs=3 --noremote_upload_local_results
test --test_output=errors
common --//my:flag=1
build --there_is_no_such_flag=1
build:ci --nor_such_a_one
test --test_output=never
run --script_pathe x
query --order_outputs=full
"""

pytestmark = pytest.mark.bazel


@pytest.fixture(params=BAZELS)
def deep(request, machine):
    """`doctor --deep` of one Bazel, on a workspace with such an rc; its findings by code."""
    bazel = BAZELS[request.param]()
    (machine.workspace / "MODULE.bazel").write_text("")
    Path(machine.environment["HOME"], ".bazelrc").write_text(offline_rc(bazel))

    def run(text, code):
        (machine.workspace / ".bazelrc").write_text(text)
        document = machine.json("doctor", "--deep", "--no-nix", "--bazel", str(bazel.path), code=code)
        return document["result"]["verdict"], [
            finding for stage in document["stages"] for finding in stage["findings"]
        ]

    yield run
    assert machine.processes() == []


def test_each_flag_that_this_bazel_does_not_take_is_named_where_it_stands(deep):
    verdict, findings = deep(RC, 1)
    found = {
        (each["data"]["line"], each["data"]["option"]): each["status"]
        for each in findings
        if each["code"] == UNKNOWN
    }
    assert found == {
        (5, "there_is_no_such_flag"): "fail",
        (6, "nor_such_a_one"): "warn",
        (7, "test_output"): "fail",
        (8, "script_pathe"): "fail",
        (9, "order_outputs"): "fail",
    }
    assert "there_is_no_such_flag" in verdict["sentence"]


@pytest.mark.parametrize("deep", ["debian-4.2.3"], indirect=True)
def test_an_rc_whose_flags_are_all_taken_is_said_to_be_so(deep):
    _, findings = deep("".join(RC.splitlines(keepends=True)[:4]), 0)
    assert [each["code"] for each in findings if each["probe"].startswith("rc.flags")] == [
        "state.flags.known"
    ]
