"""`inputs check`, `inputs authority` and `site authority` as commands: without a Bazel or a cluster."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from gfattach.cli import main
from gfattach.codes.catalogue import groups
from gfattach.core.errors import ExitCode
from gfattach.core.paths import config_directory
from gfattach.inputs.authority.states import State
from gfattach.inputs.codes import CODES
from gfattach.inputs.contract.document import Contract
from gfattach.inputs.materialise import fetch
from gfattach.inputs.model.input import Input, Kind
from tests.harness.inputs.contracts import archive, write
from tests.harness.inputs.upstream import serving

ROOT = Path(__file__).parents[2]
REPORT, SCHEMA = (
    json.loads((ROOT / f"docs/schema/{name}-v1.json").read_text()) for name in ("report", "inputs")
)
PAGE = (ROOT / "docs/inputs.md").read_text()

ONE = archive("one", b"one", "https://h/one/archive/v1.0.tar.gz")
TWO = archive("two", b"two", "https://h/two/archive/v1.0.tar.gz")
GIT = Input("git", Kind.GIT, ("https://h/r.git",))


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    """A workspace with a contract, and nothing of the user's."""
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home" / name))
    for name in ("BAZEL_DISTDIR", "BAZEL_REPOSITORY_CACHE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "w/d").mkdir(parents=True)
    (tmp_path / "w/WORKSPACE").touch()
    monkeypatch.chdir(tmp_path / "w")
    monkeypatch.setattr(fetch, "PAUSE", 0.01)
    write(tmp_path / "w/gfattach-inputs.json", ONE, TWO)
    return tmp_path / "w"


def own_site():
    """The user's own configuration, which needs nobody's leave as a workspace's file does."""
    file = config_directory() / "gfattach.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def run(capsys, *words):
    code = main.run([*words, "--output", "json"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, REPORT)
    assert document["exit_code"] == code
    return code, document["result"], document


def codes(document):
    return {found["code"] for stage in document["stages"] for found in stage["findings"]}


def check(capsys, *words):
    return run(capsys, "inputs", "check", "--no-bazel", *words)


def test_a_check_ends_with_1_until_every_input_is_covered(capsys, workspace):
    code, result, document = check(capsys, "--distdir", "d")
    assert (code, result["covered"], result["holes"]) == (ExitCode.FAILED, 0, 2)
    assert codes(document) == {"inputs.covered", "inputs.missing"}
    (workspace / "d/v1.0.tar.gz").write_bytes(b"one")
    code, result, document = check(capsys, "--distdir", "d")
    assert [each["state"] for each in result["inputs"]] == ["covered", "name collides"]
    assert (code, "inputs.collides" in codes(document)) == (ExitCode.FAILED, True)
    (workspace / "d/layer-1").mkdir()
    (workspace / "d/layer-1/v1.0.tar.gz").write_bytes(b"two")
    assert check(capsys, "--distdir", "d")[0] == ExitCode.GOOD


def test_wrong_bytes_of_a_tag_archive_may_be_a_regenerated_one(capsys, workspace):
    (workspace / "d/v1.0.tar.gz").write_bytes(b"neither")
    _, result, document = check(capsys, "--distdir", "d")
    assert {each["state"] for each in result["inputs"]} == {"wrong bytes"}
    assert all("a regenerated archive?" in each["why"] for each in result["inputs"])
    assert "inputs.wrong-bytes" in codes(document)


def test_what_cannot_be_covered_fails_until_it_is_accepted(capsys, workspace):
    contract = Contract((GIT,))
    (workspace / "gfattach-inputs.json").write_text(json.dumps(contract.as_json()))
    code, _, document = check(capsys, "--distdir", "d")
    assert (code, "inputs.uncoverable" in codes(document)) == (ExitCode.FAILED, True)
    accepted = Contract((GIT,), accepted={"git": "its archive is asked for"}).as_json()
    jsonschema.validate(accepted, SCHEMA)
    (workspace / "gfattach-inputs.json").write_text(json.dumps(accepted))
    assert check(capsys, "--distdir", "d")[0] == ExitCode.GOOD


def test_the_table_is_there_as_markdown(capsys, workspace):
    assert main.run(["inputs", "check", "--no-bazel", "--distdir", "d", "--markdown"]) == ExitCode.FAILED
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["| input | class | state | why |", "|---|---|---|---|"]
    assert lines[2].startswith("| one | archive | missing | no file v1.0.tar.gz")


@pytest.mark.parametrize("said", ["variable", "site"])
def test_where_inputs_are_is_said_by_the_contracts_variable_or_the_site(capsys, workspace, monkeypatch, said):
    (workspace / "d/v1.0.tar.gz").write_bytes(b"one")
    (workspace / "d/layer-1").mkdir()
    (workspace / "d/layer-1/v1.0.tar.gz").write_bytes(b"two")
    if said == "variable":
        monkeypatch.setenv("BAZEL_DISTDIR", f"{workspace}/d:{workspace}/d/layer-1")
    else:
        own_site().write_text(f'[inputs]\ndistdirs = ["{workspace}/d"]\n')
    assert check(capsys)[0] == ExitCode.GOOD


def authority(capsys, *words):
    return run(capsys, "inputs", "authority", *words)


def test_the_gate_is_shut_without_a_site_and_says_the_fields_word_for_it(capsys):
    code, result, document = authority(capsys)
    assert (code, result["gate"], result["answer"]) == (
        ExitCode.UNPROVED,
        "shut",
        "no-live-durable-authority",
    )
    assert {each["state"] for each in result["inputs"]} == {"upstream-with-retries"}
    assert codes(document) == {"inputs.authority.none"}


@pytest.mark.parametrize("durable", [True, False])
def test_the_gate_opens_when_what_the_operator_calls_durable_was_seen_to_hold_all(capsys, workspace, durable):
    with serving() as mirror:
        mirror.put("/m/v1.0.tar.gz", b"one")
        mirror.put("/m/layer-1/v1.0.tar.gz", b"two")
        said = '["mirror"]' if durable else "[]"
        own_site().write_text(f'[inputs]\nmirror = "{mirror.base}/m"\ndurable = {said}\n')
        assert authority(capsys)[1]["gate"] == "shut"  # it was never looked at
        code, result, document = authority(capsys, "--verify")
    assert (code == ExitCode.GOOD, result["gate"] == "open") == (durable, durable)
    assert {each["state"] for each in result["inputs"]} == {
        "durable-mirror" if durable else "ephemeral-distdir"
    }
    assert "inputs.authority.seen" in codes(document)
    assert authority(capsys)[0] == code  # the evidence is kept, though the mirror is gone
    code, result, document = authority(capsys, "--verify")
    assert (code, result["gate"]) == (ExitCode.UNPROVED, "shut")
    assert "inputs.authority.lacks" in codes(document)


def test_a_distdir_that_lacks_one_input_keeps_the_gate_shut(capsys, workspace):
    (workspace / "d/v1.0.tar.gz").write_bytes(b"one")
    text = f'[inputs]\ndistdirs = ["{workspace}/d"]\ndurable = ["distdir"]\n'
    own_site().write_text(text)
    code, result, _ = authority(capsys, "--verify")
    states = {each["name"]: each["state"] for each in result["inputs"]}
    assert (code, states) == (
        ExitCode.UNPROVED,
        {"one": "durable-distdir", "two": "upstream-with-retries"},
    )


def test_evidence_that_is_damaged_counts_as_none(capsys, workspace, tmp_path):
    test_the_gate_opens_when_what_the_operator_calls_durable_was_seen_to_hold_all(capsys, workspace, True)
    (file,) = tmp_path.rglob("home/**/inputs/*.json")
    document = json.loads(file.read_text())
    for moment in ("soon", "2026-11-30T00:00:00", 5):
        for entries in document["verified"].values():
            entries.update({ONE.checksum.sri: moment, TWO.checksum.sri: moment})
        file.write_text(json.dumps(document))
        assert authority(capsys)[1]["gate"] == "shut"


FIELD = """
[nix]
substituter = "https://nix-cache.example.org/main"
object_store = "interim_only"

[authority]
read = ["nix"]
probe = ["nix"]
"""


def test_on_the_fields_own_state_every_trusted_role_is_answered_with_no(capsys, workspace):
    own_site().write_text(FIELD)
    code, result, _ = run(capsys, "site", "authority")
    assert code == ExitCode.GOOD
    assert {role for role, allowed in result["roles"].items() if allowed} == {"read", "probe"}


TRUSTING = FIELD + 'attic-publish = ["nix"]\n'.replace("-", "_")


def test_a_trusted_role_for_it_is_refused_by_the_table_and_by_publish_up_and_prove(capsys, workspace):
    own_site().write_text(TRUSTING)
    code, result, document = run(capsys, "site", "authority")
    assert (code, "site.authority.interim" in codes(document)) == (ExitCode.REFUSED, True)
    (refused,) = (use for use in result["uses"] if use["refused"])
    assert (refused["role"], refused["store"]) == ("attic-publish", "nix")
    for words in (
        ["site", "publish", str(own_site()), "--dry-run"],
        ["up", "--no-bazel", "--no-nix"],
        ["prove"],
    ):
        code, _, document = run(capsys, *words)
        assert (code, document["error"]["code"]) == (ExitCode.REFUSED, "site.authority.interim"), words
        assert any("a canary that passed promotes nothing" in hint for hint in document["error"]["hints"])


@pytest.mark.parametrize("role", ["cas", "action_cache"])
def test_a_proof_of_execution_refuses_it_where_results_would_be_trusted(capsys, workspace, monkeypatch, role):
    """In an environment, and with a site, in which nothing else speaks against it."""
    for name, value in {
        "GF_RBE_PROOF_MODE": "explicit",
        "GF_BAZEL_SUBSTRATE_MODE": "executor-backed",
        "GF_BAZEL_ALLOW_LOCALHOST_PROOF": "true",
        "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST": "sha256:" + "ab" * 32,
        "BAZEL_REMOTE_EXECUTOR": "grpc://127.0.0.1:1",
        "BAZEL_REMOTE_CACHE": "grpc://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    words = ("rbe", "prove", "//:a")
    own_site().write_text(f'[cache]\nobject_store = "interim_only"\n\n[authority]\n{role} = ["cache"]\n')
    code, _, document = run(capsys, *words)
    assert (code, document["error"]["code"]) == (ExitCode.REFUSED, "site.authority.interim")
    own_site().write_text(f'[cache]\nobject_store = "durable"\n\n[authority]\n{role} = ["cache"]\n')
    assert run(capsys, *words)[2]["error"]["code"] == "rbe.manifest.missing"


@pytest.mark.parametrize("words", [["list"], ["contract"], ["check"], ["prove", "--distdir", "d"]])
def test_a_directory_that_is_no_workspace_is_refused(capsys, workspace, words):
    (workspace / "WORKSPACE").unlink()
    (workspace / "flake.nix").touch()
    code, _, document = run(capsys, "inputs", *words)
    assert (code, document["error"]["code"]) == (ExitCode.USAGE, "inputs.workspace")


@pytest.mark.parametrize(
    ("words", "code"), [(["prove"], "inputs.prove.nowhere"), (["fetch"], "inputs.fetch.nowhere")]
)
def test_what_is_to_be_used_has_to_be_named(capsys, words, code):
    ended, _, document = run(capsys, "inputs", *words)
    assert (ended, document["error"]["code"]) == (ExitCode.USAGE, code)


def test_the_page_names_every_class_and_every_state():
    assert set(re.findall(r"^\| `([a-z-]+)` \|.*\|.*\|.*\|$", PAGE, re.MULTILINE)) == {
        kind.value for kind in Kind
    }
    assert all(f"`{state.value}`" in PAGE for state in State)


def test_every_code_of_inputs_has_one_meaning_in_the_catalogue():
    shown = {entry.code for group in groups() if group.title == "external inputs" for entry in group.codes}
    assert shown == set(CODES)
