"""Was the target eligible by the manifest that lies in the directory, and is its boundary told as it is?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.core.finding import Finding, fail, warn
from gfattach.rbe.evidence.boundary import not_proved
from gfattach.rbe.manifest.model import Manifest, Standing


def eligibility(document: Mapping[str, Any], manifest: Manifest) -> Iterator[Finding]:
    """What `manifest`, which lay beside the evidence, says against the target of `document`."""
    label = document["target"]
    found = manifest.labels().get(label)
    named = (document["manifest"]["sha256"], document["manifest"]["updated"])
    if named != (manifest.sha256, manifest.updated):
        said = "the manifest in the directory is not the one that the evidence names"
        yield fail("rbe.proof.manifest-other", said, "eligibility was judged by another")
    if found is None:
        said = f"the manifest does not list {label}"
        yield fail(
            "rbe.proof.target-unlisted", said, "labels are compared exactly: a neighbour says nothing of it"
        )
        return
    if found.standing is Standing.BLOCKED:
        said = f"the manifest blocks {label}: {'; '.join(found.blockers)}"
        yield fail("rbe.proof.target-blocked", said, "nothing that was run makes it eligible")
        return
    said_of = (document["class"], document["standing"])
    if said_of != (found.name, found.standing.value):
        said = f"the evidence calls {label} {said_of[1]} in {said_of[0]}, and the manifest "
        said += f"{found.standing.value} in {found.name}"
        yield fail("rbe.proof.standing", said, "the evidence claims another standing than the target has")
    if document["manifest"]["platform"] != manifest.platform:
        said = (
            f"the evidence is of {document['manifest']['platform']}, and the manifest of {manifest.platform}"
        )
        yield fail("rbe.proof.manifest-platform", said, "a proof says something of one platform alone")
    wanted = not_proved(label, found.boundary, manifest.platform, workers_seen=bool(document["workers"]))
    if document["not_proved"] != wanted:
        said = "the sentence of what is not proved is not the one that follows from the boundary"
        yield fail("rbe.proof.boundary", said, "a proof may not claim more than its class")


def still(document: Mapping[str, Any], now: Manifest) -> Iterator[Finding]:
    """What a manifest of today says of evidence that was made by an earlier one."""
    if now.sha256 == document["manifest"]["sha256"]:
        return
    found = now.labels().get(document["target"])
    standing = Standing.UNLISTED if found is None else found.standing
    if standing in (Standing.UNLISTED, Standing.BLOCKED):
        said = f"{now.path} has {document['target']} as {standing.value}"
        yield fail(
            "rbe.proof.no-longer", said, "it was eligible when the proof was made, and is not any more"
        )
    else:
        said = f"{now.path} is not the manifest that the proof was made by"
        yield warn("rbe.proof.manifest-changed", said, "its boundary may be another now", "prove it again")
