"""Causes in the runners' pods: the scheduler, nodes, images, volumes."""

from __future__ import annotations

import contextlib
from collections import Counter

from gfattach.cluster.api.arc.runner import Runner
from gfattach.cluster.api.scheduling.nodes import Node
from gfattach.cluster.api.scheduling.pods import Container, RunnerPod
from gfattach.cluster.api.scheduling.quantity import shown
from gfattach.cluster.api.scheduling.unschedulable import Unschedulable, parse
from gfattach.queue.causes.cause import Case, Cause, Certainty, Hit, SetRule, Verdict, counted, of_sets, span
from gfattach.queue.model.snapshot import MayNot
from gfattach.queue.model.world import SetView

#: Seconds in which containers are made and volumes mounted, as a rule; and in which a job's pod starts.
PROMPT = 120.0
JOB = 60.0

DISK = "ephemeral-storage"
_DISK_TAINT = "node.kubernetes.io/disk-pressure"

_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_CONFIG = ("CreateContainerConfigError",)
_CREATING = ("ContainerCreating", "PodInitializing")
_MOUNT = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")

Placed = tuple[Runner, RunnerPod]


def _placed(view: SetView) -> list[Placed]:
    """The counted runners that have a pod which lives."""
    found = ((each, view.pod(each)) for each in view.counted)
    return [(runner, pod) for runner, pod in found if pod is not None and pod.meta.deleted is None]


def _hit(found: list[Placed], **facts: object) -> Hit:
    runner, pod = found[0]
    known: dict[str, object] = {"count": counted(len(found), "pod"), "pod": pod.name, "runner": runner.name}
    objects = tuple(each.reference for _, each in found[:5])
    return Hit({**known, **facts}, objects, min(each.meta.created for _, each in found))


def unscheduled(view: SetView) -> list[Placed]:
    """The runners whose pods the scheduler has found no node for."""
    reasons = ("Unschedulable", "SchedulingGated")
    return [(r, p) for r, p in _placed(view) if p.unscheduled is not None and p.unscheduled[0] in reasons]


def message_of(found: list[Placed]) -> tuple[str, Unschedulable | None]:
    """What the scheduler says most often, and its parts."""
    said = Counter(pod.unscheduled[1] for _, pod in found if pod.unscheduled is not None)
    message = said.most_common(1)[0][0]
    return message, parse(message)


def parts_of(message: str, parsed: Unschedulable | None) -> str:
    """`0 of 12 nodes: 3 Insufficient cpu; 9 untolerated taint {gpu: true}`."""
    if parsed is None or not parsed.parts:
        return message
    said = "; ".join(f"{part.count} {part.text}" for part in parsed.parts)
    return f"{parsed.fitting} of {counted(parsed.nodes, 'node')} fit: {said}"


def of_disk(parsed: Unschedulable | None, case: Case) -> bool:
    """Whether ephemeral storage, or a disk that is full, is what most of the nodes lack.

    Nodes that are barred in another way were never meant for it. Where the scheduler does not name its taints
    the nodes themselves say whether a disk is full, if they may be read.
    """
    if parsed is None:
        return False
    disk = parsed.lacking(DISK) + parsed.tainted(_DISK_TAINT)
    unnamed = sum(part.count for part in parsed.parts if part.kind == "taint" and not part.what)
    if unnamed:
        with contextlib.suppress(MayNot):
            disk += min(unnamed, sum(node.disk_full for node in case.world.nodes()))
    others = [part.count for part in parsed.parts if part.kind == "insufficient" and part.what != DISK]
    return disk > 0 and disk >= max(others, default=0)


def _no_node(view: SetView, case: Case) -> Hit | None:
    found = unscheduled(view)
    if not found:
        return None
    message, parsed = message_of(found)
    return _since(found, _hit(found, parts=parts_of(message, parsed)))


def _since(found: list[Placed], hit: Hit) -> Hit:
    times = [pod.unscheduled_since for _, pod in found if pod.unscheduled_since is not None]
    return Hit(hit.facts, hit.objects, min(times, default=hit.since))


def _no_disk(view: SetView, case: Case) -> Hit | None:
    found = unscheduled(view)
    if not found:
        return None
    message, parsed = message_of(found)
    if not of_disk(parsed, case):
        return None
    needed = found[0][1].requests.get(DISK, 0)
    facts = _hit(found, parts=parts_of(message, parsed), needed=shown(DISK, needed), room=_room(case, needed))
    return _since(found, facts)


def _room(case: Case, needed: int) -> str:
    try:
        nodes, requested = case.world.nodes(), case.world.requested_by_node
    except MayNot as error:
        return f"what is free is unknown: may not {error.right}"
    full = [each.name for each in nodes if each.disk_full]
    free = {each.name: _free(each, requested.get(each.name, {})) for each in nodes}
    largest = max((each.allocatable.get(DISK, 0) for each in nodes), default=0)
    if nodes and largest < needed:
        return f"no node can ever take it: the largest has {shown(DISK, largest)}"
    name = max(free, key=lambda each: free[each], default="")
    said = f"most free has {name} with {shown(DISK, free[name])}" if name else "there is no node"
    return f"{said}; disk full (DiskPressure): {', '.join(full)}" if full else said


def _free(node: Node, requested: dict[str, int]) -> int:
    return node.allocatable.get(DISK, 0) - requested.get(DISK, 0)


