"""EphemeralRunnerSets and EphemeralRunners: how many runners are wanted, and what each of them does.

Up to chart 0.12.1 status.runnerJITConfig held a secret: status is read field by field, never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any, ClassVar

from gfattach.cluster.api.arc.scale_set import number
from gfattach.cluster.api.fields import mapping, name_of, one_line, text, texts
from gfattach.cluster.api.metadata import NamespacedObject, metadata

#: The finalizer that stays while GitHub says that the runner is busy.
REGISTRATION_FINALIZER = "ephemeralrunner.actions.github.com/runner-registration-finalizer"

#: Phases in which a runner counts: finished and outdated ones do not.
COUNTED = ("Pending", "Running", "Failed")


class RunnerSet(NamespacedObject, frozen=True):
    """An EphemeralRunnerSet: `replicas` runners are wanted, as of the listener's patch number `patch`."""

    KIND: ClassVar[str] = "EphemeralRunnerSet"

    replicas: int
    patch: int
    phase: str


class Runner(NamespacedObject, frozen=True):
    """An EphemeralRunner. `phase` is Pending where it says nothing or what is not known; `failures` counts
    pods that failed under it; `repository`, `workflow`, `run` and `job` are of the job that it runs."""

    KIND: ClassVar[str] = "EphemeralRunner"

    phase: str
    ready: bool
    reason: str
    message: str
    failures: int
    busy: bool
    repository: str
    workflow: str
    run: int
    job: str
    patch: int

    @property
    def counted(self) -> bool:
        """Whether its set counts it against the number that is wanted."""
        return self.phase in COUNTED and self.meta.deleted is None


def runner_set(document: Mapping[str, Any]) -> RunnerSet:
    """An EphemeralRunnerSet. Raises ClusterError."""
    spec, status = mapping(document, "spec"), mapping(document, "status")
    return RunnerSet(
        metadata(document, with_changes=True),
        number(spec, "replicas", 0),
        number(spec, "patchID", 0),
        intern(one_line(text(status, "phase"), 40)),
    )


def runner(document: Mapping[str, Any]) -> Runner:
    """An EphemeralRunner. Raises ClusterError."""
    status = mapping(document, "status")
    phase = text(status, "phase")
    failures = status.get("failures")
    patch = texts(mapping(document, "metadata"), "annotations").get("actions.github.com/patch-id", "")
    return Runner(
        metadata(document),
        phase if phase in (*COUNTED, "Succeeded", "Outdated") else "Pending",
        status.get("ready") is True,
        one_line(text(status, "reason"), 120),
        one_line(text(status, "message")),
        len(failures) if isinstance(failures, Mapping) else 0,
        bool(status.get("jobId")) or number(status, "jobRequestId", 0) != 0,
        intern(name_of(status, "jobRepositoryName")),
        intern(_workflow(text(status, "jobWorkflowRef"))),
        number(status, "workflowRunId", 0),
        one_line(text(status, "jobDisplayName"), 200),
        int(patch) if patch.isascii() and patch.isdigit() and len(patch) < 10 else 0,
    )


def _workflow(reference: str) -> str:
    """`.github/workflows/f.yml` of `owner/repo/.github/workflows/f.yml@refs/heads/main`."""
    path = reference.partition("@")[0]
    steps = path.split("/", 2)
    return one_line(steps[2] if len(steps) == 3 else path, 200)
