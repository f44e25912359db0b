"""What `up` says where a developer's rights or the cluster's Services are not enough: all of it, at once."""

from __future__ import annotations

import json
import shlex

import pytest
import yaml

from gfattach.probes.cluster.rights import RULES
from tests.harness.cluster.developer import developer_machine
from tests.harness.cluster.manifests import DEVELOPER_RULES, NAMESPACE, SERVICE


@pytest.fixture
def machine(cluster, tmp_path):
    made = developer_machine(tmp_path, cluster)
    before = made.files()
    yield made
    assert made.files() == before and made.processes() == []


@pytest.mark.parametrize("named", [(), ("--cache-service", f"{NAMESPACE}/{SERVICE}")])
def test_who_may_not_even_read_services_is_told_every_right_and_the_role(cluster, machine, named):
    """The discovery comes before the stage that asks for rights, and a bare 403 names one verb alone."""
    machine.variables["KUBECONFIG"] = str(cluster.user("stranger", []))
    error = machine.json("up", *named, code=1)["error"]
    assert error["code"] == "cluster.rights.missing"
    for right in ("list services", "get pods/portforward", "create pods/portforward", "list endpointslices"):
        assert right in error["fact"]
    assert "stranger may not" in error["fact"] and f"in namespace {NAMESPACE}" in error["fact"]
    document = shlex.split(error["hints"][0].partition("<<<")[2])[0]
    role, binding = yaml.safe_load(document)["items"]
    assert role["rules"] == RULES and binding["subjects"][0]["name"] == "stranger"
    for manifest in (role, binding):
        cluster.apply(manifest)
    cluster.wait_for_rights("stranger", RULES)  # what the hint would apply is enough
    cluster.admin.delete(cluster.admin.path(role))
    cluster.admin.delete(cluster.admin.path(binding))
    cluster.wait_for_rights("stranger", without=RULES)  # and is taken back


def test_who_may_read_one_service_and_names_none_is_told_that_listing_is_missing(cluster, machine):
    rules = [dict(rule) for rule in DEVELOPER_RULES]
    rules[0]["resources"] = ["pods", "configmaps"]
    rules.append({"apiGroups": [""], "resources": ["services"], "verbs": ["get"]})
    machine.variables["KUBECONFIG"] = str(cluster.user("reader", rules))
    error = machine.json("up", code=1)["error"]
    assert "reader may not list services in namespace" in error["fact"]
    assert "pods/portforward" not in error["fact"]


def test_a_cluster_without_a_known_service_fails_as_a_probe_does_and_says_where_else_to_look(
    cluster, machine
):
    cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}")
    document = machine.json("up", code=1)
    assert document["error"]["code"] == "site.service.none"
    said = json.dumps(document["error"]["hints"])
    assert "--cache-service" in said and "--namespace" in said and "get services" in said
