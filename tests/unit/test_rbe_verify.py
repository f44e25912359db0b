"""`gfattach rbe verify` on evidence that holds, and on every way in which evidence is falsified."""

import json
import os
from collections.abc import Callable

import pytest

from gfattach.cli.main import run
from gfattach.rbe.evidence.write import write_document
from tests.harness.execution.evidence import A, B, Evidence, pod

OTHER_IMAGE = "sha256:" + "cd" * 32


@pytest.fixture
def evidence(tmp_path) -> Evidence:
    return Evidence(tmp_path / "evidence")


def verify(capsys, path, *options):
    """The exit code, and the codes of what speaks against it."""
    code = run(["rbe", "verify", str(path), "--output", "json", *options])
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == code
    failed = [
        finding["code"]
        for stage in document["stages"]
        for finding in stage["findings"]
        if finding["status"] == "fail"
    ]
    return code, failed or ([document["error"]["code"]] if document["error"] else [])


@pytest.mark.parametrize("compact", [False, True], ids=["json", "compact"])
@pytest.mark.parametrize("old", [False, True], ids=["labels in the log", "labels in progress messages"])
def test_evidence_that_holds_is_proved(evidence, capsys, compact, old):
    evidence.compact = compact
    evidence.actions = [each.but(old=old) for each in evidence.actions]
    assert verify(capsys, evidence.write()) == (0, [])
    assert verify(capsys, evidence.directory / "evidence.json") == (0, [])


def test_hits_of_other_actions_are_no_fault(evidence, capsys):
    hit = A.but(runner="remote cache hit", cache_hit=True, called=False, environment={})
    evidence.actions = [hit, B]
    assert verify(capsys, evidence.write()) == (0, [])


def test_the_lines_say_what_is_proved_and_what_is_not(evidence, capsys):
    assert run(["rbe", "verify", str(evidence.write())]) == 0
    out = capsys.readouterr().out
    assert "proved: 1 action of //:b executed remotely: 3 processes: 1 internal, 2 remote." in out
    assert "boundary: This proves that //:b was executed remotely in this one run" in out
    assert out.rstrip().endswith("Says nothing of //:all.")


def test_that_nothing_is_signed_is_said(evidence, capsys):
    assert run(["rbe", "verify", str(evidence.write()), "-v"]) == 0
    assert "rbe.verify.unsigned" in capsys.readouterr().err


