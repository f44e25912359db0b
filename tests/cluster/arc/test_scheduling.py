"""What the real quota admission and the real scheduler say, taken apart and counted."""

import pytest
from kubernetes.client.exceptions import ApiException

from gfattach.queue.diagnose import diagnose
from gfattach.queue.model.question import Question
from gfattach.queue.pressure.pressure import pressure
from tests.harness.arc.documents import RUNNERS
from tests.harness.arc.objects import Fleet, pod_spec
from tests.harness.arc.scenarios import LABEL
from tests.harness.cluster.daemon import wait_until

LATER = 1500


def pending(fleet, found, spec=None):
    runner = fleet.runner(found, phase="Pending", pod=False)
    pod = fleet.pod(
        runner["metadata"]["name"], RUNNERS, 60, owner=runner,
        spec=spec or found.scale_set["spec"]["template"]["spec"],
        phase="Pending", node="", labels={"actions-ephemeral-runner": "True"},
    )  # fmt: skip
    return runner, pod


def wait_for_scheduler(maker, name):
    def said():
        conditions = maker.core.read_namespaced_pod(name, RUNNERS).status.conditions or []
        return any(each.type == "PodScheduled" and each.message for each in conditions)

    wait_until(f"the scheduler has spoken of {name}", said)


@pytest.fixture
def fleet(arc_cluster):
    arc_cluster.install("0.13")
    return Fleet()


def test_a_pod_that_no_node_has_ephemeral_storage_for(arc_cluster, maker, look, fleet):
    """Two nodes of the fleet with 4Gi each, the bed's own nodes barred by the selector."""
    for name in ("node-1", "node-2"):
        fleet.node(name, disk="4Gi", labels={"pool": "arc"})
    found = fleet.scale_set(LABEL, spec=pod_spec(nodeSelector={"pool": "arc"}))
    _, pod = pending(fleet, found)
    maker.make(fleet, scheduled=True)
    wait_for_scheduler(maker, pod["metadata"]["name"])
    (answer,) = diagnose(look(LATER), Question(LABEL))
    assert answer.cause.cause.code == "queue.pods.storage"
    assert "8Gi ephemeral storage requested" in answer.summary
    assert "no node can ever take it: the largest has" in answer.summary or "most free has" in answer.summary
    (refusal,) = answer.pressure.refusals  # type: ignore[misc]
    parts = {(part.kind, part.what): part.count for part in refusal.parts}
    assert parts[("insufficient", "ephemeral-storage")] == 2
    assert parts[("taint", "")] == refusal.nodes - 2  # the bed's own nodes, which are not ready
    rows = {row.node: row for row in answer.pressure.nodes}
    assert rows["node-1"].lacking == ("ephemeral-storage",) and rows["node-1"].barred == ""
    assert rows["kwok"].barred == "does not match the node selector"


