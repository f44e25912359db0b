"""Verifies the organisation's proof result offline, with what lies beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gfattach.core.errors import UsageError
from gfattach.core.finding import Finding, Status, fail, ok, skip
from gfattach.rbe.evidence.directory import digest_of, file_fault, read_json_document
from gfattach.rbe.evidence.shape import check
from gfattach.rbe.evidence.verify import Verification
from gfattach.rbe.manifest.model import Manifest, Standing
from gfattach.rbe.result import shapes
from gfattach.rbe.result.attestation import check_attestation, unattested
from gfattach.rbe.result.rules import countable, outputs_agree, second

#: Outputs that are not there, and are named.
_SHOWN = 5


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
    if now is not None:
        yield from _eligible(target, now)


def _eligible(target: str, now: Manifest) -> Iterator[Finding]:
    """What the manifest of today says of the target."""
    found = now.labels().get(target)
    if found is None:
        said = f"{now.path} does not list {target}"
        yield fail("rbe.proof.target-unlisted", said, "labels are compared exactly")
    elif found.standing is Standing.BLOCKED:
        said = f"{now.path} blocks {target}: {'; '.join(found.blockers)}"
        yield fail("rbe.proof.target-blocked", said, "nothing that was run makes it eligible")


def _outputs(document: Mapping[str, Any], directory: Path) -> Iterator[Finding]:
    """The exported outputs, as far as they lie there; and what does not, of which nothing can be checked."""
    absent = []
    place = directory / shapes.OUTPUTS_NAME
    if place.exists() or place.is_symlink():
        exported, _ = read_json_document(place)
        wanted = document["worker_execution_evidence"]["exported_outputs_manifest_sha256"]
        if digest_of(place)[0] != wanted:
            said = f"{place.name} is not the file that the result names"
            yield fail("rbe.result.outputs-digest", said, "it was changed after the result was written")
        yield from outputs_agree(document, exported)
    else:
        absent.append(place.name)
    for each in document["exported_outputs"]:
        if fault := file_fault(directory, each["path"]):
            yield fail("rbe.result.output-link", fault, "what it leads to can be exchanged")
        elif not (output := directory / each["path"]).exists():
            absent.append(each["path"])
        elif digest_of(output) != (each["sha256"], each["size_bytes"]):
            said = f"{each['path']} is not the file that the result names"
            yield fail("rbe.result.output-digest", said, "it was changed after the result was written")
    names = [*absent[:_SHOWN], *([f"{len(absent) - _SHOWN} more outputs"] if len(absent) > _SHOWN else [])]
    shown = f"{', '.join(names)} and " if names else ""
    said = f"{shown}the worker's own logs are named by digests alone: nothing here checks them"
    hints = ["lay the exported outputs beside the result to have them checked"] if names else []
    yield skip("rbe.verify.not-beside", said, *hints)


def _attested(path: Path, content: bytes) -> Iterator[Finding]:
    place = path.with_name(f"{path.stem}.attestation.json")
    if not place.exists() and not place.is_symlink():
        yield unattested()
        return
    bundle, _ = read_json_document(place)
    yield from check_attestation(bundle, content, place.name)
