"""Looks at the pods behind an executor's Service: which they are, and what a proof has to know of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.client import Api, ApiError, path_of
from gfattach.cluster.api.endpoint_selection import label_selector
from gfattach.cluster.api.fields import items, mapping, name_of, text, texts
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.api.services import find_service
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.quote import word

#: Seconds for one look.
LOOK_SECONDS = 15.0

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

#: What may be scaled to zero, and owns pods.
_OWNERS = ("deployments", "statefulsets")


class Workers(Struct, frozen=True):
    """Whose pods are looked at: those of a Service, or those that `selector` selects beside it."""

    api: Api
    namespace: str
    service: str
    selector: str | None = None

    def look(self) -> list[dict[str, Any]]:
        """The pods now, as the evidence has them.

        Raises ClusterError: `rbe.workers.scaled-to-zero` where there is none because none is wanted,
        `rbe.workers.none` where there is none, `cluster.service.missing`, and ApiError.
        """
        deadline = Deadline.after(LOOK_SECONDS)
        service = run_sync(find_service(self.api, self.namespace, self.service, deadline))
        selector = self.selector or label_selector(service.selector)
        pods = run_sync(self.api.get(path_of(self.namespace, "pods", labelSelector=selector), deadline))
        found = [pod_facts(pod) for pod in items(pods, "items") if not _gone(pod)]
        if not found:
            raise self._none(service.selector, deadline)
        return sorted(found, key=lambda pod: str(pod["name"]))

    def _none(self, selector: Mapping[str, str], deadline: Deadline) -> ClusterError:
        where = f"Service {self.service} in namespace {self.namespace}"
        if (owner := self._scaled_to_zero(selector, deadline)) is not None:
            kind, name = owner
            return ClusterError(
                f"the executor is scaled to zero: {kind} {name} behind {where} wants 0 replicas",
                "that is its normal state while nobody proves anything; gfattach scales nothing",
                f"whoever may: kubectl -n {word(self.namespace)} scale {kind}/{word(name)} --replicas=1",
                code="rbe.workers.scaled-to-zero",
            )
        return ClusterError(
            f"no worker pod is behind {where}",
            f"see why: kubectl -n {word(self.namespace)} get pods,deployments,statefulsets",
            code="rbe.workers.none",
        )

    def _scaled_to_zero(self, selector: Mapping[str, str], deadline: Deadline) -> tuple[str, str] | None:
        """The first owner of such pods that wants none; None where there is none, or it may not be read."""
        for kind in _OWNERS:
            try:
                path = path_of(self.namespace, kind, group="apis/apps/v1")
                owners = items(run_sync(self.api.get(path, deadline)), "items")
            except ApiError as error:
                if error.status != 403:
                    raise
                continue
            for owner in owners:
                spec = mapping(owner, "spec")
                labels = texts(mapping(mapping(spec, "template"), "metadata"), "labels")
                if spec.get("replicas") == 0 and selector.items() <= labels.items():
                    return kind.removesuffix("s"), name_of(mapping(owner, "metadata"), "name")
        return None


def pod_facts(pod: Mapping[str, Any]) -> dict[str, Any]:
    """What the evidence has of a pod: no more than a proof needs, and no environment of its containers."""
    metadata, status = mapping(pod, "metadata"), mapping(pod, "status")
    statuses = [*items(status, "initContainerStatuses"), *items(status, "containerStatuses")]
    return {
        "namespace": text(metadata, "namespace"),
        "name": text(metadata, "name"),
        "uid": text(metadata, "uid"),
        "containers": [_container(each) for each in statuses],
    }


def _container(status: Mapping[str, Any]) -> dict[str, Any]:
    running = mapping(mapping(status, "state"), "running")
    digest = _DIGEST.search(text(status, "imageID"))
    restarts = status.get("restartCount")
    return {
        "name": text(status, "name"),
        "container_id": text(status, "containerID") or "none",
        "image_digest": None if digest is None else digest[0],
        "restart_count": restarts if isinstance(restarts, int) and not isinstance(restarts, bool) else 0,
        "started_at": text(running, "startedAt") or None,
    }


def _gone(pod: Mapping[str, Any]) -> bool:
    phase = text(mapping(pod, "status"), "phase")
    return phase in ("Failed", "Succeeded") or bool(text(mapping(pod, "metadata"), "deletionTimestamp"))
