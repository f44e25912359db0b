"""From a Service's port to the pods that answer for it, and the sentence when there are none."""

import pytest

from gfattach.cluster.api import objects
from gfattach.cluster.api.endpoint_selection import (
    ReadyPod,
    from_pods,
    from_slices,
    label_selector,
    none_ready,
    select_port,
)
from gfattach.cluster.api.pod_state import worst
from gfattach.core.errors import ClusterError

SERVICE = {
    "metadata": {"name": "bazel-cache", "namespace": "nix-cache", "labels": {"a": "b"}},
    "spec": {
        "clusterIP": "10.0.0.7",
        "selector": {"app": "bazel-cache"},
        "ports": [
            {"name": "grpc", "port": 9092, "targetPort": "grpc"},
            {"name": "http", "port": 80, "targetPort": 8080},
        ],
    },
}


def service(**spec):
    return objects.service(SERVICE | {"spec": SERVICE["spec"] | spec})


def endpoint(pod, ready=True, kind="Pod", **conditions):
    return {
        "conditions": {"ready": ready, **conditions},
        "targetRef": {"kind": kind, "name": pod, "namespace": "nix-cache"},
    }


def slices(*endpoints, **ports):
    ports = ports or {"grpc": 19092, "http": 8080}
    document = {
        "endpoints": list(endpoints),
        "ports": [{"name": name, "port": port} for name, port in ports.items()],
    }
    return objects.endpoint_slice(document)


def pod(name="bazel-cache-0", *, ready=False, phase="Running", scheduled=None, states=(), init=(), **more):
    """A pod as the API gives it; `states` are those of its containers."""
    conditions = [{"type": "Ready", "status": str(ready), "message": more.pop("unready", "")}]
    if scheduled is not None:
        conditions.append({"type": "PodScheduled", "status": "False", "message": scheduled})
    metadata = {"name": name, "namespace": "nix-cache", "deletionTimestamp": more.pop("deleted", None)}
    ports = [{"name": "grpc", "containerPort": 9092}]
    return objects.pod(
        {
            "metadata": metadata,
            "spec": {"containers": [{"ports": ports}]},
            "status": {
                "phase": phase,
                "conditions": conditions,
                "containerStatuses": [
                    {"state": state} if "state" not in state else state for state in states
                ],
                "initContainerStatuses": [{"state": state} for state in init],
                **more,
            },
        }
    )


CRASHING = {
    "state": {
        "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}
    }
}


# which port


@pytest.mark.parametrize(("wanted", "number"), [("grpc", 9092), ("http", 80), ("9092", 9092), ("80", 80)])
def test_a_port_is_found_by_its_name_and_by_its_number(wanted, number):
    assert select_port(service(), wanted).port == number


def test_a_name_goes_before_a_number():
    ports = [{"name": "grpc", "port": 80}, {"name": "80", "port": 9092}]
    assert select_port(service(ports=ports), "80").port == 9092


def test_the_number_in_the_pod_is_no_number_of_the_service():
    with pytest.raises(ClusterError) as caught:
        select_port(service(), "8080")
    assert caught.value.code == "cluster.service.port"
    assert "has no port '8080': it has grpc (9092), http (80)" in caught.value.fact


@pytest.mark.parametrize("ip", ["None", "", "10.0.0.7", "fd00::7"])
def test_a_service_with_or_without_an_address_of_its_own_has_pods_to_forward_to(ip):
    """kubectl port-forward asks for no address either."""
    assert select_port(service(clusterIP=ip), "grpc").target == "grpc"


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        (
            {"type": "ExternalName", "externalName": "cache.example", "selector": None, "ports": None},
            "cluster.service.external",
            "an alias of cache.example",
        ),
        ({"selector": None}, "cluster.service.selectorless", "has no selector"),
        ({"ports": None}, "cluster.service.port", "has no port 'grpc': it has none"),
    ],
)
def test_a_service_that_cannot_be_forwarded_says_what_it_is(spec, code, said):
    with pytest.raises(ClusterError) as caught:
        select_port(service(**spec), "grpc")
    assert caught.value.code == code and said in caught.value.fact and caught.value.hints


