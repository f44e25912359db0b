"""`gfattach rbe prove` for real: Bazel 4.2.3 and 7.7.1 against an execution server.

The server takes what it knows out of its cache whatever it is asked, so a nonce that was used before, a build
that accepts cached results and one without an executor are controls that nature provides.
"""

import shutil

import pytest

from gfattach.rbe.evidence.verify import verify_evidence
from tests.harness.execution.justbuild import justbuild
from tests.harness.execution.prover import Prover
from tests.harness.execution.workspaces import BAZELS, make_workspace

pytestmark = pytest.mark.bazel


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    with justbuild(tmp_path_factory.mktemp("justbuild")) as server:
        yield server


@pytest.fixture(scope="module", params=BAZELS)
def bazel(request):
    return BAZELS[request.param]()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return make_workspace(tmp_path_factory.mktemp("letters"))


@pytest.fixture
def prove(workspace, executor, bazel, tmp_path):
    return Prover(workspace, executor.url, bazel, tmp_path)


def test_an_execution_is_proved_and_its_evidence_verifies_anywhere(prove, tmp_path):
    code, document, failed, evidence = prove("//:b")
    assert (code, failed) == (0, set()), document
    told = document["result"]["evidence"]
    assert told["process_summary"] == "3 processes: 1 internal, 2 remote."
    assert (told["counts"]["executed"], told["counts"]["forced"], told["counts"]["target_executed"]) == (
        2,
        2,
        1,
    )
    assert [each["name"] for each in told["mnemonics"]] == ["Genrule"]
    assert {each["name"]: each["held"] for each in told["controls"]} == {
        "accepted-cache": True,
        "no-executor": True,
    }
    cached = told["controls"][0]
    assert (cached["executed"], cached["remote_hits"]) == (0, 2)
    assert len(told["repository"]["commit"]) == 40 and told["repository"]["modified"] is False
    assert told["not_proved"].endswith("Says nothing of //:all.")
    assert all(path.stat().st_mode & 0o077 == 0 for path in evidence.iterdir())
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(evidence, elsewhere)
    shutil.rmtree(evidence)
    assert verify_evidence(elsewhere).proved


def test_a_nonce_that_was_used_before_counts_for_nothing(prove):
    """Whose text is brought in by the options alone: the action is one that the server knows by now."""
    fixed = "--action_env=GFATTACH_RBE_NONCE=constant"
    assert prove("//:a", f"--nonce-flag={fixed}")[0] == 4
    code, _, failed, _ = prove("//:a", f"--nonce-flag={fixed}")
    assert code == 4
    assert {"rbe.proof.cache-hit", "rbe.proof.cached-result", "rbe.proof.nonce-missing"} <= failed


def test_an_action_that_fails_on_the_executor_is_no_execution_and_leaves_its_evidence(prove):
    code, document, failed, evidence = prove("//:wrong")
    assert code == 4
    assert {"rbe.proof.build-failed", "rbe.proof.control-missing"} <= failed
    assert "internal" in document["result"]["evidence"]["process_summary"]
    assert (evidence / "evidence.json").exists()


def test_an_action_that_may_not_run_remotely_is_no_execution(prove):
    code, _, failed, _ = prove("//:here", flags=("--strategy=Genrule=remote,local",))
    assert code == 4
    assert failed & {"rbe.proof.local", "rbe.proof.build-failed"}


def test_an_executor_that_is_none_is_said_before_anything_is_built(prove, executor):
    code, document, _, evidence = prove("//:b", url="grpc://127.0.0.1:9")
    assert (code, document["error"]["code"]) == (4, "rbe.prove.executor-probes")
    assert not evidence.exists()


def test_what_was_executed_ran_where_the_executor_runs(prove, executor):
    """The worker's own environment is in what it made."""
    assert prove("//:c")[0] == 0
    blobs = executor.directory / "root"
    found = [path for path in blobs.rglob("*") if path.is_file() and path.stat().st_size == 3]
    assert any(path.read_bytes() == b"w1\n" for path in found)
