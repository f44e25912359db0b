"""Why a pod is not ready, in the words of the cluster, and which of several reasons is the worst."""

from __future__ import annotations

from collections.abc import Iterable

from gfattach.cluster.api.fields import one_line
from gfattach.cluster.api.objects import Pod, Waiting, living

#: Reasons for which a container waits in the course of things, and not because of a fault.
_STARTING = frozenset({"ContainerCreating", "PodInitializing", "waiting"})


def worst(pods: Iterable[Pod]) -> tuple[Pod, str] | None:
    """Of the pods that are not ready, the one with the worst reason, and that reason. One that is over counts
    only where all are.
    """
    every = tuple(pods)
    judged = [(_judge(pod), pod) for pod in living(every) or every if not pod.ready or pod.terminating]
    if not judged:
        return None
    (_, reason), found = max(judged, key=lambda item: item[0][0])
    return found, reason


def _judge(pod: Pod) -> tuple[int, str]:
    """How bad it is (more is worse), and why."""
    if pod.terminating:
        return 0, "terminating"
    if pod.phase in ("Failed", "Succeeded"):
        return 5, _said(pod.reason or pod.phase, pod.message)
    faults = [waiting for waiting in pod.waiting if waiting.reason not in _STARTING]
    if faults:
        return 4, _container(faults[0])
    if pod.unscheduled:
        return 3, _said("Pending", pod.unscheduled)
    if pod.waiting or pod.phase == "Pending":
        first = pod.waiting[0] if pod.waiting else Waiting("Pending", pod.message)
        return 2, _container(first)
    return 1, _said("its readiness probe does not pass", pod.unready)


def _container(waiting: Waiting) -> str:
    ended = f"it ended with {waiting.ended}" if waiting.ended else ""
    return _said(waiting.reason, waiting.message or ended)


def _said(reason: str, message: str) -> str:
    return one_line(f"{reason}: {message}" if message else reason, 240)
