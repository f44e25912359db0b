"""`gfattach rbe verify`: one question to evidence of either kind, with what its asker requires besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gfattach.core.engine import Run
from gfattach.core.finding import Finding, fail
from gfattach.rbe.evidence import document as documents
from gfattach.rbe.evidence.directory import read_json_document
from gfattach.rbe.evidence.verify import Verification, verify_evidence
from gfattach.rbe.manifest.read import load_manifest
from gfattach.rbe.result.kind import NAME, is_result


class VerifyOptions(Struct, frozen=True):
    """What to verify, and what is required of it; None requires nothing."""

    path: Path
    manifest: Path | None = None
    target: str | None = None
    image_digest: str | None = None
    platform: str | None = None
    command: str | None = None


#: What can be required, where an evidence document has it, and where a proof result does.
_REQUIRED = (
    ("target", ("target",), ("request", "target")),
    ("image_digest", ("image_digest",), ("worker_image_digest",)),
    ("platform", ("manifest", "platform"), ("request", "target_platform")),
    ("command", ("command",), ("request", "bazel_command")),
)


def verify(options: VerifyOptions, run: Run) -> Verification:
    """Verify a directory or a file. Raises UsageError for what is no evidence, and StorageError."""
    found: list[Verification] = []

    def work(progress: object) -> Mapping[str, Finding]:
        now = None if options.manifest is None else load_manifest(options.manifest)
        path = _place(options.path)
        document, _ = read_json_document(path)
        if result := is_result(document):
            from gfattach.rbe.result.verify import verify_result

            verified = verify_result(path, now)
        else:
            verified = verify_evidence(path, now)
        verified = replace(verified, findings=(*verified.findings, *_required(options, verified, result)))
        found.append(verified)
        return verified.named()

    run.step("verify", "verify the evidence offline", work)
    return found[0]


def _place(path: Path) -> Path:
    """The document that is meant by a directory, or the file itself."""
    if not path.is_dir():
        return path
    own, result = path / documents.DOCUMENT_NAME, path / NAME
    return result if result.exists() and not own.exists() else own


def _required(options: VerifyOptions, verified: Verification, result: bool) -> Iterator[Finding]:
    if not verified.proved:
        return
    for name, own, theirs in _REQUIRED:
        wanted = getattr(options, name)
        value = _value(verified.document, theirs if result else own)
        if wanted is not None and value != wanted:
            said = f"the {name.replace('_', ' ')} is {value}, and {wanted} is required"
            yield fail("rbe.verify.required", said, "it is good evidence of something else")


def _value(document: Mapping[str, Any] | None, path: tuple[str, ...]) -> Any:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