#: What is observed otherwise, and the one code that says so.
OBSERVED: dict[str, Callable[[Evidence], object]] = {
    "rbe.proof.cache-hit": lambda e: setattr(
        e, "actions", [A, B.but(runner="remote cache hit", cache_hit=True, called=False)]
    ),
    "rbe.proof.hit-claimed": lambda e: (
        setattr(e, "actions", [A, B.but(cache_hit=True)]),
        setattr(e, "calls", [A, B]),
    ),
    "rbe.proof.cached-result": lambda e: setattr(e, "calls", [A, B.but(cached_result=True)]),
    "rbe.proof.local": lambda e: setattr(e, "actions", [A, B.but(runner="linux-sandbox", called=False)]),
    "rbe.proof.fallback": lambda e: setattr(e, "actions", [A.but(runner="local", called=False), B]),
    "rbe.proof.internal-only": lambda e: (
        setattr(e, "actions", []),
        setattr(e, "cached", [A.but(runner="remote cache hit", cache_hit=True)]),
        setattr(e, "summary", "6 processes: 6 internal."),
    ),
    "rbe.proof.no-spawn": lambda e: setattr(e, "actions", [A]),
    "rbe.proof.spawn-failed": lambda e: setattr(
        e, "actions", [A, B.but(status="NON_ZERO_EXIT", exit_code=3)]
    ),
    "rbe.proof.not-run": lambda e: setattr(e, "actions", [A, B.but(status="EXECUTION_FAILED", exit_code=34)]),
    "rbe.proof.disk-cache": lambda e: setattr(
        e, "actions", [A.but(runner="disk cache hit", cache_hit=True, called=False), B]
    ),
    "rbe.proof.disk-cache-set": lambda e: e.options.append("--disk_cache=/tmp/cache"),
    "rbe.proof.output-base": lambda e: setattr(
        e, "summary", "3 processes: 1 action cache hit, 1 internal, 2 remote."
    ),
    "rbe.proof.build-failed": lambda e: setattr(e, "exit_code", 1),
    "rbe.proof.no-summary": lambda e: setattr(e, "summary", "no such line"),
    "rbe.proof.nonce-missing": lambda e: setattr(e, "actions", [A, B.but(environment={"PATH": "/bin"})]),
    "rbe.proof.accepted-cache": lambda e: e.options.remove("--noremote_accept_cached"),
    "rbe.proof.fallback-allowed": lambda e: e.options.append("--remote_local_fallback"),
    "rbe.proof.no-executor": lambda e: e.options.append("--remote_executor="),
    "rbe.proof.executor-other": lambda e: e.options.append("--remote_executor=grpc://10.0.0.9:8980"),
    "rbe.proof.cache-other": lambda e: e.options.append("--remote_cache=grpc://10.0.0.9:8980"),
    "rbe.proof.summary-disagrees": lambda e: setattr(e, "summary", "4 processes: 1 internal, 3 remote."),
    "rbe.proof.summary-sum": lambda e: setattr(e, "summary", "9 processes: 1 internal, 2 remote."),
    "rbe.proof.events-disagree": lambda e: setattr(e, "runners", {"remote": 1, "remote cache hit": 1}),
    "rbe.proof.target-not-called": lambda e: setattr(e, "calls", [A, B.but(label="//:c")]),
    "rbe.proof.calls-disagree": lambda e: setattr(e, "calls", [B]),
    "rbe.proof.invocation": lambda e: setattr(e, "events_invocation", "another"),
    "rbe.proof.worker-early": lambda e: setattr(e, "calls", [A, B.but(worker_start=1.0)]),
    "rbe.proof.platform": lambda e: setattr(e, "actions", [A, B.but(platform="")]),
    "rbe.proof.worker-gone": lambda e: setattr(e, "before", [pod(), pod("worker-1")]),
    "rbe.proof.worker-replaced": lambda e: setattr(e, "before", [pod(uid="0d0")]),
    "rbe.proof.worker-container": lambda e: setattr(e, "before", [pod(container_id="containerd://0")]),
    "rbe.proof.worker-restarted": lambda e: setattr(e, "after", [pod(restart_count=1)]),
    "rbe.proof.worker-late": lambda e: setattr(e, "after", [pod(started_at="2026-11-30T06:01:00Z")]),
    "rbe.proof.worker-appeared": lambda e: setattr(e, "after", [pod(), pod("worker-1")]),
    "rbe.proof.image-other": lambda e: setattr(
        e, "after", [pod(), pod("worker-1", image_digest=OTHER_IMAGE)]
    ),
    "rbe.proof.image-unknown": lambda e: setattr(e, "after", [pod(), pod("worker-1", image_digest=None)]),
    "rbe.proof.control-executed": lambda e: setattr(e, "cached", [A, B]),
    "rbe.proof.control-other": lambda e: setattr(
        e, "cached", [A.but(runner="remote cache hit", cache_hit=True, environment={})]
    ),
    "rbe.proof.control-failed": lambda e: setattr(e, "cached_exit", 1),
    "rbe.proof.control-built": lambda e: setattr(e, "alone_exit", 0),
    "rbe.proof.target-unlisted": lambda e: e.manifest["candidate_target_classes"][0].update(labels=["//:c"]),
    "rbe.proof.target-blocked": lambda e: (
        e.manifest["candidate_target_classes"][0].update(labels=["//:c"]),
        e.manifest["blocked_target_classes"][0].update(labels=["//:b"]),
    ),
    "rbe.proof.manifest-platform": lambda e: e.manifest.update(platform="other-rbe-linux-x86_64"),
}