# which pods


def test_a_slice_s_port_is_the_one_of_the_service_port_s_name():
    found = from_slices(select_port(service(), "9092"), [slices(endpoint("a"))])
    assert found.ready == (ReadyPod("nix-cache", "a", 19092),)


def test_a_port_without_a_name_is_found_in_its_slice():
    port = select_port(service(ports=[{"port": 80}]), "80")
    document = {"endpoints": [endpoint("a")], "ports": [{"port": 8080}]}
    assert from_slices(port, [objects.endpoint_slice(document)]).ready[0].port == 8080


def test_pods_whose_named_port_differs_are_in_slices_of_their_own():
    port = select_port(service(), "grpc")
    found = from_slices(port, [slices(endpoint("old"), grpc=9092), slices(endpoint("new"), grpc=9093)])
    assert {(pod.name, pod.port) for pod in found.ready} == {("old", 9092), ("new", 9093)}


def test_only_ready_pods_that_stay_are_chosen_and_all_are_counted():
    found = from_slices(
        select_port(service(), "grpc"),
        [
            slices(
                endpoint("good"),
                endpoint("unready", ready=False),
                endpoint("going", terminating=True),
                endpoint("a-node", kind="Node"),
            )
        ],
    )
    assert [pod.name for pod in found.ready] == ["good"]
    assert found.total == 3


def test_a_condition_that_is_not_known_counts_as_ready_and_staying():
    assert from_slices(select_port(service(), "grpc"), [slices(endpoint("a", ready=None))]).ready


def test_a_pod_with_two_addresses_is_chosen_once():
    found = from_slices(select_port(service(), "grpc"), [slices(endpoint("a")), slices(endpoint("a"))])
    assert (len(found.ready), found.total) == (1, 1)


def test_pods_themselves_are_chosen_by_the_target_port_s_name_or_number():
    pods = [pod("a", ready=True), pod("b"), pod("c", ready=True, deleted="2026-01-01T00:00:00Z")]
    by_name = from_pods(select_port(service(), "grpc"), pods)
    by_number = from_pods(select_port(service(), "http"), pods)
    assert by_name.ready == (ReadyPod("nix-cache", "a", 9092),) and by_name.total == 3
    assert by_number.ready == (ReadyPod("nix-cache", "a", 8080),)


def test_a_selector_is_written_as_the_api_wants_it():
    assert label_selector({"b": "2", "a": "1"}) == "a=1,b=2"


