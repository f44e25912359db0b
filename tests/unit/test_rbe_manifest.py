"""The eligibility manifest: every fault with its line, and what it says of one target and of no other."""

import json
from pathlib import Path

import pytest

from gfattach.cli.main import run
from gfattach.codes.execution import LINT
from tests.harness.execution.evidence import MANIFEST, Evidence

SHAPE = Path(__file__).parent / "data/eligibility-shape.json"


def manifest():
    return json.loads(json.dumps(MANIFEST))


def asked(capsys, *args):
    code = run([*args, "--output", "json"])
    return code, json.loads(capsys.readouterr().out)


def lint(capsys, path):
    """The exit code, and the codes with the lines that they are found on."""
    code, document = asked(capsys, "rbe", "lint", str(path))
    findings = [each for stage in document["stages"] for each in stage["findings"]]
    return code, {each["code"]: each["data"].get("line") for each in findings}


@pytest.mark.parametrize("name", ["bazel-rbe-target-eligibility.json", "rbe-target-eligibility.json"])
def test_the_shape_of_the_public_manifest_has_no_fault_under_either_name(tmp_path, capsys, name):
    (tmp_path / "WORKSPACE").touch()
    path = tmp_path / "config" / name
    path.parent.mkdir()
    path.write_bytes(SHAPE.read_bytes())
    assert lint(capsys, path) == (0, {"rbe.lint.good": None})
    code, document = asked(capsys, "rbe", "lint", "--workspace", str(tmp_path))
    assert (code, document["result"]) == (0, {"file": str(path), "faults": 0})


def test_keys_that_are_not_known_are_no_fault(tmp_path, capsys):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**manifest(), "notes": {"by": "ops"}}))
    assert lint(capsys, path)[0] == 0


def candidate(**changes):
    return lambda m: m["candidate_target_classes"][0].update(changes)


def twice(m):
    m["candidate_target_classes"][0]["labels"] = ["//:b", "//:c", "//:b"]


#: What is wrong, and the code for it.
FAULTS = {
    "rbe.lint.schema": lambda m: m.update(schema_version=True),
    "rbe.lint.owner": lambda m: m.update(owner_issue=" "),
    "rbe.lint.updated": lambda m: m.pop("updated"),
    "rbe.lint.platform": lambda m: m.pop("platform"),
    "rbe.lint.posture": lambda m: m.update(default_posture="executor-backed"),
    "rbe.lint.section": lambda m: m.pop("proved_target_classes"),
    "rbe.lint.section-empty": lambda m: m.update(blocked_target_classes=[]),
    "rbe.lint.class": lambda m: m["proved_target_classes"].append("//:z"),
    "rbe.lint.name": candidate(name=""),
    "rbe.lint.name-twice": candidate(name="rest"),
    "rbe.lint.labels": candidate(labels=[]),
    "rbe.lint.label-colon": candidate(labels=["//letters"]),
    "rbe.lint.label-sections": candidate(labels=["//:x"]),
    "rbe.lint.label-twice": twice,
    "rbe.lint.status": candidate(status="done"),
    "rbe.lint.status-section": candidate(status="proved"),
    "rbe.lint.list": candidate(allowed_modes=[1]),
    "rbe.lint.remote-processes": candidate(proof_required=["a run"]),
    "rbe.lint.boundary": candidate(boundary=""),
    "rbe.lint.blockers": lambda m: m["blocked_target_classes"][0].pop("blockers"),
    "rbe.lint.invariants": lambda m: m.update(invariants={}),
    "rbe.lint.invariant-missing": lambda m: m["invariants"].pop(),
}


@pytest.mark.parametrize("code", FAULTS)
def test_each_fault_has_its_code_and_a_line(tmp_path, capsys, code):
    path, changed = tmp_path / "manifest.json", manifest()
    FAULTS[code](changed)
    path.write_text(json.dumps(changed, indent=1))
    exit_code, found = lint(capsys, path)
    assert exit_code == 2 and {*found} == {code}
    assert found[code] >= 1


def test_a_fault_is_shown_on_its_own_line(tmp_path, capsys):
    path, changed = tmp_path / "manifest.json", manifest()
    twice(changed)
    path.write_text(json.dumps(changed, indent=1))
    line = [n for n, text in enumerate(path.read_text().split("\n"), 1) if '"//:b"' in text][1]
    assert lint(capsys, path)[1] == {"rbe.lint.label-twice": line}
    assert run(["rbe", "lint", str(path), "--output", "github"]) == 2
    assert f"::error file={path},line={line},title=" in capsys.readouterr().out


def test_a_key_that_stands_twice(tmp_path, capsys):
    path = tmp_path / "manifest.json"
    text = json.dumps(manifest(), indent=1)
    path.write_text(text.replace('"updated"', '"updated": "2020-01-01",\n "updated"', 1))
    assert lint(capsys, path) == (2, {"rbe.lint.key-twice": 5})


def test_what_is_no_object_and_a_platform_of_another_kind(tmp_path, capsys):
    path = tmp_path / "manifest.json"
    path.write_text("[]")
    assert lint(capsys, path) == (2, {"rbe.lint.document": 1})
    path.write_text(json.dumps({**manifest(), "platform": "windows"}))
    assert lint(capsys, path) == (0, {"rbe.lint.platform-name": 1})