#: Codes that necessarily come with another one of the same cause.
WITH = {
    "rbe.proof.local": {"rbe.proof.control-failed"},
    "rbe.proof.image-other": {"rbe.proof.worker-appeared"},
    "rbe.proof.image-unknown": {"rbe.proof.worker-appeared"},
    "rbe.proof.calls-disagree": set(),
    "rbe.proof.worker-gone": set(),
    "rbe.proof.manifest-platform": {"rbe.proof.boundary"},
    "rbe.proof.no-executor": set(),
}


@pytest.mark.parametrize("code", OBSERVED)
def test_what_was_observed_otherwise_is_refused_by_its_own_code(evidence, capsys, code):
    OBSERVED[code](evidence)
    exit_code, codes = verify(capsys, evidence.write())
    assert exit_code == 4
    assert {code} <= {*codes} <= {code} | WITH.get(code, set()), codes


def changed(*keys, value):
    """A change of the document at `keys`."""

    def change(document):
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


#: What the document says that does not follow from its files, and the code.
TOLD = {
    "rbe.proof.counts-told": changed("counts", "executed", value=62),
    "rbe.proof.summary-told": changed("process_summary", value="63 processes: 1 internal, 62 remote."),
    "rbe.proof.mnemonics-told": changed("mnemonics", value=[]),
    "rbe.proof.invocation-told": changed("bazel", "invocation_id", value="another"),
    "rbe.proof.exit-told": changed("exit_code", value=3),
    "rbe.proof.command-told": changed("command", value="test"),
    "rbe.proof.remote-workers-told": changed("remote_workers", value=["worker-9"]),
    "rbe.proof.times": changed("written", value="2026-11-30T06:03:00Z"),
    "rbe.proof.unforced": changed("forced", value=False),
    "rbe.proof.nonce-run": changed("run", "id", value="25984827371"),
    "rbe.proof.nonce-time": changed("run", "started", value="2026-11-30T06:01:00Z"),
    "rbe.proof.standing": changed("standing", value="proved"),
    "rbe.proof.boundary": changed("not_proved", value="It proves that every target is built remotely."),
    "rbe.proof.manifest-other": changed("manifest", "sha256", value="0" * 64),
    "rbe.proof.image-not-run": changed("image_digest", value=OTHER_IMAGE),
    "rbe.proof.image-unsaid": changed("image_digest", value=None),
    "rbe.proof.workers-told": changed("restarts", value=1),
    "rbe.proof.control-missing": lambda document: document["controls"].pop(),
    "rbe.proof.control-told": changed("controls", 0, "executed", value=5),
    "rbe.proof.control-unheld": changed("controls", 0, "held", value=False),
    "rbe.document.boolean": changed("counts", "forced", value=True),
    "rbe.document.type": changed("run", "attempt", value="1"),
    "rbe.document.value": changed("repository", "commit", value="main"),
    "rbe.document.unknown-key": changed("verdict", value="proved"),
    "rbe.document.missing-key": lambda document: document.pop("nonce"),
}


@pytest.mark.parametrize("code", TOLD)
def test_what_the_document_tells_otherwise_is_refused_by_its_own_code(evidence, capsys, code):
    evidence.write()
    TOLD[code](evidence.document)
    evidence.rewrite()
    exit_code, codes = verify(capsys, evidence.directory)
    assert exit_code == 4
    assert codes == [code] or (code == "rbe.proof.nonce-time" and codes == [code, "rbe.proof.worker-late"])


def test_a_nonce_that_is_none(evidence, capsys):
    evidence.nonce = "today"
    evidence.actions = [each.but(environment={"N": "today"}) for each in (A, B)]
    assert verify(capsys, evidence.write()) == (4, ["rbe.proof.nonce-malformed"])


def cut(name, by=40):
    """Cut a file off at its end."""

    def change(evidence):
        path = evidence.directory / name
        path.write_bytes(path.read_bytes()[:-by])
        evidence.relist()

    return change


