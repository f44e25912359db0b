"""Slots and pods: what keeps runners from being made, and from starting."""

from __future__ import annotations

from gfattach.queue.model.question import Question
from tests.harness.arc.documents import RUNNERS, ago
from tests.harness.arc.objects import pod_spec
from tests.harness.arc.pod_states import container_state, delete, unscheduled
from tests.harness.arc.scenarios.scenario import LABEL, REPOSITORY, Scenario, busy, fleet_of, pending


def all_busy() -> Scenario:
    fleet, found = fleet_of(maximum=4)
    busy(fleet, found, *[REPOSITORY] * 2, *["tinyland-inc/other"] * 2)
    return Scenario(fleet, set=found)


def one_holder() -> Scenario:
    fleet, found = fleet_of(maximum=4)
    busy(fleet, found, *[REPOSITORY] * 3, "tinyland-inc/other")
    return Scenario(fleet, set=found)


def failed() -> Scenario:
    fleet, found = fleet_of(chart="0.12.1", maximum=2)
    for _ in range(2):
        fleet.runner(
            found, phase="Failed", reason="TooManyPodFailures", message="Pod has failed 5 times", pod=False
        )
    return Scenario(fleet)


def podless() -> Scenario:
    fleet, found = fleet_of(maximum=2)
    for _ in range(2):
        fleet.runner(found, repository=REPOSITORY, pod=False, age=1200)
    fleet.runner(found, age=1300)["status"]["phase"] = "Succeeded"
    found.runners[0]["status"].pop("jobId")
    return Scenario(fleet)


def evicted() -> Scenario:
    fleet, found = fleet_of(maximum=2)
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
    fleet, found = fleet_of()
    fleet.runner(found)
    delete(found.runners[0], 1200)
    return Scenario(fleet)


def zombie() -> Scenario:
    fleet, found = fleet_of()
    fleet.runner(found, repository=REPOSITORY, age=3600)
    found.runners[0]["status"]["failures"] = {"a-pod-of-before": ago(1900)}
    found.pods[0]["metadata"]["creationTimestamp"] = ago(1800)
    return Scenario(fleet, Question(LABEL, REPOSITORY), recorded="a pod made half an hour after its runner")


def quota() -> Scenario:
    fleet, found = fleet_of()
    fleet.runner(found, phase="Pending", pod=False, age=300)
    fleet.quota({"requests.cpu": "4", "pods": "50"}, {"requests.cpu": "3", "pods": "2"})
    return Scenario(fleet, set=found)


def quota_by_event() -> Scenario:
    fleet, found = fleet_of()
    runner = fleet.runner(found, phase="Pending", pod=False, age=300)
    fleet.warning(
        runner, "FailedCreate",
        'pods "x" is forbidden: exceeded quota: runners, requested: requests.cpu=2, used: requests.cpu=3,'
        " limited: requests.cpu=4",
    )  # fmt: skip
    return Scenario(fleet)


def refused() -> Scenario:
    fleet, found = fleet_of()
    fleet.runner(
        found, phase="Failed", pod=False, reason="InvalidPod",
        message="pods is forbidden: maximum cpu usage per Container is 1, but limit is 2",
    )  # fmt: skip
    return Scenario(fleet)


def unschedulable() -> Scenario:
    fleet, _, pod = pending()
    unscheduled(
        pod,
        "0/12 nodes are available: 3 Insufficient cpu, 9 node(s) had untolerated taint {gpu: true}."
        " preemption: 0/12"
        " nodes are available: 12 Preemption is not helpful for scheduling.",
    )
    return Scenario(fleet)


def storage() -> Scenario:
    fleet, _, pod = pending()
    unscheduled(
        pod,
        "0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure:"
        " }, 2 Insufficient"
        " ephemeral-storage. preemption: 0/3 nodes are available: 3 No preemption victims found for"
        " incoming pod.",
    )
    return Scenario(fleet)


def image() -> Scenario:
    fleet, _, pod = pending()
    message = 'Back-off pulling image "ghcr.io/tinyland-inc/runner:gone"'
    container_state(pod, "runner", {"waiting": {"reason": "ImagePullBackOff", "message": message}})
    return Scenario(fleet)


def init() -> Scenario:
    spec = pod_spec(initContainers=[{"name": "init-dind-externals", "image": "runner", "command": ["cp"]}])
    fleet, _, pod = pending(spec=spec)
    container_state(
        pod, "init-dind-externals", {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        init=True, last={"terminated": {"exitCode": 1, "reason": "Error"}},
    )  # fmt: skip
    return Scenario(fleet)


def volume() -> Scenario:
    fleet, _, pod = pending()
    container_state(pod, "runner", {"waiting": {"reason": "ContainerCreating"}})
    fleet.warning(pod, "FailedMount", 'MountVolume.SetUp failed for volume "token": secret "gone" not found')
    return Scenario(fleet)


def config() -> Scenario:
    fleet, _, pod = pending()
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "gone" not found'}
    container_state(pod, "runner", {"waiting": waiting})
    return Scenario(fleet)


def job_pod() -> Scenario:
    fleet, found = fleet_of()
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
    fleet, found = fleet_of()
    fleet.runner(found, ready=False, age=60)
    return Scenario(fleet)


def oscillating() -> Scenario:
    before, warm = fleet_of(replicas=2)
    before.runner(warm)
    before.runner(warm)
    fleet, found = fleet_of(replicas=1)
    fleet.runner(found)
    return Scenario(fleet, before=before, recorded="two looks at the same objects: see its own test")
