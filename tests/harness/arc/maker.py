"""Makes documents real: the official Kubernetes client creates them, with their status and owners.

The times of creation are the API server's own: a look has to be moved on by `shift` for what takes time to
have passed. The times that a document tells itself are moved so that they are as old at that look as they
were at `NOW`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tests.harness.arc import crds
from tests.harness.arc.documents import NOW, RUNNERS, Document, written
from tests.harness.arc.objects import CONTROLLERS, Fleet
from tests.harness.cluster.daemon import wait_until

#: KWOK leaves pods with it alone, and no real scheduler takes pods of this name: their status is the test's.
HOLD = {"gfattach.test/hold": "true"}
SCHEDULER = "recorded"

_ARC_PLURALS = ("autoscalinglisteners", "ephemeralrunners", "ephemeralrunnersets", "autoscalingrunnersets")


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Maker:
    """The official client as an administrator."""

    def __init__(self, kubeconfig: str) -> None:
        self.api = config.new_client_from_config(kubeconfig)
        self.core = client.CoreV1Api(self.api)
        self.apps = client.AppsV1Api(self.api)
        self.custom = client.CustomObjectsApi(self.api)
        self.uids: dict[str, str] = {}  # of documents, and what the API server made of them

    def make(self, fleet: Fleet, *, later: float = 0.0, scheduled: bool = False) -> None:
        """Create every document, for a look that is moved on by `later` seconds.

        With `scheduled`, pods without a node are the real scheduler's.
        """
        self.uids.clear()
        for document in fleet.documents:
            self.create(document, later=later, scheduled=scheduled)

    def create(self, document: Document, *, later: float = 0.0, scheduled: bool = False) -> Any:
        """Create one document, then its status; then delete it where it has a deletionTimestamp."""
        body = moved(copy.deepcopy(document), datetime.now(UTC) + timedelta(seconds=later) - NOW)
        metadata, status = body["metadata"], body.pop("status", None)
        fake, deleted = metadata.pop("uid", ""), metadata.pop("deletionTimestamp", None)
        for key in ("creationTimestamp", "managedFields"):
            metadata.pop(key, None)
        for owner in metadata.get("ownerReferences", ()):
            owner["uid"] = self.uids.get(owner["uid"], owner["uid"])
        if body["kind"] == "Pod" and not (scheduled and "nodeName" not in body["spec"]):
            metadata["annotations"] = HOLD
            body["spec"].setdefault("schedulerName", SCHEDULER)
        if body["kind"] == "Event":
            body["involvedObject"]["uid"] = self.uids.get(body["involvedObject"]["uid"], "")
        if body["kind"] == "Node":
            metadata["annotations"] = HOLD
        made = self._create(body)
        uid = made["metadata"]["uid"] if isinstance(made, dict) else made.metadata.uid
        self.uids[fake] = uid
        if body["kind"] == "Node":
            # The admission makes a node unready; no controller takes that away again here.
            self.core.patch_node(body["metadata"]["name"], {"spec": {"taints": body["spec"].get("taints")}})
        if status and not (scheduled and body["kind"] == "Pod" and "nodeName" not in body["spec"]):
            self._status(body, status)
        if deleted is not None:
            self._delete(body)
        return made

    def _create(self, body: Document) -> Any:
        kind, namespace = body["kind"], body["metadata"].get("namespace", "")
        if body["apiVersion"].startswith(crds.GROUP):
            plural = f"{kind.lower()}s"
            return self.custom.create_namespaced_custom_object(
                crds.GROUP, crds.VERSION, namespace, plural, body
            )
        if kind == "Node":
            return self.core.create_node(body)  # type: ignore[arg-type]
        if kind == "Deployment":
            return self.apps.create_namespaced_deployment(namespace, body)  # type: ignore[arg-type]
        name = {
            "Pod": "pod",
            "Event": "event",
            "ResourceQuota": "resource_quota",
            "ServiceAccount": "service_account",
        }
        return getattr(self.core, f"create_namespaced_{name[kind]}")(namespace, body)

    def _status(self, body: Document, status: Document) -> None:
        kind, metadata = body["kind"], body["metadata"]
        name, namespace, patch = metadata["name"], metadata.get("namespace", ""), {"status": status}
        if body["apiVersion"].startswith(crds.GROUP):
            plural = f"{kind.lower()}s"
            self.custom.patch_namespaced_custom_object_status(
                crds.GROUP, crds.VERSION, namespace, plural, name, patch
            )
        elif kind == "Pod":
            self.core.patch_namespaced_pod_status(name, namespace, patch)
        elif kind == "Node":
            self.core.patch_node_status(name, patch)
        elif kind == "Deployment":
            self.apps.patch_namespaced_deployment_status(name, namespace, patch)
        elif kind == "ResourceQuota":
            self.core.patch_namespaced_resource_quota_status(name, namespace, patch)

    def _delete(self, body: Document) -> None:
        name, namespace = body["metadata"]["name"], body["metadata"].get("namespace", "")
        if body["kind"] == "Pod":
            self.core.delete_namespaced_pod(name, namespace)
        else:
            plural = f"{body['kind'].lower()}s"
            self.custom.delete_namespaced_custom_object(crds.GROUP, crds.VERSION, namespace, plural, name)

    def change(self, document: Document, patch: Document) -> None:
        """Merge a patch into an object of ARC's that was made."""
        metadata, plural = document["metadata"], f"{document['kind'].lower()}s"
        self.custom.patch_namespaced_custom_object(
            crds.GROUP, crds.VERSION, metadata["namespace"], plural, metadata["name"], patch
        )

    def delete(self, document: Document) -> None:
        """Delete an object of ARC's that was made, whatever finalizers keep it."""
        metadata, plural = document["metadata"], f"{document['kind'].lower()}s"
        self._delete(document)
        self._free(plural, metadata["namespace"], metadata["name"])

    def clear(self) -> None:
        """Delete all that was made, whatever finalizers keep it."""
        for namespace in (RUNNERS, CONTROLLERS):
            for plural in _ARC_PLURALS:
                for name in self._names(plural, namespace):
                    self._free(plural, namespace, name)
                self.custom.delete_collection_namespaced_custom_object(
                    crds.GROUP, crds.VERSION, namespace, plural
                )
            self.core.delete_collection_namespaced_pod(namespace, grace_period_seconds=0)
            self.core.delete_collection_namespaced_resource_quota(namespace)
            self.core.delete_collection_namespaced_limit_range(namespace)
            self.core.delete_collection_namespaced_event(namespace)
            self.core.delete_collection_namespaced_service_account(namespace)
            self.core.delete_collection_namespaced_persistent_volume_claim(namespace)
            self.apps.delete_collection_namespaced_deployment(namespace)
        for node in self.core.list_node().items:
            if node.metadata.name.startswith("node-"):
                self.core.delete_node(node.metadata.name)  # type: ignore[arg-type]
        wait_until("all is gone", lambda: not any(self._left()))

    def _names(self, plural: str, namespace: str) -> list[str]:
        found = self.custom.list_namespaced_custom_object(crds.GROUP, crds.VERSION, namespace, plural)
        return [each["metadata"]["name"] for each in found["items"]]

    def _free(self, plural: str, namespace: str, name: str) -> None:
        try:
            self.custom.patch_namespaced_custom_object(
                crds.GROUP, crds.VERSION, namespace, plural, name, {"metadata": {"finalizers": None}}
            )
        except ApiException as error:  # one that was being deleted goes with its finalizers
            if error.status != 404:
                raise

    def _left(self) -> Iterator[object]:
        for namespace in (RUNNERS, CONTROLLERS):
            yield from self.core.list_namespaced_pod(namespace).items
            for plural in _ARC_PLURALS:
                yield from self._names(plural, namespace)


def moved(document: Any, by: timedelta) -> Any:
    """A document with every time in it moved; what only has the look of text stays."""
    if isinstance(document, dict):
        return {key: moved(value, by) for key, value in document.items()}
    if isinstance(document, list):
        return [moved(value, by) for value in document]
    if isinstance(document, str) and _TIME.fullmatch(document):
        return written(datetime.fromisoformat(document) + by)
    return document