def written(name, content):
    def change(evidence):
        (evidence.directory / name).write_bytes(content)
        evidence.relist()

    return change


def linked(evidence):
    log = evidence.directory / "execution-log"
    log.rename(evidence.directory.parent / "elsewhere")
    log.symlink_to("../elsewhere")


def without(role):
    def change(evidence):
        document = evidence.document
        (entry,) = (each for each in document["files"] if each["role"] == role)
        (evidence.directory / entry["name"]).unlink()
        document["files"].remove(entry)
        evidence.rewrite()

    return change


def edited(evidence, name, old, new):
    path = evidence.directory / name
    path.write_text(path.read_text().replace(old, new))


def listed_twice(evidence):
    (entry,) = (each for each in evidence.document["files"] if each["role"] == "console")
    evidence.document["files"].append(entry)
    evidence.rewrite()


#: What is done to the files, and the code that says so, first among those that follow.
FILES = {
    "rbe.log.truncated": cut("execution-log"),
    "rbe.log.unreadable": written("execution-log", b"[]"),
    "rbe.log.calls-truncated": cut("remote-calls.log"),
    "rbe.log.calls": written("remote-calls.log", b"\xff" * 40),
    "rbe.log.events": written("build-events.json", b"no events"),
    "rbe.evidence.file-link": linked,
    "rbe.evidence.file-missing": lambda e: (e.directory / "console.txt").unlink(),
    "rbe.evidence.file-digest": lambda e: (e.directory / "console.txt").write_text("3 processes: 3 remote."),
    "rbe.evidence.file-unlisted": lambda e: (e.directory / "notes.txt").write_text("x"),
    "rbe.evidence.role-twice": listed_twice,
    "rbe.evidence.role-missing": without("manifest"),
    "rbe.evidence.statement-missing": lambda e: (e.directory / "statement.json").unlink(),
    "rbe.evidence.statement-subject": lambda e: (
        e.document.update(gfattach="0.2"),
        (e.directory / "evidence.json").write_text(json.dumps(e.document)),
    ),
    "rbe.evidence.statement-told": lambda e: edited(e, "statement.json", "remote execution of //:b", "x"),
    "rbe.evidence.statement-failed": lambda e: write_document(e.directory, e.document, proved=False),
    "rbe.evidence.statement-type": lambda e: (e.directory / "statement.json").write_text('{"_type": "x"}'),
    "rbe.proof.no-options": written("build-events.json", b'{"started": {}}\n'),
    "rbe.proof.no-calls": without("remote-calls"),
    "rbe.proof.workers-missing": without("workers"),
    "rbe.proof.manifest-faults": written("manifest.json", b"{}"),
}


@pytest.mark.parametrize("code", FILES)
def test_what_is_done_to_the_files_is_refused_by_its_own_code(evidence, capsys, code):
    evidence.write()
    FILES[code](evidence)
    exit_code, codes = verify(capsys, evidence.directory)
    assert exit_code == 4
    assert code in codes


def test_a_compact_log_that_is_cut_off(evidence, capsys):
    evidence.compact = True
    evidence.write()
    cut("execution-log", 8)(evidence)
    code, codes = verify(capsys, evidence.directory)
    assert code == 4 and "rbe.log.truncated" in codes


#: What is told otherwise in another place, by the code that says so there too.
ALSO_TOLD = [
    ("rbe.document.value", changed("run", "started", value="2026-13-40T06:00:00Z")),
    ("rbe.document.value", changed("run", "ended", value="2026-11-30T25:00:00Z")),
    ("rbe.document.value", changed("written", value="2026-99-30T06:05:00Z")),
    ("rbe.document.value", changed("run", "url", value="javascript:alert(1)")),
    ("rbe.document.value", changed("files", 0, "role", value="something")),
    ("rbe.document.value", changed("files", 0, "name", value="../console.txt")),
    ("rbe.proof.manifest-other", changed("manifest", "updated", value="2030-01-01")),
    ("rbe.proof.control-told", changed("controls", 1, "exit_code", value=1)),
    ("rbe.proof.control-told", lambda document: document["controls"].append(document["controls"][0])),
    ("rbe.proof.cache-other", changed("endpoints", "cache", value="grpc://10.0.0.9:8980")),
]


