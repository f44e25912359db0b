"""What becomes of a document: deleted, fitting nowhere, with a container in a state."""

from __future__ import annotations

from tests.harness.arc.documents import Document, ago


def delete(document: Document, age: float) -> None:
    """Have the document be deleted since so many seconds; finalizers keep it."""
    document["metadata"]["deletionTimestamp"] = ago(age)


def unscheduled(pod: Document, message: str, age: float = 300) -> None:
    """Have the scheduler say that the pod fits nowhere."""
    pod["spec"].pop("nodeName", None)
    pod["status"] = {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastTransitionTime": ago(age),
            }
        ],
    }


def container_state(
    pod: Document, name: str, state: Document, *, init: bool = False, last: Document | None = None
) -> None:
    """Have one container of the pod, which is on a node and pending, be in `state`."""
    pod["status"]["phase"] = "Pending"
    pod["spec"]["nodeName"] = "node-1"
    entry = {"name": name, "image": "image", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    if last is not None:
        entry["lastState"] = last
    pod["status"]["initContainerStatuses" if init else "containerStatuses"] = [entry]
