"""Names and quantities: what is computed is what ARC, Kubernetes and its scheduler make."""

from datetime import timedelta

import pytest

from gfattach.cluster.api.arc import names
from gfattach.cluster.api.scheduling import quantity, unschedulable
from gfattach.cluster.api.scheduling.needs import Toleration, effective, need, tolerated
from gfattach.cluster.api.scheduling.quotas import exceeded
from gfattach.queue.causes.cause import span
from gfattach.queue.labels import near


@pytest.mark.parametrize(
    ("text", "suffix"),
    [("arc-runners", "754b578d"), ("arc-runners@default@https://github.com/tinyland-inc", "ddd868ff")],
)
def test_the_listener_s_suffix_is_the_one_that_was_seen_in_clusters(text, suffix):
    assert names.suffix(text) == suffix


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("0.9.3", "short"),
        ("0.12.1", "short"),
        ("0.13.0", "both"),
        ("0.13.1", "both"),
        ("0.14.2", "long"),
        ("", "both"),
    ],
)
def test_which_rule_names_a_listener_follows_from_the_chart(version, wanted):
    found = names.expected("nix", "arc-runners", "default", "https://github.com/tinyland-inc", version)
    long, short = "nix-ddd868ff-listener", "nix-754b578d-listener"
    assert set(found) == {"short": {short}, "long": {long}, "both": {long, short}}[wanted]


@pytest.mark.parametrize(
    ("url", "kind", "name", "covers"),
    [
        ("https://github.com/tinyland-inc", "organization", "tinyland-inc", True),
        ("https://github.com/Tinyland-Inc/", "organization", "tinyland-inc", True),
        ("https://github.com/tinyland-inc/site.git", "repository", "tinyland-inc/site", True),
        ("https://github.com/tinyland-inc/other", "repository", "tinyland-inc/other", False),
        ("https://github.com/other", "organization", "other", False),
        ("https://github.com/enterprises/big", "enterprise", "big", None),
        ("https://ghe.example/tinyland-inc", "organization", "tinyland-inc", True),
    ],
)
def test_a_url_registers_for_an_owner_and_covers_its_repositories(url, kind, name, covers):
    found = names.registration(url)
    assert (found.kind, found.name, found.covers("Tinyland-inc/Site")) == (kind, name, covers)


@pytest.mark.parametrize(
    ("said", "thousandths"),
    [("1", 1000), ("100m", 100), ("0.1", 100), ("8Gi", 8 * 1024**3 * 1000), ("1e3", 10**6), ("1k", 10**6),
     ("1500u", 2), ("-1", -1000), ("", None), ("x", None), ("1Xi", None)],
)  # fmt: skip
def test_quantities_are_read_as_kubernetes_does(said, thousandths):
    assert quantity.parse(said) == thousandths


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("cpu", 1500, "1500m"), ("cpu", 2000, "2"), ("requests.memory", 4 * 1024**3 * 1000, "4Gi"),
     ("pods", 5000, "5"),
     ("ephemeral-storage", -1024**3 * 1500, "-1.5Gi"), ("limits.cpu", -500, "-500m")],
)  # fmt: skip
def test_quantities_are_shown_in_units_of_their_resource(name, value, shown):
    assert quantity.shown(name, value) == shown


def container(cpu, **more):
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container("1"), container("2")]}, 3000),
        ({"containers": [container("1")], "initContainers": [container("4")]}, 4000),
        ({"containers": [container("1")], "initContainers": [container("2", restartPolicy="Always")]}, 3000),
        (
            {"containers": [container("1")],
             "initContainers": [container("2", restartPolicy="Always"), container("3")]}, 5000,
        ),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, 1250),
        ({"containers": [container("1")], "resources": {"requests": {"cpu": "6"}}}, 6000),
        ({"containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}}}]}, 2000),
    ],
)  # fmt: skip
def test_what_a_pod_requests_is_what_the_scheduler_counts(spec, cpu):
    assert effective(spec, "requests") == {"cpu": cpu}
    assert need(spec).requests == {"cpu": cpu}


def test_a_taint_is_tolerated_as_core_v1_has_it():
    taint = ("gpu", "true", "NoSchedule")
    assert not tolerated([taint], [])
    assert tolerated([("gpu", "true", "PreferNoSchedule")], [])
    assert tolerated([taint], [Toleration("gpu", "Equal", "true", "")])
    assert not tolerated([taint], [Toleration("gpu", "Equal", "false", "")])
    assert tolerated([taint], [Toleration("", "Exists", "", "")])
    assert not tolerated([taint], [Toleration("gpu", "Exists", "", "NoExecute")])


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (
            "0/12 nodes are available: 3 Insufficient cpu, 9 node(s) had untolerated taint {gpu: true}."
            " preemption: 0/12 nodes are available: 12 Preemption is not helpful for scheduling.",
            [(3, "insufficient", "cpu"), (9, "taint", "{gpu: true}")],
        ),
        (
            "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match Pod's node affinity/selector,"
            " 1 node(s) were unschedulable.",
            [
                (1, "insufficient", "pods"),
                (1, "affinity", "affinity/selector"),
                (1, "cordoned", "unschedulable"),
            ],
        ),
        (
            "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: no",
            [(2, "volume", "unbound immediate PersistentVolumeClaims")],
        ),
        ("0/4 nodes are available: 4 node(s) felt odd.", [(4, "other", "node(s) felt odd")]),
    ],
)
def test_the_scheduler_s_message_is_taken_apart(message, parts):
    found = unschedulable.parse(message)
    assert [(part.count, part.kind, part.what) for part in found.parts] == parts


def test_a_message_of_another_form_is_left_whole():
    assert unschedulable.parse("no nodes available to schedule pods") is None


def test_the_quota_s_words_are_taken_apart():
    said = exceeded(
        'pods "x" is forbidden: exceeded quota: runners, requested: pods=1,requests.cpu=2,'
        " used: pods=3,requests.cpu=3, limited: pods=9,requests.cpu=4"
    )
    assert (said["name"], said["used"], said["limited"]) == (
        "runners",
        "pods=3,requests.cpu=3",
        "pods=9,requests.cpu=4",
    )
    assert exceeded("pods are forbidden") is None


def test_labels_that_may_be_meant_are_near_or_what_a_fossil_became():
    served = ["tinyland-nix", "tinyland-dind", "great-falls"]
    assert near("tinyland-nx", served)[0] == "tinyland-nix"
    assert near("massageithaca-dind", served)[0] == "tinyland-dind"
    assert near("zzz", served) == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (5, "5 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (11100, "3 h 5 min"),
        (200000, "2 d"),
        (-5, "0 s"),
    ],
)
def test_times_are_shown_as_people_say_them(seconds, shown):
    assert span(timedelta(seconds=seconds)) == shown
