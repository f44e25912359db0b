"""Verifies the organisation's proof result offline, with what lies beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gfattach.core.errors import UsageError
from gfattach.core.finding import Finding, Status, fail, ok
from gfattach.rbe.evidence.directory import digest_of, read_json_document
from gfattach.rbe.evidence.shape import check
from gfattach.rbe.evidence.verify import Verification
from gfattach.rbe.manifest.model import Manifest
from gfattach.rbe.result import shapes
from gfattach.rbe.result.attestation import check_attestation, unattested
from gfattach.rbe.result.rules import countable, outputs_agree, second


def verify_result(path: Path, now: Manifest | None = None) -> Verification:
    """Verify the proof result at `path`; `now` is the manifest of today, if known.

    Raises UsageError (`rbe.evidence.*`, `rbe.result.schema`) for what cannot be read, and StorageError.
    """
    document, content = read_json_document(path)
    version = document.get("schema_version")
    if isinstance(version, bool) or version not in shapes.SHAPES:
        raise UsageError(
            f"{path} has the schema_version {version!r}, and 1 and 2 are known",
            "a newer gfattach may know it",
            code="rbe.result.schema",
        )
    faults = list(check(document, shapes.SHAPES[version]))
    if not faults:
        faults = list(_findings(document, version, path, now))
    faults += _attested(path, content)
    if not any(finding.status is Status.FAIL for finding in faults):
        target = document.get("request", {}).get("target", "a target that it does not name")
        said = f"{document['remote_processes']} remote processes for {target}, by version {version}"
        faults.insert(0, ok("rbe.result.countable", said))
    return Verification(tuple(faults), document)


def _findings(
    document: Mapping[str, Any], version: int, path: Path, now: Manifest | None
) -> Iterator[Finding]:
    yield from countable(document)
    if version == 1:
        return
    yield from second(document)
    yield from _outputs(document, path.parent)
    target = document["request"]["target"]
    if now is not None and target not in now.labels():
        yield fail(
            "rbe.proof.target-unlisted", f"{now.path} does not list {target}", "labels are compared exactly"
        )


def _outputs(document: Mapping[str, Any], directory: Path) -> Iterator[Finding]:
    """The exported outputs, as far as they lie there."""
    place = directory / shapes.OUTPUTS_NAME
    if place.exists() or place.is_symlink():
        exported, _ = read_json_document(place)
        wanted = document["worker_execution_evidence"]["exported_outputs_manifest_sha256"]
        if digest_of(place)[0] != wanted:
            said = f"{place.name} is not the file that the result names"
            yield fail("rbe.result.outputs-digest", said, "it was changed after the result was written")
        yield from outputs_agree(document, exported)
    for each in document["exported_outputs"]:
        output = directory / each["path"]
        if output.is_symlink():
            yield fail(
                "rbe.result.output-link", f"{each['path']} is a link", "what it leads to can be exchanged"
            )
        elif output.exists() and digest_of(output) != (each["sha256"], each["size_bytes"]):
            said = f"{each['path']} is not the file that the result names"
            yield fail("rbe.result.output-digest", said, "it was changed after the result was written")


def _attested(path: Path, content: bytes) -> Iterator[Finding]:
    place = path.with_name(f"{path.stem}.attestation.json")
    if not place.exists() and not place.is_symlink():
        yield unattested()
        return
    bundle, _ = read_json_document(place)
    yield from check_attestation(bundle, content, place.name)