def _container(pod: RunnerPod, *reasons: str, kind: str = "") -> Container | None:
    return next(
        (each for each in pod.containers if each.reason in reasons and (not kind or each.kind == kind)), None
    )


def _image(view: SetView, case: Case) -> Hit | None:
    found = [(r, p) for r, p in _placed(view) if _container(p, *_IMAGE)]
    if not found:
        return None
    bad = _container(found[0][1], *_IMAGE)
    assert bad is not None
    return _hit(found, container=bad.name, reason=bad.reason, message=bad.message or "no message")


def _broken_init(pod: RunnerPod) -> Container | None:
    for each in pod.containers:
        if (each.kind == "init" or each.name == "dind") and (
            each.reason == "CrashLoopBackOff" or each.exit_code
        ):
            return each
    return None


def _init(view: SetView, case: Case) -> Hit | None:
    found = [(r, p) for r, p in _placed(view) if _broken_init(p)]
    if not found:
        return None
    bad = _broken_init(found[0][1])
    assert bad is not None
    code = "" if bad.exit_code is None else f", exit code {bad.exit_code}"
    said = f"{bad.reason}{code}"
    return _hit(found, container=bad.name, said=said, failures=sum(runner.failures for runner, _ in found))


def _volume(view: SetView, case: Case) -> Hit | None:
    placed = _placed(view)
    for runner, pod in placed:
        bad = _container(pod, *_CONFIG)
        if bad is not None:
            return _hit([(runner, pod)], message=f"{bad.reason}: {bad.message}")
    for runner, pod in placed:
        if _container(pod, *_CREATING) is None or not case.older(pod.meta.created, PROMPT):
            continue
        for event in case.world.events_of("Pod", pod.namespace, pod.name):
            if event.reason in _MOUNT:
                return _hit([(runner, pod)], message=f"{event.reason}: {event.message}")
    return None


def _job_pod(view: SetView, case: Case) -> Hit | None:
    for runner in view.counted:
        if runner.phase != "Running" or not runner.busy:
            continue
        pod = case.world.job_pod_of(runner)
        if pod is None or pod.phase != "Pending" or not case.older(pod.meta.created, JOB):
            continue
        why = (
            parts_of(pod.unscheduled[1], parse(pod.unscheduled[1]))
            if pod.unscheduled
            else "its containers wait"
        )
        return _hit([(runner, pod)], why=why, repository=runner.repository or "OWNER/NAME")
    return None


def _booting(view: SetView, case: Case) -> Hit | None:
    found = [(r, p) for r, p in _placed(view) if r.phase == "Running" and not r.ready and not r.busy]
    found = [(runner, pod) for runner, pod in found if pod.phase == "Running"]
    if not found:
        return None
    age = max(case.now - pod.meta.created for _, pod in found)
    return _hit(found, age=span(age))


def _cause(
    number: int, code: str, title: str, rule: SetRule, sentence: str, next_: tuple[str, ...], clear: str,
    verdict: Verdict = Verdict.BLOCKED,
) -> Cause:  # fmt: skip
    return Cause(number, code, title, verdict, Certainty.SEEN, of_sets(rule), sentence, next_, clear)


_POD = "kubectl -n {namespace} describe pod {pod}"

NO_DISK = _cause(
    29, "queue.pods.storage", "no node has the ephemeral storage that a runner requests", _no_disk,
    "no node for {count} of {set}: {needed} ephemeral storage requested, {parts}; {room}",
    (
        _POD,
        "kubectl get pods -A --field-selector spec.nodeName=NODE",
        "requests are counted here, not what is on the disk: kubectl get --raw"
        " /api/v1/nodes/NODE/proxy/stats/summary",
    ),
    "nodes have the ephemeral storage that is requested",
)  # fmt: skip
NO_NODE = _cause(
    28, "queue.pods.unschedulable", "the scheduler finds no node", _no_node,
    "no node for {count} of {set}: {parts}",
    (_POD, "kubectl describe nodes"),
    "the scheduler finds nodes",
)  # fmt: skip
IMAGE = _cause(
    30, "queue.pods.image", "an image cannot be pulled", _image,
    "{count} of {set} without the image of {container}: {reason}: {message}",
    (_POD, "have the operator correct the image, or the pull secret, of {set}"),
    "images are pulled",
)  # fmt: skip
INIT = _cause(
    31, "queue.pods.init", "an init container or dind fails", _init,
    "{container} of {count} of {set} fails ({said}), {failures} pods failed so far",
    ("kubectl -n {namespace} logs {pod} -c {container} --previous", _POD),
    "init containers and dind run",
)  # fmt: skip
VOLUME = _cause(
    32, "queue.pods.volume", "a volume or a secret is missing", _volume,
    "the pod {pod} of {set} cannot start: {message}",
    (_POD, "kubectl -n {namespace} get persistentvolumeclaims"),
    "volumes and secrets are there",
)  # fmt: skip
JOB_POD = _cause(
    33, "queue.pods.job", "the pod of a job waits", _job_pod,
    "{runner} has its job, of {repository}, and the job's pod {pod} waits: {why}",
    (_POD, "the job is not queued at GitHub: it runs there, and shows no progress"),
    "no job's own pod waits",
)  # fmt: skip
BOOTING = _cause(
    34, "queue.runner.booting", "a runner is starting", _booting,
    "{count} of {set} running and not ready yet, for {age}: wait",
    ("kubectl -n {namespace} logs {pod} -c runner",),
    "no runner is starting",
    verdict=Verdict.STARTING,
)  # fmt: skip