@pytest.mark.parametrize(
    ("spec", "node", "kind", "what"),
    [
        ({}, {"spec": {"taints": [{"key": "gpu", "value": "true", "effect": "NoSchedule"}]}}, "taint", ""),
        ({}, {"spec": {"unschedulable": True}}, "cordoned", "unschedulable"),
        ({"nodeSelector": {"pool": "other"}}, {}, "affinity", "affinity"),
        ({"requests": {"cpu": "99"}}, {}, "insufficient", "cpu"),
        ({"requests": {"memory": "999Gi"}}, {}, "insufficient", "memory"),
        ({"requests": {"nvidia.com/gpu": "1"}}, {}, "insufficient", "nvidia.com/gpu"),
        ({}, {"pods": "0"}, "insufficient", "pods"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_part_of_the_scheduler_s_message_is_recognised(maker, look, fleet, spec, node, kind, what):
    labels = {"pool": "arc"}
    fleet.node("node-1", labels=labels, **node)
    more = {"nodeSelector": labels} | {key: value for key, value in spec.items() if key != "requests"}
    requests = spec.get("requests", {"cpu": "1"})
    limits = {key: value for key, value in requests.items() if "/" in key}
    template = pod_spec(requests, **more)
    if limits:
        template["containers"][0]["resources"]["limits"] = limits
    found = fleet.scale_set(LABEL, spec=template)
    _, pod = pending(fleet, found)
    maker.make(fleet, scheduled=True)
    wait_for_scheduler(maker, pod["metadata"]["name"])
    world = look(LATER)
    (refusal,) = pressure(world, [world.view(world.scale_sets()[0])]).refusals  # type: ignore[misc]
    # The bed's own two nodes are not ready: they are tainted.
    others = [(part.kind, part.what) for part in refusal.parts if part.kind != "taint" or kind == "taint"]
    assert [each for each in others if each[0] == kind and what in each[1]], refusal
    assert sum(part.count for part in refusal.parts) == refusal.nodes
    (answer,) = diagnose(world, Question(LABEL))
    assert answer.cause.cause.code == "queue.pods.unschedulable"


def test_a_quota_that_is_used_up_refuses_a_pod_in_the_words_that_are_read(maker, look, fleet):
    """The real admission counts a pod, refuses the next, and its own words are put into the event."""
    found = fleet.scale_set(LABEL)
    fleet.runner(found, repository="tinyland-inc/site")
    waiting = fleet.runner(found, phase="Pending", pod=False)
    quota = fleet.quota({"requests.cpu": "3", "pods": "50"}, {})
    quota.pop("status")
    fleet.documents.sort(key=lambda each: each["kind"] != "ResourceQuota")
    maker.make(fleet)

    def used():
        status = maker.core.read_namespaced_resource_quota("runners", RUNNERS).status
        return (status.used or {}).get("requests.cpu") == "2"

    wait_until("the quota is counted", used)
    refused = {
        "apiVersion": "v1", "kind": "Pod", "spec": pod_spec(),
        "metadata": {"name": waiting["metadata"]["name"], "namespace": RUNNERS, "uid": "none"},
    }  # fmt: skip
    with pytest.raises(ApiException) as raised:
        maker.core.create_namespaced_pod(RUNNERS, refused)
    (answer,) = diagnose(look(LATER), Question(LABEL))
    assert answer.cause.cause.code == "queue.pods.quota"
    facts = answer.cause.hit.facts
    assert (facts["quota"], facts["needed"], facts["used"], facts["hard"]) == ("runners", "2", "2", "3")
    assert facts["by"] == "it needs"
    said = maker.api.sanitize_for_serialization(raised.value.body)
    maker.create(fleet.warning(waiting, "FailedCreate", said))
    (answer,) = diagnose(look(0), Question(LABEL))
    assert (
        answer.cause.cause.code == "queue.pods.quota" and answer.cause.hit.facts["by"] == "the admission says"
    )


def test_a_generic_ephemeral_volume_is_shown_with_its_claim(maker, look, fleet):
    claim = {"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "gone",
                      "resources": {"requests": {"storage": "10Gi"}}}}  # fmt: skip
    spec = pod_spec(volumes=[{"name": "work", "ephemeral": {"volumeClaimTemplate": claim}}])
    found = fleet.scale_set(LABEL, spec=spec)
    _, pod = pending(fleet, found)
    maker.make(fleet, scheduled=True)
    name = f"{pod['metadata']['name']}-work"
    wait_until(
        "the claim is made",
        lambda: (
            name
            in [
                each.metadata.name
                for each in maker.core.list_namespaced_persistent_volume_claim(RUNNERS).items
            ]
        ),
    )
    wait_for_scheduler(maker, pod["metadata"]["name"])
    (answer,) = diagnose(look(LATER), Question(LABEL))
    (row,) = answer.pressure.claims  # type: ignore[misc]
    assert (row.claim, row.phase, row.storage_class, row.binding) == (
        name,
        "Pending",
        "gone",
        "no such class",
    )
    assert answer.cause.cause.code == "queue.pods.unschedulable"
