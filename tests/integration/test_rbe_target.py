"""`gfattach rbe target` with a real Bazel: which targets there are, and which no class names."""

import json

import pytest

from gfattach.cli.main import run
from tests.harness.execution.workspaces import make_workspace, old_bazel

pytestmark = pytest.mark.bazel


@pytest.fixture
def workspace(tmp_path):
    return make_workspace(tmp_path / "letters")


def ask(capsys, workspace, *args):
    program, _ = old_bazel()
    words = ["rbe", "target", *args, "--workspace", str(workspace), "--bazel", program, "--output", "json"]
    code = run(words)
    return code, json.loads(capsys.readouterr().out)


def test_the_targets_that_no_class_names_are_shown(workspace, capsys):
    with (workspace / "BUILD.bazel").open("a") as file:
        file.write('genrule(name = "new", outs = ["n"], cmd = "touch $@")\n')
    code, document = ask(capsys, workspace)
    assert code == 0, document
    result = document["result"]
    assert result["unnamed"] == ["//:new"]
    assert result["targets"]["//:b"] == "candidate" and result["targets"]["//:new"] == "not listed"
    assert ask(capsys, workspace, "//:new")[0] == 1


def test_a_package_that_cannot_be_loaded_is_said_and_the_others_are_shown(workspace, capsys):
    (workspace / "broken").mkdir()
    (workspace / "broken/BUILD").write_text("nonsense(\n")
    code, document = ask(capsys, workspace)
    codes = {each["code"] for stage in document["stages"] for each in stage["findings"]}
    assert code == 0 and "rbe.targets.partly" in codes
    assert "//:b" in document["result"]["targets"]


def test_a_bazel_that_cannot_answer(workspace, capsys):
    (workspace / ".bazelrc").write_text("query --no_such_flag\n")
    code, document = ask(capsys, workspace)
    assert (code, document["error"]["code"]) == (2, "bazel.query")
