"""Reading a real cluster: the official client's lists as a second opinion, paging, rights, the audit log."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from gfattach.cli import main
from gfattach.core.errors import ExitCode
from gfattach.queue.causes.cause import Verdict
from gfattach.queue.diagnose import diagnose
from gfattach.queue.model.question import Question, Scope
from gfattach.queue.roles import manifests
from tests.harness.arc import crds, scenarios
from tests.harness.arc.bed import VIEWER, viewer_rules
from tests.harness.arc.objects import Fleet
from tests.harness.arc.scenarios import LABEL, REPOSITORY
from tests.harness.cluster.kubeconfigs import needs_kubectl

LATER = 1500


@pytest.fixture
def field(arc_cluster, maker):
    """A fleet like GloriousFlywheel's: two owners with one label, and sets whose names begin alike."""
    arc_cluster.install("0.13")
    fleet = Fleet()
    fleet.node()
    nix = fleet.scale_set(LABEL, maximum=3)
    scenarios.busy(fleet, nix, REPOSITORY, REPOSITORY, "tinyland-inc/other")
    for name in ("tinyland-nix-heavy", "tinyland-nix-kvm", "tinyland-nix-compute-expansion"):
        fleet.runner(fleet.scale_set(name), repository="tinyland-inc/kernel")
    bus = fleet.scale_set(
        "great-falls-tool-bus-nix", title=LABEL, url="https://github.com/Great-Falls-Tool-Bus",
        group="great-falls-tool-bus-infra", maximum=4,
    )  # fmt: skip
    fleet.runner(bus, repository="great-falls-tool-bus/infra")
    maker.make(fleet)
    return fleet