def test_every_code_of_the_lint_is_asked_for():
    others = {"rbe.lint.good", "rbe.lint.key-twice", "rbe.lint.document", "rbe.lint.platform-name"}
    assert {*LINT} == {*FAULTS} | others


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"a": 1,\n "b" 2}', 2),
        (b'{\n\n"a": "\xff"}', 3),
        (b"{} {}", 1),
        (b"{}" + b"[" * 99, 1),
        (b"[" * 99, 1),
    ],
)
def test_what_is_no_json_is_shown_with_its_line(tmp_path, capsys, content, line):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    exit_code, document = asked(capsys, "rbe", "lint", str(path))
    assert (exit_code, document["error"]["code"]) == (2, "rbe.manifest.unreadable")
    assert document["error"]["fact"].startswith(f"{path}:{line}: ")


@pytest.fixture
def workspace(tmp_path):
    """A workspace with a manifest of all standings."""
    (tmp_path / "WORKSPACE").touch()
    (tmp_path / "config").mkdir()
    made = manifest()
    proved = json.loads(json.dumps(made["candidate_target_classes"][0]))
    made["proved_target_classes"] = [
        {**proved, "name": "known", "status": "proved", "labels": ["//p:p", "//p:q"]}
    ]
    made["blocked_target_classes"][0]["labels"] += ["nix flake check", "//..."]
    (tmp_path / "config/rbe-target-eligibility.json").write_text(json.dumps(made))
    return tmp_path


def target(capsys, workspace, label, *options):
    manifest = str(workspace / "config/rbe-target-eligibility.json")
    code, document = asked(capsys, "rbe", "target", label, "--manifest", manifest, *options)
    return code, document["result"].get("answer") or document["error"]


@pytest.mark.parametrize(
    ("label", "code", "standing"),
    [
        ("//p:p", 0, "proved"),
        ("//:b", 4, "candidate"),
        ("//:x", 3, "blocked"),
        ("nix flake check", 3, "blocked"),
        ("//...", 3, "blocked"),
        ("//:nowhere", 1, "not listed"),
        ("//p:r", 1, "not listed"),
        ("known", 0, "proved"),
        ("letters", 4, "candidate"),
        ("rest", 3, "blocked"),
    ],
)
def test_each_standing_has_an_exit_code_of_its_own(workspace, capsys, label, code, standing):
    found = target(capsys, workspace, label)
    assert (found[0], found[1]["standing"]) == (code, standing)
    compat = target(capsys, workspace, label, "--script-compat")
    assert compat[0] == (0 if code == 0 else 1)


def test_a_candidate_is_good_enough_for_who_says_so(workspace, capsys):
    assert target(capsys, workspace, "//:b", "--allow-candidate")[0] == 0


def test_the_boundary_and_what_is_required_are_told_word_for_word(workspace, capsys):
    answer = target(capsys, workspace, "//:b")[1]
    assert answer["boundary"] == "Says nothing of //:all."
    assert answer["requirements"] == ["reads declared files alone"]
    assert answer["proof_required"] == ["more than zero remote processes"]


@pytest.mark.parametrize("label", ["//p/...", "//p:all", "//p:*", "//p:all-targets", "@repo//..."])
def test_a_wildcard_is_refused(workspace, capsys, label):
    code, error = target(capsys, workspace, label)
    assert (code, error["code"]) == (3, "rbe.target.wildcard")


@pytest.mark.parametrize("label", ["//p", "@//p:p", "@@//p:p", "p:p"])
def test_another_spelling_is_another_text_and_is_hinted_at(workspace, capsys, label):
    code, answer = target(capsys, workspace, label)
    assert (code, answer["standing"]) == (1, "not listed")
    assert any("//p:p is listed" in hint for hint in answer["hints"])


def test_what_is_missing_for_promotion_follows_from_evidence(workspace, capsys, tmp_path):
    manifest = str(workspace / "config/rbe-target-eligibility.json")
    _, document = asked(capsys, "rbe", "target", "//:b", "--manifest", manifest)
    assert "a proof: gfattach rbe prove" in document["result"]["missing_for_promotion"]
    evidence = Evidence(tmp_path / "evidence", before=None)
    evidence.write()
    _, document = asked(
        capsys, "rbe", "target", "//:b", "--manifest", manifest, "--evidence", str(evidence.directory)
    )
    lacks = ["the digest of the worker's image", "worker pods that were seen before and after"]
    assert document["result"]["missing_for_promotion"] == lacks


def test_no_manifest_and_two_of_them(tmp_path, capsys):
    (tmp_path / "WORKSPACE").touch()
    place = ["--workspace", str(tmp_path)]
    assert asked(capsys, "rbe", "lint", *place)[1]["error"]["code"] == "rbe.manifest.missing"
    (tmp_path / "config").mkdir()
    for name in ("bazel-rbe-target-eligibility.json", "rbe-target-eligibility.json"):
        (tmp_path / "config" / name).write_text(json.dumps(manifest()))
    assert asked(capsys, "rbe", "lint", *place)[1]["error"]["code"] == "rbe.manifest.several"


def test_a_manifest_with_faults_answers_nothing(workspace, capsys):
    path = workspace / "config/rbe-target-eligibility.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    code, error = target(capsys, workspace, "//p:p")
    assert (code, error["code"]) == (2, "rbe.manifest.faults")
