"""`gfattach rbe verify` on the organisation's proof results: both versions, and each way to falsify them."""

import json
import os

import pytest

from gfattach.cli.main import run
from gfattach.codes.execution import RESULT
from tests.harness.execution.evidence import MANIFEST
from tests.harness.execution.result import attest, version_1, version_2, write


def verify(capsys, path, *options):
    code = run(["rbe", "verify", str(path), "--output", "json", *options])
    document = json.loads(capsys.readouterr().out)
    findings = [finding for stage in document["stages"] for finding in stage["findings"]]
    failed = [finding["code"] for finding in findings if finding["status"] == "fail"]
    return code, failed, {finding["code"] for finding in findings}


@pytest.mark.parametrize("made", [version_1, version_2])
def test_a_result_that_counts(tmp_path, capsys, made):
    code, failed, said = verify(capsys, write(tmp_path, made()))
    assert (code, failed) == (0, [])
    assert {"rbe.result.countable", "rbe.verify.unattested"} <= said
    assert verify(capsys, tmp_path / "proof-result.json")[0] == 0


def test_an_attestation_of_this_file_is_taken_and_its_signature_is_said_to_be_unchecked(tmp_path, capsys):
    attest(write(tmp_path, version_2()))
    code, failed, said = verify(capsys, tmp_path)
    assert (code, failed) == (0, []) and "rbe.verify.signature" in said


def but(*keys, value):
    def change(result):
        for key in keys[:-1]:
            result = result[key]
        result[keys[-1]] = value

    return change


CHANGED = {
    "rbe.result.uncountable": but("countable_remote_execution", value=False),
    "rbe.result.unforced": but("force_execution", value=False),
    "rbe.result.build-failed": but("build_success", value=False),
    "rbe.result.no-executor": but("executor_attached", value=False),
    "rbe.result.no-cache": but("cache_attached", value=False),
    "rbe.result.no-worker-log": but("worker_remote_execution_log", value=False),
    "rbe.result.capture": but("kubectl_capture_bounded", value=False),
    "rbe.result.cache-hits": but("cache_hits_only", value=True),
    "rbe.result.exit-status": but("proof_exit_status", value=1),
    "rbe.result.no-process": lambda r: (
        r.update(remote_processes=0),
        r["worker_execution_evidence"].update(remote_execution_count=0),
    ),
    "rbe.result.image-differs": but("worker_image_digest", value="sha256:" + "cd" * 32),
    "rbe.result.count": but("worker_execution_evidence", "remote_execution_count", value=3),
    "rbe.result.no-execution": but("worker_execution_evidence", "remote_execution_count", value=0),
    "rbe.result.target": but("request", "target", value="//:c"),
    "rbe.result.closure": but("request", "worker_closure_digest", value="sha256:" + "22" * 32),
    "rbe.result.run": but("request", "workflow_run_id", value="the last one"),
    "rbe.result.outputs-order": lambda r: r["exported_outputs"].reverse(),
    "rbe.document.boolean": but("remote_processes", value=True),
    "rbe.document.type": but("request", "workflow_run_id", value=25984827370),
    "rbe.document.value": but("worker_image_digest", value="latest"),
    "rbe.document.unknown-key": but("note", value="x"),
    "rbe.document.missing-key": lambda r: r.pop("worker_identity"),
}

#: Codes that come with another one of the same cause.
WITH = {
    "rbe.result.outputs-order": {"rbe.result.outputs"},
    "rbe.result.no-process": {"rbe.result.no-execution"},
}


@pytest.mark.parametrize("code", CHANGED)
def test_a_result_that_does_not_count_is_refused_by_its_own_code(tmp_path, capsys, code):
    result = version_2()
    CHANGED[code](result)
    exit_code, failed, _ = verify(capsys, write(tmp_path, result))
    assert exit_code == 4 and {code} <= {*failed} <= {code} | WITH.get(code, set())


def test_the_first_version_is_held_to_its_block_as_well(tmp_path, capsys):
    result = {**version_1(), "remote_processes": True}
    assert verify(capsys, write(tmp_path, result))[:2] == (4, ["rbe.document.boolean"])


def replaced(directory):
    (directory / "exported-outputs/a.txt").write_text("b")


def linked(directory):
    output = directory / "exported-outputs/a.txt"
    output.unlink()
    output.symlink_to("b.txt")


def behind_a_link(directory):
    (directory / "exported-outputs").rename(directory.parent / "elsewhere")
    (directory / "exported-outputs").symlink_to("../elsewhere")


