"""Of two causes that hold at once the right one is named first, and the other is also seen."""

import pytest

from gfattach.queue.diagnose import diagnose
from tests.harness.arc import scenarios as made
from tests.harness.arc.documents import ago
from tests.harness.arc.pod_states import delete
from tests.harness.arc.scenarios import SCENARIOS, Scenario
from tests.harness.arc.snapshots import world


def docs(scenario, kind):
    return list(scenario.fleet.of(kind))


def zero(scenario):
    docs(scenario, "AutoscalingRunnerSet")[0]["spec"]["maxRunners"] = 0


def park(scenario):
    docs(scenario, "AutoscalingRunnerSet")[0]["status"]["phase"] = "Outdated"


def unregister(scenario):
    docs(scenario, "AutoscalingRunnerSet")[0]["metadata"]["annotations"].pop("runner-scale-set-id", None)


def no_listener(scenario):
    scenario.fleet.remove(*docs(scenario, "AutoscalingListener"))


def listener_pods(scenario):
    uids = {each["metadata"]["uid"] for each in docs(scenario, "AutoscalingListener")}
    return [
        each
        for each in docs(scenario, "Pod")
        if each["metadata"].get("ownerReferences", [{}])[0].get("uid") in uids
    ]


def no_listener_pod(scenario):
    scenario.fleet.remove(*listener_pods(scenario))


def crash(scenario):
    for pod in listener_pods(scenario):
        pod["status"]["phase"] = "Failed"


def wrong_aim(scenario):
    docs(scenario, "AutoscalingListener")[0]["spec"]["ephemeralRunnerSetName"] = "gone"


def wrong_id(scenario):
    docs(scenario, "AutoscalingListener")[0]["spec"]["runnerScaleSetId"] = 99


def wrong_maximum(scenario):
    docs(scenario, "AutoscalingListener")[0]["spec"]["maxRunners"] = 99


def stick(scenario):
    runner = docs(scenario, "EphemeralRunner")[0]
    twin = scenario.fleet.add(
        runner["apiVersion"], "EphemeralRunner", "stuck", runner["metadata"]["namespace"], 9000,
        spec={}, status={"phase": "Running"},
    )  # fmt: skip
    twin["metadata"]["ownerReferences"] = runner["metadata"]["ownerReferences"]
    delete(twin, 1200)


def controller_gone(scenario):
    scenario.fleet.controller["status"] = {"replicas": 1}


def late(scenario):
    found = docs(scenario, "EphemeralRunnerSet")[0]
    found["spec"] |= {"replicas": 9, "patchID": 9}


def image(scenario):
    pod = docs(scenario, "Pod")[-1]
    pod["status"]["containerStatuses"] = [
        {
            "name": "runner",
            "image": "x",
            "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
        }
    ]


def boots(scenario):
    runner = docs(scenario, "EphemeralRunner")[0]
    twin = scenario.fleet.add(
        runner["apiVersion"], "EphemeralRunner", "boots", "arc-runners", 60, spec={},
        status={"phase": "Running", "ready": False},
    )  # fmt: skip
    twin["metadata"]["ownerReferences"] = runner["metadata"]["ownerReferences"]
    scenario.fleet.pod(
        "boots", "arc-runners", 60, owner=twin, spec={"containers": [{"name": "r", "image": "r"}]}
    )


#: The scenario that holds first, what is made to hold besides, and the code of that.
PAIRS = [
    (made.unregistered, park, "queue.set.outdated"),
    (made.unregistered, zero, "queue.set.maximum-0"),
    (made.outdated, zero, "queue.set.maximum-0"),
    (made.maximum_zero, no_listener, "queue.listener.none"),
    (made.no_listener_pod, wrong_id, "queue.listener.id"),
    (made.dead_listener, wrong_aim, "queue.listener.runner-set"),
    (made.crashing_listener, wrong_aim, "queue.listener.runner-set"),
    (made.two_listeners, wrong_aim, "queue.listener.runner-set"),
    (made.misnamed_listener, wrong_id, "queue.listener.id"),
    (made.aims_wrong, wrong_id, "queue.listener.id"),
    (made.aims_wrong, wrong_maximum, "queue.listener.behind"),
    (made.other_id, wrong_maximum, "queue.listener.behind"),
    (made.behind, late, "queue.controller.down"),
    (made.one_holder, lambda scenario: None, "queue.slots.busy"),
    (made.all_busy, stick, "queue.slots.stuck"),
    (made.one_holder, stick, "queue.slots.stuck"),
    (made.failed, stick, "queue.slots.stuck"),
    (made.podless, stick, "queue.slots.stuck"),
    (made.evicted, stick, "queue.slots.stuck"),
    (made.stuck, late, "queue.controller.down"),
    (made.storage, lambda scenario: None, "queue.pods.unschedulable"),
    (made.unschedulable, image, "queue.pods.image"),
    (made.quota, boots, "queue.runner.booting"),
    (made.unschedulable, boots, "queue.runner.booting"),
    (made.image, boots, "queue.runner.booting"),
    (made.volume, boots, "queue.runner.booting"),
    (made.controller_down, lambda scenario: None, None),
    (made.elsewhere, lambda scenario: None, None),
]
CODES = {make: code for code, makes in SCENARIOS.items() for make in makes}


@pytest.mark.parametrize(
    ("make", "besides", "other"), PAIRS, ids=[f"{CODES[m]} before {o}" for m, _, o in PAIRS]
)
def test_the_right_one_of_two_is_named_first(make, besides, other):
    scenario: Scenario = make()
    besides(scenario)
    (answer,) = diagnose(world(scenario.fleet), scenario.question)
    assert answer.cause.cause.code == CODES[make]
    if other is not None:
        assert other in [each.cause.code for each in answer.also]


def test_a_quota_that_has_room_is_not_blamed_for_a_runner_that_waits_for_its_pod():
    scenario = made.quota()
    quota = docs(scenario, "ResourceQuota")[0]
    quota["status"]["hard"] = {"requests.cpu": "400"}
    (answer,) = diagnose(world(scenario.fleet), scenario.question)
    assert answer.cause.cause.code == "queue.controller.down"


def test_an_old_event_of_a_quota_is_not_blamed():
    scenario = made.quota_by_event()
    docs(scenario, "Event")[0]["lastTimestamp"] = ago(4000)
    (answer,) = diagnose(world(scenario.fleet), scenario.question)
    assert answer.cause.cause.code == "queue.controller.down"


def test_a_taint_of_the_disk_beside_lacking_processors_is_no_lack_of_storage():
    scenario = made.storage()
    condition = docs(scenario, "Pod")[-1]["status"]["conditions"][0]
    condition["message"] = "0/3 nodes are available: 1 Insufficient ephemeral-storage, 2 Insufficient cpu."
    (answer,) = diagnose(world(scenario.fleet), scenario.question)
    assert answer.cause.cause.code == "queue.pods.unschedulable"