@pytest.mark.parametrize(("code", "change"), ALSO_TOLD)
def test_what_the_document_tells_otherwise_elsewhere(evidence, capsys, code, change):
    evidence.write()
    change(evidence.document)
    evidence.rewrite()
    assert verify(capsys, evidence.directory) == (4, [code])


def test_a_forward_that_was_told_without_the_pods_behind_it(evidence, capsys):
    evidence.before = None
    evidence.write()
    evidence.document["endpoints"]["through"] = "Service rbe/executor:grpc"
    evidence.rewrite()
    assert verify(capsys, evidence.directory) == (4, ["rbe.proof.workers-missing"])


def test_what_nothing_beside_the_document_shows_is_said(evidence, capsys):
    assert run(["rbe", "verify", str(evidence.write()), "-v"]) == 0
    shown = capsys.readouterr().err
    assert "rbe.verify.as-told" in shown and "who allowed the checkout" in shown


def test_no_worker_before_the_build(evidence, capsys):
    evidence.before = []
    code, codes = verify(capsys, evidence.write())
    assert code == 4 and "rbe.proof.workers-none" in codes


def test_workers_that_nobody_looked_at_are_said_and_no_fault(evidence, capsys):
    evidence.before = None
    assert verify(capsys, evidence.write()) == (0, [])
    assert run(["rbe", "verify", str(evidence.directory)]) == 0
    assert "The workers were not looked at" in capsys.readouterr().out


NO_EVIDENCE = {
    "rbe.evidence.missing": lambda path: None,
    "rbe.evidence.unreadable": lambda path: path.write_text('{"schema": '),
    "rbe.evidence.schema": lambda path: path.write_text('{"schema": "gfattach.rbe-evidence/2"}'),
    "rbe.evidence.link": lambda path: path.symlink_to(os.devnull),
    "rbe.result.schema": lambda path: path.write_text(
        '{"kind": "gf-reapi-proof-result", "schema_version": 3}'
    ),
}


@pytest.mark.parametrize("code", NO_EVIDENCE)
def test_what_is_no_evidence_at_all_is_wrong_usage(tmp_path, capsys, code):
    path = tmp_path / "evidence.json"
    NO_EVIDENCE[code](path)
    assert verify(capsys, path) == (2, [code])


def test_a_key_that_stands_twice_is_no_document(evidence, capsys):
    path = evidence.write() / "evidence.json"
    path.write_text(path.read_text().replace('"forced": true', '"forced": true, "forced": true'))
    assert verify(capsys, path) == (2, ["rbe.evidence.unreadable"])


@pytest.mark.parametrize(
    "option",
    [
        ("--require-target", "//:c"),
        ("--require-image-digest", OTHER_IMAGE),
        ("--require-platform", "gloriousflywheel-rbe-darwin-aarch64"),
        ("--require-bazel-command", "test"),
    ],
)
def test_good_evidence_of_something_else_than_what_is_required(evidence, capsys, option):
    assert verify(capsys, evidence.write(), *option) == (4, ["rbe.verify.required"])


def test_evidence_beside_a_manifest_of_today(evidence, capsys, tmp_path):
    manifest = tmp_path / "manifest.json"
    evidence.write()
    manifest.write_text(json.dumps(evidence.manifest, indent=1))
    assert verify(capsys, evidence.directory, "--manifest", str(manifest)) == (0, [])
    evidence.manifest["candidate_target_classes"][0]["labels"] = ["//:c"]
    manifest.write_text(json.dumps(evidence.manifest))
    code, codes = verify(capsys, evidence.directory, "--manifest", str(manifest))
    assert (code, codes) == (4, ["rbe.proof.no-longer"])
