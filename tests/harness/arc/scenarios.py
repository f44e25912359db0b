"""A cluster for each cause, in which it is to be named first, and clusters in which none is.

A scenario is a function that makes a `Fleet` and says what is asked. `SCENARIOS` maps codes to them; the same
objects serve the pure rules, the command over a server of recorded objects, and a real API server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from gfattach.queue.model.question import Question
from tests.harness.arc.objects import (
    ARC,
    CONTROLLERS,
    NOW,
    RUNNERS,
    Fleet,
    Set,
    ago,
    container_state,
    delete,
    pod_spec,
    unscheduled,
)

REPOSITORY = "tinyland-inc/site"
LABEL = "tinyland-nix"


@dataclass
class Scenario:
    """A cluster and a question. `before` is an earlier look; `recorded` says why no real server makes it."""

    fleet: Fleet
    question: Question = field(default_factory=lambda: Question(LABEL))
    before: Fleet | None = None
    recorded: str = ""
    set: Set | None = None


Make = Callable[[], Scenario]


def _fleet(**options: object) -> tuple[Fleet, Set]:
    fleet = Fleet(version=str(options.pop("chart", "0.13.1")), watched=str(options.pop("watched", "")))
    fleet.node()
    return fleet, fleet.scale_set(**options)  # type: ignore[arg-type]


def _busy(fleet: Fleet, found: Set, *repositories: str) -> None:
    for number, repository in enumerate(repositories):
        fleet.runner(found, repository=repository, run=100 + number, age=600 + 60 * number)


def _pending(**options: object) -> tuple[Fleet, Set, dict]:
    """A runner that waits, with its pod."""
    fleet, found = _fleet(**options)
    fleet.runner(found, phase="Pending", age=300)
    return fleet, found, found.pods[-1]


# --- labels -------------------------------------------------------------------------------------------------


def unserved() -> Scenario:
    fleet, _ = _fleet()
    return Scenario(fleet, Question("chapel-nix"))


def other_owner() -> Scenario:
    fleet, _ = _fleet(url="https://github.com/Great-Falls-Tool-Bus", group="great-falls-tool-bus-infra")
    return Scenario(fleet, Question(LABEL, REPOSITORY))


def version_skew() -> Scenario:
    fleet, _ = _fleet()
    fleet.remove(*fleet.documents[2:])  # the scale set and all below it
    fleet.controller["metadata"]["labels"]["app.kubernetes.io/version"] = "0.14.2"
    fleet.add(
        "v1", "ServiceAccount", f"{LABEL}-gha-rs-no-permission", RUNNERS, 86400,
        labels={"actions.github.com/scale-set-name": LABEL, "app.kubernetes.io/version": "0.13.1"},
    )  # fmt: skip
    return Scenario(fleet)


def shared() -> Scenario:
    fleet, full = _fleet(maximum=2)
    _busy(fleet, full, REPOSITORY, "tinyland-inc/other")
    fleet.scale_set("second-nix", title=LABEL, maximum=4)
    return Scenario(fleet, Question(LABEL, REPOSITORY), set=full)


# --- registration and listener ------------------------------------------------------------------------------


def unregistered() -> Scenario:
    fleet, found = _fleet()
    del found.scale_set["metadata"]["annotations"]["runner-scale-set-id"]
    fleet.remove(found.listener, found.listener_pod, found.runner_set)
    return Scenario(fleet)


def outdated() -> Scenario:
    fleet, found = _fleet(chart="0.14.2")
    found.scale_set["status"]["phase"] = "Outdated"
    fleet.remove(found.listener, found.listener_pod, found.runner_set)
    return Scenario(fleet)


def maximum_zero() -> Scenario:
    fleet, _ = _fleet(maximum=0)
    return Scenario(fleet)


def no_listener() -> Scenario:
    fleet, found = _fleet()
    _busy(fleet, found, REPOSITORY)
    fleet.remove(found.listener, found.listener_pod)
    return Scenario(fleet)


def no_listener_pod() -> Scenario:
    fleet, found = _fleet()
    fleet.remove(found.listener_pod)
    return Scenario(fleet)


def dead_listener() -> Scenario:
    fleet, found = _fleet(chart="0.12.1")
    found.listener_pod["status"] = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node was low on resource",
    }
    return Scenario(fleet)


def lost_listener() -> Scenario:
    fleet, found = _fleet()
    delete(found.listener_pod, 900)
    for node in fleet.of("Node"):
        node["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    return Scenario(fleet)


def crashing_listener() -> Scenario:
    fleet, found = _fleet()
    found.listener_pod["status"]["phase"] = "Failed"
    found.listener_pod["status"]["containerStatuses"][0] |= {
        "ready": False,
        "state": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }
    return Scenario(fleet)


def crash_between_looks() -> Scenario:
    before, young = _fleet()
    young.listener_pod["metadata"]["creationTimestamp"] = ago(50)
    fleet, found = _fleet()
    found.listener_pod["metadata"] |= {"creationTimestamp": ago(5), "uid": "uid-of-another"}
    return Scenario(fleet, before=before, recorded="two looks half a minute apart")


def two_listeners() -> Scenario:
    fleet, found = _fleet()
    twin = fleet.add(
        ARC,
        "AutoscalingListener",
        f"{LABEL}-754b578d-listener",
        CONTROLLERS,
        900000,
        spec=dict(found.listener["spec"]),
    )
    fleet.pod(twin["metadata"]["name"], CONTROLLERS, 900000, owner=twin, spec=found.listener_pod["spec"])
    return Scenario(fleet)


def misnamed_listener() -> Scenario:
    fleet, _ = _fleet(suffix="bcdfghjk")
    return Scenario(fleet)


def aims_wrong() -> Scenario:
    fleet, found = _fleet()
    found.listener["spec"]["ephemeralRunnerSetName"] = f"{LABEL}-old99"
    return Scenario(fleet)


def other_id() -> Scenario:
    fleet, found = _fleet()
    found.scale_set["metadata"]["annotations"]["runner-scale-set-id"] = "77"
    return Scenario(fleet)


def behind() -> Scenario:
    fleet, found = _fleet()
    found.scale_set["spec"]["maxRunners"] = 9
    return Scenario(fleet)


# --- slots --------------------------------------------------------------------------------------------------


def all_busy() -> Scenario:
    fleet, found = _fleet(maximum=4)
    _busy(fleet, found, *[REPOSITORY] * 2, *["tinyland-inc/other"] * 2)
    return Scenario(fleet, set=found)


def one_holder() -> Scenario:
    fleet, found = _fleet(maximum=4)
    _busy(fleet, found, *[REPOSITORY] * 3, "tinyland-inc/other")
    return Scenario(fleet, set=found)


def failed() -> Scenario:
    fleet, found = _fleet(chart="0.12.1", maximum=2)
    for _ in range(2):
        fleet.runner(
            found, phase="Failed", reason="TooManyPodFailures", message="Pod has failed 5 times", pod=False
        )
    return Scenario(fleet)


def podless() -> Scenario:
    fleet, found = _fleet(maximum=2)
    for _ in range(2):
        fleet.runner(found, repository=REPOSITORY, pod=False, age=1200)
    fleet.runner(found, age=1300)["status"]["phase"] = "Succeeded"
    found.runners[0]["status"].pop("jobId")
    return Scenario(fleet)


def evicted() -> Scenario:
    fleet, found = _fleet(maximum=2)
    for _ in range(2):
        fleet.runner(found)
    for pod in found.pods:
        pod["status"] = {
            "phase": "Failed",
            "reason": "Evicted",
            "message": "The node was low on ephemeral-storage",
        }
    return Scenario(fleet)


def stuck() -> Scenario:
    fleet, found = _fleet()
    fleet.runner(found)
    delete(found.runners[0], 1200)
    return Scenario(fleet)


def zombie() -> Scenario:
    fleet, found = _fleet()
    fleet.runner(found, repository=REPOSITORY, age=3600)
    found.runners[0]["status"]["failures"] = {"a-pod-of-before": ago(1900)}
    found.pods[0]["metadata"]["creationTimestamp"] = ago(1800)
    return Scenario(fleet, Question(LABEL, REPOSITORY), recorded="a pod made half an hour after its runner")


# --- the controller -----------------------------------------------------------------------------------------


def controller_down() -> Scenario:
    fleet, found = _fleet()
    fleet.controller["status"] = {"replicas": 1, "unavailableReplicas": 1}
    fleet.remove(found.listener, found.listener_pod)
    return Scenario(fleet)


def controller_behind() -> Scenario:
    fleet, found = _fleet(replicas=3, patch=7)
    fleet.runner(found, patch=3)
    return Scenario(fleet)


def elsewhere() -> Scenario:
    fleet, found = _fleet(watched="other-runners")
    fleet.remove(found.listener, found.listener_pod)
    return Scenario(fleet)


def same_patch() -> Scenario:
    fleet, found = _fleet(replicas=3, patch=7)
    fleet.runner(found, repository=REPOSITORY, patch=7)
    return Scenario(fleet)


# --- pods ---------------------------------------------------------------------------------------------------


def quota() -> Scenario:
    fleet, found = _fleet()
    fleet.runner(found, phase="Pending", pod=False, age=300)
    fleet.quota({"requests.cpu": "4", "pods": "50"}, {"requests.cpu": "3", "pods": "2"})
    return Scenario(fleet, set=found)


def quota_by_event() -> Scenario:
    fleet, found = _fleet()
    runner = fleet.runner(found, phase="Pending", pod=False, age=300)
    fleet.warning(
        runner, "FailedCreate",
        'pods "x" is forbidden: exceeded quota: runners, requested: requests.cpu=2, used: requests.cpu=3,'
        " limited: requests.cpu=4",
    )  # fmt: skip
    return Scenario(fleet)


def refused() -> Scenario:
    fleet, found = _fleet()
    fleet.runner(
        found, phase="Failed", pod=False, reason="InvalidPod",
        message="pods is forbidden: maximum cpu usage per Container is 1, but limit is 2",
    )  # fmt: skip
    return Scenario(fleet)


def unschedulable() -> Scenario:
    fleet, _, pod = _pending()
    unscheduled(
        pod,
        "0/12 nodes are available: 3 Insufficient cpu, 9 node(s) had untolerated taint {gpu: true}."
        " preemption: 0/12"
        " nodes are available: 12 Preemption is not helpful for scheduling.",
    )
    return Scenario(fleet)


def storage() -> Scenario:
    fleet, _, pod = _pending()
    unscheduled(
        pod,
        "0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure:"
        " }, 2 Insufficient"
        " ephemeral-storage. preemption: 0/3 nodes are available: 3 No preemption victims found for"
        " incoming pod.",
    )
    return Scenario(fleet)


def image() -> Scenario:
    fleet, _, pod = _pending()
    message = 'Back-off pulling image "ghcr.io/tinyland-inc/runner:gone"'
    container_state(pod, "runner", {"waiting": {"reason": "ImagePullBackOff", "message": message}})
    return Scenario(fleet)


def init() -> Scenario:
    spec = pod_spec(initContainers=[{"name": "init-dind-externals", "image": "runner", "command": ["cp"]}])
    fleet, _, pod = _pending(spec=spec)
    container_state(
        pod, "init-dind-externals", {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        init=True, last={"terminated": {"exitCode": 1, "reason": "Error"}},
    )  # fmt: skip
    return Scenario(fleet)


def volume() -> Scenario:
    fleet, _, pod = _pending()
    container_state(pod, "runner", {"waiting": {"reason": "ContainerCreating"}})
    fleet.warning(pod, "FailedMount", 'MountVolume.SetUp failed for volume "token": secret "gone" not found')
    return Scenario(fleet)


def config() -> Scenario:
    fleet, _, pod = _pending()
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "gone" not found'}
    container_state(pod, "runner", {"waiting": waiting})
    return Scenario(fleet)


def job_pod() -> Scenario:
    fleet, found = _fleet()
    runner = fleet.runner(found, repository=REPOSITORY)
    name = runner["metadata"]["name"]
    pod = fleet.pod(
        f"{name}-workflow",
        RUNNERS,
        300,
        spec=pod_spec(),
        phase="Pending",
        node="",
        labels={"runner-pod": name},
    )
    unscheduled(pod, "0/3 nodes are available: 3 node(s) had volume node affinity conflict.")
    return Scenario(fleet)


def booting() -> Scenario:
    fleet, found = _fleet()
    fleet.runner(found, ready=False, age=60)
    return Scenario(fleet)


# --- GitHub -------------------------------------------------------------------------------------------------


def group() -> Scenario:
    fleet, _ = _fleet(group="infra")
    return Scenario(fleet, Question(LABEL, REPOSITORY, 4711))


def late_label() -> Scenario:
    fleet, found = _fleet(chart="0.14.2", labels=("nix", "linux"))
    found.scale_set["metadata"]["managedFields"] = [
        {"operation": "Update", "time": ago(3600), "fieldsV1": {"f:spec": {"f:runnerScaleSetLabels": {}}}}
    ]
    return Scenario(fleet, Question("nix", REPOSITORY), recorded="labels written long after the set was made")


def lost_demand() -> Scenario:
    fleet, _ = _fleet(age=3600)
    return Scenario(fleet, Question(LABEL, REPOSITORY, 4711, NOW - timedelta(hours=5)))


def oscillating() -> Scenario:
    before, warm = _fleet(replicas=2)
    before.runner(warm)
    before.runner(warm)
    fleet, found = _fleet(replicas=1)
    fleet.runner(found)
    return Scenario(fleet, before=before, recorded="two looks at the same objects: see its own test")


SCENARIOS: dict[str, tuple[Make, ...]] = {
    "queue.label.unserved": (unserved,),
    "queue.label.other-owner": (other_owner,),
    "queue.github.group": (group,),
    "queue.set.unregistered": (unregistered,),
    "queue.set.version": (version_skew,),
    "queue.github.label": (late_label,),
    "queue.set.outdated": (outdated,),
    "queue.set.maximum-0": (maximum_zero,),
    "queue.listener.none": (no_listener,),
    "queue.listener.no-pod": (no_listener_pod,),
    "queue.listener.dead": (dead_listener,),
    "queue.listener.lost": (lost_listener,),
    "queue.listener.crashing": (crashing_listener, crash_between_looks),
    "queue.listener.two": (two_listeners, misnamed_listener),
    "queue.listener.runner-set": (aims_wrong,),
    "queue.listener.id": (other_id,),
    "queue.listener.behind": (behind,),
    "queue.slots.busy": (all_busy,),
    "queue.slots.failed": (failed,),
    "queue.slots.podless": (podless,),
    "queue.slots.evicted": (evicted,),
    "queue.slots.stuck": (stuck,),
    "queue.slots.zombie": (zombie,),
    "queue.controller.down": (controller_down, controller_behind),
    "queue.controller.namespace": (elsewhere,),
    "queue.pods.quota": (quota, quota_by_event),
    "queue.pods.refused": (refused,),
    "queue.pods.unschedulable": (unschedulable,),
    "queue.pods.storage": (storage,),
    "queue.pods.image": (image,),
    "queue.pods.init": (init,),
    "queue.pods.volume": (volume, config),
    "queue.pods.job": (job_pod,),
    "queue.runner.booting": (booting,),
    "queue.github.demand": (lost_demand,),
    "queue.label.shared": (shared,),
    "queue.slots.one-holder": (one_holder,),
    "queue.runner.oscillating": (oscillating,),
    "queue.controller.patch": (same_patch,),
}


# --- nothing is wrong ---------------------------------------------------------------------------------------


def idle() -> Scenario:
    return Scenario(_fleet()[0])


def warm() -> Scenario:
    fleet, found = _fleet(minimum=2)
    fleet.runner(found)
    fleet.runner(found)
    return Scenario(fleet)


def partly_busy() -> Scenario:
    fleet, found = _fleet()
    _busy(fleet, found, REPOSITORY, "tinyland-inc/other")
    return Scenario(fleet)


def being_made() -> Scenario:
    fleet, found = _fleet(replicas=2)
    fleet.runner(found, phase="Pending", age=30)
    return Scenario(fleet)


def scaling_up() -> Scenario:
    fleet, found = _fleet(replicas=2, patch=4, age=90)
    fleet.runner(found, repository=REPOSITORY, age=80, patch=3)
    return Scenario(fleet)


HEALTHY: dict[str, Make] = {
    "idle": idle,
    "warm": warm,
    "partly busy": partly_busy,
    "a runner is being made": being_made,
    "scaling up": scaling_up,
}