def test_every_list_is_what_the_official_client_reads(maker, look, field):
    found = look().snapshot

    def custom(plural):
        items = maker.custom.list_cluster_custom_object(crds.GROUP, crds.VERSION, plural)["items"]
        return {each["metadata"]["uid"]: each for each in items}

    sets = custom("autoscalingrunnersets")
    assert {each.meta.uid: (each.name, each.maximum, each.title) for each in found.scale_sets.items} == {
        uid: (each["metadata"]["name"], each["spec"]["maxRunners"], each["spec"]["runnerScaleSetName"])
        for uid, each in sets.items()
    }
    assert {each.meta.uid: each.set_name for each in found.listeners.items} == {
        uid: each["spec"]["autoscalingRunnerSetName"] for uid, each in custom("autoscalinglisteners").items()
    }
    assert {each.meta.uid: each.replicas for each in found.runner_sets.items} == {
        uid: each["spec"]["replicas"] for uid, each in custom("ephemeralrunnersets").items()
    }
    assert {each.meta.uid: (each.phase, each.repository) for each in found.runners.items} == {
        uid: (each["status"]["phase"], each["status"].get("jobRepositoryName", ""))
        for uid, each in custom("ephemeralrunners").items()
    }
    pods = maker.core.list_pod_for_all_namespaces().items
    assert {each.meta.uid: (each.phase, each.node, each.meta.created) for each in found.pods.items} == {
        each.metadata.uid: (each.status.phase, each.spec.node_name or "", each.metadata.creation_timestamp)
        for each in pods
    }
    nodes = {each.metadata.name: each.status.allocatable["pods"] for each in maker.core.list_node().items}
    assert {each.name: str(each.allocatable["pods"] // 1000) for each in found.nodes.items} == nodes
    assert len(found.deployments.items) == len(maker.apps.list_deployment_for_all_namespaces().items) == 1


def test_owners_and_names_that_begin_alike_are_never_confused(look, field):
    world = look(LATER)
    answers = {(each.label, each.owner): each for each in diagnose(world, Question(LABEL))}
    assert set(answers) == {(LABEL, "tinyland-inc"), (LABEL, "great-falls-tool-bus")}
    own, bus = answers[(LABEL, "tinyland-inc")], answers[(LABEL, "great-falls-tool-bus")]
    assert (own.verdict, bus.verdict) == (Verdict.AT_CAPACITY, Verdict.IDLE)
    assert {each.repository: each.count for each in own.pressure.capacity.holders} == {
        REPOSITORY: 2, "tinyland-inc/other": 1,
    }  # fmt: skip
    assert [each.repository for each in bus.pressure.capacity.holders] == ["great-falls-tool-bus/infra"]
    for name in ("tinyland-nix-heavy", "tinyland-nix-kvm", "tinyland-nix-compute-expansion"):
        (answer,) = diagnose(world, Question(name))
        assert answer.pressure.capacity.counts.busy == 1
    names = {each.set_name: each.name for each in world.listeners()}
    assert names["tinyland-nix-kvm"] == "tinyland-nix-kvm-ddd868ff-listener"


def test_listeners_of_the_old_rule_are_not_confused_either(arc_cluster, maker, look):
    arc_cluster.install("0.13")
    fleet = Fleet("0.12.1")
    for name in (LABEL, "tinyland-nix-heavy", "tinyland-nix-kvm"):
        fleet.scale_set(name)
    maker.make(fleet)
    world = look(LATER)
    assert {each.name for each in world.listeners()} == {
        f"{name}-754b578d-listener" for name in (LABEL, "tinyland-nix-heavy", "tinyland-nix-kvm")
    }
    assert [each.verdict for each in diagnose(world, Question())] == [Verdict.IDLE] * 3


def test_the_audit_log_shows_nothing_but_get_and_list_and_no_secret(
    arc_cluster, field, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    before = len(arc_cluster.audited(VIEWER))
    for words in ([LABEL], ["--audit"], ["--owners"], ["--repo", REPOSITORY, "--run", "100"]):
        main.run(["queue", *words, "--kubeconfig", str(arc_cluster.viewer)])
    capsys.readouterr()
    entries = arc_cluster.audited(VIEWER)[before:]
    assert len(entries) > 40
    assert {each["verb"] for each in entries} <= {"get", "list"}
    assert "secrets" not in {each["objectRef"]["resource"] for each in entries}
    assert all(
        "limit" in parse_qs(urlsplit(each["requestURI"]).query) for each in entries if each["verb"] == "list"
    )


def test_a_long_list_is_read_whole_page_by_page(arc_cluster, maker, look):
    arc_cluster.install("0.13")
    fleet = Fleet()
    found = fleet.scale_set(LABEL, maximum=400)
    for _ in range(300):
        fleet.runner(found, repository=REPOSITORY, pod=False)
    maker.make(fleet)
    before = len(arc_cluster.audited(VIEWER))
    assert len(look().snapshot.runners.items) == 300
    lists = [
        e for e in arc_cluster.audited(VIEWER)[before:] if e["objectRef"]["resource"] == "ephemeralrunners"
    ]
    assert len(lists) == 2 and "continue" in parse_qs(urlsplit(lists[1]["requestURI"]).query)


NEEDED = ("autoscalingrunnersets", "autoscalinglisteners", "ephemeralrunnersets", "ephemeralrunners", "pods")
BESIDES = ("nodes", "events", "resourcequotas", "deployments", "storageclasses")


@pytest.mark.parametrize("resource", [*NEEDED, *BESIDES])
def test_a_right_that_rbac_takes_away_makes_unknown_and_nothing_else(arc_cluster, look, field, resource):
    rules = [
        {**rule, "resources": kept}
        for rule in viewer_rules()
        if (kept := [each for each in rule["resources"] if each != resource])
    ]
    kubeconfig = arc_cluster.user(f"without-{resource}", rules, None)
    for name, answer in {each.label: each for each in diagnose(look(LATER, kubeconfig), Question())}.items():
        wholes = {each.verdict for each in diagnose(look(LATER), Question(name))}
        assert answer.verdict in {*wholes, Verdict.UNKNOWN}
    (answer, *_) = diagnose(look(LATER, kubeconfig), Question(LABEL, REPOSITORY))
    if resource in BESIDES:
        assert answer.verdict is Verdict.AT_CAPACITY
    else:
        assert answer.verdict is Verdict.UNKNOWN and resource in answer.missing[0]


def test_the_two_roles_are_enough_where_namespaces_are_named(arc_cluster, look, field):
    kubeconfig = arc_cluster.user("two-roles", [])
    for role in list(yaml.safe_load_all(manifests()))[1:]:
        arc_cluster.apply(role)
        metadata = role["metadata"]
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": metadata["name"]},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "two-roles"}],
        }  # fmt: skip
        arc_cluster.apply(binding)
        arc_cluster._users.wait_for_rights("two-roles", role["rules"], metadata["namespace"], ())
    named = Scope(("arc-runners",))
    (answer,) = diagnose(look(LATER, kubeconfig, named), Question(LABEL, REPOSITORY))
    assert answer.verdict is Verdict.AT_CAPACITY
    assert answer.pressure.nodes is None and answer.pressure.unknown["nodes"]
    (answer,) = diagnose(look(LATER, kubeconfig), Question(LABEL, REPOSITORY))
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.missing[0] == "list autoscalingrunnersets.actions.github.com in all namespaces"


@needs_kubectl
def test_the_hint_of_an_unknown_verdict_gives_the_rights_that_were_missing(
    arc_cluster, field, capsys, monkeypatch, tmp_path
):
    """Both commands are run as they stand, by a user who may do everything."""
    kubeconfig = arc_cluster.user("unbound", [], None)
    monkeypatch.chdir(tmp_path)
    words = ["queue", LABEL, "--repo", REPOSITORY, "--kubeconfig", str(kubeconfig)]
    assert main.run(words) == ExitCode.UNPROVED
    said = capsys.readouterr().out
    environ = {**os.environ, "KUBECONFIG": str(arc_cluster.admin_kubeconfig)}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    commands = re.findall(r"> (.*kubectl .*)", said)
    assert len(commands) == 2
    try:
        for command in commands:
            subprocess.run(command.replace("USER", "unbound"), shell=True, check=True, env=environ)
        arc_cluster._users.wait_for_rights("unbound", viewer_rules(), None, ())
        assert main.run(words) == ExitCode.GOOD
        assert "at capacity" in capsys.readouterr().out
    finally:
        gone = ["clusterrolebinding/gfattach-queue-unbound", "clusterrole/gfattach-queue-viewer"]
        subprocess.run(["kubectl", "delete", "--ignore-not-found", *gone], env=environ, check=True)


def test_the_command_answers_over_a_real_cluster(arc_cluster, field, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = ["queue", LABEL, "--repo", REPOSITORY, "--kubeconfig", str(arc_cluster.viewer)]
    assert main.run(words) == ExitCode.GOOD
    assert capsys.readouterr().out.startswith("tinyland-nix (tinyland-inc): at capacity\n")