# why none


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (pod(states=[CRASHING]), "CrashLoopBackOff: back-off 5m0s restarting failed container"),
        (
            pod(
                states=[
                    {
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                    }
                ]
            ),
            "CrashLoopBackOff: it ended with OOMKilled, exit code 137",
        ),
        (
            pod(states=[{"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}]),
            "ImagePullBackOff: Back-off pulling image",
        ),
        (
            pod(phase="Pending", scheduled="0/3 nodes are available: 3 Insufficient ephemeral-storage."),
            "Pending: 0/3 nodes are available: 3 Insufficient ephemeral-storage.",
        ),
        (pod(phase="Pending", init=[{"waiting": {"reason": "PodInitializing"}}]), "PodInitializing"),
        (pod(phase="Pending"), "Pending"),
        (pod(phase="Failed", reason="Evicted", message="low on resource"), "Evicted: low on resource"),
        (
            pod(states=[{"terminated": {"reason": "Error", "exitCode": 3}}]),
            "Error: it ended with Error, exit code 3",
        ),
        (
            pod(states=[{"running": {}}], unready="containers with unready status: [cache]"),
            "its readiness probe does not pass: containers with unready status: [cache]",
        ),
        (pod(ready=True, deleted="2026-01-01T00:00:00Z"), "terminating"),
        # a job's container that has ended well is none that waits
        (pod(states=[{"terminated": {"exitCode": 0}}]), "its readiness probe does not pass"),
    ],
)
def test_a_pod_that_is_not_ready_says_why_in_the_cluster_s_words(found, said):
    assert worst([found]) == (found, said)


def test_of_several_pods_the_worst_is_named():
    pods = [
        pod("starting", phase="Pending", states=[{"waiting": {"reason": "ContainerCreating"}}]),
        pod("crashing", states=[CRASHING]),
        pod("going", deleted="2026-01-01T00:00:00Z"),
        pod("fine", ready=True),
    ]
    bad, reason = worst(pods)  # type: ignore[misc]
    assert bad.name == "crashing" and reason.startswith("CrashLoopBackOff")
    assert worst(pods[3:]) is None


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        (
            [pod("a", states=[CRASHING]), pod("b", phase="Pending")],
            "0 of 2 pods ready behind nix-cache/bazel-cache: a: CrashLoopBackOff: back-off 5m0s",
        ),
        ([pod(states=[CRASHING])], "0 of 1 pods ready behind nix-cache/bazel-cache: CrashLoopBackOff"),
        ([], "no pod has the labels app=bazel-cache"),
        (None, "0 of 3 pods ready behind nix-cache/bazel-cache; why is not known: pods may not be read"),
        ([pod(ready=True)], "its endpoints are not up to date yet"),
    ],
)
def test_no_pod_ready_is_one_sentence_with_the_reason_and_a_command(pods, said):
    error = none_ready(service(), select_port(service(), "grpc"), pods, 3)
    assert error.code == "cluster.service.pods.none"
    assert said in error.fact
    assert "kubectl -n nix-cache" in error.hints[0]


def test_a_named_target_port_that_no_pod_has_is_named():
    port = select_port(service(ports=[{"name": "grpc", "port": 1, "targetPort": "gone"}]), "grpc")
    assert from_pods(port, [pod(ready=True)]).ready == ()
    assert "none has a port named gone" in none_ready(service(), port, [pod(ready=True)], 1).fact


# pods that are over

EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
LEFT_OVER = {
    "evicted": EVICTED,
    "on a node that was shut down": {"phase": "Failed", "reason": "Terminated", "message": "node shutdown"},
    "of a node without room": {"phase": "Failed", "reason": "OutOfcpu"},
    "preempted": {"phase": "Failed", "reason": "Preempting"},
    "completed": {"phase": "Succeeded"},
}


def fact_of(*pods, total=0):
    return none_ready(service(), select_port(service(), "grpc"), pods, total).fact


@pytest.mark.parametrize("left", LEFT_OVER.values(), ids=LEFT_OVER)
def test_a_pod_that_is_over_is_no_cause_beside_one_that_crashes_now(left):
    said = fact_of(pod("old-1", **left), pod("old-2", **left), pod("now", states=[CRASHING]))
    assert said.startswith("0 of 1 pods ready behind nix-cache/bazel-cache: CrashLoopBackOff")


@pytest.mark.parametrize("left", LEFT_OVER.values(), ids=LEFT_OVER)
def test_a_pod_that_is_over_is_no_candidate_and_is_not_counted(left):
    port = select_port(service(), "grpc")
    found = from_pods(port, [pod("old", ready=True, **left), pod("now", ready=True)])
    assert ([each.name for each in found.ready], found.total) == (["now"], 1)
    assert worst([pod("old", **left), pod("now", ready=True)]) is None


def test_where_all_are_over_that_is_said_with_why():
    said = fact_of(pod("old-1", **EVICTED), pod("old-2", phase="Succeeded"))
    assert said.startswith(
        "0 of 0 pods ready behind nix-cache/bazel-cache; 2 with its labels are over: old-1: Ev"
    )
