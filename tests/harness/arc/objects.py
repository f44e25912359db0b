"""Objects of ARC and of Kubernetes as documents, as a controller of a given chart leaves them.

A `Fleet` holds documents; its methods add a scale set with all that belongs to one that is well, and runners
with their pods. Ages are seconds before `NOW`. What a test changes afterwards it changes in the documents.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gfattach.cluster.api.arc import names
from tests.harness.arc.documents import NOW, RUNNERS, Document, Documents

ARC = "actions.github.com/v1alpha1"
CONTROLLERS = "arc-systems"

REQUESTS = {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "8Gi"}


def pod_spec(requests: Mapping[str, str] = REQUESTS, **more: Any) -> Document:
    """A runner's PodSpec, as the chart renders it."""
    container = {
        "name": "runner",
        "image": "ghcr.io/actions/actions-runner:2.330.0",
        "command": ["/home/runner/run.sh"],
        "resources": {"requests": dict(requests)},
    }
    return {"containers": [container], "restartPolicy": "Never", **more}


@dataclass
class Set:
    """What belongs to one scale set, as documents."""

    scale_set: Document
    runner_set: Document
    listener: Document
    listener_pod: Document
    runners: list[Document] = field(default_factory=list)
    pods: list[Document] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.scale_set["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str(self.scale_set["metadata"]["namespace"])


class Fleet(Documents):
    """Documents of one cluster, with a controller of `version` that is well."""

    def __init__(self, version: str = "0.13.1", strategy: str = "eventual", watched: str = "") -> None:
        super().__init__()
        self.version = version
        self._ids = itertools.count(1)
        self.now = NOW
        arguments = [f"--update-strategy={strategy}"]
        if watched:
            arguments.append(f"--watch-single-namespace={watched}")
        self.controller = self.add(
            "apps/v1",
            "Deployment",
            "arc-controller-gha-rs-controller",
            CONTROLLERS,
            86400,
            labels={
                "app.kubernetes.io/part-of": "gha-rs-controller",
                "app.kubernetes.io/component": "controller-manager",
                "app.kubernetes.io/version": version,
            },
            spec={
                "replicas": 1,
                "selector": {"matchLabels": {"app.kubernetes.io/part-of": "gha-rs-controller"}},
                "template": {
                    "metadata": {"labels": {"app.kubernetes.io/part-of": "gha-rs-controller"}},
                    "spec": {
                        "containers": [
                            {"name": "manager", "image": f"controller:{version}", "args": arguments}
                        ]
                    },
                },
            },
            status={"availableReplicas": 1, "replicas": 1, "readyReplicas": 1},
        )

    def scale_set(
        self,
        name: str = "tinyland-nix",
        *,
        url: str = "https://github.com/tinyland-inc",
        title: str = "",
        labels: tuple[str, ...] = (),
        minimum: int = 0,
        maximum: int | None = 5,
        group: str = "default",
        version: str = "",
        namespace: str = RUNNERS,
        age: float = 86400,
        spec: Document | None = None,
        suffix: str = "",
        replicas: int | None = None,
        patch: int = 0,
    ) -> Set:
        """A scale set that is registered, with runner set, listener and the listener's pod, all well."""
        chart, number = version or self.version, next(self._ids)
        common = {
            "app.kubernetes.io/part-of": "gha-rs",
            "app.kubernetes.io/version": chart,
            "actions.github.com/scale-set-name": name,
            "actions.github.com/scale-set-namespace": namespace,
        }
        bounds: Document = {"minRunners": minimum} | ({} if maximum is None else {"maxRunners": maximum})
        template = {"spec": spec or pod_spec()}
        newer = (names.release(chart) or (0, 14, 0)) >= (0, 14, 0)
        found = self.add(
            ARC,
            "AutoscalingRunnerSet",
            name,
            namespace,
            age,
            labels={**common, "app.kubernetes.io/component": "autoscaling-runner-set"},
            annotations={"runner-scale-set-id": str(number), "actions.github.com/runner-group-name": group},
            finalizers=["autoscalingrunnerset.actions.github.com/finalizer"],
            spec={
                "githubConfigUrl": url,
                "githubConfigSecret": f"{name}-github",
                "runnerGroup": group,
                "runnerScaleSetName": title or name,
                **({"runnerScaleSetLabels": list(labels)} if labels else {}),
                **bounds,
                "template": template,
            },
            # The counts are wrong on purpose: they are stale in the field, and are not to be read.
            status={"currentRunners": 3, "pendingEphemeralRunners": 3}
            | ({"phase": "Running"} if newer else {"state": ""}),
        )
        head = names.release(chart) is None or (names.release(chart) or ()) > (0, 14, 2)
        runner_set = self.add(
            ARC,
            "EphemeralRunnerSet",
            name if head else f"{name}-xc9zx",
            namespace,
            age,
            owner=found,
            labels={**common, "app.kubernetes.io/component": "runner-set"},
            finalizers=["ephemeralrunnerset.actions.github.com/finalizer"],
            spec={
                "replicas": minimum if replicas is None else replicas,
                "patchID": patch,
                "ephemeralRunnerSpec": {"runnerScaleSetId": number, **template},
            },
            status={"currentReplicas": 0} | ({"phase": "Running"} if newer else {}),
        )
        wanted = names.expected(name, namespace, group, url, "0.14.2" if _long(chart) else "0.12.1")[0]
        called = f"{name}-{suffix}-listener" if suffix else wanted
        listener = self.add(
            ARC,
            "AutoscalingListener",
            called,
            CONTROLLERS,
            age - 60,
            labels={**common, "app.kubernetes.io/component": "runner-scale-set-listener"},
            finalizers=["autoscalinglistener.actions.github.com/finalizer"],
            spec={
                "githubConfigUrl": url,
                "githubConfigSecret": f"{name}-github",
                "runnerScaleSetId": number,
                "autoscalingRunnerSetName": name,
                "autoscalingRunnerSetNamespace": namespace,
                "ephemeralRunnerSetName": runner_set["metadata"]["name"],
                "minRunners": minimum,
                "maxRunners": 2147483647 if maximum is None else maximum,
            },
            status={},
        )
        pod = self.pod(called, CONTROLLERS, age - 60, owner=listener, spec=_listener_spec(), labels=common)
        return Set(found, runner_set, listener, pod)

    def runner(
        self,
        of: Set,
        *,
        phase: str = "Running",
        ready: bool = True,
        repository: str = "",
        run: int = 4711,
        workflow: str = "ci.yml",
        age: float = 600,
        pod: bool = True,
        reason: str = "",
        message: str = "",
        patch: int = 0,
        old_job: bool = False,
        node: str = "node-1",
    ) -> Document:
        """A runner; with a `repository` it has a job of it. Its pod runs as its phase says."""
        suffix = f"{len(of.runners):05d}"
        status: Document = {
            "phase": phase,
            "ready": ready and phase == "Running",
            "runnerId": 100 + len(of.runners),
        }
        if reason:
            status |= {"reason": reason, "message": message}
        if repository:
            job = {"jobRequestId": 12} if old_job else {"jobId": "c0ffee"}
            status |= {
                **job,
                "jobRepositoryName": repository,
                "jobWorkflowRef": f"{repository}/.github/workflows/{workflow}@refs/heads/main",
                "workflowRunId": run,
                "jobDisplayName": "build",
            }
        made = self.add(
            ARC,
            "EphemeralRunner",
            f"{of.runner_set['metadata']['name']}-runner-{suffix}",
            of.namespace,
            age,
            owner=of.runner_set,
            labels={"app.kubernetes.io/component": "runner", "actions.github.com/scale-set-name": of.name},
            annotations={"actions.github.com/patch-id": str(patch)},
            finalizers=[
                "ephemeralrunner.actions.github.com/finalizer",
                "ephemeralrunner.actions.github.com/runner-registration-finalizer",
            ],
            spec={"runnerScaleSetId": 1, "spec": of.scale_set["spec"]["template"]["spec"]},
            status=status,
        )
        of.runners.append(made)
        of.runner_set["spec"]["replicas"] = max(of.runner_set["spec"]["replicas"], len(of.runners))
        if pod:
            running = {"Running": "Running", "Failed": "Failed"}.get(phase, "Pending")
            of.pods.append(
                self.pod(
                    made["metadata"]["name"],
                    of.namespace,
                    age,
                    owner=made,
                    spec=of.scale_set["spec"]["template"]["spec"],
                    phase=running,
                    node=node if running == "Running" else "",
                    labels={"actions-ephemeral-runner": "True"},
                )
            )
        return made


def _long(chart: str) -> bool:
    known = names.release(chart)
    return known is None or known >= (0, 13, 1)


def _listener_spec() -> Document:
    container = {"name": "listener", "image": "ghcr.io/actions/gha-runner-scale-set-controller:0.13.1"}
    return {"containers": [container], "restartPolicy": "Never"}
