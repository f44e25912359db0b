"""What `gfattach rbe prove` demands before anything is run, and that the two proofs refuse each other."""

import json

import pytest

from gfattach.cli.main import run
from tests.harness.execution.evidence import MANIFEST

EXPLICIT = {
    "GF_RBE_PROOF_MODE": "explicit",
    "GF_BAZEL_SUBSTRATE_MODE": "executor-backed",
    "GF_BAZEL_ALLOW_LOCALHOST_PROOF": "true",
    "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST": "sha256:" + "ab" * 32,
    "BAZEL_REMOTE_EXECUTOR": "grpc://127.0.0.1:1",
    "BAZEL_REMOTE_CACHE": "grpc://127.0.0.1:1",
}


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "WORKSPACE").touch()
    (tmp_path / "config").mkdir()
    manifest = json.loads(json.dumps(MANIFEST))
    manifest["candidate_target_classes"][0]["labels"] += ["//..."]
    odd = {**manifest["candidate_target_classes"][0], "name": "odd", "labels": ["//:odd"]}
    manifest["candidate_target_classes"].append({**odd, "allowed_modes": ["presubmit"]})
    (tmp_path / "config/rbe-target-eligibility.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.fixture
def explicit(monkeypatch):
    for name, value in EXPLICIT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def prove(capsys, workspace, *args):
    code = run(["rbe", "prove", *args, "--workspace", str(workspace), "--output", "json"])
    error = json.loads(capsys.readouterr().out)["error"]
    return code, error["code"]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("GF_RBE_PROOF_MODE", None, "rbe.prove.mode"),
        ("GF_RBE_PROOF_MODE", "auto", "rbe.prove.mode"),
        ("BAZEL_REMOTE_EXECUTOR", None, "rbe.prove.executor"),
        ("BAZEL_REMOTE_CACHE", None, "rbe.prove.cache"),
        ("GF_BAZEL_SUBSTRATE_MODE", None, "rbe.prove.substrate"),
        ("GF_BAZEL_SUBSTRATE_MODE", "shared-cache-backed", "rbe.prove.substrate"),
        ("GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST", None, "contract.executor.proof-image"),
        ("GF_BAZEL_ALLOW_LOCALHOST_PROOF", None, "contract.endpoint.localhost"),
        ("BAZEL_REMOTE_CACHE", "grpc://127.0.0.1:2", "contract.executor.separate-cache"),
        ("GF_FLYWHEEL_PROFILE_STATE", "shared-cache-backed", "contract.profile.shared-cache-backed"),
    ],
)
def test_each_thing_that_is_missing_is_refused_by_its_name(explicit, workspace, capsys, name, value, code):
    explicit.delenv(name, raising=False)
    if value is not None:
        explicit.setenv(name, value)
    assert prove(capsys, workspace, "//:b", "--allow-candidate") == (3, code)


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("//:x", "rbe.prove.blocked"),
        ("//:nowhere", "rbe.prove.unlisted"),
        ("//:b", "rbe.prove.candidate"),
        ("//...", "rbe.target.wildcard"),
        ("letters", "rbe.prove.class"),
    ],
)
def test_a_target_that_is_not_eligible_is_refused(explicit, workspace, capsys, label, code):
    assert prove(capsys, workspace, label) == (3, code)


def test_a_class_that_allows_no_explicit_proof(explicit, workspace, capsys):
    assert prove(capsys, workspace, "//:odd", "--allow-candidate") == (3, "rbe.prove.explicit")


def test_a_proof_of_a_cache_has_no_place_in_the_environment_of_an_execution(explicit, workspace, capsys):
    """Whatever of it is left, and whether or not anything is attached."""
    explicit.chdir(workspace)
    codes = set()
    for kept in EXPLICIT.keys() - {"GF_BAZEL_ALLOW_LOCALHOST_PROOF"}:
        for name, value in EXPLICIT.items():
            explicit.setenv(name, value) if name == kept else explicit.delenv(name, raising=False)
        code = run(["prove", "--output", "json"])
        error = json.loads(capsys.readouterr().out)["error"]
        if kept in ("BAZEL_REMOTE_CACHE", "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST"):
            assert (code, error["code"]) == (2, "prove.nothing")
        else:
            assert code == 3
            codes.add(error["code"])
    named = {"endpoint", "mode", "rbe-proof"}
    assert codes == {f"contract.no-executor.{name}" for name in named}


def test_an_execution_proof_has_no_place_in_the_environment_of_a_cache(monkeypatch, workspace, capsys):
    for name, value in {
        "BAZEL_REMOTE_CACHE": "grpc://127.0.0.1:9092",
        "GF_BAZEL_SUBSTRATE_MODE": "shared-cache-backed",
        "GF_FLYWHEEL_PROFILE_STATE": "local-proof",
        "GF_BAZEL_LOCAL_PROOF": "port-forward",
        "GF_BAZEL_ALLOW_LOCALHOST_PROOF": "true",
    }.items():
        monkeypatch.setenv(name, value)
    assert prove(capsys, workspace, "//:b", "--allow-candidate") == (3, "rbe.prove.mode")


def test_all_that_is_missing_is_said_at_once(monkeypatch, workspace, capsys):
    for name in EXPLICIT:
        monkeypatch.delenv(name, raising=False)
    assert run(["rbe", "prove", "//:b", "--workspace", str(workspace)]) == 3
    said = capsys.readouterr().err
    for line in (
        "GF_RBE_PROOF_MODE is not explicit",
        "also: BAZEL_REMOTE_EXECUTOR is unset: name the executor: export BAZEL_REMOTE_EXECUTOR=",
        "also: BAZEL_REMOTE_CACHE is unset: an executor takes inputs from a cache: export ",
        "also: GF_BAZEL_SUBSTRATE_MODE is unset, and not executor-backed: declare what is meant: export ",
    ):
        assert line in said


def test_nothing_listens_at_the_executor(explicit, workspace, capsys):
    assert prove(capsys, workspace, "//:b", "--allow-candidate") == (4, "rbe.prove.executor-probes")


def test_a_directory_of_evidence_has_to_be_empty(explicit, workspace, capsys, tmp_path):
    from gfattach.core.errors import UsageError
    from gfattach.rbe.evidence.write import new_directory

    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence/x").touch()
    with pytest.raises(UsageError) as refused, new_directory(tmp_path / "evidence"):
        pass
    assert refused.value.code == "rbe.evidence.exists"
    assert (tmp_path / "evidence/x").exists()


def test_what_comes_to_no_end_leaves_no_directory_of_evidence(tmp_path):
    from gfattach.core.errors import BazelError
    from gfattach.rbe.evidence.write import new_directory

    with pytest.raises(BazelError), new_directory(tmp_path / "evidence") as directory:
        (directory / "execution-log").touch()
        raise BazelError("it crashed")
    assert not (tmp_path / "evidence").exists()
