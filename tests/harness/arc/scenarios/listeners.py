"""Labels, scale sets, listeners and controllers: what keeps a job from getting any runner."""

from __future__ import annotations

from datetime import timedelta

from gfattach.queue.model.question import Question
from tests.harness.arc.documents import NOW, RUNNERS, ago
from tests.harness.arc.objects import ARC, CONTROLLERS
from tests.harness.arc.pod_states import delete
from tests.harness.arc.scenarios.scenario import LABEL, REPOSITORY, Scenario, busy, fleet_of


def unserved() -> Scenario:
    fleet, _ = fleet_of()
    return Scenario(fleet, Question("chapel-nix"))


def other_owner() -> Scenario:
    fleet, _ = fleet_of(url="https://github.com/Great-Falls-Tool-Bus", group="great-falls-tool-bus-infra")
    return Scenario(fleet, Question(LABEL, REPOSITORY))


def version_skew() -> Scenario:
    fleet, _ = fleet_of()
    fleet.remove(*fleet.documents[2:])  # the scale set and all below it
    fleet.controller["metadata"]["labels"]["app.kubernetes.io/version"] = "0.14.2"
    fleet.add(
        "v1", "ServiceAccount", f"{LABEL}-gha-rs-no-permission", RUNNERS, 86400,
        labels={"actions.github.com/scale-set-name": LABEL, "app.kubernetes.io/version": "0.13.1"},
    )  # fmt: skip
    return Scenario(fleet)


def shared() -> Scenario:
    fleet, full = fleet_of(maximum=2)
    busy(fleet, full, REPOSITORY, "tinyland-inc/other")
    fleet.scale_set("second-nix", title=LABEL, maximum=4)
    return Scenario(fleet, Question(LABEL, REPOSITORY), set=full)


def unregistered() -> Scenario:
    fleet, found = fleet_of()
    del found.scale_set["metadata"]["annotations"]["runner-scale-set-id"]
    fleet.remove(found.listener, found.listener_pod, found.runner_set)
    return Scenario(fleet)


def outdated() -> Scenario:
    fleet, found = fleet_of(chart="0.14.2")
    found.scale_set["status"]["phase"] = "Outdated"
    fleet.remove(found.listener, found.listener_pod, found.runner_set)
    return Scenario(fleet)


def maximum_zero() -> Scenario:
    fleet, _ = fleet_of(maximum=0)
    return Scenario(fleet)


def no_listener() -> Scenario:
    fleet, found = fleet_of()
    busy(fleet, found, REPOSITORY)
    fleet.remove(found.listener, found.listener_pod)
    return Scenario(fleet)


def no_listener_pod() -> Scenario:
    fleet, found = fleet_of()
    fleet.remove(found.listener_pod)
    return Scenario(fleet)


def dead_listener() -> Scenario:
    fleet, found = fleet_of(chart="0.12.1")
    found.listener_pod["status"] = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node was low on resource",
    }
    return Scenario(fleet)


def lost_listener() -> Scenario:
    fleet, found = fleet_of()
    delete(found.listener_pod, 900)
    for node in fleet.of("Node"):
        node["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    return Scenario(fleet)


def crashing_listener() -> Scenario:
    fleet, found = fleet_of()
    found.listener_pod["status"]["phase"] = "Failed"
    found.listener_pod["status"]["containerStatuses"][0] |= {
        "ready": False,
        "state": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }
    return Scenario(fleet)


def crash_between_looks() -> Scenario:
    before, young = fleet_of()
    young.listener_pod["metadata"]["creationTimestamp"] = ago(50)
    fleet, found = fleet_of()
    found.listener_pod["metadata"] |= {"creationTimestamp": ago(5), "uid": "uid-of-another"}
    return Scenario(fleet, before=before, recorded="two looks half a minute apart")


def two_listeners() -> Scenario:
    fleet, found = fleet_of()
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
    fleet, _ = fleet_of(suffix="bcdfghjk")
    return Scenario(fleet)


def aims_wrong() -> Scenario:
    fleet, found = fleet_of()
    found.listener["spec"]["ephemeralRunnerSetName"] = f"{LABEL}-old99"
    return Scenario(fleet)


def other_id() -> Scenario:
    fleet, found = fleet_of()
    found.scale_set["metadata"]["annotations"]["runner-scale-set-id"] = "77"
    return Scenario(fleet)


def behind() -> Scenario:
    fleet, found = fleet_of()
    found.scale_set["spec"]["maxRunners"] = 9
    return Scenario(fleet)


def controller_down() -> Scenario:
    fleet, found = fleet_of()
    fleet.controller["status"] = {"replicas": 1, "unavailableReplicas": 1}
    fleet.remove(found.listener, found.listener_pod)
    return Scenario(fleet)


def controller_behind() -> Scenario:
    fleet, found = fleet_of(replicas=3, patch=7)
    fleet.runner(found, patch=3)
    return Scenario(fleet)


def elsewhere() -> Scenario:
    fleet, found = fleet_of(watched="other-runners")
    fleet.remove(found.listener, found.listener_pod)
    return Scenario(fleet)


def same_patch() -> Scenario:
    fleet, found = fleet_of(replicas=3, patch=7)
    fleet.runner(found, repository=REPOSITORY, patch=7)
    return Scenario(fleet)


def group() -> Scenario:
    fleet, _ = fleet_of(group="infra")
    return Scenario(fleet, Question(LABEL, REPOSITORY, 4711))


def late_label() -> Scenario:
    fleet, found = fleet_of(chart="0.14.2", labels=("nix", "linux"))
    found.scale_set["metadata"]["managedFields"] = [
        {"operation": "Update", "time": ago(3600), "fieldsV1": {"f:spec": {"f:runnerScaleSetLabels": {}}}}
    ]
    return Scenario(fleet, Question("nix", REPOSITORY), recorded="labels written long after the set was made")


def lost_demand() -> Scenario:
    fleet, _ = fleet_of(age=3600)
    return Scenario(fleet, Question(LABEL, REPOSITORY, 4711, NOW - timedelta(hours=5)))
