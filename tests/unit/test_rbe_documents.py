"""The evidence document and its schema, the statement beside it, and the files that are kept of a build."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from gfattach.bazel.logs.event_excerpt import keep_excerpt
from gfattach.bazel.logs.events import read_events
from gfattach.core.git import checkout_of
from gfattach.proof.execution.nonce import make_nonce, read_nonce
from gfattach.rbe.evidence.document import SHAPE
from gfattach.rbe.evidence.shape import check
from gfattach.rbe.prove.pods import pod_facts
from gfattach.rbe.prove.provenance import repository_of, run_of
from tests.harness.execution.evidence import Evidence
from tests.unit.test_rbe_verify import TOLD

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/rbe-evidence-v1.json").read_text())


@pytest.fixture
def document(tmp_path):
    evidence = Evidence(tmp_path / "evidence")
    evidence.write()
    return evidence.document


def test_the_schema_takes_what_is_taken_here(document):
    jsonschema.validate(document, SCHEMA)
    assert list(check(document, SHAPE)) == []


@pytest.mark.parametrize("code", [code for code in TOLD if code.startswith("rbe.document.")])
def test_the_schema_refuses_what_is_refused_here(document, code):
    TOLD[code](document)
    assert [finding.code for finding in check(document, SHAPE)] == [code]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


@pytest.mark.parametrize("key", sorted(SHAPE))
def test_no_key_may_be_missing_and_none_may_be_a_list_of_nothing_in_its_place(document, key):
    value = document.pop(key)
    for changed in (document, {**document, key: {"x": [value]}}):
        assert list(check(changed, SHAPE))
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed, SCHEMA)


def test_the_statement_is_in_totos_and_about_the_document(tmp_path):
    evidence = Evidence(tmp_path / "evidence")
    statement = json.loads((evidence.write() / "statement.json").read_text())
    digest = subprocess.run(
        ["sha256sum", evidence.directory / "evidence.json"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "evidence.json", "digest": {"sha256": digest}}]
    assert statement["predicate"]["result"] == "PASSED"


def test_what_is_kept_of_an_event_file_has_no_secret_and_says_what_counts(tmp_path):
    options = [
        "--remote_header=authorization=Bearer abcdef0123456789",
        "--remote_exec_header=x-token=abcdef0123456789",
        "--tls_client_key=/home/user/key.pem",
        "--remote_executor=grpc://127.0.0.1:1",
        "--noremote_accept_cached",
    ]
    events = [
        {"started": {"uuid": "u", "startTimeMillis": "1500", "optionsDescription": "--remote_header=x=y"}},
        {"optionsParsed": {"cmdLine": options, "explicitCmdLine": options, "startupOptions": ["--x"]}},
        {"structuredCommandLine": {"sections": [{"option": "--remote_header=x=abcdef0123456789"}]}},
        {"finished": {"exitCode": {"name": "BUILD_FAILURE", "code": 1}}},
        {"buildMetrics": {"actionSummary": {"runnerCount": [{"name": "remote", "count": 2}]}}},
    ]
    whole, kept = tmp_path / "whole", tmp_path / "kept"
    whole.write_text("".join(json.dumps(event) + "\n" for event in events))
    keep_excerpt(whole, kept)
    text = kept.read_text()
    assert "abcdef0123456789" not in text and "key.pem" not in text and "structured" not in text
    found = read_events(kept)
    assert (found.invocation, found.started, found.exit_code, found.spawns.remote) == ("u", 1.5, 1, 2)
    assert found.options.effective("remote_accept_cached") == "0"


def test_an_event_file_that_was_cut_off_or_never_written_is_kept_as_far_as_it_goes(tmp_path):
    (tmp_path / "whole").write_text('{"started": {"uuid": "u"}}\n{"optionsPar')
    keep_excerpt(tmp_path / "whole", tmp_path / "kept")
    assert read_events(tmp_path / "kept").invocation == "u"
    keep_excerpt(tmp_path / "nowhere", tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b""


def test_a_nonce_is_read_as_it_is_made():
    made = make_nonce(datetime(2026, 11, 30, 6, 0, 1, 999, tzinfo=UTC), "25984827370", 2)
    assert str(made) == "20261130T060001Z-25984827370-2"
    assert read_nonce(str(made)) == made


@pytest.mark.parametrize(
    "text", ["", "20261130T060001Z", "20261301T060001Z-1-1", "20261130T060001Z-x-1", "20261130T060001Z-1-1 "]
)
def test_what_is_no_nonce(text):
    assert read_nonce(text) is None


def test_a_workflows_run_and_one_of_a_developers_own():
    actions = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_RUN_ID": "25984827370",
        "GITHUB_RUN_ATTEMPT": "3",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "example/letters",
    }
    run = run_of(actions)
    assert (run.id, run.attempt, run.source) == ("25984827370", 3, "github-actions")
    assert run.url == "https://github.com/example/letters/actions/runs/25984827370"
    own = run_of({})
    assert own.source == "local" and own.url is None and len(own.id) == 12 and own.id != run_of({}).id


def test_a_checkout_is_told_with_its_commit_and_its_changes(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    (tmp_path / "package").mkdir()
    (tmp_path / "package/file").write_text("1")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    url = "https://user:geheimes-wort@example.com/letters.git"
    subprocess.run([*git, "remote", "add", "origin", url], check=True)
    said, place = repository_of(tmp_path / "package", {})
    assert place == "package" and len(said["commit"]) == 40 and said["modified"] is False
    assert "geheimes-wort" not in said["name"]
    (tmp_path / "package/file").write_text("2")
    assert checkout_of(tmp_path).modified is True


def test_no_checkout_says_nothing(tmp_path):
    assert repository_of(tmp_path, {}) == ({"name": None, "commit": None, "modified": None}, ".")


def test_a_pod_is_kept_as_far_as_a_proof_needs_it():
    pod = {
        "metadata": {"namespace": "rbe", "name": "worker-0", "uid": "0d1"},
        "spec": {"containers": [{"name": "worker", "env": [{"name": "TOKEN", "value": "abcdef0123456789"}]}]},
        "status": {
            "initContainerStatuses": [{"name": "setup", "containerID": "c://0", "restartCount": 2}],
            "containerStatuses": [
                {
                    "name": "worker",
                    "image": "worker:latest",
                    "imageID": "docker-pullable://registry.example.com/worker@sha256:" + "ab" * 32,
                    "containerID": "containerd://1",
                    "restartCount": 1,
                    "state": {"running": {"startedAt": "2026-11-29T10:00:00Z"}},
                }
            ],
        },
    }
    facts = pod_facts(pod)
    assert facts == {
        "namespace": "rbe",
        "name": "worker-0",
        "uid": "0d1",
        "containers": [
            {
                "name": "setup",
                "container_id": "c://0",
                "image_digest": None,
                "restart_count": 2,
                "started_at": None,
            },
            {
                "name": "worker",
                "container_id": "containerd://1",
                "image_digest": "sha256:" + "ab" * 32,
                "restart_count": 1,
                "started_at": "2026-11-29T10:00:00Z",
            },
        ],
    }