def a_pipe(directory):
    """That nobody writes into: who opens it waits for ever."""
    (directory / "exported-outputs/a.txt").unlink()
    os.mkfifo(directory / "exported-outputs/a.txt")


def of_another_kind(directory):
    listed = json.loads((directory / "exported-outputs.json").read_text())
    (directory / "exported-outputs.json").write_text(json.dumps({**listed, "kind": "list"}))


def relisted(directory):
    listed = json.loads((directory / "exported-outputs.json").read_text())
    listed["exported_outputs"].pop()
    (directory / "exported-outputs.json").write_text(json.dumps(listed))


def unsigned(directory):
    bundle = json.loads((directory / "proof-result.attestation.json").read_text())
    bundle["dsseEnvelope"]["signatures"] = []
    (directory / "proof-result.attestation.json").write_text(json.dumps(bundle))


BESIDE = {
    "rbe.result.output-digest": replaced,
    "rbe.result.output-link": linked,
    "rbe.result.outputs": relisted,
    "rbe.result.outputs-digest": relisted,
    "rbe.result.attestation": unsigned,
    "rbe.result.subject": lambda d: attest(d, subject=[{"name": "x", "digest": {"sha256": "0" * 64}}]),
    "rbe.result.predicate": lambda d: attest(d, predicateType="https://example.com/other"),
}


@pytest.mark.parametrize("code", BESIDE)
def test_what_lies_beside_it_and_was_changed(tmp_path, capsys, code):
    attest(write(tmp_path, version_2()))
    BESIDE[code](tmp_path)
    exit_code, failed, _ = verify(capsys, tmp_path)
    assert exit_code == 4 and code in failed


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (behind_a_link, "rbe.result.output-link"),
        (a_pipe, "rbe.result.output-link"),
        (of_another_kind, "rbe.result.outputs"),
    ],
)
def test_an_output_that_is_no_file_of_the_directory_is_not_read(tmp_path, capsys, change, code):
    change(write(tmp_path / "result", version_2()))
    exit_code, failed, _ = verify(capsys, tmp_path / "result")
    assert exit_code == 4 and code in failed


@pytest.mark.parametrize("name", ["..", "a/../../b", "./a", "a/.."])
def test_an_output_that_leads_out_of_its_directory_is_refused(tmp_path, capsys, name):
    result = version_2()
    result["exported_outputs"][0]["path"] = f"exported-outputs/{name}"
    assert verify(capsys, write(tmp_path, result))[:2] == (4, ["rbe.document.value"])


def test_what_is_not_beside_it_is_said_and_no_fault(tmp_path, capsys):
    directory = write(tmp_path, version_2())
    (directory / "exported-outputs.json").unlink()
    (directory / "exported-outputs/a.txt").unlink()
    code, failed, said = verify(capsys, directory)
    assert (code, failed) == (0, []) and "rbe.verify.not-beside" in said
    assert run(["rbe", "verify", str(directory), "-v"]) == 0
    shown = capsys.readouterr().err
    assert "exported-outputs.json, exported-outputs/a.txt and the worker's own logs are named" in shown


def test_every_code_of_a_result_is_asked_for():
    assert {*RESULT} == {code for code in (*CHANGED, *BESIDE) if code.startswith("rbe.result.")} | {
        "rbe.result.countable"
    }


def test_a_target_that_the_manifest_of_today_does_not_list_or_blocks(tmp_path, capsys):
    manifest = json.loads(json.dumps(MANIFEST))
    manifest["candidate_target_classes"][0]["labels"] = ["//:c"]
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest))
    write(tmp_path / "result", version_2())
    found = verify(capsys, tmp_path / "result", "--manifest", str(path))
    assert found[:2] == (4, ["rbe.proof.target-unlisted"])
    manifest["blocked_target_classes"][0]["labels"] = ["//:b"]
    path.write_text(json.dumps(manifest))
    found = verify(capsys, tmp_path / "result", "--manifest", str(path))
    assert found[:2] == (4, ["rbe.proof.target-blocked"])


@pytest.mark.parametrize(
    ("option", "value"), [("--require-target", "//:c"), ("--require-image-digest", "sha256:" + "cd" * 32)]
)
def test_a_good_result_of_something_else(tmp_path, capsys, option, value):
    assert verify(capsys, write(tmp_path, version_2()), option, value)[:2] == (4, ["rbe.verify.required"])
