"""Were the worker pods the same before and after, never restarted, and of the image that was meant?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gfattach.core.finding import Finding, fail, skip
from gfattach.rbe.evidence.shape import Shape, check

_CONTAINER: Shape = {
    "name": str,
    "container_id": str,
    "image_digest": (str, None),
    "restart_count": int,
    "started_at": (str, None),
}
_POD: Shape = {"namespace": str, "name": str, "uid": str, "containers": [_CONTAINER]}

#: The file of what was seen of the pods.
SHAPE: Shape = {"before": [_POD], "after": [_POD]}

Pods = dict[str, Mapping[str, Any]]


def workers(document: Mapping[str, Any], seen: Mapping[str, Any] | None) -> Iterator[Finding]:
    """What the pods, as they were seen before and after, say against `document`."""
    if seen is None:
        told = (document["workers"] or None, document["restarts"], document["image_digest"])
        if told != (None, None, None) or document["endpoints"]["through"] is not None:
            said = "the evidence speaks of worker pods, and what was seen of them is not there"
            yield fail("rbe.proof.workers-missing", said, "nothing says that they were looked at")
        else:
            said = "no worker pod was looked at, so image and restarts are not part of this proof"
            hint = "through a Service they are looked at: gfattach rbe prove --executor-service NAME"
            yield skip("rbe.proof.workers-unseen", said, hint)
        return
    if faults := list(check(seen, SHAPE, "workers")):
        yield from faults
        return
    before, after = _by_name(seen["before"]), _by_name(seen["after"])
    if not before:
        yield fail(
            "rbe.proof.workers-none", "no worker pod was there before the build", "nothing could run it"
        )
    for name, pod in before.items():
        yield from _same(name, pod, after.get(name), document)
    for name in after.keys() - before.keys():
        said = f"the worker {name} was not there before the build"
        yield fail(
            "rbe.proof.worker-appeared", said, "it may have executed what the others are thought to have"
        )
    yield from _images(document, after)
    yield from _told(document, after)


def _same(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any] | None, document: Mapping[str, Any]
) -> Iterator[Finding]:
    if after is None:
        yield fail(
            "rbe.proof.worker-gone",
            f"the worker {name} was gone after the build",
            "it may have been lost in it",
        )
        return
    if before["uid"] != after["uid"]:
        said = f"the worker {name} has another UID than before the build"
        yield fail("rbe.proof.worker-replaced", said, "it is another pod of the same name")
        return
    ids = {each["name"]: each["container_id"] for each in before["containers"]}
    for each in after["containers"]:
        if ids.get(each["name"], each["container_id"]) != each["container_id"]:
            said = f"the container {each['name']} of {name} is another than before the build"
            yield fail("rbe.proof.worker-container", said, "it was started anew while the build ran")
    for each in (*before["containers"], *after["containers"]):
        if each["restart_count"] != 0:
            said = f"the container {each['name']} of {name} was restarted {each['restart_count']} times"
            yield fail("rbe.proof.worker-restarted", said, "a proof wants a worker that never fell over")
            break
    started = document["run"]["started"]
    for each in after["containers"]:
        if each["started_at"] is not None and _moment(each["started_at"]) > _moment(started):
            said = (
                f"the container {each['name']} of {name} was started at {each['started_at']}, after the proof"
            )
            yield fail("rbe.proof.worker-late", said, "a restart count of 0 says nothing of a new container")


def _images(document: Mapping[str, Any], after: Pods) -> Iterator[Finding]:
    expected = document["expected_image_digest"]
    for name, pod in after.items():
        digests = {each["image_digest"] for each in pod["containers"]} - {None}
        if not digests:
            yield fail(
                "rbe.proof.image-unknown", f"nothing says which image {name} runs", "a tag can be moved"
            )
        elif expected is not None and expected not in digests:
            said = f"{name} runs {', '.join(sorted(digests))}, and {expected} was meant"
            yield fail(
                "rbe.proof.image-other",
                said,
                "what was executed there says nothing of the image that was meant",
            )
    shown = document["image_digest"]
    running = {each["image_digest"] for pod in after.values() for each in pod["containers"]}
    if shown is None and expected is not None:
        yield fail(
            "rbe.proof.image-unsaid",
            "the evidence names no image digest",
            "a result counts only with its image",
        )
    elif shown is not None and shown not in running:
        said = f"the evidence names the image {shown}, and no worker ran it"
        yield fail("rbe.proof.image-not-run", said, "the digest was written by hand, or is of another run")


def _told(document: Mapping[str, Any], after: Pods) -> Iterator[Finding]:
    told = sorted((each["namespace"], each["name"], each["uid"]) for each in document["workers"])
    seen = sorted((pod["namespace"], pod["name"], pod["uid"]) for pod in after.values())
    restarts = max((each["restart_count"] for pod in after.values() for each in pod["containers"]), default=0)
    if told != seen or document["restarts"] != restarts:
        said = "the evidence tells other workers or restarts than were seen"
        yield fail("rbe.proof.workers-told", said, "the document does not follow from what it was made from")


def _by_name(pods: list[Mapping[str, Any]]) -> Pods:
    return {f"{pod['namespace']}/{pod['name']}": pod for pod in pods}


def _moment(text: str) -> datetime:
    """A moment of the API server's or of ours; one that cannot be read counts as the latest."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
