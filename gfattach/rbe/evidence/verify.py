"""Verifies evidence offline: the document, its files, and that the one follows from the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.errors import UsageError
from gfattach.core.finding import Finding, Status, fail, ok, skip
from gfattach.core.parallel.forked import forked
from gfattach.proof.execution.facts import Asked, BuildFacts, read_build
from gfattach.proof.execution.rules.agreement import agreement
from gfattach.proof.execution.rules.executed import executed
from gfattach.proof.execution.rules.forced import forced
from gfattach.rbe.evidence import document as documents
from gfattach.rbe.evidence.directory import Evidence, listed_files, read_json_document
from gfattach.rbe.evidence.rules.controls import controls
from gfattach.rbe.evidence.rules.eligibility import eligibility, still
from gfattach.rbe.evidence.rules.told import told
from gfattach.rbe.evidence.rules.workers import workers
from gfattach.rbe.evidence.shape import check, moment_of
from gfattach.rbe.evidence.statement import check_statement
from gfattach.rbe.manifest.model import Manifest
from gfattach.rbe.manifest.read import load_manifest


class Verification(Struct, frozen=True):
    """What verifying came to: the findings in order, and the document, if it could be read as one."""

    findings: tuple[Finding, ...]
    document: Mapping[str, Any] | None = None

    @property
    def proved(self) -> bool:
        """Whether nothing speaks against it."""
        return not any(finding.status is Status.FAIL for finding in self.findings)

    def named(self) -> dict[str, Finding]:
        """The findings by names of their own, for a run's step."""
        found: dict[str, Finding] = {}
        for finding in self.findings:
            name, number = finding.code, 1
            while name in found:
                number += 1
                name = f"{finding.code} {number}"
            found[name] = finding
        return found


def verify_evidence(path: Path, now: Manifest | None = None) -> Verification:
    """Verify the evidence at `path`, a directory or its document; `now` is the manifest of today, if known.

    Raises UsageError (`rbe.evidence.missing`, `.link`, `.unreadable`, `.schema`) for what is no evidence at
    all, and StorageError.
    """
    place = path / documents.DOCUMENT_NAME if path.is_dir() else path
    document, content = read_json_document(place)
    refuse_other_schema(document, place)
    if faults := list(check(document, documents.SHAPE)):
        return Verification(tuple(faults), document)
    files, faults = listed_files(place.parent, document)
    evidence = Evidence(place, content, document, files)
    found = (*faults, *_findings(evidence, now))
    return Verification((*found, *_statement(evidence), _as_told()), document)


def refuse_other_schema(document: Mapping[str, Any], path: Path) -> None:
    """Raise UsageError (`rbe.evidence.schema`) for a document of another kind, or another version."""
    schema = document.get("schema")
    if schema != documents.SCHEMA:
        is_ = "no evidence" if schema is None else f"of the schema {schema!r}"
        raise UsageError(
            f"{path} is {is_}, and {documents.SCHEMA} is known",
            "a proof-result of the organisation's is told by its kind; anything else is not verified",
            code="rbe.evidence.schema",
        )


def _findings(evidence: Evidence, now: Manifest | None) -> Iterator[Finding]:
    # The logs of a control are as large as those of the proof, and neither needs the other.
    with forked(partial(_control_builds, evidence)) as control_builds:
        yield from _proof_findings(evidence, now)
        yield from controls(evidence.document, control_builds())


def _proof_findings(evidence: Evidence, now: Manifest | None) -> Iterator[Finding]:
    document, files = evidence.document, evidence.files
    build = read_build(files, document["target"], document["nonce"])
    yield from build.faults
    for role in (documents.EXECUTION_LOG, documents.EVENTS, documents.CONSOLE, documents.MANIFEST):
        if role not in files:
            yield fail("rbe.evidence.role-missing", f"the evidence has no {role}", "a proof is made from it")
    yield from _judged(document, build)
    yield from workers(document, _workers_seen(files))
    yield from _manifest(document, files, now)


def _judged(document: Mapping[str, Any], build: BuildFacts) -> Iterator[Finding]:
    asked = Asked(
        label=document["target"],
        nonce=document["nonce"],
        platform=document["manifest"]["platform"],
        run_id=document["run"]["id"],
        attempt=document["run"]["attempt"],
        started=moment_of(document["run"]["started"]),
        ended=moment_of(document["run"]["ended"]),
        executor=document["endpoints"]["executor"],
        cache=document["endpoints"]["cache"],
    )
    against = [
        *executed(asked, build),
        *forced(asked, build),
        *agreement(asked, build),
        *told(document, build),
    ]
    yield from against
    count = document["counts"]["target_executed"]
    if not _failed(against) and not build.faults:
        if count == 0:
            said = f"no action of {asked.label} was executed"
            yield fail("rbe.proof.not-executed", said, "there is nothing that was proved")
        else:
            summary = document["process_summary"]
            actions = "1 action" if count == 1 else f"{count} actions"
            yield ok("rbe.proof.executed", f"{actions} of {asked.label} executed remotely: {summary}")


def _manifest(
    document: Mapping[str, Any], files: Mapping[str, Path], now: Manifest | None
) -> Iterator[Finding]:
    if documents.MANIFEST in files:
        try:
            yield from eligibility(document, load_manifest(files[documents.MANIFEST]))
        except UsageError as error:
            yield fail("rbe.proof.manifest-faults", error.fact, "nothing says that the target was eligible")
    if now is not None:
        yield from still(document, now)


def _workers_seen(files: Mapping[str, Path]) -> Mapping[str, Any] | None:
    if documents.WORKERS not in files:
        return None
    try:
        return read_json_document(files[documents.WORKERS])[0]
    except UsageError:
        return {}


def _control_builds(evidence: Evidence) -> dict[str, BuildFacts]:
    found = {}
    for name in (documents.CACHED, documents.UNREACHABLE):
        own = {
            role.partition(":")[2]: path
            for role, path in evidence.files.items()
            if role.startswith(f"{name}:") and not role.endswith(documents.CALLS)  # no rule asks for them
        }
        found[name] = read_build(own, evidence.document["target"], evidence.document["nonce"])
    return found


def _statement(evidence: Evidence) -> Iterator[Finding]:
    path = evidence.directory / documents.STATEMENT_NAME
    try:
        yield from check_statement(read_json_document(path)[0], evidence.content, evidence.document)
    except UsageError as error:
        yield fail("rbe.evidence.statement-missing", error.fact, "there is nothing that could be signed")
        return
    said = "the statement beside the evidence is not signed, and nothing here checks a signature"
    hint = f"sign it: cosign attest-blob --statement {documents.STATEMENT_NAME} {documents.DOCUMENT_NAME}"
    yield skip("rbe.verify.unsigned", said, hint)


def _as_told() -> Finding:
    """What a document says that nothing beside it shows."""
    said = "as the document tells it, and not checked: the repository, its commit and path, who allowed the "
    said += "checkout, how private inputs were verified, Bazel's version, and the run's address"
    return skip("rbe.verify.as-told", said, "whoever signs the statement answers for them")


def _failed(findings: Iterable[Finding]) -> bool:
    return any(finding.status is Status.FAIL for finding in findings)
